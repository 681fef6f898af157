import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { defaultQueryLimits } from '../../src/policy/limits.ts'
import type { QueryLimits } from '../../src/policy/query-limits.ts'
import type { Scope } from '../../src/policy/scope.ts'
import { overLimit } from '../../src/prometheus/budget.ts'
import { findEndpoint } from '../../src/prometheus/endpoints.ts'
import type { Params } from '../../src/prometheus/params.ts'
import { encodeReadRequest } from '../../src/prometheus/remote-read.ts'
import type { ReadHints, ReadQuery } from '../../src/prometheus/remote-read.ts'
import { rewrite } from '../../src/prometheus/rewrite.ts'
import type { RewriteRefusal, ScopedRequest } from '../../src/prometheus/rewrite.ts'
import type { Result } from '../../src/result.ts'

const hour = 3600
const day = 24 * hour
const at = 1_795_140_000

const everything: Scope = { kind: 'everything' }
/** A selector becomes two. */
const both: Scope = {
  kind: 'labels',
  alternatives: [
    { label: 'namespace', allow: ['a'], deny: [] },
    { label: 'dst_namespace', allow: ['a'], deny: [] },
  ],
}

interface Asking {
  readonly limits?: Partial<QueryLimits>
  readonly scope?: Scope
  readonly body?: Uint8Array
}

function ask(
  path: string,
  params: Readonly<Record<string, string>> | Params,
  { limits = {}, scope = everything, body = Buffer.alloc(0) }: Asking = {},
): Result<ScopedRequest, RewriteRefusal> {
  const found = findEndpoint(`/api/v1/${path}`) ?? assert.fail(path)
  const listed: Params = Array.isArray(params) ? params : Object.entries(params)
  return rewrite(found, { params: listed, body }, { scope, limits: { ...defaultQueryLimits, ...limits } })
}

/** Which limit was passed, with the sentence; '' where none was. */
function over(asked: Result<ScopedRequest, RewriteRefusal>): string {
  if (asked.ok) return ''
  assert.equal(asked.error.is, 'over_limit', JSON.stringify(asked.error))
  return asked.error.is === 'over_limit' ? `${asked.error.limit}: ${asked.error.message}` : ''
}

const assertOver = (asked: Result<ScopedRequest, RewriteRefusal>, words: RegExp): void =>
  assert.match(over(asked), words)
const assertGood = (asked: Result<ScopedRequest, RewriteRefusal>): void => assert.equal(over(asked), '')

const ranged = (
  start: number | string,
  end: number | string,
  step: number | string,
  query = 'up',
): Record<string, string> => ({
  query,
  start: String(start),
  end: String(end),
  step: String(step),
})

