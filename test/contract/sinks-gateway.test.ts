// A gateway with sinks in its configuration: what waits for them, what does not, and what it tells of them.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { pino } from 'pino'
import { parse, stringify } from 'yaml'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import { generous } from '../support/generous.ts'
import { audience, startStubIssuer } from '../support/issuer.ts'
import { OtlpStub } from '../support/sink-otlp.ts'
import { until } from '../unit/audit/support.ts'

const answer = '{"status":"success","data":{"resultType":"vector","result":[]}}'

async function startPrometheus(t: TestContext): Promise<string> {
  const server = createServer((request, response) => {
    request.resume()
    response.setHeader('content-type', 'application/json').end(answer)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is one
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A gateway with a sink at the stub, and another one whose receiver never is there. */
async function start(t: TestContext, required: boolean) {
  const prometheus = await startPrometheus(t)
  const issuer = await startStubIssuer()
  t.after(() => issuer.stop())
  const stub = new OtlpStub()
  await stub.up()
  t.after(() => stub.down())
  const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-sinks-gateway-'))
  const [file, auditDir] = [join(scratch, 'bailiwick.yaml'), join(scratch, 'audit')]
  const places = { port: 0, adminPort: 0, auditDir, clusters: { east: prometheus }, issuer: issuer.issuer, audience }
  const settings: unknown = parse(gatewayConfig({ ...places, rules: [generous] }))
  const sinks = [
    { name: 'collector', required, otlp: { url: stub.url } },
    { name: 'gone', otlp: { url: 'http://127.0.0.1:1/v1/logs' } },
  ]
  writeFileSync(file, stringify({ ...Object(settings), audit: { directory: auditDir, sinks } }))
  const config = loadConfig(file)
  assert.ok(config.ok, JSON.stringify(config))
  const app = await startApp(config.value, pino({ level: 'silent' }))
  assert.ok(app.ok, JSON.stringify(app))
  let stopped: Promise<void> | null = null
  const stop = (): Promise<void> => (stopped ??= app.value.stop())
  t.after(async () => {
    await stop()
    rmSync(scratch, { recursive: true, force: true, maxRetries: 3 })
  })
  const ask = async (): Promise<Response> => {
    const authorization = `Bearer ${await issuer.sign({ groups: ['team-emojivoto'] })}`
    return await fetch(`${app.value.url}/api/v1/query?query=up`, { headers: { authorization } })
  }
  const admin = async (path: string): Promise<string> => await (await fetch(`${app.value.adminUrl}${path}`)).text()
  const written = (): readonly string[] =>
    readdirSync(auditDir)
      .filter((name) => name.endsWith('.ndjson'))
      .flatMap((name) => readFileSync(join(auditDir, name), 'utf8').split('\n').slice(0, -1))
  return { stub, ask, admin, written, stop }
}

describe('a gateway', () => {
  it('shows nothing before a required sink has the record, and nothing while it is down', async (t) => {
    const { stub, ask, admin } = await start(t, true)
    const good = await ask()
    assert.equal(good.status, 200)
    assert.match(await good.text(), /"status":"success"/)
    const request = good.headers.get('bailiwick-request')
    assert.ok(stub.arrived.some(({ attributes }) => attributes['bailiwick.request'] === request))
    await stub.down()
    const refused = await ask()
    assert.equal(refused.status, 503)
    assert.doesNotMatch(await refused.text(), /success/)
    assert.match(await admin('/metrics'), /^bailiwick_audit_sink_up\{sink="collector"\} 0$/m)
    await stub.up()
    await until(async () => (await ask()).status === 200)
    assert.deepEqual(stub.violations, [])
  })

  it('waits for no other sink, and hands everything over before it ends', async (t) => {
    const { stub, ask, admin, written, stop } = await start(t, false)
    await stub.down()
    assert.equal((await ask()).status, 200)
    const metrics = await admin('/metrics')
    for (const name of ['up', 'lag_records', 'lag_seconds', 'taken_records', 'refused_records']) {
      for (const sink of ['collector', 'gone']) {
        assert.match(metrics, new RegExp(`^bailiwick_audit_sink_${name}\\{sink="${sink}"\\} \\d`, 'm'))
      }
    }
    const { sinks } = Object(JSON.parse(await admin('/-/ready')))
    assert.deepEqual(
      [sinks].flat().map(({ name }: { name: unknown }) => name),
      ['collector', 'gone'],
    )
    await stub.up()
    assert.equal((await ask()).status, 200)
    await stop()
    assert.match(stub.lines.at(-1) ?? '', /"kind":"log\.sealed"/)
    assert.deepEqual(stub.lines, written())
  })
})
