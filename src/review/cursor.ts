import { refused } from './failure.ts'

/** Where a record stands in a list: newest first, and among those of one millisecond by their numbers. */
export interface Place {
  /** Unix milliseconds. */
  readonly at: number
  readonly log: string
  readonly seq: number
}

/** A place as an opaque text, fit for a URL. */
export const cursorOf = ({ at, log, seq }: Place): string =>
  Buffer.from(JSON.stringify([at, seq, log])).toString('base64url')

/** The place that a text stands for. It names nothing that its reader could not ask for otherwise, so it is not signed. */
export function placeOf(cursor: string): Place {
  const wrong = refused('this is not where a page goes on', 'begin with the first page')
  if (cursor.length > 1_000 || !/^[\w-]+$/.test(cursor)) throw wrong
  let found: unknown
  try {
    found = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    throw wrong
  }
  const [at, seq, log, ...more]: readonly unknown[] = Array.isArray(found) ? found : []
  if (typeof at !== 'number' || !Number.isSafeInteger(at) || typeof seq !== 'number' || !Number.isSafeInteger(seq)) {
    throw wrong
  }
  if (typeof log !== 'string' || more.length > 0 || Math.abs(at) > 8.64e15) throw wrong
  return { at, log, seq }
}

/** Does one come before the other in the list? */
export const isBefore = (one: Place, other: Place): boolean =>
  one.at !== other.at ? one.at > other.at : one.log !== other.log ? one.log > other.log : one.seq > other.seq

/** The same as a condition on rows that come behind a place. */
export const behind = ({ at, log, seq }: Place): readonly [string, ...(string | number)[]] => [
  `(ts < make_timestamptz(? * 1000) OR (ts = make_timestamptz(? * 1000) AND (log < ? OR (log = ? AND seq < ?))))`,
  at,
  at,
  log,
  log,
  seq,
]
