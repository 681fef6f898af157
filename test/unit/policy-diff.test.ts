// What a diff says of two policies, compared with what the two decide.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Identity } from '../../src/identity/identity.ts'
import { diffPolicies } from '../../src/policy/diff.ts'
import type { PolicyDiff } from '../../src/policy/diff.ts'
import { indexRules } from '../../src/policy/index-rules.ts'
import { holds } from '../../src/policy/judge.ts'
import type { Side } from '../../src/policy/judge.ts'
import { parsePolicy } from '../../src/policy/parse.ts'
import type { ParsedPolicy } from '../../src/policy/parse.ts'
import { matches } from '../../src/policy/patterns.ts'
import type { Decision } from '../../src/policy/policy.ts'
import { profiles } from '../../src/policy/profile.ts'
import type { Action } from '../../src/policy/rules.ts'
import { identityFor } from '../../src/policy/subjects.ts'

const now = Date.parse('2026-11-20T00:00:00Z')

function parsed(lines: readonly string[]): ParsedPolicy {
  const read = parsePolicy([{ name: 'p.csv', text: lines.join('\n') }])
  assert.ok(read.ok, JSON.stringify(read))
  return read.value
}
function diffOf(old: readonly string[], next: readonly string[]): PolicyDiff {
  const compared = diffPolicies(parsed(old), parsed(next), now)
  assert.ok(compared.ok, JSON.stringify(compared))
  return compared.value
}
const decide = (policy: ParsedPolicy, who: Identity, cluster: string, action: Action, at: number): Decision =>
  indexRules(policy, { profile: profiles.linkerd, clock: () => at }, '').decide(who, cluster, action)

const some = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values)
const namespaces = ['a', 'ab', 'b', 'team-a', 'team-b', 'zzz']
const row = fc
  .record({
    subject: some('group:g1', 'group:g2', 'group:g3', 'role:r1', 'role:r2'),
    cluster: some('*', 'eu', 'eu*', '*u'),
    action: some('query', 'query|federate', '*'),
    resource: fc.oneof(
      {
        weight: 6,
        arbitrary: fc.tuple(some('a', 'b', 'a*', '*', 'team-*', 'team-a', '*-a'), some('own', 'destination', 'both')),
      },
      { weight: 1, arbitrary: some(['*', ''] as const, ['job=x', ''] as const, ['job=*', ''] as const) },
    ),
    effect: some('allow', 'allow', 'deny'),
    time: some('', '', '', ', until=2026-11-19T00:00:00Z, reason=x', ', from=2026-11-22T00:00:00Z, reason=x'),
  })
  .map(({ subject, cluster, action, resource: [resource, view], effect, time }) => {
    const what = view === '' ? resource : `namespace=${resource}`
    return `p, ${subject}, ${cluster}, ${action}, ${what}, ${effect}${view === '' ? '' : `, view=${view}`}${time}`
  })
const other = some(
  ...['g, group:g1, role:r1', 'g, group:g2, role:r1', 'g, role:r1, role:r2', 'g, group:g3, role:r2'],
  ...['l, *, range=31d', 'l, group:g1, range=7d', 'l, role:r2, range=400d', 'l, group:g2, points=100'],
)
const fixed = ['p, role:r1, *, query, namespace=r1, allow', 'p, role:r2, *, query, namespace=r2, allow']
/** A policy, and one that differs from it by a few rows. */
const pair = fc
  .record({
    rows: fc.uniqueArray(fc.oneof({ weight: 3, arbitrary: row }, { weight: 1, arbitrary: other }), { maxLength: 7 }),
    added: fc.uniqueArray(fc.oneof(row, other), { maxLength: 1 }),
    dropped: some(0, 0, 1, 2),
  })
  .map(({ rows, added, dropped }) => {
    const withView = (lines: readonly string[]): readonly string[] => [...fixed, ...new Set(lines)]
    return [withView(rows), withView([...rows.slice(dropped).toReversed(), ...added])] as const
  })
const groups = ['g1', 'g2', 'g3']
const people = groups.flatMap((one) => groups.map((another) => [...new Set([one, another])])).concat([groups])
const person = (held: readonly string[]): Identity => ({ ...identityFor('group:x'), groups: held })

interface Asked {
  readonly cluster: string
  readonly action: Action
  readonly at: number
}
const questions: readonly Asked[] = ['eu', 'eux', 'euu', 'xu', 'us'].flatMap((cluster) =>
  (['query', 'federate', 'rules'] as const).flatMap((action) =>
    [now, now + 3 * 86_400_000].map((at) => ({ cluster, action, at })),
  ),
)
const resources: readonly (readonly [string, Side])[] = [
  ...namespaces.flatMap((name) =>
    (['own', 'destination'] as const).map((side) => [`namespace=${name}`, side] as const),
  ),
  ...[['job=x', 'own'] as const, ['job=y', 'own'] as const, ['*', 'both'] as const],
]
/** All that somebody sees and may ask for, as a text. */
function rightsText(policy: ParsedPolicy, who: Identity, { cluster, action, at }: Asked): string {
  const { scope, limits } = decide(policy, who, cluster, action, at)
  const seen = resources.map(([resource, side]) => holds(scope, resource, side, profiles.linkerd))
  return JSON.stringify([seen, limits])
}

