import type { Result } from '../result.ts'

type Append<Entry, Receipt, Failure> = (entry: Entry) => Promise<Result<Receipt, Failure>>

/** A record in which some entries stand before all that come after them. */
export interface Announcing<Entry, Receipt, Failure> {
  /** Keeps an entry, or owes it: nothing is kept before it then. */
  readonly announce: Append<Entry, Receipt, Failure>
  /** The same way of keeping entries, behind all that is announced. */
  readonly behind: (append: Append<Entry, Receipt, Failure>) => Append<Entry, Receipt, Failure>
}

/**
 * Puts announcements (such as: another policy decides now) before what follows from them. `keep`, and whatever is put behind
 * it, must keep entries in the order of the calls. An announcement that cannot be kept is owed and tried again with the next entry, which is kept
 * only if the announcement is. Of each kind one is owed at most: `merge` makes one of two.
 */
export function announcing<Entry extends { readonly kind: string }, Receipt, Failure>(
  keep: Append<Entry, Receipt, Failure>,
  merge: (older: Entry, newer: Entry) => Entry,
): Announcing<Entry, Receipt, Failure> {
  interface Owed {
    readonly entry: Entry
    /** The try under way; null where the last one failed. */
    kept: Promise<Result<Receipt, Failure>> | null
  }
  const owed = new Map<string, Owed>()

  function tryToKeep(one: Owed): Promise<Result<Receipt, Failure>> {
    const kept = keep(one.entry).then((result) => {
      if (!result.ok) one.kept = null
      else if (owed.get(one.entry.kind) === one) owed.delete(one.entry.kind)
      return result
    })
    one.kept = kept
    return kept
  }
  return {
    announce(entry) {
      const older = owed.get(entry.kind)
      const one: Owed = { entry: older?.kept === null ? merge(older.entry, entry) : entry, kept: null }
      owed.delete(entry.kind)
      owed.set(entry.kind, one)
      return tryToKeep(one)
    },
    behind: (append) => async (entry) => {
      const before = [...owed.values()].map((one) => one.kept ?? tryToKeep(one))
      const appended = append(entry)
      for (const result of await Promise.all(before)) if (!result.ok) return result
      return appended
    },
  }
}
