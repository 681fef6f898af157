// What explain and who-can say, and that it is what the policy decides.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { readSomebody } from '../../src/policy/as.ts'
import { anyCluster, explainDecision } from '../../src/policy/explain.ts'
import type { Explanation, Question } from '../../src/policy/explain.ts'
import { indexRules } from '../../src/policy/index-rules.ts'
import { holds } from '../../src/policy/judge.ts'
import { parsePolicy } from '../../src/policy/parse.ts'
import { printLimit, printRow, printRule } from '../../src/policy/print-row.ts'
import type { Policy } from '../../src/policy/policy.ts'
import { profiles } from '../../src/policy/profile.ts'
import { limitNames, parseLimits } from '../../src/policy/query-limits.ts'
import { readRows } from '../../src/policy/rows.ts'
import { whoCan } from '../../src/policy/who-can.ts'
import type { Seer } from '../../src/policy/who-can.ts'

const now = Date.parse('2026-11-20T04:00:00Z')
const question = { cluster: 'east', action: 'query', at: now } as const

function policyOf(...lines: readonly string[]): Policy {
  const parsed = parsePolicy([{ name: 'p.csv', text: lines.join('\n') }])
  assert.ok(parsed.ok, JSON.stringify(parsed))
  return indexRules(parsed.value, { profile: profiles.linkerd, clock: () => now }, 'sha256:0')
}
function explain(policy: Policy, as: string, more: Partial<Question> = {}): Explanation {
  const somebody = readSomebody([as])
  assert.ok(somebody.ok, JSON.stringify(somebody))
  return explainDecision(policy, somebody.value, { ...question, ...more })
}
const placesOf = (lines: readonly { readonly at: string }[]): readonly string[] => lines.map(({ at }) => at)

