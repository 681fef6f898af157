import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { functions } from '../../../src/promql/functions.ts'
import { defaultLimits } from '../../../src/promql/limits.ts'
import { parseQuery } from '../../../src/promql/parser.ts'
import { print } from '../../../src/promql/print.ts'
import { rewriteQuery, rewriteSelector, scopeSelector } from '../../../src/promql/rewrite.ts'
import type { Alternative, Scope } from '../../../src/promql/rewrite.ts'
import { verify } from '../../../src/promql/verify.ts'

const on = (label: string, allow: readonly string[], deny: readonly string[] = []): Alternative => ({
  label,
  allow,
  deny,
})
const scopeOf = (first: Alternative, ...rest: Alternative[]): Scope => ({
  kind: 'labels',
  alternatives: [first, ...rest],
})

function rewritten(text: string, scope: Scope) {
  const result = rewriteQuery(text, scope)
  assert.ok(result.ok, `${text}: ${result.ok ? '' : result.error.message}`)
  return result.value
}
const sent = (text: string, scope: Scope): string => rewritten(text, scope).sent

const one = scopeOf(on('namespace', ['b', 'a']))
const two = scopeOf(on('namespace', ['a', 'b']), on('dst', ['a']))

describe('one alternative', () => {
  it('puts =~ first in the braces, for one value as for many', () => {
    assert.equal(sent('up{job="x"}', one), 'up{namespace=~"a|b",job="x"}')
    assert.equal(sent('up', scopeOf(on('namespace', ['a']))), 'up{namespace=~"a"}')
  })

  it('puts what is denied right behind', () => {
    const scope = scopeOf(on('namespace', ['*'], ['kube-*', 'x', 'kube-system']))
    assert.equal(sent('up{job="x"}', scope), 'up{namespace=~".+",namespace!~"kube-.*|x",job="x"}')
  })

  it('takes denied names from a plain list, so that nothing needs to be denied any more', () => {
    assert.equal(sent('up', scopeOf(on('namespace', ['a', 'b'], ['b', 'c*']))), 'up{namespace=~"a"}')
  })

  it('sends the same text for everybody who may see what the selector names', () => {
    const scopes = [
      one,
      two,
      scopeOf(on('namespace', ['*'])),
      scopeOf(on('namespace', ['*'], ['kube-*'])),
      scopeOf(on('namespace', ['a*', 'z'])),
      scopeOf(on('dst', ['q']), on('namespace', ['a'])),
    ]
    for (const scope of scopes) assert.equal(sent('up{namespace="a"}', scope), 'up{namespace=~"a",namespace="a"}')
  })

  it('reads a list as Grafana writes it', () => {
    const all = scopeOf(on('namespace', ['*']))
    for (const list of ['a|b', '(a|b)', 'b|a', 'a|b|a']) {
      assert.match(sent(`up{namespace=~"${list}"}`, all), /^up\{namespace=~"a\|b",namespace=~/, list)
    }
    assert.equal(sent('up{namespace=~"x\\\\.y"}', all), 'up{namespace=~"x\\\\.y",namespace=~"x\\\\.y"}')
  })
})

describe('everything', () => {
  it('is the canonical text without a matcher of ours', () => {
    assert.equal(sent('sum(up) by (a)', { kind: 'everything' }), 'sum by (a) (up{})')
    assert.deepEqual(scopeSelector({ kind: 'everything' }), [])
    const result = rewriteSelector('up{a="b"}', { kind: 'everything' })
    assert.deepEqual(result.ok && result.value.sent, ['up{a="b"}'])
  })
})

describe('several alternatives', () => {
  const a = 'namespace=~"a|b"'
  const b = 'dst=~"a",namespace!~"a|b"'

  const cases: Record<string, string> = {
    up: `(up{${a}} or up{${b}})`,
    'up offset 5m': `(up{${a}} offset 5m or up{${b}} offset 5m)`,
    'rate(up[5m])': `(rate(up{${a}}[5m]) or rate(up{${b}}[5m]))`,
    'rate((up[5m]))': `(rate((up{${a}}[5m])) or rate((up{${b}}[5m])))`,
    'sum(rate(up[5m]))': `sum((rate(up{${a}}[5m]) or rate(up{${b}}[5m])))`,
    'rate(up[5m:])': `rate((up{${a}} or up{${b}})[5m:])`,
    'timestamp((up))': `(timestamp((up{${a}})) or timestamp((up{${b}})))`,
    'absent(up)': `(absent(up{${a}}) and on () absent(up{${b}}))`,
    'absent_over_time(up[5m])': `(absent_over_time(up{${a}}[5m]) and on () absent_over_time(up{${b}}[5m]))`,
    'absent(sum(up))': `absent(sum((up{${a}} or up{${b}})))`,
    'abs(up)': `abs((up{${a}} or up{${b}}))`,
  }
  for (const [text, wanted] of Object.entries(cases)) {
    it(`unites ${text}`, () => assert.equal(sent(text, two), wanted))
  }

  it('relies on every function taking at most one range', () => {
    for (const [name, { args, most }] of functions) {
      assert.ok(args.filter((type) => type === 'matrix').length <= 1, name)
      assert.ok(args.at(-1) !== 'matrix' || most === args.length, name)
    }
  })

  it('unites the parameters of a call beside its range', () => {
    const part = (scope: string): string => `quantile_over_time(scalar((q{${a}} or q{${b}})), up{${scope}}[5m])`
    assert.equal(sent('quantile_over_time(scalar(q), up[5m])', two), `(${part(a)} or ${part(b)})`)
  })

  it('narrows a range on its own to the first alternative and says so', () => {
    const result = rewritten('up[5m]', two)
    assert.equal(result.sent, `up{${a}}[5m]`)
    assert.equal(result.notes.length, 1)
    assert.match(result.notes[0] ?? '', /namespace only/)
    assert.deepEqual(rewritten('up[5m]', one).notes, [])
  })

  it('leaves out the guard where something is denied, or what is denied would be lost to the others', () => {
    const scope = scopeOf(on('namespace', ['*'], ['kube-*']), on('dst', ['a']))
    assert.equal(sent('up', scope), '(up{namespace=~".+",namespace!~"kube-.*"} or up{dst=~"a"})')
  })

  it('joins plain lists for one label, but not lists with a deny', () => {
    assert.equal(sent('up', scopeOf(on('namespace', ['b']), on('namespace', ['a']))), 'up{namespace=~"a|b"}')
    assert.equal(
      sent('up', scopeOf(on('namespace', ['x*'], ['xy']), on('namespace', ['xyz']))),
      '(up{namespace=~"x.*",namespace!~"xy"} or up{namespace=~"xyz"})',
    )
  })

  it('uses one alternative where that covers what the selector names', () => {
    assert.equal(sent('up{dst="a"}', two), 'up{dst=~"a",dst="a"}')
  })

  it('leaves out the alternative that cannot answer, not the others', () => {
    assert.equal(sent('up{namespace="z"}', two), 'up{dst=~"a",namespace="z"}')
    assert.equal(sent('up{dst="z"}', two), 'up{namespace=~"a|b",dst="z"}')
    assert.equal(sent('up{namespace=""}', two), 'up{dst=~"a",namespace=""}')
    const neither = rewriteQuery('up{namespace="z",dst="y"}', two)
    assert.ok(!neither.ok && neither.error.reason === 'not_allowed')
  })

  it('keeps the allowed part of a list in its own alternative', () => {
    assert.equal(
      sent('up{namespace=~"a|z"}', two),
      '(up{namespace=~"a",namespace=~"a|z"} or up{dst=~"a",namespace!~"a",namespace=~"a|z"})',
    )
  })

  it('gives match[] one text for each', () => {
    const result = rewriteSelector('up', two)
    assert.deepEqual(result.ok && result.value.sent, ['up{namespace=~"a|b"}', 'up{dst=~"a"}'])
    assert.deepEqual(scopeSelector(two), ['{namespace=~"a|b"}', '{dst=~"a"}'])
  })
})

describe('the facts for the record', () => {
  it('are what the user asked, not what was sent', () => {
    const { selectors } = rewritten('sum(up{a="b"}) + rate({__name__="x",c!~"d"}[5m]) + sum({e=~"f"})', two)
    assert.deepEqual(selectors, [
      { metric: 'up', matchers: [{ label: 'a', op: '=', value: 'b' }] },
      {
        metric: 'x',
        matchers: [
          { label: '__name__', op: '=', value: 'x' },
          { label: 'c', op: '!~', value: 'd' },
        ],
      },
      { metric: null, matchers: [{ label: 'e', op: '=~', value: 'f' }] },
    ])
  })
})

describe('the tree', () => {
  it('cannot be printed before it is scoped', () => {
    const parsed = parseQuery('up')
    assert.ok(parsed.ok)
    const { expr } = parsed.value
    // @ts-expect-error a selector without a scope is not for the printer
    assert.throws(() => print(expr))
  })

  it('does not take text of just anybody for a scope', () => {
    const parsed = parseQuery('up')
    assert.ok(parsed.ok && parsed.value.expr.kind === 'selector')
    const { expr } = parsed.value
    // @ts-expect-error only binding a scope makes one
    assert.equal(print({ ...expr, scope: '' }), 'up{}')
  })
})

describe('the self-check', () => {
  const bad: Record<string, string> = {
    'a selector without our matcher': 'up{namespace=~"a|b"} or secret{}',
    'our matcher not first': 'up{x="y",namespace=~"a"}',
    'another label': 'up{dst=~"a"}',
    'another operator': 'up{namespace="a"}',
    'a wider list': 'up{namespace=~"a|b|c"}',
    'a pattern': 'up{namespace=~".+"}',
    'an empty alternative': 'up{namespace=~"a|"}',
    'an empty value': 'up{namespace=~""}',
    'a regular expression of another kind': 'up{namespace=~"a|b?"}',
    'no matcher at all': '{}',
    'text that cannot be read': 'up{namespace=~"a"',
  }
  for (const [name, text] of Object.entries(bad)) {
    it(`refuses ${name}`, () => {
      assert.throws(() => verify(text, one, defaultLimits), /nothing was sent/)
    })
  }

  it('refuses a pattern without its deny', () => {
    const scope = scopeOf(on('namespace', ['x*'], ['xy', 'xz*']))
    verify('up{namespace=~"x.*",namespace!~"xy|xz.*"}', scope, defaultLimits)
    verify('up{namespace=~"xa"}', scope, defaultLimits)
    const bad = [
      'up{namespace=~"x.*"}',
      'up{namespace=~"x.*",namespace!~"xy"}',
      'up{namespace=~"xy"}',
      'up{namespace=~"x.*",dst!~"xy|xz.*"}',
      'up{namespace=~"x.*",namespace!~"x*"}',
      'up{namespace=~"x.*",namespace!~"x?.*"}',
    ]
    for (const text of bad) assert.throws(() => verify(text, scope, defaultLimits), /nothing was sent/, text)
  })

  it('refuses any selector where there is no right', () => {
    assert.throws(() => verify('up{namespace=~"a"}', { kind: 'nothing' }, defaultLimits), /nothing was sent/)
  })
})
