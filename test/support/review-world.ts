import { randomUUID } from 'node:crypto'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { gatewayClient, startIdp } from '../../demo/parts/idp.ts'
import type { RunningIdp } from '../../demo/parts/idp.ts'
import { close, freePort, listen } from '../../demo/parts/loopback.ts'
import { people } from '../../demo/parts/people.ts'
import { startApp } from '../../src/app.ts'
import { generateKeyPair, readSigningKey } from '../../src/audit/keys.ts'
import { openAuditLog } from '../../src/audit/log.ts'
import { loadConfig } from '../../src/config/config.ts'
import type { Config } from '../../src/config/config.ts'
import type { Moment } from './review-story.ts'
import { audience, readRecords } from './world.ts'
import type { AuditLine } from './world.ts'

/** A gateway with browser login before the real provider, a signed record with a past, and the review of it. */
export interface ReviewWorld {
  readonly url: string
  readonly idp: RunningIdp
  readonly auditDir: string
  /** The public key that checkpoints are checked with, in PEM form. */
  readonly publicPem: string
  /** Asks the gateway for a query, as a program does. */
  query(person: string, query: string, headers?: Readonly<Record<string, string>>): Promise<Response>
  records(kind?: string): Promise<readonly AuditLine[]>
  /** Takes the directory of the record away, for good. */
  breakRecord(): Promise<void>
  stop(): Promise<void>
}

/** Somebody who may see the records of one cluster only. */
export const edgar = {
  id: 'edgar',
  name: 'Edgar East',
  email: 'edgar@example.com',
  groups: ['east-auditors'],
  about: 'Audits one cluster.',
}

const rules = `p, group:auditors, *, audit:export, *, allow
p, group:east-auditors, east, audit:read, *, allow
`

/** Starts one; `past` is what the record holds already. */
export async function startReviewWorld(past: (issuer: string) => readonly Moment[] = () => []): Promise<ReviewWorld> {
  const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-review-'))
  const auditDir = join(scratch, 'audit')
  const prometheus = createServer((_, response) => {
    response.setHeader('content-type', 'application/json')
    const result = Array.from({ length: 3 }, (_, at) => ({
      metric: { deployment: `web-${at}` },
      value: [0, String(at)],
    }))
    response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }))
  })
  const prometheusPort = await listen(prometheus, 0)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const idp = await startIdp({ people: [...people, edgar], audience, clients: [gatewayClient(url)] })
  const pair = generateKeyPair()
  await writePast(auditDir, pair.privatePem, past(idp.issuer))

  const file = join(scratch, 'bailiwick.yaml')
  await writeFile(join(scratch, 'audit.csv'), rules)
  const settings = {
    port,
    adminPort: 0,
    issuer: idp.issuer,
    audience,
    auditDir,
    loginClient: 'gateway',
    notices: false,
  }
  const clusters = { east: `http://127.0.0.1:${prometheusPort}`, west: 'http://127.0.0.1:9' }
  await writeFile(file, gatewayConfig({ ...settings, clusters, rules: [join(scratch, 'audit.csv')] }))
  const read = loadConfig(file)
  if (!read.ok) throw new Error(read.error.join('\n'))
  const app = await startApp(signed(read.value, pair.privatePem, join(scratch, 'index')), pino({ level: 'silent' }))
  if (!app.ok) throw new Error(app.error.join('\n'))
  return {
    url,
    idp,
    auditDir,
    publicPem: pair.publicPem,
    async query(person, query, headers = {}) {
      const authorization = `Bearer ${await idp.token(person)}`
      const body = new URLSearchParams({ query })
      return fetch(`${url}/clusters/east/api/v1/query`, {
        method: 'POST',
        headers: { ...headers, authorization },
        body,
      })
    },
    async records(kind) {
      return (await readRecords(auditDir)).filter((line) => kind === undefined || line.kind === kind)
    },
    async breakRecord() {
      await rename(auditDir, join(scratch, 'gone'))
      await writeFile(auditDir, '')
    },
    async stop() {
      await app.value.stop()
      await idp.stop()
      await close(prometheus)
      await rm(scratch, { recursive: true, force: true })
    },
  }
}

const checkpoints = { previousKey: null, copyTo: null, every: 100, idle: 60_000 }

const signed = (config: Config, key: string, index: string): Config => ({
  ...config,
  audit: {
    ...config.audit,
    checkpoints: { ...checkpoints, key },
    review: { index, memoryBytes: 256 * 1024 * 1024, threads: 1 },
  },
})

/** What a gateway before this one put on record, at other times. */
async function writePast(dir: string, pem: string, moments: readonly Moment[]): Promise<void> {
  if (moments.length === 0) return
  let now = moments[0]?.at ?? 0
  const key = readSigningKey(pem)
  const log = openAuditLog({ dir, clock: () => new Date(now), newId: randomUUID, checkpoints: { ...checkpoints, key } })
  for (const { at, entries } of moments) {
    now = at
    const written = await Promise.all(entries.map((entry) => log.append(entry)))
    const failed = written.find((one) => !one.ok)
    if (failed !== undefined && !failed.ok) throw new Error(JSON.stringify(failed.error))
  }
  await log.seal()
}
