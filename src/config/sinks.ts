import { z } from 'zod'
import type { SinkOptions } from '../audit/sinks/sinks.ts'
import type { SecretFiles } from './secrets.ts'
import { bearerToken, certificates, settings, text, url } from './values.ts'

/** Headers that say what the body is, or where it goes: they are the gateway's own. */
const own = /^(host|connection|content-.*|transfer-encoding|user-agent|authorization)$/i

const headers = z
  .record(
    text.regex(/^[\w!#$%&'*+.^`|~-]{1,100}$/, 'must be a name of a header'),
    text.regex(/^[\t\x20-\x7e]{0,8000}$/, 'must be text of ASCII, without line breaks'),
    { error: 'must be headers, each on a line of its own as "name: value"' },
  )
  .refine(
    (given) => !Object.keys(given).some((name) => own.test(name)),
    'must not have host, user-agent, authorization (use bearerToken) or one that says what the body is',
  )

const otlp = settings({
  url: url.refine((written) => new URL(written).pathname !== '/', 'must have its path, which is often /v1/logs'),
  bearerToken: bearerToken.optional(),
  headers: headers.optional(),
  ca: certificates.optional(),
}).superRefine((given, context) => {
  if (given.ca !== undefined && !/^https:/i.test(given.url)) {
    const message = 'the url is not https, so it would do nothing: write https in the url, or leave ca out'
    context.addIssue({ code: 'custom', path: ['ca'], message })
  }
})

const postgres = settings({
  url: text.refine(
    isDatabase,
    'must be postgres://user:password@host:port/database; ?sslmode=disable behind it for one without TLS',
  ),
  table: text
    .regex(/^[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?$/, 'must be table or schema.table, of a-z, 0-9 and _')
    .default('bailiwick_audit'),
  ca: certificates.optional(),
})

/** A sink of `audit.sinks`. */
export const sink = settings({
  name: text.regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be a name of a-z, 0-9 and -, at most 63 characters'),
  required: z.boolean({ error: 'must be true or false' }).default(false),
  otlp: otlp.optional(),
  postgres: postgres.optional(),
}).superRefine((given, context) => {
  if ((given.otlp === undefined) === (given.postgres === undefined)) {
    context.addIssue({ code: 'custom', path: [], message: 'must have one of otlp and postgres' })
  }
})

type Sink = z.output<typeof sink>

/** The sinks, with the files that are read again while the gateway runs. */
export function toSinks(sinks: readonly Sink[], files: SecretFiles): readonly SinkOptions[] {
  return sinks.map(({ name, required, otlp, postgres }, index) => {
    const followed = <Name extends string>(of: string, names: readonly Name[]): Partial<Record<Name, string>> => {
      const found: Partial<Record<Name, string>> = {}
      for (const one of names) {
        const file = files.get(`audit.sinks[${index}].${of}.${one}`)
        if (file !== undefined) found[one] = file
      }
      return found
    }
    if (postgres !== undefined) {
      const to = { kind: 'postgres', ...postgres, files: followed('postgres', ['url', 'ca']) } as const
      return { name, required, to }
    }
    const { url: address = '', headers: sent = {}, bearerToken: token, ca } = otlp ?? {}
    const own = followed('otlp', ['bearerToken', 'ca'])
    return { name, required, to: { kind: 'otlp', url: address, headers: sent, bearerToken: token, ca, files: own } }
  })
}

/** What concerns several of them. */
export function checkSinks(sinks: readonly Sink[]): readonly string[] {
  const names = sinks.map(({ name }) => name)
  return names.flatMap((name, index) => {
    const first = names.indexOf(name)
    return first === index
      ? []
      : [`audit.sinks[${index}].name: is the name of audit.sinks[${first}] already: choose another`]
  })
}

/** The form that the sink reads; see `docs/audit-sinks.md`. */
function isDatabase(written: string): boolean {
  const parsed = URL.parse(written)
  if (parsed === null || !/^postgres(ql)?:$/.test(parsed.protocol) || parsed.hash !== '') return false
  if (!/^(\?sslmode=(disable|verify-full))?$/.test(parsed.search)) return false
  if (parsed.hostname === '' || parsed.username === '' || !/^\/[^/]+$/.test(parsed.pathname)) return false
  try {
    return decodeURIComponent(`${parsed.hostname}${parsed.username}${parsed.password}${parsed.pathname}`) !== ''
  } catch {
    // A percent sign that encodes nothing.
    return false
  }
}
