import { z } from 'zod'
import { duration, settings, text, url } from './values.ts'

/** A cluster of `clusters`. */
export const cluster = settings({
  name: text.regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be a name of a-z, 0-9 and -, at most 63 characters'),
  notices: z.boolean({ error: 'must be true or false' }).default(true),
  prometheus: settings({
    url,
    // Above Prometheus's own query timeout of two minutes, so that it is Prometheus that says so.
    timeout: duration.refine((milliseconds) => milliseconds > 0, 'must be longer than 0').prefault('130s'),
    // RFC 6750 §2.1: what a bearer token may consist of.
    bearerToken: text
      .regex(/^[\w~+/.-]+=*$/, 'must be a bearer token: letters, digits and -._~+/ with = at its end only')
      .optional(),
  }),
})
