// The repository's policy keeps what its tests say, and the tests of a policy mean what docs/policy.md says of them.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { readYamlTree } from '../../src/config/yaml-tree.ts'
import { loadPolicy } from '../../src/policy/policy.ts'
import type { Policy } from '../../src/policy/policy.ts'
import { readCases } from '../../src/policy/policy-tests.ts'
import type { PolicyCase } from '../../src/policy/policy-tests.ts'
import { profiles } from '../../src/policy/profile.ts'
import { runCases } from '../../src/policy/run-policy-tests.ts'
import type { TestRun } from '../../src/policy/run-policy-tests.ts'
import type { Result } from '../../src/result.ts'

const root = resolve(import.meta.dirname, '../..')
const textOf = (file: string): string => readFileSync(join(root, file), 'utf8')
const model = { name: 'model.conf', text: textOf('policies/model.conf') }
const own = textOf('policies/policy.csv')
const now = Date.parse('2026-11-20T12:00:00Z')

async function policyOf(text: string): Promise<Policy> {
  const loaded = await loadPolicy(model, [{ name: 'p.csv', text }])
  assert.ok(loaded.ok, JSON.stringify(loaded))
  return loaded.value
}
function read(file: string, text: string): Result<readonly PolicyCase[], readonly string[]> {
  const tree = readYamlTree(file, text)
  return tree.ok ? readCases(file, tree.value) : tree
}
function casesOf(file: string, text: string): readonly PolicyCase[] {
  const cases = read(file, text)
  assert.ok(cases.ok, JSON.stringify(cases))
  return cases.value
}
async function run(rows: string, text: string, clusters: readonly string[] = []): Promise<TestRun> {
  return runCases(await policyOf(rows), casesOf('t.yaml', text), { profile: profiles.linkerd, clusters, at: now })
}
const messages = ({ failures }: TestRun): readonly string[] => failures.map(({ message }) => message)

describe('policies/tests', () => {
  const files = readdirSync(join(root, 'policies/tests')).map((file) => join('policies/tests', file))
  const cases = files.flatMap((file) => casesOf(file, textOf(file)))
  const setting = { profile: profiles.linkerd, clusters: [], at: now }

  it('hold', async () => {
    const { failures, checks } = runCases(await policyOf(own), cases, setting)
    assert.deepEqual(failures, [])
    assert.ok(checks > 50, `only ${checks}`)
  })
  it('have a test for every subject of policies/policy.csv', async () => {
    const tested = new Set(cases.flatMap(({ somebody }) => somebody.subjects))
    for (const { subject } of (await policyOf(own)).parsed.rules) assert.ok(tested.has(subject), subject)
  })
  for (const row of [
    'p, group:team-emojivoto, *, query, namespace=*, allow',
    'p, group:team-booksapp, *, query, namespace=emojivoto, allow',
    'p, group:team-booksapp, east, query, namespace=emojivoto, allow',
    'p, group:team-booksapp, *, audit:read, *, allow',
    'p, group:auditors, *, query, namespace=emojivoto, allow',
    'p, group:everybody, *, metadata, namespace=emojivoto, allow',
    'p, group:platform, *, *, namespace=emojivoto, deny',
    'p, service:datasource/grafana, *, query, namespace=emojivoto, allow',
  ]) {
    it(`do not hold with ${row}`, async () => {
      assert.notDeepEqual(runCases(await policyOf(`${own}\n${row}`), cases, setting).failures, [])
    })
  }
  it('do not hold without one of its rows', async () => {
    const lines = own.split('\n')
    for (const [index, line] of lines.entries()) {
      if (!line.startsWith('p,')) continue
      const { failures } = runCases(await policyOf(lines.toSpliced(index, 1).join('\n')), cases, setting)
      assert.notDeepEqual(failures, [], line)
    }
  })
})

