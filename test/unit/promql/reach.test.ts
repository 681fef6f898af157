import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { reach } from '../../../src/promql/reach.ts'
import type { Reach } from '../../../src/promql/reach.ts'

const minute = 60
const hour = 3600
const day = 86_400
const now = { step: 0, range: 0 }
const secondsOf = (text: string, evaluation = now): number => reach(text, evaluation).seconds

describe('the reach of a query', () => {
  for (const [text, seconds] of [
    ['up', 0],
    ['1 + 1', 0],
    ['"text"', 0],
    ['rate(up[5m])', 5 * minute],
    ['rate(up[300])', 5 * minute],
    ['rate(up[1h30m]) + rate(up[2h]) - up', 2 * hour],
    ['-(sum by (pod) (rate(up[1w])))', 7 * day],
    ['max_over_time(up[1d:])', day],
    ['max_over_time(rate(up[5m])[1d:1m])', day + 5 * minute],
    ['max_over_time(max_over_time(rate(up[5m])[1h:1m])[1d:1h])', day + hour + 5 * minute],
    ['topk(scalar(count_over_time(a[3h])), b)', 3 * hour],
    ['histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m])))', 5 * minute],
    // Where a stretch lies does not make it longer.
    ['up offset 400d', 0],
    ['up @ 0', 0],
    ['rate(up[5m] @ end() offset -1y)', 5 * minute],
    ['max_over_time((up offset 1y)[1h:] offset 2y)', hour],
  ] as const) {
    it(`${text} is ${seconds}s`, () => assert.equal(secondsOf(text), seconds))
  }

  it('counts selectors wherever they stand', () => {
    assert.equal(reach('a + sum(b) / rate(c[5m]) unless max_over_time(d[1h:]) > topk(scalar(e), f)', now).selectors, 6)
    assert.equal(reach('1', now).selectors, 0)
    assert.equal(reach(`a${' + a'.repeat(30_000)}`, now).selectors, 30_001)
  })

  it('adds up what is nested, and takes the longest of what stands side by side', () => {
    const leaf = fc
      .integer({ min: 1, max: 10_000 })
      .map((seconds) => ({ text: `rate(m[${seconds}s])`, seconds, selectors: 1 }))
    const { query } = fc.letrec<{ query: Reach & { text: string } }>((tie) => ({
      query: fc.oneof(
        { depthSize: 'small' },
        leaf,
        fc.tuple(tie('query'), fc.integer({ min: 1, max: 10_000 })).map(([{ text, seconds, selectors }, range]) => {
          return { text: `min_over_time((${text})[${range}s:7s])`, seconds: seconds + range, selectors }
        }),
        fc.tuple(tie('query'), tie('query'), fc.constantFrom('+', 'or', '^', 'and on ()')).map(([one, other, op]) => {
          const seconds = Math.max(one.seconds, other.seconds)
          return { text: `(${one.text} ${op} ${other.text})`, seconds, selectors: one.selectors + other.selectors }
        }),
      ),
    }))
    fc.assert(
      fc.property(query, ({ text, seconds, selectors }) => assert.deepEqual(reach(text, now), { seconds, selectors })),
    )
  })
})

describe('a duration that is computed', () => {
  const at = { step: minute, range: hour }
  for (const [duration, seconds] of [
    ['step()', minute],
    ['range()', hour],
    ['step() * 4', 4 * minute],
    ['max_of(step(), 5m)', 5 * minute],
    ['min_of(step(), 5m) + range()', hour + minute],
    ['max_of(min_of(1h, 2h), (3h))', 3 * hour],
    ['1h - 30m * 1', hour / 2],
    ['(1h - 30m) * 4', 2 * hour],
    ['2 ^ 3 ^ 2', 512],
    ['-(-2 ^ 2)', 4],
    ['2 ^ -1 ^ 2 * 8', 4],
    ['1d % 7h', 3 * hour],
    ['1h / 2 / 3', 600],
    ['1h - -30m', 1.5 * hour],
    ['+ + 5m', 5 * minute],
    ['1h - 1d', 23 * hour],
  ] as const) {
    it(`${duration} is ${seconds}s`, () => assert.equal(secondsOf(`rate(up[${duration}])`, at), seconds))
  }
  it('with as many signs or operators as fit is computed all the same', () => {
    assert.equal(secondsOf(`up[${'-'.repeat(60_000)}step()]`, at), minute)
    assert.equal(secondsOf(`up[step()${'^1'.repeat(30_000)}]`, at), minute)
    assert.equal(secondsOf(`up[step()${' + 1'.repeat(15_000)}]`, at), minute + 15_000)
  })
  it('and cannot be is without end', () => {
    for (const duration of ['0 % step()', '(0 - 8) ^ 0.5', '2 ^ 2000', 'step() / (1 - 1)']) {
      assert.equal(secondsOf(`up[${duration}]`), Number.POSITIVE_INFINITY, duration)
    }
  })
})

describe('what is no query', () => {
  it('is without end, and not an error', () => {
    for (const text of ['', 'up[', 'up[5m', 'sum(']) {
      assert.deepEqual(reach(text, now), { selectors: Number.POSITIVE_INFINITY, seconds: Number.POSITIVE_INFINITY })
    }
  })
})
