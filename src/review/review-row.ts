import type { Row } from './duck.ts'
import type { ReviewRow } from './review.ts'

export const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null)
/** DuckDB's whole numbers are bigints here. */
export const numberOf = (value: unknown): number | null =>
  typeof value === 'bigint' || typeof value === 'number' ? Number(value) : null

const textsOf = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : [])

const decisionOf = (value: unknown): ReviewRow['decision'] => (value === 'allow' || value === 'deny' ? value : null)

/** A row of a list. `outcome`: where the index has not joined it yet. */
export function reviewRow(row: Row, outcome: Row | undefined, repeats: number): ReviewRow {
  const { status, ms, bytes, series } = row['status'] === null && outcome !== undefined ? outcome : row
  return {
    log: textOf(row['log']) ?? '',
    seq: Number(row['seq']),
    ts: new Date(Number(row['at'])).toISOString(),
    kind: textOf(row['kind']) ?? '',
    request: textOf(row['request']),
    name: textOf(row['name']),
    subject: textOf(row['subject']),
    cluster: textOf(row['cluster']),
    endpoint: textOf(row['endpoint']),
    asked: textOf(row['query']) ?? '',
    decision: decisionOf(row['decision']),
    reason: textOf(row['reason']),
    dashboard: textOf(row['dashboard']),
    metrics: textsOf(row['metrics']),
    rules: textsOf(row['rules']),
    scope: textOf(row['scope']) ?? '',
    status: numberOf(status),
    ms: numberOf(ms),
    bytes: numberOf(bytes),
    series: numberOf(series),
    repeats,
  }
}
