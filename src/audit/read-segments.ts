import { basename, join } from 'node:path'
import { errorCode } from './failure.ts'
import type { Files, OpenFile } from './files.ts'
import { isPacked, packedEnding, PackedSource, plainSize, type ByteSource } from './packed.ts'
import { segmentTime } from './segment-names.ts'

/** A file as far as it is read: what is appended later is not looked at. */
export interface ReadableFile {
  readonly file: string
  readonly path: string
  /** Of its content: of a compressed file, what it says itself. */
  readonly size: number
}

const checkpointsPattern = /^audit-\d{8}T\d{9}Z-.+\.\d{3,}\.checkpoints$/

/** The name of a segment without its ending, as checkpoints call it. */
export const segmentOf = (file: string): string => file.replace(/\.ndjson(\.zst)?$/, '')

/** The name that a segment has, or had before it was compressed, as records call it. */
export const plainName = (file: string): string => (isPacked(file) ? file.slice(0, -packedEnding.length) : file)

/** The name of a checkpoints file: one for each segment, and another one after each failure to write to it. */
export const checkpointsName = (segment: string, part: number): string =>
  `${segment}.${String(part).padStart(3, '0')}.checkpoints`

/** The names of the checkpoints files in a directory, in the order in which they were made. */
export const checkpointsFiles = async (files: Files, dir: string): Promise<readonly string[]> =>
  checkpointsAmong(await files.list(dir))

/** The same of names that were listed. */
export const checkpointsAmong = (names: readonly string[]): readonly string[] =>
  names.filter((name) => checkpointsPattern.test(name)).toSorted()

/** The names of the segments in a directory, in the order in which they were made, compressed or not. */
export const segmentFiles = async (files: Files, dir: string): Promise<readonly string[]> =>
  segmentsAmong(await files.list(dir))

/** The same of names that were listed. Where a segment is there in both forms, the plain one counts. */
export function segmentsAmong(names: readonly string[]): readonly string[] {
  const plain = new Set(names.filter((name) => segmentTime(name) !== null && !isPacked(name)))
  const packed = names.filter((name) => segmentTime(name) !== null && !plain.has(plainName(name)) && isPacked(name))
  return [...plain, ...packed].toSorted((one, other) => (plainName(one) < plainName(other) ? -1 : 1))
}

/** Opens a file; a segment that was compressed since its name was read is found under its new one. */
async function openAsNow(files: Files, path: string): Promise<{ readonly path: string; readonly opened: OpenFile }> {
  try {
    return { path, opened: await files.open(path) }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' || !path.endsWith('.ndjson')) throw error
    const packed = `${path}${packedEnding}`
    return {
      path: packed,
      opened: await files.open(packed).catch(() => {
        throw error
      }),
    }
  }
}

/** How long each of these files is now. */
export async function sizesOf(files: Files, dir: string, names: readonly string[]): Promise<readonly ReadableFile[]> {
  const found: ReadableFile[] = []
  for (const file of names) found.push(await sizeOf(files, dir, file))
  return found
}

async function sizeOf(files: Files, dir: string, file: string): Promise<ReadableFile> {
  const path = join(dir, file)
  if (!isPacked(file)) {
    const facts = await files.facts(path).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT' && file.endsWith('.ndjson')) return null
      throw error
    })
    if (facts !== null) return { file, path, size: facts.size }
  }
  const { path: found, opened } = await openAsNow(files, path)
  try {
    // A damaged one is opened all the same: whoever reads it is told.
    const size = isPacked(found) ? ((await plainSize(opened)) ?? 0) : (await opened.facts()).size
    return { file: basename(found), path: found, size }
  } finally {
    await opened.close().catch(() => undefined)
  }
}

/** A line of a file, without its newline. */
export interface RawLine {
  readonly bytes: Buffer
  /** Where it ends, after the newline. */
  readonly end: number
  /** `torn`: the file ends before a newline does; `overlong`: longer than any record. */
  readonly form: 'whole' | 'torn' | 'overlong'
}

const chunkBytes = 256 * 1024
const longest = 64 * 1024 * 1024
const newline = 0x0a

/** The content of a file that is not compressed. */
class PlainSource implements ByteSource {
  readonly #opened: OpenFile
  readonly #size: number
  #position: number

  constructor(opened: OpenFile, size: number, from: number) {
    this.#opened = opened
    this.#size = size
    this.#position = from
  }

  async read(): Promise<Buffer | null> {
    const wanted = Math.min(chunkBytes, this.#size - this.#position)
    if (wanted <= 0) return null
    const chunk = Buffer.alloc(wanted)
    const count = await this.#opened.read(chunk, this.#position)
    this.#position += count
    return count === 0 ? null : chunk.subarray(0, count)
  }

  async close(): Promise<void> {
    await this.#opened.close().catch(() => undefined)
  }
}

/** The lines of one file, in order, a chunk in memory at a time. */
export class LineSource {
  readonly #bytes: ByteSource
  #position: number
  #rest: Buffer = Buffer.alloc(0)
  #ready: RawLine[] = []
  #at = 0
  #ended = false

  private constructor(bytes: ByteSource, from: number) {
    this.#bytes = bytes
    this.#position = from
  }

  /**
   * Opens a file for its lines from a position of its content on. A compressed segment is read whole, whatever `size` says:
   * it does not grow. Where it is damaged, this or a later call rejects with `DamagedFile`.
   */
  static async open(files: Files, { path, size }: Pick<ReadableFile, 'path' | 'size'>, from = 0): Promise<LineSource> {
    const found = await openAsNow(files, path)
    const bytes = isPacked(found.path)
      ? await PackedSource.open(basename(found.path), found.opened, from)
      : new PlainSource(found.opened, size, from)
    return new LineSource(bytes, from)
  }

  /** The next line, if one has been read already: call `fill` where there is none. */
  take(): RawLine | undefined {
    const line = this.#ready[this.#at]
    if (line !== undefined) this.#at++
    return line
  }

  /** Reads on; answers false at the end of the file. */
  async fill(): Promise<boolean> {
    if (this.#at === this.#ready.length) {
      this.#ready = []
      this.#at = 0
    }
    const before = this.#ready.length
    while (this.#ready.length === before) {
      if (!(await this.#readChunk())) return false
    }
    return true
  }

  /** Up to so many of the lines that come next, which stay to be taken. */
  async ahead(count: number): Promise<readonly RawLine[]> {
    while (this.#ready.length - this.#at < count && (await this.fill())) continue
    return this.#ready.slice(this.#at, this.#at + count)
  }

  async next(): Promise<RawLine | undefined> {
    return this.take() ?? ((await this.fill()) ? this.take() : undefined)
  }

  async close(): Promise<void> {
    await this.#bytes.close()
  }

  async #readChunk(): Promise<boolean> {
    const chunk = this.#ended ? null : await this.#bytes.read()
    if (chunk === null) return this.#finish('torn')
    const start = this.#position - this.#rest.length
    this.#position += chunk.length
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let from = 0
    for (let at = bytes.indexOf(newline, this.#rest.length); at >= 0; at = bytes.indexOf(newline, from)) {
      this.#ready.push({ bytes: bytes.subarray(from, at), end: start + at + 1, form: 'whole' })
      from = at + 1
    }
    this.#rest = bytes.subarray(from)
    return this.#rest.length > longest ? this.#finish('overlong') : true
  }

  #finish(form: RawLine['form']): boolean {
    this.#ended = true
    if (this.#rest.length === 0) return false
    this.#ready.push({ bytes: this.#rest, end: this.#position, form })
    this.#rest = Buffer.alloc(0)
    return true
  }
}
