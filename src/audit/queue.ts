import { fail, ok, type Result } from '../result.ts'
import type { AuditFailure } from './failure.ts'
import type { Receipt } from './segment.ts'

/** A record on its way to the disk, and who waits for it. */
export interface Pending {
  /** The record as `encodeEntry` made it. */
  readonly members: string
  /** Answers the caller of `append`; `null` for a note, which nobody waits for. Calls after the first do nothing. */
  readonly settle: ((result: Result<Receipt, AuditFailure>) => void) | null
  /** Says it that nothing was shown? Then it may take the last room, and gets a second try. */
  readonly refusal: boolean
  /** Was it in a segment that failed? */
  readonly again?: boolean
}

/** Records in the order they came, at most so many and so many bytes, until they are on stable storage or given up. */
export class RecordQueue {
  readonly #maxRecords: number
  readonly #maxBytes: number
  #inFlight: readonly Pending[] = []
  #waiting: Pending[] = []
  // Counted in UTF-16 units: a bound against a pile-up, not an exact account.
  #bytes = 0
  #lost = 0
  #arrival: PromiseWithResolvers<void> | null = null

  constructor(maxRecords: number, maxBytes: number) {
    this.#maxRecords = maxRecords
    this.#maxBytes = maxBytes
  }

  /** How many wait, beside those in flight. */
  get length(): number {
    return this.#waiting.length
  }

  /** Notes that were given up. */
  get lost(): number {
    return this.#lost
  }

  /** Counts a note that was not even taken. */
  lose(): void {
    this.#lost++
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

  /** Takes all there is: they are in flight until the next call of this, `carry` or `giveUp`. */
  take(): readonly Pending[] {
    this.#inFlight = this.#waiting
    this.#waiting = []
    this.#bytes = 0
    return this.#inFlight
  }

  /** Those in flight are on stable storage. */
  confirm(receipts: readonly Receipt[]): void {
    for (const [index, receipt] of receipts.entries()) this.#inFlight[index]?.settle?.(ok(receipt))
  }

  /** The callers' patience is over, the disk's answer is not in. Removes those that were never written; notes stay. */
  overdue(failure: AuditFailure): void {
    for (const pending of this.#inFlight) pending.settle?.(fail(failure))
    const waiting = this.#waiting
    this.#waiting = []
    this.#bytes = 0
    for (const pending of waiting) {
      if (pending.settle === null) this.push(pending)
      else pending.settle(fail(failure))
    }
  }

  /** No segment any more: nothing that waits, written or not, is known to be kept. */
  giveUp(failure: AuditFailure): void {
    for (const pending of this.#takeAll()) this.#fail(pending, failure)
  }

  /** The same, but what shows nothing is written once more, to the next segment: it may then stand in both. */
  carry(failure: AuditFailure): void {
    for (const pending of this.#takeAll()) {
      if (pending.refusal && pending.again !== true) this.push({ ...pending, again: true })
      else this.#fail(pending, failure)
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

  #takeAll(): readonly Pending[] {
    const inFlight = this.#inFlight
    const all = [...inFlight, ...this.take()]
    this.#inFlight = []
    return all
  }

  #fail(pending: Pending, failure: AuditFailure): void {
    if (pending.settle === null) this.#lost++
    else pending.settle(fail(failure))
  }
}
