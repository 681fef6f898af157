import { dirname, resolve } from 'node:path'
import { fail, type Result } from '../result.ts'
import { ioFailure, type AuditFailure } from './failure.ts'
import type { Files } from './files.ts'
import type { AuditLimits } from './limits.ts'
import { encodeEntry } from './line.ts'
import { releaseOwnership, takeOwnership } from './lock.ts'
import { thisProcess, type Owner } from './owner.ts'
import { findPrevious, segmentName, type Continuation } from './previous.ts'
import type { LogOpenedEntry, PreviousSegment } from './record.ts'
import { Segment } from './segment.ts'

/** What the store needs of the log's options. */
export interface StoreOptions {
  readonly dir: string
  readonly clock: () => Date
  readonly newId: () => string
  readonly limits: AuditLimits
  readonly files: Files
  /** What the first record of a segment says of the log. */
  readonly said: Pick<LogOpenedEntry, 'mode' | 'checkpoints'>
}

/** The directory of segments: who owns it, which segment came before, and what the next one is called. */
export class SegmentStore {
  readonly #options: StoreOptions
  readonly #dir: string
  readonly #boot: string
  #owner: Owner | null = null
  #newLog: string | null = null
  #before: Continuation | null = null
  #seq = 0

  constructor(options: StoreOptions) {
    this.#options = options
    // A later chdir must not move the log.
    this.#dir = resolve(options.dir)
    this.#boot = options.newId()
  }

  /** Opens a new segment after the ones that are there. Never rejects, never touches an older segment. */
  async open(): Promise<Result<Segment, AuditFailure>> {
    const { files } = this.#options
    let before: Continuation
    try {
      await this.#makeDir()
      this.#owner ??= await thisProcess(this.#boot)
      const refused = await takeOwnership(files, this.#dir, this.#owner)
      if (refused !== null) return fail(refused)
      before = this.#before ?? (await findPrevious(files, this.#dir))
    } catch (error) {
      return fail(ioFailure(`opening the audit directory ${this.#dir}`, error))
    }
    return await this.#create(before, this.#owner)
  }

  /** Remembers a segment that takes nothing more, for the first record of the next one: `failure` says why, if it is not sealed. */
  async leave(segment: Segment, failure: AuditFailure | null): Promise<void> {
    this.#seq = segment.nextSeq
    const { durable } = segment
    if (this.#before !== null && durable !== null) {
      const { file, seq, chain } = durable
      const previous: PreviousSegment =
        failure === null
          ? { file, found: 'sealed', seq, chain }
          : { file, found: 'abandoned', seq, chain, because: failure.reason }
      this.#before = { ...this.#before, previous, unread: [] }
    }
    await segment.close()
  }

  /** Gives the directory up. Never rejects. */
  async release(): Promise<void> {
    if (this.#owner !== null) await releaseOwnership(this.#options.files, this.#dir, this.#owner)
  }

  async #create(before: Continuation, { pid, host }: Owner): Promise<Result<Segment, AuditFailure>> {
    const { files, clock, newId, limits, said } = this.#options
    const { previous, unread } = before
    const log = before.log ?? (this.#newLog ??= newId())
    // Names must sort in the order of creation even when the clock was set back.
    const time = Math.max(clock().getTime(), before.newest + 1)
    const file = segmentName(time, this.#boot)
    if (this.#before === null && previous !== null) this.#seq = previous.seq + 1
    const opened: LogOpenedEntry = { kind: 'log.opened', writer: { pid, host }, previous, unread, ...said }
    const plan = { dir: this.#dir, file, log, boot: this.#boot, seq: this.#seq, clock }
    const created = await Segment.create(plan, files, encodeEntry(opened, limits))
    if (created.ok) this.#before = { log, previous, unread, newest: time }
    return created
  }

  async #makeDir(): Promise<void> {
    const { files } = this.#options
    const topmost = await files.makeDir(this.#dir)
    if (topmost === undefined) return
    // A new directory is durable when the one above it is synced.
    const last = dirname(topmost)
    for (let above = dirname(this.#dir); ; above = dirname(above)) {
      await files.syncDir(above)
      if (above === last || above === dirname(above)) return
    }
  }
}
