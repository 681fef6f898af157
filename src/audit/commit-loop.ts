import { setTimeout as delay } from 'node:timers/promises'
import type { Result } from '../result.ts'
import type { Checkpointer } from './checkpointer.ts'
import type { DiskWatch } from './disk.ts'
import type { AuditFailure } from './failure.ts'
import type { AuditLimits } from './limits.ts'
import { encodeEntry } from './line.ts'
import type { RecordQueue } from './queue.ts'
import type { AnyEntry } from './record.ts'
import type { Rotation } from './rotation.ts'
import type { Segment } from './segment.ts'
import type { SegmentStore } from './store.ts'

/** What the loop works with. */
export interface LoopParts {
  readonly limits: AuditLimits
  readonly store: SegmentStore
  readonly queue: RecordQueue
  readonly disk: DiskWatch
  readonly rotation: Rotation
  readonly checkpoints: Checkpointer | null
  /** How many records this process could not keep. */
  readonly lost: () => number
  /** Called with why no segment could be opened, or the live one takes nothing more. */
  readonly failed: (failure: AuditFailure) => void
}

/** How it ended with a segment. `again`: it failed, and the next can be opened at once. */
type Ended = 'sealed' | 'rotated' | 'failed' | 'again'

/**
 * One loop owns the file: take everything that waits, write it, sync, answer, again. While the disk works the next batch
 * gathers, so latency is one or two syncs at any load. Being one loop, it never asks a hung disk twice, and so cannot
 * use up the few threads all file and name look-ups of the process share.
 */
export class CommitLoop {
  readonly #parts: LoopParts
  readonly #sealAsked = Promise.withResolvers<void>()
  #sealing = false
  #state: 'opening' | 'open' | 'failed' | 'sealed' = 'opening'
  #segment: Segment | null = null
  #commits = 0
  #records = 0
  #turns = 0

  constructor(parts: LoopParts) {
    this.#parts = parts
  }

  get state(): 'opening' | 'open' | 'failed' | 'sealed' {
    return this.#state
  }

  /** The live one; after a rotation the sealed one, until the next is open. */
  get segment(): Segment | null {
    return this.#segment
  }

  get commits(): number {
    return this.#commits
  }

  get records(): number {
    return this.#records
  }

  /** Grows with each answer of the disk: while it stays the same, the same call is out. */
  get turns(): number {
    return this.#turns
  }

  get isSealing(): boolean {
    return this.#sealing
  }

  /** Ends `run` when all that waits is written. */
  seal(): void {
    this.#sealing = true
    this.#sealAsked.resolve()
    this.#parts.queue.wake()
  }

  /** Opens segment after segment. Never rejects. */
  async run(): Promise<void> {
    const { checkpoints, store, rotation, disk, limits } = this.#parts
    let ended: Ended
    do {
      // Unreferenced: waiting for a retry is no reason to keep the process alive.
      const pause = delay(limits.retryMs, undefined, { ref: false })
      ended = await this.#serveOneSegment()
      if (ended === 'failed') await Promise.race([pause, this.#sealAsked.promise])
    } while (!this.#sealing || ended === 'rotated' || ended === 'again')
    rotation.stop()
    disk.stop()
    await checkpoints?.finish()
    await store.release()
    await checkpoints?.copied()
  }

  async #serveOneSegment(): Promise<Ended> {
    const { checkpoints, store, rotation, queue } = this.#parts
    const opened = await this.#open()
    if (!opened.ok) {
      this.#segment = null
      this.#fail(opened.error)
      queue.giveUp(opened.error)
      return 'failed'
    }
    const segment = opened.value
    this.#segment = segment
    this.#state = 'open'
    this.#committed(1)
    checkpoints?.begin(segment)
    rotation.begin()
    const ended = await this.#commitUntilSealed(segment)
    if (typeof ended !== 'string') return await this.#abandon(segment, ended)
    if (ended === 'rotated') {
      checkpoints?.leave()
      await store.leave(segment, null)
      return ended
    }
    this.#segment = null
    this.#state = 'sealed'
    await segment.close()
    return ended
  }

  async #open(): Promise<Result<Segment, AuditFailure>> {
    const { store, disk, queue, failed } = this.#parts
    const opened = await store.open()
    if (opened.ok || opened.error.code !== 'disk' || !disk.exhaust(opened.error)) return opened
    if (!(await disk.giveBack())) return opened
    failed(opened.error)
    queue.carry(opened.error)
    return await store.open()
  }

  async #abandon(segment: Segment, failure: AuditFailure): Promise<Ended> {
    const { checkpoints, store, disk, queue } = this.#parts
    const room = failure.code === 'disk' && disk.exhaust(failure)
    this.#segment = null
    this.#fail(failure)
    // Whoever is refused now finds a log that takes the record of it.
    if (room) this.#state = 'opening'
    checkpoints?.leave()
    queue.carry(failure)
    await store.leave(segment, failure)
    if (room && (await disk.giveBack())) return 'again'
    this.#state = 'failed'
    // At the end there is no later try for what was carried over: one at once.
    return this.#sealing && queue.length > 0 ? 'again' : 'failed'
  }

  async #commitUntilSealed(segment: Segment): Promise<'sealed' | 'rotated' | AuditFailure> {
    const { queue, disk, rotation } = this.#parts
    for (;;) {
      if (disk.isDue) {
        await disk.tend()
        this.#turns++
      }
      const batch = queue.take()
      if (batch.length === 0) {
        if (this.#sealing || rotation.isDue(segment)) return await this.#writeSeal(segment)
        if (!disk.isDue) await queue.arrival()
        continue
      }
      const written = await segment.append(batch.map(({ members }) => members))
      if (!written.ok) return written.error
      this.#committed(batch.length)
      queue.confirm(written.value)
      if (!this.#sealing && rotation.isDue(segment)) return await this.#writeSeal(segment)
    }
  }

  /** For good, or because the next segment is due. */
  async #writeSeal(segment: Segment): Promise<'sealed' | 'rotated' | AuditFailure> {
    const { checkpoints, limits, lost } = this.#parts
    // Asked for while this one is written, the end comes with the next segment: records may wait for it.
    const ended = this.#sealing ? 'sealed' : 'rotated'
    const change = ended === 'sealed' ? ((await checkpoints?.beforeSeal()) ?? null) : null
    const before: AnyEntry[] = change === null ? [] : [change]
    const sealed: AnyEntry = { kind: 'log.sealed', records: segment.lines + before.length, lost: lost() }
    const entries = [...before, sealed]
    const written = await segment.append(entries.map((entry) => encodeEntry(entry, limits)))
    if (!written.ok) return written.error
    this.#committed(entries.length)
    return ended
  }

  #committed(records: number): void {
    this.#turns++
    this.#commits++
    this.#records += records
  }

  #fail(failure: AuditFailure): void {
    this.#turns++
    this.#state = 'failed'
    this.#parts.failed(failure)
  }
}
