import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { rewriteQuery, rewriteSelector, scopeSelector } from '../../src/promql/rewrite.ts'
import type { Alternative, Scope } from '../../src/promql/rewrite.ts'

const scopeOf = (allow: readonly string[], deny: readonly string[] = [], label = 'namespace'): Scope => {
  const alternative: Alternative = { label, allow, deny }
  return { kind: 'labels', alternatives: [alternative] }
}

function sent(text: string, scope: Scope): string {
  const result = rewriteQuery(text, scope)
  assert.ok(result.ok, `${text}: ${result.ok ? '' : result.error.message}`)
  return result.value.sent
}

function refusal(text: string, scope: Scope) {
  const result = rewriteQuery(text, scope)
  assert.ok(!result.ok, `${text} was let through as ${result.ok ? result.value.sent : ''}`)
  return result.error
}

describe('scopes that must never become a matcher', () => {
  const bad: [string, Scope][] = [
    ['an empty allow list', scopeOf([])],
    ['an empty pattern', scopeOf([''])],
    ['an empty pattern among others', scopeOf(['a', ''])],
    ['an empty deny', scopeOf(['a'], [''])],
    ['a regular expression', scopeOf(['a|b'])],
    ['a group', scopeOf(['a)|(.*'])],
    ['a class', scopeOf(['[a-z]+'])],
    ['a question mark', scopeOf(['a?'])],
    ['a quote', scopeOf(['a"} or secret{x="'])],
    ['a backslash', scopeOf(['a\\'])],
    ['a line end', scopeOf(['a\n'])],
    ['a space', scopeOf(['a '])],
    ['a NUL', scopeOf(['a\0'])],
    ['a letter beyond ASCII', scopeOf(['é'])],
    ['a bad deny', scopeOf(['a'], ['a|'])],
    ['an empty label', scopeOf(['a'], [], '')],
    ['a label that is none', scopeOf(['a'], [], 'namespace=~".*",x')],
    ['a label with a line end', scopeOf(['a'], [], 'namespace\n')],
    ['the metric name as label', scopeOf(['a'], [], '__name__')],
    // A caller without types could hand over an empty list.
    ['no alternative', JSON.parse('{"kind":"labels","alternatives":[]}')],
  ]
  for (const [name, scope] of bad) {
    it(name, () => {
      assert.equal(refusal('up', scope).reason, 'internal')
      assert.equal(refusal('1 + 1', scope).reason, 'internal')
      const selector = rewriteSelector('up', scope)
      assert.ok(!selector.ok && selector.error.reason === 'internal')
      assert.throws(() => scopeSelector(scope), TypeError)
    })
  }
})

describe('a grant that is a regular expression to Prometheus', () => {
  it('a dot in a name matches a dot only', () => {
    assert.equal(sent('up', scopeOf(['a.b'])), 'up{namespace=~"a\\\\.b"}')
  })

  it('a star is any run of characters, alone any value but the empty one', () => {
    assert.equal(sent('up', scopeOf(['team-*'])), 'up{namespace=~"team-.*"}')
    assert.equal(sent('up', scopeOf(['*'])), 'up{namespace=~".+"}')
    assert.equal(sent('up', scopeOf(['**'])), 'up{namespace=~".+"}')
  })

  it('names are sorted, each once, without what another pattern covers', () => {
    assert.equal(sent('up', scopeOf(['b', 'a', 'b', 'c-*', 'c-1'])), 'up{namespace=~"a|b|c-.*"}')
  })
})

