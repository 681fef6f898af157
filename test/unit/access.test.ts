// What somebody may see, as the page and /api/bailiwick/v1/access tell it: the same as what the policy decides.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { Identity } from '../../src/identity/identity.ts'
import { clusterTable, limitTable } from '../../src/pages/access.ts'
import { accessOf } from '../../src/policy/access.ts'
import type { Access, Right } from '../../src/policy/access.ts'
import { loadPolicy } from '../../src/policy/policy.ts'
import { profiles } from '../../src/policy/profile.ts'
import { actions } from '../../src/policy/rules.ts'
import { describeScope } from '../../src/policy/scope.ts'

const model = {
  name: 'model.conf',
  text: readFileSync(new URL('../../policies/model.conf', import.meta.url), 'utf8'),
}
const now = Date.parse('2026-11-20T12:00:00Z')
const one = ['one']

const ofGroups = (...groups: readonly string[]): Identity => ({
  issuer: 'https://idp',
  subject: 'u1',
  name: 'U',
  groups,
  via: 'bearer',
})

async function accessBy(rules: readonly string[], clusters = one, identity = ofGroups('a')): Promise<Access> {
  const files = [{ name: 'p.csv', text: rules.join('\n') }]
  const policy = await loadPolicy(model, files, { profile: profiles.linkerd, clock: () => now })
  assert.ok(policy.ok, JSON.stringify(policy))
  return accessOf(policy.value, identity, clusters, now)
}

/** The right of the only cluster under which somebody queries. */
async function rightBy(...rules: readonly string[]): Promise<Right> {
  const { clusters } = await accessBy(rules)
  const right = clusters[0]?.rights.find((one) => one.actions.includes('query'))
  assert.ok(right !== undefined)
  return right
}

describe('what somebody may see', () => {
  it('is told for every action once, those of the same rights together', async () => {
    const { clusters } = await accessBy([
      'p, group:a, *, query|rules, namespace=x, allow',
      'p, group:a, one, federate, namespace=x, allow',
      'p, group:b, *, *, *, allow',
    ])
    const told = clusters.map(({ name, rights }) => [name, rights.map((right) => [right.actions, right.because])])
    const others = actions.filter((action) => !['query', 'rules', 'federate'].includes(action))
    assert.deepEqual(told, [
      [
        'one',
        [
          [['query', 'rules'], ['p.csv:1']],
          [['federate'], ['p.csv:2']],
          [others, []],
        ],
      ],
    ])
  })
  it('is what the policy decides, for each action and cluster', async () => {
    const rules = [
      'p, group:a, o*, query, namespace=x-*, allow, view=both',
      'p, group:a, two, *, *, allow',
      'p, group:a, *, *, namespace=x-1, deny, view=own',
    ]
    const policy = await loadPolicy(model, [{ name: 'p.csv', text: rules.join('\n') }])
    assert.ok(policy.ok)
    const identity = ofGroups('a')
    const { clusters } = accessOf(policy.value, identity, ['one', 'two'], now)
    const told = clusters.flatMap(({ name, rights }) =>
      rights.flatMap((right) =>
        right.actions.map((action) => [name, action, describeScope(right.scope), ...right.because].join(' ')),
      ),
    )
    const decided = ['one', 'two'].flatMap((name) =>
      actions.map((action) => {
        const { scope, because } = policy.value.decide(identity, name, action)
        return [name, action, describeScope(scope), ...because].join(' ')
      }),
    )
    assert.deepEqual(told.toSorted(), decided.toSorted())
  })
  it('names no cluster on which there is no right, and no rule of others', async () => {
    const rules = ['p, group:b, two, *, namespace=secret, allow', 'p, group:a, one, query, namespace=x, allow']
    const access = await accessBy([...rules, 'l, group:b, range=3d'], ['one', 'two'])
    assert.deepEqual(
      access.clusters.map(({ name }) => name),
      ['one'],
    )
    assert.doesNotMatch(JSON.stringify(access), /secret|group:b|p\.csv:1|p\.csv:3|two/)
    assert.deepEqual((await accessBy(rules, ['two'])).clusters, [])
  })
  it('has the rules behind all of it on record, and shows no series', async () => {
    const { basis, policy } = await accessBy([
      'p, group:a, one, query, namespace=x, allow',
      'p, group:a, one, rules, namespace=x, allow, until=2026-11-21T00:00:00Z, reason=a fire',
    ])
    assert.deepEqual(basis, {
      scope: { kind: 'nothing' },
      because: ['p.csv:1', 'p.csv:2'],
      reasons: ['a fire'],
      policy,
    })
  })
})

