// What goes wrong with policies kept in Casbin as it comes, each found by running it, and that none of it goes wrong here. Where it
// takes few lines, a test begins by showing the pitfall itself.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { after, describe, it } from 'node:test'
import { StringAdapter, Util, newEnforcer, newModelFromString } from 'casbin'
import type { Enforcer } from 'casbin'
import type { Identity } from '../../src/identity/identity.ts'
import { explainDecision } from '../../src/policy/explain.ts'
import { readPolicy } from '../../src/policy/files.ts'
import { holds } from '../../src/policy/judge.ts'
import { matches } from '../../src/policy/patterns.ts'
import { loadPolicy } from '../../src/policy/policy.ts'
import type { Policy } from '../../src/policy/policy.ts'
import { profiles } from '../../src/policy/profile.ts'
import { rewriteQuery } from '../../src/promql/rewrite.ts'
import type { Result } from '../../src/result.ts'

const src = join(import.meta.dirname, '../../src')
const modelPath = join(import.meta.dirname, '../../policies/model.conf')
const model = { name: 'model.conf', text: readFileSync(modelPath, 'utf8') }
const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-pitfalls-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const load = (...lines: readonly string[]): Promise<Result<Policy, readonly string[]>> =>
  loadPolicy(model, [{ name: 'p.csv', text: lines.join('\n') }])
async function policyOf(...lines: readonly string[]): Promise<Policy> {
  const loaded = await load(...lines)
  assert.ok(loaded.ok, JSON.stringify(loaded))
  return loaded.value
}
/** Why rows are refused; a policy is refused whole. */
async function problemOf(...lines: readonly string[]): Promise<string> {
  const loaded = await load(...lines)
  assert.ok(!loaded.ok, 'it was loaded')
  return loaded.error.join('\n')
}
const who = (...groups: readonly string[]): Identity => ({
  issuer: 'https://idp',
  subject: 'u1',
  name: 'U',
  groups,
  via: 'bearer',
})
const sees = (policy: Policy, identity: Identity, namespace: string, cluster = 'east'): boolean =>
  holds(policy.decide(identity, cluster, 'query').scope, `namespace=${namespace}`, 'own', profiles.linkerd)
/** What is sent for `up`. */
function sentFor(policy: Policy, identity: Identity): string {
  const rewritten = rewriteQuery('up', policy.decide(identity, 'east', 'query').scope)
  assert.ok(rewritten.ok, JSON.stringify(rewritten))
  return rewritten.value.sent
}

/** Source files that say a word. */
const filesWith = (word: string): readonly string[] =>
  readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .filter((file) => readFileSync(join(src, file), 'utf8').includes(word))

/** Casbin as its documentation shows it. */
const plainModel = `[request_definition]
r = sub, dom, obj
[policy_definition]
p = sub, dom, obj, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = (p.sub == r.sub || g(r.sub, p.sub)) && keyMatch(r.dom, p.dom) && keyMatch(r.obj, p.obj)
`
const plainCasbin = (...lines: readonly string[]): Promise<Enforcer> =>
  newEnforcer(newModelFromString(plainModel), new StringAdapter(lines.join('\n')))