describe('empty-matching matchers', () => {
  it('namespace="" asks for what has no namespace and gets nothing', () => {
    for (const matcher of ['=""', '=~""', '!~".+"', '=~".*"', '!="x"', '=~"|x.*"']) {
      assert.match(sent(`up{namespace${matcher}}`, scopeOf(['a'])), /^up\{namespace=~"a",namespace/)
    }
  })

  it('a selector without any other bound stays refused, though our matcher would bind it', () => {
    const unbound = [
      '{}',
      '{x=~".*"}',
      '{x=""}',
      '{x!="y"}',
      '{x!~".+"}',
      '{namespace=""}',
      '{x=~"a|"}',
      '{x=~"(?i)a*"}',
    ]
    for (const text of unbound) {
      const error = refusal(text, scopeOf(['a']))
      assert.deepEqual([error.reason, error.index, error.length], ['type', 0, text.length], text)
    }
  })
})

describe('naming what is not mine', () => {
  it('with = is refused and the name is said', () => {
    const error = refusal('sum(up) / sum(up{namespace="theirs"})', scopeOf(['mine']))
    assert.equal(error.reason, 'not_allowed')
    assert.match(error.message, /"theirs"/)
    assert.equal(error.index, 'sum(up) / sum(up{'.length)
    assert.equal(error.length, 'namespace="theirs"'.length)
  })

  it('a listed value keeps only what is mine, and the answer says what was left out', () => {
    const result = rewriteQuery('up{namespace=~"mine|theirs"}', scopeOf(['mine']))
    assert.ok(result.ok)
    assert.equal(result.value.sent, 'up{namespace=~"mine",namespace=~"mine|theirs"}')
    assert.equal(result.value.notes.length, 1)
    assert.match(result.value.notes[0] ?? '', /"theirs"/)
  })

  it('a denied name inside a granted pattern is refused', () => {
    assert.equal(refusal('up{namespace="team-x"}', scopeOf(['team-*'], ['team-x'])).reason, 'not_allowed')
    assert.equal(refusal('up{namespace=~"team-x|team-xy"}', scopeOf(['*'], ['team-x*'])).reason, 'not_allowed')
  })

  it('a regular expression that only looks like a list is not taken for one', () => {
    for (const value of ['a|b.*', '(?i)mine', 'mi[n]e', 'a|(b)', '^mine$', '\\\\Qmine\\\\E', 'mine|x{0,1}']) {
      assert.match(sent(`up{namespace=~"${value}"}`, scopeOf(['mine'])), /^up\{namespace=~"mine",namespace=~/, value)
    }
  })

  it('a value outside the alphabet never enters a matcher of ours', () => {
    const team = scopeOf(['team-*'])
    assert.equal(sent('up{namespace="team-é"}', team), 'up{namespace=~"team-.*",namespace="team-\\u00e9"}')
    assert.equal(sent('up{namespace="team-\\n"}', team), 'up{namespace=~"team-.*",namespace="team-\\n"}')
    assert.equal(sent('up{namespace="team-*"}', team), 'up{namespace=~"team-.*",namespace="team-*"}')
  })

  it('two contradicting names do not open anything', () => {
    assert.equal(
      sent('up{namespace="a",namespace="b"}', scopeOf(['a', 'b'])),
      'up{namespace=~"a|b",namespace="a",namespace="b"}',
    )
  })
})

describe('no rights', () => {
  it('lets through only what has no selector', () => {
    assert.equal(sent('1+1', { kind: 'nothing' }), '1 + 1')
    assert.equal(sent('vector(time())', { kind: 'nothing' }), 'vector(time())')
    assert.equal(sent('"up"', { kind: 'nothing' }), '"up"')
    for (const text of ['up', 'absent(up)', '1 + sum(up)', 'topk(scalar(up), vector(1))']) {
      assert.equal(refusal(text, { kind: 'nothing' }).reason, 'no_rights', text)
    }
  })

  it('everything denied is no right', () => {
    assert.equal(refusal('up', scopeOf(['a', 'b-*'], ['a', 'b*'])).reason, 'no_rights')
    assert.equal(refusal('up', scopeOf(['*'], ['*'])).reason, 'no_rights')
  })
})

describe('a name chosen so that a wider family applies', () => {
  const wide: Scope = {
    kind: 'labels',
    alternatives: [{ label: 'namespace', allow: ['mine'], deny: [] }],
    families: [{ metrics: 'route_*', alternatives: [{ label: 'dst', allow: ['*'], deny: [] }] }],
  }
  const held = [
    '{__name__="route_x",__name__="secret"}',
    '{__name__="secret",__name__="route_x"}',
    '{"route_x","secret"}',
    '{"route_x",__name__="secret"}',
    '{__name__="route_x",__name__="route_y"}',
    '{__name__="route_x",__name__=""}',
    '{__name__=~"route_x|secret"}',
    '{__name__=~"route_x"}',
    '{__name__!="route_x",job="x"}',
    '{__name__!~"route_.*",job="x"}',
    '{name="route_x"}',
    '{"route_x"!="",job="x"}',
    'secret{name="route_x"}',
    'Route_x',
    'secret_route_x',
    'secret:route_x',
    '{"secret\\nroute_x"}',
    '{"secret#route_x"}',
    '{__name__="secret" # ",__name__="route_x"\n}',
  ]
  for (const text of held) {
    it(`${text} is held to my namespace`, () => assert.match(sent(text, wide), /^[\w:]*\{namespace=~"mine"[,}]/))
  }

  it('a name beside further conditions on it is still that name', () => {
    for (const more of ['__name__=~".+"', '__name__!="secret"', '__name__="route_x"', '__name__=~"secret"']) {
      assert.match(sent(`{__name__="route_x",${more}}`, wide), /^\{dst=~"\.\+",__name__="route_x",/)
    }
  })

  it('each selector of a query has its own family', () => {
    assert.equal(sent('route_x or secret', wide), 'route_x{dst=~".+"} or secret{namespace=~"mine"}')
    assert.equal(
      sent('label_replace(secret, "__name__", "route_x", "", "")', wide),
      'label_replace(secret{namespace=~"mine"}, "__name__", "route_x", "", "")',
    )
    assert.equal(
      sent('topk(scalar(secret), route_x)', wide),
      'topk(scalar(secret{namespace=~"mine"}), route_x{dst=~".+"})',
    )
  })
})
