import type { Segment } from './segment.ts'

/** When the live segment gives way to a new one. */
export interface RotationOptions {
  /** Larger than this. */
  readonly bytes: number
  /** Older than this, in milliseconds. */
  readonly ms: number
}

// setTimeout takes no longer one.
const longestTimer = 2 ** 31 - 1

/** Tells when a segment is large or old enough. Its age is that of this process's own clock, which nobody sets back. */
export class Rotation {
  readonly #options: RotationOptions | null
  readonly #wake: () => void
  #since = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: RotationOptions | null, wake: () => void) {
    this.#options = options
    this.#wake = wake
  }

  /** A segment is written from now on. When it is old enough, `wake` is called: nothing else may happen until then. */
  begin(): void {
    this.stop()
    if (this.#options === null) return
    this.#since = performance.now()
    this.#wait(this.#options.ms)
  }

  /** A timer counts from the beginning of the turn it is set in, and so can be early. */
  #wait(ms: number): void {
    const left = (): number => this.#since + ms - performance.now()
    const look = (): void => (left() < 0 ? this.#wake() : this.#wait(ms))
    this.#timer = setTimeout(look, Math.min(Math.max(left(), 0) + 1, longestTimer)).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  /** Never, for a segment with its first record only: an idle gateway would make a file each time. */
  isDue(segment: Segment): boolean {
    if (this.#options === null || segment.lines < 2) return false
    const { bytes, ms } = this.#options
    return segment.bytes > bytes || performance.now() - this.#since > ms
  }
}
