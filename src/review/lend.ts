import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Database } from './duck.ts'
import { reviewLimits } from './limits.ts'
import { outcomesOf } from './snapshot.ts'
import type { Snapshot } from './snapshot.ts'
import { allColumns, firstOutcomes, quoted } from './sql-text.ts'

/** The files that are lent to the box for SQL. */
export interface Lent {
  readonly lease: number
  readonly records: readonly string[]
  readonly outcomes: string | null
  readonly gone: readonly string[]
}

interface Copy {
  readonly path: string
  readonly rows: number
}

/** Copies of one table, before they become one. */
const mostCopies = 32

/** Gives a state of the log out as Parquet files, since the box shares no memory with anybody. */
export class Lending {
  readonly #db: Database
  readonly #dir: string
  /** What was copied of tables in memory already: they only grow. */
  readonly #copies = new Map<string, readonly Copy[]>()
  readonly #leases = new Map<number, { readonly snapshot: Snapshot; readonly outcomes: string | null }>()
  readonly #old: Copy[] = []
  #numbers = 0

  constructor(db: Database, dir: string) {
    this.#db = db
    this.#dir = dir
  }

  async lend(snapshot: Snapshot, signal: AbortSignal): Promise<Lent> {
    try {
      await this.#tidy(new Set(snapshot.hot.map(({ rows }) => rows)))
      const copies: string[] = []
      for (const { rows } of snapshot.hot) copies.push(...(await this.#copyOf(rows, signal)))
      const source = outcomesOf(snapshot)
      const outcomes = source === null ? null : this.#path('outcomes')
      if (outcomes !== null) await this.#write(firstOutcomes(source ?? ''), outcomes, signal)
      const lease = ++this.#numbers
      this.#leases.set(lease, { snapshot, outcomes })
      // Whoever asked may be gone before the answer: nothing is lent for ever.
      setTimeout(() => void this.takeBack(lease), reviewLimits.leaseMs).unref()
      return { lease, records: [...snapshot.parts.map(({ path }) => path), ...copies], outcomes, gone: snapshot.gone }
    } catch (error) {
      snapshot.release()
      throw error
    }
  }

  async takeBack(lease: number): Promise<null> {
    const lent = this.#leases.get(lease)
    this.#leases.delete(lease)
    lent?.snapshot.release()
    if (lent !== undefined && lent.outcomes !== null) await rm(lent.outcomes, { force: true })
    return null
  }

  async #copyOf(table: string, signal: AbortSignal): Promise<readonly string[]> {
    const found = this.#copies.get(table) ?? []
    const known = found.length < mostCopies ? found : []
    const copied = known.reduce((sum, { rows }) => sum + rows, 0)
    const path = this.#path('rows')
    const added = `SELECT ${allColumns} FROM ${table} WHERE rowid >= ${copied}`
    const rows = await this.#write(added, path, signal)
    const all = [...known, { path, rows }]
    this.#copies.set(table, all)
    if (known !== found) this.#old.push(...found)
    return all.map(({ path }) => path)
  }

  /** Removes copies that nobody reads any more: of tables that are gone, or that were copied anew. */
  async #tidy(tables: ReadonlySet<string>): Promise<void> {
    if (this.#leases.size > 0) return
    for (const [table, copies] of this.#copies) {
      if (tables.has(table)) continue
      this.#copies.delete(table)
      this.#old.push(...copies)
    }
    for (const { path } of this.#old.splice(0)) await rm(path, { force: true })
  }

  async #write(select: string, path: string, signal: AbortSignal): Promise<number> {
    const [done] = await this.#db.query(`COPY (${select}) TO ${quoted(path)} (FORMAT parquet)`, [], signal)
    return Number(done?.['Count'] ?? 0)
  }

  #path(what: string): string {
    return join(this.#dir, `${what}-${++this.#numbers}.parquet`)
  }
}
