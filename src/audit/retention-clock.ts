import { errorCode } from './failure.ts'
import type { Files } from './files.ts'
import { dropFile, placeFile } from './hold.ts'
import { DamagedFile } from './packed.ts'
import { LineSource, sizesOf } from './read-segments.ts'
import { segmentBoot } from './segment-names.ts'
import { readSmall } from './tombstone.ts'

/** The clock went on by more than anybody saw pass. Milliseconds since 1970. */
interface Leap {
  readonly from: number
  readonly to: number
}

/** Where a leap is remembered over restarts, in the directory of the log. */
export const leapFile = 'retention.leap'

const hour = 3_600_000
/** How far the clock may go on unseen: a gateway may be off for a day. */
export const unseenMs = 24 * hour
/** For how long nothing is deleted by age after a leap: so long people have to notice it. */
export const patienceMs = 7 * 24 * hour

const tsPattern = /^\{"v":\d+,"seq":\d+,"ts":"([^"]{1,40})"/

/**
 * Whether the clock can be believed when it says that records are old. A clock that leaps forward makes all of them old at
 * once, and stamps the next ones with its own time. So what counts is time that somebody saw pass: the process by its
 * monotonic clock, and, over restarts, the log by the times of its records.
 */
export class LeapWatch {
  readonly #files: Files
  readonly #dir: string
  #seen: { readonly wall: number; readonly up: number } | null = null
  #leap: Leap | null = null

  constructor(files: Files, dir: string) {
    this.#files = files
    this.#dir = dir
  }

  /** Why nothing may be deleted by age now, or `null`. `names` are the segments up to the live one. Rejects on a failing disk. */
  async look(now: number, up: number, names: readonly string[]): Promise<string | null> {
    const seen = this.#seen
    const before = this.#leap
    if (seen === null) this.#leap = (await this.#leapInLog(names)) ?? (await this.#remembered(now))
    else if (now - seen.wall - (up - seen.up) > unseenMs) this.#leap = { from: seen.wall, to: now }
    this.#seen = { wall: now, up }
    const leap = this.#leap
    const isOver = leap !== null && (now < leap.to - unseenMs || now >= leap.to + patienceMs)
    if (isOver) this.#leap = null
    if (this.#leap !== before || isOver) await this.#remember()
    if (this.#leap === null) return null
    const [from, to, until] = [this.#leap.from, this.#leap.to, this.#leap.to + patienceMs].map(text)
    return `the clock went from ${from} to ${to} unseen: nothing is deleted by age before ${until}; check the clock`
  }

  async #remember(): Promise<void> {
    if (this.#leap === null) await dropFile(this.#files, this.#dir, leapFile)
    else await placeFile(this.#files, this.#dir, leapFile, `${JSON.stringify(this.#leap)}\n`)
  }

  async #remembered(now: number): Promise<Leap | null> {
    try {
      const { from, to }: Partial<Record<string, unknown>> = Object(
        JSON.parse(await readSmall(this.#files, this.#dir, leapFile, 1024)),
      )
      if (typeof from === 'number' && typeof to === 'number') return { from, to }
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null
    }
    // Somebody wrote something there: the safe meaning is that it has just been.
    return { from: now, to: now }
  }

  /** Between the records of the process before, and up to the first one of this process: the newest leap. */
  async #leapInLog(names: readonly string[]): Promise<Leap | null> {
    const mine = segmentBoot(names.at(-1) ?? '')
    const before = names.findLastIndex((name) => segmentBoot(name) !== mine)
    let [last, leap]: [number | null, Leap | null] = [null, null]
    for (const name of names.slice(Math.max(0, before))) {
      for await (const time of timesIn(this.#files, this.#dir, name)) {
        if (last !== null && time - last > unseenMs) leap = { from: last, to: time }
        last = time
      }
    }
    return leap
  }
}

async function* timesIn(files: Files, dir: string, name: string): AsyncGenerator<number> {
  const [readable] = await sizesOf(files, dir, [name])
  if (readable === undefined) return
  try {
    const lines = await LineSource.open(files, readable)
    try {
      for (let line = await lines.next(); line?.form === 'whole'; line = lines.take() ?? (await lines.next())) {
        const time = Date.parse(tsPattern.exec(line.bytes.subarray(0, 120).toString('latin1'))?.[1] ?? '')
        if (!Number.isNaN(time)) yield time
      }
    } finally {
      await lines.close()
    }
  } catch (error) {
    // `verify` names it; a segment that cannot be read is not deleted either.
    if (!(error instanceof DamagedFile)) throw error
  }
}

const text = (time: number): string => (Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : 'nowhere')