describe('pitfall', () => {
  it('1: everything behind the first * of a pattern is ignored (keyMatch)', async () => {
    assert.equal(Util.keyMatchFunc('team-a-dev', 'team-*-prod'), true)
    const policy = await policyOf('p, group:a, *, query, namespace=team-*-prod, allow')
    assert.equal(sees(policy, who('a'), 'team-a-prod'), true)
    assert.equal(sees(policy, who('a'), 'team-a-dev'), false)
    assert.equal(sentFor(policy, who('a')), 'up{namespace=~"team-.*-prod"}')
  })
  it('2: a pattern matches in the middle of a name (regexMatch)', async () => {
    assert.equal(Util.regexMatchFunc('nonprod-x', 'prod'), true)
    const policy = await policyOf('p, group:a, *, query, namespace=prod, allow')
    assert.deepEqual(
      ['prod', 'nonprod-x', 'prod-x', 'nonprod'].map((name) => sees(policy, who('a'), name)),
      [true, ...[false, false, false]],
    )
    // Prometheus anchors what it is sent at both ends.
    assert.equal(sentFor(policy, who('a')), 'up{namespace=~"prod"}')
  })
  it('3: a pattern that takes a regular expression for ever stops the process', async () => {
    assert.match(await problemOf('p, group:a, *, query, namespace=(a+)+$, allow'), /p\.csv:1: "\(a\+\)\+\$" is not/)
    assert.match(await problemOf('p, group:a, *, query, pod=(a+)+$, allow'), /p\.csv:1: /)
    // What is left, stars, is followed without going back: this ends.
    assert.equal(matches(`${'*a'.repeat(100)}*b`, 'a'.repeat(100_000)), false)
  })
  it('4: a pattern means its opposite, a set or a comment (globMatch)', async () => {
    assert.equal(Util.globMatch('secret', '!prod'), true)
    for (const pattern of ['!prod', '{a,b}', '#a', '@(a|b)', '[ab]', 'a?', '+(a)']) {
      const row = `p, group:a, *, query, "namespace=${pattern}", allow`
      assert.match(await problemOf(row), /^p\.csv:1: /, pattern)
      assert.match(await problemOf(row.replace('namespace', 'pod')), /^p\.csv:1: /, pattern)
    }
  })
  it('5: a star matches too little and a dot too much (keyMatch2)', async () => {
    assert.equal(Util.keyMatch2Func('team-a', 'team-*'), false)
    assert.equal(Util.keyMatch2Func('payXprod', 'pay.prod'), true)
    const policy = await policyOf(
      'p, group:a, *, query, namespace=team-*, allow',
      'p, group:b, *, query, host=pay.prod, allow',
    )
    assert.equal(sees(policy, who('a'), 'team-a'), true)
    assert.equal(sentFor(policy, who('b')), String.raw`up{host=~"pay\\.prod"}`)
    assert.equal(matches('pay.prod', 'payXprod'), false)
  })
  it('6: a misspelt deny denies nothing', async () => {
    const rows = ['p, a, *, *, allow', 'p, a, *, payments, Deny']
    assert.equal((await plainCasbin(...rows)).enforceSync('a', 'east', 'payments'), true)
    for (const effect of ['Deny', 'DENY', 'deny.', 'denied', 'alow']) {
      const problem = await problemOf(
        'p, group:a, *, query, *, allow',
        `p, group:a, *, query, namespace=payments, ${effect}`,
      )
      assert.equal(problem, `p.csv:2: the effect "${effect}" is neither allow nor deny`)
    }
  })
  it('7: a row of an unknown kind, or without an effect, is dropped or taken for an allow', async () => {
    for (const kind of ['P', 'd', 'p2', 'g2', 'policy', '']) {
      assert.match(await problemOf(`${kind}, group:a, *, query, namespace=a, deny`), /^p\.csv:1: a row begins with p/)
    }
    assert.match(await problemOf('p, group:a, *, query, namespace=a'), /^p\.csv:1: 5 columns instead of 6/)
    assert.match(await problemOf('p, group:a, *, query, namespace=a,'), /^p\.csv:1: the effect "" is neither/)
  })
  it('8: a row that is too short is loaded, and found out only when somebody asks', async () => {
    const casbin = await plainCasbin('p, a, *, *, allow', 'p, a, *')
    assert.deepEqual(await casbin.getPolicy(), [
      ['a', '*', '*', 'allow'],
      ['a', '*'],
    ])
    for (const row of [
      'p',
      'p, group:a',
      'p, group:a, *',
      'p, group:a, *, query',
      'g',
      'g, group:a',
      'l',
      'l, group:a',
    ]) {
      assert.match(await problemOf(row), /^p\.csv:1: /, row)
    }
  })

  const rows = Array.from({ length: 400 }, (_, at) => `p, group:a, *, query, namespace=n${at}, allow`)
  const open = 'p, group:a, *, query, namespace=*, allow'
  const deny = 'p, group:a, *, query, namespace=payments, deny'
  /** Decides again and again while something else is under way. */
  async function decideDuring(work: Promise<unknown>, policy: Policy): Promise<readonly boolean[]> {
    const seen: boolean[] = []
    const state = { done: false }
    const ended = work.finally(() => {
      state.done = true
    })
    while (!state.done) {
      // Somebody new each time, so that nothing is remembered.
      seen.push(sees(policy, who('a'), 'payments'))
      await turn()
    }
    await ended
    return seen
  }
  it('9: while a policy is loaded anew, what its last lines deny is allowed', async () => {
    const inForce = await policyOf(open, deny)
    const loading = load(open, ...rows, deny)
    const seen = await decideDuring(loading, inForce)
    const loaded = await loading
    assert.ok(loaded.ok)
    assert.ok(seen.length > 0)
    assert.deepEqual(new Set([...seen, sees(loaded.value, who('a'), 'payments')]), new Set([false]))
  })
  it('10: a decision that meets a reload breaks', async () => {
    const inForce = await policyOf(open, deny)
    // Any exception would be one here. A decision takes no time at all: it is no promise.
    const seen = await decideDuring(Promise.all([load(open, ...rows), load(...rows), load('p, broken')]), inForce)
    assert.ok(seen.length > 0)
    assert.equal(inForce.decide(who('a'), 'east', 'query') instanceof Promise, false)
  })
  it('11: a reload that fails leaves no policy at all', async () => {
    const rules = join(scratch, 'policy.csv')
    const options = { model: modelPath, rules: [rules], profile: 'linkerd' } as const
    writeFileSync(rules, `${open}\n${deny}\n`)
    const inForce = await readPolicy(options, () => 0)
    assert.ok(inForce.ok)
    for (const broken of ['p, group:a, *, query, namespace=payments, Deny\n', null]) {
      if (broken === null) rmSync(rules)
      else writeFileSync(rules, broken)
      const next = await readPolicy(options, () => 0)
      assert.equal(next.ok, false)
      assert.equal(sees(inForce.value, who('a'), 'payments'), false)
      assert.equal(sees(inForce.value, who('a'), 'books'), true)
    }
  })
  it('12: what is remembered outlives a removed row, and two questions share one answer (CachedEnforcer)', async () => {
    const before = await policyOf('p, group:a, *, query, namespace=a, allow')
    const identity = who('a')
    assert.equal(sees(before, identity, 'a'), true)
    assert.equal(sees(await policyOf(deny), identity, 'a'), false)
    // "a$$eu" on x and "a" on "eu$$x" are one key there; here each person and each question has an answer of their own.
    const policy = await policyOf(
      'p, group:a$$eu, x, query, namespace=a, allow',
      'p, "group:b,c", *, query, namespace=b, allow',
    )
    assert.equal(sees(policy, who('a$$eu'), 'a', 'x'), true)
    assert.equal(sees(policy, who('a'), 'a', 'eu$$x'), false)
    assert.equal(sees(policy, who('b,c'), 'b'), true)
    assert.equal(sees(policy, who('b', 'c'), 'b'), false)
    assert.deepEqual(filesWith('CachedEnforcer'), [])
  })
  it('13: a role that is deeper than ten levels counts for one question and not for another', async () => {
    const chain = (length: number): readonly string[] => [
      'g, group:a, role:r1',
      ...Array.from({ length: length - 1 }, (_, at) => `g, role:r${at + 1}, role:r${at + 2}`),
      `p, role:r${length}, *, query, namespace=a, allow`,
    ]
    assert.equal(sees(await policyOf(...chain(8)), who('a'), 'a'), true)
    assert.match(await problemOf(...chain(9)), /^p\.csv:9: roles are nested more than 8 deep/)
    assert.match(await problemOf(...chain(3), 'g, role:r3, role:r1'), /is a member of itself/)
  })
  it('14: of all that somebody has, what is granted for every cluster is left out (getImplicitPermissionsForUser)', async () => {
    const policy = await policyOf(
      'p, group:a, *, query, namespace=a, allow',
      'p, group:a, eu, query, namespace=b, deny',
    )
    assert.deepEqual(policy.decide(who('a'), 'eu', 'query').because, ['p.csv:1', 'p.csv:2'])
    assert.deepEqual(policy.decide(who('a'), 'us', 'query').because, ['p.csv:1'])
    assert.equal(sees(policy, who('a'), 'a', 'eu'), true)
  })
  it("15: a group's name with commas or brackets is cut or breaks the policy", async () => {
    const names = [
      'CN=Team A,OU=Groups,DC=example',
      'team(a',
      'team"b"',
      'team [c]',
      "team 'd'",
      String.raw`team\e`,
      'r.sub == p.sub',
    ]
    for (const name of names) {
      const policy = await policyOf(`p, "group:${name.replaceAll('"', '""')}", *, query, namespace=a, allow`)
      assert.equal(sees(policy, who(name), 'a'), true, name)
      assert.equal(sees(policy, who(name.split(',')[0]?.slice(0, -1) ?? ''), 'a'), false, name)
    }
    // Without its quotes it is an error, not another group.
    assert.match(
      await problemOf('p, group:CN=Team A,OU=x, *, query, namespace=a, allow'),
      /^p\.csv:1: "OU=x" is not a cluster/,
    )
  })
  it('16: of the rows that decided one is told, and of a refusal none (enforceEx)', async () => {
    const policy = await policyOf(
      'p, group:a, *, query, namespace=a, allow',
      'p, group:b, *, query, namespace=*, allow',
      'p, group:b, *, query, namespace=secret, deny',
    )
    const explain = (...groups: readonly string[]) => {
      const subjects = groups.map((group) => `group:${group}`)
      return explainDecision(policy, { identity: who(...groups), subjects }, { cluster: 'eu', action: 'query', at: 0 })
    }
    const { allows, denies } = explain('a', 'b')
    assert.deepEqual(
      [...allows, ...denies].map(({ at }) => at),
      ['p.csv:1', 'p.csv:2', 'p.csv:3'],
    )
    assert.match(explain('c').needed ?? '', /^no row allows group:c to query on eu: a row such as/)
  })

  it('17: one call allows everything to everybody (enableEnforce)', async () => {
    const casbin = await plainCasbin('p, a, *, *, deny')
    casbin.enableEnforce(false)
    assert.equal(casbin.enforceSync('nobody', 'east', 'payments'), true)
    assert.deepEqual(filesWith('enableEnforce'), [])
    // Casbin is asked before a policy goes live. No decision passes through it, and no policy hands it out.
    assert.deepEqual(filesWith("from 'casbin'"), ['policy/judge.ts'])
    assert.deepEqual(filesWith('openJudge').toSorted(), ['policy/check.ts', 'policy/judge.ts', 'policy/policy.ts'])
  })
  it('18: one lock before all decisions, and a way around it (SyncedEnforcer)', async () => {
    assert.deepEqual(filesWith('SyncedEnforcer'), [])
    const policy = await policyOf(open, deny)
    // A decision needs no lock: a policy never changes.
    const [one, other] = [policy.decide(who('a'), 'east', 'query'), policy.decide(who('a'), 'east', 'query')]
    assert.equal(one, other)
    assert.equal(policy.rules, 2)
  })
  it('19: a name such as p.sub or r.sub is taken for a part of the matcher', async () => {
    for (const name of ['p.subject', 'r.subjects', 'r.sub', 'p.eft', 'r_subjects', 'p_eft == "allow"']) {
      const policy = await policyOf(`p, "group:${name.replaceAll('"', '""')}", *, query, namespace=a, allow`)
      assert.equal(sees(policy, who(name), 'a'), true, name)
      assert.equal(sees(policy, who('p.sub', 'a'), 'a'), false, name)
    }
    // There is no text in the model's matcher in which such a name could stand.
    const [, matcher = ''] = model.text.split('[matchers]')
    assert.doesNotMatch(matcher, /["'`]/)
  })
})
