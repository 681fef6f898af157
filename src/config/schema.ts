import { z } from 'zod'

const listOf = <T extends z.ZodType>(item: T, what: string) =>
  z.array(item, { error: 'must be a list' }).min(1, `must name at least one ${what}`)
const settings = <T extends z.ZodRawShape>(shape: T) =>
  z.strictObject(shape, {
    error: ({ code }) =>
      code === 'invalid_type' ? 'must be settings, each on a line of its own as "name: value"' : undefined,
  })
const text = z.string({ error: 'must be a text' })
const nonEmpty = text.min(1, 'must not be empty')

const webAddress = 'must be an http or https URL such as https://example.org'
const url = z
  .url({ protocol: /^https?$/, error: webAddress })
  .refine(isBare, 'must be a URL without a user name, password, query or fragment')

/** The longest delay of a timer is 2^31-1 ms; a longer one would fire at once. */
const maxHours = 596
const durationForm = 'must be a duration such as 500ms, 30s, 2m or 1h'

/** `10s`, `2m`, `500ms`, `1h` → milliseconds. */
const duration = z
  .string({ error: durationForm })
  .regex(/^\d{1,10}(ms|s|m|h)$/, durationForm)
  .transform((written) => {
    const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[written.replace(/^\d+/, '')] ?? 0
    return Number.parseInt(written, 10) * unit
  })
  .refine((milliseconds) => milliseconds <= maxHours * 3_600_000, `must be at most ${maxHours}h`)

const addressForm = 'must be host:port, for example 127.0.0.1:9080 or 0.0.0.0:9080'

/** `host:port`; an IPv6 host in brackets. Port 0 asks the system for a free one. */
const address = z
  .string({ error: addressForm })
  .regex(/^(\[[\da-fA-F:]+\]|[^:[\]\s]+):\d{1,5}$/, addressForm)
  .transform((written) => {
    const colon = written.lastIndexOf(':')
    return { host: written.slice(0, colon).replaceAll(/[[\]]/g, ''), port: Number(written.slice(colon + 1)) }
  })
  .refine(({ port }) => port <= 65_535, 'the port must be at most 65535')

const cluster = settings({
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

// Asymmetric algorithms only: with HS256 whoever can check a token can also make one.
const algorithm = z.enum(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'], {
  error: 'must be an asymmetric signature algorithm such as RS256 or ES256',
})

const issuer = settings({
  issuer: url.refine(isSecure, 'must be https; plain http only on this machine (localhost, 127.0.0.1, [::1])'),
  audience: listOf(nonEmpty, 'audience'),
  algorithms: listOf(algorithm, 'algorithm').default(['RS256', 'ES256']),
  groupsClaim: nonEmpty.default('groups'),
  groupPrefix: text.default(''),
  clockTolerance: duration.prefault('30s'),
})

/**
 * The whole file; `docs/configuration.md` says what each setting does. Unknown keys are errors: a misspelt setting must
 * not silently fall back to its default.
 */
export const schema = settings({
  publicUrl: url.optional(),
  listen: address.prefault('127.0.0.1:9080'),
  admin: address.prefault('127.0.0.1:9081'),
  clusters: listOf(cluster, 'cluster'),
  identity: settings({ issuers: listOf(issuer, 'issuer') }),
  policy: settings({ model: nonEmpty, rules: listOf(nonEmpty, 'file') }),
  audit: settings({ directory: nonEmpty }),
  log: settings({
    level: z.enum(['debug', 'info', 'warn', 'error'], { error: 'must be debug, info, warn or error' }).default('info'),
  }).prefault({}),
  shutdown: settings({ grace: duration.prefault('25s') }).prefault({}),
})

export type Settings = z.output<typeof schema>

function isBare(written: string): boolean {
  if (!URL.canParse(written)) return true
  const { username, password } = new URL(written)
  return username === '' && password === '' && !/[?#]/.test(written)
}

/** RFC 8252 §8.3 lets plain http be used on the loopback interface for the same reason: nobody else is on the way. */
function isSecure(written: string): boolean {
  if (!URL.canParse(written)) return true
  const { protocol, hostname } = new URL(written)
  return protocol === 'https:' || hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)
}