describe('the views of a right', () => {
  const none = { allow: [], deny: [] }
  const all = { allow: ['*'], deny: [] }
  for (const [what, rules, views] of [
    ['one side', ['namespace=x, allow'], { own: { allow: ['x'], deny: [] }, destination: none, labels: none }],
    [
      'each its own',
      ['namespace=x, allow, view=both', 'namespace=y, allow, view=destination', 'namespace=z, allow'],
      { own: { allow: ['x', 'z'], deny: [] }, destination: { allow: ['x', 'y'], deny: [] }, labels: none },
    ],
    [
      'denies on their side',
      ['namespace=x-*, allow, view=both', 'namespace=x-1, deny, view=own', 'namespace=x-2, deny, view=destination'],
      { own: { allow: ['x-*'], deny: ['x-1'] }, destination: { allow: ['x-*'], deny: ['x-2'] }, labels: none },
    ],
    [
      'an allow that is denied as a whole is none',
      ['namespace=x, allow', 'namespace=y, allow', 'namespace=y*, deny'],
      { own: { allow: ['x'], deny: ['y*'] }, destination: none, labels: none },
    ],
    [
      'other labels',
      ['job=p-*, allow', 'job=p-1, deny'],
      { own: none, destination: none, labels: { allow: ['job=p-*'], deny: ['job=p-1'] } },
    ],
    ['every series', ['*, allow'], { own: all, destination: all, labels: none }],
    [
      'every series but some',
      ['*, allow', 'namespace=x, deny'],
      { own: { allow: ['*'], deny: ['x'] }, destination: none, labels: none },
    ],
  ] as const) {
    it(`${what}: ${rules.join(' and ')}`, async () => {
      assert.deepEqual((await rightBy(...rules.map((rule) => `p, group:a, *, query, ${rule}`))).views, views)
    })
  }
  it('nothing', async () => {
    const { clusters } = await accessBy([
      'p, group:a, *, query, *, allow',
      'p, group:a, *, query, *, deny',
      'p, group:a, *, rules, namespace=x, allow',
    ])
    const right = clusters[0]?.rights.find((one) => one.actions.includes('query'))
    assert.deepEqual(right?.views, { own: none, destination: none, labels: none })
    assert.deepEqual(right.because, ['p.csv:1', 'p.csv:2'])
  })
})

describe('a right that ends', () => {
  const always = 'p, group:a, *, query, namespace=x, allow'
  const fire = 'p, group:a, *, query, namespace=y, allow, until=2026-11-20T13:00:00Z, reason=a fire'
  const over = 'p, group:a, *, query, namespace=z, allow, until=2026-11-20T11:00:00Z, reason=yesterday'
  const later = 'p, group:a, *, query, namespace=w, allow, from=2026-11-20T12:30:00Z, reason=a release'

  it('says which rule ends and when, and why it was made', async () => {
    const right = await rightBy(always, fire, over)
    const until = Date.parse('2026-11-20T13:00:00Z')
    assert.deepEqual(right.ends, [{ rule: 'p.csv:2', until }])
    assert.deepEqual([right.until, right.because, right.reasons], [until, ['p.csv:1', 'p.csv:2'], ['a fire']])
  })
  it('changes before, when another rule begins', async () => {
    const right = await rightBy(always, fire, later)
    assert.equal(right.until, Date.parse('2026-11-20T12:30:00Z'))
    assert.doesNotMatch(JSON.stringify(right), /release/)
  })
  it('otherwise changes with the policy only', async () => {
    assert.deepEqual([(await rightBy(always, over)).until, (await rightBy(always)).ends], [null, []])
  })
})

describe('the limits of somebody', () => {
  it('are told with the rows that say them, none where it is the product’s own', async () => {
    const { limits } = await accessBy(['l, *, range=3d', 'l, group:a, rate=7', 'l, group:b, rate=9'])
    const told = new Map(limits.map(({ limit, text, from }) => [limit, [text, from]]))
    assert.deepEqual(told.get('range'), ['3d', ['p.csv:1']])
    assert.deepEqual(told.get('rate'), ['7', ['p.csv:2']])
    assert.deepEqual(told.get('points'), ['11000', []])
  })
})

describe('on the page', () => {
  const textOf = (html: { readonly text: string }): string =>
    html.text.replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ')
  const tableBy = async (...rules: readonly string[]): Promise<string> => {
    const [cluster] = (await accessBy(rules)).clusters
    assert.ok(cluster !== undefined)
    return textOf(clusterTable(cluster))
  }

  it('a namespace of one’s own is said in words and as what is asked for', async () => {
    const text = await tableBy('p, group:a, *, query|rules, namespace=x, allow')
    assert.match(text, /query, rules Own samples of x namespace: x p\.csv:1 /)
    assert.match(text, /federate, .* nothing no rule names you or your groups/)
  })
  it('each view has its line, and so has what is taken away', async () => {
    const text = await tableBy(
      'p, group:a, *, query, namespace=x-*, allow, view=both',
      'p, group:a, *, query, namespace=x-1, deny, view=own',
      'p, group:a, *, query, namespace=x-2, deny, view=destination',
      'p, group:a, *, query, job=p, allow',
      'p, group:a, *, query, job=q, deny',
    )
    for (const words of [
      'Own samples of x-* What others report about calling x-* Series with job=p Never: own samples of x-1',
      'Never: own samples of x-1 Never: what is said about calling x-2 Never: series with job=q As matchers',
      'namespace: x-* but not x-1; or dst_namespace: x-* but not x-2',
      'p.csv:1 p.csv:2 p.csv:3 p.csv:4 p.csv:5',
    ]) {
      assert.ok(text.includes(words), `${words}: ${text}`)
    }
  })
  it('every series and every namespace are two things', async () => {
    assert.match(await tableBy('p, group:a, *, query, *, allow'), /query every series p\.csv:1/)
    assert.match(await tableBy('p, group:a, *, query, namespace=*, allow'), /query Own samples of every namespace/)
  })
  it('a rule that ends says when, and that another begins is said too', async () => {
    const text = await tableBy(
      'p, group:a, *, query, namespace=y, allow, until=2026-11-20T13:00:00Z, reason=a <fire>',
      'p, group:a, *, query, namespace=w, allow, from=2026-11-20T12:30:00Z, reason=a release',
    )
    assert.match(
      text,
      /p\.csv:1, until 2026-11-20 13:00:00 UTC For a time: a &lt;fire&gt; Another rule begins at 2026-11-20 12:30/,
    )
    assert.doesNotMatch(text, /release/)
  })
  it('a limit has its rows', async () => {
    const text = textOf(limitTable((await accessBy(['l, group:a, rate=7'])).limits))
    assert.match(text, /rate: requests in a second 7 p\.csv:1 /)
    assert.match(text, /points: points of one series in an answer 11000 no rule: the gateway’s own/)
  })
})
