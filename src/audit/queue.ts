import { fail, type Result } from '../result.ts'
import type { AuditFailure } from './failure.ts'
import type { Receipt } from './segment.ts'

/** A record on its way to the disk, and who waits for it. */
export interface Pending {
  /** The record as `encodeEntry` made it. */
  readonly members: string
  /** Answers the caller of `append`; `null` for a note, which nobody waits for. Calls after the first do nothing. */
  readonly settle: ((result: Result<Receipt, AuditFailure>) => void) | null
}

/** Records in the order they came, at most so many and so many bytes. */
export class RecordQueue {
  readonly #maxRecords: number
  readonly #maxBytes: number
  #waiting: Pending[] = []
  // Counted in UTF-16 units: a bound against a pile-up, not an exact account.
  #bytes = 0
  #arrival: PromiseWithResolvers<void> | null = null

  constructor(maxRecords: number, maxBytes: number) {
    this.#maxRecords = maxRecords
    this.#maxBytes = maxBytes
  }

  get length(): number {
    return this.#waiting.length
  }

  /** Why nothing more fits, or `null`. */
  refusal(members: string): AuditFailure | null {
    if (this.#waiting.length < this.#maxRecords && this.#bytes + members.length <= this.#maxBytes) return null
    const reason = `${this.#waiting.length} audit records (${this.#bytes} bytes) wait for the disk already`
    return {
      code: 'full',
      reason,
      remedy: 'use a faster volume for the audit directory, or send fewer queries at once',
    }
  }

  push(pending: Pending): void {
    this.#waiting.push(pending)
    this.#bytes += pending.members.length
    this.wake()
  }

  /** Takes all there is. */
  take(): readonly Pending[] {
    const taken = this.#waiting
    this.#waiting = []
    this.#bytes = 0
    return taken
  }

  /** Fails and removes those somebody waits for: they were never written. Notes stay. */
  failWaiters(failure: AuditFailure): void {
    const all = this.take()
    for (const pending of all) {
      if (pending.settle === null) this.push(pending)
      else pending.settle(fail(failure))
    }
  }

  /** Settles at the next `push` or `wake`. */
  async arrival(): Promise<void> {
    this.#arrival ??= Promise.withResolvers<void>()
    await this.#arrival.promise
  }

  wake(): void {
    this.#arrival?.resolve()
    this.#arrival = null
  }
}
