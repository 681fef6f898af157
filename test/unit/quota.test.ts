import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { burstSeconds, maxPeople, maxWait, maxWaiting } from '../../src/gateway/limits.ts'
import { openQuota } from '../../src/gateway/quota.ts'
import type { Entered, Leave, Quota, QuotaClock } from '../../src/gateway/quota.ts'

const alice = { issuer: 'https://idp', subject: 'alice' }
const bob = { issuer: 'https://idp', subject: 'bob' }
const forever = new AbortController().signal

/** A clock that goes when it is told to. */
class Clock implements QuotaClock {
  private time = 1000
  private readonly timers = new Set<{ readonly at: number; readonly run: () => void }>()
  now(): number {
    return this.time
  }
  after(milliseconds: number, run: () => void): () => void {
    const timer = { at: this.time + milliseconds, run }
    this.timers.add(timer)
    return () => void this.timers.delete(timer)
  }
  go(milliseconds: number): void {
    this.time += milliseconds
    for (const timer of this.timers) {
      if (timer.at > this.time) continue
      this.timers.delete(timer)
      timer.run()
    }
  }
  get pending(): number {
    return this.timers.size
  }
}

const open = (): { quota: Quota; clock: Clock } => {
  const clock = new Clock()
  return { quota: openQuota(clock), clock }
}

/** How many of as many requests are let through at this moment. */
const passed = (quota: Quota, who: typeof alice, rate: number, tries: number): number =>
  Array.from({ length: tries }, () => quota.spend(who, { rate })).filter((later) => later === null).length

/** A request that wants a slot, and what became of it so far. */
class Ask {
  entered: Entered | null = null
  private readonly gone = new AbortController()
  constructor(quota: Quota, who: typeof alice, concurrent: number) {
    void quota.enter(who, { concurrent }, this.gone.signal).then((entered) => (this.entered = entered))
  }
  get is(): 'waits' | 'runs' | 'over_concurrency' | 'over_rate' | 'gone' {
    if (this.entered === null) return 'waits'
    return this.entered.ok ? 'runs' : this.entered.error.is
  }
  end(): void {
    assert.ok(this.entered?.ok === true)
    this.entered.value()
  }
  goAway(): void {
    this.gone.abort()
  }
}
const asks = (quota: Quota, who: typeof alice, concurrent: number, count: number): readonly Ask[] =>
  Array.from({ length: count }, () => new Ask(quota, who, concurrent))
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const states = (all: readonly Ask[]): string => all.map(({ is }) => is).join(' ')

describe('the rate', () => {
  it('lets a burst through at once, and then as many as it says', () => {
    const { quota, clock } = open()
    assert.equal(passed(quota, alice, 10, 100), 10 * burstSeconds)
    clock.go(1000)
    assert.equal(passed(quota, alice, 10, 100), 10)
    clock.go(60_000)
    assert.equal(passed(quota, alice, 10, 100), 10 * burstSeconds)
  })
  it('says after how many whole seconds there is room again, and that is so', () => {
    const { quota, clock } = open()
    passed(quota, alice, 10, 100)
    assert.deepEqual(quota.spend(alice, { rate: 10 }), { is: 'over_rate', most: 10, after: 1 })
    clock.go(1000)
    assert.equal(quota.spend(alice, { rate: 10 }), null)
    passed(quota, bob, 1, 100)
    assert.deepEqual(quota.spend(bob, { rate: 1 }), { is: 'over_rate', most: 1, after: 1 })
  })
  it('does not count what it refused: who goes on asking is not kept out for longer', () => {
    const { quota, clock } = open()
    passed(quota, alice, 10, 10_000)
    clock.go(100)
    assert.equal(passed(quota, alice, 10, 1), 1)
  })
  it('is one for a person, whichever object or limits they come with, and none of another’s', () => {
    const { quota } = open()
    passed(quota, alice, 10, 100)
    assert.equal(passed(quota, { ...alice }, 10, 1), 0)
    assert.equal(passed(quota, alice, 1, 1), 0)
    assert.equal(passed(quota, bob, 10, 1), 1)
    assert.equal(passed(quota, { ...alice, issuer: 'https://other' }, 10, 1), 1)
    assert.equal(passed(quota, { issuer: 'https://idp"', subject: ',"alice' }, 10, 1), 1)
  })
  it('is never more than was promised, whenever the requests come', () => {
    const gaps = fc.array(fc.nat(3000), { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), gaps, (rate, gaps) => {
        const { quota, clock } = open()
        const began = clock.now()
        let count = 0
        for (const gap of gaps) {
          clock.go(gap)
          count += passed(quota, alice, rate, 5)
          // A hair for what fractions lose.
          assert.ok(count <= rate * (burstSeconds + (clock.now() - began) / 1000) + 1e-6)
        }
      }),
    )
  })
})

