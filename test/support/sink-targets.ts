/** What the cases of the sinks' contract do with a receiver, whichever it is. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { indexDefinitions, tableDefinition } from '../../src/audit/sinks/postgres-table.ts'
import type { SinkOptions } from '../../src/audit/sinks/sink.ts'
import { freePort } from './free-port.ts'
import { OtlpStub } from './sink-otlp.ts'
import { findPostgres, noPostgres, TestPostgres } from './sink-postgres.ts'

export interface Target {
  readonly name: string
  /** Why it cannot be had here. */
  readonly missing: string | null
  start(): Promise<void>
  remove(): Promise<void>
  /** An empty place for one test. */
  fresh(): Promise<SinkOptions['to']>
  up(): Promise<void>
  down(): Promise<void>
  /** From now on it does not answer; the answer ends that. */
  hang(): Promise<() => Promise<void>>
  /** From now on it refuses the records of these requests for good; `null`: all records; none: no records. */
  refuse(requests: readonly string[] | null): Promise<void>
  /** The lines that it took, in the order in which they came. */
  arrived(): Promise<readonly string[]>
}

const requestOf = (line: string): unknown => Object(JSON.parse(line)).request

/** Something that speaks to the stub: directly, or through a collector. */
class OtlpTarget implements Target {
  readonly name: string
  readonly missing: string | null
  readonly stub = new OtlpStub()
  readonly #program: string | null
  #dir = ''
  #port = 0
  #collector: ChildProcess | null = null

  constructor(name: string, program: string | null, missing: string | null) {
    this.name = name
    this.#program = program
    this.missing = missing
  }

  async start(): Promise<void> {
    await this.stub.up()
    if (this.#program === null) return
    this.#port = await freePort()
    this.#dir = mkdtempSync(join(tmpdir(), 'bailiwick-collector-'))
    writeFileSync(join(this.#dir, 'config.yaml'), collectorConfig(this.#port, new URL(this.stub.url).origin))
    await this.up()
  }

  async remove(): Promise<void> {
    await this.down()
    await this.stub.down()
    if (this.#dir !== '') rmSync(this.#dir, { recursive: true, force: true })
  }

  fresh(): Promise<SinkOptions['to']> {
    this.stub.arrived.length = 0
    this.stub.behave = () => null
    const url = this.#program === null ? this.stub.url : `http://127.0.0.1:${this.#port}/v1/logs`
    return Promise.resolve({ kind: 'otlp', url, headers: {} })
  }

  async up(): Promise<void> {
    if (this.#program === null) return await this.stub.up()
    const words = ['--config', `file:${join(this.#dir, 'config.yaml')}`]
    const collector = spawn(this.#program, words, { stdio: 'ignore' })
    this.#collector = collector
    // A test that dies must not leave it behind.
    const kill = (): void => void collector.kill('SIGKILL')
    process.once('exit', kill)
    collector.once('exit', () => process.off('exit', kill))
    for (;;) {
      const answer = await fetch(`http://127.0.0.1:${this.#port}/v1/logs`).catch(() => null)
      if (answer !== null) return
      if (collector.exitCode !== null) throw new Error(`the collector ended with ${collector.exitCode}`)
      await delay(50)
    }
  }

  async down(): Promise<void> {
    if (this.#program === null) return await this.stub.down()
    const collector = this.#collector
    this.#collector = null
    if (collector === null || collector.exitCode !== null) return
    collector.kill('SIGKILL')
    await once(collector, 'exit')
  }

  hang(): Promise<() => Promise<void>> {
    this.stub.behave = () => 'hang'
    return Promise.resolve(() => this.refuse([]))
  }

  refuse(requests: readonly string[] | null): Promise<void> {
    this.stub.behave = (records) =>
      records.some(({ line }) => requests === null || requests.includes(String(requestOf(line))))
        ? { status: 400, body: { message: 'a record is not to our liking' } }
        : null
    return Promise.resolve()
  }

  arrived(): Promise<readonly string[]> {
    if (this.stub.violations.length > 0) throw new Error(`not OTLP: ${this.stub.violations.join(', ')}`)
    return Promise.resolve([...this.stub.lines])
  }
}

/** The one of docs/audit-sinks.md, at other ports: what the stub answers is what the collector's client hears. */
function collectorConfig(port: number, to: string): string {
  const page = readFileSync(join(import.meta.dirname, '../../docs/audit-sinks.md'), 'utf8')
  const block = /^```yaml collector\n([^]*?)^```$/m.exec(page)?.[1] ?? ''
  const quiet = 'service:\n  telemetry:\n    metrics:\n      level: none\n'
  return block
    .replace('127.0.0.1:4318', `127.0.0.1:${port}`)
    .replace('http://127.0.0.1:4319', to)
    .replace('service:\n', quiet)
}

class PostgresTarget implements Target {
  readonly name = 'Postgres'
  readonly missing: string | null
  readonly #programs: string | null
  #postgres: TestPostgres | null = null
  #tables = 0

  constructor(bin: string | null) {
    this.#programs = bin
    this.missing = bin === null ? noPostgres : null
  }

  async start(): Promise<void> {
    if (this.#programs !== null) this.#postgres = await TestPostgres.start(this.#programs)
  }

  async remove(): Promise<void> {
    await this.#postgres?.remove()
  }

  async fresh(): Promise<SinkOptions['to']> {
    this.#tables++
    const [table, definition] = [this.#table, tableDefinition(this.#table)]
    const arrival = `alter table ${table} add column arrived bigint generated always as identity`
    await this.#query([definition, ...indexDefinitions(table), arrival].join(';'))
    return { kind: 'postgres', url: this.#postgres?.url() ?? '', table, statementMs: 1_000 }
  }

  async up(): Promise<void> {
    await this.#postgres?.up()
  }

  async down(): Promise<void> {
    await this.#postgres?.down()
  }

  async hang(): Promise<() => Promise<void>> {
    const client = await this.#postgres?.connect()
    await client?.query(`begin; lock table ${this.#table} in access exclusive mode`)
    return async () => await client?.end()
  }

  async refuse(requests: readonly string[] | null): Promise<void> {
    const list = (requests ?? []).map((request) => `'${request}'`).join(', ')
    const check = requests === null ? 'false' : list === '' ? 'true' : `request is null or request not in (${list})`
    const drop = `alter table ${this.#table} drop constraint if exists liking`
    await this.#query(`${drop}; alter table ${this.#table} add constraint liking check (${check}) not valid`)
  }

  async arrived(): Promise<readonly string[]> {
    const { rows } = await this.#query(`select line from ${this.#table} order by arrived`)
    return rows.map(({ line }) => String(line))
  }

  get #table(): string {
    return `audit_${this.#tables}`
  }

  async #query(text: string) {
    if (this.#postgres === null) throw new Error('Postgres is not there')
    return await this.#postgres.query(text)
  }
}

/** All of them; OTELCOL names the program of an OpenTelemetry Collector. */
export async function allTargets(): Promise<readonly Target[]> {
  const program = process.env['OTELCOL'] ?? null
  const missing = program === null ? 'set OTELCOL to the program of an OpenTelemetry Collector to run this' : null
  return [
    new OtlpTarget('OTLP', null, null),
    new OtlpTarget('OTLP through a Collector', program, missing),
    new PostgresTarget(await findPostgres()),
  ]
}