describe('range', () => {
  const limits = { range: day }
  it('is from start to end, whichever comes first, as numbers or as RFC 3339', () => {
    assertGood(ask('query_range', ranged(at, at + day, 60), { limits }))
    assertOver(
      ask('query_range', ranged(at, at + day + 1, 60), { limits }),
      /^range: your limit "range" is 1d, and this is 1d1s: /,
    )
    assertOver(ask('query_range', ranged(at + 2 * day, at, 60), { limits }), /this is 2d: choose a shorter time/)
    assertOver(ask('query_range', ranged('2026-11-20T00:00:00Z', '2026-11-21T00:00:01+00:00', 60), { limits }), /1d1s/)
    assertGood(ask('query_range', ranged('2026-11-20T00:00:00Z', '2026-11-21T01:00:00+01:00', 60), { limits }))
    assertOver(ask('query_range', ranged('2026-11-20T00:00:00.5Z', at * 2, 60), { limits }), /^range/)
  })
  it('is beyond every limit where a time has no end, or is none', () => {
    for (const [start, end] of [
      ['-292273086-05-16T16:47:06Z', '292277025-08-18T07:12:54.999999999Z'],
      ['0', '9e99'],
      ['1e999', '1e999'],
      ['9999-99-99T99:99:99Z', '0'],
    ] as const) {
      assertOver(ask('query_range', ranged(start, end, 60)), /^range: your limit "range" is 400d, and this is /)
    }
  })
  it('is a range between brackets as well, added to what is around it', () => {
    for (const query of [
      'rate(up[2d])',
      'max_over_time(up[2d:1h])',
      'max_over_time(rate(up[13h])[12h:1h])',
      'up[25h]',
    ]) {
      assertOver(ask('query', { query }, { limits }), /^range/)
    }
    assertGood(ask('query', { query: 'rate(up[1d])' }, { limits }))
    assertGood(ask('query_range', ranged(at, at + 12 * hour, 60, 'rate(up[12h])'), { limits }))
    assertOver(ask('query_range', ranged(at, at + 12 * hour, 60, 'rate(up[13h])'), { limits }), /this is 1d1h/)
  })
  it('is computed from the step where the query says so', () => {
    assertGood(ask('query_range', ranged(at, at + hour, hour, 'rate(up[step() * 23])'), { limits }))
    assertOver(ask('query_range', ranged(at, at + hour, hour, 'rate(up[step() * 24])'), { limits }), /this is 1d1h/)
    assertOver(ask('query_range', ranged(at, at + hour, '1h', 'rate(up[range() * 24])'), { limits }), /this is 1d1h/)
  })
  it('is how far back a selector may look, where the caller says so', () => {
    assertOver(ask('query', { query: 'up', lookback_delta: '2d' }, { limits }), /this is 2d/)
    assertOver(ask('query', { query: 'rate(up[23h])', lookback_delta: '7200' }, { limits }), /this is 1d1h/)
    assertGood(ask('query', { query: 'rate(up[1d])', lookback_delta: '-5' }, { limits }))
  })
  it('is not where a query looks: offset and @ move it', () => {
    assertGood(ask('query', { query: 'up offset 1y', time: '0' }, { limits }))
    assertGood(ask('query_range', ranged(at, at + day, 60, 'up @ 0 offset 1y'), { limits }))
  })
  it('is not of names, values and exemplars: they read no samples', () => {
    const times = { start: '0', end: String(at) }
    for (const path of ['labels', 'series', 'label/pod/values']) {
      assertGood(ask(path, { 'match[]': 'up', ...times }, { limits }))
    }
    assertGood(ask('query_exemplars', { query: 'rate(up[9d])', ...times }, { limits }))
  })
})

describe('points', () => {
  const limits = { points: 10 }
  it('are counted as Prometheus counts them: the steps between start and end', () => {
    assertGood(ask('query_range', ranged(0, 100, 10), { limits }))
    assertGood(ask('query_range', ranged(0, 109.9, 10), { limits }))
    assertOver(
      ask('query_range', ranged(0, 110, 10), { limits }),
      /^points: your limit "points" is 10, and this is 11: choose a longer step or a shorter time, or ask/,
    )
    assertGood(ask('query_range', ranged(0, 11_000, 1)))
    assertOver(ask('query_range', ranged(0, 11_001, 1)), /^points/)
  })
  it('are the same however the step is written', () => {
    for (const step of ['1h', '3600', '3.6e3', '60m', '3600000ms', '3600s', '+3600.0']) {
      assertGood(ask('query_range', ranged(0, 10 * hour, step), { limits }))
      assertOver(ask('query_range', ranged(0, 11 * hour, step), { limits }), /this is 11/)
    }
  })
  it('are those of whole milliseconds, which the engine works with', () => {
    assertGood(ask('query_range', ranged(0, 0.01, '1ms'), { limits }))
    assertOver(ask('query_range', ranged(0, 0.011, '1ms'), { limits }), /this is 11/)
    assertOver(ask('query_range', ranged(0, 0.011, 0.0019), { limits }), /this is 11/)
    assertOver(ask('query_range', ranged(0, 1, '1e-9'), { limits }), /^points: .* and this is more:/)
    assertOver(ask('query_range', ranged(0, 0, '0.0001'), { limits }), /^points/)
  })
  it('of a step that goes nowhere or backwards are left to Prometheus, which refuses it', () => {
    for (const step of ['0', '-1', '-1e-9']) assertGood(ask('query_range', ranged(0, 1000, step), { limits }))
  })
  it('need a start, an end and a step', () => {
    for (const missing of ['start', 'end', 'step']) {
      const asked = ask('query_range', { ...ranged(0, 1, 1), [missing]: '' })
      const refusal = { param: missing, message: `the parameter "${missing}" is missing` }
      assert.deepEqual(asked, { ok: false, error: { is: 'bad_parameter', refusal } })
    }
  })
  it('and range let through whatever Prometheus takes, and what is within them', () => {
    const steps = fc.integer({ min: 1, max: 3000 })
    fc.assert(
      fc.property(fc.nat(at), steps, steps, (start, step, count) => {
        const [end, range] = [start + step * count, step * count]
        assertGood(ask('query_range', ranged(start, end, step), { limits: { range, points: count } }))
        assertOver(ask('query_range', ranged(start, end, step), { limits: { range: range - 1 } }), /^range/)
        if (count > 1) {
          assertOver(ask('query_range', ranged(start, end, step), { limits: { range, points: count - 1 } }), /^points/)
        }
      }),
    )
  })
})

