import { isOwnForm } from '../identity/fetch-metadata.ts'
import { hashOf, shortHash } from '../identity/remembered.ts'
import { identityOf } from '../identity/session.ts'
import type { Session } from '../identity/session.ts'
import { eventOf, refuse } from './answer.ts'
import type { Answer, PageAnswer, PageParts, PageRequest } from './answer.ts'
import { html } from './html.ts'
import { loginPath, paths } from './paths.ts'
import { problem } from './problems.ts'
import { plain, redirect, show } from './reply.ts'

/** Asks whether somebody means it. */
export async function askLogout(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const state = await parts.sessions.read(request.credentials)
  if (state.is !== 'live') return redirect(parts, parts.origin + paths.loggedOut)
  const { session, cookies } = state
  const provider = await parts.login.endSessionUrl(null)
  const body = html`<p>
      You are signed in as ${session.name}. This ends your session
      here${
        provider === null ? '' : ' and at your identity provider, so that other applications may sign you out as well'
      }.
    </p>
    <form method="post" action="${paths.logout}">
      <input type="hidden" name="code" value="${parts.sealer.code(session.id)}" />
      <button>Sign out</button>
    </form>`
  const formTarget = provider === null ? null : new URL(provider).origin
  return show(parts, request, { title: 'Sign out', name: session.name, body }, { cookies, formTarget })
}

/** Ends a session here, and sends the browser on to end the provider's own. */
export async function logOut(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const { credentials } = request
  const foreign = (): Answer =>
    problem(parts, request, 'foreign_form', { record: { is: 'refusal', reason: 'foreign_form' } })
  if (!isOwnForm(credentials, parts.origin)) return foreign()
  const form = await request.form()
  if (!form.ok) return refuse(form.error)
  const state = await parts.sessions.read(credentials)
  const session = state.is === 'live' || state.is === 'unavailable' ? state.session : null
  const cookies = parts.sessions.drop(credentials)
  if (session === null) return redirect(parts, parts.origin + paths.loggedOut, { cookies })
  if (!parts.sealer.isCode(session.id, form.value.get('code') ?? '')) return foreign()
  if (!parts.sessions.end(session)) {
    return problem(parts, request, 'too_many_logouts', { record: { is: 'refusal', reason: 'too_many_logouts' } })
  }
  const provider = await endAtProvider(parts, session)
  const who = identityOf(session, parts.sessions.limits)
  return redirect(parts, provider ?? parts.origin + paths.loggedOut, {
    cookies,
    record: { is: 'event', entry: { kind: 'logout', ...eventOf(request), how: 'local', who } },
  })
}

/** Nobody waits for the refresh token to be withdrawn: without the session it is of no use to a browser. */
async function endAtProvider({ login }: PageParts, { refreshToken, idToken }: Session): Promise<string | null> {
  if (refreshToken !== null) void login.revoke(refreshToken)
  return login.endSessionUrl(idToken)
}

/** Where a logout ends. */
export async function loggedOut(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const state = await parts.sessions.read(request.credentials)
  if (state.is === 'live') return redirect(parts, parts.origin + paths.home)
  const body = html`<p>Your session at this gateway has ended.</p>
    <p><a class="button" href="${loginPath(paths.home)}">Sign in</a></p>`
  const cookies = state.is === 'ended' ? parts.sessions.drop(request.credentials) : []
  return show(parts, request, { title: 'Signed out', name: null, body }, { cookies })
}

/** The provider says that somebody logged out (OpenID Connect Back-Channel Logout 1.0 §2.5, §2.8). */
export async function backChannelLogout(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const form = await request.form()
  if (!form.ok) return refuse(form.error)
  const [token = '', ...more] = form.value.getAll('logout_token')
  const verified = await parts.logoutTokens.verify(more.length === 0 ? token : '')
  if (!verified.ok) {
    const { code, detail } = verified.error
    parts.log.warn({ request: request.id, reason: code, detail }, 'a back-channel logout was not followed')
    return notFollowed(parts, request, code, code === 'issuer_unavailable' ? 503 : 400)
  }
  const { issuer, subject, sid } = verified.value
  if (!parts.revocations.withdraw(verified.value)) return notFollowed(parts, request, 'too_many_logouts', 503)
  const withdrawn = { issuer, subject, sid: sid === null ? null : shortHash(hashOf(sid)) }
  const entry = { kind: 'logout', ...eventOf(request), how: 'back-channel', withdrawn } as const
  return plain(parts, { record: { is: 'event', entry } }, { type: 'text/plain; charset=utf-8', body: '' })
}

function notFollowed(parts: PageParts, request: PageRequest, reason: string, status: number): Answer {
  const entry = { kind: 'logout.failed', ...eventOf(request), reason } as const
  const body = JSON.stringify({ error: status === 400 ? 'invalid_request' : 'temporarily_unavailable' })
  return plain(parts, { status, record: { is: 'event', entry } }, { type: 'application/json', body })
}
