/** How a column stands in Parquet, in the words of DuckDB. */
export type ColumnType = 'VARCHAR' | 'VARCHAR[]' | 'BIGINT' | 'INTEGER' | 'DOUBLE' | 'TIMESTAMP WITH TIME ZONE'

/** Of which version the columns are: an index of another one is made again. */
export const schemaVersion = 1

const text = 'VARCHAR'
const list = 'VARCHAR[]'
const time = 'TIMESTAMP WITH TIME ZONE'

/** What the record of a request, or of something else that happened, says: a row each. `docs/warehouse.md` explains them. */
export const recordColumns = {
  ts: time,
  log: text,
  seq: 'BIGINT',
  boot: text,
  segment: text,
  kind: text,
  request: text,
  received: time,
  issuer: text,
  subject: text,
  name: text,
  groups: list,
  via: text,
  actor: text,
  credential: text,
  peer: text,
  client: text,
  user_agent: text,
  dashboard: text,
  dashboard_title: text,
  panel: text,
  cluster: text,
  method: text,
  endpoint: text,
  path: text,
  query: text,
  decision: text,
  reason: text,
  rules: list,
  reasons: list,
  scope: text,
  policy: text,
  fold: text,
  namespaces: list,
  namespace_patterns: list,
  mentions: list,
  metrics: list,
  asked: text,
  sent: text,
  selectors: text,
  claimed: text,
  details: text,
  truncated: list,
} as const satisfies Record<string, ColumnType>

/** What the outcome of the same request adds; null where there is none, or none yet. */
export const outcomeColumns = {
  status: 'INTEGER',
  ms: 'DOUBLE',
  bytes: 'BIGINT',
  series: 'BIGINT',
  ended: text,
  outcome_reason: text,
  served_from: text,
  upstream: 'INTEGER',
  outcome_ts: time,
  outcome_segment: text,
  outcome_seq: 'BIGINT',
} as const satisfies Record<string, ColumnType>

/** A row of the index. */
export const columns: Readonly<Record<string, ColumnType>> = { ...recordColumns, ...outcomeColumns }

type Value<T extends ColumnType> = T extends 'VARCHAR' ? string : T extends 'VARCHAR[]' ? readonly string[] : number

/** A record on its way into the index: times are Unix milliseconds, and what is not there is undefined. */
export type RecordRow = {
  readonly [Name in keyof typeof recordColumns]?: Value<(typeof recordColumns)[Name]> | undefined
}

/** An outcome on its way into the index, with the id of its request. */
export type OutcomeRow = { readonly request: string } & {
  readonly [Name in keyof typeof outcomeColumns]?: Value<(typeof outcomeColumns)[Name]> | undefined
}
