import { isNavigation, isOwn, isOwnForm } from '../identity/fetch-metadata.ts'
import type { Session } from '../identity/session.ts'
import { identifiedBy } from '../identity/sources/session.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { refuse } from './answer.ts'
import type { PageAnswer, PageParts, PageRequest } from './answer.ts'
import { loginPath, paths } from './paths.ts'
import { problem } from './problems.ts'
import { redirect } from './reply.ts'

/** Somebody with a session. */
export interface Visitor {
  readonly session: Session
  /** Lines that the answer must set. */
  readonly cookies: readonly string[]
}

/** Whose session a request has; where there is none, the answer: a browser is sent to the login, and back to `to`. */
export async function visitorOf(
  parts: PageParts,
  request: PageRequest,
  to: string,
): Promise<Result<Visitor, PageAnswer>> {
  const { credentials, method } = request
  const state = await parts.sessions.read(credentials)
  const navigation = isNavigation(credentials, method)
  if (state.is === 'live' && (navigation || isOwn(credentials))) return ok(state)
  if (!navigation) {
    const identified = identifiedBy(state, parts.sessions, credentials, parts.origin + paths.login)
    return fail(
      refuse(
        identified.is === 'refused' ? { is: 'bad_credentials', refusal: identified.refusal } : { is: 'no_credentials' },
      ),
    )
  }
  switch (state.is) {
    case 'unavailable':
      return fail(
        problem(parts, request, 'session_unavailable', { record: { is: 'refusal', reason: 'issuer_unavailable' } }),
      )
    case 'duplicate':
      return fail(problem(parts, request, 'duplicate_cookie', { record: { is: 'refusal', reason: 'bad_credentials' } }))
    case 'absent':
    case 'ended':
    case 'live': {
      const reason = state.is === 'ended' ? 'bad_credentials' : 'no_credentials'
      return fail(redirect(parts, parts.origin + loginPath(to), { record: { is: 'refusal', reason } }))
    }
  }
}

/** Somebody who sent a form of ours, with its fields. */
export interface Sender extends Visitor {
  readonly form: URLSearchParams
}

/** Who sent a form, and that it was a page of ours, in the same session, that they sent; else the answer. */
export async function senderOf(
  parts: PageParts,
  request: PageRequest,
  to: string,
): Promise<Result<Sender, PageAnswer>> {
  const { credentials } = request
  const foreign = (): PageAnswer =>
    problem(parts, request, 'foreign_form', { record: { is: 'refusal', reason: 'foreign_form' } })
  if (!isOwnForm(credentials, parts.origin)) return fail(foreign())
  const form = await request.form()
  if (!form.ok) return fail(refuse(form.error))
  const state = await parts.sessions.read(credentials)
  if (state.is === 'unavailable') {
    const record = { is: 'refusal', reason: 'issuer_unavailable' } as const
    return fail(problem(parts, request, 'session_unavailable', { record }))
  }
  if (state.is !== 'live') {
    const record = { is: 'refusal', reason: state.is === 'absent' ? 'no_credentials' : 'bad_credentials' } as const
    return fail(redirect(parts, parts.origin + loginPath(to), { record }))
  }
  if (!parts.sealer.isCode(state.session.id, form.value.get('code') ?? '')) return fail(foreign())
  return ok({ ...state, form: form.value })
}
