// A policy changes while requests run. Each answer is one policy's, whole; a grant that is gone is gone at once; and what
// is half written, mixed or wrong never decides.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFileSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { digestOf } from '../../src/policy/policy.ts'
import { startLoginWorld } from '../support/login-world.ts'
import { modelText, mountedPolicy, startPolicyGateway } from '../support/policy-gateway.ts'
import type { Answered, PolicyGateway } from '../support/policy-gateway.ts'
import { visitor } from '../support/visitor.ts'
import type { AuditLine } from '../support/world.ts'

const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-reloads-'))
after(() => rmSync(scratch, { recursive: true, force: true }))
const newDir = (): string => mkdtempSync(join(scratch, 'policy-'))

type Side = 'a' | 'b'
const other = (side: Side): Side => (side === 'a' ? 'b' : 'a')

/** Two policies that give everybody something else. Both keep `secret` from all, in their last lines. */
const rulesOf: Readonly<Record<Side, string>> = {
  a: `l, *, rate=1000000
p, group:one, *, query, namespace=alpha, allow
p, group:two, *, query, namespace=beta, allow
p, group:wide, *, query, namespace=*, allow
g, group:member, role:viewer
p, role:viewer, *, query, namespace=gamma, allow
p, group:wide, *, query, namespace=beta, deny
p, group:one, *, query, namespace=secret, deny
p, group:wide, *, query, namespace=secret, deny
`,
  b: `l, *, rate=1000000
p, group:one, *, query, namespace=beta, allow
p, group:wide, *, query, namespace=*, allow
p, role:viewer, *, query, namespace=delta, allow
g, group:member, role:viewer
p, group:wide, *, query, namespace=alpha, deny
p, group:wide, *, query, namespace=secret, deny
p, group:one, *, query, namespace=secret, deny
`,
}
/** What Prometheus is asked by each group for `up` under each of them; null: nothing, it is refused. */
const expected: Readonly<Record<Side, Readonly<Record<string, string | null>>>> = {
  a: {
    one: 'up{namespace=~"alpha"}',
    two: 'up{namespace=~"beta"}',
    wide: 'up{namespace=~".+",namespace!~"beta|secret"}',
    member: 'up{namespace=~"gamma"}',
    nobody: null,
  },
  b: {
    one: 'up{namespace=~"beta"}',
    two: null,
    wide: 'up{namespace=~".+",namespace!~"alpha|secret"}',
    member: 'up{namespace=~"delta"}',
    nobody: null,
  },
}
const groups = Object.keys(expected.a)

const digestFor = (rules: string, model = modelText): string =>
  digestOf([
    { name: 'model.conf', text: model },
    { name: 'policy.csv', text: rules },
  ])

/** Holds an answer against what the policy that it names gives to this group. */
function assertWhole(group: string, { status, sent, policy, scope }: Answered, sides: ReadonlyMap<string, Side>): void {
  const side = sides.get(policy ?? '')
  assert.ok(side !== undefined, `${group}: there never was a policy ${policy} (${status})`)
  const due = expected[side][group] ?? null
  assert.deepEqual([status, sent], due === null ? [403, ''] : [200, due], `${group} under ${side}: ${scope}`)
}

/** The same for a record. */
function assertRecorded(line: AuditLine, sides: ReadonlyMap<string, Side>): void {
  const who = Object(line['who'])
  const asked = Object(line['sent'])[0]?.params.find(([name]: readonly string[]) => name === 'query')
  const answered = {
    status: line['decision'] === 'allow' ? 200 : 403,
    sent: String(asked?.[1] ?? ''),
    policy: String(line['policy']),
    scope: String(line['scope']),
  }
  assertWhole(who.groups[0], answered, sides)
}

/** People who ask for `up` again and again until they are told to stop. */
async function crowd(gateway: PolicyGateway) {
  const answers: (readonly [group: string, answered: Answered])[] = []
  const state = { over: false }
  const tokens = await Promise.all(groups.map((group) => gateway.issuer.sign({ sub: group, groups: [group] })))
  const asking = groups.map(async (group, index) => {
    while (!state.over) answers.push([group, await gateway.ask(tokens[index] ?? '')])
  })
  return {
    answers,
    async end() {
      state.over = true
      await Promise.all(asking)
    },
  }
}

