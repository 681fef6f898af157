import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import express from 'express'
import { createAdmin } from './app/admin.ts'
import { openBrowser } from './app/browser.ts'
import { reportsOf } from './app/policy.ts'
import { openRecord } from './app/record.ts'
import type { Recording } from './app/record.ts'
import { openReviewing } from './app/reviewing.ts'
import { close, listen, urlOf } from './app/servers.ts'
import { openSources } from './app/sources.ts'
import type { Mesh } from './app/sources.ts'
import { numbersOf, reviewNumbers, segmentNumbers, sinkNumbers } from './app/tell-record.ts'
import { version } from './app/version.ts'
import type { AuditLog } from './audit/log.ts'
import type { AuditEntry } from './audit/record.ts'
import type { Config } from './config/config.ts'
import { trustedProxies } from './gateway/client-address.ts'
import { createGateway } from './gateway/gateway.ts'
import type { Handler } from './gateway/gateway.ts'
import { openIssuer } from './identity/issuer.ts'
import type { IssuerKeys } from './identity/issuer.ts'
import { openMeshSelfTest } from './identity/mesh-self-test.ts'
import type { ResourceMetadata } from './identity/resource-metadata.ts'
import { openDatasource } from './identity/sources/grafana.ts'
import type { Datasource } from './identity/sources/grafana.ts'
import { readPolicy } from './policy/files.ts'
import type { Policy } from './policy/policy.ts'
import { followPolicy } from './policy/reload.ts'
import type { LivePolicy, Look } from './policy/reload.ts'
import type { Reviewing } from './pages/answer.ts'
import type { Cluster } from './gateway/parts.ts'
import { openQuota } from './gateway/quota.ts'
import type { Quota } from './gateway/quota.ts'
import { openUpstream } from './prometheus/upstream.ts'
import { fail, ok } from './result.ts'
import type { Result } from './result.ts'
import { createLog } from './telemetry/log.ts'
import type { Logger } from './telemetry/log.ts'
import { createMetrics } from './telemetry/metrics.ts'
import type { Metrics } from './telemetry/metrics.ts'

export { version }

/** A running gateway. */
export interface App {
  /** Where clients reach it on this machine. */
  readonly url: string
  /** Where health and metrics are. */
  readonly adminUrl: string
  /** Looks at the policy's files, and resolves when what is in them is in force or refused. */
  reload(): Promise<Look>
  /** Refuses new requests, finishes those in flight within the configured time, and seals the audit log. */
  stop(): Promise<void>
}

/** Milliseconds for requests to notice that their connections were cut. */
const lastWait = 5_000

/** The parts of one gateway that stay for as long as it runs. */
interface Parts {
  readonly audit: AuditLog
  readonly recording: Recording
  readonly review: Reviewing | null
  readonly issuers: readonly IssuerKeys[]
  readonly datasources: readonly Datasource[]
  readonly mesh: Mesh | null
  readonly clusters: ReadonlyMap<string, Cluster>
  readonly policy: LivePolicy
  readonly quota: Quota
  /** Called when the gateway listens: puts that and the first policy on record, and follows its files. */
  readonly begin: (url: string) => Promise<void>
  readonly metrics: Metrics
  readonly log: Logger
}

/**
 * Builds the parts and joins them. A policy or an address that cannot be used is an error; a provider, a Prometheus or
 * an audit directory that cannot be reached is not: the gateway runs, says so on `/-/ready`, and refuses what it must.
 */
export async function startApp(
  config: Config,
  log: Logger = createLog(config.log),
  clock: () => number = Date.now,
): Promise<Result<App, readonly string[]>> {
  const first = await readPolicy(config.policy, Date.now)
  if (!first.ok) return first
  const parts = buildParts(config, first.value, log)
  const inFlight = new Set<Promise<void>>()
  const browser = openBrowser(config, { ...parts, policy: parts.policy.current, clock })
  const { mesh } = parts
  const handler = createGateway({
    ...parts,
    metadata: describeResource(config),
    trusted: trustedProxies(config.trustedProxies),
    sources: openSources(config, parts, clock, browser, mesh),
    selfTest: mesh?.selfTest.receive ?? null,
    pages: browser?.pages ?? null,
    policy: parts.policy.current,
    bestEffort: config.audit.mode === 'best-effort',
    clock: () => new Date(),
    newId: randomUUID,
  })
  const state = { stopping: false }
  const server = createClientServer(handler, inFlight)
  const admin = createServer(createAdmin({ ...parts, ...parts.recording, keys: allKeys(parts) }, state))
  try {
    await listen(admin, config.admin)
    // Last: the first request finds the first policy on record.
    await listen(server, config.listen)
  } catch (error) {
    await Promise.all([close(server, 0), close(admin, 0)])
    await stopParts(parts)
    return fail([`cannot listen: ${error instanceof Error ? error.message : String(error)}: choose another address`])
  }
  await parts.begin(urlOf(server))
  mesh?.selfTest.start()
  return ok(runningApp(parts, { server, admin, inFlight, state, grace: config.shutdown.grace }))
}