describe('the slots of a person', () => {
  it('are as many as their limit, and the next ones wait for them in their order', async () => {
    const { quota } = open()
    const all = asks(quota, alice, 2, 5)
    await settled()
    assert.equal(states(all), 'runs runs waits waits waits')
    assert.equal(quota.state().waiting, 3)
    all[1]?.end()
    await settled()
    assert.equal(states(all), 'runs runs runs waits waits')
    all[0]?.end()
    all[2]?.end()
    await settled()
    assert.equal(states(all), 'runs runs runs runs runs')
    assert.equal(quota.state().waiting, 0)
  })
  it('do not keep anybody else from theirs', async () => {
    const { quota } = open()
    asks(quota, alice, 2, 50)
    const others = [...asks(quota, bob, 2, 2), new Ask(quota, { ...alice, issuer: 'https://other' }, 2)]
    await settled()
    assert.equal(states(others), 'runs runs runs')
  })
  it('given back twice are given back once', async () => {
    const { quota } = open()
    const all = asks(quota, alice, 1, 3)
    await settled()
    all[0]?.end()
    all[0]?.end()
    await settled()
    assert.equal(states(all), 'runs runs waits')
  })
  it('are waited for so long, and then refused with a time to come back', async () => {
    const { quota, clock } = open()
    const [first, second] = asks(quota, alice, 1, 2)
    await settled()
    clock.go(maxWait - 1)
    await settled()
    assert.equal(second?.is, 'waits')
    clock.go(1)
    await settled()
    assert.deepEqual(second.entered, { ok: false, error: { is: 'over_concurrency', most: 1, after: 5 } })
    first?.end()
    await settled()
    assert.equal(states(asks(quota, alice, 1, 1)), 'waits')
    await settled()
    assert.deepEqual(quota.state().waiting, 0)
  })
  it('are waited for by so many, and the next is refused at once', async () => {
    const { quota } = open()
    const all = asks(quota, alice, 1, maxWaiting + 2)
    await settled()
    assert.equal(all.at(-2)?.is, 'waits')
    assert.equal(all.at(-1)?.is, 'over_concurrency')
  })
  it('are not given to those who went away', async () => {
    const { quota, clock } = open()
    const all = asks(quota, alice, 1, 4)
    await settled()
    all[1]?.goAway()
    all[2]?.goAway()
    await settled()
    assert.equal(states(all), 'runs gone gone waits')
    all[0]?.end()
    await settled()
    assert.equal(states(all), 'runs gone gone runs')
    assert.equal(clock.pending, 0)
    assert.equal((await quota.enter(bob, { concurrent: 1 }, AbortSignal.abort())).ok, false)
  })
  it('grow and shrink with the limit of each request', async () => {
    const { quota } = open()
    const [first] = asks(quota, alice, 1, 1)
    const [low] = asks(quota, alice, 1, 1)
    const high = asks(quota, alice, 3, 2)
    await settled()
    assert.equal(`${low?.is} ${states(high)}`, 'waits runs runs')
    first?.end()
    high[0]?.end()
    await settled()
    assert.equal(low?.is, 'waits')
    high[1]?.end()
    await settled()
    assert.equal(low?.is, 'runs')
  })

  type Step =
    | { readonly does: 'ask'; readonly who: number }
    | { readonly does: 'end'; readonly which: number }
    | { readonly does: 'leave'; readonly which: number }
    | { readonly does: 'go'; readonly time: number }
  const step = fc.oneof<fc.Arbitrary<Step>[]>(
    fc.record({ does: fc.constant('ask'), who: fc.nat(2) }),
    fc.record({ does: fc.constant('end'), which: fc.nat() }),
    fc.record({ does: fc.constant('leave'), which: fc.nat() }),
    fc.record({ does: fc.constant('go'), time: fc.nat(maxWait / 2) }),
  )
  it('are never more than the limit, never free while somebody waits, and everybody is answered in their order', async () => {
    const run = async (concurrent: number, steps: readonly Step[]): Promise<void> => {
      const { quota, clock } = open()
      const all: { readonly who: number; readonly ask: Ask; ended: boolean }[] = []
      const those = (is: Ask['is'], who?: number) =>
        all.filter((one) => !one.ended && one.ask.is === is && (who === undefined || one.who === who))
      const end = (one: (typeof all)[number] | undefined): void => {
        if (one === undefined) return
        one.ask.end()
        one.ended = true
      }
      for (const step of steps) {
        const [running, waiting] = [those('runs'), those('waits')]
        if (step.does === 'ask') {
          const ask = new Ask(quota, { issuer: 'i', subject: `${step.who}` }, concurrent)
          all.push({ who: step.who, ask, ended: false })
        } else if (step.does === 'end') end(running[step.which % running.length])
        else if (step.does === 'leave') waiting[step.which % waiting.length]?.ask.goAway()
        else clock.go(step.time)
        await settled()
        for (const who of [0, 1, 2]) {
          const [running, waiting] = [those('runs', who).length, those('waits', who).length]
          assert.ok(running <= concurrent)
          assert.ok(waiting === 0 || running === concurrent)
          assert.ok(waiting <= maxWaiting)
          // Who came later and runs came behind nobody who still waits.
          const order = all.filter((one) => one.who === who).map(({ ask }) => ask.is)
          assert.ok(order.lastIndexOf('runs') < (order.includes('waits') ? order.indexOf('waits') : order.length))
        }
      }
      for (let left = those('runs'); left.length > 0; left = those('runs')) {
        for (const one of left) end(one)
        await settled()
      }
      assert.deepEqual(those('waits'), [])
      assert.equal(clock.pending, 0)
      assert.equal(quota.state().waiting, 0)
    }
    await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 80 }), run))
  })
})

