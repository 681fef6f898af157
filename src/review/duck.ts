import type * as duckdb from '@duckdb/node-api'
import type { DuckDBConnection, DuckDBInstance, DuckDBValue } from '@duckdb/node-api'
import { setImmediate as yieldNow } from 'node:timers/promises'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'

/** The library. Only children load it: where it is broken or missing, or dies, the gateway runs on. */
export type Duck = typeof duckdb

/** Why there is no library. */
export async function loadDuck(): Promise<Result<Duck, string>> {
  try {
    return ok(await import('@duckdb/node-api'))
  } catch (error) {
    return fail(messageOf(error))
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** A row of an answer. */
export type Row = Readonly<Record<string, unknown>>
/** Values that stand for $1, $2, … Numbers are whole: the query casts them. */
export type Values = readonly (string | number)[]

export interface DatabaseOptions {
  readonly memoryBytes: number
  readonly threads: number
  /** Where what does not fit into memory goes. */
  readonly scratch: string
}

const progressMs = 250

/** A database in memory with a few connections, each busy with one query at a time. */
export class Database {
  readonly #instance: DuckDBInstance
  readonly #idle: DuckDBConnection[] = []

  private constructor(instance: DuckDBInstance) {
    this.#instance = instance
  }

  static async open(duck: Duck, { memoryBytes, threads, scratch }: DatabaseOptions): Promise<Database> {
    const instance = await duck.DuckDBInstance.create(':memory:', {
      memory_limit: `${Math.floor(memoryBytes / 1024)}KiB`,
      threads: String(threads),
      temp_directory: scratch,
      preserve_insertion_order: 'false',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    })
    const connection = await instance.connect()
    await connection.run(`SET GLOBAL TimeZone = 'UTC'`)
    await connection.run('SET GLOBAL parquet_metadata_cache = true')
    connection.closeSync()
    return new Database(instance)
  }

  /**
   * All rows of an answer. Rejects where the signal was given before it was there.
   *
   * @param progress told now and then how much is done, from 0 to 1
   */
  query(
    sql: string,
    values: Values,
    signal?: AbortSignal,
    progress?: (ratio: number) => void,
  ): Promise<readonly Row[]> {
    return this.#with(signal, async (connection) => {
      const tell = (): void => progress?.(Math.max(0, connection.progress.percentage) / 100)
      const timer = progress === undefined ? undefined : setInterval(tell, progressMs)
      try {
        const reader = await connection.runAndReadAll(sql, bound(values))
        return reader.getRowObjectsJS()
      } finally {
        clearInterval(timer)
      }
    })
  }

  /** The rows of an answer as they come. */
  async *stream(sql: string, values: Values, signal?: AbortSignal): AsyncGenerator<readonly Row[]> {
    const connection = await this.#take()
    const stop = (): void => connection.interrupt()
    signal?.addEventListener('abort', stop)
    try {
      signal?.throwIfAborted()
      const result = await connection.stream(sql, bound(values))
      for await (const rows of result.yieldRowObjectJs()) {
        yield rows
        signal?.throwIfAborted()
        await yieldNow()
      }
    } finally {
      signal?.removeEventListener('abort', stop)
      this.#idle.push(connection)
    }
  }

  close(): void {
    for (const connection of this.#idle) connection.closeSync()
    this.#instance.closeSync()
  }

  async #take(): Promise<DuckDBConnection> {
    return this.#idle.pop() ?? (await this.#instance.connect())
  }

  async #with<T>(signal: AbortSignal | undefined, work: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    const connection = await this.#take()
    const stop = (): void => connection.interrupt()
    signal?.addEventListener('abort', stop)
    try {
      signal?.throwIfAborted()
      const done = await work(connection)
      signal?.throwIfAborted()
      return done
    } finally {
      signal?.removeEventListener('abort', stop)
      this.#idle.push(connection)
    }
  }
}

const bound = (values: Values): DuckDBValue[] =>
  values.map((value) => (typeof value === 'number' ? BigInt(value) : value))
