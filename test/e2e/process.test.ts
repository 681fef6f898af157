// The program as it is run: started from the command line, stopped by a signal.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { audience, startStubIssuer } from '../support/issuer.ts'
import type { StubIssuer } from '../support/issuer.ts'
import { readRecords } from '../support/world.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

describe('the process', () => {
  let scratch: string
  let issuer: StubIssuer
  /** A Prometheus that answers only when the test lets it. */
  let slow: Server
  let slowPort: number
  const held: ServerResponse[] = []
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-process-'))
    issuer = await startStubIssuer()
    slow = createServer((_, response) => {
      response.setHeader('content-type', 'application/json')
      held.push(response)
    }).listen(0, '127.0.0.1')
    await once(slow, 'listening')
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is one
    slowPort = (slow.address() as AddressInfo).port
  })
  after(async () => {
    await issuer.stop()
    slow.close()
    slow.closeAllConnections()
    await rm(scratch, { recursive: true, force: true })
  })

  interface Running {
    readonly child: ChildProcess
    readonly url: string
    readonly adminUrl: string
    readonly log: () => string
    readonly ended: Promise<unknown>
  }

  let configs = 0
  async function spawnGateway(auditDir: string, port = 0): Promise<Pick<Running, 'child' | 'log' | 'ended'>> {
    configs += 1
    const file = join(scratch, `${configs}.yaml`)
    const clusters = { slow: `http://127.0.0.1:${slowPort}` }
    await writeFile(file, gatewayConfig({ port, adminPort: 0, clusters, issuer: issuer.issuer, audience, auditDir }))
    const child = spawn(process.execPath, [main, 'serve', '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] })
    let log = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (log += chunk))
    return { child, log: () => log, ended: once(child, 'exit') }
  }

  async function start(auditDir: string): Promise<Running> {
    const spawned = await spawnGateway(auditDir)
    for (let round = 0; round < 200 && !spawned.log().includes('ready for requests'); round += 1) await sleep(50)
    const line = spawned
      .log()
      .split('\n')
      .find((one) => one.includes('ready for requests'))
    const ready: unknown = JSON.parse(line ?? '{}')
    const text = (name: string): string => String(Reflect.get(Object(ready), name))
    return { ...spawned, url: text('url'), adminUrl: text('adminUrl') }
  }

  async function ask(url: string): Promise<Response> {
    const authorization = `Bearer ${await issuer.sign({ groups: ['platform'] })}`
    return fetch(`${url}/api/v1/query?query=up`, { headers: { authorization } })
  }

  it('finishes what is in flight on SIGTERM, takes nothing new, and seals the log', async () => {
    const auditDir = join(scratch, 'audit-1')
    const gateway = await start(auditDir)
    const answer = ask(gateway.url)
    for (let round = 0; round < 200 && held.length === 0; round += 1) await sleep(20)
    gateway.child.kill('SIGTERM')
    for (let round = 0; round < 200 && !gateway.log().includes('"stopping"'); round += 1) await sleep(20)
    await assert.rejects(ask(gateway.url), 'a new connection was taken')
    assert.equal((await fetch(`${gateway.adminUrl}/-/ready`)).status, 503)
    held.shift()?.end('{"status":"success","data":{"resultType":"vector","result":[]}}')
    const response = await answer
    assert.equal(response.status, 200)
    assert.match(await response.text(), /success/)
    assert.deepEqual(await gateway.ended, [0, null])
    const kinds = (await readRecords(auditDir)).map(({ kind }) => kind)
    assert.deepEqual(kinds, [
      'log.opened',
      'policy.loaded',
      'gateway.started',
      'decision',
      'outcome',
      'gateway.stopped',
      'log.sealed',
    ])
  })

  it('continues the chain of the record after a restart', async () => {
    const auditDir = join(scratch, 'audit-1')
    const before = await readRecords(auditDir)
    const gateway = await start(auditDir)
    gateway.child.kill('SIGINT')
    assert.deepEqual(await gateway.ended, [0, null])
    const opened = (await readRecords(auditDir))[before.length]
    assert.equal(opened?.kind, 'log.opened')
    assert.equal(Reflect.get(Object(opened['previous']), 'chain'), before.at(-1)?.['chain'])
    assert.equal(Reflect.get(Object(opened['previous']), 'found'), 'sealed')
  })

  it('tells by its metrics what it decided, under which policy, with keys of which age', async () => {
    const gateway = await start(join(scratch, 'audit-2'))
    const admin = (path: string): Promise<Response> => fetch(`${gateway.adminUrl}${path}`)
    await (await fetch(`${gateway.url}/api/v1/query?query=up`)).arrayBuffer()
    assert.equal((await admin('/-/healthy')).status, 200)
    for (let round = 0; round < 100 && (await admin('/-/ready')).status !== 200; round += 1) await sleep(50)
    assert.equal((await admin('/-/ready')).status, 200)
    const text = await (await admin('/metrics')).text()
    assert.match(
      text,
      /bailiwick_requests_total\{cluster="slow",endpoint="\/api\/v1\/query",decision="deny",reason="no_credentials"\} 1/,
    )
    for (const step of ['identify', 'audit', 'total']) {
      assert.match(text, new RegExp(`bailiwick_step_duration_seconds_count\\{step="${step}"\\} [1-9]`))
    }
    assert.match(text, /bailiwick_policy_info\{digest="sha256:[0-9a-f]{64}"\} 1/)
    assert.match(text, /bailiwick_jwks_age_seconds\{issuer="http:[^"]+"\} [\d.]+/)
    assert.match(text, /bailiwick_audit_open 1/)
    assert.match(text, /bailiwick_audit_queue 0/)
    for (const path of ['/-/ready', '/metrics']) {
      assert.equal((await fetch(`${gateway.url}${path}`)).status, 404, `${path} is open to clients`)
    }
    gateway.child.kill('SIGTERM')
    await gateway.ended
  })

  it('cannot share an audit directory: the second one answers nothing', async () => {
    const auditDir = join(scratch, 'audit-3')
    const first = await start(auditDir)
    const second = await start(auditDir)
    assert.equal((await ask(second.url)).status, 503)
    assert.match(await (await fetch(`${second.adminUrl}/-/ready`)).text(), /"owned"/)
    for (const gateway of [first, second]) {
      gateway.child.kill('SIGTERM')
      await gateway.ended
    }
  })

  it('that cannot listen ends with 1 and says what to do', async () => {
    const gateway = await spawnGateway(join(scratch, 'audit-4'), slowPort)
    assert.deepEqual(await gateway.ended, [1, null])
    assert.match(gateway.log(), /cannot listen: .*EADDRINUSE.*choose another address/)
  })
})
