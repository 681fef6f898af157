import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { Client, DatabaseError, type ClientConfig } from 'pg'
import { followSecret } from './own-files.ts'
import {
  columnsProblem,
  columnsQuery,
  indexDefinitions,
  insertStatement,
  insertValues,
  regclassOf,
  tableDefinition,
} from './postgres-table.ts'
import type { Answer, Receiver, TailRecord } from './sink.ts'

/** A table of a Postgres. */
export interface PostgresOptions {
  readonly kind: 'postgres'
  /** `postgres://user:password@host:port/database`, as {@link connectionOf} reads it. A secret. */
  readonly url: string
  /** `table` or `schema.table`. */
  readonly table: string
  /** PEM of a private authority. */
  readonly ca?: string | undefined
  /** Absolute paths of those that are read again for each connection. */
  readonly files?: Readonly<Partial<Record<'url' | 'ca', string>>>
  /** How long a statement may take at the server, in milliseconds. */
  readonly statementMs?: number
}

/** Opens the way there; nothing is sent yet. */
export function openPostgres(options: PostgresOptions): Receiver {
  return new PostgresReceiver(options)
}

class PostgresReceiver implements Receiver {
  readonly #table: string
  readonly #statementMs: number
  readonly #insert: string
  readonly #url: () => Promise<string | undefined>
  readonly #ca: () => Promise<string | undefined>
  #client: Client | null = null

  constructor({ table, url, ca, files = {}, statementMs = 8_000 }: PostgresOptions) {
    this.#table = table
    this.#statementMs = statementMs
    this.#insert = insertStatement(table)
    this.#url = followSecret({ value: url, file: files.url }, (text) => connectionOf(text) !== null)
    this.#ca = followSecret({ value: ca, file: files.ca }, isCertificate)
  }

  async send(records: readonly TailRecord[], signal: AbortSignal): Promise<Answer> {
    const abort = (): void => this.#drop()
    signal.addEventListener('abort', abort)
    try {
      this.#client ??= await this.#connect(signal)
      const { rows } = await this.#client.query<{ seq: string }>({ text: this.#insert, values: insertValues(records) })
      const because = 'another record has this number there already'
      return { is: 'taken', rejected: rows.map(({ seq }) => ({ from: +seq, to: +seq, count: 1, because })) }
    } catch (error) {
      // After an error of its own the server goes on with the connection; after any other, its state is unknown.
      if (!(error instanceof DatabaseError)) this.#drop()
      return judge(error)
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  async close(): Promise<void> {
    const client = this.#client
    this.#client = null
    await client?.end().catch(() => undefined)
  }

  /** Answers with a connection to a table of the right form. */
  async #connect(signal: AbortSignal): Promise<Client> {
    const [url = '', ca] = [await this.#url(), await this.#ca()]
    const connection = connectionOf(url)
    if (connection === null) throw new Error('its url is not as docs/audit-sinks.md says')
    const client = new Client(clientConfig(connection, ca, this.#statementMs))
    const abort = (): void => void client.end().catch(() => undefined)
    signal.addEventListener('abort', abort)
    // A connection that breaks while nothing is asked of it.
    client.on('error', () => {
      if (this.#client === client) this.#client = null
    })
    try {
      await client.connect()
      await this.#prepare(client)
      if (signal.aborted) throw new Error('it was given up')
      return client
    } catch (error) {
      client.end().catch(() => undefined)
      throw error
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  /** Makes the table where there is none, and refuses one of another form. */
  async #prepare(client: Client): Promise<void> {
    const look = async (): Promise<ReadonlyMap<string, string>> => {
      const { rows } = await client.query<{ name: string; type: string }>(columnsQuery, [regclassOf(this.#table)])
      return new Map(rows.map(({ name, type }) => [name, type]))
    }
    let found = await look()
    if (found.size === 0) {
      // As one, so that nobody finds a table without its indexes.
      await client.query(
        ['begin', tableDefinition(this.#table), ...indexDefinitions(this.#table), 'commit'].join(';\n'),
      )
      found = await look()
    }
    const problem = columnsProblem(found)
    if (problem !== null) throw new Error(`the table ${this.#table} ${problem}`)
  }

  /** Gives the connection up at once, also one that hangs. */
  #drop(): void {
    const client = this.#client
    this.#client = null
    client?.end().catch(() => undefined)
  }
}

/** Where a database is, out of a URL. */
export interface Connection {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string
  readonly tls: boolean
}

/**
 * Reads `postgres://user:password@host:port/database`. All of it is said there, and nothing taken from the environment or a file of
 * the user's home. TLS, with a checked certificate, unless it ends in `?sslmode=disable`. `null`: it is not of that form.
 */
export function connectionOf(url: string): Connection | null {
  const parsed = URL.parse(url)
  if (parsed === null || !/^postgres(ql)?:$/.test(parsed.protocol) || parsed.hash !== '') return null
  const mode = parsed.searchParams.get('sslmode')
  const known = parsed.search === '' || parsed.search === `?sslmode=${mode}`
  if (!known || (mode !== null && mode !== 'disable' && mode !== 'verify-full')) return null
  try {
    const [host, user, database] = [parsed.hostname, parsed.username, parsed.pathname.slice(1)].map(decodeURIComponent)
    if (host === undefined || host === '' || user === undefined || user === '') return null
    if (database === undefined || database === '' || database.includes('/')) return null
    const password = decodeURIComponent(parsed.password)
    const port = parsed.port === '' ? 5432 : Number(parsed.port)
    return { host: host.replace(/^\[(.*)\]$/, '$1'), port, database, user, password, tls: mode !== 'disable' }
  } catch {
    // A percent sign that encodes nothing.
    return null
  }
}

function clientConfig(connection: Connection, ca: string | undefined, statementMs: number): ClientConfig {
  const { tls, password, ...where } = connection
  const servername = isIP(where.host) === 0 ? { servername: where.host } : {}
  return {
    ...where,
    // As a function: an empty text would make the package look into PGPASSWORD and ~/.pgpass.
    password: () => password,
    ssl: tls ? { ...servername, ...(ca === undefined ? {} : { ca }) } : false,
    application_name: 'bailiwick audit sink',
    statement_timeout: statementMs,
    connectionTimeoutMillis: statementMs,
    keepAlive: true,
  }
}

/**
 * Classes of SQLSTATE that are about the records themselves: data exception, a constraint, a trigger that raised an exception,
 * a view's check, a limit of the program. All else is about the way there, and nothing is given up for it.
 */
const aboutRecords = /^(22|23|P0|44|54)/

function judge(error: unknown): Answer {
  if (!(error instanceof Error)) return { is: 'failed', because: String(error) }
  const code = error instanceof DatabaseError ? (error.code ?? '') : ''
  const because = code === '' ? reasonOf(error) : `${error.message} (SQLSTATE ${code})`
  return { is: aboutRecords.test(code) ? 'refused' : 'failed', because }
}

/** Several addresses that refuse come as one error without a message. */
const reasonOf = (error: Error): string =>
  error instanceof AggregateError && error.message === '' ? String(error.errors[0]) : error.message

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}
