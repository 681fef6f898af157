import { join } from 'node:path'
import type { Files, OpenFile } from '../files.ts'
import { sinksDir, writeWhole } from './cursor.ts'

/** What was not handed over and never will be, as a line of the file. */
export interface RefusedLine {
  readonly at: string
  readonly log: string | null
  /** Segment where it stands. */
  readonly file: string
  /** First and last number that it may be, and how many of these; `null` for a line that is no record. */
  readonly from: number | null
  readonly to: number | null
  readonly count: number
  readonly because: string
}

/** `sinks/<name>.refused`: one line for each record that was set aside. Nobody but a person ever reads or removes it. */
export class RefusedFile {
  readonly #files: Files
  readonly #dir: string
  readonly #path: string

  constructor(files: Files, dir: string, name: string) {
    this.#files = files
    this.#dir = sinksDir(dir)
    this.#path = join(this.#dir, `${name}.refused`)
  }

  /** On stable storage when it settles: only then may the sink go on. */
  async add(lines: readonly RefusedLine[]): Promise<void> {
    if (lines.length === 0) return
    await this.#files.makeDir(this.#dir)
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
    const file = await this.#files.append(this.#path)
    await writeWhole(file, (await endsTorn(file)) ? `\n${text}` : text)
    await this.#files.syncDir(this.#dir)
  }
}

/** A process that was killed while it wrote leaves half a line, which the next one must not go on with. */
async function endsTorn(file: OpenFile): Promise<boolean> {
  const { size } = await file.facts()
  const last = Buffer.alloc(1)
  return size > 0 && (await file.read(last, size - 1)) === 1 && last.toString() !== '\n'
}