describe('the memory', () => {
  const person = (index: number): typeof alice => ({ issuer: 'https://idp', subject: `person-${index}` })
  it('holds those who asked lately, and no others', () => {
    const { quota, clock } = open()
    for (let index = 0; index < 50_000; index += 1) {
      quota.spend(person(index), { rate: 100 })
      clock.go(10)
    }
    assert.ok(quota.state().people <= 2048, `${quota.state().people}`)
  })
  it('is bounded when they all come at once, and forgets nobody who has something under way', async () => {
    const { quota } = open()
    const [, waits] = asks(quota, alice, 1, 2)
    for (let index = 0; index < 3 * maxPeople; index += 1) {
      assert.equal(quota.spend(person(index), { rate: 1 }), null)
      if (index % 1000 === 0) assert.ok(quota.state().people <= maxPeople)
    }
    await settled()
    assert.equal(waits?.is, 'waits')
    assert.equal(new Ask(quota, alice, 1).is, 'waits')
    assert.equal(quota.state().waiting, 2)
  })
  it('has no room for one more than it can hold, who is asked to come back', async () => {
    const { quota } = open()
    const leaves: Leave[] = []
    for (let index = 0; index < maxPeople; index += 1) {
      const entered = await quota.enter(person(index), { concurrent: 1 }, forever)
      if (entered.ok) leaves.push(entered.value)
    }
    assert.equal(leaves.length, maxPeople)
    assert.deepEqual(quota.spend(alice, { rate: 7 }), { is: 'over_rate', most: 7, after: 5 })
    assert.equal((await quota.enter(alice, { concurrent: 1 }, forever)).ok, false)
    leaves[0]?.()
    assert.equal(quota.spend(alice, { rate: 7 }), null)
  })
})
