import { setTimeout as delay } from 'node:timers/promises'
import { compressSegment } from './compress.ts'
import { ioFailure, type AuditFailure } from './failure.ts'
import { placeFile, type Hold } from './hold.ts'
import { isPacked } from './packed.ts'
import { segmentOf } from './read-segments.ts'
import { LeapWatch } from './retention-clock.ts'
import { counted, logFiles, removeSegment, settled, sizesOnDisk, unfinished, type LogFiles } from './retention-files.ts'
import { HoldWatch } from './retention-hold.ts'
import type { Retention, RetentionParts, RetentionStatus } from './retention-parts.ts'
import { survey, Unfit, type Survey } from './retention-survey.ts'
import { segmentTime } from './segment-names.ts'
import { readSmall, signTombstone, tombstoneName, type Because } from './tombstone.ts'

export type { Retention, RetentionOptions, RetentionParts, RetentionStatus } from './retention-parts.ts'

/** Looks after the segments of a log that are not written any more. Nothing happens before `start`. */
export function openRetention(parts: RetentionParts): Retention {
  return new Sweeper(parts)
}

/** Deletions begun in one round: the rest comes soon. */
const perRound = 16
const soonMs = 1_000

interface Waiting {
  readonly segment: string
  readonly seq: number
  readonly signed: string
}

