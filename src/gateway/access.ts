import type { Identity } from '../identity/identity.ts'
import { accessOf } from '../policy/access.ts'
import type { Access, ClusterAccess, Right } from '../policy/access.ts'
import { printMoment } from '../policy/print-row.ts'
import { describeScope } from '../policy/scope.ts'
import { clustersPath } from './clusters.ts'
import { refuse, timed, writeUnrecorded } from './parts.ts'
import type { GatewayParts } from './parts.ts'
import { writeWhole } from './reply.ts'
import { decisionEntry } from './visit.ts'
import type { Visit } from './visit.ts'

/** The gateway's own path: who the caller is to it, what they may see on which cluster, and because of which rules. */
export const accessPath = '/api/bailiwick/v1/access'

/** Answers it for somebody who is known. Nothing is asked of Prometheus; the look is recorded like any other. */
export async function showAccess(parts: GatewayParts, visit: Visit): Promise<void> {
  const { identity, request } = visit
  if (request.method !== 'GET') return refuse(parts, visit, { is: 'wrong_method', allowed: ['GET'] })
  if (identity === null) return refuse(parts, visit, { is: 'no_credentials' })
  const access = accessOf(parts.policy(), identity, [...parts.clusters.keys()], parts.clock().getTime())
  visit.decision = access.basis
  const recorded = await timed(parts, 'audit', () => parts.audit.append(decisionEntry(visit, { allowed: null })))
  if (!recorded.ok) return writeUnrecorded(parts, visit, recorded.error)
  parts.metrics.request({ cluster: '', endpoint: accessPath, decision: 'allow', reason: '' })
  const body = JSON.stringify({ status: 'success', data: dataOf(identity, access) })
  parts.audit.note(await writeWhole(visit, 200, body, { infos: [], gzip: false }))
}

/** The answer's `data`; docs/api.md tells what each field is. */
const dataOf = (identity: Identity, { policy, clusters, limits }: Access) => ({
  identity: printIdentity(identity),
  policy,
  clusters: clusters.map(printCluster),
  limits: Object.fromEntries(limits.map(({ limit, value, text, from }) => [limit, { value, text, because: from }])),
})

/** What of an identity its owner is shown; not the credential, nor what it can be recognised by. */
const printIdentity = ({ issuer, subject, name, groups, via, actor, expires }: Identity) => ({
  issuer,
  subject,
  name,
  groups,
  via,
  ...(actor === undefined ? {} : { actor }),
  ...(expires === undefined ? {} : { expires: printTime(expires * 1000) }),
})

const printCluster = ({ name, rights }: ClusterAccess) => ({
  name,
  path: `${clustersPath}/${name}`,
  actions: rights.map(printRight),
})

const printRight = ({ actions, scope, views, because, reasons, ends, until }: Right) => ({
  actions,
  scope: { text: describeScope(scope), ...scope },
  views,
  because,
  ...(reasons.length === 0 ? {} : { reasons }),
  ...(ends.length === 0 ? {} : { ends: ends.map((one) => ({ rule: one.rule, until: printTime(one.until) })) }),
  ...(until === null ? {} : { until: printTime(until) }),
})

/** The last moment that a date can be: some provider's "never" is later. */
const lastMoment = 8.64e15
const printTime = (milliseconds: number): string => printMoment(Math.min(milliseconds, lastMoment))
