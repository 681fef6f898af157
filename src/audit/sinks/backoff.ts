/** Waits that double with each failure in a row, with jitter so that many gateways do not come back in one moment. */
export class Backoff {
  readonly #first: number
  readonly #cap: number
  readonly #random: () => number
  #failures = 0

  constructor(first: number, cap: number, random: () => number = Math.random) {
    this.#first = first
    this.#cap = cap
    this.#random = random
  }

  get failures(): number {
    return this.#failures
  }

  reset(): void {
    this.#failures = 0
  }

  /** How long to wait after one more failure: between half of the full time and all of it. */
  next(): number {
    // The exponent is bounded: 2 ** 1024 is infinite.
    const full = Math.min(this.#cap, this.#first * 2 ** Math.min(this.#failures, 30))
    this.#failures++
    return full * (0.5 + this.#random() / 2)
  }
}
