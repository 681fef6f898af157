import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { after, describe, it } from 'node:test'
import { commands, runCommand } from '../../../src/cli/cli.ts'

const root = resolve(import.meta.dirname, '../../..')
const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-cli-policy-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}
/** Runs `bailiwick policy …`; words that name a file of the scratch directory are found there. */
async function run(...args: readonly string[]): Promise<Ran> {
  let out = ''
  let err = ''
  const code = await runCommand(['policy', ...args], {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    lines: assert.fail,
  })
  return { code, out, err }
}
async function json(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly value: Record<string, unknown> }> {
  const { code, out, err } = await run(...args, '--json')
  assert.equal(err, '')
  return { code, value: JSON.parse(out) }
}
function fileOf(name: string, ...lines: readonly string[]): string {
  const path = join(scratch, name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, `${lines.join('\n')}\n`)
  return path
}

const good = fileOf(
  'good/policy.csv',
  'p, group:a, *, query|rules, namespace=team-*, allow',
  'p, group:a, *, query, namespace=team-x, deny',
  'g, group:b, role:viewer',
  'p, role:viewer, *, query, namespace=shared, allow',
  'p, group:sre, *, query, namespace=payments, allow, from=2026-11-20T03:00:00Z, until=2026-11-20T05:00:00Z, reason=INC-1',
  'l, group:a, range=7d',
)
const clustered = fileOf(
  'clustered.csv',
  'p, group:a, east, query, namespace=a, allow',
  'p, group:a, west, query, *, allow',
)
const broken = fileOf('broken.csv', '# a comment', 'p, group:a, *, query, namespace=a, Deny', 'q, x')
const config = fileOf(
  'bailiwick.yaml',
  'clusters: [{ name: east, prometheus: { url: http://prometheus } }, { name: west, prometheus: { url: http://prometheus } }]',
  'identity: { issuers: [{ issuer: https://id.example.org, audience: [bailiwick] }] }',
  `policy: { model: '${root}/policies/model.conf', rules: [clustered.csv] }`,
  'audit: { directory: audit }',
)
const at = ['--at', '2026-11-20T04:00:00Z'] as const

