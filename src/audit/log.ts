import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fail, ok, type Result } from '../result.ts'
import { Checkpointer, type CheckpointOptions, type CheckpointStatus } from './checkpointer.ts'
import type { AuditFailure } from './failure.ts'
import { nodeFiles, type Files } from './files.ts'
import { auditLimits, type AuditLimits } from './limits.ts'
import { encodeEntry } from './line.ts'
import { RecordQueue, type Pending } from './queue.ts'
import type { AnyEntry, AuditEntry, OutcomeEntry } from './record.ts'
import type { Receipt, Segment } from './segment.ts'
import { SegmentStore } from './store.ts'

export type { AuditFailure, Receipt }

/** What the operator can know about the log. */
export interface AuditStatus {
  /** `open`: records are kept; `failed`: every append is refused at once, while the log tries by itself to open a new segment. */
  readonly state: 'opening' | 'open' | 'failed' | 'sealed'
  /** Name of the live segment. */
  readonly file: string | null
  readonly queued: number
  /** The newest failure, also after it is mended. */
  readonly lastFailure?: AuditFailure & { readonly at: string }
  /** Times the disk was waited for. */
  readonly commits: number
  /** Records on stable storage. */
  readonly records: number
  /** Notes that are not known to be kept. */
  readonly lost: number
  /** Only where checkpoints are made. */
  readonly checkpoints?: CheckpointStatus
}

/** The durable record of this gateway. */
export interface AuditLog {
  /**
   * Keeps a record; settles with a receipt only when it is on stable storage, in the order of the calls.
   * A failure means: do not answer. The record may still be found in the log later (see `docs/audit-record.md`). Never rejects.
   */
  append(entry: AuditEntry): Promise<Result<Receipt, AuditFailure>>
  /** Keeps a record that nobody waits for. One that could not be kept is counted as `lost` in the status. */
  note(entry: OutcomeEntry): void
  status(): AuditStatus
  /** Takes no more, waits for what is queued, writes the last record and gives the directory up. Never rejects. */
  seal(): Promise<void>
}

/** What a log needs from its builder. */
export interface AuditLogOptions {
  readonly dir: string
  readonly clock: () => Date
  /** A new unique id, fit for a file name. */
  readonly newId: () => string
  readonly limits?: Partial<AuditLimits>
  /** The file operations; those of the system when not given. */
  readonly files?: Files
  /** How checkpoints are made; none are when not given. */
  readonly checkpoints?: CheckpointOptions
  /** Called when the status of the checkpoints changes for the worse or the better. */
  readonly told?: () => void
}

/**
 * Opens the log of a directory in the background: records given at once wait for it. A directory that cannot be used is
 * no error here but the state `failed`, tried again until it is mended.
 */
export function openAuditLog(options: AuditLogOptions): AuditLog {
  return new GroupCommitLog(options)
}

/**
 * One loop owns the file: take everything that waits, write it, sync, answer, again. While the disk works the next batch
 * gathers, so latency is one or two syncs at any load. Being one loop, it never asks a hung disk twice, and so cannot
 * use up the few threads all file and name look-ups of the process share.
 */
class GroupCommitLog implements AuditLog {
  readonly #dir: string
  readonly #clock: () => Date
  readonly #limits: AuditLimits
  readonly #store: SegmentStore
  readonly #queue: RecordQueue
  readonly #checkpoints: Checkpointer | null
  readonly #sealAsked = Promise.withResolvers<void>()
  readonly #finished: Promise<void>
  #state: AuditStatus['state'] = 'opening'
  #segment: Segment | null = null
  #inFlight: readonly Pending[] = []
  #sealing = false
  /** Set when a deadline passed, until the disk answers again. */
  #stalled: AuditFailure | null = null
  #lastFailure: (AuditFailure & { readonly at: string }) | null = null
  #commits = 0
  #records = 0
  #lost = 0

  constructor({ dir, clock, newId, limits, files = nodeFiles, checkpoints, told = () => {} }: AuditLogOptions) {
    this.#dir = dir
    this.#clock = clock
    this.#limits = { ...auditLimits, ...limits }
    const record = (entry: AnyEntry) => this.#keep(entry)
    this.#checkpoints =
      checkpoints === undefined
        ? null
        : new Checkpointer({ dir: resolve(dir), files, clock, options: checkpoints, record, told })
    const announced = this.#checkpoints?.announced
    this.#store = new SegmentStore({ dir, clock, newId, limits: this.#limits, files, checkpoints: announced })
    this.#queue = new RecordQueue(this.#limits.queueRecords, this.#limits.queueBytes)
    this.#finished = this.#run()
  }

  append(entry: AuditEntry): Promise<Result<Receipt, AuditFailure>> {
    return this.#keep(entry)
  }

