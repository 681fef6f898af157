import { hash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { BlockList } from 'node:net'
import type { DecisionEntry, From } from '../audit/record.ts'
import type { Credentials, Identity } from '../identity/identity.ts'
import type { Basis } from '../policy/policy.ts'
import { describeScope } from '../policy/scope.ts'
import type { FoundEndpoint } from '../prometheus/endpoints.ts'
import type { Params } from '../prometheus/params.ts'
import type { ScopedRequest } from '../prometheus/rewrite.ts'
import { clientAddress } from './client-address.ts'
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
  /** The client's address by the word of a trusted proxy; null where there is none. */
  readonly client: string | null
  /** Digest of the policy in force when the request came, for what is refused before it is decided by one. */
  readonly inForce: string
  /** Path without the query string, as it came. */
  readonly path: string
  readonly urlQuery: string
  cluster: string | null
  found: FoundEndpoint | null
  identity: Identity | null
  asked: Params
  decision: Basis | null
  /** The status with which Prometheus answered; null where it did not (yet). */
  upstream: number | null
}

/** What a visit begins with. */
interface VisitParts {
  readonly newId: () => string
  readonly clock: () => Date
  readonly trusted: BlockList
  readonly policy: () => { readonly digest: string }
}

/** Splits the request target. What comes behind a `#` would never be sent by a real client; it stays in the path. */
export function beginVisit(
  { newId, clock, trusted, policy }: VisitParts,
  request: IncomingMessage,
  response: ServerResponse,
): Visit {
  const target = request.url ?? ''
  const mark = target.indexOf('?')
  const gone = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) gone.abort()
  })
  return {
    id: newId(),
    received: clock(),
    began: performance.now(),
    request,
    response,
    gone,
    client: clientAddress(request, trusted),
    inForce: policy().digest,
    path: mark < 0 ? target : target.slice(0, mark),
    urlQuery: mark < 0 ? '' : target.slice(mark + 1),
    cluster: null,
    found: null,
    identity: null,
    asked: [],
    decision: null,
    upstream: null,
  }
}

/** The credentials of a request, with repeated headers visible (Node's own `headers` keeps the first silently). */
export const credentialsOf = ({ rawHeaders, socket }: IncomingMessage, response?: ServerResponse): Credentials => ({
  localAddress: socket.localAddress ?? '',
  ...(response === undefined ? {} : { setCookie: (line) => void response.appendHeader('set-cookie', line) }),
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
  'x-dashboard-title',
  'x-panel-id',
  'x-panel-title',
  'x-panel-plugin-id',
  'x-query-group-id',
  'x-datasource-uid',
  'x-grafana-user',
  'x-grafana-org-id',
  'x-grafana-from-expr',
  'x-grafana-referer',
  'x-rule-uid',
  'x-rule-name',
  'x-rule-folder',
  'x-rule-source',
  'x-rule-type',
  'x-rule-version',
  'x-rule-origin',
  'fromalert',
  'x-forwarded-for',
  'l5d-client-id',
  'traceparent',
] as const

/** Tokens that prove something only behind a datasource's secret: the record says that they were sent, no more. */
const tokens = ['x-id-token', 'x-grafana-id'] as const

const notRecorded = '(not recorded)'

/** Where a visit came from. */
export function fromOf({ request, client }: Visit): From {
  const userAgent = request.headers['user-agent']
  return {
    peer: request.socket.remoteAddress ?? 'unknown',
    ...(client === null ? {} : { client }),
    ...(userAgent === undefined ? {} : { userAgent: userAgent.slice(0, maxClaim) }),
  }
}

/** The decision record of a visit; `allowed` is null for an answer of the gateway's own. */
export function decisionEntry(
  visit: Visit,
  outcome: { readonly allowed: ScopedRequest | null } | { readonly denied: string },
): DecisionEntry {
  const { request, identity, decision, found } = visit
  const said = [...claims, ...tokens].flatMap((name) => {
    const value = request.headers[name]
    if (typeof value !== 'string') return []
    return [[name, claimed(name, value)] as const]
  })
  return {
    kind: 'decision',
    request: visit.id,
    received: visit.received.toISOString(),
    who: identity,
    from: fromOf(visit),
    ...(said.length === 0 ? {} : { claimed: Object.fromEntries(said) }),
    cluster: visit.cluster,
    method: request.method ?? '',
    endpoint: found?.name ?? null,
    path: visit.path,
    asked: askedOf(visit),
    because: decision?.because ?? [],
    ...(decision === null || decision.reasons.length === 0 ? {} : { reasons: decision.reasons }),
    scope: decision === null ? '' : describeScope(decision.scope),
    policy: decision?.policy ?? visit.inForce,
    ...foldOf(visit),
    ...('allowed' in outcome
      ? {
          decision: 'allow',
          sent: outcome.allowed === null ? [] : sentOf(outcome.allowed),
          selectors: outcome.allowed?.selectors ?? [],
        }
      : { decision: 'deny', reason: outcome.denied, sent: null }),
  }
}

/**
 * What a client's repetitions have in common: Grafana asks again with GET what was refused to a POST, and a reader wants to see
 * that once.
 */
function foldOf(visit: Visit): { readonly fold?: string } {
  const { identity, cluster, found } = visit
  if (identity === null || found === null) return {}
  const { issuer, subject, actor } = identity
  // Of what is recorded only: with the rest, somebody could try out what was in it.
  const pairs = askedOf(visit)
    .map((pair) => JSON.stringify(pair))
    .toSorted()
  return {
    fold: hash('sha256', JSON.stringify([issuer, subject, actor ?? '', cluster, found.name, pairs])).slice(0, 16),
  }
}

/** Every request that leaves for Prometheus. A remote read's parameters are its selectors, recorded beside. */
const sentOf = ({ path, params, names }: ScopedRequest): readonly { path: string; params: Params }[] => [
  { path, params },
  ...(names === undefined ? [] : sentOf(names)),
]

const askedOf = (visit: Visit): Params =>
  visit.asked.map(([name, value]) => [name, isKnown(visit, name) ? value : notRecorded] as const)

/** What the record keeps of a header that anybody can set. A page of Grafana's can have been opened with a token in its query. */
function claimed(name: string, value: string): string {
  if (tokens.some((token) => token === name)) return notRecorded
  return (name === 'x-grafana-referer' ? value.replace(/[?#].*$/s, '') : value).slice(0, maxClaim)
}

/** A parameter that no endpoint has may hold anything, a token for example: its value stays out of the record. */
const isKnown = ({ found }: Visit, name: string): boolean =>
  found !== null && Object.hasOwn(found.endpoint.params, name)