describe('policy', () => {
  const subcommands = Object.entries(commands['policy']?.subcommands ?? {})
  it('has the five commands, each with help that names its options and no other', async () => {
    assert.deepEqual(
      subcommands.map(([name]) => name),
      ['check', 'test', 'explain', 'who-can', 'diff'],
    )
    for (const [name, command] of subcommands) {
      assert.ok(command.help.startsWith(`Usage: bailiwick policy ${name} `))
      const named = [...command.help.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, option]) => option)
      assert.deepEqual(named, Object.keys(command.options))
      assert.ok(commands['policy']?.help.includes(`\n  policy ${name} `))
      for (const flag of ['--help', '-h'])
        assert.deepEqual(await run(name, flag), { code: 0, out: command.help, err: '' })
    }
  })
  for (const [line, says] of [
    ['', 'policy: which of them?'],
    ['lint', 'there is no command "policy lint"'],
    ['toString', 'there is no command "policy toString"'],
    ['check x.csv', '"x.csv" is more than this command takes'],
    ['check --rules x --config y', 'give --config or --rules, not both'],
    ['check --model x', '--model goes with --rules'],
    ['check --profile istio', '--profile goes with --rules'],
    ['check --rules x --profile envoy', 'there is no profile "envoy"; there are linkerd and istio'],
    ['explain --rules x', '--as: nobody is named: write group:<name>, user:<issuer>#<subject> or service:<subject>'],
    ['explain --rules x --as role:a', '--as: nobody is "role:a" by themselves: name a member of it'],
    ['explain --rules x --as group:a --action sing', 'there is no action "sing"; there are query, federate, metadata'],
    [
      'explain --rules x --as group:a --at now',
      '--at takes a moment such as 2026-11-20T03:00:00Z (RFC 3339, with the zone)',
    ],
    ['who-can --rules x', 'which namespace? Give --namespace'],
    ['who-can --rules x --namespace a-*', '"a-*" is not a namespace\'s name'],
    ['who-can --rules x --namespace a --view all', 'there is no view "all"; there are own, destination and both'],
    ['diff x', 'which two policies? Give OLD and NEW'],
    ['diff x y z', '"z" is more than this command takes'],
    [`explain --rules ${clustered} --as group:a`, 'which cluster? Rows name east and west: give --cluster'],
    [`explain --rules ${clustered} --as group:a --cluster e*`, '"e*" is not a cluster\'s name'],
    [
      `explain --config ${config} --as group:a --cluster north`,
      'the configuration has no cluster "north"; there are east and west',
    ],
  ] as const) {
    it(`does not understand ${line === '' ? 'nothing' : line.replaceAll(scratch, '')}`, async () => {
      const { code, out, err } = await run(...line.split(' ').filter((word) => word !== ''))
      assert.deepEqual({ code, out }, { code: 2, out: '' })
      assert.ok(err.startsWith(says), err)
      assert.match(err, /\n\nUsage: bailiwick policy /)
    })
  }
  for (const args of [['check'], ['test'], ['explain', '--as', 'group:a'], ['who-can', '--namespace', 'a']]) {
    it(`${args[0]} says what is wrong with a policy, with file and line, and ends with 1`, async () => {
      const problems = [
        'broken.csv:2: the effect "Deny" is neither allow nor deny',
        'broken.csv:3: a row begins with p (a rule), g (a membership) or l (limits), not with "q"',
      ]
      assert.deepEqual(await run(...args, '--rules', broken), {
        code: 1,
        out: '',
        err: `${broken}: 2 problems\n  ${problems.join('\n  ')}\n`,
      })
      assert.deepEqual(await json(...args, '--rules', broken), { code: 1, value: { ok: false, problems } })
    })
    it(`${args[0]} says which file is not there`, async () => {
      const { code, err } = await run(...args, '--rules', join(scratch, 'absent.csv'))
      assert.equal(code, 1)
      assert.match(err, /absent\.csv: one problem\n {2}ENOENT/)
      assert.match((await run(...args, '--config', join(scratch, 'absent.yaml'))).err, /one problem\n {2}ENOENT/)
    })
  }
  it('takes all rule files of a directory, in the order of their names', async () => {
    fileOf('many/b.csv', 'p, group:b, *, query, namespace=b, allow')
    fileOf('many/a.csv', 'p, group:a, *, query, namespace=a, allow')
    fileOf('many/README.md', 'not a policy')
    const { value } = await json('who-can', '--rules', join(scratch, 'many'), '--namespace', 'b')
    assert.deepEqual(
      Object(value['subjects']).map(({ subject }: { subject: string }) => subject),
      ['group:b'],
    )
    assert.match((await run('check', '--rules', join(scratch, 'many'))).out, /2 rules/)
    mkdirSync(join(scratch, 'none'))
    assert.match((await run('check', '--rules', join(scratch, 'none'))).err, /there is no \.csv file in it/)
  })
  it('takes a model of one’s own', async () => {
    const lax = fileOf('lax.conf', '[request_definition]', 'r = subjects, cluster')
    const { code, err } = await run('check', '--rules', good, '--model', lax)
    assert.equal(code, 1)
    assert.match(err, /lax\.conf/)
  })
})

