// How sinks are configured, the sentence for every way in which they are not, and what docs/audit-sinks.md shows.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, it } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { connectionOf } from '../../../src/audit/sinks/postgres.ts'
import { putSecrets } from '../../../src/config/secrets.ts'
import { checkSinks, sink, toSinks } from '../../../src/config/sinks.ts'
import { makeAuthority } from '../../support/certificates.ts'

const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-sinks-config-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const schema = z.object({ audit: z.object({ sinks: z.array(sink) }) })

const otlp = { url: 'https://collector:4318/v1/logs' }
const postgres = { url: 'postgres://u:p@db:5432/audit' }

function problemsOf(one: unknown): readonly string[] {
  const checked = sink.safeParse(one)
  return checked.success ? [] : checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
}

const page = readFileSync(resolve(import.meta.dirname, '../../../docs/audit-sinks.md'), 'utf8')

describe('the page', () => {
  const yaml = /^```yaml\n([^]*?)^```$/m.exec(page)?.[1] ?? ''

  it('shows a configuration that loads, with files that are followed', () => {
    const ca = makeAuthority().cert
    const secrets = {
      'collector-token': 'abc.def',
      'collector-ca.pem': ca,
      'postgres-url': postgres.url,
      'postgres-ca.pem': ca,
    }
    for (const [name, content] of Object.entries(secrets)) writeFileSync(join(scratch, name), `${content}\n`)
    const { value, problems, files } = putSecrets(parse(yaml), scratch, {})
    assert.deepEqual(problems, [])
    const { sinks } = schema.parse(value).audit
    assert.deepEqual(checkSinks(sinks), [])
    assert.deepEqual(toSinks(sinks, files), [
      {
        name: 'collector',
        required: false,
        to: {
          kind: 'otlp',
          url: 'https://collector.example.org:4318/v1/logs',
          headers: { 'X-Scope-OrgID': 'audit' },
          bearerToken: 'abc.def',
          ca,
          files: { bearerToken: join(scratch, 'collector-token'), ca: join(scratch, 'collector-ca.pem') },
        },
      },
      {
        name: 'warehouse',
        required: false,
        to: {
          kind: 'postgres',
          url: postgres.url,
          table: 'bailiwick_audit',
          ca,
          files: { url: join(scratch, 'postgres-url'), ca: join(scratch, 'postgres-ca.pem') },
        },
      },
    ])
  })
})

describe('the configuration of a collector on the page', () => {
  it('has no batch and no queue that could lose what was said yes to', () => {
    const collector: unknown = parse(/^```yaml collector\n([^]*?)^```$/m.exec(page)?.[1] ?? '')
    const { exporters, service } = Object(collector)
    assert.deepEqual(service.pipelines.logs, { receivers: ['otlp'], exporters: ['otlphttp'] })
    assert.equal(exporters.otlphttp.sending_queue.enabled, false)
  })
})

describe('a sink', () => {
  it('needs a name and one place; the rest has defaults', () => {
    const sinks = [sink.parse({ name: 'a', otlp }), sink.parse({ name: 'b', required: true, postgres })]
    assert.deepEqual(toSinks(sinks, new Map()), [
      {
        name: 'a',
        required: false,
        to: { kind: 'otlp', url: otlp.url, headers: {}, bearerToken: undefined, ca: undefined, files: {} },
      },
      {
        name: 'b',
        required: true,
        to: { kind: 'postgres', url: postgres.url, table: 'bailiwick_audit', files: {} },
      },
    ])
  })
  it('has a name of its own', () => {
    const sinks = ['a', 'b', 'a'].map((name) => sink.parse({ name, otlp }))
    assert.deepEqual(checkSinks(sinks), ['audit.sinks[2].name: is the name of audit.sinks[0] already: choose another'])
  })
  it('is not both, nor neither', () => {
    for (const places of [{}, { otlp, postgres }]) {
      assert.deepEqual(problemsOf({ name: 'a', ...places }), [': must have one of otlp and postgres'])
    }
  })
  for (const name of ['', '../up', 'A', 'a/b', '-a', 'a-', 'a'.repeat(64)]) {
    it(`has no name ${JSON.stringify(name).slice(0, 20)}: it is part of a file's`, () => {
      assert.deepEqual(problemsOf({ name, otlp }), ['name: must be a name of a-z, 0-9 and -, at most 63 characters'])
    })
  }
})

