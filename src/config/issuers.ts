import { z } from 'zod'
import type { IssuerOptions } from '../identity/issuer.ts'
import { checkCluster, keys, tokenReview, withFiles } from './kubernetes.ts'
import type { SecretFiles } from './secrets.ts'
import { duration, listOf, nonEmpty, secureUrl, settings, text } from './values.ts'

export { secureUrl } from './values.ts'

// Asymmetric algorithms only: with HS256 whoever can check a token can also make one.
export const algorithm = z.enum(
  ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'],
  { error: 'must be an asymmetric signature algorithm such as RS256 or ES256' },
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
  keys: keys.optional(),
  tokenReview: tokenReview.optional(),
}).superRefine((given, context) => {
  for (const [path, message] of checkCluster(given)) context.addIssue({ code: 'custom', path: [...path], message })
})

/** What the identity room is told of an issuer. `at` is the setting it comes from, such as `identity.issuers[0]`. */
export function toIssuer(written: z.output<typeof issuer>, at: string, files: SecretFiles): IssuerOptions {
  const { tokenTypes, clientIds = [], nameClaim, introspection, maxAge, clockTolerance, ...others } = written
  const { keys: known, tokenReview: review, ...rest } = others
  return {
    ...rest,
    clientIds,
    ...(tokenTypes === undefined ? {} : { tokenTypes }),
    ...(introspection === undefined ? {} : { introspection }),
    ...(nameClaim === undefined ? {} : { nameClaim }),
    ...(known === undefined ? {} : { keys: withFiles(known, `${at}.keys`, files) }),
    ...(review === undefined ? {} : { tokenReview: withFiles(review, `${at}.tokenReview`, files) }),
    maxAge: maxAge / 1000,
    clockTolerance: clockTolerance / 1000,
  }
}