describe('a thousand changes of policy under load', () => {
  it('leave no answer and no record of two policies, and show nothing that both deny', async () => {
    const files = mountedPolicy(join(newDir(), 'policy'))
    // No two versions are the same, in their rules or in their model, so that a mixture has a digest of its own.
    const textsOf = (version: number, side: Side): readonly [rules: string, model: string] => [
      `# ${version}\n${rulesOf[side]}`,
      `# ${version}\n${modelText}`,
    ]
    const sides = new Map<string, Side>()
    const write = (version: number, side: Side): string => {
      const [rules, model] = textsOf(version, side)
      files.write(`..${version}`, rules, model)
      sides.set(digestFor(rules, model), side)
      return digestFor(rules, model)
    }
    const first = write(0, 'a')
    files.show('..0')
    const gateway = await startPolicyGateway(files)
    try {
      const tokens = await Promise.all(groups.map((group) => gateway.issuer.sign({ sub: group, groups: [group] })))
      const digests = [first]
      const asked = { before: 0, after: 0 }
      for (let version = 1; version <= 1_000; version += 1) {
        const [old, digest] = [digests.at(-1), write(version, version % 2 === 0 ? 'a' : 'b')]
        digests.push(digest)
        const asking = groups.map(async (group, index) => {
          // Half of the people each time, spread over the time that the change takes.
          if ((index + Math.floor(version / 2)) % 2 === 0) return
          await sleep((version * 7 + index * 11) % 30)
          const answered = await gateway.ask(tokens[index] ?? '')
          assertWhole(group, answered, sides)
          assert.ok(answered.policy === old || answered.policy === digest)
          asked[answered.policy === old ? 'before' : 'after'] += 1
        })
        files.show(`..${version}`)
        rmSync(join(files.dir, `..${version - 1}`), { recursive: true })
        await gateway.app.reload()
        // Whoever asks from here on is answered by the new policy: `two` has a grant under every other one only.
        const next = await gateway.ask(tokens[1] ?? '')
        assert.equal(next.policy, digest)
        assertWhole('two', next, sides)
        await Promise.all(asking)
      }
      const due = new Set(Object.values(expected).flatMap((one) => Object.values(one)))
      assert.deepEqual(
        gateway.queries.filter((query) => !due.has(query)),
        [],
      )

      const records = await gateway.records()
      const loaded = records.filter(({ kind }) => kind === 'policy.loaded')
      assert.deepEqual(
        loaded.map(({ policy, replaced }) => [policy, replaced]),
        digests.map((digest, index) => [digest, digests[index - 1] ?? null]),
      )
      // A decision stands behind the record of its policy. Behind that of the next one only where it was asked for before.
      let at = -1
      for (const line of records) {
        if (line.kind === 'policy.loaded') at += 1
        if (line.kind !== 'decision') continue
        assertRecorded(line, sides)
        const place = digests.indexOf(String(line['policy']))
        assert.ok(place <= at, 'decided by a policy that is not on record yet')
        if (place < at)
          assert.ok(String(line['received']) <= String(loaded[place + 1]?.['ts']), 'an old policy decided')
      }
      assert.equal(records.filter(({ kind }) => kind === 'decision').length, asked.before + asked.after + 1_000)
    } finally {
      await gateway.stop()
    }
  })
})

