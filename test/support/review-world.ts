import { randomUUID } from 'node:crypto'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { BlockList } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { gatewayClient, startIdp } from '../../demo/parts/idp.ts'
import type { RunningIdp } from '../../demo/parts/idp.ts'
import { close, freePort, listen } from '../../demo/parts/loopback.ts'
import { people } from '../../demo/parts/people.ts'
import { openBrowser } from '../../src/app/browser.ts'
import { openSources } from '../../src/app/sources.ts'
import { generateKeyPair, readSigningKey } from '../../src/audit/keys.ts'
import { openAuditLog } from '../../src/audit/log.ts'
import type { AuditEntry } from '../../src/audit/record.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createGateway } from '../../src/gateway/gateway.ts'
import { openQuota } from '../../src/gateway/quota.ts'
import { openIssuer } from '../../src/identity/issuer.ts'
import { readPolicy } from '../../src/policy/files.ts'
import { openUpstream } from '../../src/prometheus/upstream.ts'
import { openReview } from '../../src/review/open.ts'
import type { Review } from '../../src/review/review.ts'
import { audience, readRecords } from './world.ts'
import type { AuditLine } from './world.ts'

/** A gateway with browser login before the real provider, a signed record, and the real review of it. */
export interface ReviewWorld {
  readonly url: string
  readonly idp: RunningIdp
  readonly auditDir: string
  /** The public key that checkpoints are checked with, in PEM form. */
  readonly publicPem: string
  /** Puts entries into the record as of a moment, in Unix milliseconds: not before those that are there. */
  write(at: number, entries: readonly AuditEntry[]): Promise<void>
  /** From here on records have the time that it is. */
  writeNow(): void
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

/** Starts one. */
export async function startReviewWorld(): Promise<ReviewWorld> {
  const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-review-'))
  const auditDir = join(scratch, 'audit')
  const prometheus = createServer((_, response) => {
    response.setHeader('content-type', 'application/json')
    response.end('{"status":"success","data":{"resultType":"vector","result":[]}}')
  })
  const prometheusPort = await listen(prometheus, 0)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const idp = await startIdp({ people: [...people, edgar], audience, clients: [gatewayClient(url)] })
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
  const config = read.value
  const policy = await readPolicy(config.policy, Date.now)
  if (!policy.ok) throw new Error(policy.error.join('\n'))

  const pair = generateKeyPair()
  const key = readSigningKey(pair.privatePem)
  let clock: () => Date = () => new Date()
  const checkpoints = { key, previousKey: null, copyTo: null, every: 100, idle: 60_000 }
  const audit = openAuditLog({ dir: auditDir, clock: () => clock(), newId: randomUUID, checkpoints })
  const review: Review = openReview({
    directory: auditDir,
    index: join(scratch, 'index'),
    memoryBytes: 256 * 1024 * 1024,
    threads: 1,
  })
  const log = pino({ level: 'silent' })
  const issuers = config.issuers.map((options) => openIssuer(options, Date.now))
  const parts = { issuers, policy: () => policy.value, log, clock: Date.now }
  const reviewing = { review, dir: auditDir, keys: [key], append: (entry: AuditEntry) => audit.append(entry) }
  const browser = openBrowser(config, { ...parts, review: reviewing })
  const handler = createGateway({
    audit,
    clusters: new Map(
      config.clusters.map(({ name, prometheus, notices }) => [name, { upstream: openUpstream(prometheus), notices }]),
    ),
    sources: openSources(config, { issuers, datasources: [] }, Date.now, browser),
    pages: browser?.pages ?? null,
    metadata: null,
    selfTest: null,
    trusted: new BlockList(),
    policy: parts.policy,
    quota: openQuota(),
    bestEffort: false,
    metrics: {
      request: () => {},
      step: () => {},
      policyReload: () => {},
      expose: async () => ({ contentType: '', text: '' }),
    },
    log,
    clock: () => new Date(),
    newId: randomUUID,
  })
  const server = createServer((request, response) => void handler(request, response))
  await listen(server, port)
  return {
    url,
    idp,
    auditDir,
    publicPem: pair.publicPem,
    async write(at, entries) {
      clock = () => new Date(at)
      const written = await Promise.all(entries.map((entry) => audit.append(entry)))
      const failed = written.find((one) => !one.ok)
      if (failed !== undefined && !failed.ok) throw new Error(JSON.stringify(failed.error))
    },
    writeNow: () => void (clock = () => new Date()),
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
      await close(server)
      await review.stop()
      await audit.seal()
      for (const keys of issuers) keys.stop()
      await idp.stop()
      await close(prometheus)
      await rm(scratch, { recursive: true, force: true })
    },
  }
}
