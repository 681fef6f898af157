import { X509Certificate, createPrivateKey } from 'node:crypto'
import { isIP } from 'node:net'
import { z } from 'zod'
import type { FollowedFiles } from '../prometheus/upstream-auth.ts'
import type { UpstreamOptions } from '../prometheus/upstream.ts'
import type { SecretFiles } from './secrets.ts'
import { bearerToken, certificates, duration, settings, text, url } from './values.ts'

// RFC 7617 §2: the name ends at the first colon, and neither part has a control character.
const basic = settings({
  username: text.regex(/^[^:\p{Cc}]+$/u, 'must be a user name: not empty, no colon and no control character in it'),
  password: text.regex(/^\P{Cc}+$/u, 'must be a password: not empty, no control character or line break in it'),
})

// Checking certificates cannot be switched off: whoever is on the way could read every series.
const tls = settings({
  ca: certificates.optional(),
  cert: certificates.optional(),
  key: text.refine(isKey, 'must be a private key in PEM form, without a passphrase').optional(),
  serverName: text.regex(/^[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?$/i, 'must be a host name').optional(),
}).superRefine(({ cert, key, serverName }, context) => {
  const say = (name: string, message: string): void => {
    context.addIssue({ code: 'custom', path: [name], message })
  }
  if (cert !== undefined && key === undefined) say('key', 'cert is given without it: give both, or none')
  if (key !== undefined && cert === undefined) say('cert', 'key is given without it: give both, or none')
  if (cert !== undefined && key !== undefined && !belong(cert, key)) {
    say('key', 'is not the key of the first certificate in cert: give the two that were made together')
  }
  if (isIP(serverName ?? '') !== 0)
    say('serverName', 'must be a host name, not an address: leave it out for an address')
})

const tenant = settings({
  header: z.enum(['X-Scope-OrgID', 'THANOS-TENANT'], {
    error: 'must be X-Scope-OrgID (Mimir) or THANOS-TENANT (Thanos)',
  }),
  value: text.regex(/^[\x21-\x7e]{1,1000}$/, 'must be 1 to 1000 letters, digits and signs of ASCII, without spaces'),
})

const prometheus = settings({
  url,
  // Above Prometheus's own query timeout of two minutes, so that it is Prometheus that says so.
  timeout: duration.refine((milliseconds) => milliseconds > 0, 'must be longer than 0').prefault('130s'),
  bearerToken: bearerToken.optional(),
  basic: basic.optional(),
  tls: tls.optional(),
  tenant: tenant.optional(),
}).superRefine((given, context) => {
  const say = (name: string, message: string): void => {
    context.addIssue({ code: 'custom', path: [name], message })
  }
  if (given.basic !== undefined && given.bearerToken !== undefined) {
    say('basic', 'there is a bearerToken too, and both are the same header: keep one')
  }
  if (given.tls !== undefined && !/^https:/i.test(given.url)) {
    say('tls', 'the url is not https, so it would do nothing: write https in the url, or leave tls out')
  }
})

/** A cluster of `clusters`. */
export const cluster = settings({
  name: text.regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be a name of a-z, 0-9 and -, at most 63 characters'),
  notices: z.boolean({ error: 'must be true or false' }).default(true),
  prometheus,
})

/** The settings whose files are read again while the gateway runs; every other file is read once, at start. */
const followed = [
  'bearerToken',
  'basic.password',
  'tls.ca',
  'tls.cert',
  'tls.key',
] as const satisfies readonly (keyof FollowedFiles)[]

/** How to reach a cluster's Prometheus. `at` is the setting it comes from, such as `clusters[0].prometheus`. */
export function upstreamOptions(given: z.output<typeof prometheus>, at: string, files: SecretFiles): UpstreamOptions {
  const followedFiles = Object.fromEntries(
    followed.flatMap((name) => {
      const file = files.get(`${at}.${name}`)
      return file === undefined ? [] : [[name, file]]
    }),
  )
  return { ...given, ...(Object.keys(followedFiles).length === 0 ? {} : { files: followedFiles }) }
}

function isKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).type === 'private'
  } catch {
    return false
  }
}

/** True also where one of the two cannot be read, which is told of on its own. */
function belong(cert: string, key: string): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))
  } catch {
    return true
  }
}
