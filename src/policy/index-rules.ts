import type { Identity } from '../identity/identity.ts'
import { maxDecisions } from './limits.ts'
import type { ParsedPolicy } from './parse.ts'
import { matches, matchesAny } from './patterns.ts'
import type { Decision, Policy, PolicySetting } from './policy.ts'
import { limitsFor } from './query-limits.ts'
import type { LimitRow } from './query-limits.ts'
import type { Action, Rule } from './rules.ts'
import { scopeOf } from './scope-of.ts'
import { subjectsOf } from './subjects.ts'

/** A rule, and how it came to bear on somebody. */
export interface Bearing {
  readonly rule: Rule
  /** From the identity's own subject to the rule's: `[group:a, role:viewer]`. */
  readonly way: readonly string[]
}

/** What one subject has, by itself and through its roles. */
interface Holdings {
  readonly rules: readonly Bearing[]
  readonly limits: readonly LimitRow[]
}

/** A decision, and until when it holds, in Unix milliseconds. */
interface Answer {
  readonly decision: Decision
  readonly until: number
}

/** Answers of one identity object, which lives as long as the token or session that it was read from. */
type Answers = Map<string, Answer>

/** The policy as a value that answers fast: rules by subject, roles followed beforehand, decisions remembered. */
export const indexRules = (parsed: ParsedPolicy, setting: PolicySetting, digest: string): Policy =>
  new RuleIndex(parsed, setting, digest)

class RuleIndex implements Policy {
  readonly digest: string
  readonly parsed: ParsedPolicy
  private readonly setting: PolicySetting
  private readonly holdings: ReadonlyMap<string, Holdings>
  private readonly everybody: readonly LimitRow[]
  private readonly numbers: ReadonlyMap<Rule | LimitRow, number>
  /** Equal rights are one decision, and so one scope: what others make of a scope they need make only once. */
  private readonly decisions = new Map<string, Decision>()
  private readonly answers = new WeakMap<Identity, Answers>()

  constructor(parsed: ParsedPolicy, setting: PolicySetting, digest: string) {
    this.digest = digest
    this.parsed = parsed
    this.setting = setting
    this.holdings = holdingsOf(parsed)
    this.everybody = parsed.limits.filter(({ subject }) => subject === '*')
    this.numbers = new Map([...parsed.rules, ...parsed.limits].map((row, at) => [row, at]))
  }

  get rules(): number {
    return this.parsed.rules.length
  }

  get warnings(): readonly string[] {
    return this.parsed.warnings
  }

  decide(identity: Identity, cluster: string, action: Action): Decision {
    const own: Answers = this.answers.get(identity) ?? new Map()
    const question = `${action} ${cluster}`
    const now = this.setting.clock()
    const known = own.get(question)
    if (known !== undefined && now < known.until) return known.decision
    const answer = this.answer(identity, cluster, action, now)
    own.set(question, answer)
    this.answers.set(identity, own)
    return answer.decision
  }

  bearing(identity: Identity, cluster: string, action: Action): readonly Bearing[] {
    const found = new Map<Rule, Bearing>()
    for (const { rules } of this.heldBy(identity)) {
      for (const one of rules) {
        const bears = matches(one.rule.cluster, cluster) && matchesAny(one.rule.action, action)
        if (bears && !found.has(one.rule)) found.set(one.rule, one)
      }
    }
    return [...found.values()]
  }

  private heldBy(identity: Identity): readonly Holdings[] {
    return [...new Set(subjectsOf(identity))].flatMap((subject) => this.holdings.get(subject) ?? [])
  }

  private answer(identity: Identity, cluster: string, action: Action, now: number): Answer {
    const all = this.bearing(identity, cluster, action).map(({ rule }) => rule)
    const rules = all.filter((rule) => holdsAt(rule, now))
    const limits = [...new Set(this.heldBy(identity).flatMap((held) => held.limits))]
    const key = [...rules, ...limits].map((row) => this.numbers.get(row)).join()
    const until = Math.min(...all.flatMap(({ from, until: end }) => [later(from, now), later(end, now)]))
    const known = this.decisions.get(key)
    if (known !== undefined) return { decision: known, until }
    const decision: Decision = {
      scope: scopeOf(rules, this.setting.profile),
      because: rules.map(({ at }) => at),
      reasons: [...new Set(rules.flatMap(({ reason }) => reason ?? []))],
      limits: limitsFor(limits, this.everybody),
      policy: this.digest,
    }
    if (this.decisions.size >= maxDecisions) this.decisions.clear()
    this.decisions.set(key, decision)
    return { decision, until }
  }
}

/** Does a rule hold at this moment (Unix milliseconds)? */
export const holdsAt = ({ from, until }: Rule, now: number): boolean =>
  (from === null || from <= now) && (until === null || now < until)

const later = (at: number | null, now: number): number => (at === null || at <= now ? Number.POSITIVE_INFINITY : at)

function holdingsOf({ rules, limits, rolesOf }: ParsedPolicy): ReadonlyMap<string, Holdings> {
  const rulesOf = Map.groupBy(rules, ({ subject }) => subject)
  const limitsOf = Map.groupBy(limits, ({ subject }) => subject)
  const subjects = new Set([...rulesOf.keys(), ...limitsOf.keys(), ...rolesOf.keys()])
  const holdings = new Map<string, Holdings>()
  for (const subject of subjects) {
    const roles = [...(rolesOf.get(subject) ?? [])]
    const ways = [[subject, [subject]] as const, ...roles.map(([role, way]) => [role, [subject, ...way]] as const)]
    holdings.set(subject, {
      rules: ways.flatMap(([from, way]) => (rulesOf.get(from) ?? []).map((rule) => ({ rule, way }))),
      limits: ways.flatMap(([from]) => limitsOf.get(from) ?? []),
    })
  }
  return holdings
}
