import type { Credentials } from './identity.ts'

type Headers = Pick<Credentials, 'header'>

/** The one value of a header; null where it was not sent, or more than once. */
export const only = ({ header }: Headers, name: string): string | null => {
  const [value, ...more] = header(name)
  return value === undefined || more.length > 0 ? null : value
}

/**
 * Does a person's browser ask for a whole page, in a tab? Nothing else is ever redirected. A browser says so (Fetch Metadata
 * Request Headers); for one too old to say anything, what it would rather have first decides.
 */
export function isNavigation(headers: Headers, method: string | undefined): boolean {
  if (method !== 'GET' || headers.header('authorization').length > 0) return false
  const names = ['sec-fetch-mode', 'sec-fetch-dest', 'sec-fetch-site']
  if (names.some((name) => headers.header(name).length > 0)) {
    return only(headers, 'sec-fetch-mode') === 'navigate' && only(headers, 'sec-fetch-dest') === 'document'
  }
  return /^\s*text\/html\b/i.test(only(headers, 'accept') ?? '')
}

/** Does the request come from a page of the gateway's own, or from an address that somebody typed? */
export const isOwn = (headers: Headers): boolean =>
  ['same-origin', 'none'].includes(only(headers, 'sec-fetch-site') ?? '')

/**
 * Was a form of the gateway's own sent? `Origin` is `null` there, since our pages send no referrer; a browser that does
 * not say where a request comes from must then name the origin.
 */
export function isOwnForm(headers: Headers, origin: string): boolean {
  const site = headers.header('sec-fetch-site')
  const from = headers.header('origin')
  if (site.length > 1 || from.length > 1) return false
  if (site.length === 1) return site[0] === 'same-origin' && [undefined, 'null', origin].includes(from[0])
  return from[0] === origin
}
