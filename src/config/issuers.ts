import { z } from 'zod'
import type { IssuerOptions } from '../identity/issuer.ts'
import { duration, isSecure, listOf, nonEmpty, settings, text, url } from './values.ts'

// Asymmetric algorithms only: with HS256 whoever can check a token can also make one.
export const algorithm = z.enum(
  ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'],
  { error: 'must be an asymmetric signature algorithm such as RS256 or ES256' },
)

/** A URL of a provider: nobody may be able to put in another answer on the way. */
export const secureUrl = url.refine(
  isSecure,
  'must be https; plain http only on this machine (localhost, 127.0.0.1, [::1])',
)

/** An issuer of `identity.issuers`. */
export const issuer = settings({
  issuer: secureUrl,
  audience: listOf(nonEmpty, 'audience'),
  clientIds: listOf(nonEmpty, 'client id').optional(),
  algorithms: listOf(algorithm, 'algorithm').default(['RS256', 'ES256']),
  tokenTypes: listOf(
    nonEmpty.transform((type) => type.toLowerCase().replace(/^application\//, '')),
    'type',
  ).optional(),
  acceptIdTokens: z.boolean({ error: 'must be true or false' }).default(false),
  groupsClaim: nonEmpty.default('groups'),
  groupPrefix: text.default(''),
  nameClaim: nonEmpty.optional(),
  maxAge: duration.prefault('24h'),
  clockTolerance: duration.prefault('30s'),
  introspection: settings({ clientId: nonEmpty, clientSecret: nonEmpty }).optional(),
})

/** What the identity room is told of an issuer. */
export const toIssuer = (written: z.output<typeof issuer>): IssuerOptions => {
  const { tokenTypes, clientIds = [], nameClaim, introspection, maxAge, clockTolerance, ...rest } = written
  return {
    ...rest,
    clientIds,
    ...(tokenTypes === undefined ? {} : { tokenTypes }),
    ...(introspection === undefined ? {} : { introspection }),
    ...(nameClaim === undefined ? {} : { nameClaim }),
    maxAge: maxAge / 1000,
    clockTolerance: clockTolerance / 1000,
  }
}
