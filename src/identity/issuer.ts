import { createRemoteJWKSet } from 'jose'
import type { JWTVerifyGetKey } from 'jose'
import { allowInsecureRequests, discovery } from 'openid-client'

/** An OpenID provider whose tokens are accepted, and how its tokens are read. */
export interface IssuerOptions {
  /** Exactly as in the tokens' `iss`. */
  readonly issuer: string
  /** A token must name one of these in `aud`. */
  readonly audience: readonly string[]
  /** Accepted signature algorithms; asymmetric ones only. */
  readonly algorithms: readonly string[]
  /** Claim that lists the groups: a name, or a JSON pointer (RFC 6901) such as `/realm_access/roles`. */
  readonly groupsClaim: string
  /** Put before every group of this issuer, so that two issuers' groups of the same name stay apart. */
  readonly groupPrefix: string
  /** Seconds by which the issuer's clock and ours may differ. */
  readonly clockTolerance: number
}

/** How the keys of an issuer are doing, for readiness and metrics. */
export interface IssuerState {
  readonly issuer: string
  /** Seconds since the keys were last fetched; null as long as they never were. */
  readonly keyAge: number | null
  readonly lastFailure: string | null
}

/** An issuer's signing keys, found by discovery and kept fresh in the background. */
export interface IssuerKeys {
  readonly options: IssuerOptions
  /** The keys, or a rejection while they cannot be had. */
  keys(): Promise<JWTVerifyGetKey>
  state(): IssuerState
  stop(): void
}

const refreshEvery = 5 * 60_000
const retryAfter = 5_000
const timeout = 5_000

/**
 * Starts discovery (OpenID Connect Discovery 1.0 / RFC 8414) and key fetching. A provider that is down at start does
 * not stop the gateway: it is asked again, and until then `keys()` rejects. Once fetched, keys outlive an outage of
 * the provider; a key that the provider withdrew stops working at the next refresh.
 */
export function openIssuer(options: IssuerOptions, clock: () => number): IssuerKeys {
  let remote: ReturnType<typeof createRemoteJWKSet> | null = null
  let fetchedAt: number | null = null
  let lastFailure: string | null = null
  let pending: Promise<void> | null = null
  let failedAt = Number.NEGATIVE_INFINITY

  async function refresh(): Promise<void> {
    try {
      remote ??= createRemoteJWKSet(await discoverKeys(options.issuer), {
        timeoutDuration: timeout,
        // Never expire by age alone: with the library's default every token fails ten minutes into an outage.
        cacheMaxAge: Number.POSITIVE_INFINITY,
      })
      await remote.reload()
      fetchedAt = clock()
      lastFailure = null
    } catch (error) {
      failedAt = clock()
      lastFailure = error instanceof Error ? error.message : String(error)
      throw error
    }
  }
  /** One refresh at a time, whoever asks. */
  const refreshOnce = (): Promise<void> => (pending ??= refresh().finally(() => (pending = null)))

  let timer: NodeJS.Timeout
  const schedule = (delay: number): void => {
    timer = setTimeout(() => {
      refreshOnce().then(
        () => schedule(refreshEvery),
        () => schedule(retryAfter),
      )
    }, delay).unref()
  }
  schedule(0)

  return {
    options,
    async keys() {
      // A caller does not wait for a provider that failed a moment ago: the background refresh will find it again.
      if (fetchedAt === null && pending === null && clock() - failedAt < retryAfter) throw new Error(lastFailure ?? '')
      if (fetchedAt === null) await refreshOnce()
      if (remote === null) throw new Error('the keys are not known yet')
      return remote
    },
    state: () => ({
      issuer: options.issuer,
      keyAge: fetchedAt === null ? null : (clock() - fetchedAt) / 1000,
      lastFailure,
    }),
    stop: () => clearTimeout(timer),
  }
}

/** The address of the provider's JWKS. The document's issuer must be the configured one, to the letter. */
async function discoverKeys(issuer: string): Promise<URL> {
  // The configuration lets plain http through for this machine only (RFC 8252 §8.3 reasons the same way).
  const plain = issuer.startsWith('http:')
  const found = await discovery(new URL(issuer), 'bailiwick', undefined, undefined, {
    timeout: timeout / 1000,
    ...(plain ? { execute: [allowInsecureRequests] } : {}),
  })
  const metadata = found.serverMetadata()
  if (metadata.issuer !== issuer) {
    throw new Error(`the discovery document names the issuer ${metadata.issuer}, configured is ${issuer}`)
  }
  if (metadata.jwks_uri === undefined) throw new Error(`the discovery document of ${issuer} has no jwks_uri`)
  const jwks = new URL(metadata.jwks_uri)
  if (jwks.protocol !== 'https:' && !plain) throw new Error(`the jwks_uri of ${issuer} is not https`)
  return jwks
}
