import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { z } from 'zod'

/** A list with at least one entry; `what` is what an entry is called. */
export const listOf = <T extends z.ZodType>(item: T, what: string) =>
  z.array(item, { error: 'must be a list' }).min(1, `must name at least one ${what}`)
/** A group of settings, none of them unknown: a misspelt one must not silently fall back to its default. */
export const settings = <T extends z.ZodRawShape>(shape: T) =>
  z.strictObject(shape, {
    error: ({ code }) =>
      code === 'invalid_type' ? 'must be settings, each on a line of its own as "name: value"' : undefined,
  })
export const text = z.string({ error: 'must be a text' })
export const nonEmpty = text.min(1, 'must not be empty')

const webAddress = 'must be an http or https URL such as https://example.org'
/** An http or https URL of scheme, host, port and path. */
export const url = z
  .url({ protocol: /^https?$/, error: webAddress })
  .refine(isBare, 'must be a URL without a user name, password, query or fragment')

/** A URL of a provider: nobody may be able to put in another answer on the way. */
export const secureUrl = url.refine(
  isSecure,
  'must be https; plain http only on this machine (localhost, 127.0.0.1, [::1])',
)

// RFC 6750 §2.1: what a bearer token may consist of.
export const bearerToken = text.regex(
  /^[\w~+/.-]+=*$/,
  'must be a bearer token: letters, digits and -._~+/ with = at its end only',
)

/** One certificate or several. */
export const certificates = text.refine(
  areCertificates,
  'must be certificates in PEM form (-----BEGIN CERTIFICATE-----)',
)

/** The longest delay of a timer is 2^31-1 ms; a longer one would fire at once. */
const maxHours = 596
const durationForm = 'must be a duration such as 500ms, 30s, 2m or 1h'

/** `10s`, `2m`, `500ms`, `1h` → milliseconds. */
export const duration = z
  .string({ error: durationForm })
  .regex(/^\d{1,10}(ms|s|m|h)$/, durationForm)
  .transform((written) => {
    const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[written.replace(/^\d+/, '')] ?? 0
    return Number.parseInt(written, 10) * unit
  })
  .refine((milliseconds) => milliseconds <= maxHours * 3_600_000, `must be at most ${maxHours}h`)

const keepForm = 'must be a time such as 30d, 13w or 8760h'

/** How long something is kept, which may be longer than any timer: `400d`, `52w`, `48h` → milliseconds. */
export const keep = z
  .string({ error: keepForm })
  .regex(/^[1-9]\d{0,5}[hdw]$/, keepForm)
  .transform((written) => {
    const unit = { h: 1, d: 24, w: 168 }[written.at(-1) ?? ''] ?? 0
    return Number.parseInt(written, 10) * unit * 3_600_000
  })

const sizeForm = 'must be a size such as 512KiB, 64MiB or 10GiB'

/** `64MiB` → bytes. */
export const size = z
  .string({ error: sizeForm })
  .regex(/^[1-9]\d{0,5}(KiB|MiB|GiB|TiB)$/, sizeForm)
  .transform((written) => {
    const power = ['KiB', 'MiB', 'GiB', 'TiB'].indexOf(written.slice(-3)) + 1
    return Number.parseInt(written, 10) * 1024 ** power
  })

const shareForm = 'must be a share in percent such as 90%'

/** `90%` → 0.9. */
export const share = z
  .string({ error: shareForm })
  .regex(/^([1-9]?\d|100)%$/, shareForm)
  .transform((written) => Number.parseInt(written, 10) / 100)

const addressForm = 'must be host:port, for example 127.0.0.1:9080 or 0.0.0.0:9080'

/** `host:port`; an IPv6 host in brackets. Port 0 asks the system for a free one. */
export const address = z
  .string({ error: addressForm })
  .regex(/^(\[[\da-fA-F:]+\]|[^:[\]\s]+):\d{1,5}$/, addressForm)
  .transform((written) => {
    const colon = written.lastIndexOf(':')
    return { host: written.slice(0, colon).replaceAll(/[[\]]/g, ''), port: Number(written.slice(colon + 1)) }
  })
  .refine(({ port }) => port <= 65_535, 'the port must be at most 65535')

/** An IP address, or a range of them. */
export const range = text.refine((written) => {
  const [address = '', prefix = '0', ...more] = written.split('/')
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  return more.length === 0 && /^\d{1,3}$/.test(prefix) && Number(prefix) <= most
}, 'must be an IP address or a range such as 10.0.0.0/8')

function areCertificates(pem: string): boolean {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  try {
    return blocks.map((block) => new X509Certificate(block)).length > 0
  } catch {
    return false
  }
}

function isBare(written: string): boolean {
  if (!URL.canParse(written)) return true
  const { username, password } = new URL(written)
  return username === '' && password === '' && !/[?#]/.test(written)
}

/** RFC 8252 §8.3 lets plain http be used on the loopback interface for the same reason: nobody else is on the way. */
export function isSecure(written: string): boolean {
  if (!URL.canParse(written)) return true
  const { protocol, hostname } = new URL(written)
  return protocol === 'https:' || hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)
}
