import { z } from 'zod'
import { duration, isSecure, listOf, nonEmpty, settings, text, url } from './values.ts'

// Asymmetric algorithms only: with HS256 whoever can check a token can also make one.
const algorithm = z.enum(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'], {
  error: 'must be an asymmetric signature algorithm such as RS256 or ES256',
})

/** An issuer of `identity.issuers`. */
export const issuer = settings({
  issuer: url.refine(isSecure, 'must be https; plain http only on this machine (localhost, 127.0.0.1, [::1])'),
  audience: listOf(nonEmpty, 'audience'),
  algorithms: listOf(algorithm, 'algorithm').default(['RS256', 'ES256']),
  groupsClaim: nonEmpty.default('groups'),
  groupPrefix: text.default(''),
  clockTolerance: duration.prefault('30s'),
})
