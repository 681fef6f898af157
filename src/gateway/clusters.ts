import type { Basis, Decision } from '../policy/policy.ts'
import { actions } from '../policy/rules.ts'
import { refuse, timed, writeUnrecorded } from './parts.ts'
import type { GatewayParts } from './parts.ts'
import { writeWhole } from './reply.ts'
import { decisionEntry } from './visit.ts'
import type { Visit } from './visit.ts'

/** The gateway's own path: the clusters on which the caller may see anything, with the datasource path of each. */
export const clustersPath = '/clusters'

/** Answers it for somebody who is known. Nothing is asked of Prometheus; the look is recorded like any other. */
export async function showClusters(parts: GatewayParts, visit: Visit): Promise<void> {
  const { identity, request } = visit
  if (request.method !== 'GET') return refuse(parts, visit, { is: 'wrong_method', allowed: ['GET'] })
  if (identity === null) return refuse(parts, visit, { is: 'no_credentials' })
  const policy = parts.policy()
  const decisions = [...parts.clusters.keys()].map(
    (name) => [name, actions.map((action) => policy.decide(identity, name, action))] as const,
  )
  const mine = decisions.filter(([, all]) => all.some(({ scope }) => scope.kind !== 'nothing'))
  visit.decision = { ...rulesOf(mine.flatMap(([, all]) => all)), policy: policy.digest }
  const recorded = await timed(parts, 'audit', () => parts.audit.append(decisionEntry(visit, { allowed: null })))
  if (!recorded.ok) return writeUnrecorded(parts, visit, recorded.error)
  parts.metrics.request({ cluster: '', endpoint: clustersPath, decision: 'allow', reason: '' })
  const data = mine.map(([name]) => ({ name, path: `${clustersPath}/${name}` }))
  parts.audit.note(
    await writeWhole(visit, 200, JSON.stringify({ status: 'success', data }), { infos: [], gzip: false }),
  )
}

/** The rules behind a list of names: no series is shown, so the scope is none. */
const rulesOf = (decisions: readonly Decision[]): Omit<Basis, 'policy'> => ({
  scope: { kind: 'nothing' },
  because: [...new Set(decisions.flatMap(({ because }) => because))],
  reasons: [...new Set(decisions.flatMap(({ reasons }) => reasons))],
})