  async #keep(entry: AnyEntry): Promise<Result<Receipt, AuditFailure>> {
    const down = this.#refusal()
    if (down !== null) return fail(down)
    const members = encodeEntry(entry, this.#limits)
    const full = this.#queue.refusal(members)
    if (full !== null) return fail(full)
    const { promise, resolve } = Promise.withResolvers<Result<Receipt, AuditFailure>>()
    const timer = setTimeout(() => this.#overdue(), this.#limits.deadlineMs)
    this.#queue.push({
      members,
      settle: (result) => {
        clearTimeout(timer)
        resolve(result)
      },
    })
    return promise
  }

  note(entry: OutcomeEntry): void {
    if (this.#sealing || this.#state === 'failed') {
      this.#lost++
      return
    }
    const members = encodeEntry(entry, this.#limits)
    if (this.#queue.refusal(members) === null) this.#queue.push({ members, settle: null })
    else this.#lost++
  }

  status(): AuditStatus {
    return {
      state: this.#state !== 'sealed' && this.#stalled !== null ? 'failed' : this.#state,
      file: this.#segment?.file ?? null,
      queued: this.#queue.length,
      ...(this.#lastFailure === null ? {} : { lastFailure: this.#lastFailure }),
      commits: this.#commits,
      records: this.#records,
      lost: this.#lost,
      ...(this.#checkpoints === null ? {} : { checkpoints: this.#checkpoints.status() }),
    }
  }

  async seal(): Promise<void> {
    this.#sealing = true
    this.#sealAsked.resolve()
    this.#queue.wake()
    const late = new AbortController()
    const deadline = delay(this.#limits.deadlineMs, undefined, { signal: late.signal }).catch(() => null)
    await Promise.race([this.#finished, deadline])
    late.abort()
  }

  async #run(): Promise<void> {
    do {
      // Unreferenced: waiting for a retry is no reason to keep the process alive.
      const pause = delay(this.#limits.retryMs, undefined, { ref: false })
      await this.#serveOneSegment()
      await Promise.race([pause, this.#sealAsked.promise])
    } while (!this.#sealing)
    await this.#checkpoints?.finish()
    await this.#store.release()
    await this.#checkpoints?.copied()
  }

  async #serveOneSegment(): Promise<void> {
    const opened = await this.#store.open()
    if (!opened.ok) {
      this.#giveUp(opened.error)
      return
    }
    this.#segment = opened.value
    this.#state = 'open'
    this.#committed(1)
    this.#checkpoints?.begin(opened.value)
    const failure = await this.#commitUntilSealed(opened.value)
    this.#segment = null
    if (failure === null) {
      this.#state = 'sealed'
      await opened.value.close()
      return
    }
    this.#checkpoints?.leave()
    this.#giveUp(failure)
    await this.#store.abandon(opened.value, failure)
  }

  async #commitUntilSealed(segment: Segment): Promise<AuditFailure | null> {
    const since = this.#records
    for (;;) {
      this.#inFlight = this.#queue.take()
      if (this.#inFlight.length === 0) {
        if (this.#sealing) return await this.#writeSeal(segment, this.#records - since + 1)
        await this.#queue.arrival()
        continue
      }
      const written = await segment.append(this.#inFlight.map(({ members }) => members))
      if (!written.ok) return written.error
      this.#committed(this.#inFlight.length)
      for (const [index, receipt] of written.value.entries()) this.#inFlight[index]?.settle?.(ok(receipt))
    }
  }

  async #writeSeal(segment: Segment, records: number): Promise<AuditFailure | null> {
    const change = (await this.#checkpoints?.beforeSeal()) ?? null
    const before: AnyEntry[] = change === null ? [] : [change]
    const sealed: AnyEntry = { kind: 'log.sealed', records: records + before.length, lost: this.#lost }
    const entries = [...before, sealed]
    const written = await segment.append(entries.map((entry) => encodeEntry(entry, this.#limits)))
    if (!written.ok) return written.error
    this.#committed(entries.length)
    return null
  }

  #committed(records: number): void {
    this.#stalled = null
    this.#commits++
    this.#records += records
  }

  /** Why an append cannot even wait. */
  #refusal(): AuditFailure | null {
    if (this.#sealing) return { code: 'sealed', reason: 'the audit log is closed', remedy: 'start the gateway again' }
    return this.#stalled ?? (this.#state === 'failed' ? this.#lastFailure : null)
  }

  /** A record waited too long. All that wait with it are failed: the caller's patience is over, the disk's answer is not in. */
  #overdue(): void {
    const reason = `the volume of ${this.#dir} did not confirm an audit record within ${this.#limits.deadlineMs} ms`
    this.#stalled = { code: 'deadline', reason, remedy: 'check the volume: it hangs, or is too slow for this load' }
    this.#remember(this.#stalled)
    for (const pending of this.#inFlight) pending.settle?.(fail(this.#stalled))
    this.#queue.failWaiters(this.#stalled)
  }

  /** No segment any more: nothing that waits, written or not, is known to be kept. */
  #giveUp(failure: AuditFailure): void {
    this.#state = 'failed'
    this.#stalled = null
    this.#remember(failure)
    for (const pending of [...this.#inFlight, ...this.#queue.take()]) {
      if (pending.settle === null) this.#lost++
      else pending.settle(fail(failure))
    }
    this.#inFlight = []
  }

  #remember(failure: AuditFailure): void {
    this.#lastFailure = { ...failure, at: this.#clock().toISOString() }
  }
}
