import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { defaultLimits } from '../../../src/promql/limits.ts'
import { parse } from '../../../src/promql/parser.ts'
import { rewriteQuery, rewriteSelector, scopeSelector } from '../../../src/promql/rewrite.ts'
import type { Alternative, Family, Scope } from '../../../src/promql/rewrite.ts'
import type { Matcher } from '../../../src/promql/tree.ts'
import { verify } from '../../../src/promql/verify.ts'

const on = (label: string, ...allow: string[]): Alternative => ({ label, allow, deny: [] })
const scopeOf = (alternatives: readonly [Alternative, ...Alternative[]], families: readonly Family[]): Scope => ({
  kind: 'labels',
  alternatives,
  families,
})

const route: Family = { metrics: 'route_*', alternatives: [on('dst', '*.a.svc.*')] }
const inbound: Family = { metrics: 'inbound_*', alternatives: [on('namespace', 'a')] }
const both: Family = { metrics: 'outbound_*_route_*', alternatives: [on('namespace', 'a'), on('parent', 'a')] }
const mine = scopeOf([on('namespace', 'a'), on('dst_namespace', 'a')], [route, inbound, both])

function sent(text: string, scope: Scope = mine): string {
  const result = rewriteQuery(text, scope)
  assert.ok(result.ok, `${text}: ${result.ok ? '' : result.error.message}`)
  return result.value.sent
}

const usual = (rest = ''): string => `({namespace=~"a"${rest}} or {dst_namespace=~"a",namespace!~"a"${rest}})`
const dst = 'dst=~".*\\\\.a\\\\.svc\\\\..*"'

describe('families of metrics', () => {
  const cases: Record<string, string> = {
    route_total: `route_total{${dst}}`,
    'rate(route_total[5m])': `rate(route_total{${dst}}[5m])`,
    inbound_total: 'inbound_total{namespace=~"a"}',
    outbound_http_route_total:
      '(outbound_http_route_total{namespace=~"a"} or outbound_http_route_total{parent=~"a",namespace!~"a"})',
    up: '(up{namespace=~"a"} or up{dst_namespace=~"a",namespace!~"a"})',
    xroute_total: '(xroute_total{namespace=~"a"} or xroute_total{dst_namespace=~"a",namespace!~"a"})',
    '{__name__="route_total"}': `{${dst},__name__="route_total"}`,
    '{"route_total"}': `{${dst},__name__="route_total"}`,
    '{"route_\\u0074otal"}': `{${dst},__name__="route_total"}`,
    '{__name__="route_total",__name__=~".+"}': `{${dst},__name__="route_total",__name__=~".+"}`,
    '{__name__="route_a",__name__="route_a"}': `{${dst},__name__="route_a",__name__="route_a"}`,
    '{__name__=~"route_.*"}': usual(',__name__=~"route_.*"'),
    '{__name__=~"route_total"}': usual(',__name__=~"route_total"'),
    '{job="x"}': usual(',job="x"'),
    'route_x / up': `route_x{${dst}} / (up{namespace=~"a"} or up{dst_namespace=~"a",namespace!~"a"})`,
    'quantile_over_time(scalar(up), route_x[5m])': `quantile_over_time(scalar((up{namespace=~"a"} or up{dst_namespace=~"a",namespace!~"a"})), route_x{${dst}}[5m])`,
  }
  for (const [text, wanted] of Object.entries(cases)) {
    it(`decide for ${text}`, () => assert.equal(sent(text), wanted))
  }

  it('the first that matches decides', () => {
    const wide: Family = { metrics: '*', alternatives: [on('zone', 'z')] }
    assert.equal(sent('route_x', scopeOf([on('n', 'a')], [route, wide])), `route_x{${dst}}`)
    assert.equal(sent('route_x', scopeOf([on('n', 'a')], [wide, route])), 'route_x{zone=~"z"}')
    assert.equal(sent('{job="x"}', scopeOf([on('n', 'a')], [wide])), '{n=~"a",job="x"}')
  })

  it('narrow what a selector lists by their own labels', () => {
    assert.equal(sent('inbound_x{namespace="a"}'), 'inbound_x{namespace=~"a",namespace="a"}')
    assert.equal(sent('inbound_x{dst_namespace="z"}'), 'inbound_x{namespace=~"a",dst_namespace="z"}')
    const theirs = rewriteQuery('inbound_x{namespace="z"}', mine)
    assert.ok(!theirs.ok && theirs.error.reason === 'not_allowed')
  })

  it('decide for match[] too; the scope itself names no metric', () => {
    const selector = rewriteSelector('route_x', mine)
    assert.deepEqual(selector.ok && selector.value.sent, [`route_x{${dst}}`])
    assert.deepEqual(scopeSelector(mine), ['{namespace=~"a"}', '{dst_namespace=~"a"}'])
  })

  it('everything denied in one is no right to its metrics, and to no other', () => {
    const scope = scopeOf(
      [on('n', 'a')],
      [{ metrics: 'x_*', alternatives: [{ label: 'n', allow: ['a'], deny: ['*'] }] }],
    )
    const refused = rewriteQuery('x_1', scope)
    assert.ok(!refused.ok && refused.error.reason === 'no_rights')
    assert.equal(sent('y_1', scope), 'y_1{n=~"a"}')
  })

  it('that cannot be used make the scope unusable, whatever is asked', () => {
    const bad: [string, Family][] = [
      ['no pattern', { metrics: '', alternatives: [on('n', 'a')] }],
      ['a regular expression', { metrics: 'a|b', alternatives: [on('n', 'a')] }],
      ['an empty allow', { metrics: 'x', alternatives: [on('n')] }],
      ['the name as label', { metrics: 'x', alternatives: [on('__name__', 'a')] }],
    ]
    for (const [name, family] of bad) {
      const result = rewriteQuery('up', scopeOf([on('n', 'a')], [family]))
      assert.ok(!result.ok && result.error.reason === 'internal', name)
    }
  })
})

