import { rm } from 'node:fs/promises'
import type { Files } from '../audit/files.ts'
import type { ReadableFile } from '../audit/read-segments.ts'
import type { Database } from './duck.ts'
import { filesOf, prefixIn, takeLines } from './intake.ts'
import { outcomeRows, outcomeTable, recordRows, recordTable } from './sql-text.ts'

/** The records of a segment that is not in the index, in tables in memory. */
export interface HotTables {
  readonly segment: string
  /** Names of tables. */
  readonly rows: string
  readonly outcomes: string
  readonly records: number
  readonly from: number
  readonly to: number
}

let numbers = 0

/** A segment that is read as it grows: each time only what was added. */
export class HotSegment {
  readonly #db: Database
  readonly #scratch: string
  #tables: HotTables
  #position = 0
  #made = false
  #sealed = false

  constructor(db: Database, scratch: string, segment: string) {
    this.#db = db
    this.#scratch = scratch
    const number = ++numbers
    const span = { records: 0, from: Number.MAX_SAFE_INTEGER, to: 0 }
    this.#tables = { segment, rows: `hot_${number}`, outcomes: `hot_outcomes_${number}`, ...span }
  }

  get tables(): HotTables {
    return this.#tables
  }

  /** Bytes of the segment's content that were read. */
  get position(): number {
    return this.#position
  }

  /** Was the record read that closes it? */
  get sealed(): boolean {
    return this.#sealed
  }

  /** Reads what was added. */
  async feed(files: Files, source: ReadableFile): Promise<void> {
    const { segment, rows, outcomes, records, from, to } = this.#tables
    if (!this.#made) {
      await this.#db.query(recordTable(rows), [])
      await this.#db.query(outcomeTable(outcomes), [])
      this.#made = true
    }
    const prefix = prefixIn(this.#scratch, ++numbers)
    const taken = await takeLines(files, source, { from: this.#position, segment, prefix })
    try {
      const days = [...taken.days.values()]
      if (days.length > 0) await this.#insert(rows, recordRows(days.map(({ path }) => path)))
      if (taken.outcomes.rows > 0) await this.#insert(outcomes, outcomeRows([taken.outcomes.path]))
      if (taken.records > 0) this.#sealed = taken.sealed
      this.#position = taken.position
      const span = {
        from: Math.min(from, ...days.map((day) => day.from)),
        to: Math.max(to, ...days.map((day) => day.to)),
      }
      this.#tables = { ...this.#tables, records: records + taken.records, ...span }
      // What stands before the damage is found all the same.
      if (taken.damage !== null) throw taken.damage
    } finally {
      for (const file of filesOf(taken)) await rm(file, { force: true })
    }
  }

  async drop(): Promise<void> {
    if (!this.#made) return
    await this.#db.query(`DROP TABLE IF EXISTS ${this.#tables.rows}`, [])
    await this.#db.query(`DROP TABLE IF EXISTS ${this.#tables.outcomes}`, [])
  }

  async #insert(table: string, rows: string): Promise<void> {
    await this.#db.query(`INSERT INTO ${table} ${rows}`, [])
  }
}
