import { columns, outcomeColumns, recordColumns } from './columns.ts'
import type { ColumnType } from './columns.ts'

/** A name as it stands in a query. */
export const nameText = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** A text of our own, such as a path, as it stands in a query. What people typed is never put there: it goes as a value. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** A list of such texts. */
export const quotedList = (texts: readonly string[]): string => `[${texts.map(quoted).join(', ')}]`

const isTime = (type: ColumnType): boolean => type === 'TIMESTAMP WITH TIME ZONE'

/** The columns of a table. */
const tableColumns = (types: Readonly<Record<string, ColumnType>>): string =>
  Object.entries(types)
    .map(([name, type]) => `${nameText(name)} ${type}`)
    .join(', ')

/** What reads rows that were written as JSON, a line each: times come as milliseconds. */
function jsonRows(files: readonly string[], types: Readonly<Record<string, ColumnType>>): string {
  const read = Object.entries(types).map(([name, type]) => `${quoted(name)}: ${quoted(isTime(type) ? 'BIGINT' : type)}`)
  const list = Object.entries(types).map(([name, type]) =>
    isTime(type) ? `make_timestamptz(${nameText(name)} * 1000) AS ${nameText(name)}` : nameText(name),
  )
  const how = `format = 'newline_delimited', columns = {${read.join(', ')}}`
  return `SELECT ${list.join(', ')} FROM read_json(${quotedList(files)}, ${how})`
}

const outcomes: Readonly<Record<string, ColumnType>> = { request: 'VARCHAR', ...outcomeColumns }

export const recordRows = (files: readonly string[]): string => jsonRows(files, columns)
export const outcomeRows = (files: readonly string[]): string => jsonRows(files, outcomes)
export const recordTable = (name: string): string => `CREATE TABLE ${name} (${tableColumns(columns)})`
export const outcomeTable = (name: string): string => `CREATE TABLE ${name} (${tableColumns(outcomes)})`

/** All columns of the index, in order. */
export const allColumns = Object.keys(columns).map(nameText).join(', ')
/** Those of an outcome. */
export const outcomeNames = Object.keys(outcomeColumns).map(nameText)

/** One outcome of each request: the first. */
export const firstOutcomes = (source: string): string =>
  `SELECT * FROM (${source}) QUALIFY row_number() OVER (PARTITION BY request ORDER BY outcome_seq) = 1`

/** The columns of records `r`, with outcomes of `o` where they have none of their own. */
export const joinedColumns = [
  ...Object.keys(recordColumns).map((name) => `r.${nameText(name)}`),
  ...outcomeNames.map((name) => `CASE WHEN r.outcome_seq IS NULL THEN o.${name} ELSE r.${name} END AS ${name}`),
].join(', ')
