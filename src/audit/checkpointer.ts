import { setTimeout as delay } from 'node:timers/promises'
import { fail, type Result } from '../result.ts'
import { CheckpointCopy, CheckpointFile } from './checkpoint-file.ts'
import type { CheckpointerParts, CheckpointStatus } from './checkpoint-options.ts'
import { recoverCheckpoints, type Made } from './checkpoint-recovery.ts'
import { checkpointLine, idleLimit, keyChangeLine, noCheckpoint } from './checkpoint.ts'
import { ioFailure, type AuditFailure } from './failure.ts'
import { segmentOf } from './read-segments.ts'
import type { KeyChangedEntry } from './record.ts'
import type { Extent, Segment } from './segment.ts'

/**
 * Makes checkpoints in a loop of its own: no answer waits for one, and a failure only shows in the status. A checkpoint
 * covers what is on stable storage already.
 */
export class Checkpointer {
  readonly #parts: CheckpointerParts
  readonly #file: CheckpointFile
  readonly #copy: CheckpointCopy | null
  readonly #stopped = new AbortController()
  #loop: Promise<void> | null = null
  #live: Segment | null = null
  /** The first segment of this process. */
  #first: string | null = null
  /** Ends of segments that take nothing more. */
  #ended: Extent[] = []
  #made: Made | null = null
  #recovered = false
  #change: KeyChangedEntry | null = null
  #keySettled = false
  #lastRound = 0
  #newest: CheckpointStatus['last'] = null
  #failure: AuditFailure | null = null
  #problems: readonly string[] = []
  #covered: number | null = null

  constructor(parts: CheckpointerParts) {
    this.#parts = parts
    this.#file = new CheckpointFile(parts.files, parts.dir)
    const { copyTo } = parts.options
    this.#copy = copyTo === null ? null : new CheckpointCopy(parts.files, copyTo, parts.told)
  }

  /** What the first record of a segment says of the checkpoints. */
  get announced(): { readonly key: string | null; readonly every: number; readonly idle: number } {
    const { key, every, idle } = this.#parts.options
    return { key: key?.id ?? null, every, idle }
  }

  status(): CheckpointStatus {
    const { key } = this.#parts.options
    const copy = this.#copy?.status() ?? null
    return {
      signedBy: key?.id ?? null,
      last: this.#newest,
      failure: this.#failure,
      problems: this.#problems,
      copy,
    }
  }

  /** The highest number that a checkpoint on stable storage covers; `null` before the first. */
  get covered(): number | null {
    return this.#covered
  }

  /** A segment is written from now on. */
  begin(segment: Segment): void {
    this.#live = segment
    this.#first ??= segment.file
    this.#loop ??= this.#run()
  }

  /** It takes nothing more. */
  leave(): void {
    const extent = this.#live?.extent ?? null
    if (extent !== null) this.#ended.push(extent)
    this.#live = null
  }

