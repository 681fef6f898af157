import { join } from 'node:path'
import { ioFailure, type AuditFailure } from './failure.ts'
import type { Files, OpenFile } from './files.ts'
import { checkpointsName, segmentOf } from './read-segments.ts'

/** Writes bytes to the end, however few of them the system takes at once. */
async function writeFully(open: OpenFile, bytes: Buffer): Promise<void> {
  for (let offset = 0; offset < bytes.length;) {
    const taken = await open.write(bytes, offset)
    if (taken <= 0) throw new Error('the system took no bytes and gave no reason')
    offset += taken
  }
}

/**
 * The checkpoints beside a segment. What a failed write left behind is unknown: the same lines go to a new file then, and
 * a reader skips the ones it has seen.
 */
export class CheckpointFile {
  readonly #files: Files
  readonly #dir: string
  #segment = ''
  #part = 0
  #open: OpenFile | null = null
  #pending: string[] = []

  constructor(files: Files, dir: string) {
    this.#files = files
    this.#dir = dir
  }

  /** Lines that are not known to be on stable storage. */
  get pending(): readonly string[] {
    return this.#pending
  }

  add(line: string): void {
    this.#pending.push(line)
  }

  /** Files are read in the order of their names: nothing goes beside a segment when something stands beside a newer one. */
  mayGoTo(segmentFile: string): boolean {
    return segmentOf(segmentFile) >= this.#segment
  }

  /** Writes what is pending beside this segment; answers what is on stable storage now. Never rejects. */
  async flush(
    segmentFile: string,
  ): Promise<{ readonly written: readonly string[]; readonly failure: AuditFailure | null }> {
    if (this.#pending.length === 0) return { written: [], failure: null }
    const segment = segmentOf(segmentFile)
    if (segment !== this.#segment) {
      await this.close()
      this.#segment = segment
      this.#part = 0
    }
    const path = join(this.#dir, checkpointsName(segment, this.#part))
    const fresh = this.#open === null
    try {
      this.#open ??= await this.#files.create(path)
      await writeFully(this.#open, Buffer.from(this.#pending.join('')))
      await this.#open.datasync()
      if (fresh) await this.#files.syncDir(this.#dir)
      const written = this.#pending
      this.#pending = []
      return { written, failure: null }
    } catch (error) {
      const made = this.#open !== null
      await this.close()
      // Else a full disk that is tried every second would leave a file each time. Nothing in it counts.
      if (fresh && made) await this.#files.remove(path).catch(() => undefined)
      this.#part++
      return { written: [], failure: ioFailure(`writing ${path}`, error) }
    }
  }

  async close(): Promise<void> {
    await this.#open?.close().catch(() => undefined)
    this.#open = null
  }
}

const mostWaiting = 10_000

/** What the operator can know about the second place. */
export interface CopyStatus {
  readonly path: string
  readonly waiting: number
  /** Lines that were given up because too many waited. */
  readonly dropped: number
  readonly failure: AuditFailure | null
}

/** The second place: a file that checkpoints are appended to, which nobody waits for. */
export class CheckpointCopy {
  readonly #files: Files
  readonly #path: string
  readonly #told: () => void
  #waiting: string[] = []
  #dropped = 0
  #failure: AuditFailure | null = null
  #running: Promise<void> | null = null

  constructor(files: Files, path: string, told: () => void) {
    this.#files = files
    this.#path = path
    this.#told = told
  }

  status(): CopyStatus {
    return { path: this.#path, waiting: this.#waiting.length, dropped: this.#dropped, failure: this.#failure }
  }

  /** Appends these, and what waits from before, unless an earlier call is still under way. */
  send(lines: readonly string[]): void {
    this.#waiting.push(...lines)
    const excess = Math.max(0, this.#waiting.length - mostWaiting)
    this.#dropped += excess
    this.#waiting.splice(0, excess)
    if (this.#running !== null || this.#waiting.length === 0) return
    this.#running = this.#write().finally(() => {
      this.#running = null
    })
  }

  /** Waits until what was sent is written, or failed. */
  async settled(): Promise<void> {
    await this.#running
    this.send([])
    await this.#running
  }

  async #write(): Promise<void> {
    const lines = this.#waiting.slice()
    const before = this.#failure
    try {
      const open = await this.#files.append(this.#path)
      try {
        await writeFully(open, Buffer.from(`${await tornEnd(open)}${lines.join('')}`))
        await open.datasync()
      } finally {
        await open.close().catch(() => undefined)
      }
      const gone = new Set(lines)
      this.#waiting = this.#waiting.filter((line) => !gone.has(line))
      this.#failure = null
    } catch (error) {
      this.#failure = ioFailure(`copying checkpoints to ${this.#path}`, error)
    }
    if (before?.reason !== this.#failure?.reason) this.#told()
  }
}

/** A line that a failed write left half-way is ended first. */
async function tornEnd(open: OpenFile): Promise<string> {
  const { size } = await open.facts()
  if (size === 0) return ''
  const last = Buffer.alloc(1)
  await open.read(last, size - 1)
  return last[0] === 0x0a ? '' : '\n'
}
