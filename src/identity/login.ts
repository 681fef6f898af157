import { decodeProtectedHeader } from 'jose'
import type { JWTPayload } from 'jose'
import {
  Configuration,
  None,
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  buildEndSessionUrl,
  calculatePKCECodeChallenge,
  clockTolerance,
  customFetch,
  enableNonRepudiationChecks,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
  refreshTokenGrant,
  tokenRevocation,
} from 'openid-client'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { readIdentity } from './claims.ts'
import type { Person } from './claims.ts'
import { boundedFetch } from './fetch.ts'
import type { IssuerOptions } from './issuer.ts'
import { providerTimeout } from './limits.ts'
import { failureOf } from './login-failure.ts'
import type { LoginFailure } from './login-failure.ts'
import { discoverProvider, secretAuth } from './provider.ts'

/** The gateway as a client of the provider. */
export interface LoginOptions {
  readonly issuer: IssuerOptions
  readonly clientId: string
  /** Absent for a public client. */
  readonly clientSecret?: string
  readonly scopes: readonly string[]
  /** Where the browser comes back to. Configured, never taken from a request. */
  readonly callbackUrl: string
  /** Where the browser comes back to after a logout at the provider. */
  readonly loggedOutUrl: string
}

/** What must be remembered between the redirect to the provider and the way back. */
export interface Flow {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

/** What the provider vouches for. */
export interface Vouched {
  readonly person: Person
  readonly sid: string | null
  /** Unix seconds. */
  readonly issuedAt: number
  /** Seconds; null where the provider does not say. */
  readonly expiresIn: number | null
  readonly refreshToken: string | null
  readonly idToken: string | null
}

/** Logging in with a browser at one provider: authorization code with PKCE (RFC 6749, RFC 7636, OpenID Connect Core). */
export interface Login {
  readonly issuer: string
  begin(): Promise<Result<{ readonly url: string; readonly flow: Flow }, LoginFailure>>
  /** `query` is what the browser brought back, without the question mark. */
  finish(query: string, flow: Flow): Promise<Result<Vouched, LoginFailure>>
  /** Asks the provider to vouch once more for the same person. */
  refresh(refreshToken: string, before: Person): Promise<Result<Vouched, LoginFailure>>
  /** Where the provider's own session is ended; null where it does not say, or cannot be reached. */
  endSessionUrl(idToken: string | null): Promise<string | null>
  /** Withdraws a refresh token at the provider, if it lets us. */
  revoke(refreshToken: string): Promise<void>
}

/** Runs something with the provider; what it throws becomes a failure. */
type Attempt = <T>(run: (config: Configuration) => Promise<T>) => Promise<Result<T, LoginFailure>>

/** Discovery waits until somebody logs in: a provider that is down does not stop the gateway. */
export function openLogin(options: LoginOptions, clock: () => number): Login {
  const { issuer, loggedOutUrl } = options
  const provider = lazily(() => discover(options), clock)
  const attempt: Attempt = async (run) => {
    try {
      return ok(await run(await provider()))
    } catch (error) {
      return fail(failureOf(error))
    }
  }
  return {
    issuer: issuer.issuer,
    begin: () => attempt((config) => begin(config, options)),
    async finish(query, flow) {
      const granted = await attempt((config) => redeem(config, new URL(`${options.callbackUrl}?${query}`), flow))
      if (!granted.ok) return granted
      const { expires_in: lifetime, refresh_token: refreshToken } = granted.value
      if (lifetime !== undefined && lifetime < leastLifetime && refreshToken === undefined) {
        return fail({ code: 'too_short', detail: `expires_in is ${lifetime}, and there is no refresh token` })
      }
      return readGrant(granted.value, granted.value.claims(), issuer, clock)
    },
    async refresh(refreshToken, before) {
      const granted = await attempt((config) => refreshTokenGrant(config, refreshToken))
      if (!granted.ok) return granted
      const claims = granted.value.claims()
      // OpenID Connect Core §12.2: the answer may have no ID token; then the person is who they were.
      if (claims === undefined) return ok({ person: before, sid: null, issuedAt: 0, ...tokensOf(granted.value) })
      const renewed = readGrant(granted.value, claims, issuer, clock)
      if (!renewed.ok || renewed.value.person.subject === before.subject) return renewed
      return fail({ code: 'rejected', detail: 'the provider renewed the session for somebody else' })
    },
    async endSessionUrl(idToken) {
      const hint = idToken === null ? {} : { id_token_hint: idToken }
      const parameters = { ...hint, post_logout_redirect_uri: loggedOutUrl }
      const url = await attempt(async (config) => buildEndSessionUrl(config, parameters).href)
      return url.ok ? url.value : null
    },
    async revoke(refreshToken) {
      await attempt((config) => tokenRevocation(config, refreshToken, { token_type_hint: 'refresh_token' }))
    },
  }
}

async function begin(config: Configuration, { callbackUrl, scopes }: LoginOptions) {
  const flow = { state: randomState(), nonce: randomNonce(), verifier: randomPKCECodeVerifier() }
  const url = buildAuthorizationUrl(config, {
    redirect_uri: callbackUrl,
    scope: scopes.join(' '),
    state: flow.state,
    nonce: flow.nonce,
    code_challenge: await calculatePKCECodeChallenge(flow.verifier),
    code_challenge_method: 'S256',
  })
  return { url: url.href, flow }
}

const redeem = (config: Configuration, answer: URL, { state, nonce, verifier }: Flow) =>
  authorizationCodeGrant(config, answer, {
    expectedState: state,
    expectedNonce: nonce,
    pkceCodeVerifier: verifier,
    idTokenExpected: true,
  })

interface Grant {
  readonly expires_in?: number
  readonly refresh_token?: string
  readonly id_token?: string
}

const tokensOf = (grant: Grant): Pick<Vouched, 'expiresIn' | 'refreshToken' | 'idToken'> => ({
  expiresIn: grant.expires_in ?? null,
  refreshToken: grant.refresh_token ?? null,
  idToken: grant.id_token ?? null,
})

/** The library has verified the ID token; how its claims are read, and which algorithms count, is the configuration's. */
function readGrant(
  grant: Grant,
  claims: JWTPayload | undefined,
  issuer: IssuerOptions,
  clock: () => number,
): Result<Vouched, LoginFailure> {
  const { alg = '' } = decodeProtectedHeader(grant.id_token ?? '')
  if (claims === undefined || !issuer.algorithms.includes(alg)) {
    return fail({
      code: 'rejected',
      detail: `the ID token is signed with ${alg}, which identity.issuers does not name`,
    })
  }
  const person = readIdentity(claims, issuer, clock)
  if (!person.ok) return fail({ code: 'claims', detail: person.error })
  const { sid } = claims
  return ok({
    person: person.value,
    sid: typeof sid === 'string' ? sid : null,
    issuedAt: claims.iat ?? 0,
    ...tokensOf(grant),
  })
}

/** Seconds. A session that ends sooner would send the browser round in circles. */
const leastLifetime = 10

const discoverEvery = 60 * 60_000
/** A caller does not wait for a provider that failed a moment ago. */
const atLeast = 5_000

/** What `discover` finds, kept for an hour; longer where it cannot be had again. */
function lazily(discover: () => Promise<Configuration>, clock: () => number): () => Promise<Configuration> {
  let found: Configuration | null = null
  let failure: unknown = null
  let askedAt = Number.NEGATIVE_INFINITY
  let pending: Promise<Configuration> | null = null
  async function ask(): Promise<Configuration> {
    askedAt = clock()
    try {
      found = await discover()
    } catch (error) {
      failure = error
      if (found === null) throw error
    }
    return found
  }
  return async () => {
    const age = clock() - askedAt
    if (found !== null && age < discoverEvery) return found
    if (pending === null && found === null && age < atLeast) throw failure
    return (pending ??= ask().finally(() => (pending = null)))
  }
}

async function discover({ issuer, clientId, clientSecret }: LoginOptions): Promise<Configuration> {
  const server = (await discoverProvider({ issuer: issuer.issuer, clientId })).serverMetadata()
  const auth = clientSecret === undefined ? None() : secretAuth(server, clientSecret)
  const config = new Configuration(server, clientId, { [clockTolerance]: issuer.clockTolerance }, auth)
  config.timeout = providerTimeout / 1000
  config[customFetch] = boundedFetch()
  // The configuration lets plain http through for this machine only.
  if (issuer.issuer.startsWith('http:')) allowInsecureRequests(config)
  // Otherwise the library would trust the connection alone, and not check who signed the ID token.
  enableNonRepudiationChecks(config)
  return config
}
