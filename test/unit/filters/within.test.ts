// Which expressions of others somebody may read.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Alternative, Scope } from '../../../src/promql/rewrite.ts'
import { labelsWithin, readsNothing, withinScope } from '../../../src/promql/within.ts'

const scopeOf = (...alternatives: [Alternative, ...Alternative[]]): Scope => ({ kind: 'labels', alternatives })
const team = scopeOf({ label: 'namespace', allow: ['a', 'team-*'], deny: ['team-secret'] })
const either = scopeOf(
  { label: 'namespace', allow: ['a'], deny: [] },
  { label: 'dst_namespace', allow: ['b'], deny: [] },
)
const everything: Scope = { kind: 'everything' }
const nothing: Scope = { kind: 'nothing' }

describe('an expression is within a scope', () => {
  const within = [
    'up{namespace="a"}',
    'up{"namespace"="a"}',
    '{__name__="up", namespace=\'a\'}',
    'up{namespace=~"a"}',
    'up{namespace=~"a|team-x"}',
    'up{namespace=~"(a|team-x)"}',
    String.raw`up{namespace=~"team\\-x"}`,
    'up{namespace="a", namespace=~".*"}',
    'up{namespace="a", namespace!="b"}',
    'sum by (pod) (rate(up{namespace="team-x"}[5m])) / on () group_left () sum(up{namespace="a"}) > 0.5',
    'topk(scalar(count(up{namespace="a"})), up{namespace="a"})',
    'max_over_time(sum(up{namespace="a"})[30m:5m])',
    'absent(up{namespace="a"})',
    'up{namespace="a"} # or up',
    'vector(1) unless up{namespace="a"}',
  ]
  for (const text of within)
    it(`when each selector says so: ${text}`, () => assert.equal(withinScope(text, team), true))

  const beyond = [
    'up',
    'up{}',
    'up{namespace="b"}',
    'up{namespace="team-secret"}',
    'up{namespace=""}',
    'up{namespace!=""}',
    'up{namespace!="b"}',
    'up{namespace!~"b"}',
    'up{namespace=~"a|b"}',
    'up{namespace=~"a|"}',
    'up{namespace=~""}',
    'up{namespace=~"team-.*"}',
    'up{namespace=~"a.?"}',
    'up{namespace=~"(?i)a"}',
    'up{namespace=~"(a)|(b)"}',
    'up{dst_namespace="a"}',
    'up{exported_namespace="a"}',
    'up{namespace="a"} or up',
    'up{namespace="a"} and on () up{namespace="b"}',
    'topk(scalar(count(up)), up{namespace="a"})',
    'count_over_time(up[5m]) > count_over_time(up{namespace="a"}[5m])',
    'sum_over_time(sum(up)[5m:1m] @ end()) + up{namespace="a"}',
    'ALERTS{alertname="a"}',
  ]
  for (const text of beyond) it(`but not ${text}`, () => assert.equal(withinScope(text, team), false))

  it('but not when it cannot be read, or calls what reads series that no selector names', () => {
    for (const text of ['', 'up{namespace="a"', 'no_such_function(up{namespace="a"})', 'info(up{namespace="a"})']) {
      assert.equal(withinScope(text, team), false, text)
    }
  })

  it('but not when it reads nothing: that belongs to nobody', () => {
    for (const text of ['vector(1)', '1 + 1', 'time()', '"up{namespace=\\"a\\"}"']) {
      assert.equal(withinScope(text, team), false, text)
      assert.equal(readsNothing(text), true, text)
    }
    for (const text of ['up', 'vector(1) or up', 'vector(', '']) assert.equal(readsNothing(text), false, text)
  })

  it('by any of its alternatives, and by values that only several of them together permit', () => {
    const twice = scopeOf(
      { label: 'namespace', allow: ['a*'], deny: ['a-secret'] },
      { label: 'namespace', allow: ['b', 'a-secret'], deny: [] },
    )
    assert.equal(withinScope('up{namespace="a"} + up{dst_namespace="b"}', either), true)
    assert.equal(withinScope('up{namespace="b"}', either), false)
    assert.equal(withinScope('up{dst_namespace="a"}', either), false)
    assert.equal(withinScope('up{namespace=~"a1|b|a-secret"}', twice), true)
    assert.equal(withinScope('up{namespace=~"a1|b1"}', twice), false)
  })

  it('of everything always, of nothing never', () => {
    for (const text of ['up', 'vector(1)', 'not PromQL (']) {
      assert.equal(withinScope(text, everything), true)
      assert.equal(withinScope(text, nothing), false)
    }
    assert.equal(withinScope('up{namespace="a"}', nothing), false)
  })

  it('by the alternatives of the family that its metric belongs to, if it names one', () => {
    const families: Scope = {
      kind: 'labels',
      alternatives: [{ label: 'namespace', allow: ['a'], deny: [] }],
      families: [{ metrics: 'route_*', alternatives: [{ label: 'dst', allow: ['a'], deny: [] }] }],
    }
    assert.equal(withinScope('route_total{dst="a"}', families), true)
    assert.equal(withinScope('{__name__="route_total", dst="a"}', families), true)
    assert.equal(withinScope('route_total{namespace="a"}', families), false)
    assert.equal(withinScope('{__name__=~"route_.*", dst="a"}', families), false)
    assert.equal(withinScope('up{dst="a"}', families), false)
    assert.equal(labelsWithin({ dst: 'a' }, families), false)
    assert.equal(labelsWithin({ __name__: 'route_total', dst: 'a' }, families), false)
    assert.equal(labelsWithin({ namespace: 'a' }, families), true)
  })

  it('and a scope that cannot be used is an error, never a yes', () => {
    const bad = scopeOf({ label: 'not a label', allow: ['a'], deny: [] })
    const unused: Scope = { kind: 'labels', alternatives: [{ label: 'namespace', allow: [], deny: [] }] }
    for (const scope of [bad, unused]) {
      assert.throws(() => withinScope('up{namespace="a"}', scope), TypeError)
      assert.throws(() => labelsWithin({ namespace: 'a' }, scope), TypeError)
    }
  })
})