describe('policy check', () => {
  const doubtful = fileOf('doubtful.csv', 'p, group:a, *, *, *, allow', 'p, group:a, *, query, namespace=a, allow')
  it('says what there is, and that Casbin agrees on every rule', async () => {
    const { code, out, err } = await run('check', '--rules', good)
    assert.deepEqual({ code, err }, { code: 0, err: '' })
    assert.equal(
      out.replace(/sha256:[0-9a-f]{64}/, 'DIGEST'),
      `${good}: ok\n  rows    4 rules, 1 membership, 1 row of limits\n  judged  4 rules, Casbin agrees\n  digest  DIGEST\n`,
    )
  })
  it('tells warnings, which are errors with --strict', async () => {
    const warning = 'doubtful.csv:2: says nothing that doubtful.csv:1 does not say: take it out'
    const { code, out, err } = await run('check', '--rules', doubtful)
    assert.deepEqual({ code, err }, { code: 0, err: `warning  ${warning}\n` })
    assert.match(out, /^.*doubtful\.csv: 1 warning\n/)
    assert.equal((await run('check', '--rules', doubtful, '--strict')).code, 1)
    const { value } = await json('check', '--rules', doubtful)
    assert.deepEqual([value['ok'], value['warnings'], value['judged']], [true, [warning], 2])
    const strict = await json('check', '--rules', doubtful, '--strict')
    assert.deepEqual([strict.code, strict.value['ok']], [1, false])
  })
  it('puts every rule to Casbin, also where the gateway asks about some only', async () => {
    // Of so many rules the gateway asks about every other. This model forgets a group between two of them.
    const rows = Array.from({ length: 600 }, (_, index) => `p, group:g${index}, *, query, namespace=n${index}, allow`)
    const many = fileOf('many.csv', ...rows)
    const { code, value } = await json('check', '--rules', many)
    assert.deepEqual([code, value['judged']], [0, 600])
    const odd = fileOf('odd.conf', modelBut('p.subject != "group:g7" && '))
    assert.equal((await run('who-can', '--rules', many, '--model', odd, '--namespace', 'n1')).code, 0)
    const refused = await json('check', '--rules', many, '--model', odd)
    assert.equal(refused.code, 1)
    assert.deepEqual(refused.value['problems'], [
      'many.csv:8: Casbin and the index disagree: on whether group:g7 may query namespace=n7 (own)',
    ])
  })
})

/** The model with something put before its matcher. */
const modelBut = (more: string): string =>
  [
    ...['[request_definition]', 'r = subjects, cluster, action, resource, side'],
    ...['[policy_definition]', 'p = subject, cluster, action, resource, view, eft', '[role_definition]', 'g = _, _'],
    ...['[policy_effect]', 'e = some(where (p.eft == allow)) && !some(where (p.eft == deny))', '[matchers]'],
    `m = ${more}isOneOf(p.subject, r.subjects) && matches(p.cluster, r.cluster) && matchesAny(p.action, r.action) && touches(p.eft, p.resource, r.resource) && covers(p.view, r.side)`,
  ].join('\n')

