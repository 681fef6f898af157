import { refused } from './failure.ts'

/** Table functions that read nothing but their arguments. All others can reach files, settings or logs. */
const tableFunctions = new Set(['range', 'generate_series', 'unnest', 'json_each', 'json_tree'])

/** Functions that tell about, or change, something beside their arguments. */
const closedFunctions =
  /^(write_log|nextval|currval|setseed|current_setting|getvariable|getenv|query|query_table|sql_auto_complete|which_secret|pg_.*|duckdb_.*|sleep.*)$/

type Node = Readonly<Record<string, unknown>>

/**
 * Refuses a query that does more than read `records`. The type of a statement does not tell: some table functions of a
 * SELECT write files, such as `enable_logging`, so a query may call only those that are known to be harmless.
 *
 * @param serialized the query as `json_serialize_sql` gives it, which only takes SELECT
 */
export function checkQuery(serialized: string): void {
  const found: unknown = JSON.parse(serialized)
  const { error, error_message, statements }: Node = Object(found)
  if (error !== false) throw refused(onlySelect(String(error_message)), 'begin with SELECT')
  if (!Array.isArray(statements) || statements.length !== 1)
    throw refused('it is not one query', 'ask one SELECT at a time')
  const names = new Set<string>(['records'])
  each(statements, (node) => takeNames(node, names))
  each(statements, (node) => checkNode(node, names))
}

const onlySelect = (message: string): string =>
  message.startsWith('Only SELECT') ? 'only a query is answered here: one SELECT' : message

/** The names that a query gives to queries of its own (WITH). */
function takeNames({ cte_map }: Node, names: Set<string>): void {
  const { map }: Node = Object(cte_map)
  for (const entry of Array.isArray(map) ? map : []) {
    const { key }: Node = Object(entry)
    if (typeof key === 'string') names.add(key.toLowerCase())
  }
}

function checkNode(node: Node, names: ReadonlySet<string>): void {
  const { type, schema_name: schema, catalog_name: catalog, table_name: table, show_type: show } = node
  if (type === 'BASE_TABLE') {
    const known = schema === '' && catalog === '' && names.has(String(table).toLowerCase())
    if (!known) throw refused(`there is no table "${String(table)}" here`, 'read from records')
  }
  if (type === 'TABLE_FUNCTION') {
    const { function_name: name, schema: within }: Node = Object(node['function'])
    if (within !== '' || !tableFunctions.has(String(name).toLowerCase())) {
      throw refused(`the function ${String(name)} may not be used here`, 'read from records')
    }
  }
  if (type === 'SHOW_REF' && ((show !== 'DESCRIBE' && show !== 'SUMMARY') || table !== '')) {
    throw refused('only records can be described', 'ask DESCRIBE records')
  }
  if (type === 'FUNCTION' && closedFunctions.test(String(node['function_name']).toLowerCase())) {
    throw refused(`the function ${String(node['function_name'])} may not be used here`, 'leave it out')
  }
}

/** Every object within a value. A list instead of calls within calls: a query can be deep. */
function each(value: unknown, visit: (node: Node) => void): void {
  const rest: unknown[] = [value]
  while (rest.length > 0) {
    const next = rest.pop()
    if (typeof next !== 'object' || next === null) continue
    if (!Array.isArray(next)) visit(Object(next))
    rest.push(...Object.values(next))
  }
}