describe('selectors', () => {
  const limits = { selectors: 3 }
  const matches = (count: number): Params => Array.from({ length: count }, () => ['match[]', 'up'] as const)
  it('are those of the query', () => {
    assertGood(ask('query', { query: 'a + b + sum(c)' }, { limits }))
    assertOver(
      ask('query', { query: 'a + b + sum(c) + d' }, { limits }),
      /^selectors: your limit "selectors" is 3, and this is 4: /,
    )
    assertOver(ask('query_range', ranged(0, 1, 1, 'a + b + c + d'), { limits }), /^selectors/)
    assertOver(ask('query_exemplars', { query: 'a + b + c + d' }, { limits }), /^selectors/)
  })
  it('are what Prometheus is asked for: a scope of two labels doubles them', () => {
    assertGood(ask('query', { query: 'a' }, { limits, scope: both }))
    assertOver(ask('query', { query: 'a + b' }, { limits, scope: both }), /this is 4/)
    assertOver(ask('query', { query: 'rate(a[5m]) + b' }, { limits, scope: both }), /this is 4/)
    assertOver(ask('labels', matches(2), { limits, scope: both }), /this is 4/)
    assertOver(ask('labels', {}, { limits: { selectors: 1 }, scope: both }), /this is 2/)
  })
  it('are the match[] of a request, on every endpoint that takes them', () => {
    for (const path of ['series', 'labels', 'label/pod/values', 'search/metric_names', 'rules']) {
      assertGood(ask(path, matches(3), { limits }))
      assertOver(ask(path, matches(4), { limits }), /^selectors: .* is 3, and this is 4/)
    }
  })
  it('of a text that is only looked at do not count, nor does anything else in it', () => {
    const query = 'a + b + c + rate(d[9y])'
    assertGood(ask('format_query', { query }, { limits: { ...limits, range: 1 } }))
    assertGood(ask('parse_query', { query }, { limits: { ...limits, range: 1 } }))
  })
  it('and ranges of a long chain are counted without end of stack', () => {
    const query = Array.from({ length: 500 }, (_, index) => `rate(m${index}[1h])`).join(' + ')
    assertGood(ask('query', { query }))
    assertOver(ask('query', { query }, { scope: both }), /this is 1000/)
  })
})