describe('a policy in the files', () => {
  const sides = new Map<string, Side>([
    [digestFor(rulesOf.a), 'a'],
    [digestFor(rulesOf.b), 'b'],
  ])
  /** Two plain files that are not a mount. */
  function plainFiles() {
    const dir = newDir()
    const files = { dir, model: join(dir, 'model.conf'), rules: join(dir, 'policy.csv') }
    writeFileSync(files.model, modelText)
    writeFileSync(files.rules, rulesOf.a)
    return files
  }
  /** Runs with the crowd asking all the while, and holds every answer and record against the policy that it names. */
  async function under(
    gateway: PolicyGateway,
    run: () => Promise<void>,
    known: ReadonlyMap<string, Side> = sides,
  ): Promise<void> {
    const people = await crowd(gateway)
    try {
      await run()
      await people.end()
      assert.ok(people.answers.length > groups.length)
      for (const [group, answered] of people.answers) assertWhole(group, answered, known)
      for (const line of await gateway.records('decision')) assertRecorded(line, known)
      assert.ok(!gateway.queries.some((query) => query.includes('"secret"')))
    } finally {
      await people.end()
      await gateway.stop()
    }
  }
  const inForce = async ({ app }: PolicyGateway): Promise<Readonly<Record<string, unknown>>> => {
    const ready: unknown = await (await fetch(`${app.adminUrl}/-/ready`)).json()
    return Object(Reflect.get(Object(ready), 'policy'))
  }
  /** Until this policy is in force and on record. */
  const until = async (gateway: PolicyGateway, digest: string): Promise<void> => {
    while ((await inForce(gateway))['digest'] !== digest) await turn()
    await gateway.app.reload()
  }

  it('that is half written decides nothing, though what is there of it could be read without the denies', async () => {
    const files = plainFiles()
    const gateway = await startPolicyGateway(files, { settle: 300 })
    await under(gateway, async () => {
      for (const side of ['b', 'a', 'b'] as const) {
        writeFileSync(files.rules, '')
        for (const line of rulesOf[side].split(/(?<=\n)/)) {
          appendFileSync(files.rules, line)
          void gateway.app.reload()
          for (let round = 0; round < 20; round += 1) await turn()
        }
        await until(gateway, digestFor(rulesOf[side]))
      }
      const loaded = (await gateway.records('policy.loaded')).map(({ policy }) => policy)
      const all = ['a', 'b', 'a', 'b'] as const
      assert.deepEqual(
        loaded,
        all.map((side) => digestFor(rulesOf[side])),
      )
      assert.deepEqual(await gateway.records('policy.rejected'), [])
    })
  })
  it('whose model and rules are replaced one after the other never has the one without the other', async () => {
    const files = plainFiles()
    const models: Readonly<Record<Side, string>> = { a: modelText, b: `# b\n${modelText}` }
    const known = new Map<string, Side>(
      (['a', 'b'] as const).map((side) => [digestFor(rulesOf[side], models[side]), side]),
    )
    const gateway = await startPolicyGateway(files, { settle: 300 })
    const replace = (file: string, text: string): void => {
      writeFileSync(`${file}.new`, text)
      renameSync(`${file}.new`, file)
    }
    await under(
      gateway,
      async () => {
        for (const side of ['b', 'a', 'b'] as const) {
          replace(files.model, models[side])
          void gateway.app.reload()
          for (let round = 0; round < 50; round += 1) await turn()
          replace(files.rules, rulesOf[side])
          await until(gateway, digestFor(rulesOf[side], models[side]))
        }
      },
      known,
    )
  })
  it('behind a link that is switched to and fro is one side of it or the other', async () => {
    const files = mountedPolicy(join(newDir(), 'policy'))
    const models: Readonly<Record<Side, string>> = { a: modelText, b: `# b\n${modelText}` }
    const known = new Map<string, Side>(
      (['a', 'b'] as const).map((side) => [digestFor(rulesOf[side], models[side]), side]),
    )
    for (const side of ['a', 'b'] as const) files.write(side, rulesOf[side], models[side])
    files.show('a')
    const gateway = await startPolicyGateway(files)
    await under(
      gateway,
      async () => {
        let side: Side = 'a'
        for (let round = 0; round < 2_000; round += 1) {
          side = other(side)
          files.show(side)
          if (round % 10 === 0) void gateway.app.reload()
          await turn()
        }
        await gateway.app.reload()
        assert.equal((await inForce(gateway))['digest'], digestFor(rulesOf[side], models[side]))
      },
      known,
    )
    assert.ok(gateway.queries.length > 0)
  })
  it('that is refused leaves the one in force, with a record, a number and a line that say why, once', async () => {
    const files = plainFiles()
    const gateway = await startPolicyGateway(files)
    const bad: readonly (readonly [rules: string, problem: string])[] = [
      [`${rulesOf.b}p, group:one, *, query, namespace=secret, Deny\n`, 'policy.csv:9: '],
      ['p, group:two, *, query, *, allow\nq, group:one\n', 'policy.csv:2: '],
      [`${rulesOf.b}p, group:two, *, query, namespace=a, allow, view=both\n`, 'policy.csv:6: '],
      ['p, group:two, *, query, "namespace=*, allow\n', 'policy.csv: '],
    ]
    await under(gateway, async () => {
      for (const [rules, problem] of bad) {
        writeFileSync(files.rules, rules)
        for (const _ of [1, 2, 3]) assert.equal(await gateway.app.reload(), 'rejected')
        const state = await inForce(gateway)
        assert.equal(state['digest'], digestFor(rulesOf.a))
        assert.equal(Object(state['rejected']).digest, digestFor(rules))
        assert.ok(Object(state['rejected']).problems > 0)
        const record = (await gateway.records('policy.rejected')).at(-1) ?? assert.fail()
        assert.deepEqual([record['policy'], record['inForce']], [digestFor(rules), digestFor(rulesOf.a)])
        assert.ok(String(record['problems']).startsWith(problem), String(record['problems']))
        const lines = gateway.logged.filter((line) => line.includes(digestFor(rules)) && line.includes('refused'))
        assert.equal(lines.length, 1, lines.join(''))
        assert.ok(lines[0]?.includes(`"problems":["${problem}`), lines.join(''))
      }
      rmSync(files.rules)
      assert.equal(await gateway.app.reload(), 'rejected')
      assert.equal(Object((await inForce(gateway))['rejected']).digest, null)
      const metrics = async (): Promise<string> => (await fetch(`${gateway.app.adminUrl}/metrics`)).text()
      assert.match(await metrics(), /^bailiwick_policy_rejected 1$/m)
      assert.match(
        await metrics(),
        new RegExp(`^bailiwick_policy_reloads_total{result="rejected"} ${bad.length + 1}$`, 'm'),
      )
      assert.equal((await gateway.records('policy.rejected')).length, bad.length + 1)
      writeFileSync(files.rules, rulesOf.b)
      await gateway.app.reload()
      assert.equal((await inForce(gateway))['rejected'], null)
      assert.match(await metrics(), /^bailiwick_policy_rejected 0$/m)
      assert.match(await metrics(), /^bailiwick_policy_reloads_total{result="loaded"} 1$/m)
    })
  })
  it('that could not be put on record when it came into force is, before its first decision', async () => {
    const files = plainFiles()
    const gateway = await startPolicyGateway(files)
    try {
      const token = await gateway.issuer.sign({ groups: ['one'] })
      assert.equal((await gateway.ask(token)).sent, expected.a['one'])
      // Whoever takes the record away while the gateway runs: it finds out with the next entry.
      for (const file of readdirSync(gateway.auditDir)) {
        if (file.endsWith('.ndjson')) rmSync(join(gateway.auditDir, file))
      }
      writeFileSync(files.rules, rulesOf.b)
      await gateway.app.reload()
      let answered = await gateway.ask(token)
      for (; answered.status === 503; answered = await gateway.ask(token)) assert.equal(answered.sent, '')
      assertWhole('one', answered, sides)
      assert.equal(answered.policy, digestFor(rulesOf.b))
      const [loaded, decided] = (await gateway.records()).filter(({ kind }) => kind !== 'log.opened')
      assert.deepEqual(
        [loaded?.kind, loaded?.['policy'], loaded?.['replaced']],
        ['policy.loaded', digestFor(rulesOf.b), digestFor(rulesOf.a)],
      )
      assert.deepEqual([decided?.kind, decided?.['policy']], ['decision', digestFor(rulesOf.b)])
    } finally {
      await gateway.stop()
    }
  })
})

