// docs/limits.md tells what the code does.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { burstSeconds, maxWait, maxWaiting, retryAfter, timeoutGrace } from '../../src/gateway/limits.ts'
import { refusalToWire } from '../../src/gateway/refusal.ts'
import type { Refusal } from '../../src/gateway/refusal.ts'
import { defaultQueryLimits } from '../../src/policy/limits.ts'
import { limitNames } from '../../src/policy/query-limits.ts'
import { parsePolicy } from '../../src/policy/parse.ts'
import { overLimit } from '../../src/prometheus/budget.ts'
import { usualTimeout } from '../../src/prometheus/limits.ts'
import { printDuration } from '../../src/promql/numbers.ts'

const page = readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8')
const rows = page.split('\n').filter((line) => line.startsWith('| `'))
const cellsOf = (row = ''): readonly string[] => row.split('|').map((cell) => cell.trim())
const rowOf = (limit: string): readonly string[] => cellsOf(rows.find((row) => row.startsWith(`| \`${limit}\` |`)))

const { range, points, selectors, bytes, timeout, rate, concurrent } = defaultQueryLimits
const defaults: readonly (readonly [string, string])[] = [
  ['range', printDuration(range)],
  ['points', String(points)],
  ['selectors', String(selectors)],
  ['bytes', `${bytes / 1e9}GB`],
  ['timeout', printDuration(timeout)],
  ['rate', String(rate)],
  ['concurrent', String(concurrent)],
]
const day = 86_400
const refusals: readonly (readonly [string, Refusal])[] = [
  ['range', overLimit('range', 2 * day, day)],
  ['points', overLimit('points', 2, 1)],
  ['selectors', overLimit('selectors', 2, 1)],
  ['bytes', overLimit('bytes', 2, 1)],
  ['rate', { is: 'over_rate', most: 1, after: 5 }],
  ['concurrent', { is: 'over_concurrency', most: 1, after: 5 }],
]

describe('docs/limits.md', () => {
  it('has each limit, in the order of the code, and no other', () => {
    assert.deepEqual(
      rows.map((row) => cellsOf(row)[1]),
      limitNames.map((name) => `\`${name}\``),
    )
  })
  for (const [limit, value] of defaults) {
    it(`says that ${limit} is ${value} by default`, () => assert.equal(rowOf(limit)[2], value))
  }
  for (const [limit, refusal] of refusals) {
    it(`says what the caller is told beyond ${limit}`, () => {
      const { status, message, headers } = refusalToWire(refusal, { name: '', groups: [], cluster: '', metadata: null })
      assert.ok(rowOf(limit)[4]?.startsWith(`${status} \`${message}\``), message)
      assert.equal(headers['retry-after'] !== undefined, status === 429)
      assert.match(page, new RegExp(`\`${refusal.is}\``))
    })
  }
  it('says how long one waits, and for what', () => {
    assert.match(rowOf('rate')[3] ?? '', new RegExp(`in ${burstSeconds} seconds`))
    assert.match(
      rowOf('concurrent')[3] ?? '',
      new RegExp(`up to ${maxWaiting} more wait for up to ${maxWait / 1000} seconds`),
    )
    assert.match(rowOf('concurrent')[4] ?? '', new RegExp(`try again in ${retryAfter}s`))
    assert.match(page, new RegExp(`begun ${timeoutGrace / 1000} seconds after the limit`))
    assert.match(page, new RegExp(`usual ${usualTimeout / 60} minutes`))
  })
  it('shows rows that a policy may have', () => {
    const text = /```\n(.*?)```/s.exec(page)?.[1] ?? ''
    const granted = 'p, role:analyst, *, query, *, allow\np, group:team-emojivoto, *, query, *, allow\n'
    const parsed = parsePolicy([{ name: 'p.csv', text: `${granted}g, group:a, role:analyst\n${text}` }])
    assert.ok(parsed.ok, JSON.stringify(parsed))
    assert.equal(parsed.value.limits.length, 4)
  })
})
