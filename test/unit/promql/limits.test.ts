import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultLimits } from '../../../src/promql/limits.ts'
import { rewriteQuery, rewriteSelector } from '../../../src/promql/rewrite.ts'
import type { Alternative, Limits, Scope } from '../../../src/promql/rewrite.ts'

const namespace: Alternative = { label: 'namespace', allow: ['a'], deny: [] }
const scope: Scope = { kind: 'labels', alternatives: [namespace] }

function outcome(text: string, limits: Partial<Limits> = {}, of: Scope = scope): string {
  const result = rewriteQuery(text, of, { ...defaultLimits, ...limits })
  return result.ok ? 'ok' : result.error.reason
}

/** Below and at the limit it passes, above it is refused. */
function edge(make: (size: number) => string, limit: keyof Limits, at = defaultLimits[limit]): void {
  assert.equal(outcome(make(at - 1), { [limit]: at }), 'ok', 'below')
  assert.equal(outcome(make(at), { [limit]: at }), 'ok', 'at')
  assert.equal(outcome(make(at + 1), { [limit]: at }), 'limit', 'above')
}

describe('limits', () => {
  it('length', () => {
    edge((size) => `"${'x'.repeat(size - 2)}"`, 'length')
    edge((size) => `1${' '.repeat(size - 1)}`, 'length', 10)
    const selector = rewriteSelector(`a#${'x'.repeat(defaultLimits.length)}`, scope)
    assert.ok(!selector.ok && selector.error.reason === 'limit')
  })

  it('depth, however the nesting is made', () => {
    const pair = (open: string, inner: string, close: string) => (size: number) =>
      open.repeat(size) + inner + close.repeat(size)
    edge(pair('(', '1', ')'), 'depth')
    edge(pair('-', '1', ''), 'depth')
    edge(pair('abs(', 'up', ')'), 'depth')
    edge(pair('sum by (x) (', 'up', ')'), 'depth')
    edge(pair('1^', '1', ''), 'depth')
    edge((size) => `up[${'('.repeat(size)}5m${')'.repeat(size)}]`, 'depth')
    edge((size) => `up offset ${'max_of(1, '.repeat(size)}5m${')'.repeat(size)}`, 'depth')
  })

  it('depth is given back after each level', () => {
    assert.equal(outcome(Array.from({ length: 300 }, () => '(1)').join('+')), 'ok')
    assert.equal(outcome(`label_join(up, "a", "b"${', ("c")'.repeat(300)})`), 'ok')
  })

  it('selectors', () => {
    edge((size) => Array.from({ length: size }, () => 'a').join('+'), 'selectors')
  })

  it('alternatives of a scope', () => {
    const of = (count: number): Scope => {
      const rest = Array.from({ length: count - 1 }, (_, index) => ({ ...namespace, label: `l${index}` }))
      return { kind: 'labels', alternatives: [namespace, ...rest] }
    }
    assert.equal(outcome('up', {}, of(defaultLimits.alternatives - 1)), 'ok')
    assert.equal(outcome('up', {}, of(defaultLimits.alternatives)), 'ok')
    assert.equal(outcome('up', {}, of(defaultLimits.alternatives + 1)), 'internal')
  })

  it('size of the injected regular expression', () => {
    const of = (count: number): Scope => {
      const allow = Array.from({ length: count }, (_, index) => `n${String(index).padStart(4, '0')}`)
      return { kind: 'labels', alternatives: [{ ...namespace, allow }] }
    }
    // Each name has 5 characters and all but the last a bar.
    const injected = 5 * 10 + 9
    assert.equal(outcome('up', { injected }, of(9)), 'ok')
    assert.equal(outcome('up', { injected }, of(10)), 'ok')
    assert.equal(outcome('up', { injected }, of(11)), 'limit')
    assert.equal(outcome('up', {}, of(1000)), 'ok')
  })

  it('size of what is sent', () => {
    const sent = 'up{namespace=~"a"}'.length
    assert.equal(outcome('up', { sent: sent + 1 }), 'ok')
    assert.equal(outcome('up', { sent }), 'ok')
    assert.equal(outcome('up', { sent: sent - 1 }), 'limit')
  })

  it('a union cannot be made to double without end', () => {
    const union: Scope = { kind: 'labels', alternatives: [namespace, { ...namespace, label: 'dst' }] }
    const nested = (depth: number): string =>
      `${'quantile_over_time(scalar('.repeat(depth)}up${'), x[5m])'.repeat(depth)}`
    assert.equal(outcome(nested(3), {}, union), 'ok')
    assert.equal(outcome(nested(60), {}, union), 'limit')
  })
})

describe('long texts that are no deep trees', () => {
  const long: Record<string, string> = {
    additions: `1${'+1'.repeat(30_000)}`,
    'set operators': `up${' or up'.repeat(500)}`,
    'alternating precedence': `1${'+1*2'.repeat(15_000)}`,
    arguments: `label_join(up, "a", "b"${',"c"'.repeat(15_000)})`,
    labels: `sum by (${'a,'.repeat(30_000)}) (up)`,
    matchers: `up{${'a="b",'.repeat(10_000)}}`,
    'matchers on the label of the scope': `up{${'namespace="a",'.repeat(4000)}}`,
    'duration additions': `up[1${'+1'.repeat(30_000)}]`,
    'duration signs': `up offset ${'-'.repeat(60_000)}1`,
  }
  for (const [name, text] of Object.entries(long)) {
    it(`${name} pass`, () => assert.equal(outcome(text), 'ok'))
  }

  const hostile: Record<string, [string, RegExp]> = {
    'opening parentheses': ['('.repeat(65_000), /^limit$/],
    'opening braces': ['{'.repeat(65_000), /^syntax$/],
    'opening brackets': ['a['.repeat(30_000), /^syntax$/],
    quotes: ['"'.repeat(65_001), /^syntax$/],
    signs: ['-'.repeat(65_000), /^limit$/],
    calls: ['abs('.repeat(16_000), /^limit$/],
    powers: [`1${'^1'.repeat(30_000)}`, /^limit$/],
    subqueries: [`up${'[5m:]'.repeat(13_000)}`, /^type$/],
    'groups in a regular expression': [`{a=~"${'('.repeat(60_000)}"}`, /^type$/],
    'classes in a regular expression': [`{a=~"${'['.repeat(60_000)}"}`, /^type$/],
    'repeats in a regular expression': [`{a=~"${'{1'.repeat(30_000)}?"}`, /^ok$/],
    digits: [`${'1'.repeat(65_000)}x`, /^syntax$/],
    'one long unknown name': [`${'x'.repeat(65_000)}(1)`, /^unknown_name$/],
  }
  for (const [name, [text, wanted]] of Object.entries(hostile)) {
    it(`${name} do no harm`, () => assert.match(outcome(text), wanted))
  }
})
