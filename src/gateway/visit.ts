import type { IncomingMessage, ServerResponse } from 'node:http'
import type { DecisionEntry } from '../audit/record.ts'
import type { Credentials, Identity } from '../identity/identity.ts'
import type { Decision } from '../policy/policy.ts'
import { describeScope } from '../policy/scope.ts'
import type { FoundEndpoint } from '../prometheus/endpoints.ts'
import type { Params } from '../prometheus/params.ts'
import type { ScopedRequest } from '../prometheus/rewrite.ts'
import { maxClaim } from './limits.ts'

/** One request, and what has become known about it so far; the record is written from it. */
export interface Visit {
  readonly id: string
  readonly received: Date
  /** Milliseconds of a clock that only goes forward. */
  readonly began: number
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Aborts when the caller goes away before all is said; listened for from the first moment, lest it be missed. */
  readonly gone: AbortController
  /** Path without the query string, as it came. */
  readonly path: string
  readonly urlQuery: string
  cluster: string | null
  found: FoundEndpoint | null
  identity: Identity | null
  asked: Params
  decision: Decision | null
}

/** Splits the request target. What comes behind a `#` would never be sent by a real client; it stays in the path. */
export function beginVisit(request: IncomingMessage, response: ServerResponse, id: string, received: Date): Visit {
  const target = request.url ?? ''
  const mark = target.indexOf('?')
  const gone = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) gone.abort()
  })
  return {
    id,
    received,
    began: performance.now(),
    request,
    response,
    gone,
    path: mark < 0 ? target : target.slice(0, mark),
    urlQuery: mark < 0 ? '' : target.slice(mark + 1),
    cluster: null,
    found: null,
    identity: null,
    asked: [],
    decision: null,
  }
}

/** The credentials of a request, with repeated headers visible (Node's own `headers` keeps the first silently). */
export const credentialsOf = ({ rawHeaders, socket }: IncomingMessage): Credentials => ({
  localAddress: socket.localAddress ?? '',
  header(name) {
    const values: string[] = []
    for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
      if (rawHeaders[at]?.toLowerCase() === name) values.push(rawHeaders[at + 1] ?? '')
    }
    return values
  },
})

/** Headers that any client can set to anything: good for the record, worthless as identity. */
const claims = [
  'x-dashboard-uid',
  'x-panel-id',
  'x-datasource-uid',
  'x-grafana-org-id',
  'x-grafana-referer',
  'x-rule-uid',
  'fromalert',
  'x-forwarded-for',
  'traceparent',
] as const

/** The decision record of a visit; `allowed` is null for an answer of the gateway's own. */
export function decisionEntry(
  visit: Visit,
  outcome: { readonly allowed: ScopedRequest | null } | { readonly denied: string },
): DecisionEntry {
  const { request, identity, decision, found } = visit
  const claimed = claims.flatMap((name) => {
    const value = request.headers[name]
    return typeof value === 'string' ? [[name, value.slice(0, maxClaim)] as const] : []
  })
  const userAgent = request.headers['user-agent']
  return {
    kind: 'decision',
    request: visit.id,
    received: visit.received.toISOString(),
    who: identity,
    from: {
      peer: request.socket.remoteAddress ?? 'unknown',
      ...(userAgent === undefined ? {} : { userAgent: userAgent.slice(0, maxClaim) }),
    },
    ...(claimed.length === 0 ? {} : { claimed: Object.fromEntries(claimed) }),
    cluster: visit.cluster,
    method: request.method ?? '',
    endpoint: found?.name ?? null,
    path: visit.path,
    asked: visit.asked.map(([name, value]) => [name, isKnown(visit, name) ? value : '(not recorded)'] as const),
    because: decision?.because ?? [],
    scope: decision === null ? '' : describeScope(decision.scope),
    policy: decision?.policy ?? null,
    ...('allowed' in outcome
      ? {
          decision: 'allow',
          sent: outcome.allowed === null ? [] : sentOf(outcome.allowed),
          selectors: outcome.allowed?.selectors ?? [],
        }
      : { decision: 'deny', reason: outcome.denied, sent: null }),
  }
}

/** Every request that leaves for Prometheus. A remote read's parameters are its selectors, recorded beside. */
const sentOf = ({ path, params, names }: ScopedRequest): readonly { path: string; params: Params }[] => [
  { path, params },
  ...(names === undefined ? [] : sentOf(names)),
]

/** A parameter that no endpoint has may hold anything, a token for example: its value stays out of the record. */
const isKnown = ({ found }: Visit, name: string): boolean =>
  found !== null && Object.hasOwn(found.endpoint.params, name)
