import type { TailRecord } from './sink.ts'

type Column = readonly [name: string, type: string, value: (record: TailRecord) => unknown]

/** Longer values are cut in the columns people search by, as an index takes no long ones. The line has them whole. */
const longestColumn = 500

const text = (found: unknown): string | null =>
  // Postgres has no NUL in a text.
  typeof found === 'string' ? found.slice(0, longestColumn).toWellFormed().replaceAll('\0', '\ufffd') : null

const whole = (found: unknown): number | null =>
  typeof found === 'number' && Number.isInteger(found) && Math.abs(found) < 2 ** 31 ? found : null

const within = (record: TailRecord, name: string): Partial<Record<string, unknown>> => Object(record.fields[name])

/** The columns, in the order of the table. The first four and the last are never null. */
const columns: readonly Column[] = [
  ['log', 'text', ({ log }) => log],
  ['seq', 'bigint', ({ seq }) => seq],
  ['ts', 'timestamp with time zone', ({ ts }) => ts],
  ['kind', 'text', ({ kind }) => text(kind)],
  ['request', 'text', ({ fields }) => text(fields['request'])],
  ['issuer', 'text', (record) => text(within(record, 'who')['issuer'])],
  ['subject', 'text', (record) => text(within(record, 'who')['subject'])],
  ['person', 'text', (record) => text(within(record, 'who')['name'])],
  ['client', 'text', (record) => text(within(record, 'from')['client'] ?? within(record, 'from')['peer'])],
  ['cluster', 'text', ({ fields }) => text(fields['cluster'])],
  ['endpoint', 'text', ({ fields }) => text(fields['endpoint'])],
  ['decision', 'text', ({ fields }) => text(fields['decision'])],
  ['reason', 'text', ({ fields }) => text(fields['reason'])],
  ['scope', 'text', ({ fields }) => text(fields['scope'])],
  ['policy', 'text', ({ fields }) => text(fields['policy'])],
  ['status', 'integer', ({ fields }) => whole(fields['status'])],
  ['line', 'text', ({ line }) => line],
]

const names = columns.map(([name]) => name).join(', ')
const required: ReadonlySet<string> = new Set(['log', 'seq', 'ts', 'kind', 'line'])

/** Quotes a name of the configuration, whose form is checked there. */
const quoted = (table: string): string =>
  table
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.')

/** The table, and what helps to search it. */
export function tableDefinition(table: string): string {
  const lines = columns.map(([name, type]) => `  ${name} ${type}${required.has(name) ? ' not null' : ''},`)
  return `create table ${quoted(table)} (\n${lines.join('\n')}\n  primary key (log, seq)\n)`
}

/** Indexes for "this time" and "this person in this time". */
export const indexDefinitions = (table: string): readonly string[] => [
  `create index on ${quoted(table)} (ts)`,
  `create index on ${quoted(table)} (subject, ts)`,
]

/** Which columns are there, and of which type. Takes the table's name. */
export const columnsQuery =
  'select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute' +
  ' where attrelid = to_regclass($1) and attnum > 0 and not attisdropped'

/** The name as `to_regclass` wants it. */
export const regclassOf = (table: string): string => quoted(table)

/** What is wrong with the columns of a table; `null`: nothing, others may be there too. */
export function columnsProblem(found: ReadonlyMap<string, string>): string | null {
  const problems = columns.flatMap(([name, type]) => {
    const there = found.get(name)
    if (there === type) return []
    return [
      there === undefined ? `has no column ${name} ${type}` : `has a column ${name} of type ${there}, not ${type}`,
    ]
  })
  return problems.length === 0 ? null : problems.join(' and ')
}

/**
 * Adds records that are not there yet, and answers with those of their numbers that other lines have. Takes one array for each
 * column: no value is ever part of the text.
 */
export function insertStatement(table: string): string {
  const arrays = columns.map(([, type], index) => `$${index + 1}::${type}[]`).join(', ')
  return [
    `with given as (select * from unnest(${arrays}) as given (${names})),`,
    `added as (insert into ${quoted(table)} (${names}) select ${names} from given order by seq`,
    'on conflict (log, seq) do nothing)',
    `select given.seq from given join ${quoted(table)} as held using (log, seq) where held.line <> given.line`,
  ].join(' ')
}

/** The arrays for it. */
export const insertValues = (records: readonly TailRecord[]): unknown[] =>
  columns.map(([, , value]) => records.map((record) => value(record)))