describe('sees', () => {
  const rows = 'p, group:a, *, query, namespace=team-*, allow\np, group:a, *, query, namespace=team-x, deny'

  it('is about every name that a pattern stands for', async () => {
    assert.deepEqual(messages(await run(rows, '- as: group:a\n  sees: [team-a, team-a-*]')), [])
    assert.deepEqual(messages(await run(rows, '- as: group:a\n  sees: team-*')), [
      'sees: team-* (own) is not seen, such as team-x: the scope is namespace: team-* but not team-x',
    ])
  })
  it("is about a namespace's own series, unless it says /destination", async () => {
    const both =
      'p, group:a, *, query, namespace=b, allow, view=destination\np, group:a, *, query, namespace=c, allow, view=both'
    assert.deepEqual(messages(await run(both, '- as: group:a\n  sees: [b/destination, c, c/destination]')), [])
    const [message = '', ...more] = messages(await run(both, '- as: group:a\n  sees: [b]'))
    assert.deepEqual(more, [])
    assert.match(message, /^sees: b \(own\) is not seen: /)
  })
  it('of * is every series, and of a label those with it', async () => {
    assert.deepEqual(
      messages(await run('p, group:a, *, query, *, allow', "- as: group:a\n  sees: ['*', x, x/destination, job=y]")),
      [],
    )
    assert.equal(
      messages(await run('p, group:a, *, query, namespace=*, allow', "- as: group:a\n  sees: ['*']")).length,
      1,
    )
    const label = 'p, group:a, *, query, job=web-*, allow'
    assert.deepEqual(messages(await run(label, '- as: group:a\n  sees: [job=web-1, job=web-*]')), [])
    assert.equal(messages(await run(label, '- as: group:a\n  sees: [job=db]')).length, 1)
  })
})

describe('hides', () => {
  const hides = async (rows: string, entry: string): Promise<readonly string[]> =>
    messages(await run(rows, `- as: group:a\n  hides: ['${entry}']`))

  it('is about every name that a pattern stands for', async () => {
    const rows = 'p, group:a, *, query, namespace=team-a-*, allow'
    assert.deepEqual(await hides(rows, 'pay*'), [])
    assert.deepEqual(await hides(rows, 'team-*'), [
      'hides: team-* (own) is seen, such as team-a-x: the scope is namespace: team-a-*',
    ])
    assert.deepEqual(await hides(`${rows}\np, group:a, *, query, namespace=team-*, deny`, 'team-*'), [])
  })
  it('is about both sides, unless it says which', async () => {
    const rows = 'p, group:a, *, query, namespace=b, allow, view=destination'
    assert.equal((await hides(rows, 'b')).length, 1)
    assert.equal((await hides(rows, 'b/destination')).length, 1)
    assert.deepEqual(await hides(rows, 'b/own'), [])
  })
  it('of * is everything', async () => {
    assert.deepEqual(await hides('p, group:b, *, query, *, allow', '*'), [])
    assert.equal((await hides('p, group:a, *, query, job=x, allow', '*')).length, 1)
  })
  it('knows that a grant by another label shows series of any namespace that is not denied', async () => {
    const rows = 'p, group:a, *, query, job=prometheus, allow'
    assert.deepEqual(await hides(rows, 'b'), [
      'hides: b (own) is seen: the scope is job: prometheus',
      'hides: b (destination) is seen: the scope is job: prometheus',
    ])
    assert.deepEqual(await hides(`${rows}\np, group:a, *, query, namespace=b, deny, view=both`, 'b'), [])
    assert.equal((await hides('p, group:a, *, query, namespace=b, allow', 'job=x')).length, 1)
  })
})

describe('a test', () => {
  it('without a cluster must hold on every one, those that no row names too', async () => {
    const rows = 'p, group:a, *, query, namespace=a, allow\np, group:a, eu-*, query, namespace=b, allow'
    const [failure] = (await run(rows, '- as: group:a\n  hides: b/own')).failures
    assert.deepEqual(failure?.clusters, ['eu-x'])
    const [other] = (await run('p, group:a, east, query, namespace=a, allow', '- as: group:a\n  sees: a')).failures
    assert.deepEqual(other?.clusters, ['x'])
    assert.deepEqual(messages(await run(rows, '- as: group:a\n  cluster: eu-1\n  sees: b')), [])
    assert.deepEqual(messages(await run(rows, '- as: group:a\n  sees: [a, b]', ['eu-1', 'eu-2'])), [])
  })
  it('has its own time, or the present one', async () => {
    const rows =
      'p, group:a, *, query, namespace=a, allow, from=2026-11-20T03:00:00Z, until=2026-11-20T05:00:00Z, reason=x'
    const text = '- as: group:a\n  at: 2026-11-20T04:00:00Z\n  sees: a\n- as: group:a\n  hides: a\n'
    assert.deepEqual(messages(await run(rows, text)), [])
  })
  it('is about query, or the action that it names; may and mustNot are about theirs', async () => {
    const rows = 'p, group:a, *, rules|alerts, namespace=a, allow'
    const text = '- as: group:a\n  action: rules\n  sees: a\n  may: [alerts]\n  mustNot: [query]'
    assert.deepEqual(messages(await run(rows, text)), [])
    assert.deepEqual(messages(await run(rows, '- as: group:a\n  may: [query]\n  mustNot: [rules]')), [
      'may: query is not allowed',
      'mustNot: rules is allowed (namespace: a)',
    ])
  })
  it('knows the whole scope and the limits', async () => {
    const rows = 'p, group:a, *, query, namespace=a, allow\nl, group:a, range=31d'
    assert.deepEqual(messages(await run(rows, "- as: group:a\n  scope: 'namespace: a'\n  limits: { range: 744h }")), [])
    assert.deepEqual(
      messages(await run(rows, "- as: group:a\n  scope: 'namespace: b'\n  limits: { range: 7d, rate: 5 }")),
      ['scope: is "namespace: a", not "namespace: b"', 'limits: range is 31d, not 7d', 'limits: rate is 100, not 5'],
    )
  })
  it('that does not hold names the rows that decided', async () => {
    const { failures, checks, cases } = await run(
      'p, group:a, *, query, namespace=a, allow',
      '- as: group:a\n  hides: a/own',
    )
    assert.deepEqual([failures[0]?.at, failures[0]?.because, checks, cases], ['t.yaml:1', ['p.csv:1'], 1, 1])
  })
})

