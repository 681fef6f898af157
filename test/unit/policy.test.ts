import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import type { Identity } from '../../src/identity/identity.ts'
import { readPolicy } from '../../src/policy/files.ts'
import { ask, holds, isComparable, openJudge } from '../../src/policy/judge.ts'
import type { Side } from '../../src/policy/judge.ts'
import { parsePolicy } from '../../src/policy/parse.ts'
import { matches, parseResource, touches } from '../../src/policy/patterns.ts'
import { loadPolicy } from '../../src/policy/policy.ts'
import type { Policy } from '../../src/policy/policy.ts'
import { profiles } from '../../src/policy/profile.ts'
import { describeScope } from '../../src/policy/scope.ts'
import { subjectsOf } from '../../src/policy/subjects.ts'

const model = {
  name: 'model.conf',
  text: readFileSync(new URL('../../policies/model.conf', import.meta.url), 'utf8'),
}
const who = (...groups: string[]): Identity => ({
  issuer: 'https://idp',
  subject: 'u1',
  name: 'U',
  groups,
  via: 'bearer',
})

async function policyOf(...lines: string[]): Promise<Policy> {
  const loaded = await loadPolicy(model, [{ name: 'p.csv', text: lines.join('\n') }])
  assert.ok(loaded.ok, JSON.stringify(loaded))
  return loaded.value
}
const scopeText = async (identity: Identity, ...lines: string[]): Promise<string> =>
  describeScope((await policyOf(...lines)).decide(identity, 'prod', 'query').scope)

describe('a decision', () => {
  it('adds up what the groups and the user are given, and names the lines', async () => {
    const policy = await policyOf(
      'p, group:a, *, query, namespace=one, allow',
      'p, group:b, *, query, namespace=two, allow',
      'p, user:https://idp#u1, prod, *, namespace=three-*, allow',
      'p, user:https://other#u1, prod, *, namespace=four, allow',
    )
    const { scope, because, policy: digest } = policy.decide(who('a', 'b', 'b'), 'prod', 'query')
    assert.equal(describeScope(scope), 'namespace: one, three-*, two')
    assert.deepEqual(because, ['p.csv:3', 'p.csv:1', 'p.csv:2'])
    assert.match(digest, /^sha256:[0-9a-f]{64}$/)
  })
  it('keeps clusters and actions apart', async () => {
    const policy = await policyOf('p, group:a, prod, query, namespace=one, allow', 'p, group:a, dev-*, *, *, allow')
    assert.equal(policy.decide(who('a'), 'prod', 'federate').scope.kind, 'nothing')
    assert.equal(policy.decide(who('a'), 'dev', 'query').scope.kind, 'nothing')
    assert.equal(policy.decide(who('a'), 'dev-1', 'audit:read').scope.kind, 'everything')
  })
  it('is nothing for whoever has no line', async () => {
    assert.equal(await scopeText(who(), 'p, group:a, *, *, *, allow'), 'nothing')
    assert.equal(await scopeText(who('A', 'a ', ''), 'p, group:a, *, *, *, allow'), 'nothing')
  })
  it('lets a deny win over every allow', async () => {
    const allow = 'p, group:a, *, *, namespace=team-*, allow'
    assert.equal(
      await scopeText(who('a', 'b'), allow, 'p, group:b, *, *, namespace=team-x, deny'),
      'namespace: team-* but not team-x',
    )
    assert.equal(await scopeText(who('a', 'b'), allow, 'p, group:b, *, *, namespace=team-*, deny'), 'nothing')
    assert.equal(await scopeText(who('a', 'b'), allow, 'p, group:b, *, *, *, deny'), 'nothing')
    assert.equal(await scopeText(who('a', 'b'), 'p, group:a, *, *, *, allow', 'p, group:b, *, *, *, deny'), 'nothing')
  })
  it('shrinks "every series" with a deny to "every namespace but"', async () => {
    assert.equal(
      await scopeText(who('a'), 'p, group:a, *, *, *, allow', 'p, group:a, *, *, namespace=secret, deny'),
      'namespace: * but not secret',
    )
  })
  it('tells every series from every namespace', async () => {
    assert.equal(await scopeText(who('a'), 'p, group:a, *, *, *, allow'), 'every series')
    assert.equal(await scopeText(who('a'), 'p, group:a, *, *, namespace=*, allow'), 'namespace: *')
  })
})

describe('two files of the same name', () => {
  it('are two, to the decision and in the record', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'bailiwick-policy-'))
    const paths = ['a', 'b'].map((name) => join(dir, name, 'policy.csv'))
    for (const [at, path] of paths.entries()) {
      mkdirSync(dirname(path))
      writeFileSync(path, `p, group:g${at}, *, query, namespace=n${at}, allow\n`)
    }
    const modelPath = fileURLToPath(new URL('../../policies/model.conf', import.meta.url))
    const loaded = await readPolicy({ model: modelPath, rules: paths, profile: 'linkerd' }, () => 0)
    rmSync(dir, { recursive: true })
    assert.ok(loaded.ok)
    for (const at of [0, 1]) {
      const { scope, because } = loaded.value.decide(who(`g${at}`), 'prod', 'query')
      assert.equal(describeScope(scope), `namespace: n${at}`)
      assert.deepEqual(because, [`${paths[at]}:1`])
    }
  })
})

