import type { JWTVerifyResult } from 'jose'
import type { IssuerOptions } from './issuer.ts'

/** What a token is presented as: a right to ask the gateway, or a client's proof of who logged in to it. */
export type TokenUse = 'access-token' | 'id-token'

/** Tokens of the same issuer for the same audience that say something else than "this is me", whatever is accepted. */
const otherKinds = new Set(['logout+jwt', 'dpop+jwt', 'secevent+jwt', 'token-introspection+jwt', 'userinfo+jwt'])

/** Claims that only an ID token has (OpenID Connect Core §2, §3.3.2.11). */
const idTokenClaims = ['nonce', 'at_hash', 'c_hash', 's_hash']

/**
 * Is a verified token of another kind than it is presented as (RFC 8725 §3.11)? Returns the sentence for the caller, or
 * null where it fits. Since not every provider types its tokens, claims that belong to one kind alone count too.
 */
export function wrongKind(
  { payload, protectedHeader }: Pick<JWTVerifyResult, 'payload' | 'protectedHeader'>,
  use: TokenUse,
  { tokenTypes, acceptIdTokens, clientIds }: IssuerOptions,
): string | null {
  const type = (protectedHeader.typ ?? '').toLowerCase().replace(/^application\//, '')
  if (otherKinds.has(type)) return `a ${type} token does not say who is asking`
  if ('cnf' in payload) return 'the token is bound to a key (cnf) and cannot be used as a plain bearer token'
  if ('events' in payload) return 'a security event token does not say who is asking'
  // Keycloak writes the kind into the claims, and JWT into the header of every kind.
  const claimed = typeof payload['typ'] === 'string' ? payload['typ'].toLowerCase() : ''
  if (use === 'id-token') {
    if (type === 'at+jwt' || claimed === 'bearer') return 'this is an access token where an ID token belongs'
    return wrongParty(payload, clientIds)
  }
  if (tokenTypes !== undefined && !tokenTypes.includes(type)) {
    return `the token's header typ is not one of ${tokenTypes.join(', ')}`
  }
  if (['refresh', 'offline', 'logout'].includes(claimed)) return 'a refresh or logout token does not say who is asking'
  // Keycloak before 25 puts a nonce into its access tokens as well.
  const isAccessToken = type === 'at+jwt' || claimed === 'bearer'
  const isIdToken = !isAccessToken && (claimed === 'id' || idTokenClaims.some((claim) => claim in payload))
  return isIdToken && !acceptIdTokens ? 'this is an ID token: send the access token' : null
}

/** OpenID Connect Core §3.1.3.7: an ID token for several audiences says in `azp` for whom it was made. */
function wrongParty({ aud, azp }: JWTVerifyResult['payload'], clientIds: readonly string[]): string | null {
  const several = Array.isArray(aud) && aud.length > 1
  if (azp === undefined && !several) return null
  return clientIds.includes(String(azp)) ? null : 'the ID token was made for another client (azp)'
}
