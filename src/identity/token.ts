import { decodeJwt, decodeProtectedHeader, errors, jwtVerify } from 'jose'
import type { JWTVerifyResult } from 'jose'
import { readIdentity } from './claims.ts'
import { refused } from './identity.ts'
import type { Identified, Identity, SourceName } from './identity.ts'
import type { IssuerKeys, Keys } from './issuer.ts'
import { maxTokenLength } from './limits.ts'
import { hashOf, rememberTokens, shortHash } from './remembered.ts'
import { wrongKind } from './token-kind.ts'
import type { TokenUse } from './token-kind.ts'

/** What a token is taken for, and how the identity out of it says that it came. */
export interface TokenPlace {
  readonly use: TokenUse
  readonly via: SourceName
}

/** Checks tokens of any issuer that the gateway trusts. */
export interface TokenVerifier {
  /** Never throws and never answers *absent*. */
  verify(token: string, place: TokenPlace): Promise<Identified>
}

/** Says who an opaque token stands for. Never throws and never answers *absent*. */
export type Introspect = (token: string) => Promise<Identified>

/** What the verifier is made of. */
export interface VerifierParts {
  readonly issuers: readonly IssuerKeys[]
  readonly clock: () => number
  /** Asked about tokens that are no JWTs; where absent, those are refused. */
  readonly introspect?: Introspect
  /** Was this withdrawn since (by a logout at the provider)? */
  readonly revoked?: (token: VerifiedToken) => boolean
}

/** What a revocation can name of a verified token. */
export interface VerifiedToken {
  readonly issuer: string
  readonly subject: string
  /** The provider's session, where the token names it. */
  readonly sid: string | null
  /** Unix seconds. */
  readonly issuedAt: number
}

/**
 * A verifier that checks a JWT (RFC 7519) after RFC 8725: issuer, audience, algorithm, kind and the claims `exp`, `iat`
 * and `sub`. A token is verified once and then remembered by its hash until it expires or a key of its issuer changes.
 * Where the issuer can say that it no longer counts, that is asked beside.
 */
export function openTokenVerifier(parts: VerifierParts): TokenVerifier {
  const { clock, introspect } = parts
  const byIssuer = new Map(parts.issuers.map((keys) => [keys.options.issuer, keys]))
  const remembered = rememberTokens(clock)
  const inWay = openWays()
  return {
    async verify(token, place) {
      if (token.length > maxTokenLength) {
        return refused('invalid_token', `the token is longer than ${maxTokenLength} characters`)
      }
      const hash = hashOf(token)
      const key = `${place.use} ${hash}`
      const known = remembered.find(key)
      if (known !== null) {
        return confirmed(byIssuer.get(known.issuer), { token, hash }, inWay(known, place.via))
      }
      if (introspect !== undefined && place.use === 'access-token' && isOpaque(token)) {
        const said = await introspect(token)
        return said.is === 'known' ? { is: 'known', identity: inWay(said.identity, place.via) } : said
      }
      const issuer = findIssuer(token, byIssuer)
      if (issuer === null) {
        return refused('invalid_token', 'the token is not a signed JWT of an issuer that this gateway trusts')
      }
      const verified = await verifyWith(issuer, token, place, clock)
      if (!('payload' in verified)) return verified
      const read = readIdentity(verified.payload, issuer.options, clock)
      if (!read.ok) return refused('invalid_token', read.error)
      const { exp = 0, iat = 0, sid } = verified.payload
      const { maxAge, clockTolerance } = issuer.options
      const expires = Math.min(exp, iat + maxAge)
      const identity: Identity = { ...read.value, via: place.via, credential: shortHash(hash), expires }
      const facts = {
        issuer: identity.issuer,
        subject: identity.subject,
        sid: typeof sid === 'string' ? sid : null,
        issuedAt: iat,
      }
      const isRevoked = (): boolean => parts.revoked?.(facts) ?? false
      if (isRevoked()) return refused('invalid_token', 'the token was withdrawn by a logout: sign in again')
      const until = (expires + clockTolerance) * 1000
      const { version } = verified
      remembered.keep(key, { identity, until, valid: () => issuer.version() === version && !isRevoked() })
      return confirmed(issuer, { token, hash }, identity)
    },
  }
}

/**
 * Says of an identity how it came. For as long as that identity is remembered, the same way is the same object: whoever
 * keeps something with an identity finds it again.
 */
