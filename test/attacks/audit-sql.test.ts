// An auditor who may ask in SQL tries to read files, to write them, to change settings, or to take the gateway down.
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { Review } from '../../src/review/review.ts'
import { allRows, decision, never, noDuck, noon, ReviewLog } from '../support/review-log.ts'

describe('a query in SQL', { skip: noDuck }, () => {
  let world: ReviewLog
  let review: Review
  before(async () => {
    world = await ReviewLog.create()
    await world.segment([{ at: noon, entry: decision('r-1') }])
    await world.segment([{ at: noon + 1, entry: decision('r-2') }], false)
    review = await world.indexed(2)
    await mkdir(join(world.root, 'elsewhere'))
  })
  after(() => world.remove())

  const ask = async (text: string) => review.sql(text, never)
  const codeOf = async (text: string): Promise<string> => {
    const answer = await ask(text)
    return answer.ok ? `answered ${JSON.stringify(answer.value.rows).slice(0, 200)}` : answer.error.code
  }
  /** Every file below the world, with its size: nothing may come, go or change. */
  const files = async (): Promise<readonly string[]> =>
    (await readdir(world.root, { recursive: true })).filter((file) => !/tmp|exports/.test(file)).toSorted()

  it('that only reads records is answered, also from the segment that is not closed', async () => {
    const counted = await ask("SELECT count(*) AS n FROM records WHERE kind = 'decision'")
    assert.deepEqual(counted, { ok: true, value: { columns: ['n'], rows: [[2]], cut: false } })
    const questions = [
      'WITH mine AS (SELECT * FROM records) SELECT subject, count(*) FROM mine GROUP BY ALL',
      'FROM records LIMIT 1',
      'DESCRIBE records',
      'SELECT * FROM range(3)',
      'SELECT unnest(namespaces) FROM records',
      'SELECT r.seq FROM records r JOIN records other USING (request)',
      'SELECT 1 UNION ALL SELECT 2 -- ;',
    ]
    for (const text of questions) assert.match(await codeOf(text), /^answered/, text)
  })

  const forbidden: Readonly<Record<string, readonly string[]>> = {
    'reads a file of the machine': [
      "SELECT * FROM read_text('/etc/passwd')",
      "SELECT * FROM read_blob('/etc/passwd')",
      "SELECT * FROM read_csv('/etc/passwd')",
      "SELECT * FROM read_json('/proc/self/environ')",
      "FROM '/etc/passwd'",
      "SELECT * FROM records, (SELECT * FROM read_text('/etc/hostname'))",
      "SELECT (SELECT content FROM read_text('/etc/passwd'))",
      "WITH records AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM records",
      "SELECT * FROM sniff_csv('/etc/passwd')",
      "SELECT * FROM parquet_metadata('/etc/passwd')",
      "SELECT * FROM query('SELECT * FROM read_text(''/etc/passwd'')')",
      "SELECT * FROM query_table('/etc/passwd')",
      "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    ],
    'lists directories': ["SELECT * FROM glob('/**')", "SELECT * FROM glob('*')"],
    'writes a file': [
      "COPY records TO 'out.csv'",
      "COPY (SELECT 1) TO '/tmp/bailiwick-out.csv'",
      "EXPORT DATABASE 'out'",
      "SELECT * FROM enable_logging(storage='file', storage_path='/tmp/bailiwick-log')",
      'CALL enable_logging()',
      "SELECT write_log('x')",
      "ATTACH 'out.db'",
      "ATTACH '/tmp/bailiwick-out.db' AS x",
    ],
    'changes what there is': [
      'CREATE TABLE x (a INT)',
      'CREATE MACRO x() AS 1',
      'DROP VIEW records',
      'INSERT INTO records SELECT * FROM records',
      'UPDATE records SET kind = NULL',
      'DELETE FROM records',
      'TRUNCATE records',
      'VACUUM',
      'CHECKPOINT',
      'BEGIN TRANSACTION',
      'PREPARE x AS SELECT 1',
    ],
    'changes settings or loads code': [
      'SET memory_limit = 0',
      'SET lock_configuration = false',
      'SET enable_external_access = true',
      'RESET ALL',
      'SET VARIABLE x = 1',
      'PRAGMA threads = 8',
      'PRAGMA database_list',
      'INSTALL httpfs',
      'LOAD httpfs',
      'LOAD json',
    ],
    'looks at what is not a record': [
      'SELECT * FROM duckdb_secrets()',
      'SELECT * FROM duckdb_settings()',
      'SELECT * FROM duckdb_views()',
      'SELECT * FROM information_schema.tables',
      'SELECT * FROM main.records',
      'SELECT * FROM pg_catalog.pg_class',
      'SHOW TABLES',
      'SHOW ALL TABLES',
      "SELECT getenv('PATH')",
      "SELECT current_setting('temp_directory')",
      'SELECT * FROM duckdb_logs()',
    ],
    'is more than one, or none': [
      'SELECT 1; SELECT 2',
      "SELECT 1; COPY records TO 'x'",
      '',
      ';',
      '--',
      'nonsense',
      'SELECT',
    ],
    'asks for what was done': ['EXPLAIN ANALYZE SELECT 1', 'EXPLAIN SELECT 1', 'SELECT $1', 'SELECT ?'],
  }

  for (const [what, texts] of Object.entries(forbidden)) {
    it(`that ${what} is refused, and leaves nothing behind`, async () => {
      const before = await files()
      for (const text of texts) assert.equal(await codeOf(text), 'refused', text)
      assert.deepEqual(await files(), before)
      assert.deepEqual(await readdir(join(world.root, 'elsewhere')), [])
    })
  }

  it('gets nothing said about the machine', async () => {
    for (const text of ["SELECT * FROM read_text('/etc/passwd')", 'SELECT no_such_column FROM records']) {
      const answer = await ask(text)
      assert.ok(!answer.ok)
      assert.ok(!answer.error.reason.includes(world.root), answer.error.reason)
    }
  })

  it('takes no more memory than it may: the process that answers it is ended, not the gateway', async () => {
    const [child] = await lockOf(world.index)
    for (const text of ["SELECT length(repeat('x', 3000000000))", 'SELECT list(range) FROM range(1000000000)']) {
      assert.match(await codeOf(text), /^(stopped|refused)$/, text)
    }
    assert.deepEqual(await lockOf(world.index), [child], 'the process that searches is the same')
    assert.equal((await allRows(review, { kind: 'decision' })).length, 2)
  })

  it('that never ends is ended when nobody waits for it', async () => {
    const stop = new AbortController()
    const asked = review.sql(
      'WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t',
      stop.signal,
    )
    setTimeout(() => stop.abort(), 1_500)
    const answer = await asked
    assert.equal(answer.ok ? 'answered' : answer.error.code, 'stopped')
    assert.match(await codeOf('SELECT 1'), /^answered/)
  })

  it('is answered one at a time', async () => {
    const answers = await Promise.all([ask('SELECT 1'), ask('SELECT 1'), ask('SELECT 1')])
    const codes = answers.map((answer) => (answer.ok ? 'answered' : answer.error.code))
    assert.ok(codes.includes('answered') && codes.includes('busy'), codes.join())
  })

  it('shows a thousand rows, and says when there are more', async () => {
    const [whole, more] = [await ask('SELECT * FROM range(1000)'), await ask('SELECT * FROM range(1001)')]
    assert.deepEqual(whole.ok && [whole.value.rows.length, whole.value.cut], [1000, false])
    assert.deepEqual(more.ok && [more.value.rows.length, more.value.cut], [1000, true])
    const long = await ask("SELECT repeat('x', 100000)")
    assert.equal(long.ok && String(long.value.rows[0]?.[0]).length, 10_000)
    const text = await ask(`SELECT '${'x'.repeat(30_000)}'`)
    assert.equal(text.ok ? 'answered' : text.error.code, 'refused')
  })

  it('gives values of every type as JSON can hold them', async () => {
    const answer = await ask(
      "SELECT 1::HUGEINT, 9007199254740993::BIGINT, 'NaN'::DOUBLE, [1, 2], {'a': 1}, NULL, true, DATE '2026-01-02'",
    )
    const [row = []] = answer.ok ? answer.value.rows : []
    assert.deepEqual(JSON.parse(JSON.stringify(row)), row)
    assert.deepEqual(row.slice(0, 3), [1, '9007199254740993', 'NaN'])
    assert.deepEqual(row.slice(5, 7), [null, true])
  })
})

/** Who keeps the index. */
async function lockOf(index: string): Promise<readonly unknown[]> {
  const lock: unknown = JSON.parse(await readFile(join(index, 'owner.lock'), 'utf8'))
  return [Object(lock).pid]
}
