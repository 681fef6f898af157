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

/** A request in the queue. */
interface Waiting {
  readonly concurrent: number
  settle(entered: Entered): void
}

interface Person {
  /** When all that was spent is made up for; each request puts it off by its share of a second. */
  spentUntil: number
  running: number
  /** In the order in which they came. */
  readonly waiting: Set<Waiting>
}

const leastSwept = 1024

/** Counts from nothing. What is kept is bounded: a few numbers for each of the people who asked lately. */
export function openQuota(clock: QuotaClock = realClock): Quota {
  const people = new Map<string, Person>()
  let sweepAt = leastSwept
  let allWaiting = 0

  function personOf({ issuer, subject }: Who): Person | null {
    const key = JSON.stringify([issuer, subject])
    const known = people.get(key)
    if (known !== undefined) return known
    if (people.size >= sweepAt) {
      forget(({ spentUntil }) => spentUntil <= clock.now())
      if (people.size >= maxPeople) forget(() => true)
      sweepAt = Math.min(maxPeople, Math.max(leastSwept, 2 * people.size))
    }
    if (people.size >= maxPeople) return null
    const person: Person = { spentUntil: 0, running: 0, waiting: new Set() }
    people.set(key, person)
    return person
  }

  function forget(isOver: (person: Person) => boolean): void {
    for (const [key, person] of people) {
      if (person.running === 0 && person.waiting.size === 0 && isOver(person)) people.delete(key)
    }
  }

  function begin(person: Person): Leave {
    person.running += 1
    let left = false
    return () => {
      if (left) return
      left = true
      person.running -= 1
      for (const next of person.waiting) if (person.running < next.concurrent) next.settle(ok(begin(person)))
    }
  }

  function wait(person: Person, concurrent: number, signal: AbortSignal): Promise<Entered> {
    const { promise, resolve } = Promise.withResolvers<Entered>()
    const one: Waiting = {
      concurrent,
      settle(entered) {
        person.waiting.delete(one)
        allWaiting -= 1
        takeBack()
        signal.removeEventListener('abort', leave)
        resolve(entered)
      },
    }
    const leave = (): void => one.settle(fail({ is: 'gone' }))
    const takeBack = clock.after(maxWait, () => one.settle(fail(tooMany(concurrent))))
    signal.addEventListener('abort', leave, { once: true })
    person.waiting.add(one)
    allWaiting += 1
    return promise
  }

  return {
    spend(who, { rate }) {
      const person = personOf(who)
      if (person === null) return { is: 'over_rate', most: rate, after: retryAfter }
      const now = clock.now()
      const until = Math.max(person.spentUntil, now) + 1000 / rate
      const wait = until - now - burstSeconds * 1000
      if (wait > 0) return { is: 'over_rate', most: rate, after: Math.ceil(wait / 1000) }
      person.spentUntil = until
      return null
    },
    async enter(who, { concurrent }, signal) {
      if (signal.aborted) return fail({ is: 'gone' })
      const person = personOf(who)
      if (person !== null && person.running < concurrent) return ok(begin(person))
      if (person === null || person.waiting.size >= maxWaiting) return fail(tooMany(concurrent))
      return wait(person, concurrent, signal)
    },
    state: () => ({ waiting: allWaiting, people: people.size }),
  }
}

const tooMany = (most: number): Later => ({ is: 'over_concurrency', most, after: retryAfter })
