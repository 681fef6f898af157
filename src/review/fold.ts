import type { Place } from './cursor.ts'
import { reviewLimits } from './limits.ts'

/** A record as far as folding looks at it. */
export interface Foldable {
  readonly place: Place
  /** The same for records that may be folded; null: never. */
  readonly key: string | null
}

/** A record that stands for itself and its repetitions. */
export interface Folded<T extends Foldable> {
  /** The first of them. */
  readonly first: T
  readonly repeats: number
}

interface Chain<T> {
  first: T
  repeats: number
}

/**
 * Folds a client's repetitions while records come newest first: a record that asks the same as one at most two seconds
 * before it is a repetition of that one. A row stands where the first of them does, so later ones never move it.
 */
export class Folding<T extends Foldable> {
  readonly #open = new Map<string, Chain<T>>()
  readonly #done: Folded<T>[] = []

  /** Continues chains whose newer records are on a page before: by key, how many, and when the oldest of them was. */
  readonly #before: ReadonlyMap<string, { readonly at: number; readonly count: number }>

  constructor(before: ReadonlyMap<string, { readonly at: number; readonly count: number }> = new Map()) {
    this.#before = before
  }

  add(record: T): void {
    const { key, place } = record
    if (key === null) {
      this.#done.push({ first: record, repeats: 1 })
      return
    }
    const chain = this.#open.get(key)
    if (chain !== undefined && chain.first.place.at - place.at <= reviewLimits.foldMs) {
      chain.first = record
      chain.repeats++
      return
    }
    if (chain !== undefined) this.#done.push({ ...chain })
    const before = chain === undefined ? this.#before.get(key) : undefined
    const joins = before !== undefined && before.at - place.at <= reviewLimits.foldMs
    this.#open.set(key, { first: record, repeats: joins ? before.count + 1 : 1 })
  }

  /** Those that no record from this time on, or earlier, can add to: `-Infinity` where there are no more records. */
  settled(at: number): readonly Folded<T>[] {
    const horizon = at + reviewLimits.foldMs
    for (const [key, chain] of this.#open) {
      if (chain.first.place.at <= horizon) continue
      this.#done.push({ ...chain })
      this.#open.delete(key)
    }
    return this.#done.filter(({ first }) => first.place.at > horizon)
  }
}
