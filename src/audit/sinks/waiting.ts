import { fail, ok, type Result } from '../../result.ts'
import type { AuditFailure } from '../failure.ts'
import { segmentOf } from '../read-segments.ts'
import type { Rejected } from './sink.ts'

/** Where a record stands: a receipt of the log is one. */
export interface Standing {
  readonly file: string
  readonly seq: number
}

type Confirmed = Result<void, AuditFailure>

interface Waiter {
  readonly standing: Standing
  readonly settle: (confirmed: Confirmed) => void
}

const remembered = 1_000

/** The decisions that wait until a required sink has their records. */
export class Waiting {
  readonly #name: string
  readonly #deadlineMs: number
  readonly #waiters = new Set<Waiter>()
  #position: Standing | null = null
  #rejected: readonly Rejected[] = []
  /** Set for as long as nothing is worth waiting for. */
  #down: AuditFailure | null = null

  constructor(name: string, deadlineMs: number) {
    this.#name = name
    this.#deadlineMs = deadlineMs
  }

  /** Settles when the sink has the record, or is known not to get it in time. Never rejects. */
  confirmed(standing: Standing, signal?: AbortSignal): Promise<Confirmed> {
    const known = this.#known(standing)
    if (known !== null) return Promise.resolve(known)
    if (this.#down !== null) return Promise.resolve(fail(this.#down))
    const { promise, resolve } = Promise.withResolvers<Confirmed>()
    const late = `the required audit sink ${this.#name} did not confirm a record within ${this.#deadlineMs} ms`
    const timer = setTimeout(() => settle(fail({ code: 'deadline', reason: late, remedy })), this.#deadlineMs)
    const leave = (): void => settle(fail({ code: 'deadline', reason: 'the caller went away', remedy }))
    const settle = (confirmed: Confirmed): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', leave)
      this.#waiters.delete(waiter)
      resolve(confirmed)
    }
    const waiter: Waiter = { standing, settle }
    this.#waiters.add(waiter)
    signal?.addEventListener('abort', leave)
    if (signal?.aborted === true) leave()
    return promise
  }

  /** The sink has everything up to this record, but for the rejected ones. */
  reached(position: Standing, rejected: readonly Rejected[]): void {
    this.#position = position
    if (rejected.length > 0) this.#rejected = [...this.#rejected, ...rejected].slice(-remembered)
    for (const { standing, settle } of this.#waiters) {
      const known = this.#known(standing)
      if (known !== null) settle(known)
    }
  }

  /** It takes records again. */
  up(): void {
    this.#down = null
  }

  /** It takes nothing, and has not for some time: whoever comes now is told at once. */
  down(because: string): void {
    const reason = `the required audit sink ${this.#name} fails: ${because}`
    this.#down = { code: 'deadline', reason, remedy }
    for (const { settle } of this.#waiters) settle(fail(this.#down))
  }

  #known({ file, seq }: Standing): Confirmed | null {
    const position = this.#position
    if (position === null) return null
    // Names sort in the order of creation; numbers alone would not tell this log from an earlier one.
    const [at, wanted] = [segmentOf(position.file), segmentOf(file)]
    if (at < wanted || (at === wanted && position.seq < seq)) return null
    const rejected = this.#rejected.find(({ from, to }) => from <= seq && seq <= to)
    if (rejected === undefined) return ok(undefined)
    const reason = `the required audit sink ${this.#name} refused a record: ${rejected.because}`
    return fail({ code: 'io', reason, remedy: 'look into its .refused file, and mend what receives the records' })
  }
}

const remedy = 'mend the receiver or the way there: docs/audit-sinks.md'
