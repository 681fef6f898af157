import { errorCode } from './failure.ts'
import type { Files } from './files.ts'
import { dropFile, placeFile } from './hold.ts'
import { parseCheckpointsLine } from './checkpoint.ts'
import { LineSource, sizesOf } from './read-segments.ts'
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

/**
 * Whether the clock can be believed when it says that records are old. A clock that leaps forward makes all of them old at
 * once, and stamps the next ones with its own time. So what counts is time that somebody saw pass: the process by its
 * monotonic clock, and, over restarts, the log by its checkpoints, which are made also when nothing happens.
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

  /** Why nothing may be deleted by age now, or `null`. `names` are the checkpoints files. Rejects on a failing disk. */
  async look(now: number, up: number, names: readonly string[]): Promise<string | null> {
    const seen = this.#seen
    const before = this.#leap
    if (seen === null) this.#leap = (await this.#leapInLog(names, now)) ?? (await this.#remembered(now))
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

  /** The newest leap of which the checkpoints tell, or that there is between them and now. */
  async #leapInLog(names: readonly string[], now: number): Promise<Leap | null> {
    let [newest, leap]: [number | null, Leap | null] = [null, null]
    for (const name of names.toReversed()) {
      const found = await leapsIn(this.#files, this.#dir, name)
      if (found === null) continue
      newest ??= found.last
      leap ??= found.leap
      // What is older does not matter any more.
      if (leap !== null || found.first < newest - patienceMs - unseenMs) break
    }
    return newest !== null && now - newest > unseenMs ? { from: newest, to: now } : leap
  }
}

interface Span {
  readonly first: number
  readonly last: number
  /** The newest one. */
  readonly leap: Leap | null
}

/** When the checkpoints of a file were made; `null` where there are none. */
async function leapsIn(files: Files, dir: string, name: string): Promise<Span | null> {
  const [readable] = await sizesOf(files, dir, [name])
  if (readable === undefined) return null
  const lines = await LineSource.open(files, readable)
  let [first, leap]: [number | null, Leap | null] = [null, null]
  let newest: Buffer | null = null
  try {
    for (let line = await lines.next(); line?.form === 'whole'; line = lines.take() ?? (await lines.next())) {
      if (line.bytes.includes('"checkpoint"')) newest = line.bytes
      // A busy day has so many that most of them must not be parsed.
      if (first !== null && !line.bytes.includes('late ')) continue
      const found = timeOf(line.bytes)
      if (found === null) continue
      first ??= found.time
      if (found.late > unseenMs) leap = { from: found.time - found.late, to: found.time }
    }
  } finally {
    await lines.close()
  }
  return first === null ? null : { first, last: timeOf(newest)?.time ?? first, leap }
}

function timeOf(line: Buffer | null): { readonly time: number; readonly late: number } | null {
  const parsed = line === null ? null : parseCheckpointsLine(line.toString('utf8'))
  if (parsed?.kind !== 'checkpoint') return null
  const { time, late = 0 } = parsed.checkpoint
  return { time: Date.parse(time), late }
}

const text = (time: number): string => (Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : 'nowhere')
