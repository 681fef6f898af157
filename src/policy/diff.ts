import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { holdingsIn } from './explain.ts'
import type { Held } from './explain.ts'
import { holdsAt } from './index-rules.ts'
import type { ParsedPolicy } from './parse.ts'
import { labelNames, namesByMatch } from './pattern-sets.ts'
import { matches, matchesAny } from './patterns.ts'
import { printLimit } from './print-row.ts'
import { limitNames, limitsFor } from './query-limits.ts'
import type { LimitRow, QueryLimits } from './query-limits.ts'
import { allowedBeyond, deniedBeyond, rightsOf } from './rights.ts'
import type { Difference } from './rights.ts'
import { actions } from './rules.ts'
import type { Action } from './rules.ts'
import { subjectsIn } from './who-can.ts'

/** What changes between two policies, for whom. */
export interface PolicyDiff {
  /** Does anybody's right or limit change? Memberships alone are none. */
  readonly changed: boolean
  readonly rights: readonly RightsChange[]
  readonly limits: readonly LimitChange[]
  readonly roles: readonly RoleChange[]
}

/** How a right changes. What is denied, or no longer, bears on all that a person's other subjects allow as well. */
export type Kind = 'gained' | 'lost' | 'denied' | 'undenied'

/** One thing that changes for one subject by itself, and where, for what and when. */
export interface RightsChange extends Changed {
  readonly subject: string
  readonly kind: Kind
  readonly clusters: readonly ClusterPart[]
  readonly actions: readonly Action[]
  /** Unix milliseconds; null: from now on, and without end. */
  readonly from: number | null
  readonly until: number | null
}

/** What is gained or lost, and the rows of the old or the new policy that make it so. */
export interface Changed extends Omit<Difference, 'because'> {
  readonly because: { readonly in: 'old' | 'new'; readonly rows: readonly string[] }
}

/** The clusters that match all of these patterns, and none of those. */
export interface ClusterPart {
  readonly patterns: readonly string[]
  readonly except: readonly string[]
}

/** A limit of a subject; `*` is whoever has no row of their own. */
export interface LimitChange {
  readonly subject: string
  readonly limit: keyof QueryLimits
  readonly old: string
  readonly new: string
}

/** Somebody who has a role in one of the two only, by whichever way. */
export interface RoleChange {
  readonly member: string
  readonly role: string
  readonly change: 'joins' | 'leaves'
  readonly way: readonly string[]
}

/** Compares two policies from a moment on (Unix milliseconds): rules that end or begin later count when they do. */
export function diffPolicies(old: ParsedPolicy, next: ParsedPolicy, at: number): Result<PolicyDiff, string> {
  const rights: RightsChange[] = []
  const [heldBefore, heldAfter] = [holdingsIn(old), holdingsIn(next)]
  for (const subject of subjectsOf(old, next)) {
    const changes = diffSubject(subject, heldBefore([subject]), heldAfter([subject]), at)
    if (changes === null) return fail(`${subject} has rows for too many different patterns of clusters to compare them`)
    rights.push(...changes)
  }
  const limits = diffLimits(old, next)
  return ok({ changed: rights.length + limits.length > 0, rights, limits, roles: diffRoles(old, next) })
}

const subjectsOf = (old: ParsedPolicy, next: ParsedPolicy): readonly string[] =>
  [...new Set([...subjectsIn(old), ...subjectsIn(next)])].toSorted()