describe('a policy line that could be misread is an error with its place', () => {
  const bad: readonly (readonly [string, RegExp])[] = [
    ['p, group:a, *, query, namespace=a, Deny', /p\.csv:1: the effect "Deny"/],
    ['p, group:a, *, query, namespace=a', /p\.csv:1: 5 columns instead of 6/],
    ['p, group:a, *, query, namespace=a, deny, x', /"x" is none of view=…, from=…, until=…, reason=…/],
    ['P, group:a, *, query, namespace=a, deny', /begins with p .*, not with "P"/],
    ['p2, group:a, *, query, namespace=a, deny', /begins with p/],
    ['g, alice, role:admin', /the subject "alice" is none of/],
    ['p, a, *, query, namespace=a, allow', /none of group:<name>, user/],
    ['p, group:, *, query, namespace=a, allow', /none of group/],
    ['p, group:a, *, qury, namespace=a, allow', /the action "qury"/],
    ['p, group:a, "", query, namespace=a, allow', /not a cluster/],
    ['p, group:a, *, query, namespace=!a, allow', /not a namespace name/],
    ['p, group:a, *, query, namespace=, allow', /not a namespace name/],
    ['p, group:a, *, query, namespace=a|b, allow', /not a namespace name/],
    ['p, group:a, *, query, namespace=.*, allow', /not a namespace name/],
    ['p, group:a, *, query, namespace=A, allow', /not a namespace name/],
    ['p, group:a, *, query, namespace=a**, allow', /one \* says the same/],
    ['p, group:a, *, query, "namespace=a,b", allow', /not a namespace name/],
    [`p, group:a, *, query, namespace=${'a'.repeat(64)}, allow`, /at most 63/],
    ['p, group:a, *, query, __name__=a, allow', /neither \* nor <label>=/],
    ['p, group:a, *, query, po-d=a, allow', /neither \* nor <label>=/],
    ['p, group:a, *, query, pod=a|b, allow', /not a value of pod/],
    ['p, group:a, *, query, pod=(a), allow', /not a value of pod/],
    ['p, group:"a, *, query, *, allow', /p\.csv: .*[Qq]uote/],
  ]
  for (const [line, words] of bad) {
    it(line, async () => {
      const loaded = await loadPolicy(model, [{ name: 'p.csv', text: line }])
      assert.equal(loaded.ok, false)
      assert.match(loaded.error.join('\n'), words)
    })
  }
  it('and all of them are told at once', async () => {
    const text = 'p, group:a, *, query, namespace=a, Deny\n# a comment\n\np, group:a, *, query, namespace=A, allow'
    const loaded = await loadPolicy(model, [{ name: 'p.csv', text }])
    assert.equal(loaded.ok, false)
    assert.equal(loaded.error.length, 2)
    assert.match(loaded.error[1] ?? '', /^p\.csv:4: /)
  })
  it('quotes protect a group with commas', async () => {
    const policy = await policyOf('p, "group:CN=Team A,OU=x", *, query, namespace=a, allow')
    assert.equal(policy.decide(who('CN=Team A,OU=x'), 'prod', 'query').scope.kind, 'labels')
  })
})

describe('the model', () => {
  it('that Casbin does not understand is an error', async () => {
    const broken = { name: 'model.conf', text: model.text.replace('touches(', 'toches(') }
    const loaded = await loadPolicy(broken, [{ name: 'p.csv', text: 'p, group:a, *, query, *, allow' }])
    assert.equal(loaded.ok, false)
    assert.match(loaded.error[0] ?? '', /model\.conf/)
  })
  it('under which Casbin would decide otherwise is refused', async () => {
    const lax = { name: 'model.conf', text: model.text.replace('&& !some(where (p.eft == deny))', '') }
    const text = 'p, group:a, *, query, namespace=a, allow\np, group:a, *, query, namespace=a, deny'
    const loaded = await loadPolicy(lax, [{ name: 'p.csv', text }])
    assert.equal(loaded.ok, false)
    assert.match(loaded.error[0] ?? '', /p\.csv:1: Casbin and the index disagree/)
  })
})

