import type { Answer, Receiver, Rejected, TailRecord } from './sink.ts'

type Failed = Extract<Answer, { is: 'failed' }>

/** How far some records came. */
export interface Delivered {
  /** How many of them, from the first on, are taken or rejected for good. */
  readonly settled: number
  readonly rejected: readonly Rejected[]
  /** Why the rest has to wait. */
  readonly failed: Failed | null
}

/** Makes one call to a receiver, within a time. */
export type Call = (ask: (signal: AbortSignal) => Promise<Answer>) => Promise<Answer>
type Ask = (part: readonly TailRecord[]) => Promise<Answer>

interface Suspect {
  readonly record: TailRecord
  readonly because: string
}

/**
 * Hands records over. Where a receiver refuses some, they are halved until single ones are found. Such a record is given up
 * only when the receiver, asked after that, takes another one and refuses this one again: a receiver that refuses everything,
 * as with a wrong address, is not a reason to give up everything, nor is the moment in which that ends.
 */
export class Delivery {
  readonly #receiver: Receiver
  readonly #patience: number
  /** A record that the receiver has. */
  #had: TailRecord | null = null

  constructor(receiver: Receiver, patience: number) {
    this.#receiver = receiver
    this.#patience = patience
  }

  /** The receiver has this record from an earlier time. */
  remember(record: TailRecord): void {
    this.#had ??= record
  }

  /** Never rejects. `call` bounds each call to the receiver. */
  async send(records: readonly TailRecord[], call: Call): Promise<Delivered> {
    return await this.#send(records, (part) => call((signal) => this.#receiver.send(part, signal)))
  }

  async #send(records: readonly TailRecord[], ask: Ask): Promise<Delivered> {
    const rejected: Rejected[] = []
    const suspects: Suspect[] = []
    const parts = [records]
    let settled = 0
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      const answer = await ask(part)
      if (answer.is === 'failed') return { settled, rejected, failed: answer }
      const [record] = part
      if (answer.is === 'refused' && part.length > 1) {
        const half = Math.ceil(part.length / 2)
        parts.push(part.slice(half), part.slice(0, half))
        continue
      }
      if (answer.is === 'taken') this.#had = part.at(-1) ?? this.#had
      else if (record !== undefined) suspects.push({ record, because: answer.because })
      // As long as it is not known to take anything, the ones behind may show that it does.
      if (this.#had === null && suspects.length < this.#patience && parts.length > 0) continue
      for (const suspect of suspects.splice(0)) {
        const verdict = await this.#judge(suspect, ask)
        if (verdict.is === 'failed') return { settled, rejected, failed: verdict }
        settled++
        rejected.push(...(verdict.is === 'taken' ? verdict.rejected : [givenUp(suspect)]))
      }
      if (answer.is !== 'taken') continue
      settled += part.length
      rejected.push(...answer.rejected)
    }
    return { settled, rejected, failed: null }
  }

  /** Is it the record, or the receiver? Asked with a record that it has already, so that the order stays. */
  async #judge({ record, because }: Suspect, ask: Ask): Promise<Answer> {
    const probe = this.#had === null ? null : await ask([this.#had])
    if (probe?.is === 'failed') return probe
    if (probe?.is !== 'taken') return { is: 'failed', because: `it refuses every record: ${because}` }
    const answer = await ask([record])
    if (answer.is === 'taken') this.#had = record
    return answer
  }
}

const givenUp = ({ record: { seq }, because }: Suspect): Rejected => ({ from: seq, to: seq, count: 1, because })
