import { errors, jwtVerify } from 'jose'
import type { JWTPayload } from 'jose'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import type { IssuerKeys, Keys } from './issuer.ts'
import { maxKept, maxLogoutTokenAge, maxSubjectLength, maxTokenLength } from './limits.ts'
import type { Withdrawal } from './revocations.ts'

/** Why a logout token was not followed. `detail` is for the log and holds nothing of the token. */
export interface LogoutTokenRefusal {
  readonly code: 'invalid_token' | 'replayed' | 'issuer_unavailable'
  readonly detail: string
}

/** Checks logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.6). */
export interface LogoutTokens {
  verify(token: string): Promise<Result<Withdrawal, LogoutTokenRefusal>>
}

const event = 'http://schemas.openid.net/event/backchannel-logout'

/** Each token counts once: its `jti` is kept in mind for as long as it would be accepted. */
export function openLogoutTokens(keys: IssuerKeys, clientId: string, clock: () => number): LogoutTokens {
  const seen = new Map<string, number>()
  function isNew(jti: string): boolean {
    const now = clock()
    for (const [old, until] of seen) {
      if (until > now) break
      seen.delete(old)
    }
    if (seen.has(jti) || seen.size >= maxKept) return false
    seen.set(jti, now + (maxLogoutTokenAge + 2 * keys.options.clockTolerance) * 1000)
    return true
  }
  return {
    async verify(token) {
      if (token === '' || token.length > maxTokenLength) return invalid('its length')
      let claims: JWTPayload
      try {
        claims = await verifySigned(token, keys, clientId, clock)
      } catch (error) {
        if (error instanceof errors.JOSEError) return invalid(reasonOf(error))
        return fail({ code: 'issuer_unavailable', detail: error instanceof Error ? error.message : String(error) })
      }
      const read = readClaims(claims, keys.options.issuer)
      if (!read.ok) return read
      return isNew(String(claims.jti)) ? read : fail({ code: 'replayed', detail: 'its jti was seen already' })
    },
  }
}

const invalid = (detail: string): Result<never, LogoutTokenRefusal> => fail({ code: 'invalid_token', detail })

const reasonOf = (error: errors.JOSEError): string =>
  error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired
    ? `its ${error.claim} is ${error.reason}`
    : error.code

async function verifySigned(token: string, keys: IssuerKeys, audience: string, clock: () => number) {
  const { issuer, algorithms, clockTolerance } = keys.options
  const verify = async ({ find }: Keys): Promise<JWTPayload> => {
    const { payload } = await jwtVerify(token, find, {
      issuer,
      audience,
      algorithms: [...algorithms],
      typ: 'logout+jwt',
      requiredClaims: ['exp', 'iat', 'jti', 'events'],
      clockTolerance,
      maxTokenAge: maxLogoutTokenAge,
      currentDate: new Date(clock()),
    })
    return payload
  }
  const known = await keys.keys()
  try {
    return await verify(known)
  } catch (error) {
    // The key may be a new one.
    const again = error instanceof errors.JWKSNoMatchingKey && (await keys.refresh())
    if (!again) throw error
    return verify(await keys.keys())
  }
}

function readClaims(claims: JWTPayload, issuer: string): Result<Withdrawal, LogoutTokenRefusal> {
  const { sub, jti, iat = 0 } = claims
  const { sid, events } = claims
  if ('nonce' in claims) return invalid('it has a nonce')
  if (typeof events !== 'object' || events === null || !Object.hasOwn(events, event)) return invalid('its events')
  const member: unknown = Reflect.get(events, event)
  if (typeof member !== 'object' || member === null || Array.isArray(member)) return invalid('its events')
  if (!isName(jti)) return invalid('its jti')
  if (sub === undefined && sid === undefined) return invalid('it names neither sub nor sid')
  if ((sub !== undefined && !isName(sub)) || (sid !== undefined && !isName(sid))) return invalid('its sub or sid')
  return ok({ issuer, subject: sub ?? null, sid: sid ?? null, issuedAt: iat })
}

const isName = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= maxSubjectLength
