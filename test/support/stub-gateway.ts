import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import type { Config } from '../../src/config/config.ts'
import { generous } from './generous.ts'
import { audience, startStubIssuer } from './issuer.ts'
import { readRecords } from './world.ts'
import type { AuditLine } from './world.ts'

/** A gateway before a Prometheus that a test can bend. */
export interface StubGateway {
  readonly url: string
  readonly adminUrl: string
  /** Every request that reached Prometheus. */
  readonly reached: readonly Reached[]
  /** How many connections to Prometheus are open. */
  connections(): Promise<number>
  token(groups?: readonly string[], subject?: string): Promise<string>
  records(): Promise<readonly AuditLine[]>
  /** Takes in what the policy's files say now. */
  reload(): Promise<unknown>
  stop(): Promise<void>
}

/** A request as Prometheus saw it. */
export interface Reached {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** Starts one; `answer` is what its Prometheus does, `change` bends the configuration. */
export async function startStubGateway(
  answer: RequestListener,
  change: (config: Config) => Config = (config) => config,
): Promise<StubGateway> {
  const issuer = await startStubIssuer()
  const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-stub-'))
  const reached: Reached[] = []
  const upstream = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      reached.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body })
      answer(request, response)
    })
  }).listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is one
  const { port } = upstream.address() as AddressInfo
  const auditDir = join(scratch, 'audit')
  const clusters = { stub: `http://127.0.0.1:${port}` }
  const file = join(scratch, 'bailiwick.yaml')
  const places = { port: 0, adminPort: 0, clusters, auditDir }
  const settings = { ...places, issuer: issuer.issuer, audience, notices: false, rules: [generous] }
  await writeFile(file, gatewayConfig(settings))
  const config = loadConfig(file)
  if (!config.ok) throw new Error(config.error.join('\n'))
  const app = await startApp(change(config.value), pino({ level: 'silent' }))
  if (!app.ok) throw new Error(app.error.join('\n'))
  return {
    url: app.value.url,
    adminUrl: app.value.adminUrl,
    reached,
    connections: () =>
      new Promise((resolve, reject) => {
        upstream.getConnections((error, count) => (error === null ? resolve(count) : reject(error)))
      }),
    token: (groups = ['team-emojivoto'], subject = 'alice') => issuer.sign({ groups, sub: subject }),
    records: () => readRecords(auditDir),
    reload: () => app.value.reload(),
    async stop() {
      await app.value.stop()
      await issuer.stop()
      upstream.close()
      upstream.closeAllConnections()
      await rm(scratch, { recursive: true, force: true })
    },
  }
}