class Sweeper implements Retention {
  readonly #parts: RetentionParts
  readonly #leaps: LeapWatch
  readonly #holds: HoldWatch
  readonly #stopped = new AbortController()
  #loop: Promise<void> | null = null
  #waiting: readonly Waiting[] = []
  /** Last records of segments that had to stay when they were read, with their times. */
  readonly #ends = new Map<string, { readonly seq: number; readonly time: number }>()
  readonly #problems = new Map<string, string>()
  #more = false
  #status: Omit<RetentionStatus, 'waiting' | 'problems' | 'deleted'> = {
    hold: null,
    blocked: null,
    failure: null,
    segments: 0,
    compressed: 0,
    tombstones: 0,
    bytes: 0,
  }
  #deleted = 0

  constructor(parts: RetentionParts) {
    this.#parts = parts
    const { files, dir, clock, record, options } = parts
    this.#leaps = new LeapWatch(files, dir)
    this.#holds = new HoldWatch({ files, dir, clock, record, configured: options.hold })
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  status(): RetentionStatus {
    const problems = [...this.#problems.values()]
    return { ...this.#status, problems, waiting: this.#waiting.length, deleted: this.#deleted }
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#loop
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped
    const { everyMs } = this.#parts.options
    while (!signal.aborted) {
      const soon = this.#more || this.#waiting.length > 0
      const pause = soon ? Math.min(everyMs, soonMs) : everyMs
      await delay(pause, undefined, { ref: false, signal }).catch(() => undefined)
      if (!signal.aborted) await this.round()
    }
  }

  async round(): Promise<void> {
    const before = this.#toTell()
    try {
      this.#status = { ...this.#status, failure: null }
      await this.#sweep()
    } catch (error) {
      this.#failed(ioFailure(`looking after the segments in ${this.#parts.dir}`, error))
    }
    if (before !== this.#toTell()) this.#parts.told()
  }

  #toTell(): string {
    const { failure, blocked, hold } = this.#status
    return JSON.stringify([failure?.reason, blocked, hold, [...this.#problems.keys()]])
  }

  #failed(failure: AuditFailure): void {
    this.#status = { ...this.#status, failure }
  }

  async #sweep(): Promise<void> {
    const { files, dir, options } = this.#parts
    const { hold, failure } = await this.#holds.notice()
    this.#status = { ...this.#status, hold }
    if (failure !== null) this.#failed(failure)
    const live = this.#parts.live()
    if (live === null) {
      this.#status = { ...this.#status, blocked: 'the log is not open' }
      return
    }
    if (options.compress) await this.#compress(await logFiles(files, dir, live))
    let found = await logFiles(files, dir, live)
    const blocked = this.#refusal(hold)
    if (blocked === null) {
      await this.#finish(found)
      found = await logFiles(files, dir, live)
      await this.#delete(found)
      found = await logFiles(files, dir, live)
    }
    const bytes = [...(await sizesOnDisk(files, dir, found)).values()].reduce((a, b) => a + b, 0)
    this.#status = { ...this.#status, ...counted(found), bytes }
    if (blocked !== null) this.#status = { ...this.#status, blocked }
  }

  /** Why nothing at all may be deleted. */
  #refusal(hold: Hold | null): string | null {
    const { keepMs, maxBytes } = this.#parts.options
    if (keepMs === null && maxBytes === null) return null
    if (hold !== null) return `the log is held, by ${hold.by}: ${hold.because}`
    if (this.#parts.key === null) return 'there is no signing key, and nothing is deleted without a signed tombstone'
    if (this.#parts.covered() === null) return 'no checkpoint was made yet'
    return null
  }

  async #compress(found: LogFiles): Promise<void> {
    const { files, dir } = this.#parts
    for (const name of await settled(files, dir, found)) {
      if (this.#stopped.signal.aborted) return
      if (isPacked(name) || this.#waiting.some(({ segment }) => segment === segmentOf(name))) continue
      const done = await compressSegment(files, dir, name)
      if (!done.ok) {
        this.#failed(done.error)
        return
      }
    }
  }

  /** Removes what is on record as deleted, once a checkpoint covers that, and what an earlier process left over. */
  async #finish(found: LogFiles): Promise<void> {
    const { files, dir, key, covered } = this.#parts
    if (key === null) return
    for (const one of this.#waiting) {
      if ((covered() ?? -1) < one.seq) continue
      // Somebody may have held the log, or taken the tombstone away, a moment ago.
      if (await this.#holds.isHeld()) return
      const placed = await readSmall(files, dir, tombstoneName(one.segment)).catch(() => '')
      if (placed === one.signed) {
        await removeSegment(files, dir, one.segment)
        this.#deleted++
      }
      this.#waiting = this.#waiting.filter((other) => other !== one)
    }
    for (const segment of await unfinished(files, dir, found, key)) {
      if (await this.#holds.isHeld()) return
      await removeSegment(files, dir, segment)
    }
  }

  async #delete(found: LogFiles): Promise<void> {
    const { files, dir, clock, options, uptime = () => performance.now() } = this.#parts
    const leapt =
      options.keepMs === null ? null : await this.#leaps.look(clock().getTime(), uptime(), found.checkpoints)
    this.#status = { ...this.#status, blocked: leapt }
    const limit = options.keepMs === null || leapt !== null ? -Infinity : clock().getTime() - options.keepMs
    const sizes = await sizesOnDisk(files, dir, found)
    const leaving = new Set(this.#waiting.map(({ segment }) => segment))
    let bytes = [...sizes].reduce((sum, [segment, size]) => sum + (leaving.has(segment) ? 0 : size), 0)
    let begun = 0
    this.#more = false
    for (const name of await settled(files, dir, found)) {
      const segment = segmentOf(name)
      if (leaving.has(segment) || this.#problems.has(segment)) continue
      const tooMuch = options.maxBytes !== null && bytes > options.maxBytes
      if (!tooMuch && !this.#mayBeOld(name, limit)) break
      if (this.#isWanted(segment)) break
      if (begun === perRound || this.#stopped.signal.aborted) {
        this.#more = true
        break
      }
      const done = await this.#begin(name, found, limit, tooMuch)
      if (done === 'failed' || done === 'stays') break
      if (done === 'begun') {
        begun++
        bytes -= sizes.get(segment) ?? 0
      }
    }
  }

  /** By what is known without reading it: its first record is not older than its name. */
  #mayBeOld(name: string, limit: number): boolean {
    return (this.#ends.get(segmentOf(name))?.time ?? segmentTime(name) ?? Infinity) < limit
  }

  /** Does somebody need what stands in it? Not known before it was read once. */
  #isWanted(segment: string): boolean {
    const end = this.#ends.get(segment)
    const wanted = end === undefined ? null : (this.#parts.wanted?.(end.seq) ?? null)
    if (wanted !== null) this.#status = { ...this.#status, blocked: `${segment} is still needed: ${wanted}` }
    return wanted !== null
  }

  /** Puts a tombstone in place, and on record, where the last record is older than the limit, or there is too much. */
  async #begin(
    name: string,
    found: LogFiles,
    limit: number,
    tooMuch: boolean,
  ): Promise<'begun' | 'unfit' | 'stays' | 'failed'> {
    const { files, dir, clock, key, record } = this.#parts
    const segment = segmentOf(name)
    let surveyed: Survey
    try {
      const segments = [...found.older, found.live]
      surveyed = await survey({ files, dir, segments, checkpoints: found.checkpoints }, name)
    } catch (error) {
      if (!(error instanceof Unfit)) throw error
      this.#problems.set(segment, `${error.message}: it is not deleted`)
      return 'unfit'
    }
    const lastTime = Date.parse(surveyed.last.ts)
    this.#ends.set(segment, { seq: surveyed.last.seq, time: lastTime })
    const isOld = lastTime < limit
    if ((!isOld && !tooMuch) || this.#isWanted(segment)) return 'stays'
    if (key === null || (await this.#holds.isHeld())) return 'failed'
    const because: Because = isOld ? 'age' : 'size'
    const signed = signTombstone({ ...surveyed, time: clock().toISOString(), because }, key)
    await placeFile(files, dir, tombstoneName(segment), signed)
    const { records, first, last, root } = surveyed
    const entry = { segment, records, first, last, root: root.toString('base64'), because, note: signed }
    const kept = await record({ kind: 'segment.deleted', ...entry })
    const seq = kept.ok ? seqIn(kept.value) : null
    if (!kept.ok) this.#failed(kept.error)
    if (seq === null) return 'failed'
    this.#ends.delete(segment)
    this.#waiting = [...this.#waiting, { segment, seq, signed }]
    return 'begun'
  }
}

/** `null`: the log is in its best-effort mode, and did not keep the record. */
function seqIn(receipt: unknown): number | null {
  const { seq }: { seq?: unknown } = Object(receipt)
  return typeof seq === 'number' ? seq : null
}
