import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fail, ok, type Result } from '../result.ts'
import { Checkpointer } from './checkpointer.ts'
import { CommitLoop } from './commit-loop.ts'
import { DiskWatch } from './disk.ts'
import type { AuditFailure } from './failure.ts'
import { nodeFiles } from './files.ts'
import { auditLimits, type AuditLimits } from './limits.ts'
import { encodeEntry } from './line.ts'
import type { AuditLog, AuditLogOptions, AuditMode, AuditStatus, Durable } from './log.ts'
import { RecordQueue } from './queue.ts'
import type { AnyEntry, AuditEntry, DiskWatermarkEntry, OutcomeEntry } from './record.ts'
import { Rotation } from './rotation.ts'
import type { Receipt } from './segment.ts'
import { SegmentStore } from './store.ts'

/** The side of the log that callers see: what is taken, how long anybody waits for it, and what they are told. */
export class GroupCommitLog implements AuditLog {
  readonly #dir: string
  readonly #clock: () => Date
  readonly #mode: AuditMode
  readonly #limits: AuditLimits
  readonly #queue: RecordQueue
  readonly #disk: DiskWatch
  readonly #checkpoints: Checkpointer | null
  readonly #loop: CommitLoop
  readonly #told: () => void
  readonly #finished: Promise<void>
  /** A deadline that passed, and while which call to the disk. */
  #stall: { readonly failure: AuditFailure; readonly turns: number } | null = null
  #lastFailure: (AuditFailure & { readonly at: string }) | null = null
  #unrecorded = 0

  constructor(options: AuditLogOptions) {
    const { dir, clock, newId, files = nodeFiles, mode = 'required', told = () => {} } = options
    this.#dir = dir
    this.#clock = clock
    this.#mode = mode
    this.#told = told
    const limits = { ...auditLimits, ...options.limits }
    this.#limits = limits
    this.#queue = new RecordQueue(limits.queueRecords, limits.queueBytes)
    const wake = (): void => this.#queue.wake()
    this.#disk = new DiskWatch({
      dir: resolve(dir),
      files,
      options: options.disk ?? null,
      everyMs: limits.diskEveryMs,
      wake,
      record: (entry) => this.#diskChanged(entry),
    })
    const { checkpoints } = options
    const record = (entry: AnyEntry) => this.#keep(entry, true)
    this.#checkpoints =
      checkpoints === undefined
        ? null
        : new Checkpointer({ dir: resolve(dir), files, clock, options: checkpoints, record, told })
    const said = {
      ...(mode === 'best-effort' ? { mode } : {}),
      ...(this.#checkpoints === null ? {} : { checkpoints: this.#checkpoints.announced }),
    }
    this.#loop = new CommitLoop({
      limits,
      store: new SegmentStore({ dir, clock, newId, limits, files, said }),
      queue: this.#queue,
      disk: this.#disk,
      rotation: new Rotation(options.rotate ?? null, wake),
      checkpoints: this.#checkpoints,
      lost: () => this.#queue.lost + this.#unrecorded,
      failed: (failure) => this.#remember(failure),
    })
    this.#finished = this.#loop.run()
  }

  append(entry: AuditEntry): Promise<Result<Receipt | null, AuditFailure>> {
    return this.#byMode(this.#keep(entry, false))
  }

  appendRefusal(entry: AuditEntry): Promise<Result<Receipt | null, AuditFailure>> {
    return this.#byMode(this.#keep(entry, true))
  }

  note(entry: OutcomeEntry): void {
    this.#note(entry)
  }

  status(): AuditStatus {
    const { state, segment, commits, records } = this.#loop
    const refusing = state !== 'sealed' && (this.#stalled ?? this.#noRoom()) !== null
    return {
      state: refusing ? 'failed' : state,
      mode: this.#mode,
      file: segment?.file ?? null,
      queued: this.#queue.length,
      ...(this.#lastFailure === null ? {} : { lastFailure: this.#lastFailure }),
      commits,
      records,
      lost: this.#queue.lost,
      unrecorded: this.#unrecorded,
      disk: this.#disk.status(),
      ...(this.#checkpoints === null ? {} : { checkpoints: this.#checkpoints.status() }),
    }
  }

  durable(): Durable | null {
    const extent = this.#loop.segment?.extent ?? null
    return extent === null ? null : { file: extent.file, bytes: extent.bytes, seq: extent.seq }
  }

  covered(): number | null {
    return this.#checkpoints?.covered ?? null
  }

  async seal(): Promise<void> {
    this.#loop.seal()
    const late = new AbortController()
    const deadline = delay(this.#limits.deadlineMs, undefined, { signal: late.signal }).catch(() => null)
    await Promise.race([this.#finished, deadline])
    late.abort()
  }

  async #byMode(kept: Promise<Result<Receipt, AuditFailure>>): Promise<Result<Receipt | null, AuditFailure>> {
    const result = await kept
    if (result.ok || this.#mode === 'required') return result
    this.#unrecorded++
    return ok(null)
  }

  async #keep(entry: AnyEntry, refusal: boolean): Promise<Result<Receipt, AuditFailure>> {
    const down = this.#down() ?? (refusal ? null : this.#noRoom())
    if (down !== null) return fail(down)
    const members = encodeEntry(entry, this.#limits)
    const full = this.#queue.refusal(members)
    if (full !== null) return fail(full)
    const { promise, resolve } = Promise.withResolvers<Result<Receipt, AuditFailure>>()
    const timer = setTimeout(() => this.#overdue(), this.#limits.deadlineMs)
    this.#queue.push({
      members,
      refusal,
      settle: (result) => {
        clearTimeout(timer)
        resolve(result)
      },
    })
    return promise
  }

  #note(entry: AnyEntry): void {
    if (this.#loop.isSealing || this.#loop.state === 'failed') return this.#queue.lose()
    const members = encodeEntry(entry, this.#limits)
    if (this.#queue.refusal(members) === null) this.#queue.push({ members, refusal: true, settle: null })
    else this.#queue.lose()
  }

  /** Why no record can even wait. */
  #down(): AuditFailure | null {
    const { isSealing, state } = this.#loop
    if (isSealing) return { code: 'sealed', reason: 'the audit log is closed', remedy: 'start the gateway again' }
    return this.#stalled ?? (state === 'failed' ? this.#lastFailure : null)
  }

  /** Why only refusals are taken. Where answers leave without a record anyhow, one is kept for as long as there is room. */
  #noRoom(): AuditFailure | null {
    return this.#mode === 'required' ? this.#disk.refusal() : this.#disk.exhausted
  }

  get #stalled(): AuditFailure | null {
    return this.#stall?.turns === this.#loop.turns ? this.#stall.failure : null
  }

  /** A record waited too long. All that wait with it are failed: the caller's patience is over, the disk's answer is not in. */
  #overdue(): void {
    const reason = `the volume of ${this.#dir} did not confirm an audit record within ${this.#limits.deadlineMs} ms`
    const remedy = 'check the volume: it hangs, or is too slow for this load'
    const failure: AuditFailure = { code: 'deadline', reason, remedy }
    this.#stall = { failure, turns: this.#loop.turns }
    this.#remember(failure)
    this.#queue.overdue(failure)
  }

  #diskChanged(entry: DiskWatermarkEntry): void {
    const full = this.#disk.refusal()
    if (full !== null) this.#remember(full)
    if (!this.#loop.isSealing) this.#note(entry)
    this.#told()
  }

  #remember(failure: AuditFailure): void {
    this.#lastFailure = { ...failure, at: this.#clock().toISOString() }
  }
}
