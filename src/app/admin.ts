import express from 'express'
import type { AuditLog } from '../audit/log.ts'
import type { Retention } from '../audit/retention.ts'
import type { Sinks } from '../audit/sinks/sinks.ts'
import type { IssuerKeys } from '../identity/issuer.ts'
import type { LivePolicy } from '../policy/reload.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { stateOf } from './policy.ts'
import type { Mesh } from './sources.ts'

/** What health and metrics are told from. */
interface Watched {
  readonly audit: AuditLog
  readonly sinks: Sinks
  readonly retention: Retention
  /** The providers' keys. */
  readonly issuers: readonly IssuerKeys[]
  /** Those, and the keys of each Grafana whose word is taken. */
  readonly keys: readonly IssuerKeys[]
  readonly mesh: Mesh | null
  readonly policy: LivePolicy
  readonly metrics: Metrics
}

/** Health and metrics, on a port of their own: no identity is asked for here. */
export function createAdmin(
  { audit, metrics, ...parts }: Watched,
  state: { readonly stopping: boolean },
): express.Express {
  const app = express()
  app.disable('x-powered-by')
  app.get('/-/healthy', (_, response) => {
    response.type('text').send('bailiwick is running.\n')
  })
  app.get('/-/ready', (_, response) => {
    const status = audit.status()
    const checks = {
      stopping: state.stopping,
      audit: status.state === 'open' ? 'open' : { state: status.state, failure: status.lastFailure ?? null },
      ...(status.mode === 'required' ? {} : { bestEffort: { unrecorded: status.unrecorded } }),
      disk: status.disk,
      retention: parts.retention.status(),
      sinks: parts.sinks.status(),
      checkpoints: status.checkpoints ?? null,
      issuers: parts.keys.map((keys) => keys.state()),
      policy: stateOf(parts.policy),
      ...(parts.mesh === null ? {} : { mesh: parts.mesh.selfTest.state() }),
    }
    const keys = parts.issuers.some((issuer) => issuer.state().keyAge !== null)
    const held = parts.sinks.status().some(({ required, state }) => required && state === 'failing')
    const answers = (status.state === 'open' && !held) || status.mode === 'best-effort'
    response.status(!state.stopping && keys && answers ? 200 : 503).json(checks)
  })
  app.get('/metrics', async (_, response) => {
    const { contentType, text } = await metrics.expose()
    response.set('content-type', contentType).send(text)
  })
  return app
}
