import { randomFillSync } from 'node:crypto'
import { join } from 'node:path'
import { errorCode } from './failure.ts'
import type { Files, OpenFile } from './files.ts'

const chunkBytes = 1024 * 1024
const longestPauseMs = 5 * 60_000

/**
 * A file that takes room on the volume so that there is some when the volume is full. It is filled, as a hole would keep
 * nothing back, and with random bytes, as some file systems store a run of zeros as a hole. Made in small steps: the log
 * commits between them.
 */
export class Reserve {
  readonly #files: Files
  readonly #dir: string
  readonly #path: string
  readonly #size: number
  readonly #pauseMs: number
  #open: OpenFile | null = null
  #made = 0
  /** Was it seen, what an earlier process left? */
  #adopted = false
  #failures = 0
  #notBefore = 0

  constructor(files: Files, dir: string, size: number, pauseMs: number) {
    this.#files = files
    this.#dir = dir
    this.#path = join(dir, 'reserve')
    this.#size = size
    this.#pauseMs = pauseMs
  }

  /** How many bytes are kept back. */
  get bytes(): number {
    return this.#made
  }

  get isWhole(): boolean {
    return this.#made === this.#size && this.#open === null
  }

  /** False only when there is surely nothing to give back. */
  get mayBeThere(): boolean {
    return this.#size > 0 && (!this.#adopted || this.#made > 0 || this.#open !== null)
  }

  /** Does the next step take the first bytes of the volume? */
  get needsRoom(): boolean {
    return this.#adopted && this.#made === 0
  }

  get isDue(): boolean {
    return !this.isWhole && performance.now() >= this.#notBefore
  }

  /** Makes one more piece of it. Never rejects: what fails is tried again, ever later. */
  async step(): Promise<void> {
    if (!this.isDue) return
    try {
      if (!this.#adopted) await this.#adopt()
      else await this.#grow()
    } catch {
      await this.giveBack()
      // Else each try would take, for a moment, the room that refusals are recorded in.
      this.#notBefore = performance.now() + Math.min(longestPauseMs, this.#pauseMs * 2 ** this.#failures++)
    }
  }

  /** Removes the file, whole or not; answers whether there was one. Never rejects. */
  async giveBack(): Promise<boolean> {
    if (!this.mayBeThere) return false
    this.#adopted = true
    this.#made = 0
    // Its blocks are free only when nobody has it open.
    await this.#open?.close().catch(() => undefined)
    this.#open = null
    return await this.#files.remove(this.#path).then(
      () => true,
      () => false,
    )
  }

  /** Takes over what an earlier process made, if it is as it should be. */
  async #adopt(): Promise<void> {
    try {
      const { size } = await this.#files.facts(this.#path)
      if (size === this.#size && (await this.#files.allocated(this.#path)) >= size) this.#made = size
      else await this.#files.remove(this.#path)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
    }
    this.#adopted = true
  }

  async #grow(): Promise<void> {
    this.#open ??= await this.#files.create(this.#path)
    const chunk = randomFillSync(Buffer.alloc(Math.min(chunkBytes, this.#size - this.#made)))
    for (let offset = 0; offset < chunk.length;) {
      const taken = await this.#open.write(chunk, offset)
      if (taken <= 0) throw new Error('the system took no bytes and gave no reason')
      offset += taken
    }
    await this.#open.datasync()
    this.#made += chunk.length
    if (this.#made < this.#size) return
    await this.#open.close()
    this.#open = null
    await this.#files.syncDir(this.#dir)
    this.#failures = 0
  }
}
