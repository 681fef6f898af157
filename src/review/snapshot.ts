import type { HotTables } from './hot.ts'
import type { Part } from './manifest.ts'
import { allColumns, firstOutcomes, joinedColumns, quotedList } from './sql-text.ts'

/** A state of the log that a search looks at from its beginning to its end, whatever happens to the index meanwhile. */
export interface Snapshot {
  readonly parts: readonly (Part & { readonly path: string })[]
  readonly hot: readonly HotTables[]
  /** Path of the outcomes whose decisions are in older parts. */
  readonly late: string | null
  /** Path of the names that people of the parts had. */
  readonly people: string | null
  /** Segments that were deleted: what parts still hold of them does not count. */
  readonly gone: readonly string[]
  release(): void
}

/** A stretch of time: from the first moment up to before the second, Unix milliseconds. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** The table in memory that has all columns, and no rows. */
export const emptyTable = 'no_records'

/** From the first to behind the last record; null where there is none. */
export function spanOf({ parts, hot }: Snapshot): Span | null {
  const all = [...parts, ...hot.filter(({ to, from }) => from <= to)]
  if (all.length === 0) return null
  return { from: Math.min(...all.map(({ from }) => from)), to: Math.max(...all.map(({ to }) => to)) + 1 }
}

/** How many records a snapshot holds. */
export const sizeOf = ({ parts, hot }: Snapshot): number =>
  [...parts.map(({ rows }) => rows), ...hot.map(({ records }) => records)].reduce((sum, rows) => sum + rows, 0)

/**
 * A query for all records that a stretch of time can hold; outcomes only where the index has joined them already.
 *
 * @param subjects only these people's records are needed; null: everybody's
 */
export function recordsOf(
  { parts, hot, gone }: Snapshot,
  { from, to }: Span,
  subjects: readonly string[] | null = null,
): string {
  const within = <T extends Span>(all: readonly T[]): readonly T[] =>
    all.filter((one) => one.from < to && one.to >= from)
  const files = within(parts)
    .filter((part) => subjects === null || subjects.some((subject) => isIn(part, subject)))
    .map(({ path }) => path)
  const mask = gone.length === 0 ? '' : ` WHERE NOT list_contains(${quotedList(gone)}, segment)`
  const sources = [
    ...(files.length === 0
      ? []
      : [`SELECT ${allColumns} FROM read_parquet(${quotedList(files)}, hive_partitioning = false)${mask}`]),
    ...within(hot).map(({ rows }) => `SELECT ${allColumns} FROM ${rows}`),
  ]
  return sources.length === 0 ? `SELECT ${allColumns} FROM ${emptyTable}` : sources.join(' UNION ALL ')
}

/** Parts are sorted by bytes. */
const isIn = ({ least, most }: Part, subject: string): boolean =>
  least !== null && most !== null && compare(least, subject) <= 0 && compare(subject, most) <= 0

const compare = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other))

/** A query for the names that people had, and still have in what is not in the index. */
export function peopleOf({ hot, people }: Snapshot): string {
  const sources = [
    ...(people === null ? [] : [`SELECT subject, name FROM read_parquet(${quotedList([people])})`]),
    ...hot.map(({ rows }) => `SELECT subject, name FROM ${rows}`),
  ]
  return sources.length === 0 ? `SELECT subject, name FROM ${emptyTable}` : sources.join(' UNION ALL ')
}

/** A query for the outcomes that are not joined yet; null where there are none. */
export function outcomesOf({ hot, late }: Snapshot): string | null {
  const sources = [
    ...(late === null ? [] : [`SELECT * FROM read_parquet(${quotedList([late])})`]),
    ...hot.map(({ outcomes }) => `SELECT * FROM ${outcomes}`),
  ]
  return sources.length === 0 ? null : sources.join(' UNION ALL ')
}

/** Records, as a query gives them, with all their outcomes. */
export function joined(records: string, outcomes: string | null): string {
  if (outcomes === null) return records
  return `SELECT ${joinedColumns} FROM (${records}) r LEFT JOIN (${firstOutcomes(outcomes)}) o ON o.request = r.request`
}
