import type { Identity } from '../identity/identity.ts'
import type { QueryLimits } from '../policy/query-limits.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { burstSeconds, maxPeople, maxWait, maxWaiting, retryAfter } from './limits.ts'

/** Too much at once: more than the limit of `most`. After that many seconds there may be room again. */
export interface Later {
  readonly is: 'over_rate' | 'over_concurrency'
  readonly most: number
  readonly after: number
}

/** Gives a slot back; more than once is once. */
export type Leave = () => void

export type Entered = Result<Leave, Later | { readonly is: 'gone' }>

type Who = Pick<Identity, 'issuer' | 'subject'>

/** How much each person asks for, whatever their connections and tokens. One person never waits for another. */
export interface Quota {
  /** Counts a request. @returns null where it may go on */
  spend(who: Who, limits: Pick<QueryLimits, 'rate'>): Later | null
  /** Takes one of somebody's slots. Where none is free, it waits its turn for a while, or until the signal. */
  enter(who: Who, limits: Pick<QueryLimits, 'concurrent'>, signal: AbortSignal): Promise<Entered>
  /** How many wait for a slot, and how many people are counted. */
  state(): { readonly waiting: number; readonly people: number }
}

/** Milliseconds of a clock that only goes forward, and what is done later unless it is taken back. */
export interface QuotaClock {
  now(): number
  after(milliseconds: number, run: () => void): () => void
}

const realClock: QuotaClock = {
  now: () => performance.now(),
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds)
    return () => clearTimeout(timer)
  },
}

/** Counts from nothing. What is kept is bounded: a few numbers for each of the people who asked lately. */
export function openQuota(clock: QuotaClock = realClock): Quota {
  const people = new People(clock)
  return {
    spend(who, { rate }) {
      const person = people.find(who)
      if (person === null) return { is: 'over_rate', most: rate, after: retryAfter }
      const wait = person.spend(rate)
      return wait > 0 ? { is: 'over_rate', most: rate, after: Math.ceil(wait / 1000) } : null
    },
    async enter(who, { concurrent }, signal) {
      if (signal.aborted) return fail({ is: 'gone' })
      return people.find(who)?.enter(concurrent, signal) ?? fail(tooMany(concurrent))
    },
    state: () => people.state(),
  }
}

const tooMany = (most: number): Later => ({ is: 'over_concurrency', most, after: retryAfter })

const leastSwept = 1024

/** Those who asked lately. Issuer and subject together say who somebody is. */
class People {
  private readonly clock: QuotaClock
  private readonly known = new Map<string, Person>()
  /** At how many to look for those who can be forgotten: each look doubles it, so that looking costs next to nothing. */
  private sweepAt = leastSwept

  constructor(clock: QuotaClock) {
    this.clock = clock
  }

  /** Null where there is no room for one more. */
  find({ issuer, subject }: Who): Person | null {
    const key = JSON.stringify([issuer, subject])
    const person = this.known.get(key)
    if (person !== undefined) return person
    if (this.known.size >= this.sweepAt) this.sweep()
    if (this.known.size >= maxPeople) return null
    const made = new Person(this.clock)
    this.known.set(key, made)
    return made
  }

  state(): ReturnType<Quota['state']> {
    let waiting = 0
    for (const person of this.known.values()) waiting += person.waits
    return { waiting, people: this.known.size }
  }

  /** Forgets whose time is over; where that leaves no room, everybody who has nothing under way. */
  private sweep(): void {
    for (const [key, person] of this.known) if (person.isOver(this.clock.now())) this.known.delete(key)
    if (this.known.size >= maxPeople) {
      for (const [key, person] of this.known) if (person.isOver(Number.POSITIVE_INFINITY)) this.known.delete(key)
    }
    this.sweepAt = Math.min(maxPeople, Math.max(leastSwept, 2 * this.known.size))
  }
}

/** A request in the queue. */
interface Waiting {
  readonly concurrent: number
  settle(entered: Entered): void
}

/** What one person has under way. */
class Person {
  private readonly clock: QuotaClock
  /** When all that was spent is made up for; each request puts it off by its share of a second. */
  private spentUntil = 0
  private running = 0
  /** In the order in which they came. */
  private readonly queue = new Set<Waiting>()

  constructor(clock: QuotaClock) {
    this.clock = clock
  }

  get waits(): number {
    return this.queue.size
  }

  isOver(now: number): boolean {
    return this.running === 0 && this.queue.size === 0 && this.spentUntil <= now
  }

  /** @returns milliseconds after which there is room again; zero or less where there is, and then one more is spent */
  spend(rate: number): number {
    const now = this.clock.now()
    const until = Math.max(this.spentUntil, now) + 1000 / rate
    const wait = until - now - burstSeconds * 1000
    if (wait <= 0) this.spentUntil = until
    return wait
  }

  enter(concurrent: number, signal: AbortSignal): Entered | Promise<Entered> {
    if (this.running < concurrent) return ok(this.begin())
    return this.queue.size < maxWaiting ? this.wait(concurrent, signal) : fail(tooMany(concurrent))
  }

  private begin(): Leave {
    this.running += 1
    let left = false
    return () => {
      if (left) return
      left = true
      this.running -= 1
      for (const next of this.queue) if (this.running < next.concurrent) next.settle(ok(this.begin()))
    }
  }

  private wait(concurrent: number, signal: AbortSignal): Promise<Entered> {
    const { promise, resolve } = Promise.withResolvers<Entered>()
    const leave = (): void => one.settle(fail({ is: 'gone' }))
    const takeBack = this.clock.after(maxWait, () => one.settle(fail(tooMany(concurrent))))
    const one: Waiting = {
      concurrent,
      settle: (entered) => {
        this.queue.delete(one)
        takeBack()
        signal.removeEventListener('abort', leave)
        resolve(entered)
      },
    }
    signal.addEventListener('abort', leave, { once: true })
    this.queue.add(one)
    return promise
  }
}