describe('a remote read', () => {
  const limits = { range: day, selectors: 2 }
  const read = (...queries: readonly ReadQuery[]): Result<ScopedRequest, RewriteRefusal> =>
    ask('read', {}, { limits, body: encodeReadRequest({ queries, responseTypes: [] }) })
  const query = (start: bigint, end: bigint, hints?: Partial<ReadHints>): ReadQuery => {
    const none: ReadHints = { step: 0n, func: '', start, end, grouping: [], by: false, range: 0n }
    const matchers = [{ label: '__name__', op: '=', value: 'up' } as const]
    return { start, end, matchers, ...(hints === undefined ? {} : { hints: { ...none, ...hints } }) }
  }
  const [from, until] = [BigInt(at) * 1000n, BigInt(at + day) * 1000n]
  it('is measured from its start to its end', () => {
    assertGood(read(query(from, until)))
    assertOver(read(query(from, until + 1n)), /^range: your limit "range" is 1d, and this is 1d1s/)
    assertOver(read(query(until + 1n, from)), /^range/)
    assertOver(read(query(-(2n ** 63n), 2n ** 63n - 1n)), /^range/)
    assertOver(read(query(from, from), query(0n, until)), /^range/)
  })
  it('is measured by its hints as well, by which a storage may read, and whatever they say that it is for', () => {
    assertGood(read(query(from, until, {})))
    assertOver(read(query(from, until, { start: 0n })), /^range/)
    assertOver(read(query(from, from, { end: until + 1n })), /^range/)
    assertOver(read(query(0n, until, { start: from, func: 'series' })), /^range/)
  })
  it('has as many selectors as queries', () => {
    assertGood(read(query(from, until), query(from, until)))
    assertOver(read(query(from, until), query(from, until), query(from, until)), /^selectors: .* and this is 3/)
  })
})

describe('the timeout that is sent', () => {
  const sent = (asked: string | null, timeout: number, path = 'query'): string | undefined => {
    const times = path === 'query' ? {} : { start: '0', end: '1', step: '1' }
    const built = ask(
      path,
      { query: 'up', ...times, ...(asked === null ? {} : { timeout: asked }) },
      { limits: { timeout } },
    )
    assert.ok(built.ok)
    return built.value.params.find(([name]) => name === 'timeout')?.[1]
  }
  for (const path of ['query', 'query_range']) {
    it(`with ${path} is the lesser of what is asked and the limit`, () => {
      assert.equal(sent('10s', 30, path), '10s')
      assert.equal(sent('30', 30, path), '30')
      assert.equal(sent('31', 30, path), '30s')
      assert.equal(sent('1h', 30, path), '30s')
      assert.equal(sent('1e9', 30, path), '30s')
      assert.equal(sent('9e999', 30, path), '30s')
      assert.equal(sent('99999999999999999999y', 30, path), '30s')
      assert.equal(sent('1m', 300, path), '1m')
      assert.equal(sent('1h', 300, path), '300s')
    })
    it(`with ${path} is the limit where nothing is asked and Prometheus's own is longer`, () => {
      assert.equal(sent(null, 30, path), '30s')
      assert.equal(sent('', 30, path), '30s')
      assert.equal(sent(null, 120, path), undefined)
    })
  }
  it('is none where Prometheus has no use for it', () => {
    const built = ask('labels', { timeout: '1h' }, { limits: { timeout: 1 } })
    assert.ok(built.ok)
    assert.deepEqual(built.value.params, [])
  })
})

describe('what is within the limits', () => {
  it('is sent as it would be without any', () => {
    for (const [path, params] of [
      ['query', { query: 'rate(up[5m])', time: '4', timeout: '10s', limit: '3' }],
      ['query_range', ranged(at, at + day, '1m', 'sum(rate(up[5m]))')],
      ['series', { 'match[]': 'up', start: '1' }],
    ] as const) {
      const unlimited = Object.fromEntries(Object.keys(defaultQueryLimits).map((name) => [name, Number.MAX_VALUE]))
      assert.deepEqual(ask(path, params), ask(path, params, { limits: unlimited }))
    }
  })
})

describe('the sentence', () => {
  it('names the limit, what was asked, and a remedy', () => {
    assert.equal(
      overLimit('bytes', 1500, 1000).message,
      'your limit "bytes" is 1000 bytes, and this is 1500 bytes: ask for fewer series or points, or ask for a higher limit in the policy',
    )
  })
})
