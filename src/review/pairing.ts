import type { OutcomeRow, RecordRow } from './columns.ts'
import { reviewLimits } from './limits.ts'

interface Waiting {
  readonly row: RecordRow
  readonly ts: number
}

/** Joins records with the outcomes that follow them: an outcome comes soon, or much later, in another stretch. */
export class Pairing {
  readonly #write: (row: object, ts: number) => void
  readonly #left: (outcome: OutcomeRow) => void
  readonly #waiting = new Map<string, Waiting[]>()

  /** @param left told of outcomes whose records are not waiting any more, or never were here */
  constructor(write: (row: object, ts: number) => void, left: (outcome: OutcomeRow) => void) {
    this.#write = write
    this.#left = left
  }

  record(row: RecordRow, ts: number): void {
    if (row.request === undefined) return this.#write(row, ts)
    const same = this.#waiting.get(row.request)
    if (same === undefined) this.#waiting.set(row.request, [{ row, ts }])
    else same.push({ row, ts })
    if (this.#waiting.size > reviewLimits.pairing) {
      const [oldest] = this.#waiting.keys()
      if (oldest !== undefined) this.#release(oldest, {})
    }
  }

  outcome(outcome: OutcomeRow): void {
    if (!this.#waiting.has(outcome.request)) return this.#left(outcome)
    this.#release(outcome.request, outcome)
  }

  /** What still waits goes without. */
  end(): void {
    for (const request of this.#waiting.keys()) this.#release(request, {})
  }

  #release(request: string, outcome: object): void {
    for (const { row, ts } of this.#waiting.get(request) ?? []) this.#write({ ...row, ...outcome }, ts)
    this.#waiting.delete(request)
  }
}
