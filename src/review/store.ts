import { mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf } from './build.ts'
import { emptyManifest, manifestPath, readManifest } from './manifest.ts'
import type { Manifest, Part, SideFile } from './manifest.ts'

const partName = /^part-\d+\.parquet$/
const sideName = /^(late|people)-\d+\.parquet$/
const dayName = /^day=[\d-]+$/
const asideName = /^manifest\.[0-9a-f]+\.part$/

/** Directories of the index beside its parts. */
export const scratchOf = (index: string): string => join(index, 'tmp')
export const exportsOf = (index: string): string => join(index, 'exports')

/** Makes the directories of an index, and removes what an earlier process left that is not ready; `anew`: all of it. */
export async function prepareIndex(index: string, anew: boolean): Promise<void> {
  if (anew) await rm(manifestPath(index), { force: true })
  for (const dir of [scratchOf(index), exportsOf(index)]) {
    await rm(dir, { recursive: true, force: true })
    await mkdir(dir, { mode: 0o700 })
  }
}

/** The index as far as it is whole, without the files that do not belong to it. */
export async function openManifest(index: string): Promise<Manifest> {
  const sound = await soundManifest(index, await readManifest(index), looksWhole)
  await removeStrangers(index, sound)
  return sound
}

/** The same of an index that somebody else owns: nothing is changed there. */
export async function borrowManifest(index: string): Promise<Manifest> {
  return soundManifest(index, await readManifest(index), looksWhole)
}

/** Looks at every byte: what can be read but is not what was written is found, too. */
export async function inspectManifest(index: string, manifest: Manifest): Promise<Manifest> {
  return soundManifest(index, manifest, async (path, file) => {
    return (await looksWhole(path, file)) && (await digestOf(path)) === file.sha256
  })
}

type Check = (path: string, file: Pick<Part, 'bytes' | 'sha256'>) => Promise<boolean>

/** Leaves out the parts that are not as written, and the segments in them, so that those are indexed anew. */
async function soundManifest(index: string, manifest: Manifest, check: Check): Promise<Manifest> {
  const isSound = (file: Pick<Part, 'file' | 'bytes' | 'sha256'>): Promise<boolean> =>
    check(join(index, file.file), file).catch(() => false)
  // Whose decisions an outcome waits for is not known: without them, all is made again.
  for (const side of [manifest.late, manifest.people]) {
    if (side !== null && !(await isSound(side))) return { ...emptyManifest, next: manifest.next }
  }
  const bad = new Set<string>()
  for (const part of manifest.parts) if (!(await isSound(part))) for (const segment of part.segments) bad.add(segment)
  return bad.size === 0 ? manifest : withoutSegments(manifest, bad)
}

/** A manifest without some segments: parts that hold rows of them go, and with these the other segments in them. */
export function withoutSegments(manifest: Manifest, bad: ReadonlySet<string>): Manifest {
  const out = new Set(bad)
  for (let size = -1; size !== out.size;) {
    size = out.size
    for (const { segments } of manifest.parts) {
      if (segments.some((segment) => out.has(segment))) for (const segment of segments) out.add(segment)
    }
  }
  return {
    ...manifest,
    segments: Object.fromEntries(Object.entries(manifest.segments).filter(([segment]) => !out.has(segment))),
    parts: manifest.parts.filter(({ segments }) => !segments.some((segment) => out.has(segment))),
  }
}

async function looksWhole(path: string, { bytes }: Pick<Part, 'bytes'>): Promise<boolean> {
  if ((await stat(path)).size !== bytes) return false
  const handle = await open(path, 'r')
  try {
    const end = Buffer.alloc(4)
    await handle.read(end, 0, 4, bytes - 4)
    return end.toString('latin1') === 'PAR1'
  } finally {
    await handle.close()
  }
}

/** A crash between writing a file and naming it in the manifest leaves one that nobody knows. */
async function removeStrangers(index: string, manifest: Manifest): Promise<void> {
  const known = new Set([
    ...manifest.parts.map(({ file }) => file),
    manifest.late?.file ?? '',
    manifest.people?.file ?? '',
  ])
  for (const name of await readdir(index)) {
    if ((sideName.test(name) && !known.has(name)) || asideName.test(name)) await rm(join(index, name), { force: true })
    if (!dayName.test(name)) continue
    for (const file of await readdir(join(index, name))) {
      if (partName.test(file) && !known.has(`${name}/${file}`)) await rm(join(index, name, file), { force: true })
    }
  }
}

/** A new state of the index. */
export interface Change {
  readonly remove?: readonly Part[]
  readonly add?: readonly Part[]
  readonly segments?: Manifest['segments']
  readonly late?: SideFile | null
  readonly people?: SideFile | null
}

/** The manifest after a change. */
export function changed(
  manifest: Manifest,
  { remove = [], add = [], segments, late, people }: Change,
  next: number,
): Manifest {
  const removed = new Set(remove.map(({ file }) => file))
  return {
    ...manifest,
    next,
    segments: segments ?? manifest.segments,
    parts: [...manifest.parts.filter(({ file }) => !removed.has(file)), ...add],
    late: late === undefined ? manifest.late : late,
    people: people === undefined ? manifest.people : people,
  }
}
