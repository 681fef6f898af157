import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import type { Credentials } from './identity.ts'
import { maxCookie, maxSessionCookies } from './limits.ts'

/**
 * Names of our cookies. `__Host-` (RFC 6265bis §4.1.3.2): a browser takes such a cookie only over a safe connection, for this
 * host alone and for all its paths, so that no neighbour can put one in its place.
 */
const session = '__Host-bailiwick-session.'
export const loginPrefix = '__Host-bailiwick-login.'

/** SameSite=Lax, since the redirect from the provider, and a link in a chat, begin elsewhere. */
const attributes = '; Path=/; Secure; HttpOnly; SameSite=Lax'

/** The line that sets a cookie; without `seconds` it goes when the browser is closed. */
export const setCookie = (name: string, value: string, seconds?: number): string =>
  `${name}=${value}${seconds === undefined ? '' : `; Max-Age=${seconds}`}${attributes}`

/** The line that takes a cookie away. */
export const dropCookie = (name: string): string => setCookie(name, '', 0)

/** Our own cookies in a request, by name; fails where one came twice. What others set for this host is passed over. */
export function ourCookies({ header }: Pick<Credentials, 'header'>): Result<ReadonlyMap<string, string>, 'duplicate'> {
  const found = new Map<string, string>()
  for (const part of header('cookie').flatMap((line) => line.split(';'))) {
    // Nothing else is stripped: what only looks like our name was not held to its prefix by the browser.
    const [name = '', ...value] = part.replace(/^[ \t]+/, '').split('=')
    if (!sessionNames.includes(name) && !/^__Host-bailiwick-login\.[0-9a-f]{8}$/.test(name)) continue
    if (found.has(name)) return fail('duplicate')
    found.set(name, value.join('='))
  }
  return ok(found)
}

/** The sealed session out of its cookies; null where there is none. */
export function readSession(cookies: ReadonlyMap<string, string>): string | null {
  const parts = sessionNames.map((name) => cookies.get(name))
  const end = parts.indexOf(undefined)
  const whole = end < 0 ? parts : parts.slice(0, end)
  return whole.length === 0 ? null : whole.join('')
}

/** The lines that set a session, and take away what an earlier, larger one left; null where it is too large. */
export function writeSession(sealed: string, before: ReadonlyMap<string, string>): readonly string[] | null {
  const room = maxCookie - `${session}0=`.length
  const parts = Math.ceil(sealed.length / room)
  if (parts > maxSessionCookies) return null
  return sessionNames.flatMap((name, at) => {
    if (at < parts) return [setCookie(name, sealed.slice(at * room, (at + 1) * room))]
    return before.has(name) ? [dropCookie(name)] : []
  })
}

/** The lines that take a session away. */
export const dropSession = (before: ReadonlyMap<string, string>): readonly string[] =>
  [...before.keys()].filter((name) => name.startsWith(session)).map(dropCookie)

const sessionNames = Array.from({ length: maxSessionCookies }, (_, at) => `${session}${at}`)
