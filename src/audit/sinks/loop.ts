import { setTimeout as delay } from 'node:timers/promises'
import type { Files } from '../files.ts'
import type { SinkFailedEntry, SinkResumedEntry } from '../record.ts'
import { Backoff } from './backoff.ts'
import { CursorFile, type Cursor } from './cursor.ts'
import { Delivery, type Call } from './deliver.ts'
import { RefusedFile, type RefusedLine } from './refused.ts'
import type { Answer, Missed, Receiver, Rejected, SinkLimits, SinkOptions, SinkStatus, TailRecord } from './sink.ts'
import { DurableTail, type DurableEnd } from './tail.ts'
import { Waiting } from './waiting.ts'

/** What all sinks of a log share. */
export interface SinkParts {
  readonly dir: string
  readonly files: Files
  readonly clock: () => Date
  readonly durable: () => DurableEnd | null
  /** Keeps a record of what happens to a sink. */
  readonly record: (entry: SinkFailedEntry | SinkResumedEntry) => Promise<unknown>
  /** Called when a status changes for the worse or the better. */
  readonly told: (status: SinkStatus) => void
  readonly limits: SinkLimits
}

/** Hands the record over to one receiver, in order, for as long as it runs. Never blocks anybody who does not ask it to. */
export class SinkLoop {
  readonly waiting: Waiting
  readonly options: SinkOptions
  readonly #parts: SinkParts
  readonly #receiver: Receiver
  readonly #delivery: Delivery
  readonly #cursor: CursorFile
  readonly #refusedFile: RefusedFile
  readonly #backoff: Backoff
  readonly #halt = new AbortController()
  readonly #finished: Promise<void>
  readonly #stopAsked = Promise.withResolvers<void>()
  #stopping = false
  #wake = Promise.withResolvers<void>()
  #state: SinkStatus['state'] = 'starting'
  #because: string | null = null
  #problem: string | null = null
  #position: Cursor | null = null
  #head: TailRecord | null = null
  #taken = 0
  #refused = 0
  #missed: readonly Missed[] = []
  /** Lines that are no records, not yet told of. */
  #damaged: RefusedLine[] = []
  #failingSince = 0
  /** Does the log have a record of the failure, and none of its end? */
  #recorded = false
  #cursorDue: number | null = null

  constructor(options: SinkOptions, receiver: Receiver, parts: SinkParts) {
    const { dir, files, limits } = parts
    this.options = options
    this.#parts = parts
    this.#receiver = receiver
    this.#delivery = new Delivery(receiver, limits.patience)
    this.#cursor = new CursorFile(files, dir, options.name)
    this.#refusedFile = new RefusedFile(files, dir, options.name)
    this.#backoff = new Backoff(limits.retryMs, options.required ? limits.requiredRetryCapMs : limits.retryCapMs)
    this.waiting = new Waiting(options.name, limits.deadlineMs)
    this.#finished = this.#run()
  }

  status(): SinkStatus {
    const { name, required, to } = this.options
    const durable = this.#parts.durable()
    const age = this.#head === null ? 0 : this.#parts.clock().getTime() - Date.parse(this.#head.ts)
    return {
      name,
      kind: to.kind,
      required,
      state: this.#state,
      because: this.#because,
      problem: this.#problem,
      seq: this.#position?.seq ?? null,
      lagRecords: durable === null ? 0 : Math.max(0, durable.seq - (this.#position?.seq ?? -1)),
      lagSeconds: Math.max(0, age / 1_000),
      taken: this.#taken,
      refused: this.#refused,
      missed: this.#missed,
    }
  }

  /** There may be new records. */
  wake(): void {
    this.#wake.resolve()
  }

  /** Hands over what it can within a bounded time, and keeps the cursor. Never rejects. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#stopAsked.resolve()
    const { stopMs } = this.#parts.limits
    const timer = setTimeout(() => this.#halt.abort(), stopMs)
    // A disk that hangs must not keep the gateway from ending.
    await Promise.race([this.#finished, delay(2 * stopMs, undefined, { ref: false })])
    clearTimeout(timer)
  }

  async #run(): Promise<void> {
    let tail: DurableTail | null = null
    while (!this.#halt.signal.aborted) {
      // What was written before a stop was asked for is looked for once more.
      const isLast = this.#stopping
      let pause: number | null
      try {
        tail ??= await this.#begin()
        if (isLast) await tail.finish()
        pause = await this.#round(tail)
      } catch (error) {
        pause = this.#fails({
          because: `on the gateway's side: ${error instanceof Error ? error.message : String(error)}`,
        })
      }
      if (pause === null) continue
      if (isLast) break
      await this.#sleep(pause)
    }
    this.#state = 'stopped'
    this.waiting.down('the gateway stops')
    await this.#keepCursor(true)
    await Promise.allSettled([tail?.close(), this.#receiver.close()])
  }

  async #begin(): Promise<DurableTail> {
    const { dir, files, durable, clock } = this.#parts
    const { cursor, damaged } = await this.#cursor.read()
    if (damaged) this.#says('its cursor is damaged: it gets everything again')
    this.#position = cursor
    return new DurableTail({
      dir,
      files,
      durable,
      from: cursor,
      missed: (missed) => this.#misses(missed),
      damaged: (file, before) => {
        const because = `the line that ends at byte ${before} is no record`
        const at = clock().toISOString()
        this.#damaged.push({ at, log: null, file, from: null, to: null, count: 1, because })
      },
    })
  }

  /** Hands one batch over. Answers how long to wait then; `null`: there is more to do. */
  async #round(tail: DurableTail): Promise<number | null> {
    const { batchRecords, batchBytes, pollMs } = this.#parts.limits
    // Before it is looked for records: a wake that comes while it is looked is not lost.
    this.#wake = Promise.withResolvers<void>()
    await tail.fill(batchRecords, batchBytes)
    if (tail.before !== null) this.#delivery.remember(tail.before)
    await this.#setAside(this.#damaged)
    this.#damaged = []
    const batch = tail.batch(batchRecords, batchBytes)
    this.#head = batch[0] ?? null
    await this.#keepCursor(false)
    if (batch.length === 0) {
      // It has everything: what failed was the reading.
      if (this.#state === 'failing') this.#recovers(this.#position?.seq ?? 0)
      return pollMs
    }
    const { settled, rejected, failed } = await this.#delivery.send(batch, this.#call)
    await this.#setAside(rejected.map((one) => this.#lineOf(one, batch)))
    tail.drop(settled)
    this.#advance(batch.slice(0, settled), rejected)
    this.#head = batch[settled] ?? null
    return failed === null ? null : this.#fails(failed)
  }

  readonly #call: Call = async (ask) => {
    const call = new AbortController()
    const { callMs } = this.#parts.limits
    const { promise: over, resolve } = Promise.withResolvers<Answer>()
    const end = (because: string): void => {
      call.abort()
      resolve({ is: 'failed', because })
    }
    const halt = (): void => end('the gateway stops')
    const timer = setTimeout(() => end(`it did not answer within ${callMs} ms`), callMs)
    this.#halt.signal.addEventListener('abort', halt)
    try {
      return await Promise.race([ask(call.signal), over])
    } finally {
      clearTimeout(timer)
      this.#halt.signal.removeEventListener('abort', halt)
    }
  }

  #advance(settled: readonly TailRecord[], rejected: readonly Rejected[]): void {
    const last = settled.at(-1)
    if (last === undefined) return
    const lost = rejected.reduce((sum, { count }) => sum + count, 0)
    this.#taken += Math.max(0, settled.length - lost)
    this.#position = { log: last.log, file: last.file, seq: last.seq }
    this.#cursorDue ??= performance.now() + this.#parts.limits.cursorMs
    this.waiting.reached(last, rejected)
    if (lost > 0) this.#says(`it refused records: see sinks/${this.options.name}.refused`)
    this.#recovers(last.seq)
  }

