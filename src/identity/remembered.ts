import { hash as digest } from 'node:crypto'
import type { Identity } from './identity.ts'
import { maxRemembered } from './limits.ts'

/** A verified token, and how long that holds. */
export interface Remembered {
  readonly identity: Identity
  /** Unix milliseconds. */
  readonly until: number
  /** Is what it was verified with still in force? */
  readonly valid: () => boolean
}

/** Verified tokens by their hash: the tokens themselves are not kept. */
export interface RememberedTokens {
  find(hash: string): Identity | null
  keep(hash: string, remembered: Remembered): void
}

/** SHA-256 of a credential in hex. */
export const hashOf = (credential: string): string => digest('sha256', credential)

/** As much of the hash as the record shows: enough to recognise a token, too little to find one. */
export const shortHash = (hash: string): string => hash.slice(0, 16)

/** Remembers up to a fixed weight, and forgets what was longest unused. */
export function rememberTokens(clock: () => number): RememberedTokens {
  const entries = new Map<string, Remembered>()
  const weightOf = ({ identity }: Remembered): number => 1 + identity.groups.length
  let weight = 0
  function forget(hash: string, entry: Remembered): void {
    entries.delete(hash)
    weight -= weightOf(entry)
  }
  return {
    find(hash) {
      const entry = entries.get(hash)
      if (entry === undefined) return null
      entries.delete(hash)
      if (clock() >= entry.until || !entry.valid()) {
        weight -= weightOf(entry)
        return null
      }
      // A map keeps the order of insertion: what was just used goes to the end.
      entries.set(hash, entry)
      return entry.identity
    },
    keep(hash, entry) {
      const before = entries.get(hash)
      if (before !== undefined) forget(hash, before)
      entries.set(hash, entry)
      weight += weightOf(entry)
      if (weight <= maxRemembered) return
      for (const [oldest, old] of entries) {
        if (weight <= maxRemembered) break
        forget(oldest, old)
      }
    },
  }
}