describe('the way to a receiver of OTLP', () => {
  const problems = (more: object): readonly string[] => problemsOf({ name: 'a', otlp: { ...otlp, ...more } })

  it('has its path', () => {
    for (const url of ['https://collector:4318', 'https://collector:4318/']) {
      assert.deepEqual(problems({ url }), ['otlp.url: must have its path, which is often /v1/logs'])
    }
    assert.equal(problems({ url: 'https://user:secret@collector/v1/logs' }).length, 1)
    assert.deepEqual(problems({ url: 'http://localhost:4318/v1/logs' }), [])
  })
  it('has no authority to trust where there is no TLS', () => {
    const ca = makeAuthority().cert
    assert.deepEqual(problems({ ca }), [])
    assert.match(problems({ url: 'http://localhost:4318/v1/logs', ca })[0] ?? '', /^otlp\.ca: the url is not https/)
    assert.equal(problems({ ca: '' }).length, 1)
  })
  it('has headers, but none that the gateway makes itself', () => {
    assert.deepEqual(problems({ headers: { 'X-Scope-OrgID': 'audit', 'DD-API-KEY': 'k' } }), [])
    for (const name of ['Host', 'content-length', 'Content-Type', 'authorization', 'Transfer-Encoding', 'connection']) {
      assert.match(problems({ headers: { [name]: 'x' } })[0] ?? '', /^otlp\.headers: must not have host/, name)
    }
    for (const headers of [{ 'a b': 'x' }, { '': 'x' }, { a: 'x\r\ny: z' }, { a: 'é' }, { a: 1 }]) {
      assert.equal(problems({ headers }).length, 1, JSON.stringify(headers))
    }
  })
})

describe('the way to a Postgres', () => {
  const problems = (more: object): readonly string[] => problemsOf({ name: 'a', postgres: { ...postgres, ...more } })
  const base = { host: 'db', port: 5432, database: 'audit', user: 'u', password: 'p', tls: true }

  const good: readonly (readonly [url: string, expected: object])[] = [
    ['postgres://u:p@db:5432/audit', base],
    ['postgresql://u:p@db/audit', base],
    ['postgres://u@db/audit', { ...base, password: '' }],
    ['postgres://u:p@db/audit?sslmode=verify-full', base],
    ['postgres://u:p@db:6432/audit?sslmode=disable', { ...base, port: 6432, tls: false }],
    ['postgres://u:p@[::1]/audit', { ...base, host: '::1' }],
    ['postgres://u%40x:p%2F%3A%25@db/au%20dit', { ...base, user: 'u@x', password: 'p/:%', database: 'au dit' }],
  ]
  for (const [url, expected] of good) {
    it(`may be ${url}`, () => {
      assert.deepEqual(problems({ url }), [])
      assert.deepEqual(connectionOf(url), expected)
    })
  }
  for (const url of [
    '',
    'db',
    'host=db user=u',
    'mysql://u:p@db/audit',
    'postgres://db/audit',
    'postgres://u:p@/audit',
    'postgres://u:p@db',
    'postgres://u:p@db/',
    'postgres://u:p@db/a/b',
    'postgres://u:p@db/audit#x',
    'postgres://u:100%@db/audit',
    'postgres://u:p@db/audit?sslmode=require',
    'postgres://u:p@db/audit?sslmode=no-verify',
    'postgres://u:p@db/audit?sslmode=disable&sslmode=disable',
    'postgres://u:p@db/audit?host=other',
    'postgres://u:p@db/audit?sslmode=disable&options=-c',
  ]) {
    it(`is not ${JSON.stringify(url)}, and no message has it`, () => {
      const [problem = '', ...more] = problems({ url })
      assert.match(problem, /^postgres\.url: must be postgres:\/\/user:password@host:port\/database/)
      assert.deepEqual(more, [])
      assert.equal(connectionOf(url), null)
    })
  }
  it('names a table in a form that needs no guess', () => {
    for (const table of ['audit', 'ops.audit_2', `${'a'.repeat(63)}.${'b'.repeat(63)}`]) {
      assert.deepEqual(problems({ table }), [])
    }
    for (const table of ['', 'Audit', 'a.b.c', 'a"b', 'a b', '1a', 'a;', 'a'.repeat(64)]) {
      assert.equal(problems({ table }).length, 1, table)
    }
  })
})
