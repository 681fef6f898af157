import { maxKept } from './limits.ts'
import type { VerifiedToken } from './token.ts'

/** What a logout withdraws: a session of the provider's, or all of a person's that began until then. */
export interface Withdrawal {
  readonly issuer: string
  readonly subject: string | null
  readonly sid: string | null
  /** When the provider said so, by its own clock, in Unix seconds. */
  readonly issuedAt: number
}

/** What was withdrawn before its time. In memory: see `sessions.ts` for what a restart means. */
export interface Revocations {
  /** False where too much is withdrawn already to keep this in mind as well. */
  withdraw(withdrawal: Withdrawal): boolean
  isWithdrawn(token: VerifiedToken): boolean
  /** Ends one of our own sessions by its id. */
  end(session: string): boolean
  isEnded(session: string): boolean
}

/**
 * Remembers withdrawals for `lifetime` milliseconds, the longest that a session or a token lives. What does not say to
 * which of the provider's sessions it belongs is withdrawn with any session of the same person.
 */
export function openRevocations(lifetime: number, clock: () => number): Revocations {
  const kept = new Map<string, { readonly until: number; readonly issuedAt: number }>()
  function forgetOld(): void {
    // All live equally long, so the oldest are first.
    for (const [key, { until }] of kept) {
      if (until > clock()) break
      kept.delete(key)
    }
  }
  function keep(keys: readonly string[], issuedAt: number): boolean {
    forgetOld()
    if (kept.size + keys.length > maxKept) return false
    for (const key of keys) {
      kept.delete(key)
      kept.set(key, { until: clock() + lifetime, issuedAt })
    }
    return true
  }
  const since = (key: string): number => kept.get(key)?.issuedAt ?? Number.NEGATIVE_INFINITY
  return {
    withdraw({ issuer, subject, sid, issuedAt }) {
      const ofPerson = subject === null ? [] : [keyOf(sid === null ? 'person' : 'unnamed', issuer, subject)]
      return keep(sid === null ? ofPerson : [keyOf('sid', issuer, sid), ...ofPerson], issuedAt)
    },
    isWithdrawn({ issuer, subject, sid, issuedAt }) {
      if (issuedAt <= since(keyOf('person', issuer, subject))) return true
      return sid === null ? issuedAt <= since(keyOf('unnamed', issuer, subject)) : kept.has(keyOf('sid', issuer, sid))
    },
    end: (session) => keep([keyOf('ended', session)], 0),
    isEnded: (session) => kept.has(keyOf('ended', session)),
  }
}

const keyOf = (...parts: readonly string[]): string => JSON.stringify(parts)
