import { join } from 'node:path'
import type { Files, OpenFile } from './files.ts'
import { segmentTime } from './previous.ts'

/** A file as far as it is read: what is appended later is not looked at. */
export interface ReadableFile {
  readonly file: string
  readonly path: string
  readonly size: number
}

const checkpointsPattern = /^audit-\d{8}T\d{9}Z-.+\.\d{3,}\.checkpoints$/

/** The name of a segment without its ending, as checkpoints call it. */
export const segmentOf = (file: string): string => file.replace(/\.ndjson$/, '')

/** The name of a checkpoints file: one for each segment, and another one after each failure to write to it. */
export const checkpointsName = (segment: string, part: number): string =>
  `${segment}.${String(part).padStart(3, '0')}.checkpoints`

/** The names of the checkpoints files in a directory, in the order in which they were made. */
export const checkpointsFiles = async (files: Files, dir: string): Promise<readonly string[]> =>
  (await files.list(dir)).filter((name) => checkpointsPattern.test(name)).toSorted()

/** The names of the segments in a directory, in the order in which they were made. */
export const segmentFiles = async (files: Files, dir: string): Promise<readonly string[]> =>
  (await files.list(dir)).filter((name) => segmentTime(name) !== null).toSorted()

/** How long each of these files is now. */
export async function sizesOf(files: Files, dir: string, names: readonly string[]): Promise<readonly ReadableFile[]> {
  const found: ReadableFile[] = []
  for (const file of names) {
    const path = join(dir, file)
    found.push({ file, path, size: (await files.facts(path)).size })
  }
  return found
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

/** The lines of one file, in order, a chunk in memory at a time. */
export class LineSource {
  readonly #opened: OpenFile
  readonly #size: number
  #position: number
  #rest: Buffer = Buffer.alloc(0)
  #ready: RawLine[] = []
  #at = 0

  private constructor(opened: OpenFile, size: number, from: number) {
    this.#opened = opened
    this.#size = size
    this.#position = from
  }

  static async open(files: Files, { path, size }: Pick<ReadableFile, 'path' | 'size'>, from = 0): Promise<LineSource> {
    return new LineSource(await files.open(path), size, from)
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
    await this.#opened.close().catch(() => undefined)
  }

  async #readChunk(): Promise<boolean> {
    const wanted = Math.min(chunkBytes, this.#size - this.#position)
    const chunk = Buffer.alloc(Math.max(0, wanted))
    const count = wanted <= 0 ? 0 : await this.#opened.read(chunk, this.#position)
    if (count === 0) return this.#finish('torn')
    const start = this.#position - this.#rest.length
    this.#position += count
    const bytes = Buffer.concat([this.#rest, chunk.subarray(0, count)])
    let from = 0
    for (let at = bytes.indexOf(newline, this.#rest.length); at >= 0; at = bytes.indexOf(newline, from)) {
      this.#ready.push({ bytes: bytes.subarray(from, at), end: start + at + 1, form: 'whole' })
      from = at + 1
    }
    this.#rest = bytes.subarray(from)
    if (this.#rest.length > longest) {
      this.#position = this.#size
      return this.#finish('overlong')
    }
    return true
  }

  #finish(form: RawLine['form']): boolean {
    if (this.#rest.length === 0) return false
    this.#ready.push({ bytes: this.#rest, end: this.#position, form })
    this.#rest = Buffer.alloc(0)
    return true
  }
}
