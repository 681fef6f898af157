// What the policy costs: loading, the first decision for somebody, and the next ones, beside one question to Casbin.
// Run: node bench/policy.ts
//
// Cold: an identity that was never seen. Warm: the same identity object once more, as a remembered token gives it.
import { readFileSync } from 'node:fs'
import type { Identity } from '../src/identity/identity.ts'
import { ask, openJudge } from '../src/policy/judge.ts'
import { parsePolicy } from '../src/policy/parse.ts'
import { loadPolicy } from '../src/policy/policy.ts'
import type { Policy } from '../src/policy/policy.ts'
import { profiles } from '../src/policy/profile.ts'
import type { Result } from '../src/result.ts'

const model = { name: 'model.conf', text: readFileSync(new URL('../policies/model.conf', import.meta.url), 'utf8') }
const setting = { profile: profiles.linkerd, clock: Date.now }
const groups = 1_000
const roles = 100

/** Rows for 1,000 groups and 100 roles; every tenth is a deny, every fifth a pattern, every seventh grants both views. */
function policyText(rows: number): string {
  const lines = Array.from({ length: rows }, (_, at) => {
    const subject = at % 3 === 0 ? `role:r${at % roles}` : `group:g${at % groups}`
    const namespace = at % 5 === 0 ? `team-${at}-*` : `namespace-${at}`
    const effect = at % 10 === 9 ? 'deny' : 'allow'
    return `p, ${subject}, *, query|metadata, namespace=${namespace}, ${effect}, view=${at % 7 === 0 ? 'both' : 'own'}`
  })
  const granted = new Set(lines.flatMap((line) => /role:r\d+/.exec(line)?.[0] ?? []))
  const members = [...granted].map((role, at) => `g, group:g${at * 7}, ${role}`)
  return [...lines, ...members].join('\n')
}

const identityWith = (count: number, from: number): Identity => ({
  issuer: 'https://id.example.org',
  subject: `u${from}`,
  name: 'U',
  groups: Array.from({ length: count }, (_, at) => `g${(from + at * 13) % groups}`),
  via: 'bearer',
})

function valueOf<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error))
  return result.value
}

/** Milliseconds of each run, least and median. */
function timesOf(runs: readonly number[]): { readonly least: number; readonly median: number } {
  const sorted = runs.toSorted((one, other) => one - other)
  return { least: sorted[0] ?? 0, median: sorted[Math.floor(sorted.length / 2)] ?? 0 }
}

function coldTimes(policy: Policy, count: number): readonly number[] {
  return Array.from({ length: 200 }, (_, from) => {
    const identity = identityWith(count, from * 5)
    const began = performance.now()
    policy.decide(identity, 'prod', 'query')
    return performance.now() - began
  })
}

function warmTimes(policy: Policy, count: number): readonly number[] {
  const identity = identityWith(count, 1)
  policy.decide(identity, 'prod', 'query')
  const each = 1_000
  return Array.from({ length: 100 }, () => {
    const began = performance.now()
    for (let at = 0; at < each; at += 1) policy.decide(identity, 'prod', 'query')
    return (performance.now() - began) / each
  })
}

/** One question about one namespace, as Casbin answers it. */
async function casbinTimes(text: string, count: number): Promise<readonly number[]> {
  const parsed = valueOf(parsePolicy([{ name: 'p.csv', text }]))
  const casbin = valueOf(await openJudge(model, parsed))
  const subjects = identityWith(count, 1).groups.map((group) => `group:${group}`)
  return Array.from({ length: 10 }, () => {
    const began = performance.now()
    ask(casbin, subjects, 'prod', 'query', 'namespace=namespace-1', 'own')
    return performance.now() - began
  })
}

const micro = (ms: number): string => (ms * 1_000).toPrecision(2)

process.stdout.write('rows     load ms  groups  warm µs  cold µs least  cold µs median  Casbin, one question\n')
for (const rows of [100, 1_000, 10_000, 99_000]) {
  const text = policyText(rows)
  const began = performance.now()
  const policy = valueOf(await loadPolicy(model, [{ name: 'p.csv', text }], setting))
  const load = performance.now() - began
  for (const count of [5, 50]) {
    const cold = timesOf(coldTimes(policy, count))
    const warm = timesOf(warmTimes(policy, count))
    const casbin = timesOf(await casbinTimes(text, count))
    const cells = [
      String(rows).padEnd(8),
      load.toFixed(0).padStart(7),
      String(count).padStart(7),
      micro(warm.median).padStart(8),
      micro(cold.least).padStart(14),
      micro(cold.median).padStart(15),
      casbin.median.toFixed(2).padStart(20),
    ]
    process.stdout.write(`${cells.join(' ')} ms\n`)
  }
}
