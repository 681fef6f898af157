// The process that answers one query in SQL: started by `box.ts`, and ended by it.
import type { DuckDBConnection } from '@duckdb/node-api'
import { checkQuery } from './box-check.ts'
import { columns } from './columns.ts'
import { loadDuck, messageOf } from './duck.ts'
import type { Duck } from './duck.ts'
import { refused, ReviewError, unavailable } from './failure.ts'
import { reviewLimits } from './limits.ts'
import type { BoxMessage, FromBox } from './protocol.ts'
import { allColumns, joinedColumns, nameText, quoted, quotedList } from './sql-text.ts'

const say = (message: FromBox): void => {
  process.send?.(message, () => {})
}

process.umask(0o777)
process.title = 'bailiwick review sql'
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
process.once('message', (message: BoxMessage) => void run(message))

async function run(message: BoxMessage): Promise<void> {
  try {
    const duck = await loadDuck()
    if (!duck.ok)
      throw unavailable(`DuckDB cannot be loaded: ${duck.error}`, 'install @duckdb/node-api for this platform')
    const connection = await closedConnection(duck.value, message)
    say(await answer(duck.value, connection, message.text))
  } catch (error) {
    const memory = messageOf(error).startsWith('Out of Memory')
    const remedy = memory ? 'ask for less' : 'the columns of records are in docs/warehouse.md'
    say({ is: 'no', failure: error instanceof ReviewError ? error.failure : refused(plainOf(error), remedy).failure })
  }
}

/** A database that sees the given files and nothing else, and whose settings nobody can change any more. */
async function closedConnection(duck: Duck, message: BoxMessage): Promise<DuckDBConnection> {
  const { records, outcomes, gone, memoryBytes, threads } = message
  const instance = await duck.DuckDBInstance.create(':memory:', {
    memory_limit: `${Math.floor(memoryBytes / 1024)}KiB`,
    threads: String(threads),
    temp_directory: '',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  })
  const connection = await instance.connect()
  await connection.run(`SET TimeZone = 'UTC'`)
  const files = outcomes === null ? records : [...records, outcomes]
  // Files by name, not their directory: nothing can be written beside them.
  await connection.run(`SET allowed_paths = ${quotedList(files)}`)
  await connection.run(`CREATE VIEW records AS ${viewOf(records, outcomes, gone)}`)
  await connection.run('SET enable_external_access = false')
  await connection.run('SET lock_configuration = true')
  return connection
}

function viewOf(records: readonly string[], outcomes: string | null, gone: readonly string[]): string {
  if (records.length === 0) {
    const none = Object.entries(columns).map(([name, type]) => `NULL::${type} AS ${nameText(name)}`)
    return `SELECT ${none.join(', ')} WHERE false`
  }
  const mask = gone.length === 0 ? '' : ` WHERE NOT list_contains(${quotedList(gone)}, segment)`
  const source = `SELECT ${allColumns} FROM read_parquet(${quotedList(records)}, hive_partitioning = false)${mask}`
  if (outcomes === null) return source
  const late = `SELECT * FROM read_parquet(${quoted(outcomes)})`
  return `SELECT ${joinedColumns} FROM (${source}) r LEFT JOIN (${late}) o ON o.request = r.request`
}

async function answer(duck: Duck, connection: DuckDBConnection, text: string): Promise<FromBox> {
  const serialized = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [text])
  const [[query] = []] = serialized.getRowsJS()
  checkQuery(typeof query === 'string' ? query : '{}')
  const statements = await connection.extractStatements(text)
  if (statements.count !== 1) throw refused('it is not one query', 'ask one SELECT at a time')
  const prepared = await statements.prepare(0)
  if (prepared.statementType !== duck.StatementType.SELECT) throw refused('it is not a query', 'ask one SELECT')
  if (prepared.parameterCount > 0) throw refused('it has parameters', 'write the values into it')
  const result = await prepared.stream()
  const rows: (readonly Cell[])[] = []
  for await (const some of result.yieldRowsJs()) {
    rows.push(...some.slice(0, reviewLimits.sqlRows + 1 - rows.length).map((row) => row.map(cellOf)))
    if (rows.length > reviewLimits.sqlRows) break
  }
  const cut = rows.length > reviewLimits.sqlRows
  return { is: 'table', columns: result.columnNames(), rows: rows.slice(0, reviewLimits.sqlRows), cut }
}

type Cell = string | number | boolean | null

function cellOf(value: unknown): Cell {
  if (value === null || value === undefined) return null
  if (typeof value === 'boolean') return value
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  const text = typeof value === 'string' ? value : value instanceof Date ? dateText(value) : textOf(value)
  return text.slice(0, reviewLimits.sqlValueUnits)
}

const dateText = (date: Date): string => (Number.isNaN(date.getTime()) ? 'invalid' : date.toISOString())

const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part)) ?? ''

/** What the library says: without the paths of this machine, and without its advice, which is for whoever runs it. */
const plainOf = (error: unknown): string =>
  (messageOf(error).split('\n\n')[0] ?? '').replaceAll(/"?\/[^\s"']*"?/g, '…').slice(0, 2_000)