describe('a random expression that is within a scope', () => {
  const values = ['', 'a', 'b', 'team-x', 'team-secret']
  const series = values.flatMap((namespace) => values.map((dst) => ({ namespace, dst_namespace: dst })))
  const regexes = [...values, 'a|b', 'a|team-x', '(a|b)', '.*', '.+', 'team-.*', 'a|', '[ab]', 'b?']
  const matcher = fc.record({
    label: fc.constantFrom('namespace', 'dst_namespace'),
    op: fc.constantFrom('=', '!=', '=~', '!~'),
    value: fc.constantFrom(...regexes),
  })
  type Matcher = typeof matcher extends fc.Arbitrary<infer T> ? T : never

  function holds({ label, op, value }: Matcher, labels: Readonly<Record<string, string>>): boolean {
    const own = labels[label] ?? ''
    const same = op.endsWith('~') ? new RegExp(`^(?:${value})$`).test(own) : own === value
    return op.startsWith('!') ? !same : same
  }

  it('matches no series out of it', () => {
    let seen = 0
    fc.assert(
      fc.property(fc.array(matcher, { maxLength: 3 }), fc.constantFrom(team, either), (matchers, scope) => {
        const text = `up{${matchers.map(({ label, op, value }) => `${label}${op}"${value}"`).join(',')}}`
        if (!withinScope(text, scope)) return
        seen++
        for (const labels of series.filter((one) => matchers.every((matcher) => holds(matcher, one)))) {
          const present = Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''))
          assert.ok(labelsWithin(present, scope), `${text} matches ${JSON.stringify(present)}`)
        }
      }),
      { numRuns: 2000 },
    )
    assert.ok(seen > 50, `only ${seen} were within`)
  })
})
