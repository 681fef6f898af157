import type { IncomingMessage, ServerResponse } from 'node:http'
import { identify } from '../identity/identity.ts'
import type { Identity } from '../identity/identity.ts'
import { selfTestPath } from '../identity/mesh-self-test.ts'
import { metadataPath } from '../identity/resource-metadata.ts'
import type { Decision } from '../policy/policy.ts'
import type { Action } from '../policy/rules.ts'
import { findEndpoint } from '../prometheus/endpoints.ts'
import type { FoundEndpoint, Treatment } from '../prometheus/endpoints.ts'
import { readParams } from '../prometheus/params.ts'
import { rewrite } from '../prometheus/rewrite.ts'
import { accessPath, showAccess } from './access.ts'
import { readBody } from './body.ts'
import type { BodyKind } from './body.ts'
import { clustersPath, showClusters } from './clusters.ts'
import { writeMetadata } from './metadata.ts'
import { pagesFor, showPage } from './page.ts'
import { refuse, timed } from './parts.ts'
import type { Cluster, GatewayParts } from './parts.ts'
import type { Refusal } from './refusal.ts'
import { show } from './show.ts'
import { beginVisit, credentialsOf } from './visit.ts'
import type { Visit } from './visit.ts'

export type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/** The one path a query takes. The handler never rejects. */
export function createGateway(parts: GatewayParts): Handler {
  return async (request, response) => {
    if (parts.metadata !== null && request.method === 'GET' && request.url === metadataPath) {
      return writeMetadata(response, parts.metadata)
    }
    if (request.url === selfTestPath && parts.selfTest?.(credentialsOf(request)) === true) {
      response.writeHead(204).end()
      return
    }
    const visit = beginVisit(parts, request, response)
    if (parts.bestEffort) response.setHeader('bailiwick-audit', 'best-effort')
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

/** endpoint? → who? → may? → too much? → params → rewrite → turn? → audit(decision) → upstream → filter → response → audit(outcome) */
async function answer(parts: GatewayParts, visit: Visit): Promise<void> {
  const pages = pagesFor(parts, visit)
  if (pages !== null) return showPage(parts, visit, pages)
  const routed = route(parts, visit)
  // Which clusters there are is no stranger's business: those are asked first who they are.
  if ('is' in routed && routed.is !== 'unknown_cluster') return refuse(parts, visit, routed)

  const who = await timed(parts, 'identify', () =>
    identify(parts.sources, credentialsOf(visit.request, visit.response)),
  )
  if (who.is === 'absent') return refuse(parts, visit, { is: 'no_credentials' })
  if (who.is === 'refused') return refuse(parts, visit, { is: 'bad_credentials', refusal: who.refusal })
  const { identity } = who
  visit.identity = identity
  const wanted = 'is' in routed ? null : routed.endpoint
  const decide = (): Decision => parts.policy().decide(identity, visit.cluster ?? '', actionOf(wanted))
  const decision = await timed(parts, 'decide', decide)
  if (wanted !== null) visit.decision = decision
  const later = parts.quota.spend(identity, decision.limits)
  if (later !== null) return refuse(parts, visit, later)
  if ('is' in routed) return refuse(parts, visit, routed)
  if (routed.endpoint === null) return routed.show(parts, visit)
  return answerKnown(parts, visit, routed.endpoint, { identity, decision, decide })
}

/** Somebody, what was decided about their request, and the same anew: equal rights are one decision. */
interface Known {
  readonly identity: Identity
  readonly decision: Decision
  readonly decide: () => Decision
}

async function answerKnown(
  parts: GatewayParts,
  visit: Visit,
  { cluster, found }: Wanted,
  { identity, decision, decide }: Known,
): Promise<void> {
  const { treatment } = found.endpoint
  const kind = bodyKinds[treatment.scope]
  const body = await readBody(visit.request, kind)
  if (!body.ok) return refuse(parts, visit, body.error)
  visit.asked = readParams(visit.urlQuery, kind === 'form' ? body.value.toString('utf8') : '')

  const asked = { params: visit.asked, body: body.value }
  const first = await timed(parts, 'rewrite', () => rewrite(found, asked, decision))
  const showBy = async (by: Decision): Promise<void> => {
    visit.decision = by
    const scoped = by === decision ? first : rewrite(found, asked, by)
    if (!scoped.ok) return refuse(parts, visit, scoped.error)
    return show(parts, visit, cluster, { scoped: scoped.value, limits: by.limits })
  }
  if (!first.ok || readsNothing.has(treatment.scope)) return showBy(decision)
  const entered = await timed(parts, 'wait', async () => {
    await ownTurn(visit)
    return parts.quota.enter(identity, decision.limits, visit.gone.signal)
  })
  if (!entered.ok) return refuse(parts, visit, entered.error)
  try {
    // While it waited, a right may have ended.
    return await showBy(decide())
  } finally {
    entered.value()
  }
}

/**
 * Behind an earlier request on its connection, an answer cannot leave. With a slot in hand it might then wait for one that
 * waits for the slot.
 */
async function ownTurn({ response }: Visit): Promise<void> {
  if (response.socket !== null || response.destroyed) return
  const { promise, resolve } = Promise.withResolvers<undefined>()
  for (const event of ['socket', 'close']) response.once(event, () => resolve(undefined))
  await promise
}

function actionOf(wanted: Wanted | null): Action {
  const treatment = wanted?.found.endpoint.treatment
  return treatment !== undefined && 'action' in treatment ? treatment.action : 'query'
}

/** Where Prometheus is asked for no series, nobody has to wait for a slot. */
const readsNothing: ReadonlySet<Treatment['scope']> = new Set(['text', 'public'])

const bodyKinds: Readonly<Record<Treatment['scope'], BodyKind>> = {
  query: 'form',
  text: 'form',
  selectors: 'form',
  filter: 'form',
  public: 'form',
  grant: 'form',
  read: 'protobuf',
  refuse: 'unread',
}

/** An endpoint of a cluster. */
interface Wanted {
  readonly cluster: Cluster
  readonly found: FoundEndpoint
}

/** Answers on a path of the gateway's own. */
type Show = (parts: GatewayParts, visit: Visit) => Promise<void>

/** Where a request goes; no endpoint of a cluster where the gateway answers by itself. */
type Routed = { readonly endpoint: Wanted } | { readonly endpoint: null; readonly show: Show }

const ownPaths: ReadonlyMap<string, Show> = new Map([
  [clustersPath, showClusters],
  [accessPath, showAccess],
])

/** Finds cluster and endpoint. `/clusters/<name>` is the datasource URL of a cluster; the root is the first cluster's. */
function route({ clusters }: GatewayParts, visit: Visit): Routed | Refusal {
  // Node's parser takes a request line without a version for HTTP/0.9, which nobody speaks.
  if (visit.request.httpVersionMajor < 1) return { is: 'bad_body', status: 400, message: 'speak HTTP/1.1' }
  const show = ownPaths.get(visit.path)
  if (show !== undefined) return { endpoint: null, show }
  const [, named, rest] = /^\/clusters\/([^/]*)(.*)$/.exec(visit.path) ?? []
  const name = named ?? clusters.keys().next().value ?? ''
  const cluster = clusters.get(name)
  if (cluster === undefined) return { is: 'unknown_cluster' }
  visit.cluster = name
  const found = findEndpoint(rest ?? visit.path)
  if (found === null) return { is: 'unknown_path' }
  visit.found = found
  const { methods } = found.endpoint
  if (!methods.some((method) => method === visit.request.method)) return { is: 'wrong_method', allowed: methods }
  return { endpoint: { cluster, found } }
}
