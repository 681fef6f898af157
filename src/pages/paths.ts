import { maxReturnPath } from '../identity/limits.ts'

/** Where the pages are. Compared byte by byte: there is one spelling of each. */
export const paths = {
  root: '/',
  home: '/bailiwick/',
  login: '/bailiwick/login',
  callback: '/bailiwick/callback',
  logout: '/bailiwick/logout',
  loggedOut: '/bailiwick/logged-out',
  backChannelLogout: '/bailiwick/back-channel-logout',
  style: '/bailiwick/style.css',
} as const

/** Where a browser is sent so that somebody logs in and comes back to `path`. */
export const loginPath = (path: string): string =>
  path === paths.home ? paths.login : `${paths.login}?to=${encodeURIComponent(path)}`

/** Pages that would send a person round in circles. */
const circular: readonly string[] = [paths.login, paths.callback, paths.logout, paths.loggedOut]

/**
 * Where somebody goes after a login: a path of this gateway's, or its first page. What comes from a request is read as a
 * browser reads it, and only path and query of that are kept, so that it cannot lead anywhere else.
 */
export function returnPath(asked: string | null, origin: string): string {
  if (asked === null || asked.length > maxReturnPath || !/^\/[^/\\]?/.test(asked)) return paths.home
  // Browsers drop tabs and line breaks, and read a backslash as a slash.
  if (/[\\\p{Cc}]/u.test(asked) || /^\/[/\\]/.test(asked) || !URL.canParse(asked, origin)) return paths.home
  const url = new URL(asked, origin)
  const path = url.pathname + url.search
  if (url.origin !== origin || path.startsWith('//') || circular.includes(url.pathname)) return paths.home
  return path
}
