import { isOwn } from '../fetch-metadata.ts'
import { refused } from '../identity.ts'
import type { Credentials, Identified, IdentitySource } from '../identity.ts'
import { identityOf } from '../session.ts'
import type { EndReason } from '../session.ts'
import type { Sessions, SessionState } from '../sessions.ts'

/**
 * The session of a browser, for requests of the gateway's own pages and for addresses that somebody typed. A page of
 * anybody else's cannot use it (cross-site request forgery), whatever the browser sends along.
 */
export function sessionSource(sessions: Sessions, signInUrl: string): IdentitySource {
  return {
    name: 'session',
    async identify(credentials) {
      const state = await sessions.read(credentials)
      if (state.is !== 'absent' && credentials.header('authorization').length > 0) {
        return refused('malformed_credentials', 'a session cookie and an Authorization header were sent: send one')
      }
      if (state.is === 'live' && !isOwn(credentials)) {
        const remedy = 'open the address itself in the browser, or send "Authorization: Bearer <token>"'
        return refused('invalid_token', `the session counts only for requests from the gateway's own pages: ${remedy}`)
      }
      return identifiedBy(state, sessions, credentials, signInUrl)
    },
  }
}

/** What a session's state says about who asks. Cookies that it brings go to the answer. */
export function identifiedBy(
  state: SessionState,
  { limits }: Sessions,
  { setCookie }: Credentials,
  signInUrl: string,
): Identified {
  switch (state.is) {
    case 'absent':
      return state
    case 'duplicate':
      return refused(
        'malformed_credentials',
        `a session cookie came twice: clear this site's cookies, then ${signIn(signInUrl)}`,
      )
    case 'unavailable':
      return refused(
        'issuer_unavailable',
        'the provider that must confirm your session cannot be reached: try again soon',
      )
    case 'ended':
      return refused('invalid_token', `your session has ended (${reasons[state.because]}): ${signIn(signInUrl)}`)
    case 'live':
      for (const line of state.cookies) setCookie?.(line)
      return { is: 'known', identity: identityOf(state.session, limits) }
  }
}

const signIn = (url: string): string => `sign in again at ${url}`

/** Why a session ended, in a few words for the person. */
export const reasons: Readonly<Record<EndReason, string>> = {
  unreadable: 'its cookie cannot be opened: perhaps the keys were changed',
  absolute: 'it reached its greatest length',
  idle: 'it was not used for too long',
  logout: 'you signed out',
  provider: 'the provider does not vouch for it any longer',
  restart: 'the gateway was restarted, and cannot ask the provider about it',
  too_large: 'it grew too large for the browser',
}
