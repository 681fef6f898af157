import { createLocalJWKSet } from 'jose'
import type { JWTVerifyGetKey } from 'jose'
import { keySource } from './key-source.ts'
import { maxKeyAge } from './limits.ts'
import type { OwnCredentials } from './own-credentials.ts'
import { openTokenReview } from './token-review.ts'
import type { Confirm, TokenReviewOptions } from './token-review.ts'

/** An OpenID provider whose tokens are accepted, and how its tokens are read. */
export interface IssuerOptions {
  /** Exactly as in the tokens' `iss`. */
  readonly issuer: string
  /** An access token must name one of these in `aud`. */
  readonly audience: readonly string[]
  /** Clients whose ID tokens are taken where an ID token is asked for: each is an `aud` of such a token. */
  readonly clientIds: readonly string[]
  /** Accepted signature algorithms; asymmetric ones only. */
  readonly algorithms: readonly string[]
  /** Accepted `typ` headers, in lower case and without `application/`; where absent, any that is no other kind's. */
  readonly tokenTypes?: readonly string[]
  /** Are ID tokens for one of `audience` taken as bearer tokens? Some providers' access tokens cannot be checked. */
  readonly acceptIdTokens: boolean
  /** Claim that lists the groups: a name, or a JSON pointer (RFC 6901) such as `/realm_access/roles`. */
  readonly groupsClaim: string
  /** Put before every group of this issuer, so that two issuers' groups of the same name stay apart. */
  readonly groupPrefix: string
  /** Claim with the name for people to read; where absent, the first of the usual ones. */
  readonly nameClaim?: string
  /** Seconds after `iat` at which a token is too old, whatever its `exp` says. */
  readonly maxAge: number
  /** Seconds by which the issuer's clock and ours may differ. */
  readonly clockTolerance: number
  /** The gateway's own account at the issuer, to ask what opaque tokens stand for (RFC 7662). */
  readonly introspection?: { readonly clientId: string; readonly clientSecret: string }
  /** Where the keys are, for an issuer without discovery (Grafana, Kubernetes). */
  readonly keys?: KeysOptions
  /** The Kubernetes API server that is asked whether a token's pod and service account still live. */
  readonly tokenReview?: TokenReviewOptions
}

/** How to get keys without discovery. */
interface KeysOptions extends OwnCredentials {
  readonly url: string
}

/** How the keys of an issuer are doing, for readiness and metrics. */
export interface IssuerState {
  readonly issuer: string
  /** Seconds since the keys were last fetched; null as long as they never were. */
  readonly keyAge: number | null
  readonly lastFailure: string | null
}

/** The keys as they are now. */
export interface Keys {
  readonly find: JWTVerifyGetKey
  /** Changes when a key came or went. */
  readonly version: number
}

/** An issuer's signing keys, found by discovery and kept fresh in the background. */
export interface IssuerKeys {
  readonly options: IssuerOptions
  /** The keys, or a rejection while they cannot be had. */
  keys(): Promise<Keys>
  /** Asks for the keys again because one is missing, at most every few seconds. Says whether they were asked for. */
  refresh(): Promise<boolean>
  /** The version of {@link Keys} that is in force; null where there is none. */
  version(): number | null
  /** Asks whether a token that is good by itself still counts; absent where nobody is asked. */
  readonly confirm?: Confirm
  state(): IssuerState
  stop(): void
}

const refreshEvery = 5 * 60_000
/** The least time between two questions, whoever wants them. */
const atLeast = 5_000

/**
 * Starts discovery (OpenID Connect Discovery 1.0 / RFC 8414) and key fetching. A provider that is down at start does
 * not stop the gateway: it is asked again, and until then `keys()` rejects. Once fetched, keys outlive an outage of
 * the provider, for a day at most; a key that the provider withdrew stops working at the next refresh.
 */
export function openIssuer(options: IssuerOptions, clock: () => number): IssuerKeys {
  const { tokenReview, audience } = options
  const source = keySource(options, clock)
  const review = tokenReview && openTokenReview(tokenReview, audience, clock)
  let keys: Keys | null = null
  let printed = ''
  let fetchedAt = Number.NEGATIVE_INFINITY
  let askedAt = Number.NEGATIVE_INFINITY
  let lastFailure: string | null = null
  let pending: Promise<void> | null = null

  async function refresh(): Promise<void> {
    askedAt = clock()
    try {
      const jwks = await source()
      const text = JSON.stringify(jwks)
      if (keys === null || text !== printed) keys = { find: createLocalJWKSet(jwks), version: (keys?.version ?? 0) + 1 }
      printed = text
      fetchedAt = clock()
      lastFailure = null
    } catch (error) {
      lastFailure = error instanceof Error ? error.message : String(error)
      throw error
    }
  }
  /** One refresh at a time, whoever asks. */
  const refreshOnce = (): Promise<void> => (pending ??= refresh().finally(() => (pending = null)))
  const current = (): Keys | null => (clock() - fetchedAt > maxKeyAge ? null : keys)

  return {
    options,
    async keys() {
      // A caller does not wait for a provider that failed a moment ago: the background refresh will find it again.
      const waiting = pending === null && clock() - askedAt < atLeast
      if (current() === null && !waiting) await refreshOnce()
      const known = current()
      if (known === null) throw new Error(lastFailure ?? 'the keys are not known yet')
      return known
    },
    async refresh() {
      if (pending === null && clock() - askedAt < atLeast) return false
      await refreshOnce().catch(() => {})
      return true
    },
    version: () => current()?.version ?? null,
    ...(review && { confirm: review.confirm }),
    state: () => ({
      issuer: options.issuer,
      keyAge: keys === null ? null : (clock() - fetchedAt) / 1000,
      lastFailure: lastFailure ?? review?.lastFailure() ?? null,
    }),
    stop: repeat(refreshOnce),
  }
}

/** Runs now and every few minutes, after failures at growing intervals. Returns what ends it. */
function repeat(run: () => Promise<void>): () => void {
  let timer: NodeJS.Timeout
  const schedule = (delay: number, failures: number): void => {
    timer = setTimeout(() => {
      run().then(
        () => schedule(refreshEvery, 0),
        () => schedule(Math.min(atLeast * 2 ** failures, refreshEvery), Math.min(failures + 1, 10)),
      )
    }, delay).unref()
  }
  schedule(0, 0)
  return () => clearTimeout(timer)
}