describe('a file of tests that could be misread is an error with its line:', () => {
  for (const [text, problem] of [
    ['', 't.yaml:1: must be a list of tests, "- as: …" each'],
    ['as: group:a', 't.yaml:1: must be a list of tests, "- as: …" each'],
    ['- group:a', 't.yaml:1: must be a test: settings such as "as:" and "sees:"'],
    ['- as: group:a', 't.yaml:1: expects nothing: give sees, hides, scope, may, mustNot or limits'],
    ['- as: group:a\n  sees: []', 't.yaml:2: sees: must be a text or a list of texts'],
    ['- as: group:a\n  sees: [a, [b]]', 't.yaml:2: sees: must be a text or a list of texts'],
    ['- as: group:a\n  hides: [*]', 't.yaml:2: a text that begins with * needs quotes'],
    ['- as: group:a\n  hides: *', 't.yaml:2: a text that begins with * needs quotes'],
    [
      '- as: group:a\n  hides: *a',
      't.yaml:2: an alias stands for something else: a text that begins with * needs quotes',
    ],
    ['- as: group:a\n  sees: a\n  sees: b', 't.yaml:3: Map keys must be unique'],
    [
      '- as: group:a\n  sees: A',
      't.yaml:2: sees: "A" is not a namespace name or a pattern: a-z, 0-9, - and * only, at most 63 characters',
    ],
    [
      '- as: group:a\n  sees: a/both',
      't.yaml:2: sees: "a/both" is not a namespace name or a pattern: a-z, 0-9, - and * only, at most 63 characters',
    ],
    ['- as: role:a\n  sees: a', 't.yaml:1: as: nobody is "role:a" by themselves: name a member of it'],
    ['- sees: a', 't.yaml:1: as: nobody is named: write group:<name>, user:<issuer>#<subject> or service:<subject>'],
    ['- as: group:a\n  sees: a\n  at: yesterday', 't.yaml:3: at: must be a moment such as 2026-11-20T03:00:00Z'],
    ['- as: group:a\n  sees: a\n  cluster: eu-*', 't.yaml:3: cluster: "eu-*" is not a cluster\'s name'],
    ['- as: group:a\n  sees: a\n  action: [query, rules]', 't.yaml:3: action: must be one: write a test for each'],
    [
      '- as: group:a\n  limits: { range: 31 }',
      't.yaml:2: limits: range=31: must be a duration such as 30s, 15m, 12h or 31d',
    ],
    [
      '- as: group:a\n  limits: 31d',
      't.yaml:2: limits: no limit is named: range=…, points=…, selectors=…, bytes=…, timeout=…, rate=…, concurrent=…',
    ],
    ['- as: group:a\n  scope: [x]', 't.yaml:2: scope: must be a text'],
  ] as const) {
    it(JSON.stringify(text), () => assert.deepEqual(read('t.yaml', text), { ok: false, error: [problem] }))
  }
  it('an unknown key, an unknown action, all at once', () => {
    const cases = read('t.yaml', '- as: group:a\n  see: a\n- as: group:a\n  may: [qury]\n')
    assert.ok(!cases.ok)
    assert.deepEqual(cases.error, [
      't.yaml:2: there is no "see": there are name, as, cluster, action, at, sees, hides, scope, may, mustNot, limits',
      't.yaml:4: may: the action "qury" is none of query, federate, metadata, rules, alerts, targets, remote-read, status, audit:read, audit:export, policy:explain',
    ])
  })
})