/** What is open to the outside. */
interface Doors {
  readonly server: Server
  readonly admin: Server
  readonly inFlight: ReadonlySet<Promise<void>>
  readonly state: { stopping: boolean }
  readonly grace: number
}

function runningApp(parts: Parts, { server, admin, inFlight, state, grace }: Doors): App {
  const { policy, log } = parts
  const urls = { url: urlOf(server), adminUrl: urlOf(admin) }
  log.info({ ...urls, policy: policy.current().digest, clusters: [...parts.clusters.keys()] }, 'ready for requests')
  return {
    ...urls,
    async reload() {
      const look = await policy.reload()
      log.info({ look, policy: policy.current().digest }, "looked at the policy's files, as asked")
      return look
    },
    async stop() {
      state.stopping = true
      policy.stop()
      log.info({ inFlight: inFlight.size }, 'stopping')
      await close(server, grace)
      const ended = Promise.allSettled(inFlight).then(() => true)
      // Their connections are cut by now. One that does not notice must not keep the record from being sealed.
      const all = await Promise.race([ended, sleep(lastWait, false, { ref: false })])
      if (!all) log.error({ inFlight: inFlight.size }, 'requests did not end, though their connections were cut')
      await parts.audit.appendRefusal({ kind: 'gateway.stopped', unfinished: all ? 0 : inFlight.size })
      await stopParts(parts)
      await close(admin, 0)
      log.info(parts.audit.status(), 'stopped, the audit log is sealed')
    },
  }
}

function buildParts(config: Config, first: Policy, log: Logger): Parts {
  const recording = openRecord(config, { log, clock: () => new Date(), newId: randomUUID })
  const { audit, announce } = recording
  const review = openReviewing(config, audit, log)
  const issuers = config.issuers.map((options) => openIssuer(options, Date.now))
  const datasources = config.datasources.map((options) => openDatasource(options, Date.now))
  const quota = openQuota()
  const metrics = createMetrics({
    quota: () => quota.state(),
    audit: () => numbersOf(audit.status()),
    review: () => (review === null ? null : reviewNumbers(review.review.status())),
    segments: () => segmentNumbers(recording.retention.status()),
    sinks: () => recording.sinks.status().map(sinkNumbers),
    policy() {
      const { digest, rules } = policy.current()
      return { digest, rules, rejected: policy.rejected() !== null }
    },
    issuers: () => allKeys({ issuers, datasources }).map((keys) => keys.state()),
  })
  const clusters = new Map(
    config.clusters.map(({ name, prometheus, notices }) => [name, { upstream: openUpstream(prometheus), notices }]),
  )
  const reports = reportsOf(config, { announce, metrics, log })
  const policy = followPolicy({ first, options: config.policy, clock: Date.now, reports })
  async function begin(url: string): Promise<void> {
    await Promise.all([reports.began(first), announce(startedEntry(config, url))])
    policy.start()
  }
  return {
    audit,
    recording,
    review,
    issuers,
    datasources,
    mesh: openMesh(config, log),
    clusters,
    policy,
    quota,
    begin,
    metrics,
    log,
  }
}

const startedEntry = ({ clusters, audit }: Config, url: string): AuditEntry => ({
  kind: 'gateway.started',
  version: version(),
  node: process.version,
  url,
  clusters: clusters.map(({ name }) => name),
  mode: audit.mode,
})

/** Mesh identity is off until the gateway has seen that nobody can forge it: the log says so, and why. */
function openMesh({ mesh: options }: Config, log: Logger): Mesh | null {
  if (options === null) return null
  const selfTest = openMeshSelfTest(options, ({ proven, lastFailure }) => {
    if (lastFailure === null) log.info("the mesh's word on who calls counts: nothing forged came through")
    else log.warn({ counts: proven, failure: lastFailure }, "the self-test of the mesh's word on who calls failed")
  })
  return { options, selfTest }
}

/** The providers' keys, and those of each Grafana whose word is taken. */
const allKeys = ({ issuers, datasources }: Pick<Parts, 'issuers' | 'datasources'>): readonly IssuerKeys[] => [
  ...issuers,
  ...datasources.flatMap(({ keys }) => keys ?? []),
]

/** What strangers are told: without a public URL, nothing. */
function describeResource({ publicUrl, issuers, cli }: Config): ResourceMetadata | null {
  if (publicUrl === null) return null
  return { resource: publicUrl, authorizationServers: issuers.map(({ issuer }) => issuer), cli }
}

async function stopParts({ recording, review, clusters, mesh, ...parts }: Parts): Promise<void> {
  mesh?.selfTest.stop()
  for (const keys of allKeys(parts)) keys.stop()
  for (const { upstream } of clusters.values()) upstream.close()
  await review?.review.stop()
  await recording.stop()
}

function createClientServer(handler: Handler, inFlight: Set<Promise<void>>): Server {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.use(async (request, response) => {
    const done = handler(request, response)
    inFlight.add(done)
    await done
    inFlight.delete(done)
  })
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 60_000 }, app)
  // Longer than the 90 s for which Go's clients (Grafana, Prometheus) keep a connection, so that they close it first.
  server.keepAliveTimeout = 95_000
  return server
}
