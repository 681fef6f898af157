import { z } from 'zod'
import { secureUrl } from './issuers.ts'
import { listOf, nonEmpty, settings, text } from './values.ts'

/** `identity.cli`: how `bailiwick login` logs people in. */
export const cliClient = settings({
  issuer: secureUrl,
  clientId: nonEmpty,
  scopes: listOf(nonEmpty, 'scope').default(['openid', 'profile', 'email']),
  parameters: z
    .record(nonEmpty, text, { error: 'must be settings, each on a line of its own as "name: value"' })
    .optional(),
})
