import { maxRenewals, vouched } from './limits.ts'
import type { Login } from './login.ts'
import type { Revocations } from './revocations.ts'
import { renewSession } from './session.ts'
import type { EndReason, Session } from './session.ts'

interface RenewalParts {
  readonly login: Login
  readonly revocations: Revocations
  readonly clock: () => number
}

/** Sessions that the provider vouched for anew. */
export interface Renewals {
  /** The session as it was last renewed, where the browser still holds an older one. */
  newest(session: Session): Session
  renew(session: Session, refreshToken: string): Promise<Session | EndReason | 'unavailable'>
  forget(id: string): void
}

/**
 * One renewal of a session at a time. Its result is kept in mind: a second tab, or an answer that comes late, still
 * holds the refresh token from before, and using that once more would look like theft to the provider (RFC 9700 §4.14.2).
 */
export function openRenewals({ login, revocations, clock }: RenewalParts): Renewals {
  const renewed = new Map<string, Session>()
  const pending = new Map<string, Promise<Session | EndReason | 'unavailable'>>()
  function keep(session: Session): void {
    renewed.delete(session.id)
    renewed.set(session.id, session)
    for (const [id, { vouchedUntil }] of renewed) {
      if (renewed.size <= maxRenewals && vouchedUntil + vouched.longest > clock()) break
      renewed.delete(id)
    }
  }
  async function renew(session: Session, refreshToken: string): Promise<Session | EndReason | 'unavailable'> {
    const answer = await login.refresh(refreshToken, session)
    if (answer.ok) {
      const now = renewSession(session, answer.value, clock())
      keep(now)
      return now
    }
    if (answer.error.code === 'provider_unavailable') return 'unavailable'
    // The provider said no. It is not asked again for as long as a browser shows the same session.
    renewed.delete(session.id)
    revocations.end(session.id)
    return 'provider'
  }
  return {
    newest(session) {
      const known = renewed.get(session.id)
      return known !== undefined && known.vouchedAt > session.vouchedAt ? known : session
    },
    renew(session, refreshToken) {
      const asked = pending.get(session.id)
      if (asked !== undefined) return asked
      const asking = renew(session, refreshToken).finally(() => pending.delete(session.id))
      pending.set(session.id, asking)
      return asking
    },
    forget: (id) => void renewed.delete(id),
  }
}
