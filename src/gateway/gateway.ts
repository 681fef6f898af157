import type { IncomingMessage, ServerResponse } from 'node:http'
import { identify } from '../identity/identity.ts'
import { selfTestPath } from '../identity/mesh-self-test.ts'
import { metadataPath } from '../identity/resource-metadata.ts'
import { findEndpoint } from '../prometheus/endpoints.ts'
import type { FoundEndpoint, Treatment } from '../prometheus/endpoints.ts'
import { readParams } from '../prometheus/params.ts'
import { rewrite } from '../prometheus/rewrite.ts'
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

/** endpoint? → who? → may? → params → rewrite → audit(decision) → upstream → filter → response → audit(outcome) */
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
  visit.identity = who.identity
  if ('is' in routed) return refuse(parts, visit, routed)
  if (routed.endpoint === null) return showClusters(parts, visit)

  const { identity } = who
  const { cluster, found } = routed.endpoint
  const { treatment } = found.endpoint
  const action = 'action' in treatment ? treatment.action : 'query'
  const decision = await timed(parts, 'decide', () => parts.policy().decide(identity, visit.cluster ?? '', action))
  visit.decision = decision

  const kind = bodyKinds[treatment.scope]
  const body = await readBody(visit.request, kind)
  if (!body.ok) return refuse(parts, visit, body.error)
  visit.asked = readParams(visit.urlQuery, kind === 'form' ? body.value.toString('utf8') : '')

  const asked = { params: visit.asked, body: body.value }
  const scoped = await timed(parts, 'rewrite', () => rewrite(found, asked, decision))
  if (!scoped.ok) return refuse(parts, visit, scoped.error)
  return show(parts, visit, cluster, scoped.value)
}

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

/** Where a request goes: an endpoint of a cluster, or null for the list of clusters. */
interface Routed {
  readonly endpoint: { readonly cluster: Cluster; readonly found: FoundEndpoint } | null
}

/** Finds cluster and endpoint. `/clusters/<name>` is the datasource URL of a cluster; the root is the first cluster's. */
function route({ clusters }: GatewayParts, visit: Visit): Routed | Refusal {
  // Node's parser takes a request line without a version for HTTP/0.9, which nobody speaks.
  if (visit.request.httpVersionMajor < 1) return { is: 'bad_body', status: 400, message: 'speak HTTP/1.1' }
  if (visit.path === clustersPath) return { endpoint: null }
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
