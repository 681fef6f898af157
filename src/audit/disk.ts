import type { AuditFailure } from './failure.ts'
import type { Files } from './files.ts'
import type { DiskWatermarkEntry } from './record.ts'
import { Reserve } from './reserve.ts'

/** How full the volume of the log may be: shares of it from 0 to 1, and the bytes kept back for refusals. */
export interface DiskOptions {
  /** Above it the log says so. */
  readonly warn: number
  /** Above it nothing new is shown. */
  readonly refuse: number
  /** Size of the reserved file; 0: there is none. */
  readonly reserveBytes: number
}

/** What the operator can know about the volume. */
export interface DiskStatus {
  /** `low`: fuller than `warn`; `full`: fuller than `refuse`, or a write found no room. */
  readonly state: 'fine' | 'low' | 'full'
  /** How much of it is used, from 0 to 1, as df(1) counts. */
  readonly used: number
  /** Bytes kept back for refusals at the moment. */
  readonly reserved: number
}

/** What the watch needs from the log. */
export interface DiskParts {
  readonly dir: string
  readonly files: Files
  /** `null`: nobody watches, and nothing is kept back. */
  readonly options: DiskOptions | null
  readonly everyMs: number
  /** Called when it is time to look again. */
  readonly wake: () => void
  /** Keeps a record that nobody waits for. */
  readonly record: (entry: DiskWatermarkEntry) => void
}

// A state is left when the volume is this much emptier than its mark, else a log at the mark would change it all the time.
const slack = 0.01

/**
 * Looks how full the volume is. Has no loop of its own: the log's loop calls it between two commits, so that a hung disk
 * is never asked by both.
 */
export class DiskWatch {
  readonly #parts: DiskParts
  readonly #options: DiskOptions
  readonly #reserve: Reserve
  #mark: DiskStatus['state'] = 'fine'
  #used: number | null = null
  #exhausted: AuditFailure | null = null
  #recorded: DiskStatus['state'] = 'fine'
  #lookAt = 0
  #available = 0
  #timer: NodeJS.Timeout | undefined

  constructor(parts: DiskParts) {
    this.#parts = parts
    this.#options = parts.options ?? { warn: 1, refuse: 1, reserveBytes: 0 }
    this.#reserve = new Reserve(parts.files, parts.dir, this.#options.reserveBytes, parts.everyMs)
  }

  /** `null` until somebody looked. */
  status(): DiskStatus | null {
    if (this.#used === null) return null
    return { state: this.#state, used: this.#used, reserved: this.#reserve.bytes }
  }

  /** The write that found no room, until there is some again, and as much kept back as there should be. */
  get exhausted(): AuditFailure | null {
    return this.#exhausted
  }

  /** Why nothing new may be shown. */
  refusal(): AuditFailure | null {
    if (this.#exhausted !== null) return this.#exhausted
    if (this.#mark !== 'full') return null
    const reason = `the volume of ${this.#parts.dir} is ${percent(this.#used ?? 1)} full, more than ${percent(this.#options.refuse)}`
    return { code: 'disk', reason, remedy: 'free space on that volume, or give the gateway a larger one' }
  }

  /** A write found no room: nothing new is shown from now on. Answers whether `giveBack` can make some. */
  exhaust(failure: AuditFailure): boolean {
    if (this.#parts.options === null) return false
    this.#exhausted = failure
    // What was seen before is out of date, and must not be reason enough to take the room again.
    this.#available = 0
    this.#lookAt = 0
    return this.#reserve.mayBeThere
  }

  /** Makes room, out of what was kept back. Never rejects; answers false when there is nothing left to give. */
  async giveBack(): Promise<boolean> {
    return await this.#reserve.giveBack()
  }

  /** Is there something to do between two commits? */
  get isDue(): boolean {
    return this.#parts.options !== null && (performance.now() >= this.#lookAt || this.#reserveIsDue)
  }

  /** Does one small piece of what there is to do. Never rejects. */
  async tend(): Promise<void> {
    if (performance.now() >= this.#lookAt) await this.#look()
    else await this.#reserve.step()
    if (this.#exhausted !== null && this.#mark !== 'full' && this.#reserve.isWhole) this.#exhausted = null
    const [state, used] = [this.#state, this.#used]
    if (state === this.#recorded || used === null) return
    this.#recorded = state
    this.#parts.record({ kind: 'disk.watermark', state, used })
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  get #state(): DiskStatus['state'] {
    return this.#exhausted === null ? this.#mark : 'full'
  }

  /** Twice the size: making it must not be what fills the volume. */
  get #reserveIsDue(): boolean {
    return this.#reserve.isDue && (!this.#reserve.needsRoom || this.#available >= 2 * this.#options.reserveBytes)
  }

  async #look(): Promise<void> {
    this.#lookAt = performance.now() + this.#parts.everyMs
    this.#wait()
    try {
      const { total, free, available } = await this.#parts.files.space(this.#parts.dir)
      const used = (total - free) / (total - free + available)
      if (Number.isNaN(used)) return
      this.#available = available
      this.#used = Math.round(used * 10_000) / 10_000
      this.#mark = this.#markOf(used)
    } catch {
      // What was seen last stays; a volume that is gone shows at the next commit.
    }
  }

  /** A timer counts from the beginning of the turn it is set in, and so can be early. */
  #wait(): void {
    clearTimeout(this.#timer)
    const left = this.#lookAt - performance.now()
    const look = (): void => (performance.now() < this.#lookAt ? this.#wait() : this.#parts.wake())
    this.#timer = setTimeout(look, Math.max(left, 0) + 1).unref()
  }

  #markOf(used: number): DiskStatus['state'] {
    const { warn, refuse } = this.#options
    if (used > refuse - (this.#mark === 'full' ? slack : 0)) return 'full'
    return used > warn - (this.#mark === 'fine' ? 0 : slack) ? 'low' : 'fine'
  }
}

const percent = (share: number): string => `${Math.round(share * 1_000) / 10} %`
