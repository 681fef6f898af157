import { decodeJwt, decodeProtectedHeader, errors, jwtVerify } from 'jose'
import type { JWTPayload } from 'jose'
import { readGroups, readName } from '../claims.ts'
import { refused } from '../identity.ts'
import type { Credentials, Identified, IdentitySource } from '../identity.ts'
import type { IssuerKeys } from '../issuer.ts'
import { maxGroups, maxSubjectLength, maxTokenLength } from '../limits.ts'

/** Tokens that are signed by the same issuer for the same audience, but say something else than "this is me". */
const otherKinds = new Set(['logout+jwt', 'dpop+jwt', 'secevent+jwt'])

/**
 * Bearer tokens in the `Authorization` header (RFC 6750 §2.1): JWTs (RFC 7519) checked after RFC 8725, with issuer,
 * audience, algorithm and the claims `exp`, `iat` and `sub` all required. Tokens in the URL or body are never read.
 */
export function bearerSource(issuers: readonly IssuerKeys[], clock: () => number): IdentitySource {
  const byIssuer = new Map(issuers.map((keys) => [keys.options.issuer, keys]))
  return {
    name: 'bearer',
    async identify(credentials: Credentials): Promise<Identified> {
      const sent = credentials.header('authorization')
      const [header] = sent
      if (header === undefined) return { is: 'absent' }
      if (sent.length > 1) {
        return refused('malformed_credentials', 'more than one Authorization header was sent: send exactly one')
      }
      const token = /^Bearer +([\w~+/.-]+=*) *$/i.exec(header)?.[1]
      if (token === undefined) {
        return refused('malformed_credentials', 'the Authorization header must be "Bearer <token>"')
      }
      return verify(token, byIssuer, clock)
    },
  }
}

async function verify(
  token: string,
  issuers: ReadonlyMap<string, IssuerKeys>,
  clock: () => number,
): Promise<Identified> {
  if (token.length > maxTokenLength) {
    return refused('invalid_token', `the token is longer than ${maxTokenLength} characters`)
  }
  const issuer = findIssuer(token, issuers)
  if (issuer === null) {
    return refused('invalid_token', 'the token is not a signed JWT of an issuer that this gateway trusts')
  }
  let keys
  try {
    keys = await issuer.keys()
  } catch {
    return refused('issuer_unavailable', `the keys of ${issuer.options.issuer} cannot be had just now: try again soon`)
  }
  const { audience, algorithms, clockTolerance } = issuer.options
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keys, {
      issuer: issuer.options.issuer,
      audience: [...audience],
      algorithms: [...algorithms],
      requiredClaims: ['exp', 'iat', 'sub'],
      clockTolerance,
      currentDate: new Date(clock()),
    })
    return readIdentity(payload, protectedHeader.typ, issuer, clock)
  } catch (error) {
    return refusalFor(error, issuer)
  }
}

/** The unverified `iss` is used for one thing only: to pick the verifier, which then checks it. */
function findIssuer(token: string, issuers: ReadonlyMap<string, IssuerKeys>): IssuerKeys | null {
  try {
    decodeProtectedHeader(token)
    return issuers.get(decodeJwt(token).iss ?? '') ?? null
  } catch {
    return null
  }
}

function readIdentity(
  claims: JWTPayload,
  type: string | undefined,
  { options }: IssuerKeys,
  clock: () => number,
): Identified {
  const { sub, iat } = claims
  const kind = (type ?? '').toLowerCase().replace(/^application\//, '')
  if (otherKinds.has(kind)) return refused('invalid_token', `a ${kind} token does not say who is asking`)
  if ('cnf' in claims) {
    return refused('invalid_token', 'the token is bound to a key (cnf) and cannot be used as a plain bearer token')
  }
  if (typeof sub !== 'string' || sub === '' || sub.length > maxSubjectLength) {
    return refused('invalid_token', `the token's sub must have 1 to ${maxSubjectLength} characters`)
  }
  if (typeof iat !== 'number' || iat * 1000 > clock() + options.clockTolerance * 1000) {
    return refused('invalid_token', "the token's iat lies in the future: compare the clocks")
  }
  const groups = readGroups(claims, options.groupsClaim)
  if (groups === null || groups.length > maxGroups) {
    return refused(
      'invalid_token',
      `the token's claim ${options.groupsClaim} is not a list of at most ${maxGroups} strings`,
    )
  }
  return {
    is: 'known',
    identity: {
      issuer: options.issuer,
      subject: sub,
      name: readName(claims),
      groups: groups.map((group) => options.groupPrefix + group),
      via: 'bearer',
    },
  }
}

/** What the caller is told. Only the caller's own claims and our configured audience are named, never the token. */
function refusalFor(error: unknown, { options }: IssuerKeys): Identified {
  if (error instanceof errors.JWTExpired) {
    const at = new Date((error.payload.exp ?? 0) * 1000).toISOString()
    return refused('invalid_token', `the token expired at ${at}: get a fresh one`)
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') {
      const wanted = options.audience.join(' or ')
      return refused('invalid_token', `the token is for another audience: ask the issuer for one for ${wanted}`)
    }
    return refused('invalid_token', `the token's claim ${error.claim} is ${error.reason}`)
  }
  if (error instanceof errors.JOSEAlgNotAllowed || error instanceof errors.JOSENotSupported) {
    return refused('invalid_token', `the token's signature algorithm is not one of ${options.algorithms.join(', ')}`)
  }
  if (
    error instanceof errors.JWKSTimeout ||
    !(error instanceof errors.JOSEError) ||
    error.code === 'ERR_JOSE_GENERIC'
  ) {
    return refused('issuer_unavailable', `the keys of ${options.issuer} cannot be had just now: try again soon`)
  }
  return refused('invalid_token', "the token's signature is not one of the issuer's, or it is not a JWT")
}
