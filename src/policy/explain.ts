import { holdsAt } from './index-rules.ts'
import type { ParsedPolicy } from './parse.ts'
import { matches, matchesAny } from './patterns.ts'
import type { Policy } from './policy.ts'
import { printLimit, printMoment, printRow, printRule } from './print-row.ts'
import { limitNames } from './query-limits.ts'
import type { LimitRow, QueryLimits } from './query-limits.ts'
import type { Action, Rule } from './rules.ts'
import { describeScope } from './scope.ts'
import type { Scope } from './scope.ts'
import { subjectsOf } from './subjects.ts'
import type { Somebody } from './as.ts'

/** Stands for the cluster where no row tells one from another. */
export const anyCluster = 'any'

/** What a decision is about. */
export interface Question {
  readonly cluster: string
  readonly action: Action
  /** Unix milliseconds. */
  readonly at: number
}

/** A row, for people to read. */
export interface Line {
  /** `file:line` */
  readonly at: string
  readonly row: string
  /** How it came to somebody, from their own subject on: `[group:a, role:viewer]`. */
  readonly ways: readonly (readonly string[])[]
}

/** Why somebody sees what they see. */
export interface Explanation {
  readonly scope: Scope
  /** The scope in words, of metrics in general: which labels of some families say the same follows from the profile. */
  readonly sees: string
  /** Every row that bears on the decision. */
  readonly allows: readonly Line[]
  readonly denies: readonly Line[]
  /** Rows that would bear on it at another time, and why not now. */
  readonly notInForce: readonly (Line & { readonly because: string })[]
  /** Rows of theirs for other clusters or other actions only. */
  readonly elsewhere: readonly Line[]
  readonly limits: readonly ExplainedLimit[]
  /** What would have to be said for them to see something; null where they do. */
  readonly needed: string | null
}

/** A limit and the rows that say it; none where it is the product's own. */
export interface ExplainedLimit {
  readonly limit: keyof QueryLimits
  readonly value: number
  /** The value as rows write it. */
  readonly text: string
  readonly from: readonly string[]
}

/** Says of one person and one question what the policy decides, and each row that has a part in it. */
export function explainDecision(policy: Policy, somebody: Somebody, question: Question): Explanation {
  const { cluster, action, at } = question
  const { parsed } = policy
  const decision = policy.decide(somebody.identity, cluster, action)
  const held = holdingsIn(parsed)(subjectsOf(somebody.identity))
  const bears = ({ rule }: Held): boolean => matches(rule.cluster, cluster) && matchesAny(rule.action, action)
  const bearing = held.filter(bears)
  const inForce = bearing.filter(({ rule }) => holdsAt(rule, at))
  const only = (effect: 'allow' | 'deny'): readonly Line[] =>
    inForce.filter(({ rule }) => rule.effect === effect).map(lineOf)
  const allows = only('allow')
  const denies = only('deny')
  const notInForce = bearing.filter(({ rule }) => !holdsAt(rule, at))
  const nothing = decision.scope.kind === 'nothing'
  return {
    scope: decision.scope,
    sees: describeScope(usualOf(decision.scope)),
    allows,
    denies,
    notInForce: notInForce.map((one) => ({ ...lineOf(one), because: whyNot(one.rule, at) })),
    elsewhere: held.filter((one) => !bears(one)).map(lineOf),
    limits: explainLimits(parsed, subjectsOf(somebody.identity), decision.limits),
    needed: nothing ? neededFor(somebody, question, allows, denies) : null,
  }
}

/** A scope without its families. */
const usualOf = (scope: Scope): Scope =>
  scope.kind !== 'labels'
    ? scope
    : { kind: 'labels', alternatives: scope.alternatives, ...(scope.never === undefined ? {} : { never: scope.never }) }

/** A rule, and every way in which it came to somebody. */
export interface Held {
  readonly rule: Rule
  readonly ways: readonly (readonly string[])[]
}

/** Finds all rules of somebody, of their own subjects and of the roles of these, in the order of the files. */
export function holdingsIn({ rules, rolesOf }: ParsedPolicy): (subjects: readonly string[]) => readonly Held[] {
  const bySubject = Map.groupBy(rules.entries(), ([, rule]) => rule.subject)
  return (subjects) =>
    [...waysOf(rolesOf, subjects)]
      .flatMap(([subject, ways]) => (bySubject.get(subject) ?? []).map(([at, rule]) => ({ at, held: { rule, ways } })))
      .toSorted((one, other) => one.at - other.at)
      .map(({ held }) => held)
}

/** Everybody that some subjects are, roles among them, with the ways there. */
function waysOf(
  rolesOf: ParsedPolicy['rolesOf'],
  subjects: readonly string[],
): ReadonlyMap<string, readonly (readonly string[])[]> {
  const ways = new Map<string, (readonly string[])[]>()
  const add = (subject: string, way: readonly string[]): void => {
    ways.set(subject, [...(ways.get(subject) ?? []), way])
  }
  for (const subject of new Set(subjects)) {
    add(subject, [subject])
    for (const [role, way] of rolesOf.get(subject) ?? []) add(role, [subject, ...way])
  }
  return ways
}

/** The row of a held rule. */
export const lineOf = ({ rule, ways }: Held): Line => ({ at: rule.at, row: printRule(rule), ways })

/** Why a rule does not hold at a moment at which it does not. */
export const whyNot = ({ from, until }: Rule, at: number): string =>
  from !== null && at < from ? `begins at ${printMoment(from)}` : `ended at ${printMoment(until ?? at)}`

/** Which rows say the limits of somebody. */
export function explainLimits(
  { limits, rolesOf }: ParsedPolicy,
  subjects: readonly string[],
  inForce: QueryLimits,
): readonly ExplainedLimit[] {
  const ways = waysOf(rolesOf, subjects)
  const own = limits.filter(({ subject }) => ways.has(subject))
  const everybody = limits.filter(({ subject }) => subject === '*')
  return limitNames.map((limit) => {
    const value = inForce[limit]
    const saying = (rows: readonly LimitRow[]): readonly LimitRow[] =>
      rows.filter((row) => row.limits[limit] !== undefined)
    const said = saying(own).length > 0 ? saying(own) : saying(everybody)
    const from = said.filter((row) => row.limits[limit] === value).map(({ at }) => at)
    return { limit, value, text: printLimit(limit, value), from }
  })
}

function neededFor(
  { subjects }: Somebody,
  { cluster, action }: Question,
  allows: readonly Line[],
  denies: readonly Line[],
): string {
  if (allows.length > 0) {
    return `a deny wins over every allow: as long as ${denies.map(({ at }) => at).join(', ')} stands, no row helps`
  }
  const [where, place] = cluster === anyCluster ? ['', '*'] : [` on ${cluster}`, cluster]
  const row = printRow(['p', subjects[0] ?? '', place, action, 'namespace=<name>', 'allow'])
  return `no row allows ${subjects.join(' or ')} to ${action}${where}: a row such as "${row}" would`
}
