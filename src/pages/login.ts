import { dropCookie, loginPrefix, ourCookies, setCookie } from '../identity/cookies.ts'
import { isNavigation } from '../identity/fetch-metadata.ts'
import { maxKept, maxLoginTime, maxLoginsUnderWay } from '../identity/limits.ts'
import type { Flow } from '../identity/login.ts'
import type { LoginFailure } from '../identity/login-failure.ts'
import { hashOf } from '../identity/remembered.ts'
import { isSame } from '../identity/seal.ts'
import { identityOf } from '../identity/session.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { eventOf, refuse } from './answer.ts'
import type { Answer, PageAnswer, PageParts, PageRequest } from './answer.ts'
import { returnPath } from './paths.ts'
import { loginProblem } from './problems.ts'
import { redirect } from './reply.ts'

/** Sends a browser to the provider. What must be remembered goes along in a cookie, one for each login under way. */
export async function beginLogin(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const { credentials, method, query } = request
  if (!isNavigation(credentials, method)) return refuse({ is: 'no_credentials' })
  const begun = await parts.login.begin()
  if (!begun.ok) return failed(parts, request, begun.error, [])
  const { url, flow } = begun.value
  const to = returnPath(new URLSearchParams(query).get('to'), parts.origin)
  const sealed = await parts.sealer.seal('login', { ...flow, to }, parts.clock() + maxLoginTime)
  const cookie = setCookie(cookieFor(flow.state), sealed, maxLoginTime / 1000)
  return redirect(parts, url, { cookies: [...makeRoom(request), cookie] })
}

/** Which login of this browser a state belongs to. */
const cookieFor = (state: string): string => loginPrefix + hashOf(state).slice(0, 8)

/** Logins that were never finished leave cookies: many of them would fill the request's headers. */
function makeRoom({ credentials }: PageRequest): readonly string[] {
  const cookies = ourCookies(credentials)
  const logins = cookies.ok ? [...cookies.value.keys()].filter((name) => name.startsWith(loginPrefix)) : []
  return logins.length >= maxLoginsUnderWay ? logins.map(dropCookie) : []
}

/** Takes what the provider sent back with the browser, and begins a session. */
export async function finishLogin(parts: PageParts, request: PageRequest, used: UsedLogins): Promise<PageAnswer> {
  const { credentials, method, query } = request
  if (!isNavigation(credentials, method)) return refuse({ is: 'no_credentials' })
  const found = await findLogin(parts, request)
  if (!found.ok) return failed(parts, request, found.error, [])
  const { to, cookie, ...flow } = found.value
  const drop = [dropCookie(cookie)]
  if (!used.use(flow.state)) return failed(parts, request, { code: 'replayed', detail: 'its state was used' }, drop)
  const finished = await parts.login.finish(query, flow)
  if (!finished.ok) return failed(parts, request, finished.error, drop)
  const begun = await parts.sessions.begin(finished.value, credentials)
  if (begun === null) return failed(parts, request, { code: 'too_large', detail: 'its cookies' }, drop)
  const who = identityOf(begun.session, parts.sessions.limits)
  return redirect(parts, parts.origin + to, {
    cookies: [...begun.cookies, ...drop],
    record: { is: 'event', entry: { kind: 'login', ...eventOf(request), who } },
  })
}

interface UnderWay extends Flow {
  readonly to: string
  readonly cookie: string
}

/** The login of this very browser to which the answer belongs: nobody can be logged in with another's answer. */
async function findLogin(
  { sealer, origin }: PageParts,
  { credentials, query }: PageRequest,
): Promise<Result<UnderWay, LoginFailure>> {
  const [answered, ...more] = new URLSearchParams(query).getAll('state')
  if (answered === undefined || more.length > 0) return fail({ code: 'no_login', detail: 'not one state' })
  const cookies = ourCookies(credentials)
  const cookie = cookieFor(answered)
  const sealed = cookies.ok ? cookies.value.get(cookie) : undefined
  if (sealed === undefined) return fail({ code: 'no_login', detail: 'no cookie for this state' })
  const opened = await sealer.open('login', sealed)
  if (!opened.ok) {
    return fail({ code: opened.error === 'expired' ? 'expired' : 'no_login', detail: `its cookie is ${opened.error}` })
  }
  const { state, nonce, verifier, to } = opened.value
  if (
    typeof state !== 'string' ||
    typeof nonce !== 'string' ||
    typeof verifier !== 'string' ||
    typeof to !== 'string'
  ) {
    return fail({ code: 'no_login', detail: 'its cookie holds something else' })
  }
  if (!isSame(state, answered)) return fail({ code: 'no_login', detail: 'the state is another' })
  return ok({ state, nonce, verifier, to: returnPath(to, origin), cookie })
}

function failed(
  parts: PageParts,
  request: PageRequest,
  { code, detail }: LoginFailure,
  cookies: readonly string[],
): Answer {
  parts.log.warn({ request: request.id, reason: code, detail }, 'a login failed')
  const entry = { kind: 'login.failed', ...eventOf(request), reason: code } as const
  return loginProblem(parts, request, code, { cookies, record: { is: 'event', entry } })
}

/** Logins that were finished, well or badly: each counts once, whatever cookies come back. */
export interface UsedLogins {
  use(state: string): boolean
}

/** Each is kept for as long as its cookie would open. Beyond a number, that the provider takes a code once must do. */
export function openUsedLogins(clock: () => number): UsedLogins {
  const used = new Map<string, number>()
  return {
    use(state) {
      for (const [old, until] of used) {
        if (until > clock() && used.size < maxKept) break
        used.delete(old)
      }
      if (used.has(state)) return false
      used.set(state, clock() + maxLoginTime)
      return true
    },
  }
}
