import type { Config } from '../config/config.ts'
import type { Policy } from '../policy/policy.ts'
import type { LivePolicy, PolicyReports } from '../policy/reload.ts'
import type { Result } from '../result.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'

/** What the record says of policies. */
export type PolicyEntry =
  | {
      readonly kind: 'policy.loaded'
      readonly policy: string
      readonly replaced: string | null
      readonly source: string
    }
  | {
      readonly kind: 'policy.rejected'
      readonly policy: string | null
      readonly inForce: string
      readonly source: string
      readonly problems: readonly string[]
    }

interface Told {
  readonly announce: (entry: PolicyEntry) => Promise<Result<unknown, unknown>>
  readonly metrics: Metrics
  readonly log: Logger
}

/** Most problems of one policy that a line of the log holds; the record has them all. */
const mostLogged = 20

const shown = (name: string, sentences: readonly string[]) => ({
  count: sentences.length,
  [name]: sentences.slice(0, mostLogged),
})

/** The policies of a gateway, from its first one on. */
interface Reports extends PolicyReports {
  /** The first policy is about to decide. */
  began(policy: Policy): Promise<void>
}

/** Puts every change of policy on record, counts it and logs it. */
export function reportsOf({ policy: options }: Config, { announce, metrics, log }: Told): Reports {
  const source = [options.model, ...options.rules].join(', ')
  /**
   * Called in the moment in which the policy changes, and the record keeps the order of the calls: no decision by the new
   * policy can stand before it. Waiting for the disk first would let a grant live on that is gone already.
   */
  const record = async (entry: PolicyEntry): Promise<void> => {
    const recorded = await announce(entry)
    if (recorded.ok) return
    log.error({ failure: recorded.error }, 'the audit record cannot be kept: nothing will be answered')
  }
  const warn = ({ digest, warnings }: Policy): void => {
    if (warnings.length === 0) return
    log.warn({ policy: digest, ...shown('warnings', warnings) }, 'the policy holds what can hardly be meant')
  }
  return {
    async began(policy) {
      warn(policy)
      await record({ kind: 'policy.loaded', policy: policy.digest, replaced: null, source })
    },
    async loaded(live, { digest: replaced }) {
      const { digest: policy, rules } = live
      const recorded = record({ kind: 'policy.loaded', policy, replaced, source })
      metrics.policyReload('loaded')
      log.info({ policy, replaced, rules }, 'another policy is in force')
      warn(live)
      await recorded
    },
    async rejected({ digest, problems }, { digest: inForce }) {
      const recorded = record({ kind: 'policy.rejected', policy: digest, inForce, source, problems })
      metrics.policyReload('rejected')
      log.error(
        { policy: digest, inForce, ...shown('problems', problems) },
        'the policy in the files was refused: the one before it stays in force',
      )
      await recorded
    },
    unwatched(reason) {
      const every = options.reload === 0 ? 'on SIGHUP only' : `every ${options.reload / 1000} s`
      log.warn({ reason }, `the system does not tell of changes of the policy: it is looked at ${every}`)
    },
  }
}

/** Two policies of which only the newer one is on record: it replaced what the older one did. */
export const mergeLoaded = <Entry extends { readonly kind: string }>(older: Entry, newer: Entry): Entry =>
  'replaced' in older && 'replaced' in newer ? { ...newer, replaced: older.replaced } : newer

/** For readiness. A policy that was refused is no reason to be taken out of service: the one in force decides. */
export function stateOf(policy: LivePolicy) {
  const rejected = policy.rejected()
  return {
    digest: policy.current().digest,
    rejected: rejected === null ? null : { digest: rejected.digest, problems: rejected.problems.length },
  }
}