describe('a diff of two policies', () => {
  it('says that nothing changes only where nothing does, whichever groups somebody has', () => {
    const counts = { same: 0, changed: 0 }
    fc.assert(
      fc.property(pair, ([old, next]) => {
        const [before, after] = [parsed(old), parsed(next)]
        const { changed } = diffOf(old, next)
        counts[changed ? 'changed' : 'same'] += 1
        if (changed) return
        for (const held of people) {
          for (const asked of questions) {
            assert.equal(rightsText(after, person(held), asked), rightsText(before, person(held), asked))
          }
        }
      }),
      { numRuns: 250 },
    )
    assert.ok(counts.same > 30 && counts.changed > 30, JSON.stringify(counts))
  })
  it('names each subject whose decisions change', () => {
    fc.assert(
      fc.property(pair, ([old, next]) => {
        const [before, after] = [parsed(old), parsed(next)]
        const { rights, limits } = diffOf(old, next)
        const told = new Set([...rights, ...limits].map(({ subject }) => subject))
        for (const group of groups) {
          const differs = questions.some(
            (asked) => rightsText(after, person([group]), asked) !== rightsText(before, person([group]), asked),
          )
          if (differs && !told.has('*')) assert.ok(told.has(`group:${group}`), `${group} is not named`)
        }
      }),
      { numRuns: 120 },
    )
  })
  it('gives examples that one policy shows and the other does not', () => {
    let examples = 0
    fc.assert(
      fc.property(pair, ([old, next]) => {
        const [before, after] = [parsed(old), parsed(next)]
        for (const { subject, kind, clusters, actions, from, resource, view, example } of diffOf(old, next).rights) {
          if (kind !== 'gained' && kind !== 'lost') continue
          const [{ patterns, except } = { patterns: [], except: [] }] = clusters
          const cluster = ['eu', 'eux', 'euu', 'xu', 'us'].find(
            (name) => patterns.every((one) => matches(one, name)) && !except.some((one) => matches(one, name)),
          )
          const [action] = actions
          if (cluster === undefined || action === undefined) continue
          if (example === null || !resource.startsWith('namespace=')) continue
          const sees = (policy: ParsedPolicy): boolean => {
            const { scope } = decide(policy, identityFor(subject), cluster, action, from ?? now)
            return holds(scope, `namespace=${example}`, view === 'both' ? 'own' : view, profiles.linkerd)
          }
          examples += 1
          assert.deepEqual([sees(before), sees(after)], kind === 'gained' ? [false, true] : [true, false], example)
        }
      }),
      { numRuns: 250 },
    )
    assert.ok(examples > 60, `only ${examples}`)
  })
})