describe('the self-check', () => {
  const pass = [
    `route_x{${dst}}`,
    `{${dst},__name__="route_x"}`,
    'up{dst_namespace=~"a"}',
    '{dst_namespace=~"a",__name__=~"route_.*"}',
    '{namespace=~"a",__name__="route_x",__name__="up"}',
  ]
  const fail = [
    'route_x{namespace=~"a"}',
    'route_x{dst_namespace=~"a"}',
    '{namespace=~"a",__name__="route_x"}',
    'inbound_x{dst_namespace=~"a"}',
    `up{${dst}}`,
    `{${dst},__name__=~"route_.*"}`,
    `{${dst},__name__!="route_x"}`,
    `{${dst},__name__="route_x",__name__="up"}`,
    `{${dst},__name__="",__name__="route_x"}`,
    `{${dst}}`,
  ]
  for (const text of pass) it(`lets ${text} pass`, () => verify(text, mine, defaultLimits))
  for (const text of fail) {
    it(`refuses ${text}`, () => assert.throws(() => verify(text, mine, defaultLimits), /nothing was sent/))
  }

  it('does not take what it allowed for one family as allowed for another', () => {
    verify('up{dst_namespace=~"a"}', mine, defaultLimits)
    assert.throws(() => verify('inbound_x{dst_namespace=~"a"}', mine, defaultLimits), /nothing was sent/)
    verify('up{dst_namespace=~"a"}', mine, defaultLimits)
  })
})

