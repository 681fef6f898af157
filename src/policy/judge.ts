import { newEnforcer, newModelFromString } from 'casbin'
import type { Enforcer } from 'casbin'
import type { Identity } from '../identity/identity.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { maxQuestions } from './limits.ts'
import { matches, matchesAny, touches } from './patterns.ts'
import type { Policy } from './policy.ts'
import { actions, serviceIssuer } from './rules.ts'
import type { PolicyFile, Rule } from './rules.ts'
import type { Scope } from './scope.ts'

/** Casbin with our model and rules; it is given only to the judge and thrown away with the policy. */
export async function openJudge(model: PolicyFile, rules: readonly Rule[]): Promise<Result<Enforcer, string>> {
  try {
    const enforcer = await newEnforcer(newModelFromString(model.text))
    await enforcer.addFunction('isOneOf', isOneOf)
    await enforcer.addFunction('matches', matches)
    await enforcer.addFunction('matchesAny', matchesAny)
    await enforcer.addFunction('touches', touches)
    const distinct = new Map(rules.map((rule) => [JSON.stringify(rule.columns), [...rule.columns]]))
    await enforcer.addPolicies([...distinct.values()])
    // A matcher that cannot be evaluated shows only when it is used, to its last term: ask what the first rule is about.
    const [first] = rules
    if (first !== undefined) enforcer.enforceSync([first.subject], first.cluster, first.action, first.columns[3])
    return ok(enforcer)
  } catch (error) {
    return fail(`${model.name}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

const isOneOf = (subject: string, subjects: readonly string[]): boolean => subjects.includes(subject)

/** What Casbin says to one question. `resource` is `*` or `namespace=<name>`. */
export const ask = (
  casbin: Enforcer,
  subjects: readonly string[],
  cluster: string,
  action: string,
  resource: string,
): boolean => casbin.enforceSync(subjects, cluster, action, resource)

/** Does a scope hold the resource? */
export function holds(scope: Scope, resource: string): boolean {
  if (scope.kind !== 'labels') return scope.kind === 'everything'
  const [label = '', value = ''] = resource.split('=')
  return scope.alternatives.some(
    (one) =>
      one.label === label &&
      one.allow.some((pattern) => matches(pattern, value)) &&
      !one.deny.some((pattern) => matches(pattern, value)),
  )
}

/**
 * Puts the policy's own rules to Casbin as questions (each rule's subject, on a cluster and resource it could be about)
 * and returns the disagreements; there must be none.
 */
export function judge(policy: Policy, casbin: Enforcer, rules: readonly Rule[]): readonly string[] {
  const disagreements: string[] = []
  for (const rule of sample(rules, maxQuestions)) {
    const identity = identityFor(rule.subject)
    const cluster = rule.cluster.replaceAll('*', 'x')
    const action = actions.find((name) => matchesAny(rule.action, name)) ?? 'query'
    const resource = rule.columns[3].length > 1 ? rule.columns[3].replaceAll('*', 'x') : '*'
    const ours = holds(policy.decide(identity, cluster, action).scope, resource)
    if (ours === ask(casbin, [rule.subject], cluster, action, resource)) continue
    disagreements.push(`${rule.at}: Casbin and the index disagree on whether ${rule.subject} may ${action} ${resource}`)
  }
  return disagreements
}

/** Evenly spread, so that a long policy is not judged by its first lines alone. */
function sample(rules: readonly Rule[], most: number): readonly Rule[] {
  const step = Math.max(1, Math.ceil(rules.length / most))
  return rules.filter((_, index) => index % step === 0)
}

function identityFor(subject: string): Identity {
  const nobody = { issuer: '', subject: '', name: '', groups: [], via: 'bearer' } as const
  if (subject.startsWith('group:')) return { ...nobody, groups: [subject.slice('group:'.length)] }
  if (subject.startsWith('service:')) {
    return { ...nobody, issuer: serviceIssuer, subject: subject.slice('service:'.length) }
  }
  const [issuer = '', ...rest] = subject.slice('user:'.length).split('#')
  return { ...nobody, issuer, subject: rest.join('#') }
}
