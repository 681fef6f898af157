import { z } from 'zod'
import type { IssuerOptions } from '../identity/issuer.ts'
import type { LoginOptions } from '../identity/login.ts'
import type { SessionLimits } from '../identity/session.ts'
import { secureUrl } from './issuers.ts'
import { duration, isSecure, listOf, nonEmpty, settings, text } from './values.ts'

const keyForm = 'must be at least 32 random bytes as base64url, for example from: openssl rand -base64 32 | tr +/ -_'

// A key of few different bytes was typed, not drawn.
const cookieKey = text
  .regex(/^[\w+/-]{43,}={0,2}$/, keyForm)
  .refine((written) => new Set(Buffer.from(written, 'base64')).size >= 16, keyForm)

/** A list, or a text (such as a file's) with one on each line. */
const cookieKeys = z
  .union([z.array(text), text.transform((written) => written.split(/\s+/).filter((key) => key !== ''))], {
    error: 'must be a list of keys, or a text with one on each line',
  })
  .pipe(listOf(cookieKey, 'key'))

const isLong = (milliseconds: number): boolean => milliseconds >= 60_000

/** `identity.login`: how people log in with a browser. */
export const login = settings({
  issuer: secureUrl,
  clientId: nonEmpty,
  clientSecret: nonEmpty.optional(),
  scopes: listOf(nonEmpty, 'scope').default(['openid', 'profile', 'email']),
  cookieKeys,
  idle: duration.refine(isLong, 'must be at least 1m').prefault('1h'),
  absolute: duration.refine(isLong, 'must be at least 1m').prefault('12h'),
})

/** How people log in with a browser, and how long that holds. */
export interface BrowserLogin extends LoginOptions {
  /** The gateway's own origin. */
  readonly origin: string
  /** The first seals, all open. */
  readonly cookieKeys: readonly Uint8Array[]
  readonly limits: SessionLimits
}

/** What is wrong with the login beside the rest of the file. */
export function checkLogin(
  written: z.output<typeof login>,
  issuers: readonly { readonly issuer: string }[],
  publicUrl: string | undefined,
): readonly string[] {
  const problems: string[] = []
  if (!issuers.some(({ issuer }) => issuer === written.issuer)) {
    problems.push('identity.login.issuer: is none of identity.issuers: nothing would say how its groups are read')
  }
  if (!written.scopes.includes('openid')) problems.push('identity.login.scopes: must name openid: add it')
  if (written.idle > written.absolute) problems.push('identity.login.idle: is longer than absolute: give a shorter one')
  if (publicUrl === undefined) {
    problems.push('publicUrl: is missing: identity.login needs it, since the provider sends people back there')
  } else if (!isSecure(publicUrl)) {
    problems.push('publicUrl: must be https for identity.login; plain http only on this machine (localhost, 127.0.0.1)')
  } else if (new URL(publicUrl).pathname !== '/') {
    problems.push('publicUrl: must have no path for identity.login: its cookies belong to the whole host')
  }
  return problems
}

/** What the identity room is told. The rest has been checked. */
export function toLogin(
  written: z.output<typeof login>,
  issuers: readonly IssuerOptions[],
  publicUrl: string,
): BrowserLogin {
  const { clientId, clientSecret, scopes, idle, absolute } = written
  const issuer = issuers.find((one) => one.issuer === written.issuer)
  if (issuer === undefined) throw new Error('the login has no issuer')
  const { origin } = new URL(publicUrl)
  return {
    issuer,
    clientId,
    ...(clientSecret === undefined ? {} : { clientSecret }),
    scopes,
    origin,
    callbackUrl: `${origin}/bailiwick/callback`,
    loggedOutUrl: `${origin}/bailiwick/logged-out`,
    cookieKeys: written.cookieKeys.map((key) => new Uint8Array(Buffer.from(key, 'base64'))),
    limits: { idle, absolute },
  }
}
