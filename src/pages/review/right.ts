import type { Identity } from '../../identity/identity.ts'
import { matchesAny } from '../../policy/patterns.ts'
import type { Basis, Policy } from '../../policy/policy.ts'
import type { Action } from '../../policy/rules.ts'
import type { Within } from '../../review/review.ts'

/** Whose records somebody may look at, and because of which rules. */
export interface Right {
  /** An empty list: nobody's. */
  readonly within: Within
  /** What the record says of the decision. */
  readonly basis: Basis
}

/**
 * The right to look at the record, or to take it home. A cluster's records are seen only with every series of that cluster:
 * what somebody asked of one namespace can tell of others. All records, also those of no cluster (logins, policies, looks at
 * the record itself) and of clusters that are gone, need that for each cluster configured, for any cluster at all (a rule for
 * the cluster `*`), and for each cluster that a deny names.
 */
export function rightTo(policy: Policy, identity: Identity, clusters: readonly string[], action: Action): Right {
  const decided = (cluster: string) => policy.decide(identity, cluster, action)
  const isAll = (cluster: string): boolean => decided(cluster).scope.kind === 'everything'
  const seen = clusters.filter(isAll)
  const others = ['', ...deniedClusters(policy, action)]
  const all = seen.length === clusters.length && others.every(isAll)
  const asked = [...clusters, ...others].map(decided)
  return {
    within: all ? 'all' : seen,
    basis: {
      scope: { kind: 'nothing' },
      because: [...new Set(asked.flatMap(({ because }) => because))],
      reasons: [...new Set(asked.flatMap(({ reasons }) => reasons))],
      policy: policy.digest,
    },
  }
}

/** A cluster for each pattern of a deny: one that is not configured any more may still have records. */
const deniedClusters = ({ parsed }: Policy, action: Action): readonly string[] => [
  ...new Set(
    parsed.rules
      .filter((rule) => rule.effect === 'deny' && matchesAny(rule.action, action))
      .map(({ cluster }) => cluster.replaceAll('*', 'x')),
  ),
]

/** What both allow. */
export function both(one: Within, other: Within): Within {
  if (one === 'all') return other
  return other === 'all' ? one : one.filter((cluster) => other.includes(cluster))
}

/** Is nothing of it beyond the other? */
export const isWithin = (one: Within, other: Within): boolean =>
  other === 'all' || (one !== 'all' && one.every((cluster) => other.includes(cluster)))

/** Is there anything in it? */
export const isAny = (within: Within): boolean => within === 'all' || within.length > 0
