import { randomBytes } from 'node:crypto'
import { open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { schemaVersion } from './columns.ts'

/** A file of the index: records of one UTC day, sorted by person and time. */
export interface Part {
  /** Below the index's directory. */
  readonly file: string
  readonly day: string
  /** How often it was merged. */
  readonly level: number
  /** The same for parts that were made together, each of some people's records. */
  readonly batch: number
  readonly rows: number
  readonly bytes: number
  /** Hex. */
  readonly sha256: string
  /** Times of the first and the last record in it, Unix milliseconds. */
  readonly from: number
  readonly to: number
  /** The first and the last of the people in it; null where none is known. */
  readonly least: string | null
  readonly most: string | null
  /** Names of segments, without their endings. */
  readonly segments: readonly string[]
}

/** A segment that is in the index, as it was then. */
export interface Indexed {
  /** Bytes of its content. */
  readonly size: number
  /** Of its last record. */
  readonly chain: string
  readonly records: number
}

/** A table beside the parts. */
export interface SideFile {
  readonly file: string
  readonly bytes: number
  readonly sha256: string
}

/** What the index consists of. What is not in here is not in the index, whatever lies in its directory. */
export interface Manifest {
  readonly schema: number
  /** Number for the next file. */
  readonly next: number
  readonly segments: Readonly<Record<string, Indexed>>
  readonly parts: readonly Part[]
  /** Outcomes whose decisions are in the parts of older segments. */
  readonly late: SideFile | null
  /** Which names people had: to be found by name, somebody's records need not all be looked at. */
  readonly people: SideFile | null
}

export const emptyManifest: Manifest = {
  schema: schemaVersion,
  next: 1,
  segments: {},
  parts: [],
  late: null,
  people: null,
}

export const manifestPath = (dir: string): string => join(dir, 'manifest.json')

/** The manifest of a directory; an empty one where there is none that this version understands. */
export async function readManifest(dir: string): Promise<Manifest> {
  try {
    const found: unknown = JSON.parse(await readFile(manifestPath(dir), 'utf8'))
    return isManifest(found) ? found : emptyManifest
  } catch {
    return emptyManifest
  }
}

function isManifest(found: unknown): found is Manifest {
  const { schema, next, segments, parts, late, people }: Partial<Record<keyof Manifest, unknown>> = Object(found)
  return (
    schema === schemaVersion &&
    typeof next === 'number' &&
    typeof segments === 'object' &&
    segments !== null &&
    Array.isArray(parts) &&
    parts.every((part: unknown) => isPart(part)) &&
    [late, people].every((one) => one === null || typeof Object(one).file === 'string')
  )
}

function isPart(found: unknown): boolean {
  const { file, day, segments, from, to }: Partial<Record<keyof Part, unknown>> = Object(found)
  const times = typeof from === 'number' && typeof to === 'number'
  return (
    typeof file === 'string' &&
    /^day=[\d-]+\/[\w.-]+$/.test(file) &&
    typeof day === 'string' &&
    times &&
    Array.isArray(segments)
  )
}

/** Written aside, synced and renamed: after a crash there is the one before or this one, never half of it. */
export async function writeManifest(dir: string, manifest: Manifest): Promise<void> {
  const aside = join(dir, `manifest.${randomBytes(6).toString('hex')}.part`)
  const handle = await open(aside, 'wx', 0o600)
  try {
    await handle.writeFile(JSON.stringify(manifest))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(aside, manifestPath(dir))
  await syncDir(dir)
}

/** Makes the names in a directory durable. */
export async function syncDir(dir: string): Promise<void> {
  const handle = await open(dir, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
