import type { Row } from './duck.ts'
import { conditionsOf, during } from './filter.ts'
import { reviewLimits } from './limits.ts'
import type { Count, Timeline, TimelineBucket } from './review.ts'
import { subjectsOf } from './search.ts'
import type { Looking } from './search.ts'
import { recordsOf, spanOf } from './snapshot.ts'

const [minute, hour, day] = [60_000, 3_600_000, 86_400_000]
const [seconds, minutes, hours, days] = [
  [1, 5, 15],
  [1, 5, 15],
  [1, 3, 6, 12],
  [1, 2, 7, 30, 90, 365],
]
const steps = [
  ...seconds.map((count) => count * 1_000),
  ...minutes.map((count) => count * minute),
  ...hours.map((count) => count * hour),
  ...days.map((count) => count * day),
]

/** What somebody did, or tried to: their requests. A record of what came of one is not another one. */
const deeds = `request IS NOT NULL AND kind <> 'audit.exported'`
const refusals = `(decision = 'deny' OR kind LIKE '%.failed')`

/** Activity over time: of the requests that a filter lets through; with a filter for a kind, of all records of it. */
export async function timeline(looking: Looking): Promise<Timeline> {
  const { snapshot, filter, within } = looking
  const whole = spanOf(snapshot) ?? { from: 0, to: 0 }
  const from = filter.from ?? whole.from
  const to = Math.max(from, filter.to ?? whole.to)
  const step =
    steps.find((step) => Math.floor(to / step) - Math.floor(from / step) < reviewLimits.buckets) ?? 3_650 * day
  const subjects = await subjectsOf(looking)
  const where = during(conditionsOf(filter, within, subjects), from, to)
  if (filter.kind === undefined) where.and(deeds)
  const ask = (select: string, rest: string): Promise<readonly Row[]> => {
    const source = `(${recordsOf(snapshot, { from, to }, subjects)})`
    return looking.db.query(`SELECT ${select} FROM ${source} WHERE ${where.sql} ${rest}`, where.values, looking.signal)
  }
  const top = async (value: string): Promise<readonly Count[]> => {
    const counts = `value, count(*) AS requests, count(*) FILTER (${refusals}) AS refused`
    const each = `(SELECT ${value} AS value, decision, kind FROM (${recordsOf(snapshot, { from, to }, subjects)}) WHERE ${where.sql})`
    const rest = `WHERE value IS NOT NULL GROUP BY value ORDER BY requests DESC, value LIMIT 10`
    const rows = await looking.db.query(`SELECT ${counts} FROM ${each} ${rest}`, where.values, looking.signal)
    return rows.map(countOf)
  }
  const counted = `epoch_ms(ts) // ${step} AS bucket, count(*) FILTER (NOT coalesce(${refusals}, false)) AS allowed,
    count(*) FILTER (${refusals}) AS refused, count(DISTINCT subject) AS people`
  const buckets = await ask(counted, 'GROUP BY bucket')
  return {
    from,
    to,
    step,
    buckets: allBuckets(buckets, from, to, step),
    people: await top('coalesce(name, subject)'),
    namespaces: await top('unnest(namespaces)'),
    dashboards: await top('coalesce(dashboard_title, dashboard)'),
  }
}

const countOf = ({ value, requests, refused }: Row): Count => ({
  value: String(value),
  requests: Number(requests),
  refused: Number(refused),
})

/** Also those in which nothing happened. */
function allBuckets(rows: readonly Row[], from: number, to: number, step: number): readonly TimelineBucket[] {
  if (from === to) return []
  const found = new Map(rows.map((row) => [Number(row['bucket']), row]))
  const first = Math.floor(from / step)
  return Array.from({ length: Math.floor((to - 1) / step) - first + 1 }, (_, index) => {
    const row = found.get(first + index)
    const count = (name: string): number => Number(row?.[name] ?? 0)
    return { at: (first + index) * step, allowed: count('allowed'), refused: count('refused'), people: count('people') }
  })
}