describe('any selector', () => {
  const names = ['up', 'route_x', 'inbound_x', 'in_route_x']
  const name = fc.constantFrom(...names)
  const value = fc.constantFrom('a', 'b', 'a|b', 'z')
  const nameMatcher = fc.tuple(fc.constantFrom('=', '!=', '=~', '!~'), name).map(([op, one]) => `__name__${op}"${one}"`)
  const other = fc
    .tuple(fc.constantFrom('namespace', 'dst', 'job'), fc.constantFrom('=', '=~', '!~'), value)
    .map(([label, op, one]) => `${label}${op}"${one}"`)
  const bare = fc.tuple(name, fc.array(other, { maxLength: 2 })).map(([one, list]) => `${one}{${list.join(',')}}`)
  const inBraces = fc
    .tuple(fc.array(nameMatcher, { minLength: 1, maxLength: 3 }), fc.array(other, { maxLength: 2 }))
    .map(([list, more]) => `{job=~".+",${[...list, ...more].join(',')}}`)
  const alternative = fc
    .tuple(fc.constantFrom('namespace', 'dst'), fc.subarray(['a', 'b', 'c*'], { minLength: 1 }))
    .map(([label, allow]) => on(label, ...allow))
  const alternatives = fc
    .tuple(alternative, fc.array(alternative, { maxLength: 1 }))
    .map(([first, rest]): readonly [Alternative, ...Alternative[]] => [first, ...rest])
  const family = fc
    .tuple(fc.constantFrom('route_*', 'in*', '*route*', 'up', '*'), alternatives)
    .map(([metrics, list]): Family => ({ metrics, alternatives: list }))
  const scope = fc
    .tuple(alternatives, fc.array(family, { maxLength: 3 }))
    .map(([list, families]) => scopeOf(list, families))

  type Series = Readonly<Record<string, string>>
  const values = ['', 'a', 'b', 'c1', 'z']
  const universe: readonly Series[] = names.flatMap((__name__) =>
    values.flatMap((namespace) => values.map((dst) => ({ __name__, namespace, dst, job: 'j' }))),
  )
  const holds = (series: Series, { label, op, value }: Matcher): boolean => {
    const own = series[label] ?? ''
    const equal = op === '=' || op === '!=' ? own === value : new RegExp(`^(?:${value})$`).test(own)
    return op.startsWith('!') ? !equal : equal
  }
  const like = (pattern: string, text: string): boolean =>
    text !== '' && new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(text)
  const within = (series: Series, list: readonly Alternative[]): boolean =>
    list.some(({ label, allow }) => allow.some((one) => like(one, series[label] ?? '')))

  it('shows exactly the series that its own family, or for want of a name the scope, allows', () => {
    fc.assert(
      fc.property(fc.oneof(bare, inBraces), scope, (text, mine) => {
        assert.ok(mine.kind === 'labels')
        const asked = parse(text, defaultLimits).selectors[0]
        assert.ok(asked !== undefined)
        const matchers = asked.matchers.filter(({ label, op }) => label === '__name__' && op === '=')
        const said = new Set(asked.name === '' ? matchers.map((one) => one.value) : [asked.name])
        const [metric] = said
        const found = said.size === 1 && mine.families?.find(({ metrics }) => like(metrics, metric ?? ''))
        const { alternatives } = found || mine
        const wanted = universe.filter(
          (series) =>
            within(series, alternatives) &&
            (asked.name === '' || asked.name === series['__name__']) &&
            asked.matchers.every((one) => holds(series, one)),
        )
        const result = rewriteQuery(text, mine)
        if (!result.ok) return assert.deepEqual([result.error.reason, wanted], ['not_allowed', []])
        const { selectors } = parse(result.value.sent, defaultLimits)
        const shown = universe.filter((series) =>
          selectors.some(
            (one) =>
              (one.name === '' || one.name === series['__name__']) && one.matchers.every((each) => holds(series, each)),
          ),
        )
        assert.deepEqual(shown, wanted, result.value.sent)
        for (const { matchers } of selectors) {
          const [first] = matchers
          assert.ok(first?.op === '=~' && alternatives.some(({ label }) => label === first.label), result.value.sent)
        }
      }),
      { numRuns: 3000 },
    )
  })
})
