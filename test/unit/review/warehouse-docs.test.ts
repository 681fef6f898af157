// docs/warehouse.md lists the columns that the files have, with the types that they have.
import assert from 'node:assert/strict'
import { readFile, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { columns } from '../../../src/review/columns.ts'
import { loadDuck } from '../../../src/review/duck.ts'
import type { Review } from '../../../src/review/review.ts'
import { decision, never, noDuck, noon, outcome, ReviewLog } from '../../support/review-log.ts'

const page = await readFile(resolve(import.meta.dirname, '../../../docs/warehouse.md'), 'utf8')
const listed = [...page.matchAll(/^\| `(\w+)` \| ([A-Z [\]]+) \|/gm)].map(([, name = '', type = '']) => [name, type])

describe('the page on warehouses', () => {
  it('lists every column, in order', () => {
    assert.deepEqual(listed, Object.entries(columns))
  })
})

describe('a Parquet file', { skip: noDuck }, () => {
  let world: ReviewLog
  let review: Review
  before(async () => {
    world = await ReviewLog.create()
    await world.segment([
      { at: noon, entry: decision('r-1') },
      { at: noon + 1, entry: outcome('r-1') },
    ])
    review = await world.indexed()
  })
  after(() => world.remove())

  async function query(sql: string): Promise<readonly (readonly unknown[])[]> {
    const duck = await loadDuck()
    assert.ok(duck.ok)
    const connection = await (await duck.value.DuckDBInstance.create(':memory:')).connect()
    return (await connection.runAndReadAll(sql)).getRowsJson()
  }

  it('of an export or of the index has the columns and types of the page', async () => {
    const made = await review.export({}, 'all', 'parquet', () => {}, never)
    assert.ok(made.ok)
    const files = await readdir(world.index, { recursive: true })
    const part = files.find((file) => /part-\d+\.parquet$/.test(file)) ?? ''
    for (const file of [made.value.path, join(world.index, part)]) {
      const described = await query(`DESCRIBE SELECT * FROM read_parquet('${file}', hive_partitioning = false)`)
      assert.deepEqual(
        described.map(([name, type]) => [name, type]),
        listed,
      )
      const schema = await query(
        `SELECT name, logical_type FROM parquet_schema('${file}') WHERE name IN ('ts', 'received')`,
      )
      for (const [name, type] of schema) assert.match(String(type), /isAdjustedToUTC=1/, String(name))
    }
  })

  it('answers the question about a namespace as the page asks it', async () => {
    const made = await review.export({}, 'all', 'parquet', () => {}, never)
    assert.ok(made.ok)
    const [, example = ''] = /## Everything about a namespace[\s\S]*?```sql\n([\s\S]*?)```/.exec(page) ?? []
    const from = example.replace('FROM records', `FROM '${made.value.path}'`)
    assert.deepEqual(await query(from), [])
    assert.equal((await query(from.replaceAll("'payments'", "'shop'"))).length, 1)
    for (const [, one = ''] of page.matchAll(/^duckdb -c "(.*)"$/gm)) {
      await query(one.replace("'audit.parquet'", `'${made.value.path}'`))
    }
  })
})
