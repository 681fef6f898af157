import type { Question } from './explain.ts'
import { holdingsIn, lineOf, whyNot } from './explain.ts'
import type { Held, Line } from './explain.ts'
import { holdsAt } from './index-rules.ts'
import { holds } from './judge.ts'
import type { ParsedPolicy } from './parse.ts'
import { covers, matches, matchesAny, touches } from './patterns.ts'
import type { Policy } from './policy.ts'
import type { Profile } from './profile.ts'
import type { Rule } from './rules.ts'
import { identityFor } from './subjects.ts'

/** Which series of a namespace: its own, or those of others about calling it. */
export type NamespaceSide = 'own' | 'destination'

/** Of whom it is asked. */
export interface WhoQuestion extends Question {
  readonly namespace: string
  /** From which sides; one or both. */
  readonly sides: readonly NamespaceSide[]
}

/** One subject and what it may see of the namespace by itself. */
export interface Seer {
  readonly subject: string
  /** From which sides it sees the namespace's series. */
  readonly sees: readonly NamespaceSide[]
  /** Resources other than the namespace of which it sees the series, those of the namespace among them: `job=x`. */
  readonly some: readonly string[]
  readonly allows: readonly Line[]
  /** Denies that bear on it: they take away some or all of what the allows give. */
  readonly denies: readonly Line[]
  /** Allows that do not hold now, and why. */
  readonly notInForce: readonly (Line & { readonly because: string })[]
}

/**
 * Every subject of the policy, each as somebody who is that and nothing else, that sees something of a namespace, is denied
 * it, or would see it at another time. People are several subjects at once: their groups add up, and a deny of one takes
 * away from all.
 */
export function whoCan(policy: Policy, question: WhoQuestion, profile: Profile): readonly Seer[] {
  const heldBy = holdingsIn(policy.parsed)
  return subjectsIn(policy.parsed)
    .map((subject) => seerOf(subject, heldBy([subject]), policy, question, profile))
    .filter((seer) => [seer.allows, seer.denies, seer.notInForce].some((lines) => lines.length > 0))
}

/** Everybody that a policy names, but for roles, which nobody is by themselves. */
export function subjectsIn({ rules, memberships, limits }: ParsedPolicy): readonly string[] {
  const named = [
    ...rules.map(({ subject }) => subject),
    ...memberships.map(({ member }) => member),
    ...limits.map(({ subject }) => subject),
  ]
  return [...new Set(named)].filter((subject) => subject !== '*' && !subject.startsWith('role:')).toSorted()
}

function seerOf(subject: string, all: readonly Held[], policy: Policy, question: WhoQuestion, profile: Profile): Seer {
  const { cluster, action, at, namespace, sides } = question
  const identity = identityFor(subject)
  const held = all.filter(({ rule }) => matches(rule.cluster, cluster) && matchesAny(rule.action, action))
  const { scope } = policy.decide(identity, cluster, action)
  const about = ({ rule }: Held): boolean => sides.some((side) => bearsOn(rule, namespace, side))
  const now = held.filter(({ rule }) => holdsAt(rule, at))
  const allowing = now.filter((one) => one.rule.effect === 'allow' && about(one))
  // Beside an allow every deny may count: of what others report of calling the namespace, say, it hides what they own.
  const denying = now.filter(
    (one) => one.rule.effect === 'deny' && (allowing.length > 0 || (about(one) && !isOther(one.rule))),
  )
  const later = held.filter((one) => one.rule.effect === 'allow' && about(one) && !holdsAt(one.rule, at))
  // A series that carries another label still names the namespace; a deny of that takes it away.
  const open = sides.some((side) => !denying.some(({ rule }) => bearsOn(rule, namespace, side) && !isOther(rule)))
  const others = allowing.filter(({ rule }) => isOther(rule)).map(({ rule }) => rule.columns[3])
  return {
    subject,
    sees: sides.filter((side) => holds(scope, `namespace=${namespace}`, side, profile)),
    some: open ? [...new Set(others)] : [],
    allows: allowing.map(lineOf),
    denies: denying.map(lineOf),
    notInForce: later.map((one) => ({ ...lineOf(one), because: whyNot(one.rule, at) })),
  }
}

const isOther = ({ resource }: Rule): boolean => 'label' in resource && resource.label !== 'namespace'

/** Can a rule say something about a namespace's series? One about another label can: they may carry it. */
const bearsOn = (rule: Rule, namespace: string, side: NamespaceSide): boolean =>
  isOther(rule) || (covers(rule.view, side) && touches(rule.effect, rule.columns[3], `namespace=${namespace}`))
