import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import type { PolicyOptions, PolicyText } from './files.ts'
import { loadPolicyText } from './files.ts'
import { judge, memberFor, openJudge } from './judge.ts'
import type { ParsedPolicy } from './parse.ts'
import type { Policy } from './policy.ts'
import { profiles } from './profile.ts'
import type { Membership, RolesOf } from './roles.ts'
import type { Rule } from './rules.ts'

/** A policy that was looked at from all sides. */
export interface CheckedPolicy {
  readonly policy: Policy
  /** How many rules were put to Casbin as a question. */
  readonly judged: number
  /** Where Casbin, the judge, decides otherwise than the index. */
  readonly disagreements: readonly string[]
}

/** Loads a policy as the gateway would, and then puts every rule to Casbin, where the gateway asks about some of many. */
export async function checkPolicy(
  text: PolicyText,
  options: PolicyOptions,
): Promise<Result<CheckedPolicy, readonly string[]>> {
  const policy = await loadPolicyText(text, options, () => 0)
  if (!policy.ok) return policy
  const { parsed } = policy.value
  const disagreements: string[] = []
  let judged = 0
  const rows = {
    rules: Map.groupBy(parsed.rules, ({ subject }) => subject),
    memberships: Map.groupBy(parsed.memberships, ({ member }) => member),
  }
  for (const [subject, about] of bySubject(parsed)) {
    const part = partFor(subject, parsed.rolesOf, rows)
    const casbin = await openJudge(text.model, part)
    if (!casbin.ok) return fail([casbin.error])
    disagreements.push(...(await judge(part, casbin.value, profiles[options.profile], about)))
    judged += about.length
  }
  return ok({ policy: policy.value, judged, disagreements })
}

interface RowsBySubject {
  readonly rules: ReadonlyMap<string, readonly Rule[]>
  readonly memberships: ReadonlyMap<string, readonly Membership[]>
}

/** The rules by the subject that can be asked about them: for a role's, a member of it. */
function bySubject(parsed: ParsedPolicy): ReadonlyMap<string, readonly Rule[]> {
  const asked = new Map<string, Rule[]>()
  for (const rule of parsed.rules) {
    const subject = rule.subject.startsWith('role:') ? memberFor(rule.subject, parsed) : rule.subject
    if (subject === null) continue
    const rules = asked.get(subject)
    if (rules === undefined) asked.set(subject, [rule])
    else rules.push(rule)
  }
  return asked
}

/**
 * The rows that one subject has. Casbin goes through all of its rows for each question, so questions times rows would be
 * the square of a long policy; that rows of others do not matter is part of what the judge was asked when it was loaded.
 */
function partFor(subject: string, rolesOf: RolesOf, { rules, memberships }: RowsBySubject): ParsedPolicy {
  const roles = rolesOf.get(subject) ?? new Map<string, readonly string[]>()
  const held = [subject, ...roles.keys()]
  return {
    rules: held.flatMap((one) => rules.get(one) ?? []),
    memberships: held.flatMap((one) => memberships.get(one) ?? []),
    limits: [],
    rolesOf: new Map([[subject, roles]]),
    warnings: [],
  }
}
