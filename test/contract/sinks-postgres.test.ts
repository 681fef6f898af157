// What the Postgres sink does with its table, and what docs/audit-sinks.md says of it, on a real one.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { indexDefinitions, tableDefinition } from '../../src/audit/sinks/postgres-table.ts'
import type { PostgresOptions } from '../../src/audit/sinks/postgres.ts'
import { makeAuthority } from '../support/certificates.ts'
import { findPostgres, noPostgres, TestPostgres } from '../support/sink-postgres.ts'
import { isThrough, SinkWorld } from '../support/sink-world.ts'
import { decision, outcome, until } from '../unit/audit/support.ts'

const page = readFileSync(resolve(import.meta.dirname, '../../docs/audit-sinks.md'), 'utf8')

/** The block of the page whose fence begins with this. */
function block(fence: string): string {
  const found = [...page.matchAll(/^```(.*)\n([^]*?)^```$/gm)].filter(([, info]) => info === fence)
  assert.equal(found.length, 1, `there must be one block of ${fence}`)
  return found[0]?.[2] ?? ''
}

const programs = await findPostgres()

describe('Postgres', { skip: programs === null ? noPostgres : false }, () => {
  let postgres: TestPostgres
  let databases = 0
  before(async () => {
    postgres = await TestPostgres.start(programs ?? '')
  })
  after(() => postgres.remove())

  /** A schema of its own for one test. */
  async function open(t: TestContext) {
    databases++
    const schema = `test_${databases}`
    await postgres.query(`create schema ${schema}`)
    const world = await SinkWorld.make(t)
    const to = (more: Partial<PostgresOptions> = {}): PostgresOptions => ({
      kind: 'postgres',
      url: postgres.url(),
      table: `${schema}.bailiwick_audit`,
      ...more,
    })
    const ask = async (text: string): Promise<readonly Readonly<Record<string, unknown>>[]> => {
      const client = await postgres.connect()
      try {
        await client.query(`set search_path to ${schema}`)
        const results = await client.query(text)
        // With several statements there is a list.
        return [results].flat().at(-1)?.rows ?? []
      } finally {
        await client.end()
      }
    }
    const lines = async (): Promise<readonly unknown[]> =>
      (await ask('select line from bailiwick_audit order by seq')).map(({ line }) => line)
    return { world, to, ask, lines, schema }
  }

  it('gets a table where it has none, as the page shows it', async (t) => {
    const { world, to, ask, lines, schema } = await open(t)
    world.log.fill(3)
    const sinks = world.open(to())
    await until(() => isThrough(sinks))
    assert.deepEqual(await lines(), world.log.lines)
    const definition = [tableDefinition('bailiwick_audit'), ...indexDefinitions('bailiwick_audit')].join(';\n')
    assert.equal(block('sql table'), `${definition};\n`)
    const shape = `select attname, format_type(atttypid, atttypmod), attnotnull, attnum from pg_attribute
      where attrelid = 'bailiwick_audit'::regclass and attnum > 0 order by attnum`
    const indexes = `select replace(indexdef, '${schema}.', '') from pg_indexes where schemaname = '${schema}' order by 1`
    const made = [await ask(shape), await ask(indexes)]
    await ask('drop table bailiwick_audit')
    await ask(block('sql table'))
    assert.deepEqual(made, [await ask(shape), await ask(indexes)])
    assert.equal(made[1]?.length, 3)
  })

  it('has columns to search by', async (t) => {
    const { world, to, ask } = await open(t)
    world.log.append({ ...decision('r-1'), decision: 'deny', reason: 'no_grant', from: { peer: '10.0.0.1' } })
    world.log.append(outcome('r-1'))
    const sinks = world.open(to())
    await until(() => isThrough(sinks))
    const [asked, answered] = await ask('select * from bailiwick_audit where seq > 0 order by seq')
    const { line, ...columns } = asked ?? {}
    assert.equal(line, world.log.lines[1])
    assert.deepEqual(columns, {
      log: 'log-1',
      seq: '1',
      ts: new Date('2026-11-21T08:00:01.000Z'),
      kind: 'decision',
      request: 'r-1',
      issuer: 'https://id.example',
      subject: 'u-1',
      person: 'Ada',
      client: '10.0.0.1',
      cluster: 'east',
      endpoint: '/api/v1/query',
      decision: 'deny',
      reason: 'no_grant',
      scope: 'namespace=payments',
      policy: 'sha256:1234',
      status: null,
    })
    assert.deepEqual([answered?.['kind'], answered?.['status'], answered?.['subject']], ['outcome', 200, null])
    await ask('update bailiwick_audit set ts = now()')
    assert.deepEqual(
      (await ask(block('sql example'))).map(({ person, decision }) => [person, decision]),
      [['Ada', 'deny']],
    )
  })

  it('takes any text as a value, never as SQL', async (t) => {
    const { world, to, ask, lines } = await open(t)
    const hostile = [
      "'); drop table bailiwick_audit; --",
      'a "quoted" {array}, with \\backslashes\\ and NULL',
      'NULL',
      '',
      '{}',
      'a\u0000b\ud800c\u2028',
      'é'.repeat(9_000),
    ]
    for (const text of hostile) {
      const who = { issuer: text, subject: text, name: text, groups: [text], via: text }
      world.log.append({ ...decision(text), who, path: text, scope: text, cluster: text, policy: text })
    }
    const sinks = world.open(to())
    await until(() => isThrough(sinks))
    assert.deepEqual(await lines(), world.log.lines)
    assert.deepEqual(await world.refused(), [])
    const subjects = (await ask('select subject from bailiwick_audit where seq > 0 order by seq')).map(
      (row) => row['subject'],
    )
    const cut = ['a\ufffdb\ufffdc\u2028', 'é'.repeat(500)]
    assert.deepEqual(subjects, [...hostile.slice(0, 5), ...cut])
  })

  it('may have more columns, but none of another form', async (t) => {
    const { world, to, ask, lines } = await open(t)
    const table = tableDefinition('bailiwick_audit')
      .replace('seq bigint', 'seq integer')
      .replace('  status integer,\n', '')
    await ask(`${table}; alter table bailiwick_audit add column arrived timestamptz default now()`)
    const sinks = world.open(to())
    await until(() => sinks.status()[0]?.state === 'failing')
    const problem = /bailiwick_audit has a column seq of type integer, not bigint and has no column status integer$/
    assert.match(sinks.status()[0]?.because ?? '', problem)
    await ask('alter table bailiwick_audit alter column seq type bigint, add column status integer')
    await until(() => isThrough(sinks))
    assert.deepEqual(await lines(), world.log.lines)
  })

  it('must have its key: nothing comes twice', async (t) => {
    const { world, to, ask } = await open(t)
    await ask(tableDefinition('bailiwick_audit').replace('primary key (log, seq)', 'unique (seq)'))
    const sinks = world.open(to())
    await until(() => sinks.status()[0]?.state === 'failing')
    assert.match(sinks.status()[0]?.because ?? '', /no unique .* constraint matching the ON CONFLICT .*42P10/)
  })

  it('needs no more than to add: the role of the page cannot change a record', async (t) => {
    const { world, to, ask, lines, schema } = await open(t)
    await ask(block('sql table'))
    await ask(`${block('sql role')}; grant usage on schema ${schema} to bailiwick_sink`)
    const url = postgres.url('bailiwick_sink', 'change me')
    world.log.fill(4)
    const sinks = world.open(to({ url }))
    await until(() => isThrough(sinks))
    await world.stop()
    // Also where records come again.
    writeFileSync(join(world.dir, 'sinks/second.cursor'), '')
    const again = world.open(to({ url }))
    await until(() => isThrough(again))
    assert.deepEqual(await lines(), world.log.lines)
    for (const change of [
      "update bailiwick_audit set line = ''",
      'delete from bailiwick_audit',
      'truncate bailiwick_audit',
    ]) {
      await assert.rejects(ask(`set role bailiwick_sink; ${change}`), /permission denied/)
    }
  })

  it('has one line for each number: another one is set aside and told', async (t) => {
    const { world, to, ask } = await open(t)
    await ask(block('sql table'))
    await ask("insert into bailiwick_audit (log, seq, ts, kind, line) values ('log-1', 2, now(), 'forged', '{}')")
    world.log.fill(4)
    const sinks = world.open(to())
    await until(() => isThrough(sinks))
    const [refused, ...more] = await world.refused()
    assert.deepEqual(more, [])
    assert.deepEqual([refused?.['from'], refused?.['to'], refused?.['count']], [2, 2, 1])
    assert.equal(refused?.['because'], 'another record has this number there already')
    assert.deepEqual(await ask('select seq, kind from bailiwick_audit order by seq'), [
      { seq: '0', kind: 'log.opened' },
      { seq: '1', kind: 'decision' },
      { seq: '2', kind: 'forged' },
      { seq: '3', kind: 'decision' },
      { seq: '4', kind: 'decision' },
    ])
  })

  it('is reached over TLS, with a certificate of its authority only', async (t) => {
    const { world, to, ask, lines } = await open(t)
    const file = join(world.dir, 'ca.pem')
    writeFileSync(file, makeAuthority('another').cert)
    const url = postgres.url().replace('?sslmode=disable', '')
    const sinks = world.open(to({ url, ca: makeAuthority('yet another').cert, files: { ca: file } }))
    await until(() => sinks.status()[0]?.state === 'failing')
    assert.match(sinks.status()[0]?.because ?? '', /certificate/)
    writeFileSync(file, postgres.ca)
    await until(() => isThrough(sinks))
    assert.deepEqual(await lines(), world.log.lines)
    const used =
      "select bool_and(ssl) as ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name like 'bailiwick%'"
    assert.deepEqual(await ask(used), [{ ssl: true }])
  })

  it('may change its password: the file is read again, and no message has it', async (t) => {
    const { world, to, lines } = await open(t)
    const file = join(world.dir, 'url')
    writeFileSync(file, postgres.url('owner', 'wrong-secret'))
    const sinks = world.open(to({ files: { url: file } }))
    await until(() => sinks.status()[0]?.state === 'failing')
    assert.match(sinks.status()[0]?.because ?? '', /28P01/)
    writeFileSync(file, `${postgres.url()}\n`)
    await until(() => isThrough(sinks))
    assert.deepEqual(await lines(), world.log.lines)
    assert.doesNotMatch(JSON.stringify([world.told, world.recorded]), /wrong-secret/)
  })

  it('may end a connection while nothing is asked: the next record opens another', async (t) => {
    const { world, to, ask, lines } = await open(t)
    const sinks = world.open(to())
    await until(() => isThrough(sinks))
    await ask("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'bailiwick%'")
    await delay(50)
    world.log.fill(2)
    await until(() => isThrough(sinks))
    assert.deepEqual(await lines(), world.log.lines)
  })

  describe('the queries of the page', () => {
    async function filled(t: TestContext) {
      const opened = await open(t)
      const { world, to } = opened
      world.log.fill(3)
      world.log.writeOnly(decision('never-acknowledged'))
      world.log.rotate('abandoned')
      world.log.append(decision('\u0000\ud83d\ude00 é \u2028 \\ "'))
      world.log.fill(3)
      world.log.rotate()
      world.log.fill(2)
      const sinks = world.open(to())
      await until(() => isThrough(sinks))
      await world.stop()
      return opened
    }

    it('find nothing where nothing is wrong', async (t) => {
      const { world, ask, lines } = await filled(t)
      assert.deepEqual(await lines(), world.log.lines)
      assert.deepEqual(await ask(block('sql gaps')), [])
      assert.deepEqual(await ask(block('sql chain')), [])
    })
    it('are about lines that make the files again', async (t) => {
      const { world, ask } = await filled(t)
      const text = (await ask('select line from bailiwick_audit order by seq'))
        .map(({ line }) => `${String(line)}\n`)
        .join('')
      const [abandoned = '', ...others] = world.log.segments.map((name) => readFileSync(join(world.dir, name), 'utf8'))
      // The first one ends in a record that was never acknowledged.
      const acknowledged = abandoned.replace(/^.*never-acknowledged.*\n/m, '')
      assert.equal(text, [acknowledged, ...others].join(''))
    })
    it('find what is missing', async (t) => {
      const { ask } = await filled(t)
      await ask('delete from bailiwick_audit where seq in (2, 6, 7)')
      assert.deepEqual(
        (await ask(block('sql gaps'))).map(({ first_missing: from, last_missing: to }) => [from, to]),
        [
          ['2', '2'],
          ['6', '7'],
        ],
      )
    })
    it('find what was changed', async (t) => {
      const { ask } = await filled(t)
      await ask("update bailiwick_audit set line = replace(line, 'Ada', 'Eve') where seq = 2")
      assert.deepEqual(await ask(block('sql chain')), [{ log: 'log-1', seq: '2' }])
    })
  })
})
