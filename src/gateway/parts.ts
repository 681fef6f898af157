import type { BlockList } from 'node:net'
import type { AuditFailure, AuditLog } from '../audit/log.ts'
import type { IdentitySource } from '../identity/identity.ts'
import type { Receive } from '../identity/mesh-self-test.ts'
import { metadataUrl } from '../identity/resource-metadata.ts'
import type { ResourceMetadata } from '../identity/resource-metadata.ts'
import type { Pages } from '../pages/answer.ts'
import type { Policy } from '../policy/policy.ts'
import type { Upstream } from '../prometheus/upstream.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics, Step } from '../telemetry/metrics.ts'
import type { Quota } from './quota.ts'
import { refusalToWire } from './refusal.ts'
import type { Refusal, RefusalContext } from './refusal.ts'
import { writeError } from './reply.ts'
import { decisionEntry } from './visit.ts'
import type { Visit } from './visit.ts'

/** A cluster as the gateway knows it. */
export interface Cluster {
  readonly upstream: Upstream
  /** Does an answer say in its `infos` that it was narrowed? */
  readonly notices: boolean
}

/** What the line is made of. */
export interface GatewayParts {
  /** By name; the first is also answered at the root. */
  readonly clusters: ReadonlyMap<string, Cluster>
  readonly sources: readonly IdentitySource[]
  /** What people see in a browser; null where nobody logs in with one. */
  readonly pages: Pages | null
  /** What strangers are told about where to get a token; null where the gateway does not know its own URL. */
  readonly metadata: ResourceMetadata | null
  /** Takes the gateway's requests to itself; null where it makes none. */
  readonly selfTest: Receive | null
  /** Whose word on the client's address counts. */
  readonly trusted: BlockList
  /** The policy in force at this moment. A request asks once and keeps what it got. */
  readonly policy: () => Policy
  /** How much each person asks for at a time. */
  readonly quota: Quota
  readonly audit: AuditLog
  /** May an answer leave although its record could not be kept? Each says so then. */
  readonly bestEffort: boolean
  readonly metrics: Metrics
  readonly log: Logger
  readonly clock: () => Date
  readonly newId: () => string
}

/** A refusal is recorded like an answer, and said only when the record is durable. */
export async function refuse(parts: GatewayParts, visit: Visit, refusal: Refusal): Promise<void> {
  const recorded = await timed(parts, 'audit', () =>
    parts.audit.appendRefusal(decisionEntry(visit, { denied: refusal.is })),
  )
  if (!recorded.ok) return sayUnrecorded(parts, visit, recorded.error)
  parts.metrics.request({ ...labels(visit), decision: 'deny', reason: refusal.is })
  parts.log.info({ request: visit.id, reason: refusal.is, ...labels(visit) }, 'refused')
  parts.audit.note(writeError(visit, refusalToWire(refusal, contextOf(parts, visit))))
}

/**
 * What was to be shown is not, as it could not be recorded. That is put on record, if that much can be: a volume that is full keeps
 * room for it.
 */
export async function writeUnrecorded(parts: GatewayParts, visit: Visit, failure: AuditFailure): Promise<void> {
  const { audit } = parts
  await timed(parts, 'audit', () => audit.appendRefusal(decisionEntry(visit, { denied: 'audit_unavailable' })))
  sayUnrecorded(parts, visit, failure)
}

/** The one answer that may be given without a record: that there is none to be had. */
function sayUnrecorded(parts: GatewayParts, visit: Visit, failure: AuditFailure): void {
  parts.metrics.request({ ...labels(visit), decision: 'deny', reason: 'audit_unavailable' })
  parts.log.error({ request: visit.id, failure }, 'no audit record could be kept: nothing was shown')
  writeError(visit, refusalToWire({ is: 'audit_unavailable' }, contextOf(parts, visit)))
}

/** Takes the time of a step. */
export async function timed<T>({ metrics }: GatewayParts, step: Step, run: () => T | Promise<T>): Promise<T> {
  const began = performance.now()
  const value = await run()
  metrics.step(step, (performance.now() - began) / 1000)
  return value
}

/** Where a visit belongs, for metrics and the log. Never what a client typed. */
export const labels = ({ cluster, found }: Visit): { cluster: string; endpoint: string } => ({
  cluster: cluster ?? '',
  endpoint: found?.name ?? '',
})

/** What a refusal's message may say. */
export const contextOf = ({ metadata }: GatewayParts, { identity, cluster }: Visit): RefusalContext => ({
  name: identity?.name ?? 'nobody',
  groups: identity?.groups ?? [],
  cluster: cluster ?? '',
  metadata: metadata === null ? null : metadataUrl(metadata.resource),
})