  #recovers(seq: number): void {
    this.#backoff.reset()
    this.waiting.up()
    if (this.#recorded) this.#keep({ kind: 'sink.resumed', sink: this.options.name, seq })
    this.#recorded = false
    const changed = this.#state !== 'up'
    ;[this.#state, this.#because] = ['up', null]
    if (changed) this.#parts.told(this.status())
  }

  /** Answers how long to wait. */
  #fails({ because, retryAfterMs = 0 }: { readonly because: string; readonly retryAfterMs?: number }): number {
    const { limits, told } = this.#parts
    const pause = Math.max(this.#backoff.next(), Math.min(retryAfterMs, limits.retryAfterCapMs))
    if (this.#state !== 'failing') this.#failingSince = performance.now()
    const changed = this.#state !== 'failing' || this.#because !== because
    ;[this.#state, this.#because] = ['failing', because]
    if (performance.now() - this.#failingSince >= limits.deadlineMs) this.waiting.down(because)
    if (changed) told(this.status())
    if (this.#backoff.failures >= limits.failuresToRecord && !this.#recorded) this.#recordFailure(because)
    return pause
  }

  #misses(missed: Missed): void {
    const because = `records ${missed.from} to ${missed.to} were deleted before it had them`
    this.#missed = [...this.#missed, missed]
    this.#says(because)
    this.#recordFailure(because)
  }

  #recordFailure(because: string): void {
    this.#recorded = true
    this.#keep({ kind: 'sink.failed', sink: this.options.name, because, seq: this.#position?.seq ?? null })
  }

  #keep(entry: SinkFailedEntry | SinkResumedEntry): void {
    // Nobody waits for it: a log that hangs must not stop its sinks.
    this.#parts.record(entry).catch(() => undefined)
  }

  #says(problem: string): void {
    if (this.#problem === problem) return
    this.#problem = problem
    this.#parts.told(this.status())
  }

  async #setAside(lines: readonly RefusedLine[]): Promise<void> {
    await this.#refusedFile.add(lines)
    this.#refused += lines.reduce((sum, { count }) => sum + count, 0)
  }

  #lineOf(rejected: Rejected, batch: readonly TailRecord[]): RefusedLine {
    const { log = null, file = '' } = batch.find(({ seq }) => seq === rejected.from) ?? {}
    return { at: this.#parts.clock().toISOString(), log, file, ...rejected }
  }

  /** Keeps the position, not more often than it is due: each time costs a sync of the disk that the log itself needs. */
  async #keepCursor(now: boolean): Promise<void> {
    if (this.#position === null || this.#cursorDue === null) return
    if (!now && performance.now() < this.#cursorDue) return
    try {
      await this.#cursor.write(this.#position)
      this.#cursorDue = null
    } catch (error) {
      this.#cursorDue = performance.now() + this.#parts.limits.cursorMs
      this.#says(`its cursor cannot be written: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  async #sleep(pause: number): Promise<void> {
    const awake = [this.#stopAsked.promise, ...(this.#state === 'failing' ? [] : [this.#wake.promise])]
    const slept = new AbortController()
    const signal = AbortSignal.any([slept.signal, this.#halt.signal])
    await Promise.race([delay(pause, undefined, { ref: false, signal }).catch(() => undefined), ...awake])
    slept.abort()
  }
}