function openWays(): (identity: Identity, via: SourceName) => Identity {
  const others = new WeakMap<Identity, Map<SourceName, Identity>>()
  return (identity, via) => {
    if (identity.via === via) return identity
    const ways = others.get(identity) ?? new Map<SourceName, Identity>()
    const found = ways.get(via) ?? { ...identity, via }
    others.set(identity, ways.set(via, found))
    return found
  }
}

/** Where the issuer says whether a token still counts, it is asked for remembered tokens, too: it keeps its own time. */
async function confirmed(
  issuer: IssuerKeys | undefined,
  credential: { readonly token: string; readonly hash: string },
  identity: Identity,
): Promise<Identified> {
  const refusal = (await issuer?.confirm?.({ ...credential, subject: identity.subject })) ?? null
  return refusal === null ? { is: 'known', identity } : { is: 'refused', refusal }
}

/** A JWS has three parts (RFC 7515 §7.1), a JWE five: anything else means something to its issuer alone. */
const isOpaque = (token: string): boolean => ![3, 5].includes(token.split('.').length)

/** The unverified `iss` is used for one thing only: to pick the verifier, which then checks it. */
function findIssuer(token: string, issuers: ReadonlyMap<string, IssuerKeys>): IssuerKeys | null {
  try {
    decodeProtectedHeader(token)
    return issuers.get(decodeJwt(token).iss ?? '') ?? null
  } catch {
    return null
  }
}

type Verified = JWTVerifyResult & { readonly version: number }

async function verifyWith(
  issuer: IssuerKeys,
  token: string,
  { use }: TokenPlace,
  clock: () => number,
): Promise<Verified | Identified> {
  try {
    const verified = await verifySigned(issuer, token, use, clock)
    const wrong = wrongKind(verified, use, issuer.options)
    return wrong === null ? verified : refused('invalid_token', wrong)
  } catch (error) {
    return refusalFor(error, issuer, use)
  }
}

/** Where the key is not known, it may be a new one: then the keys are asked for once more. */
async function verifySigned(issuer: IssuerKeys, token: string, use: TokenUse, clock: () => number): Promise<Verified> {
  const { issuer: name, audience, clientIds, algorithms, clockTolerance, maxAge } = issuer.options
  const verify = async ({ find, version }: Keys): Promise<Verified> => ({
    version,
    ...(await jwtVerify(token, find, {
      issuer: name,
      audience: use === 'id-token' ? [...clientIds] : [...audience],
      algorithms: [...algorithms],
      requiredClaims: ['exp', 'iat', 'sub'],
      clockTolerance,
      maxTokenAge: maxAge,
      currentDate: new Date(clock()),
    })),
  })
  const keys = await keysOf(issuer)
  try {
    return await verify(keys)
  } catch (error) {
    const again = error instanceof errors.JWKSNoMatchingKey && (await issuer.refresh())
    if (!again) throw error
    return verify(await keysOf(issuer))
  }
}

class Unavailable extends Error {}

async function keysOf(issuer: IssuerKeys): Promise<Keys> {
  try {
    return await issuer.keys()
  } catch (error) {
    throw new Unavailable('no keys', { cause: error })
  }
}

/** What the caller is told. Only the caller's own claims and our configured audience are named, never the token. */
function refusalFor(error: unknown, { options }: IssuerKeys, use: TokenUse): Identified {
  if (error instanceof Unavailable) {
    return refused('issuer_unavailable', `the keys of ${options.issuer} cannot be had just now: try again soon`)
  }
  if (error instanceof errors.JWTExpired) {
    return refused('invalid_token', expired(error, options.maxAge))
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') {
      const wanted = use === 'id-token' ? options.clientIds : options.audience
      const remedy = wanted.length > 0 ? `ask the issuer for one for ${wanted.join(' or ')}` : 'none is taken here'
      return refused('invalid_token', `the token is for another audience: ${remedy}`)
    }
    return refused('invalid_token', `the token's claim ${error.claim} is ${error.reason}`)
  }
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported) {
    return refused('invalid_token', `the token's signature algorithm is not one of ${options.algorithms.join(', ')}`)
  }
  if (error instanceof errors.JWKSMultipleMatchingKeys) {
    return refused('invalid_token', 'the token does not say which of the keys signed it: its header needs a kid')
  }
  return refused('invalid_token', "the token's signature is not one of the issuer's, or it is not a JWT")
}

function expired({ claim, payload }: errors.JWTExpired, maxAge: number): string {
  if (claim === 'iat') return `the token was issued more than ${maxAge} s ago: get a fresh one`
  const at = new Date((payload.exp ?? 0) * 1000).toISOString()
  return `the token expired at ${at}: get a fresh one (Grafana renews it only with a refresh token: offline_access)`
}