function diffSubject(
  subject: string,
  old: readonly Held[],
  next: readonly Held[],
  at: number,
): readonly RightsChange[] | null {
  if (textOf(old) === textOf(next)) return []
  const patterns = [...new Set([...old, ...next].map(({ rule }) => rule.cluster))]
  const clusters = namesByMatch(patterns, labelNames)
  if (clusters === null) return null
  const found = new Map<string, Spread>()
  for (const interval of intervals([...old, ...next], at)) {
    for (const cluster of clusters) {
      for (const action of actions) {
        const bears = ({ rule }: Held): boolean =>
          holdsAt(rule, interval.from) && matches(rule.cluster, cluster) && matchesAny(rule.action, action)
        for (const change of diffRights(old.filter(bears), next.filter(bears))) {
          const key = JSON.stringify(change)
          const spread = found.get(key) ?? { ...change, cells: [] }
          spread.cells.push({ interval, cluster, action })
          found.set(key, spread)
        }
      }
    }
  }
  return [...found.values()].flatMap(({ kind, difference, cells }) =>
    gather(cells).map(({ actions: which, clusters: some, from, until }) => ({
      subject,
      kind,
      ...difference,
      clusters: partsOf(some, clusters, patterns),
      actions: which,
      from: from === at ? null : from,
      until: until === Number.POSITIVE_INFINITY ? null : until,
    })),
  )
}

/** What rules say, without where. */
const textOf = (held: readonly Held[]): string =>
  JSON.stringify(held.map(({ rule }) => JSON.stringify([rule.columns.slice(1), rule.from, rule.until])).toSorted())

interface Interval {
  readonly from: number
  readonly until: number
}

/** From a moment on, the times between which nothing begins or ends. */
function intervals(held: readonly Held[], at: number): readonly Interval[] {
  const moments = held.flatMap(({ rule }) => [rule.from ?? at, rule.until ?? at]).filter((moment) => moment > at)
  const starts = [at, ...new Set(moments)].toSorted((one, other) => one - other)
  return starts.map((from, index) => ({ from, until: starts[index + 1] ?? Number.POSITIVE_INFINITY }))
}

interface KindOfChange {
  readonly kind: Kind
  readonly difference: Changed
}

function diffRights(old: readonly Held[], next: readonly Held[]): readonly KindOfChange[] {
  if (textOf(old) === textOf(next)) return []
  const [before, after] = [rightsOf(old), rightsOf(next)]
  const all = [
    ['gained', allowedBeyond(after, before), 'new', 'old'],
    ['lost', allowedBeyond(before, after), 'old', 'new'],
    ['denied', deniedBeyond(after, before), 'new', 'old'],
    ['undenied', deniedBeyond(before, after), 'old', 'new'],
  ] as const
  return all.flatMap(([kind, differences, more, less]) =>
    differences.map(({ because: { of, rows }, ...one }) => ({
      kind,
      difference: { ...one, because: { in: of === 'more' ? more : less, rows } },
    })),
  )
}

/** A change, and everywhere where it is the same one. */
interface Spread extends KindOfChange {
  readonly cells: Cell[]
}

interface Cell {
  readonly interval: Interval
  readonly cluster: string
  readonly action: Action
}

/** Some clusters, some actions and a time, all of them with each other. */
interface Gathered extends Interval {
  readonly clusters: readonly string[]
  readonly actions: readonly Action[]
}

/** Says the same cells in few words: actions that have the same places and times, and times that follow each other. */
function gather(cells: readonly Cell[]): readonly Gathered[] {
  const byAction = Map.groupBy(cells, ({ action }) => action)
  const alike = Map.groupBy([...byAction], ([, of]) =>
    JSON.stringify(of.map(({ interval, cluster }) => [interval.from, cluster])),
  )
  return [...alike.values()].flatMap((group) => {
    const places = group[0]?.[1] ?? []
    const gathered: Gathered[] = []
    for (const [interval, of] of Map.groupBy(places, (cell) => cell.interval)) {
      const clusters = of.map(({ cluster }) => cluster)
      const last = gathered.at(-1)
      if (last?.until === interval.from && last.clusters.join() === clusters.join()) {
        gathered[gathered.length - 1] = { ...last, until: interval.until }
      } else gathered.push({ ...interval, clusters, actions: group.map(([action]) => action) })
    }
    return gathered
  })
}