describe('a grant that is taken away while the gateway runs', () => {
  const granted = 'p, group:team-booksapp, *, query, namespace=booksapp, allow\n'
  const withdrawn = `${granted}p, group:team-booksapp, *, *, namespace=booksapp, deny\n`

  it('is gone with the next request of a token that was checked long before', async () => {
    const dir = newDir()
    const files = { model: join(dir, 'model.conf'), rules: join(dir, 'policy.csv') }
    writeFileSync(files.model, modelText)
    writeFileSync(files.rules, granted)
    const gateway = await startPolicyGateway(files)
    try {
      const token = await gateway.issuer.sign({ groups: ['team-booksapp'] })
      for (const _ of [1, 2]) assert.equal((await gateway.ask(token)).sent, 'up{namespace=~"booksapp"}')
      for (const rules of [withdrawn, '# nobody\n', 'p, group:team-booksapp, other, query, *, allow\n']) {
        writeFileSync(files.rules, rules)
        await gateway.app.reload()
        for (const _ of [1, 2]) assert.equal((await gateway.ask(token)).status, 403, rules)
        writeFileSync(files.rules, granted)
        await gateway.app.reload()
        assert.equal((await gateway.ask(token)).status, 200)
      }
      const credentials = (await gateway.records('decision')).map(({ who }) => Object(who).credential)
      assert.deepEqual([...new Set(credentials)], [createHash('sha256').update(token).digest('hex').slice(0, 16)])
    } finally {
      await gateway.stop()
    }
  })
  it('is gone for a request that still waits for its turn, and not for one that is under way', async () => {
    const dir = newDir()
    const files = { model: join(dir, 'model.conf'), rules: join(dir, 'policy.csv') }
    writeFileSync(files.model, modelText)
    writeFileSync(files.rules, `l, *, concurrent=1\n${granted}`)
    const gateway = await startPolicyGateway(files)
    try {
      const token = await gateway.issuer.sign({ groups: ['team-booksapp'] })
      const { promise: until, resolve: goOn } = Promise.withResolvers<undefined>()
      gateway.hold(until)
      const underWay = gateway.ask(token)
      while (gateway.queries.length === 0) await turn()
      const waiting = gateway.ask(token)
      const metrics = async (): Promise<string> => (await fetch(`${gateway.app.adminUrl}/metrics`)).text()
      while (!/^bailiwick_waiting_requests 1$/m.test(await metrics())) await turn()
      writeFileSync(files.rules, withdrawn)
      await gateway.app.reload()
      goOn(undefined)
      const [first, second] = [await underWay, await waiting]
      assert.deepEqual([first.status, second.status], [200, 403])
      assert.notEqual(first.policy, second.policy)
      assert.equal(gateway.queries.length, 1)
    } finally {
      await gateway.stop()
    }
  })
  it('is gone from a browser session that stays open', async () => {
    const dir = newDir()
    const files = { model: join(dir, 'model.conf'), rules: [join(dir, 'policy.csv')] }
    const rules = join(dir, 'policy.csv')
    writeFileSync(files.model, modelText)
    writeFileSync(rules, granted)
    const world = await startLoginWorld({
      change: (config) => ({ ...config, policy: { ...config.policy, ...files, settle: 0 } }),
    })
    try {
      const bob = visitor()
      await bob.logIn(`${world.url}/bailiwick/`, 'bob')
      const ask = () =>
        bob.ask(`${world.url}/clusters/east/api/v1/query?query=up`, { headers: { 'sec-fetch-site': 'same-origin' } })
      const before = await ask()
      assert.deepEqual([before.status, before.headers['bailiwick-scope']], [200, 'namespace: booksapp'])
      writeFileSync(rules, withdrawn)
      let came = await ask()
      while (came.headers['bailiwick-policy'] === before.headers['bailiwick-policy']) {
        assert.equal(came.status, 200, 'refused by the policy that grants it')
        came = await ask()
      }
      assert.equal(came.status, 403)
      assert.equal((await ask()).status, 403)
      // The same session: nobody logged in again.
      assert.equal((await world.records('login')).length, 1)
      assert.match((await bob.go(`${world.url}/bailiwick/`)).text, /bob@example\.com/)
    } finally {
      await world.stop()
    }
  })
})
