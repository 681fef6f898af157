import { refused } from '../identity.ts'
import type { Credentials, Identified, IdentitySource } from '../identity.ts'
import type { TokenVerifier } from '../token.ts'

/**
 * Tokens in the `Authorization` header: as a bearer token (RFC 6750 §2.1), or as the password of HTTP Basic (RFC 7617) for
 * clients that can send nothing else; the user name then says nothing. Tokens in the URL or the body are never read.
 */
export function bearerSource(verifier: TokenVerifier): IdentitySource {
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
      if (token !== undefined) return verifier.verify(token, { use: 'access-token', via: 'bearer' })
      const password = passwordOf(header)
      if (password !== null) return verifier.verify(password, { use: 'access-token', via: 'basic' })
      const forms = '"Bearer <token>", or Basic with the token as the password'
      return refused('malformed_credentials', `the Authorization header must be ${forms}`)
    },
  }
}

/** The password of HTTP Basic, where it can be a token; the user name ends at the first colon (RFC 7617 §2). */
function passwordOf(header: string): string | null {
  const encoded = /^Basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(header)?.[1]
  if (encoded === undefined) return null
  return /^[^:]*:([\w~+/.-]+=*)$/.exec(Buffer.from(encoded, 'base64').toString('latin1'))?.[1] ?? null
}
