import { setTimeout as delay } from 'node:timers/promises'
import { fail } from '../result.ts'
import type { Result } from '../result.ts'
import { loadPolicyText, readPolicyFiles } from './files.ts'
import type { PolicyOptions, PolicyText } from './files.ts'
import type { Policy } from './policy.ts'
import { watchFiles } from './watch-files.ts'
import type { FileWatch } from './watch-files.ts'

/** What a look at the files came to. */
export type Look = 'unchanged' | 'loaded' | 'rejected'

/** A policy that is in the files and was refused. */
export interface RejectedPolicy {
  /** Null: the files could not be read. */
  readonly digest: string | null
  readonly problems: readonly string[]
}

/** How the files are followed. Times are milliseconds. */
export interface FollowOptions {
  /** How often they are looked at without a reason; 0: never. */
  readonly reload: number
  /** How long a change must have kept still before it counts. */
  readonly settle?: number
}

/** Who is told what happens. The next look waits until that is done; none of these may reject. */
export interface PolicyReports {
  /** Called in the moment of the change: every decision after this call is the new policy's. */
  loaded(policy: Policy, replaced: Policy): Promise<void>
  /** Once for each new content of the files, not for each look at it. */
  rejected(rejected: RejectedPolicy, inForce: Policy): Promise<void>
  /** Why the system does not tell of changes. */
  readonly unwatched: (reason: string) => void
}

/** The policy in force. */
export interface LivePolicy {
  /** Whoever decides asks once and keeps what it got: a policy never changes, another one takes its place. */
  readonly current: () => Policy
  /** What is in the files, where that was refused. */
  readonly rejected: () => RejectedPolicy | null
  /** Follows the files from now on. */
  start(): void
  /** Looks at the files, after this call. Never rejects. */
  readonly reload: () => Promise<Look>
  /** No policy takes the place of the one in force any more. */
  stop(): void
}

/** What following takes. */
interface Followed {
  readonly first: Policy
  readonly options: PolicyOptions & FollowOptions
  readonly clock: () => number
  readonly reports: PolicyReports
  readonly read?: () => Promise<Result<PolicyText, readonly string[]>>
}

/** A file that is written in place is half there for a moment: its end, with its denies, comes last. */
const defaultSettle = 500
/** How often that is waited for before the files count as never still. */
const mostWaits = 20

/**
 * Follows the files of a policy. A new one is read and checked beside the one in force and takes its place whole; one
 * that is refused leaves it where it is. The files are looked at when the system tells of a change, every now and then,
 * and on request; one look at a time.
 */
export const followPolicy = (followed: Followed): LivePolicy => new FollowedPolicy(followed)

class FollowedPolicy implements LivePolicy {
  readonly #followed: Followed
  readonly #watch: FileWatch
  #inForce: Policy
  #rejected: RejectedPolicy | null = null
  /** What the last look saw. */
  #seen: string
  readonly #stopped = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<unknown> = Promise.resolve()
  /** The look that begins when the present one has ended; all who ask until then share it. */
  #next: Promise<Look> | null = null

  constructor(followed: Followed) {
    const { first, options, reports } = followed
    this.#followed = followed
    this.#inForce = first
    this.#seen = first.digest
    this.#watch = watchFiles([options.model, ...options.rules], () => void this.reload(), reports.unwatched)
  }

  readonly current = (): Policy => this.#inForce
  readonly rejected = (): RejectedPolicy | null => this.#rejected

  start(): void {
    const { reload } = this.#followed.options
    if (reload > 0) this.#timer = setInterval(() => void this.reload(), reload).unref()
    void this.reload()
  }

  readonly reload = (): Promise<Look> => {
    this.#next ??= this.#looking.then(() => {
      this.#next = null
      const look = this.#look()
      this.#looking = look
      return look
    })
    return this.#next
  }

  stop(): void {
    this.#stopped.abort()
    clearInterval(this.#timer)
    this.#watch.close()
  }

  readonly #isStopped = (): boolean => this.#stopped.signal.aborted

  async #look(): Promise<Look> {
    // First: what happens to the files from here on is told of, and looked at next.
    if (!this.#isStopped()) await this.#watch.update()
    const text = await this.#readStill()
    const key = keyOf(text)
    if (key === this.#seen) return this.#rejected === null ? 'unchanged' : 'rejected'
    if (key === this.#inForce.digest) {
      this.#seen = key
      this.#rejected = null
      return 'unchanged'
    }
    const loaded = text.ok ? await this.#load(text.value) : text
    if (this.#isStopped()) return 'unchanged'
    this.#seen = key
    if (loaded.ok) return this.#accept(loaded.value)
    return this.#refuse({ digest: text.ok ? text.value.digest : null, problems: loaded.error })
  }

  /** Reads until two readings with a pause between them agree. */
  async #readStill(): Promise<Result<PolicyText, readonly string[]>> {
    const { options, read = () => readPolicyFiles(options) } = this.#followed
    let before = await read()
    for (let round = 0; round < mostWaits; round += 1) {
      // Judged already: there is nothing to wait for.
      if (keyOf(before) === this.#seen || this.#isStopped()) return before
      await delay(options.settle ?? defaultSettle, undefined, { signal: this.#stopped.signal }).catch(() => {})
      const now = await read()
      if (keyOf(now) === keyOf(before)) return now
      before = now
    }
    return fail([
      'the policy cannot be read: its files do not keep still: put whole files in the place of the old ones',
    ])
  }

  /** A policy at which the gateway's own code breaks is as bad as any other that cannot be used. */
  async #load(text: PolicyText): Promise<Result<Policy, readonly string[]>> {
    const { options, clock } = this.#followed
    try {
      return await loadPolicyText(text, options, clock)
    } catch (error) {
      return fail([`the policy cannot be loaded: ${error instanceof Error ? error.message : String(error)}`])
    }
  }

  async #accept(policy: Policy): Promise<Look> {
    const replaced = this.#inForce
    this.#inForce = policy
    this.#rejected = null
    await this.#followed.reports.loaded(policy, replaced)
    return 'loaded'
  }

  async #refuse(rejected: RejectedPolicy): Promise<Look> {
    this.#rejected = rejected
    await this.#followed.reports.rejected(rejected, this.#inForce)
    return 'rejected'
  }
}

/** The same for the same content: a digest, or why there is none. */
const keyOf = (text: Result<PolicyText, readonly string[]>): string => (text.ok ? text.value.digest : text.error.join())
