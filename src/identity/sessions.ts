import { dropSession, ourCookies, readSession, writeSession } from './cookies.ts'
import type { Credentials } from './identity.ts'
import type { Login, Vouched } from './login.ts'
import { openRenewals } from './renewals.ts'
import type { Renewals } from './renewals.ts'
import type { Revocations } from './revocations.ts'
import type { Sealer } from './seal.ts'
import { beginSession, limitReached, readSealedSession, sealable } from './session.ts'
import type { EndReason, Session, SessionLimits } from './session.ts'

/** What a request's cookies say. `cookies` are lines that the answer must set. */
export type SessionState =
  | { readonly is: 'absent' }
  /** A cookie that came twice: somebody may have put one in. */
  | { readonly is: 'duplicate' }
  | { readonly is: 'ended'; readonly because: EndReason }
  /** The provider must vouch anew, and cannot be asked. */
  | { readonly is: 'unavailable'; readonly session: Session }
  | { readonly is: 'live'; readonly session: Session; readonly cookies: readonly string[] }

/** Sessions of people who logged in with a browser. The browser keeps them, sealed; we keep what ended early. */
export interface Sessions {
  readonly limits: SessionLimits
  read(credentials: Pick<Credentials, 'header'>): Promise<SessionState>
  /** Begins a new session, and ends the one that the browser had; null where it is too large for cookies. */
  begin(login: Vouched, credentials: Pick<Credentials, 'header'>): Promise<Begun | null>
  /** Ends a session for good; false where that cannot be kept in mind. */
  end(session: Session): boolean
  /** The lines that take the cookies away. */
  drop(credentials: Pick<Credentials, 'header'>): readonly string[]
}

export interface Begun {
  readonly session: Session
  readonly cookies: readonly string[]
}

/** What sessions are made of. */
export interface SessionParts {
  readonly login: Login
  readonly sealer: Sealer
  readonly revocations: Revocations
  readonly limits: SessionLimits
  readonly clock: () => number
}

/** A session's last use is written down at most this often. */
const touchEvery = 60_000

const none: ReadonlyMap<string, string> = new Map()

interface Inner extends SessionParts {
  readonly startedAt: number
  readonly renewals: Renewals
}

/**
 * Withdrawals are in memory. So a session that the provider last vouched for before this process began must be vouched
 * for anew: what was withdrawn at the provider meanwhile, or before, does not come back with a restart.
 */
export function openSessions(parts: SessionParts): Sessions {
  const { limits, clock, revocations } = parts
  const inner: Inner = { ...parts, startedAt: clock(), renewals: openRenewals(parts) }
  return {
    limits,
    read: (credentials) => read(inner, credentials),
    async begin(vouch, { header }) {
      const cookies = ourCookies({ header })
      const before = cookies.ok ? cookies.value : none
      const sealed = readSession(before)
      const old = sealed === null ? null : await open(inner, sealed)
      if (old !== null && typeof old !== 'string') revocations.end(old.id)
      return write(inner, beginSession(vouch, clock()), before)
    },
    end(session) {
      inner.renewals.forget(session.id)
      return revocations.end(session.id)
    },
    drop({ header }) {
      const cookies = ourCookies({ header })
      return cookies.ok ? dropSession(cookies.value) : []
    },
  }
}

async function read(inner: Inner, { header }: Pick<Credentials, 'header'>): Promise<SessionState> {
  const { clock, limits, renewals } = inner
  const cookies = ourCookies({ header })
  if (!cookies.ok) return { is: 'duplicate' }
  const sealed = readSession(cookies.value)
  if (sealed === null) return { is: 'absent' }
  const held = await open(inner, sealed)
  if (typeof held === 'string') return { is: 'ended', because: held }
  const before = renewals.newest(held)
  const over = isOver(inner, before)
  if (over !== null) return { is: 'ended', because: over }
  const now = await vouchedFor(inner, before)
  if (now === 'unavailable') return { is: 'unavailable', session: before }
  if (typeof now === 'string') return { is: 'ended', because: now }
  // It may have been withdrawn while the provider was asked.
  const since = isOver(inner, now)
  if (since !== null) return { is: 'ended', because: since }
  const due = clock() - now.lastSeen >= Math.min(touchEvery, limits.idle / 4)
  if (!due && now.vouchedAt === held.vouchedAt) return { is: 'live', session: now, cookies: [] }
  const written = await write(inner, { ...now, lastSeen: clock() }, cookies.value)
  return written === null ? { is: 'ended', because: 'too_large' } : { is: 'live', ...written }
}

async function open({ sealer, login }: Inner, sealed: string): Promise<Session | EndReason> {
  const opened = await sealer.open('session', sealed)
  if (!opened.ok) return opened.error === 'expired' ? 'absolute' : 'unreadable'
  const session = readSealedSession(opened.value)
  return session === null || session.issuer !== login.issuer ? 'unreadable' : session
}

function isOver({ revocations, limits, clock }: Inner, session: Session): EndReason | null {
  if (revocations.isEnded(session.id) || revocations.isWithdrawn(session)) return 'logout'
  return limitReached(session, limits, clock())
}

/** The session with the provider's word for it, asked for where it is due. */
async function vouchedFor(
  { startedAt, clock, renewals }: Inner,
  session: Session,
): Promise<Session | EndReason | 'unavailable'> {
  const restarted = session.vouchedAt < startedAt
  if (!restarted && clock() < session.vouchedUntil) return session
  if (session.refreshToken === null) return restarted ? 'restart' : 'provider'
  return renewals.renew(session, session.refreshToken)
}

/** Seals, without the ID token where there is no room: it only makes the logout at the provider smoother. */
async function write(
  { sealer, limits }: Inner,
  session: Session,
  before: ReadonlyMap<string, string>,
): Promise<Begun | null> {
  for (const one of session.idToken === null ? [session] : [session, { ...session, idToken: null }]) {
    const cookies = writeSession(await sealer.seal('session', sealable(one), one.begun + limits.absolute), before)
    if (cookies !== null) return { session: one, cookies }
  }
  return null
}
