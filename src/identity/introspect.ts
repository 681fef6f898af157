import type { JWTPayload } from 'jose'
import { tokenIntrospection } from 'openid-client'
import type { Configuration } from 'openid-client'
import { readIdentity } from './claims.ts'
import { refused } from './identity.ts'
import type { Identified } from './identity.ts'
import type { IssuerOptions } from './issuer.ts'
import { maxIntrospections } from './limits.ts'
import { discoverProvider } from './provider.ts'
import { hashOf, rememberTokens, shortHash } from './remembered.ts'
import type { Introspect } from './token.ts'

/** An issuer that says what its opaque tokens stand for, and the gateway's own account there. */
export interface IntrospectionOptions {
  readonly issuer: IssuerOptions
  readonly clientId: string
  readonly clientSecret: string
}

/** Longest time for which an answer is remembered, in milliseconds: a withdrawn token works that long still. */
const rememberFor = 60_000
/** How long "not active" is remembered, and how long a provider that failed is left alone. */
const pause = 5_000

/**
 * Asks the issuer what an opaque token stands for (RFC 7662). A yes is remembered for a minute at most, a no and a
 * failure for a few seconds; one token is asked about once at a time, and only so many tokens together.
 */
export function openIntrospection(options: IntrospectionOptions, clock: () => number): Introspect {
  const { issuer } = options
  const remembered = rememberTokens(clock)
  const inactive = new Map<string, number>()
  const pending = new Map<string, Promise<Identified>>()
  let provider: Promise<Configuration> | null = null
  let failedAt = Number.NEGATIVE_INFINITY
  const unavailable = refused(
    'issuer_unavailable',
    `${issuer.issuer} cannot say just now whom the token stands for: try again soon`,
  )

  async function ask(token: string, hash: string): Promise<Identified> {
    try {
      provider ??= discoverProvider({ ...options, issuer: issuer.issuer })
      const claims = await tokenIntrospection(await provider, token)
      const judged = judge(claims, hash, issuer, clock)
      if (judged.is === 'known') {
        const { identity } = judged
        const until = Math.min(clock() + rememberFor, (identity.expires ?? Number.POSITIVE_INFINITY) * 1000)
        remembered.keep(hash, { identity, until, valid: () => true })
      } else remember(inactive, hash, clock())
      return judged
    } catch {
      provider = null
      failedAt = clock()
      return unavailable
    }
  }

  return async (token) => {
    const hash = hashOf(token)
    const known = remembered.find(hash)
    if (known !== null) return { is: 'known', identity: known }
    if (clock() - (inactive.get(hash) ?? Number.NEGATIVE_INFINITY) < pause) return notActive
    const asked = pending.get(hash)
    if (asked !== undefined) return asked
    if (clock() - failedAt < pause || pending.size >= maxIntrospections) return unavailable
    const asking = ask(token, hash).finally(() => pending.delete(hash))
    pending.set(hash, asking)
    return asking
  }
}

const notActive = refused('invalid_token', 'the token is not active, or not known to its issuer: get a fresh one')

/** Keeps the newest few thousand; which of the older ones are forgotten does not matter. */
function remember(inactive: Map<string, number>, hash: string, now: number): void {
  if (inactive.size >= 4_096) inactive.clear()
  inactive.set(hash, now)
}

/** What the issuer said is checked again: it may hold a token of anybody for anything. */
function judge(
  { active, ...claims }: JWTPayload & { readonly active: boolean },
  hash: string,
  issuer: IssuerOptions,
  clock: () => number,
): Identified {
  // The library has seen to it that this is a boolean (RFC 7662 §2.2), not just something truthy.
  if (!active) return notActive
  const { iss, exp, nbf } = claims
  if (iss !== undefined && iss !== issuer.issuer) return refused('invalid_token', 'the token is of another issuer')
  const now = clock() / 1000
  if (typeof exp === 'number' && exp + issuer.clockTolerance <= now) {
    return refused('invalid_token', 'the token expired: get a fresh one')
  }
  if (typeof nbf === 'number' && nbf - issuer.clockTolerance > now) {
    return refused('invalid_token', 'the token is not valid yet: compare the clocks')
  }
  const audiences = [claims.aud ?? []].flat()
  const forUs = audiences.some((one) => issuer.audience.includes(one))
  const ofClient = audiences.length === 0 && issuer.clientIds.includes(String(claims['client_id']))
  if (!forUs && !ofClient) return refused('invalid_token', 'the token is for another audience')
  if ('cnf' in claims) return refused('invalid_token', 'the token is bound to a key (cnf)')
  const person = readIdentity(claims, issuer, clock)
  if (!person.ok) return refused('invalid_token', person.error)
  const expires = typeof exp === 'number' ? { expires: exp } : {}
  return { is: 'known', identity: { ...person.value, via: 'bearer', credential: shortHash(hash), ...expires } }
}
