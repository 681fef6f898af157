import { anyCluster, explainDecision } from './explain.ts'
import type { Explanation } from './explain.ts'
import { indexRules } from './index-rules.ts'
import { findName, labelNames, namesByMatch } from './pattern-sets.ts'
import type { Policy } from './policy.ts'
import type { Entry, PolicyCase } from './policy-tests.ts'
import { printLimit } from './print-row.ts'
import { limitNames } from './query-limits.ts'
import type { Profile } from './profile.ts'
import { hidesAll, seesAll } from './scope-sets.ts'

/** An expectation that does not hold. */
export interface Failure {
  /** `file:line` of the test. */
  readonly at: string
  readonly as: readonly string[]
  /** Where it does not hold. */
  readonly clusters: readonly string[]
  readonly message: string
  /** The rows that decided, `file:line`. */
  readonly because: readonly string[]
}

/** What a run came to. */
export interface TestRun {
  readonly cases: number
  /** How many expectations were looked at, on each cluster. */
  readonly checks: number
  readonly failures: readonly Failure[]
}

/** What tests are run against, beside the policy. */
export interface TestSetting {
  readonly profile: Profile
  /** The clusters that there are; empty: all that rows tell apart. */
  readonly clusters: readonly string[]
  /** Now, in Unix milliseconds. */
  readonly at: number
}

/** Puts every case to the policy, each at its own time and, where it names no cluster, on every cluster. */
export function runCases(policy: Policy, cases: readonly PolicyCase[], setting: TestSetting): TestRun {
  const everywhere = setting.clusters.length > 0 ? setting.clusters : clustersOf(policy)
  const failures = new Map<string, Failure>()
  let checks = 0
  for (const one of cases) {
    for (const cluster of one.cluster === null ? everywhere : [one.cluster]) {
      const checked = checkCase(policy, one, cluster, setting)
      checks += checked.length
      for (const { message, because } of checked) {
        if (message === null) continue
        const key = JSON.stringify([one.at, message])
        const clusters = [...(failures.get(key)?.clusters ?? []), cluster]
        failures.set(key, { at: one.at, as: one.somebody.subjects, clusters, message, because })
      }
    }
  }
  return { cases: cases.length, checks, failures: [...failures.values()] }
}

/** A cluster for each way in which rows tell clusters apart. */
function clustersOf({ parsed }: Policy): readonly string[] {
  const patterns = [...new Set(parsed.rules.map(({ cluster }) => cluster))]
  if (patterns.every((pattern) => pattern === '*')) return [anyCluster]
  // Where there are too many to tell, those that rows write, and one that none writes.
  const names = namesByMatch(patterns, labelNames) ?? [...patterns.map((one) => one.replaceAll('*', 'x')), 'x']
  return [...new Set([...names, otherCluster(patterns)])]
}

/** A name that only a lone * matches: what holds on every cluster holds on those that no row names, too. */
const otherCluster = (patterns: readonly string[]): string =>
  findName({ some: [['*']], none: patterns.filter((pattern) => pattern !== '*') }, labelNames) ?? 'x'

interface Check {
  /** Null: it holds. */
  readonly message: string | null
  readonly because: readonly string[]
}

function checkCase(policy: Policy, one: PolicyCase, cluster: string, { profile, at }: TestSetting): readonly Check[] {
  const time = one.time ?? at
  const then = indexRules(policy.parsed, { profile, clock: () => time }, policy.digest)
  const explain = (action: PolicyCase['action']): Explanation =>
    explainDecision(then, one.somebody, { cluster, action, at: time })
  const explained = explain(one.action)
  const because = rowsOf(explained)
  const check = (holds: boolean, message: string, rows = because): Check => ({
    message: holds ? null : message,
    because: rows,
  })
  const may = one.may.map((action) => [action, true] as const)
  const mustNot = one.mustNot.map((action) => [action, false] as const)
  return [
    ...sightChecks(one, explained, profile).map((message) => ({ message, because })),
    ...(one.scope === null
      ? []
      : [check(one.scope === explained.sees, `scope: is "${explained.sees}", not "${one.scope}"`)]),
    ...[...may, ...mustNot].map(([action, wanted]) => {
      const found = explain(action)
      const message = wanted ? `may: ${action} is not allowed` : `mustNot: ${action} is allowed (${found.sees})`
      return check((found.scope.kind !== 'nothing') === wanted, message, rowsOf(found))
    }),
    ...limitNames.flatMap((limit) => {
      const wanted = one.limits[limit]
      const found = explained.limits.find((other) => other.limit === limit)
      if (wanted === undefined || found === undefined) return []
      const message = `limits: ${limit} is ${found.text}, not ${printLimit(limit, wanted)}`
      return [check(found.value === wanted, message, found.from)]
    }),
  ]
}

const rowsOf = ({ allows, denies }: Explanation): readonly string[] => [...allows, ...denies].map(({ at }) => at)

/** A sentence for each thing that should be seen and is not, or the other way round; null for each that is right. */
function sightChecks(
  { sees, hides }: PolicyCase,
  explained: Explanation,
  profile: Profile,
): readonly (string | null)[] {
  const { scope, sees: seen } = explained
  const check = (key: 'sees' | 'hides', { text, sights }: Entry): readonly (string | null)[] =>
    sights.map((sight) => {
      const verdict = key === 'sees' ? seesAll(scope, sight, profile) : hidesAll(scope, sight, profile)
      if (verdict.holds) return null
      const { resource, side } = sight
      const sided = 'label' in resource && resource.label === 'namespace' ? ` (${side})` : ''
      const example = verdict.example === null || text.endsWith(verdict.example) ? '' : `, such as ${verdict.example}`
      return `${key}: ${text}${sided} is ${key === 'sees' ? 'not seen' : 'seen'}${example}: the scope is ${seen}`
    })
  return [...sees.flatMap((entry) => check('sees', entry)), ...hides.flatMap((entry) => check('hides', entry))]
}
