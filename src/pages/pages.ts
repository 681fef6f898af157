import { isNavigation } from '../identity/fetch-metadata.ts'
import { refuse } from './answer.ts'
import type { PageAnswer, PageParts, PageRequest, Pages } from './answer.ts'
import { home } from './home.ts'
import { beginLogin, finishLogin, openUsedLogins } from './login.ts'
import { askLogout, backChannelLogout, logOut, loggedOut } from './logout.ts'
import { paths } from './paths.ts'
import { reviewStyle } from './review/style.ts'
import { reviewPages } from './review/table-of-pages.ts'
import { problem } from './problems.ts'
import { plain, redirect } from './reply.ts'
import { style } from './style.ts'

/** Makes the answer to a request. */
export type Visit = (parts: PageParts, request: PageRequest) => PageAnswer | Promise<PageAnswer>

/** The pages that people see in a browser. Each is a value made from a request; the gateway records and sends it. */
export function createPages(parts: PageParts): Pages {
  const used = openUsedLogins(parts.clock)
  const table: Readonly<Record<string, Readonly<Record<string, Visit>>>> = {
    [paths.root]: { GET: toHome },
    [paths.home]: { GET: home },
    [paths.login]: { GET: beginLogin },
    [paths.callback]: { GET: (parts, request) => finishLogin(parts, request, used) },
    [paths.logout]: { GET: askLogout, POST: logOut },
    [paths.loggedOut]: { GET: loggedOut },
    [paths.backChannelLogout]: { POST: backChannelLogout },
    [paths.style]: { GET: showStyle },
    '/bailiwick': { GET: toHome },
    ...reviewPages(parts),
  }
  return {
    owns: (path, navigation) =>
      path === '/bailiwick' || path.startsWith(paths.home) || (path === paths.root && navigation),
    async answer(request) {
      const methods = Object.hasOwn(table, request.path) ? table[request.path] : undefined
      if (methods === undefined) return refuse({ is: 'unknown_path' })
      const visit = Object.hasOwn(methods, request.method) ? methods[request.method] : undefined
      return visit?.(parts, request) ?? refuse({ is: 'wrong_method', allowed: Object.keys(methods) })
    },
    unrecorded: (request) => problem(parts, request, 'audit_unavailable'),
  }
}

/** Only a browser that asks for a page is sent anywhere. */
function toHome(parts: PageParts, { credentials, method }: PageRequest): PageAnswer {
  return isNavigation(credentials, method) ? redirect(parts, parts.origin + paths.home) : refuse({ is: 'unknown_path' })
}

function showStyle(parts: PageParts): PageAnswer {
  const answer = plain(parts, {}, { type: 'text/css; charset=utf-8', body: style + reviewStyle })
  return { ...answer, headers: { ...answer.headers, 'cache-control': 'max-age=3600' } }
}
