import { join } from 'node:path'
import { partEnding } from './compress.ts'
import type { Files } from './files.ts'
import type { SigningKey } from './keys.ts'
import { isSignedBy } from './note.ts'
import { isPacked, packedEnding } from './packed.ts'
import { checkpointsAmong, plainName, segmentOf, segmentsAmong } from './read-segments.ts'
import { buriedIn, parseTombstone, readSmall } from './tombstone.ts'

/** The files of a log, as retention sees them. */
export interface LogFiles {
  readonly names: readonly string[]
  /** Segments before the live one, the oldest first, and the live one. */
  readonly older: readonly string[]
  readonly live: string
  readonly checkpoints: readonly string[]
}

export async function logFiles(files: Files, dir: string, live: string): Promise<LogFiles> {
  const names = await files.list(dir)
  const older = segmentsAmong(names).filter((name) => plainName(name) < live)
  return { names, older, live, checkpoints: checkpointsAmong(names) }
}

/** The segments that may be compressed or deleted: all but the newest that is not written any more, and what is behind it. */
export async function settled(files: Files, dir: string, { older }: LogFiles): Promise<readonly string[]> {
  for (const [at, name] of [...older.entries()].toReversed()) {
    if ((await files.facts(join(dir, name))).size > 0) return older.slice(0, at)
  }
  return []
}

/** Bytes on the volume of each segment, with the checkpoints beside it. */
export async function sizesOnDisk(
  files: Files,
  dir: string,
  { older, live, checkpoints }: LogFiles,
): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>()
  for (const name of [...older, live, ...checkpoints]) {
    const segment = segmentOf(name).replace(/\.\d{3,}\.checkpoints$/, '')
    sizes.set(segment, (sizes.get(segment) ?? 0) + (await files.facts(join(dir, name))).size)
  }
  return sizes
}

/**
 * Removes the files of a segment that has its tombstone: the segment first, so that what is left of it is never taken for
 * the whole, then the checkpoints beside it. Rejects where that fails.
 */
export async function removeSegment(files: Files, dir: string, segment: string): Promise<void> {
  const names = (await files.list(dir)).filter((name) => name.startsWith(`${segment}.`))
  // While both forms are there the plain one counts: it goes last.
  const forms = [`${packedEnding}${partEnding}`, packedEnding, ''].map((ending) => `${segment}.ndjson${ending}`)
  await removeAll(
    files,
    dir,
    forms.filter((name) => names.includes(name)),
  )
  await removeAll(files, dir, checkpointsAmong(names).toReversed())
}

async function removeAll(files: Files, dir: string, names: readonly string[]): Promise<void> {
  for (const name of names) await files.remove(join(dir, name))
  if (names.length > 0) await files.syncDir(dir)
}

/** Deleted segments of which checkpoints are left: the gateway was killed in between. */
export async function unfinished(
  files: Files,
  dir: string,
  { names, checkpoints }: LogFiles,
  key: SigningKey,
): Promise<readonly string[]> {
  const present = new Set(segmentsAmong(names).map(segmentOf))
  const found: string[] = []
  for (const name of names) {
    const segment = buriedIn(name)
    if (segment === null || present.has(segment)) continue
    if (!checkpoints.some((one) => one.startsWith(`${segment}.`))) continue
    const tombstone = parseTombstone(await readSmall(files, dir, name))
    if (tombstone?.segment === segment && isSignedBy(tombstone.note, key)) found.push(segment)
  }
  return found
}

/** How many segments there are, in which form. */
export function counted({ names, older }: LogFiles) {
  return {
    segments: older.length + 1,
    compressed: older.filter(isPacked).length,
    tombstones: names.filter((name) => buriedIn(name) !== null).length,
  }
}