describe('policy test', () => {
  const tests = fileOf(
    'good/tests/a.yaml',
    '- as: group:a',
    '  sees: [team-a]',
    '  hides: [team-x/own]',
    '- as: group:b',
    '  sees: shared',
  )
  const failing = fileOf(
    'failing/b.yaml',
    '- name: never',
    '  as: group:a',
    '  hides: team-*',
    '- as: group:c',
    '  may: [query]',
  )

  it('runs the tests beside the rules, and says how many there were', async () => {
    const { code, out, err } = await run('test', '--rules', good)
    assert.deepEqual({ code, out, err }, { code: 0, out: '1 file, 2 tests, 3 checks: all hold\n', err: '' })
  })
  it('says which do not hold, where, and which rows decided', async () => {
    assert.deepEqual(await run('test', '--rules', good, tests, join(scratch, 'failing')), {
      code: 1,
      out: '2 files, 4 tests, 6 checks: 2 do not hold\n',
      err: `${failing}:1: group:a on every cluster: hides: team-* (own) is seen, such as team-a: the scope is namespace: team-* but not team-x (decided by good.csv:1, good.csv:2)
${failing}:4: group:c on every cluster: may: query is not allowed (no row bears on it)
`.replaceAll('good.csv', 'policy.csv'),
    })
    const { code, value } = await json('test', '--rules', good, failing)
    assert.equal(code, 1)
    assert.deepEqual([value['ok'], value['cases'], value['checks']], [false, 2, 3])
    assert.deepEqual(Object(value['failures'])[1], {
      at: `${failing}:4`,
      as: ['group:c'],
      clusters: ['any'],
      message: 'may: query is not allowed',
      because: [],
    })
  })
  it('fails where there are no tests, or none that are understood', async () => {
    assert.match((await run('test', '--rules', clustered)).err, /ENOENT.*tests/)
    mkdirSync(join(scratch, 'empty'))
    assert.match(
      (await run('test', '--rules', good, join(scratch, 'empty'))).err,
      /there is no \.yaml or \.yml file in it/,
    )
    const wrong = fileOf('wrong.yaml', '- as: group:a', '  see: a', '- as: group:a', '  hides: [*]')
    const { code, err } = await run('test', '--rules', good, wrong)
    assert.equal(code, 1)
    assert.equal(err, `${wrong}: one problem\n  ${wrong}:4: a text that begins with * needs quotes\n`)
  })
  it("runs a test without a cluster on each of the configuration's", async () => {
    const both = fileOf('both.yaml', '- as: group:a', '  sees: a', '- as: group:a', "  sees: '*'")
    const { err } = await run('test', '--config', config, both)
    assert.match(
      err,
      /^.*both\.yaml:3: group:a on east: sees: \* is not seen: the scope is namespace: a \(decided by .*\)\n$/,
    )
  })
  it('takes the time from --at, for tests without one', async () => {
    const glass = fileOf('glass.yaml', '- as: group:sre', '  sees: payments')
    assert.equal((await run('test', '--rules', good, glass, ...at)).code, 0)
    assert.equal((await run('test', '--rules', good, glass, '--at', '2026-11-20T05:00:00Z')).code, 1)
  })
})

