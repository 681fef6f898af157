import { fail, ok } from '../../result.ts'
import type { Result } from '../../result.ts'
import type { Review, ReviewFailure, ReviewRow } from '../../review/review.ts'
import type { Auditor } from './enter.ts'
import { Fields } from './fields.ts'
import { maxKeptRecords } from './limits.ts'

type Reader = Pick<Auditor, 'review' | 'within' | 'signal'>

/** Records that were read whole: they never change, so each is asked for once. */
const kept = new WeakMap<Review, Map<string, Fields>>()

/** How many are asked for at a time. */
const atOnce = 3

/** The records behind the rows of a list, which was found for the same auditor. */
export async function readWhole(
  reader: Reader,
  rows: readonly ReviewRow[],
): Promise<Result<readonly Fields[], ReviewFailure>> {
  const found: Fields[] = []
  for (let at = 0; at < rows.length; at += atOnce) {
    for (const one of await Promise.all(rows.slice(at, at + atOnce).map((row) => read(reader, row)))) {
      if (!one.ok) return fail(one.error)
      if (one.value !== null) found.push(one.value)
    }
  }
  return ok(found)
}

async function read({ review, within, signal }: Reader, row: ReviewRow): Promise<Result<Fields | null, ReviewFailure>> {
  const { log, seq, request, kind } = row
  if (request === null) return ok(null)
  const known = kept.get(review) ?? new Map<string, Fields>()
  kept.set(review, known)
  const key = `${log} ${seq}`
  const before = known.get(key)
  if (before !== undefined) return ok(before)
  const answered = await review.request(request, within, signal)
  if (!answered.ok) return answered
  const one = answered.value.map((line) => new Fields(line)).find((line) => line.text('kind') === kind)
  if (one === undefined) return ok(null)
  if (known.size >= maxKeptRecords) known.clear()
  known.set(key, one)
  return ok(one)
}