  /** A change of keys that has to be recorded before the segment is sealed, if it is not yet. Never rejects. */
  async beforeSeal(): Promise<KeyChangedEntry | null> {
    this.#stopped.abort()
    await this.#loop
    try {
      if (!this.#recovered) await this.#recover(this.#first ?? '')
      if (this.#keySettled || this.#change === null || (await this.#flush()) !== null) return null
    } catch {
      // The last round says why.
      return null
    }
    this.#keySettled = true
    return this.#change
  }

  /** Makes the last one. Never rejects. */
  async finish(): Promise<void> {
    this.#stopped.abort()
    await this.#loop
    await this.#round()
    await this.#file.close()
  }

  /** Waits for the second place. */
  async copied(): Promise<void> {
    await this.#copy?.settled()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      await this.#round()
      await delay(this.#parts.options.every, undefined, { ref: false, signal }).catch(() => undefined)
    }
  }

  /** Makes the checkpoints that are due. */
  async #round(): Promise<void> {
    const before = this.#failure
    try {
      this.#failure = (await this.#flush()) ?? (await this.#makeDue())
    } catch (error) {
      this.#failure = ioFailure(`making an audit checkpoint in ${this.#parts.dir}`, error)
    }
    // Also without anything new: what waits for the second place is tried again.
    this.#copy?.send([])
    if (before?.reason !== this.#failure?.reason) this.#parts.told()
  }

  async #makeDue(): Promise<AuditFailure | null> {
    // The file in which those of earlier processes stand is named after the segment that is live now.
    const file = this.#live?.file ?? this.#ended.at(-1)?.file
    if (file === undefined) return null
    if (!this.#recovered) await this.#recover(this.#first ?? file)
    const failure = await this.#settleKey()
    if (failure !== null) return failure
    for (let extent = this.#ended[0]; extent !== undefined; extent = this.#ended[0]) {
      if (!this.#isCovered(extent)) this.#make(extent)
      // Beside it, so that a segment and its checkpoints can be kept or deleted together. What an earlier process left
      // has a file already, which is not touched.
      const own = extent.file >= (this.#first ?? file) && this.#file.mayGoTo(extent.file)
      const failure = own ? await this.#flush(extent.file) : null
      if (failure !== null) return failure
      this.#ended.shift()
    }
    const extent = this.#live?.extent ?? null
    const idle = performance.now() - this.#lastRound >= this.#parts.options.idle
    if (extent !== null && (idle || !this.#isCovered(extent))) this.#make(extent)
    return await this.#flush(extent?.file ?? file)
  }

  #isCovered({ file, tree }: Extent): boolean {
    const made = this.#made
    return made !== null && made.segment === segmentOf(file) && made.size === tree.size
  }

  #make({ log, file, tree, seq, chain, bytes }: Extent): void {
    const { clock, options } = this.#parts
    const [now, made, segment] = [clock(), this.#made, segmentOf(file)]
    const since = made === null ? 0 : now.getTime() - made.time
    const number = made === null ? 0 : made.number + 1
    const facts = {
      log,
      segment,
      size: tree.size,
      root: tree.root(),
      number,
      time: now.toISOString(),
      seq,
      chain,
      bytes,
      previous: made?.hash ?? noCheckpoint,
      idle: options.idle,
      ...(since > idleLimit(options.idle) ? { late: since } : {}),
    }
    const { line, hash } = checkpointLine(facts, tree.roots, options.key)
    this.#file.add(line)
    this.#made = { hash, number, time: now.getTime(), segment, size: tree.size, seq }
    this.#lastRound = performance.now()
  }

  async #flush(file = this.#live?.file): Promise<AuditFailure | null> {
    if (file === undefined) return null
    const { written, failure } = await this.#file.flush(file)
    if (written.length > 0) {
      this.#copy?.send(written)
      const made = this.#made
      if (made !== null) {
        this.#newest = { number: made.number, at: new Date(made.time).toISOString() }
        this.#covered = made.seq
      }
    }
    return failure
  }

  /** Goes on where an earlier process ended, and covers the last second that it did not come to. */
  async #recover(first: string): Promise<void> {
    this.#problems = []
    const log = this.#live?.extent?.log ?? this.#ended.at(-1)?.log ?? ''
    const { made, ended, problems, change } = await recoverCheckpoints(this.#parts, first, log)
    this.#made = made
    this.#covered = made?.seq ?? null
    this.#ended.unshift(...ended)
    this.#problems = problems
    if (change !== null) this.#file.add(keyChangeLine(change.note))
    this.#change = change
    this.#recovered = true
    if (problems.length > 0) this.#parts.told()
  }

  /** The change of keys is on record before the new key signs anything. */
  async #settleKey(): Promise<AuditFailure | null> {
    if (this.#keySettled) return null
    if (this.#change !== null) {
      const failure = await this.#flush()
      if (failure !== null) return failure
      const recorded: Result<unknown, AuditFailure> =
        this.#live === null ? fail(noSegment) : await this.#parts.record(this.#change)
      if (!recorded.ok) return recorded.error
    }
    this.#keySettled = true
    return null
  }
}

const noSegment: AuditFailure = {
  code: 'sealed',
  reason: 'there is no segment in which the change of keys could be recorded',
  remedy: 'it is tried again with the next one',
}