describe('an explanation', () => {
  it('has every row that bears on the decision, with every way in which it came', () => {
    const policy = policyOf(
      'p, group:a, *, query, namespace=a, allow',
      'g, group:a, role:viewer',
      'g, group:b, role:sre',
      'g, role:sre, role:viewer',
      'p, role:viewer, east, query|rules, namespace=shared, allow',
      'p, role:sre, *, *, namespace=secret, deny',
    )
    const { allows, denies } = explain(policy, 'group:a,group:b')
    assert.deepEqual(allows, [
      { at: 'p.csv:1', row: 'p, group:a, *, query, namespace=a, allow', ways: [['group:a']] },
      {
        at: 'p.csv:5',
        row: 'p, role:viewer, east, query|rules, namespace=shared, allow',
        ways: [
          ['group:a', 'role:viewer'],
          ['group:b', 'role:sre', 'role:viewer'],
        ],
      },
    ])
    assert.deepEqual(denies, [
      { at: 'p.csv:6', row: 'p, role:sre, *, *, namespace=secret, deny', ways: [['group:b', 'role:sre']] },
    ])
  })
  it('has the rows of every decision, and no other', () => {
    const row = fc
      .record({
        subject: fc.constantFrom('group:a', 'group:b', 'role:r', 'user:https://idp#u'),
        cluster: fc.constantFrom('*', 'east', 'west'),
        action: fc.constantFrom('query', 'rules', '*'),
        resource: fc.constantFrom('namespace=a', 'namespace=b*', '*', 'job=x'),
        effect: fc.constantFrom('allow', 'deny'),
        time: fc.constantFrom('', ', from=2026-11-20T05:00:00Z, reason=x', ', until=2026-11-20T03:00:00Z, reason=x'),
      })
      .map(({ subject, cluster, action, resource, effect, time }) => {
        return `p, ${subject}, ${cluster}, ${action}, ${resource}, ${effect}${time}`
      })
    fc.assert(
      fc.property(fc.array(row, { maxLength: 10 }), (rows) => {
        const policy = policyOf(...rows, 'p, role:r, *, query, namespace=r, allow', 'g, group:b, role:r')
        const somebody = readSomebody(['group:a,group:b,user:https://idp#u'])
        assert.ok(somebody.ok)
        const { because } = policy.decide(somebody.value.identity, 'east', 'query')
        const { allows, denies, notInForce, elsewhere } = explain(policy, 'group:a,group:b,user:https://idp#u')
        assert.deepEqual(placesOf([...allows, ...denies]).toSorted(), because.toSorted())
        assert.equal(allows.length + denies.length + notInForce.length + elsewhere.length, rows.length + 1)
      }),
    )
  })
  it('says which rows are not in force, and why', () => {
    const { allows, notInForce } = explain(
      policyOf(
        'p, group:a, *, query, namespace=a, allow, until=2026-11-20T04:00:00Z, reason=INC-7',
        'p, group:a, *, query, namespace=b, allow, from=2026-11-20T04:00:01+00:00, reason=INC-8',
        'p, group:a, *, query, namespace=c, allow, from=2026-11-20T04:00:00Z, reason=INC-9',
      ),
      'group:a',
    )
    assert.deepEqual(placesOf(allows), ['p.csv:3'])
    assert.deepEqual(
      notInForce.map(({ at, because }) => [at, because]),
      [
        ['p.csv:1', 'ended at 2026-11-20T04:00:00Z'],
        ['p.csv:2', 'begins at 2026-11-20T04:00:01Z'],
      ],
    )
  })
  it('says which rows of theirs are about something else', () => {
    const policy = policyOf(
      'p, group:a, west, query, *, allow',
      'p, group:a, *, status, *, allow',
      'p, group:b, *, *, *, allow',
    )
    assert.deepEqual(placesOf(explain(policy, 'group:a').elsewhere), ['p.csv:1', 'p.csv:2'])
  })
  it('says what would be needed where nothing is seen', () => {
    const policy = policyOf('p, group:a, *, query, namespace=a, allow', 'p, group:b, *, *, namespace=*, deny')
    assert.equal(
      explain(policy, 'group:c').needed,
      'no row allows group:c to query on east: a row such as "p, group:c, east, query, namespace=<name>, allow" would',
    )
    assert.match(explain(policy, 'group:c', { cluster: anyCluster }).needed ?? '', /"p, group:c, \*, query, /)
    assert.equal(
      explain(policy, 'group:a,group:b').needed,
      'a deny wins over every allow: as long as p.csv:2 stands, no row helps',
    )
    assert.equal(explain(policy, 'group:a').needed, null)
  })
  it('says which rows limit, and that those of one’s own come before everybody’s', () => {
    const policy = policyOf('l, *, range=31d, points=500', 'l, group:a, range=7d, bytes=50MB', 'l, group:b, range=14d')
    const { limits } = explain(policy, 'group:a,group:b')
    assert.deepEqual(
      limits.slice(0, 4).map(({ limit, text, from }) => [limit, text, from]),
      [
        ['range', '14d', ['p.csv:3']],
        ['points', '500', ['p.csv:1']],
        ['selectors', '512', []],
        ['bytes', '50MB', ['p.csv:2']],
      ],
    )
  })
})

describe('a row that is printed', () => {
  it('is read back to the same', () => {
    for (const row of [
      'p, group:a, *, query, namespace=a, allow',
      'p, "group:CN=Team A,OU=x", east, query|rules, namespace=team-*, deny, view=both',
      'p, "group:""a""", *, *, *, allow, from=2026-11-20T03:00:00Z, until=2026-11-20T05:00:00Z, "reason=INC-1, urgent"',
    ]) {
      assert.deepEqual(policyOf(row).parsed.rules.map(printRule), [row])
    }
  })
  it('holds any text in its fields', () => {
    const field = fc.string({ unit: fc.constantFrom('a', ',', '"', '#', '='), minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(fc.array(field, { minLength: 1, maxLength: 4 }), (fields) => {
        const rows = readRows({ name: 'p.csv', text: printRow(['p', ...fields]) })
        assert.ok(rows.ok, JSON.stringify(rows))
        assert.deepEqual(rows.value[0]?.fields, fields)
      }),
    )
  })
  it('has limits that are read back to the same', () => {
    fc.assert(
      fc.property(fc.constantFrom(...limitNames), fc.integer({ min: 1, max: 999_999 }), (limit, value) => {
        const written = limit === 'bytes' ? value * 1_000 : value
        const read = parseLimits({ type: 'l', fields: ['*', `${limit}=${printLimit(limit, written)}`], at: '' })
        assert.deepEqual(read, { ok: true, value: { subject: '*', limits: { [limit]: written }, at: '' } })
      }),
    )
  })
})

describe('somebody', () => {
  it('is one person with groups, or a service', () => {
    const read = readSomebody(['user:https://idp#u1,group:a', 'group:CN=Team A,OU=x, group:b'])
    assert.ok(read.ok)
    const { issuer, subject, groups } = read.value.identity
    assert.deepEqual(
      { issuer, subject, groups },
      { issuer: 'https://idp', subject: 'u1', groups: ['a', 'CN=Team A,OU=x', 'b'] },
    )
    const service = readSomebody(['service:datasource/x'])
    assert.equal(service.ok && service.value.identity.issuer, 'service')
  })
  for (const [text, words] of [
    ['alice', /none of group:<name>/],
    ['role:viewer', /nobody is "role:viewer" by themselves/],
    ['user:a#b,user:a#c', /are not one person/],
    ['user:a#b,service:c', /are not one person/],
    ['service:c,group:a', /a service, which has no groups/],
    ['user:service#c', /a service is written service:/],
  ] as const) {
    it(`is not ${text}`, () => {
      const read = readSomebody([text])
      assert.ok(!read.ok)
      assert.match(read.error, words)
    })
  }
  it('is not nobody', () => assert.equal(readSomebody([]).ok, false))
})

describe('who can', () => {
  const ask = (policy: Policy, ...sides: ('own' | 'destination')[]): readonly Seer[] =>
    whoCan(policy, { ...question, namespace: 'payments', sides }, profiles.linkerd)
  const seen = (seers: readonly Seer[]): unknown =>
    Object.fromEntries(seers.map(({ subject, sees, some }) => [subject, [...sees, ...some]]))

  it('names each subject with what it sees, by patterns, by every series and by other labels', () => {
    const policy = policyOf(
      'p, group:a, *, query, namespace=pay*, allow, view=both',
      'p, user:https://idp#u, east, *, namespace=payments, allow',
      'p, service:ci, *, query, *, allow',
      'p, group:ops, *, query, job=prometheus, allow',
      'p, group:calls, *, query, namespace=*, allow, view=destination',
      'p, group:west, west, query, namespace=payments, allow',
      'p, group:rules, *, rules, namespace=payments, allow',
      'p, group:b, *, query, namespace=books, allow',
    )
    assert.deepEqual(seen(ask(policy, 'own', 'destination')), {
      'group:a': ['own', 'destination'],
      'group:calls': ['destination'],
      'group:ops': ['job=prometheus'],
      'service:ci': ['own', 'destination'],
      'user:https://idp#u': ['own'],
    })
    assert.deepEqual(Object.keys(Object(seen(ask(policy, 'destination')))), [
      'group:a',
      'group:calls',
      'group:ops',
      'service:ci',
    ])
  })
  it('names members in place of a role, with the way', () => {
    const policy = policyOf(
      'p, role:payments, *, query, namespace=payments, allow',
      'g, role:sre, role:payments',
      'g, group:oncall, role:sre',
    )
    const [seer, ...more] = ask(policy, 'own')
    assert.deepEqual([seer?.subject, more], ['group:oncall', []])
    assert.deepEqual(seer?.allows[0]?.ways, [['group:oncall', 'role:sre', 'role:payments']])
  })
  it('takes away what is denied, and names whom a deny keeps out', () => {
    const policy = policyOf(
      'p, group:a, *, query, namespace=*, allow, view=both',
      'p, group:a, *, query, namespace=payments, deny, view=own',
      'p, group:contractors, *, query, namespace=payments, deny, view=both',
      'p, group:ops, *, query, job=prometheus, allow',
      'p, group:ops, *, query, namespace=payments, deny, view=both',
    )
    const seers = ask(policy, 'own', 'destination')
    assert.deepEqual(seen(seers), { 'group:a': ['destination'], 'group:contractors': [], 'group:ops': [] })
    assert.deepEqual(
      seers.map(({ denies }) => placesOf(denies)),
      [['p.csv:2'], ['p.csv:3'], ['p.csv:5']],
    )
  })
  it('names whoever would at another time, as not in force', () => {
    const [seer] = ask(
      policyOf('p, group:a, *, query, namespace=payments, allow, from=2026-11-21T00:00:00Z, reason=x'),
      'own',
    )
    assert.deepEqual(
      [seer?.sees, seer?.notInForce.map(({ because }) => because)],
      [[], ['begins at 2026-11-21T00:00:00Z']],
    )
  })
  it('says of each subject what the policy decides', () => {
    const row = fc
      .record({
        subject: fc.constantFrom('group:a', 'group:b', 'role:r'),
        resource: fc.constantFrom('namespace=payments', 'namespace=pay*', 'namespace=books', '*', 'job=x'),
        effect: fc.constantFrom('allow', 'allow', 'deny'),
        view: fc.constantFrom('own', 'destination', 'both'),
      })
      .map(({ subject, resource, effect, view }) => {
        return `p, ${subject}, *, query, ${resource}, ${effect}${resource.startsWith('namespace') ? `, view=${view}` : ''}`
      })
    fc.assert(
      fc.property(fc.array(row, { maxLength: 8 }), (rows) => {
        const policy = policyOf(...rows, 'p, role:r, *, query, namespace=r, allow', 'g, group:b, role:r')
        const seers = new Map(ask(policy, 'own', 'destination').map((seer) => [seer.subject, seer]))
        for (const subject of ['group:a', 'group:b']) {
          const somebody = readSomebody([subject])
          assert.ok(somebody.ok)
          const { scope } = policy.decide(somebody.value.identity, 'east', 'query')
          for (const side of ['own', 'destination'] as const) {
            const sees = holds(scope, 'namespace=payments', side, profiles.linkerd)
            assert.equal(seers.get(subject)?.sees.includes(side) ?? false, sees)
          }
        }
      }),
    )
  })
})