describe('policy explain', () => {
  it('prints rows, limits, matchers and the query', async () => {
    const { code, out, err } = await run(
      'explain',
      '--rules',
      good,
      '--as',
      'group:a,group:b',
      ...at,
      '--query',
      'sum(up)',
    )
    assert.deepEqual({ code, err }, { code: 0, err: '' })
    assert.equal(
      out.replace(/sha256:[0-9a-f]{64}/, 'DIGEST'),
      `as       group:a, group:b
asks     query on every cluster at 2026-11-20T04:00:00Z
policy   DIGEST

sees     namespace: shared, team-* but not team-x

allowed by
  policy.csv:1
    p, group:a, *, query|rules, namespace=team-*, allow
  policy.csv:4, by group:b → role:viewer
    p, role:viewer, *, query, namespace=shared, allow

denied by
  policy.csv:2
    p, group:a, *, query, namespace=team-x, deny

limits
  range      7d     policy.csv:6
  points     11000  where no row says otherwise
  selectors  512    where no row says otherwise
  bytes      1GB    where no row says otherwise
  timeout    2m     where no row says otherwise
  rate       100    where no row says otherwise
  concurrent 8      where no row says otherwise

matchers
  {namespace=~"shared|team-.*",namespace!~"team-x"}

query
  asked  sum(up)
  sent   sum(up{namespace=~"shared|team-.*",namespace!~"team-x"})
`,
    )
  })
  it('prints what is not in force, and what would be needed', async () => {
    const { code, out } = await run('explain', '--rules', good, '--as', 'group:sre', '--at', '2026-11-20T01:00:00Z')
    assert.equal(code, 3)
    assert.match(out, /\nsees {5}nothing\nneeded {3}no row allows group:sre to query: a row such as /)
    assert.match(out, /\nnot in force\n {2}policy\.csv:5, begins at 2026-11-20T03:00:00Z\n {4}p, group:sre, /)
  })
  it('prints the matchers of each family of metrics, those that are the same together', async () => {
    const sides = fileOf('sides.csv', 'p, group:a, *, query, namespace=a, allow, view=both')
    const { out } = await run('explain', '--rules', sides, '--as', 'group:a')
    assert.match(
      out,
      /\nmatchers\n {2}of all other metrics\n {4}\{namespace=~"a"\}\n {4}\{dst_namespace=~"a"\}\n {2}of outbound_\*_route_\* and /,
    )
    assert.match(out, /\n {2}of route_\*\n {4}\{namespace=~"a"\}\n {4}\{dst=~"\.\*\\\\\.a\\\\\.svc\\\\\.\.\*"\}\n/)
    const istio = await run('explain', '--rules', sides, '--as', 'group:a', '--profile', 'istio')
    assert.match(istio.out, /destination_workload_namespace=~"a"/)
  })
  it('ends with 3 where the query names what is not seen, and with 1 where it is no query', async () => {
    const named = await run('explain', '--rules', good, '--as', 'group:a', '--query', 'up{namespace="payments"}')
    assert.equal(named.code, 3)
    assert.match(named.out, /\nquery\n {2}.*you may not see namespace "payments"/)
    const mistaken = await run('explain', '--rules', good, '--as', 'group:a', '--query', 'sum(up')
    assert.equal(mistaken.code, 1)
    assert.match(mistaken.out, /\n {2} {2}sum\(up\n {2} {8}\^\n/)
    assert.equal((await run('explain', '--rules', good, '--as', 'group:z', '--query', 'up')).code, 3)
  })
  it('gives all of it as JSON', async () => {
    const { code, value } = await json('explain', '--config', config, '--as', 'group:a', '--query', 'up', ...at)
    assert.equal(code, 0)
    assert.deepEqual(Object.keys(value), [
      ...['as', 'cluster', 'action', 'at', 'policy', 'scope', 'sees', 'allows', 'denies', 'notInForce', 'elsewhere'],
      ...['limits', 'needed', 'matchers', 'query'],
    ])
    assert.deepEqual(
      [value['cluster'], value['at'], value['query']],
      ['east', '2026-11-20T04:00:00Z', { asked: 'up', sent: 'up{namespace=~"a"}', notes: [] }],
    )
    assert.deepEqual(value['matchers'], [{ metrics: ['*'], selectors: ['{namespace=~"a"}'] }])
    const west = await json('explain', '--config', config, '--as', 'group:a', '--cluster', 'west')
    assert.deepEqual([west.value['sees'], west.value['matchers'], west.value['query']], ['every series', [], null])
  })
})

describe('policy who-can', () => {
  it('prints each subject, what it sees, and by which rows', async () => {
    const { code, out } = await run('who-can', '--rules', good, '--namespace', 'team-x', ...at)
    assert.equal(code, 3)
    assert.equal(
      out.split('\n').slice(3).join('\n'),
      `
group:a: nothing
  policy.csv:1
    p, group:a, *, query|rules, namespace=team-*, allow
  denied by
    policy.csv:2
      p, group:a, *, query, namespace=team-x, deny

nobody
`,
    )
    assert.match(
      out,
      /^who may query on every cluster at 2026-11-20T04:00:00Z for series of team-x\n.*add up, and a deny/s,
    )
    const shared = await run('who-can', '--rules', good, '--namespace', 'shared', '--view', 'own')
    assert.equal(shared.code, 0)
    assert.match(shared.out, /\ngroup:b: its own series\n {2}policy\.csv:4, by group:b → role:viewer\n/)
  })
  it('gives all of it as JSON', async () => {
    const { code, value } = await json('who-can', '--rules', good, '--namespace', 'payments', ...at)
    assert.equal(code, 0)
    const { subjects, policy, ...asked } = value
    assert.deepEqual(asked, {
      namespace: 'payments',
      view: 'both',
      cluster: 'any',
      action: 'query',
      at: '2026-11-20T04:00:00Z',
    })
    assert.match(String(policy), /^sha256:/)
    const [seer] = Object(subjects)
    assert.deepEqual([seer.subject, seer.sees, seer.some, seer.allows.length], ['group:sre', ['own'], [], 1])
  })
})

describe('policy diff', () => {
  const next = fileOf(
    'next.csv',
    'p, group:a, *, query|rules, namespace=team-*, allow',
    'p, role:viewer, *, query, namespace=shared, allow',
    'p, role:viewer, east, *, namespace=public-*, allow',
    'g, group:b, role:viewer',
    'g, group:c, role:viewer',
    'p, group:sre, *, query, namespace=payments, allow, from=2026-11-20T03:00:00Z, until=2026-11-20T06:00:00Z, reason=INC-1',
    'l, *, range=31d',
  )
  it('prints who gains and loses what, and ends with 3', async () => {
    const { code, out, err } = await run('diff', good, next, ...at)
    assert.deepEqual({ code, err }, { code: 3, err: '' })
    assert.equal(
      out,
      `group:c joins role:viewer

group:a
  gains namespace=team-x (own): query on every cluster (old policy.csv:2)
  is no longer denied namespace=team-x (own): query on every cluster (old policy.csv:2)
group:b
  gains namespace=public-* (own), such as public-x: every action on east (new next.csv:3)
group:c
  gains namespace=shared (own): query on every cluster (new next.csv:2)
  gains namespace=public-* (own), such as public-x: every action on east (new next.csv:3)
group:sre
  gains namespace=payments (own): query on every cluster from 2026-11-20T05:00:00Z until 2026-11-20T06:00:00Z (new next.csv:6)

whoever has no row for it: range from 400d to 31d
group:a: range from 7d to 31d, without a row
`,
    )
  })
  it('says on which clusters, those between two patterns as well', async () => {
    const old = fileOf(
      'part-old.csv',
      'p, group:a, eu-1, query, namespace=b, allow',
      'p, group:a, eu-*, rules, *, allow',
    )
    const row = 'p, group:a, *-1, query|rules, namespace=b, allow'
    const { out } = await run('diff', old, fileOf('part.csv', 'p, group:a, eu-*, rules, *, allow', row))
    assert.equal(
      out,
      `group:a
  gains namespace=b (own): query on *-1 (but not eu-*) and eu-* that is *-1 as well (but not eu-1) (new part.csv:2)
  gains namespace=b (own): rules on *-1 (but not eu-*) (new part.csv:2)
`,
    )
  })
  it('ends with 0 where rows are another but nobody’s rights', async () => {
    const turned = fileOf(
      'turned/x.csv',
      'p, group:a, west, query, *, allow',
      'p, group:a, east, query, namespace=a, allow',
    )
    const { code, out } = await run('diff', clustered, dirname(turned))
    assert.deepEqual({ code, out }, { code: 0, out: "nobody's rights or limits change\n" })
  })
  it('ends with 1 where one of the two is none', async () => {
    for (const [old, after] of [[broken, good] as const, [good, broken] as const]) {
      const { code, out, err } = await run('diff', old, after)
      assert.deepEqual({ code, out }, { code: 1, out: '' })
      assert.match(err, /^.*broken\.csv: 2 problems\n {2}broken\.csv:2: /)
    }
  })
  it('gives all of it as JSON, and what leaves as well', async () => {
    const { code, value } = await json('diff', next, good, ...at)
    assert.equal(code, 3)
    assert.deepEqual(Object.keys(value), ['changed', 'rights', 'limits', 'roles', 'old', 'new', 'at'])
    assert.deepEqual(Object(value['roles']), [
      { member: 'group:c', role: 'role:viewer', change: 'leaves', way: ['group:c', 'role:viewer'] },
    ])
    const change = Object(value['rights']).find(({ subject }: { subject: string }) => subject === 'group:sre')
    assert.deepEqual(change, {
      kind: 'lost',
      resource: 'namespace=payments',
      view: 'own',
      except: [],
      example: 'payments',
      because: { in: 'old', rows: ['next.csv:6'] },
      subject: 'group:sre',
      clusters: [{ patterns: ['*'], except: [] }],
      actions: ['query'],
      from: '2026-11-20T05:00:00Z',
      until: '2026-11-20T06:00:00Z',
    })
  })
})
