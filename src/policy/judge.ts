import { setImmediate } from 'node:timers/promises'
import { newEnforcer, newModelFromString } from 'casbin'
import type { Enforcer } from 'casbin'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { indexRules } from './index-rules.ts'
import type { Bearing } from './index-rules.ts'
import { maxJudging, maxQuestions, minQuestions } from './limits.ts'
import type { ParsedPolicy } from './parse.ts'
import { covers, matches, matchesAny, touches } from './patterns.ts'
import type { Policy } from './policy.ts'
import type { Profile } from './profile.ts'
import type { PolicyFile } from './rows.ts'
import { actions } from './rules.ts'
import type { Rule } from './rules.ts'
import type { Scope } from './scope.ts'
import { identityFor } from './subjects.ts'

/** One side of a call; `both` where the question is about every series. */
export type Side = 'own' | 'destination' | 'both'

/** Casbin with our model and rows; it is given only to the judge and thrown away with the policy. */
export async function openJudge(
  model: PolicyFile,
  { rules, memberships }: Pick<ParsedPolicy, 'rules' | 'memberships'>,
): Promise<Result<Enforcer, string>> {
  try {
    const enforcer = await newEnforcer(newModelFromString(model.text))
    await enforcer.addFunction('isOneOf', isOneOf)
    await enforcer.addFunction('matches', matches)
    await enforcer.addFunction('matchesAny', matchesAny)
    await enforcer.addFunction('touches', touches)
    await enforcer.addFunction('covers', covers)
    await enforcer.addPolicies(distinct(rules.map(({ columns }) => [...columns])))
    if (memberships.length > 0) {
      await enforcer.addGroupingPolicies(distinct(memberships.map(({ member, role }) => [member, role])))
    }
    // A matcher that cannot be evaluated shows only when it is used, to its last term: ask what the first rule is about.
    const [first] = rules
    if (first !== undefined) ask(enforcer, [first.subject], first.cluster, first.action, first.columns[3], 'own')
    return ok(enforcer)
  } catch (error) {
    return fail(`${model.name}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

const distinct = (rows: readonly string[][]): string[][] => [
  ...new Map(rows.map((row) => [JSON.stringify(row), row])).values(),
]

const isOneOf = (subject: string, subjects: readonly string[]): boolean => subjects.includes(subject)

/** What Casbin says to one question. `resource` is `*` or `<label>=<value>`. */
export const ask = (
  casbin: Enforcer,
  subjects: readonly string[],
  cluster: string,
  action: string,
  resource: string,
  side: Side,
): boolean => casbin.enforceSync(subjects, cluster, action, resource, side)

/** Does a scope hold the resource, seen from that side? */
export function holds(scope: Scope, resource: string, side: Side, profile: Profile): boolean {
  if (scope.kind !== 'labels') return scope.kind === 'everything'
  const [label = '', value = ''] = resource.split('=')
  const speakers = side === 'own' ? profile.own : profile.destination
  const names = label === 'namespace' ? speakers.filter((one) => typeof one === 'string') : [label]
  return names.some(
    (name) =>
      scope.alternatives.some(
        (one) =>
          one.label === name &&
          one.allow.some((pattern) => matches(pattern, value)) &&
          !one.deny.some((pattern) => matches(pattern, value)),
      ) &&
      !(scope.never ?? []).some((one) => one.label === name && one.patterns.some((pattern) => matches(pattern, value))),
  )
}

/**
 * Can a question be put to both? "Every series" with a deny becomes "every namespace", of which Casbin knows nothing: what
 * is asked by another label then, or from the other side, has no one answer.
 */
export const isComparable = (scope: Scope, bearing: readonly Bearing[], resource: string, side: Side): boolean =>
  (resource.startsWith('namespace=') && side === 'own') ||
  resource === '*' ||
  scope.kind === 'everything' ||
  !bearing.some(({ rule }) => rule.effect === 'allow' && 'every' in rule.resource)

/**
 * Puts the policy's own rules to Casbin as questions (each rule's subject, on a cluster and resource it could be about)
 * and returns the disagreements; there must be none. When a rule holds is our own affair: Casbin is asked as if all did.
 *
 * @param about the rules that are asked about; without it, as many of all as there is time for at start
 */
export async function judge(
  parsed: ParsedPolicy,
  casbin: Enforcer,
  profile: Profile,
  about?: readonly Rule[],
): Promise<readonly string[]> {
  const always = { ...parsed, rules: parsed.rules.map((rule) => ({ ...rule, from: null, until: null })) }
  const policy = indexRules(always, { profile, clock: () => 0 }, '')
  const disagreements: string[] = []
  const most = Math.max(minQuestions, Math.min(maxQuestions, Math.floor(maxJudging / (parsed.rules.length + 1))))
  for (const rule of about ?? sample(always.rules, most)) {
    // A question takes tens of milliseconds where there are many rules: requests go between.
    await setImmediate()
    const differs = await judgeRule(rule, policy, casbin, profile)
    if (differs !== null) disagreements.push(`${rule.at}: Casbin and the index disagree: ${differs}`)
  }
  return disagreements
}

async function judgeRule(rule: Rule, policy: Policy, casbin: Enforcer, profile: Profile): Promise<string | null> {
  const subject = rule.subject.startsWith('role:') ? memberFor(rule.subject, policy.parsed) : rule.subject
  // Nobody has the role: the row decides nothing.
  if (subject === null) return null
  const cluster = rule.cluster.replaceAll('*', 'x')
  const action = actions.find((name) => matchesAny(rule.action, name)) ?? 'query'
  const resource = rule.columns[3].length > 1 ? rule.columns[3].replaceAll('*', 'x') : '*'
  const side = resource === '*' ? 'both' : rule.view === 'destination' ? 'destination' : 'own'
  const subjects = [subject, ...(await casbin.getImplicitRolesForUser(subject))]
  const ours = [...(policy.parsed.rolesOf.get(subject)?.keys() ?? [])]
  if (ours.toSorted().join() !== subjects.slice(1).toSorted().join()) return `on the roles of ${subject}`
  const identity = identityFor(subject)
  const decided = policy.decide(identity, cluster, action).scope
  if (!isComparable(decided, policy.bearing(identity, cluster, action), resource, side)) return null
  if (holds(decided, resource, side, profile) === ask(casbin, subjects, cluster, action, resource, side)) return null
  return `on whether ${subject} may ${action} ${resource} (${side})`
}

/** Somebody who has a role; null where nobody does. */
export const memberFor = (subject: string, { rolesOf }: Pick<ParsedPolicy, 'rolesOf'>): string | null =>
  [...rolesOf].find(([member, roles]) => !member.startsWith('role:') && roles.has(subject))?.[0] ?? null

/** Evenly spread, so that a long policy is not judged by its first lines alone. */
function sample(rules: readonly Rule[], most: number): readonly Rule[] {
  const step = Math.max(1, Math.ceil(rules.length / most))
  return rules.filter((_, index) => index % step === 0)
}
