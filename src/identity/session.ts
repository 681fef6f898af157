import { randomBytes } from 'node:crypto'
import type { JWTPayload } from 'jose'
import type { Identity } from './identity.ts'
import { maxGroups, vouched } from './limits.ts'
import type { Vouched } from './login.ts'
import { hashOf, shortHash } from './remembered.ts'

/** Somebody's login at the gateway, as the browser keeps it for us, sealed. Times are Unix milliseconds of our clock. */
export interface Session {
  /** New at each login. */
  readonly id: string
  readonly issuer: string
  readonly subject: string
  readonly name: string
  readonly groups: readonly string[]
  /** The provider's own session, where it names one. */
  readonly sid: string | null
  /** When the login's ID token was issued, by the provider's clock, in Unix seconds. */
  readonly issuedAt: number
  readonly begun: number
  readonly lastSeen: number
  /** When the provider last vouched for this person, and until when that holds. */
  readonly vouchedAt: number
  readonly vouchedUntil: number
  /** Renews what the provider vouches for. */
  readonly refreshToken: string | null
  /** Shown to the provider at logout, where there was room for it. */
  readonly idToken: string | null
}

/** How long a session may be, in milliseconds. */
export interface SessionLimits {
  /** Without any request. */
  readonly idle: number
  /** In all. */
  readonly absolute: number
}

/** Begins a session: always a new one, with an id that nobody could know before. */
export function beginSession(login: Vouched, now: number): Session {
  const { person, sid, issuedAt } = login
  const { issuer, subject, name, groups } = person
  const id = randomBytes(16).toString('base64url')
  return { id, issuer, subject, name, groups, sid, issuedAt, begun: now, lastSeen: now, ...tokensOf(login, now) }
}

/** The session after the provider vouched anew. Only what belongs to the login itself stays. */
export function renewSession(session: Session, renewed: Vouched, now: number): Session {
  const { name, groups } = renewed.person
  return {
    ...session,
    name,
    groups,
    lastSeen: now,
    ...tokensOf(renewed, now),
    // A provider that does not rotate sends none (RFC 6749 §6).
    refreshToken: renewed.refreshToken ?? session.refreshToken,
    idToken: renewed.idToken ?? session.idToken,
  }
}

const tokensOf = ({ expiresIn, refreshToken, idToken }: Vouched, now: number) => ({
  vouchedAt: now,
  vouchedUntil: now + Math.min(expiresIn === null ? vouched.usual : expiresIn * 1000, vouched.longest),
  refreshToken,
  idToken,
})

/** Why a session does not count any more, or null. What it needs from the provider is asked elsewhere. */
export function limitReached({ begun, lastSeen }: Session, limits: SessionLimits, now: number): EndReason | null {
  if (now >= begun + limits.absolute) return 'absolute'
  return now >= lastSeen + limits.idle ? 'idle' : null
}

/** Why a session ended. */
export type EndReason = 'unreadable' | 'absolute' | 'idle' | 'logout' | 'provider' | 'restart' | 'too_large'

/** Who a session stands for. */
export function identityOf(session: Session, { absolute }: SessionLimits): Identity {
  const { issuer, subject, name, groups, begun, vouchedUntil } = session
  const expires = Math.floor(Math.min(vouchedUntil, begun + absolute) / 1000)
  return { issuer, subject, name, groups, via: 'session', credential: shortHash(hashOf(session.id)), expires }
}

/** Reads what was sealed. Null where it is no session of this version: then it is as if it could not be opened. */
export function readSealedSession(content: JWTPayload): Session | null {
  const { v, id, issuer, subject, name, groups, sid, refreshToken, idToken } = content
  const { issuedAt, begun, lastSeen, vouchedAt, vouchedUntil } = content
  const texts = [id, issuer, subject, name].every((text) => typeof text === 'string')
  const numbers = [issuedAt, begun, lastSeen, vouchedAt, vouchedUntil].every((number) => Number.isFinite(number))
  const maybe = [sid, refreshToken, idToken].every((text) => text === null || typeof text === 'string')
  if (v !== version || !texts || !numbers || !maybe || !Array.isArray(groups) || groups.length > maxGroups) return null
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- just checked; and only we can seal
  return {
    id,
    issuer,
    subject,
    name,
    groups,
    sid,
    issuedAt,
    begun,
    lastSeen,
    vouchedAt,
    vouchedUntil,
    refreshToken,
    idToken,
  } as Session
}

/** What is sealed of a session. */
export const sealable = (session: Session): JWTPayload => ({ v: version, ...session })

const version = 1