describe('patterns', () => {
  it('match as a regular expression of the same meaning does', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 8 })
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '-', '*'), maxLength: 8 })
    fc.assert(
      fc.property(pattern, text, (pattern, text) => {
        assert.equal(matches(pattern, text), new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(text))
      }),
      { numRuns: 2_000 },
    )
  })
  it('are not fooled by what fools the ready-made ones', () => {
    assert.equal(matches('team-*-prod', 'team-a-dev'), false)
    assert.equal(matches('prod', 'nonprod-x'), false)
    assert.equal(matches('pay.prod', 'payXprod'), false)
    assert.equal(matches('team-*', 'team-a'), true)
  })
  it('a deny touches "every series", an allow of a namespace does not cover it', () => {
    assert.equal(touches('deny', 'namespace=a', '*'), true)
    assert.equal(touches('allow', 'namespace=*', '*'), false)
    assert.equal(touches('allow', '*', 'namespace=a'), true)
    assert.equal(touches('allow', 'namespace=a', 'namespace=b'), false)
  })
  it('of a resource read back what was written', () => {
    assert.deepEqual(parseResource('*'), { ok: true, value: { every: 'series' } })
    assert.deepEqual(parseResource('namespace=a-*'), { ok: true, value: { label: 'namespace', pattern: 'a-*' } })
  })
})

describe('Casbin, the judge', () => {
  const group = fc.constantFrom('g1', 'g2', 'g3')
  const cluster = fc.constantFrom('prod', 'dev')
  const action = fc.constantFrom('query', 'federate', 'audit:read')
  const namespace = fc.constantFrom('a', 'ab', 'abc', 'b', 'team-a', 'team-b')
  const named = namespace.map((name) => `namespace=${name}`)
  const labelled = fc.constantFrom('job=a', 'job=b', 'job=b-1')
  const view = fc.constantFrom('own', 'destination', 'both')
  const subject = fc.oneof(
    group.map((name) => `group:${name}`),
    fc.constantFrom('user:https://idp#u1', 'role:r1', 'role:r2', 'role:r3'),
  )
  const line = fc
    .record({
      subject,
      cluster: fc.oneof(cluster, fc.constant('*'), fc.constant('d*')),
      action: fc.oneof(action, fc.constant('*')),
      resource: fc.oneof(
        named.chain((one) => view.map((side) => [one, `, view=${side}`])),
        view.map((side) => ['namespace=*', `, view=${side}`]),
        view.map((side) => ['namespace=team-*', `, view=${side}`]),
        fc.constantFrom(['*', ''], ['job=b*', ''], ['job=a', '']),
      ),
      effect: fc.oneof({ arbitrary: fc.constant('allow'), weight: 3 }, { arbitrary: fc.constant('deny'), weight: 1 }),
    })
    .map(({ subject, cluster, action, resource: [resource, more], effect }) => {
      return `p, ${subject}, ${cluster}, ${action}, ${resource}, ${effect}${more}`
    })
  // Roles only go up, so that there is no circle; each is granted something, so that none is unknown.
  const member = fc
    .oneof(
      group.chain((name) => fc.constantFrom('role:r1', 'role:r2', 'role:r3').map((role) => [`group:${name}`, role])),
      fc.constantFrom(['role:r1', 'role:r2'], ['role:r2', 'role:r3'], ['role:r1', 'role:r3']),
    )
    .map((columns) => `g, ${columns.join(', ')}`)
  const granted = ['r1', 'r2', 'r3'].map((role) => `p, role:${role}, prod, query, namespace=${role}, allow`)
  const question = fc
    .tuple(
      cluster,
      action,
      fc.oneof(
        fc.tuple(fc.oneof(named, labelled), fc.constantFrom<Side>('own', 'destination')),
        fc.constant(['*', 'both'] as const),
      ),
    )
    .map(([cluster, action, [resource, side]]) => ({ cluster, action, resource, side }))

  it('agrees with the index on random policies, roles, views, people and questions', async () => {
    let questions = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(line, { minLength: 1, maxLength: 12 }),
        fc.uniqueArray(member, { maxLength: 5 }),
        fc.uniqueArray(group),
        fc.array(question, { minLength: 10, maxLength: 10 }),
        async (lines, members, groups, asked) => {
          const text = [...lines, ...members, ...granted].join('\n')
          const policy = await policyOf(text)
          const parsed = parsePolicy([{ name: 'p.csv', text }])
          assert.ok(parsed.ok)
          const casbin = await openJudge(model, parsed.value)
          assert.ok(casbin.ok)
          const identity = who(...groups)
          const subjects = new Set(subjectsOf(identity))
          for (const one of [...subjects]) {
            for (const role of await casbin.value.getImplicitRolesForUser(one)) subjects.add(role)
          }
          for (const { cluster, action, resource, side } of asked) {
            const { scope } = policy.decide(identity, cluster, action)
            if (!isComparable(scope, policy.bearing(identity, cluster, action), resource, side)) continue
            assert.equal(
              holds(scope, resource, side, profiles.linkerd),
              ask(casbin.value, [...subjects], cluster, action, resource, side),
              `${cluster} ${action} ${resource} ${side}: ${describeScope(scope)}`,
            )
            questions += 1
          }
        },
      ),
      { numRuns: 500 },
    )
    assert.ok(questions >= 3_000, `only ${questions}`)
  })
})
