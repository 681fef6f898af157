import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AuditFailure, AuditLog } from '../audit/log.ts'
import { identify } from '../identity/identity.ts'
import type { IdentitySource } from '../identity/identity.ts'
import type { Policy } from '../policy/policy.ts'
import { findEndpoint } from '../prometheus/endpoints.ts'
import { readParams } from '../prometheus/params.ts'
import { rewrite } from '../prometheus/rewrite.ts'
import type { ScopedRequest } from '../prometheus/rewrite.ts'
import type { Upstream, UpstreamFailure } from '../prometheus/upstream.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics, Step } from '../telemetry/metrics.ts'
import { readBody } from './body.ts'
import { refusalToWire } from './refusal.ts'
import type { Refusal } from './refusal.ts'
import { isExpected, writeAnswer, writeError } from './reply.ts'
import { beginVisit, credentialsOf, decisionEntry } from './visit.ts'
import type { Visit } from './visit.ts'

/** What the line is made of. */
export interface GatewayParts {
  /** By name; the first is also answered at the root. */
  readonly clusters: ReadonlyMap<string, Upstream>
  readonly sources: readonly IdentitySource[]
  /** The policy in force at this moment. A request asks once and keeps what it got. */
  readonly policy: () => Policy
  readonly audit: AuditLog
  readonly metrics: Metrics
  readonly log: Logger
  readonly clock: () => Date
  readonly newId: () => string
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/** The one path a query takes. The handler never rejects. */
export function createGateway(parts: GatewayParts): Handler {
  return async (request, response) => {
    const visit = beginVisit(request, response, parts.newId(), parts.clock())
    try {
      await answer(parts, visit)
    } catch (error) {
      parts.log.error({ request: visit.id, err: error }, 'a request failed in the gateway itself')
      if (response.headersSent) response.destroy()
      else await refuse(parts, visit, { is: 'internal' })
    }
    parts.metrics.step('total', (performance.now() - visit.began) / 1000)
  }
}

/** endpoint? → who? → may? → params → rewrite → audit(decision) → upstream → response → audit(outcome) */
async function answer(parts: GatewayParts, visit: Visit): Promise<void> {
  const upstream = route(parts, visit)
  if ('is' in upstream) return refuse(parts, visit, upstream)
  const { found } = visit
  if (found === null) return refuse(parts, visit, { is: 'unknown_path' })
  const { methods, treatment } = found.endpoint
  if (!methods.some((method) => method === visit.request.method)) {
    return refuse(parts, visit, { is: 'wrong_method', allowed: methods })
  }

  const who = await timed(parts, 'identify', () => identify(parts.sources, credentialsOf(visit.request)))
  if (who.is === 'absent') return refuse(parts, visit, { is: 'no_credentials' })
  if (who.is === 'refused') return refuse(parts, visit, { is: 'bad_credentials', refusal: who.refusal })
  visit.identity = who.identity

  const { identity, cluster } = visit
  const action = treatment.scope === 'public' ? 'query' : treatment.action
  const decision = await timed(parts, 'decide', () => parts.policy().decide(identity, cluster ?? '', action))
  visit.decision = decision

  const body = await readBody(visit.request)
  if (!body.ok) return refuse(parts, visit, body.error)
  visit.asked = readParams(visit.urlQuery, body.value)

  const scoped = await timed(parts, 'rewrite', () => rewrite(found, visit.asked, decision.scope))
  if (!scoped.ok) return refuse(parts, visit, scoped.error)
  return show(parts, visit, upstream, scoped.value)
}

/** Finds cluster and endpoint. `/clusters/<name>` is the datasource URL of a cluster; the root is the first cluster's. */
function route({ clusters }: GatewayParts, visit: Visit): Upstream | Refusal {
  const [, named, rest] = /^\/clusters\/([^/]*)(.*)$/.exec(visit.path) ?? []
  const name = named ?? clusters.keys().next().value ?? ''
  const upstream = clusters.get(name)
  if (upstream === undefined) return { is: 'unknown_cluster' }
  visit.cluster = name
  visit.found = findEndpoint(rest ?? visit.path)
  return upstream
}

/**
 * Asks Prometheus while the record is made durable (a query only reads, so asking early shows nothing), and lets no
 * byte out before it is.
 */
async function show(parts: GatewayParts, visit: Visit, upstream: Upstream, scoped: ScopedRequest): Promise<void> {
  const gone = new AbortController()
  visit.response.once('close', () => {
    if (!visit.response.writableFinished) gone.abort()
  })
  const gzip = /\bgzip\b/.test(visit.request.headers['accept-encoding']?.toString() ?? '')
  const answering = timed(parts, 'upstream', () => upstream.send(scoped, { gzip, signal: gone.signal }))
  const recorded = await timed(parts, 'audit', () => parts.audit.append(decisionEntry(visit, { allowed: scoped })))
  if (!recorded.ok) {
    gone.abort()
    return writeUnrecorded(parts, visit, recorded.error)
  }
  parts.metrics.request({ ...labels(visit), decision: 'allow', reason: '' })
  const answered = await answering
  if (!answered.ok) return failUpstream(parts, visit, answered.error)
  if (visit.found === null || !isExpected(answered.value, visit.found)) {
    answered.value.abort()
    const { status, contentType } = answered.value
    const detail = `status ${status}, content type ${contentType}`
    return failUpstream(parts, visit, { is: 'unexpected', detail })
  }
  parts.audit.note(await writeAnswer(visit, answered.value))
}

/** A refusal is recorded like an answer, and said only when the record is durable. */
async function refuse(parts: GatewayParts, visit: Visit, refusal: Refusal): Promise<void> {
  const recorded = await timed(parts, 'audit', () => parts.audit.append(decisionEntry(visit, { denied: refusal.is })))
  if (!recorded.ok) return writeUnrecorded(parts, visit, recorded.error)
  parts.metrics.request({ ...labels(visit), decision: 'deny', reason: refusal.is })
  parts.log.info({ request: visit.id, reason: refusal.is, ...labels(visit) }, 'refused')
  parts.audit.note(writeError(visit, refusalToWire(refusal, contextOf(visit))))
}

/** The one answer that is given without a record: that there is none to be had. */
function writeUnrecorded(parts: GatewayParts, visit: Visit, failure: AuditFailure): void {
  parts.metrics.request({ ...labels(visit), decision: 'deny', reason: 'audit_unavailable' })
  parts.log.error({ request: visit.id, failure }, 'no audit record could be kept: nothing was shown')
  writeError(visit, refusalToWire({ is: 'audit_unavailable' }, contextOf(visit)))
}

/** The decision was to allow, and is on record as that; the outcome says that nothing came of it. */
function failUpstream(
  parts: GatewayParts,
  visit: Visit,
  failure: UpstreamFailure | { readonly is: 'unexpected'; readonly detail: string },
): void {
  if (failure.is === 'aborted') {
    parts.audit.note({ kind: 'outcome', request: visit.id, status: 499, ms: msSince(visit), bytes: 0, ended: 'cut' })
    return
  }
  parts.log.warn({ request: visit.id, failure: failure.is, detail: failure.detail, ...labels(visit) }, 'no answer')
  parts.audit.note(writeError(visit, refusalToWire({ is: `upstream_${failure.is}` }, contextOf(visit))))
}

async function timed<T>({ metrics }: GatewayParts, step: Step, run: () => T | Promise<T>): Promise<T> {
  const began = performance.now()
  const value = await run()
  metrics.step(step, (performance.now() - began) / 1000)
  return value
}

const msSince = ({ began }: Visit): number => Math.round(performance.now() - began)

const labels = ({ cluster, found }: Visit): { cluster: string; endpoint: string } => ({
  cluster: cluster ?? '',
  endpoint: found?.name ?? '',
})

const contextOf = ({ identity, cluster }: Visit): { name: string; groups: readonly string[]; cluster: string } => ({
  name: identity?.name ?? 'nobody',
  groups: identity?.groups ?? [],
  cluster: cluster ?? '',
})