describe('a diff says', () => {
  const a = 'p, group:a, *, query, namespace=team-*, allow'
  const told = (old: readonly string[], next: readonly string[]): readonly (readonly unknown[])[] =>
    diffOf(old, next).rights.map(({ subject, kind, resource, view }) => [subject, kind, resource, view])

  it('nothing of rows that are moved, said twice, split, or over', () => {
    const narrower = 'p, group:a, *, query, namespace=team-x, allow'
    const over = 'p, group:a, *, query, namespace=b, allow, until=2026-11-01T00:00:00Z, reason=x'
    const two = ['p, group:a, *, query|rules, namespace=x, allow', a]
    const split = [a, 'p, group:a, *, rules, namespace=x, allow', 'p, group:a, *, query, namespace=x, allow']
    for (const [old, next] of [
      [[a], [narrower, a]],
      [[a, over], [a]],
      [two, split],
    ] as const) {
      assert.deepEqual(diffOf(old, next), { changed: false, rights: [], limits: [], roles: [] })
    }
  })
  it('what a new deny takes away, and that it takes it from all of a person', () => {
    const next = [a, 'p, group:a, *, query, namespace=team-x, deny']
    assert.deepEqual(told([a], next), [
      ['group:a', 'lost', 'namespace=team-x', 'own'],
      ['group:a', 'denied', 'namespace=team-x', 'own'],
    ])
    assert.deepEqual(diffOf([a], next).rights[0], {
      subject: 'group:a',
      kind: 'lost',
      resource: 'namespace=team-x',
      view: 'own',
      except: [],
      example: 'team-x',
      because: { in: 'new', rows: ['p.csv:2'] },
      clusters: [{ patterns: ['*'], except: [] }],
      actions: ['query'],
      from: null,
      until: null,
    })
  })
  it('that a deny is gone, also of a group that is granted nothing itself', () => {
    assert.deepEqual(told([a, 'p, group:b, *, *, namespace=team-x, deny'], [a]), [
      ['group:b', 'undenied', 'namespace=team-x', 'own'],
    ])
  })
  it('what is left of a pattern, with an example of what is not', () => {
    const { rights } = diffOf([a], ['p, group:a, *, query, namespace=team-a-*, allow'])
    assert.deepEqual(
      rights.map(({ resource, except, example }) => [resource, except, example]),
      [['namespace=team-*', ['team-a-*'], 'team-x']],
    )
  })
  it('that every series is more than every namespace', () => {
    const { rights } = diffOf(['p, group:a, *, query, namespace=*, allow'], ['p, group:a, *, query, *, allow'])
    assert.deepEqual(
      rights.map(({ kind, resource, except }) => [kind, resource, except]),
      [['gained', '*', ['namespace=*']]],
    )
  })
  it('on which clusters, for which actions and from which side', () => {
    // Of rules on eu-1, all are seen already.
    const old = [a, 'p, group:a, eu-1, rules, *, allow']
    const { rights } = diffOf(old, [...old, 'p, group:a, eu-*, query|rules, namespace=b, allow, view=both'])
    assert.deepEqual(
      rights.map(({ clusters, actions, view }) => ({ clusters, actions, view })),
      [
        { clusters: [{ patterns: ['eu-*'], except: [] }], actions: ['query'], view: 'both' },
        { clusters: [{ patterns: ['eu-*'], except: ['eu-1'] }], actions: ['rules'], view: 'both' },
      ],
    )
  })
  it('on clusters that match two patterns at once', () => {
    const old = ['p, group:a, eu-*, query, namespace=a, allow', 'p, group:a, eu-1, query, namespace=b, allow']
    const row = 'p, group:a, *-1, query, namespace=b, allow'
    const { rights } = diffOf([...old, 'p, group:a, us-*, query, namespace=b, allow'], [...old, row])
    const places = rights.map(({ kind, clusters }) => [kind, clusters])
    assert.deepEqual(places, [
      [
        'gained',
        [
          { patterns: ['*-1'], except: ['eu-*', 'us-*'] },
          { patterns: ['eu-*', '*-1'], except: ['eu-1'] },
        ],
      ],
      ['lost', [{ patterns: ['us-*'], except: ['*-1'] }]],
    ])
  })
  it('from when until when, each change by itself', () => {
    const glass = (end: number): string =>
      `p, group:a, *, query, namespace=b, allow, from=2026-11-20T03:00:00Z, until=2026-11-20T0${end}:00:00Z, reason=x`
    const times = (old: readonly string[], next: readonly string[]): readonly (readonly unknown[])[] =>
      diffOf(old, next).rights.map(({ resource, from, until }) => [resource, from, until])
    const at = (hour: number): number => Date.parse(`2026-11-20T0${hour}:00:00Z`)
    assert.deepEqual(times([], [a, glass(5)]), [
      ['namespace=team-*', null, null],
      ['namespace=b', at(3), at(5)],
    ])
    assert.deepEqual(times([glass(5)], [glass(7)]), [['namespace=b', at(5), at(7)]])
  })
  it('what a membership brings, to the member and not to the role', () => {
    const role = ['p, role:r, *, query, namespace=b, allow', 'g, group:x, role:r']
    const { rights, roles } = diffOf(role, [...role, 'g, group:a, role:r'])
    assert.deepEqual(
      rights.map(({ subject, kind, resource }) => [subject, kind, resource]),
      [['group:a', 'gained', 'namespace=b']],
    )
    assert.deepEqual(roles, [{ member: 'group:a', role: 'role:r', change: 'joins', way: ['group:a', 'role:r'] }])
  })
  it('which limits change, of whom, and what everybody’s become', () => {
    const { limits, changed } = diffOf(
      [a, 'l, group:a, range=7d'],
      [a, 'l, *, points=500, range=400d', 'l, group:a, points=100'],
    )
    assert.equal(changed, true)
    assert.deepEqual(limits, [
      { subject: '*', limit: 'points', old: '11000', new: '500' },
      { subject: 'group:a', limit: 'range', old: '7d', new: '400d, without a row' },
      { subject: 'group:a', limit: 'points', old: '11000, without a row', new: '100' },
    ])
  })
  it('that somebody is named for too many kinds of clusters to compare', () => {
    const rows = Array.from(
      { length: 16 },
      (_, at) => `p, group:a, *${String.fromCodePoint(97 + at)}z*, query, *, allow`,
    )
    const compared = diffPolicies(parsed([a]), parsed(rows), now)
    assert.ok(!compared.ok)
    assert.match(compared.error, /^group:a has rows for too many different patterns of clusters/)
  })
})
