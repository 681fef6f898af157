// What a record is about: rather too much than too little.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { aboutDecision } from '../../../src/review/namespaces.ts'
import { decision } from '../../support/review-log.ts'

type Given = Parameters<typeof decision>[1]

function about(given: Given) {
  const record = JSON.parse(JSON.stringify(decision('r', given)))
  return aboutDecision(record, JSON.stringify(record.selectors))
}

const selector = (op: string, value: string, label = 'namespace') => ({
  metric: null,
  matchers: [{ label, op, value }],
})
const plain = { scope: 'nothing', sent: null, selectors: [] }

/** LIKE with a backslash as its escape. */
const like = (pattern: string, text: string): boolean => {
  const parts = [...pattern.matchAll(/\\(.)|[\s\S]/gu)].map(([token, escaped]) => {
    if (escaped === undefined && token === '%') return '.*'
    if (escaped === undefined && token === '_') return '.'
    return (escaped ?? token).replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`)
  })
  return new RegExp(`^${parts.join('')}$`, 'su').test(text)
}

const finds = (given: Given, namespace: string): boolean => {
  const { mentions, patterns, namespaces } = about(given)
  return mentions.includes(namespace) || namespaces.includes(namespace) || patterns.some((one) => like(one, namespace))
}

describe('what a record is about', () => {
  it('is found for every namespace that a regular expression matches', () => {
    const atom = fc.constantFrom(
      'a',
      'b',
      '-',
      '.',
      '.*',
      '.+',
      'a?',
      '[ab]',
      '(a|b)',
      String.raw`\.`,
      String.raw`\d`,
      '|',
      'b{2}',
      '^',
      '$',
    )
    const regex = fc.array(atom, { maxLength: 6 }).map((atoms) => atoms.join(''))
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '-', '1'), minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(regex, name, (value, namespace) => {
        fc.pre(new RegExp(`^(?:${value})$`).test(namespace))
        assert.ok(finds({ ...plain, selectors: [selector('=~', value)] }, namespace), `${value} ${namespace}`)
        const sent = [{ path: '/q', params: [['query', `up{namespace=~${JSON.stringify(value)}}`] as const] }]
        assert.ok(finds({ ...plain, sent }, namespace), `sent ${value} ${namespace}`)
      }),
      { numRuns: 3_000 },
    )
  })

  it('is found for every namespace that a pattern of the scope matches', () => {
    const glob = fc.string({ unit: fc.constantFrom('a', 'b', '-', '*'), minLength: 1, maxLength: 5 })
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '-'), minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(glob, name, (pattern, namespace) => {
        fc.pre(new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(namespace))
        const scopes = [
          `namespace: x, ${pattern} but not y`,
          `namespace: x; for route_*: namespace: x; or dst: *.${pattern}.svc.*`,
        ]
        for (const scope of scopes) assert.ok(finds({ ...plain, scope }, namespace), scope)
      }),
      { numRuns: 2_000 },
    )
  })

  it('names the namespaces of selectors, and not what only looks like one', () => {
    const selectors = [
      selector('=', 'shop'),
      selector('=~', 'pay|team-a', 'dst_namespace'),
      selector('=', 'web', 'app'),
    ]
    const { namespaces, mentions, patterns } = about({ ...plain, scope: 'namespace: shop', selectors })
    assert.deepEqual(namespaces, ['shop', 'pay', 'team-a'])
    assert.ok(mentions.includes('web'))
    assert.deepEqual(patterns, [])
  })

  it('is everything where a right to every series is not bound to namespaces', () => {
    const sent = [{ path: '/q', params: [['query', 'up'] as const] }]
    const scope = 'every series'
    assert.ok(finds({ scope, sent, selectors: [{ metric: 'up', matchers: [] }] }, 'shop'))
    assert.ok(finds({ scope, sent, selectors: [selector('!=', 'pay')] }, 'shop'))
    assert.ok(finds({ scope, sent: [{ path: '/api/v1/rules', params: [] }], selectors: [] }, 'shop'))
    assert.ok(!finds({ scope, sent, selectors: [selector('=', 'pay')] }, 'shop'))
    assert.ok(!finds({ scope, sent: [{ path: '/q', params: [['query', '1+1']] }], selectors: [] }, 'shop'))
  })

  it('of a refused request is found by the words of what was asked, whatever stands around them', () => {
    for (const query of [
      'up{namespace="shop"}',
      `up{namespace='shop'} # it's`,
      'up{namespace=`shop`',
      'shop',
      '"shop',
    ]) {
      const given = { ...plain, decision: 'deny' as const, asked: [['query', query] as const] }
      assert.ok(finds(given, 'shop'), query)
      assert.ok(!finds(given, 'sho'), query)
    }
  })

  it('is everything where something that would tell was cut off, or where it names too much', () => {
    const record = JSON.parse(JSON.stringify(decision('r', plain)))
    for (const truncated of [['/scope'], ['/selectors/3'], ['/sent/0/params'], ['']]) {
      assert.ok(aboutDecision({ ...record, truncated }, '').patterns.includes('%'), truncated.join())
    }
    assert.ok(!aboutDecision({ ...record, truncated: ['/who/groups'] }, '').patterns.includes('%'))
    const many = Array.from({ length: 3_000 }, (_, at) => `n${at}`).join(', ')
    assert.ok(finds({ ...plain, scope: `namespace: ${many}` }, 'n2999'))
  })

  it('is read in a time that grows with the text, and no faster', () => {
    const query = 'a'.repeat(400_000)
    for (const text of [
      query,
      `{${query}="x"}`,
      '"'.repeat(399_999),
      `"${'\\\\'.repeat(100_000)}`,
      '='.repeat(400_000),
    ]) {
      const sent = [{ path: '/q', params: [['query', text] as const] }]
      assert.ok(!finds({ ...plain, sent }, 'shop'))
    }
  })

  it('never throws, whatever a record holds', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), fc.anything(), (scope, selectors, sent) => {
        aboutDecision({ scope, selectors, sent, decision: 'allow', asked: sent, truncated: selectors }, '')
      }),
    )
  })
})
