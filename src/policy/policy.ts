import { createHash } from 'node:crypto'
import type { Identity } from '../identity/identity.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { judge, openJudge } from './judge.ts'
import { maxDecisions } from './limits.ts'
import { matches, matchesAny } from './patterns.ts'
import { parseRules, serviceIssuer } from './rules.ts'
import type { Action, PolicyFile, Rule } from './rules.ts'
import type { Scope } from './scope.ts'

/** What was decided, and because of which lines. */
export interface Decision {
  readonly scope: Scope
  /** `file:line` of every rule that bears on it, allows and denies. */
  readonly because: readonly string[]
  /** Digest of the policy that decided. */
  readonly policy: string
}

/** One policy, whole and unchanging. A new policy is a new value. */
export interface Policy {
  /** `sha256:` and hex digits over the model and all rule files. */
  readonly digest: string
  readonly rules: number
  decide(identity: Identity, cluster: string, action: Action): Decision
}

/**
 * Reads, checks and indexes a policy. It comes into being only if every line is understood and Casbin, the judge,
 * agrees with the index; otherwise the problems are returned, each with its place and remedy.
 */
export async function loadPolicy(
  model: PolicyFile,
  files: readonly PolicyFile[],
): Promise<Result<Policy, readonly string[]>> {
  const rules = parseRules(files)
  if (!rules.ok) return rules
  const casbin = await openJudge(model, rules.value)
  if (!casbin.ok) return fail([casbin.error])
  const policy = indexRules(rules.value, digestOf([model, ...files]))
  const disagreements = judge(policy, casbin.value, rules.value)
  return disagreements.length > 0 ? fail(disagreements) : ok(policy)
}

/** Everybody that an identity is, as policy subjects. A service is itself and nothing else. */
export const subjectsOf = ({ issuer, subject, groups }: Identity): readonly string[] =>
  issuer === serviceIssuer
    ? [`service:${subject}`]
    : [`user:${issuer}#${subject}`, ...groups.map((group) => `group:${group}`)]

function indexRules(rules: readonly Rule[], digest: string): Policy {
  const bySubject = new Map<string, Rule[]>()
  for (const rule of rules) {
    const known = bySubject.get(rule.subject)
    if (known === undefined) bySubject.set(rule.subject, [rule])
    else known.push(rule)
  }
  // Equal rights are one decision, and so one scope: what others make of a scope they need make only once.
  const decisions = new Map<string, Decision>()
  // A rule's own number, since two files may have the same name.
  const numbers = new Map(rules.map((rule, number) => [rule, number]))
  return {
    digest,
    rules: rules.length,
    decide(identity, cluster, action) {
      const bearing = [...new Set(subjectsOf(identity))]
        .flatMap((subject) => bySubject.get(subject) ?? [])
        .filter((rule) => matches(rule.cluster, cluster) && matchesAny(rule.action, action))
      const key = bearing.map((rule) => numbers.get(rule)).join()
      const known = decisions.get(key)
      if (known !== undefined) return known
      const decision: Decision = { scope: scopeOf(bearing), because: bearing.map((rule) => rule.at), policy: digest }
      if (decisions.size >= maxDecisions) decisions.clear()
      decisions.set(key, decision)
      return decision
    },
  }
}

/** Adds up allows and denies. Deny wins; "every series" with a deny shrinks to "every namespace but …". */
function scopeOf(rules: readonly Rule[]): Scope {
  const allow = new Set<string>()
  const deny = new Set<string>()
  let every = false
  for (const { resource, columns } of rules) {
    const allowed = columns[4] === 'allow'
    if ('label' in resource) (allowed ? allow : deny).add(resource.pattern)
    else if (allowed) every = true
    else return { kind: 'nothing' }
  }
  if (every && deny.size === 0) return { kind: 'everything' }
  // A series without a namespace may hold what is denied (a recording rule over all namespaces, say): leave it out.
  if (every) allow.add('*')
  const left = [...allow].filter((pattern) => ![...deny].some((denied) => matches(denied, pattern)))
  if (left.length === 0) return { kind: 'nothing' }
  return {
    kind: 'labels',
    alternatives: [{ label: 'namespace', allow: left.toSorted(), deny: [...deny].toSorted() }],
  }
}

function digestOf(files: readonly PolicyFile[]): string {
  const hash = createHash('sha256')
  for (const { name, text } of files) hash.update(`${name.length}:${name}${text.length}:${text}`)
  return `sha256:${hash.digest('hex')}`
}
