import type { Config } from '../config/config.ts'
import type { IdentitySource } from '../identity/identity.ts'
import type { IssuerKeys } from '../identity/issuer.ts'
import { openLogin } from '../identity/login.ts'
import { openLogoutTokens } from '../identity/logout-token.ts'
import { openRevocations } from '../identity/revocations.ts'
import { openSealer } from '../identity/seal.ts'
import { openSessions } from '../identity/sessions.ts'
import { sessionSource } from '../identity/sources/session.ts'
import type { VerifiedToken } from '../identity/token.ts'
import { createPages } from '../pages/pages.ts'
import type { Pages, Reviewing } from '../pages/answer.ts'
import { paths } from '../pages/paths.ts'
import type { Policy } from '../policy/policy.ts'
import type { Logger } from '../telemetry/log.ts'

/** What people with a browser get. */
export interface Browser {
  readonly pages: Pages
  readonly source: IdentitySource
  /** Was a token withdrawn by a logout at the provider? */
  readonly revoked: (token: VerifiedToken) => boolean
}

/** Parts of the gateway that the pages show. */
interface Shown {
  readonly issuers: readonly IssuerKeys[]
  readonly policy: () => Policy
  readonly review: Reviewing | null
  readonly log: Logger
  readonly clock: () => number
}

/** Null where nobody is to log in with a browser. */
export function openBrowser(config: Config, { issuers, policy, review, log, clock }: Shown): Browser | null {
  const { login: options } = config
  const keys = issuers.find((one) => one.options.issuer === options?.issuer.issuer)
  if (options === null || keys === undefined) return null
  const { origin, clientId, limits, cookieKeys } = options
  // A withdrawal is kept in mind for as long as anything that it withdraws could live.
  const longest = issuers.map((one) => (one.options.maxAge + one.options.clockTolerance) * 1000)
  const revocations = openRevocations(Math.max(limits.absolute, ...longest), clock)
  const login = openLogin(options, clock)
  const sealer = openSealer(cookieKeys, clock)
  const sessions = openSessions({ login, sealer, revocations, limits, clock })
  const pages = createPages({
    origin,
    login,
    sessions,
    sealer,
    revocations,
    logoutTokens: openLogoutTokens(keys, clientId, clock),
    clusters: config.clusters.map(({ name }) => name),
    cli: config.cli !== null,
    bestEffort: config.audit.mode === 'best-effort',
    review,
    policy,
    log,
    clock,
  })
  return {
    pages,
    source: sessionSource(sessions, origin + paths.login),
    revoked: (token) => revocations.isWithdrawn(token),
  }
}
