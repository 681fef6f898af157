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
  review: '/bailiwick/review/',
  reviewRecord: '/bailiwick/review/record',
  reviewProof: '/bailiwick/review/proof',
  reviewPerson: '/bailiwick/review/person',
  reviews: '/bailiwick/review/saved',
  reviewSign: '/bailiwick/review/sign',
  reviewExport: '/bailiwick/review/export',
  reviewFile: '/bailiwick/review/file',
  reviewSql: '/bailiwick/review/sql',
  reviewScript: '/bailiwick/review.js',
} as const

/** Where a browser is sent so that somebody logs in and comes back to `path`. */
export const loginPath = (path: string): string =>
  path === paths.home ? paths.login : `${paths.login}?to=${encodeURIComponent(path)}`

/** Pages that would send a person round in circles. */
const circular: ReadonlySet<string> = new Set([paths.login, paths.callback, paths.logout, paths.loggedOut])

/**
 * Where somebody goes after a login: a page of this gateway's, the first where in doubt. What comes from a request is read as a
 * browser reads it, and only path and query of that are kept, so that it cannot lead anywhere else.
 */
export function returnPath(asked: string | null, origin: string): string {
  // Browsers drop tabs and line breaks, and read a backslash as a slash.
  if (asked === null || asked.length > maxReturnPath || /[\\\p{Cc}]/u.test(asked)) return paths.home
  if (!asked.startsWith(paths.home) || !URL.canParse(asked, origin)) return paths.home
  const { origin: there, pathname, search } = new URL(asked, origin)
  const ours = there === origin && pathname.startsWith(paths.home) && !circular.has(pathname)
  return ours ? pathname + search : paths.home
}