/** Clusters that stand for all that match alike, as the patterns that the rows write. */
function partsOf(some: readonly string[], all: readonly string[], patterns: readonly string[]): readonly ClusterPart[] {
  const parts: ClusterPart[] = []
  const left = new Set(some)
  const covered = new Map(patterns.map((pattern) => [pattern, all.filter((cluster) => matches(pattern, cluster))]))
  const size = (pattern: string): number => covered.get(pattern)?.length ?? 0
  // Widest first: most of what is left is said by few of them.
  for (const pattern of patterns.toSorted((one, other) => size(other) - size(one))) {
    const names = covered.get(pattern) ?? []
    if (!names.every((name) => some.includes(name)) || !names.some((name) => left.has(name))) continue
    parts.push({ patterns: [pattern], except: [] })
    for (const name of names) left.delete(name)
  }
  return [...parts, ...[...left].map((name) => partOf(name, covered))]
}

/** What one cluster stands for: all that match the same patterns. Those that follow from others are left out. */
function partOf(name: string, covered: ReadonlyMap<string, readonly string[]>): ClusterPart {
  const matching = [...covered].filter(([, names]) => names.includes(name))
  const needed = matching.filter(([, names]) => !matching.some(([, others]) => isWithin(others, names)))
  const inAll = (one: string): boolean => needed.every(([, names]) => names.includes(one))
  const others = [...covered]
    .filter(([, names]) => !names.includes(name))
    .map(([pattern, names]) => [pattern, names.filter(inAll)] as const)
    .filter(([, names]) => names.length > 0)
  const except = others.filter(([, names]) => !others.some(([, more]) => isWithin(names, more)))
  return { patterns: needed.map(([pattern]) => pattern), except: except.map(([pattern]) => pattern) }
}

/** Are the one names among the others, and fewer? */
const isWithin = (names: readonly string[], others: readonly string[]): boolean =>
  names.length < others.length && names.every((one) => others.includes(one))

function diffLimits(old: ParsedPolicy, next: ParsedPolicy): readonly LimitChange[] {
  const named = subjectsOf(old, next).filter((subject) => [old, next].some((one) => ownRows(one, subject).length > 0))
  return ['*', ...named].flatMap((subject) =>
    limitNames.flatMap((limit) => {
      const [was = '', is = ''] = [old, next].map((policy) => limitText(policy, subject, limit))
      // What changes for everybody is told once.
      const everybodys = was.endsWith(withoutRow) && is.endsWith(withoutRow)
      return was === is || everybodys ? [] : [{ subject, limit, old: was, new: is }]
    }),
  )
}

const withoutRow = ', without a row'

/** A row of one's own counts beside those of a person's other subjects, also where it says what holds without it. */
function limitText(policy: ParsedPolicy, subject: string, limit: keyof QueryLimits): string {
  const rows = ownRows(policy, subject)
  const text = printLimit(limit, limitsFor(rows, rowsFor(policy, ['*']))[limit])
  const said = subject === '*' || rows.some(({ limits }) => limits[limit] !== undefined)
  return said ? text : `${text}${withoutRow}`
}

const rowsFor = ({ limits }: ParsedPolicy, subjects: readonly string[]): readonly LimitRow[] =>
  limits.filter(({ subject }) => subjects.includes(subject))

const ownRows = (policy: ParsedPolicy, subject: string): readonly LimitRow[] =>
  rowsFor(policy, [subject, ...(policy.rolesOf.get(subject)?.keys() ?? [])])

function diffRoles(old: ParsedPolicy, next: ParsedPolicy): readonly RoleChange[] {
  const only = (one: ParsedPolicy, other: ParsedPolicy, change: RoleChange['change']): readonly RoleChange[] =>
    [...one.rolesOf].flatMap(([member, roles]) =>
      [...roles]
        .filter(([role]) => !member.startsWith('role:') && other.rolesOf.get(member)?.has(role) !== true)
        .map(([role, way]) => ({ member, role, change, way: [member, ...way] })),
    )
  return [...only(next, old, 'joins'), ...only(old, next, 'leaves')]
}
