import { join } from 'node:path'
import { errorCode } from '../failure.ts'
import type { Files } from '../files.ts'

/** The last record that a receiver is known to have. */
export interface Cursor {
  readonly log: string
  /** Name of its segment, with the ending `.ndjson`. */
  readonly file: string
  readonly seq: number
}

/** Where the cursors and what was refused are, below the audit directory. */
export const sinksDir = (dir: string): string => join(dir, 'sinks')

/** The cursor of one sink on disk. */
export class CursorFile {
  readonly #files: Files
  readonly #dir: string
  readonly #path: string

  constructor(files: Files, dir: string, name: string) {
    this.#files = files
    this.#dir = sinksDir(dir)
    this.#path = join(this.#dir, `${name}.cursor`)
  }

  /** `null`: there is none, or it is `damaged`. Rejects where it is there and cannot be read. */
  async read(): Promise<{ readonly cursor: Cursor | null; readonly damaged: boolean }> {
    let text: string
    try {
      text = await this.#files.readText(this.#path)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return { cursor: null, damaged: false }
      throw error
    }
    const cursor = parseCursor(text)
    return { cursor, damaged: cursor === null }
  }

  /**
   * Written aside, synced and renamed, so that there is always a whole one. The directory is not synced: an older cursor
   * after a power failure means records that come twice, and those come anyway.
   */
  async write(cursor: Cursor): Promise<void> {
    await this.#files.makeDir(this.#dir)
    const aside = `${this.#path}.part`
    await this.#files.remove(aside).catch(() => undefined)
    await writeWhole(await this.#files.create(aside), `${JSON.stringify({ v: 1, ...cursor })}\n`)
    await this.#files.rename(aside, this.#path)
  }
}

/** Writes a text to its end, waits for stable storage and closes the file. */
export async function writeWhole(file: Awaited<ReturnType<Files['create']>>, text: string): Promise<void> {
  try {
    const bytes = Buffer.from(text)
    for (let offset = 0; offset < bytes.length;) {
      const taken = await file.write(bytes, offset)
      if (taken <= 0) throw new Error('the system took no bytes and gave no reason')
      offset += taken
    }
    await file.datasync()
  } finally {
    await file.close().catch(() => undefined)
  }
}

function parseCursor(text: string): Cursor | null {
  let found: Partial<Record<string, unknown>>
  try {
    found = Object(JSON.parse(text))
  } catch {
    return null
  }
  const { v, log, file, seq } = found
  if (v !== 1 || typeof log !== 'string' || typeof file !== 'string' || typeof seq !== 'number') return null
  if (!/^audit-\d{8}T\d{9}Z-.+\.ndjson$/.test(file) || !Number.isSafeInteger(seq) || seq < 0) return null
  return { log, file, seq }
}
