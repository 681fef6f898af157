import type { Parameter } from '../../audit/record.ts'
import { fail, ok } from '../../result.ts'
import type { Result } from '../../result.ts'
import type { ReviewFailure, ReviewRow, Within } from '../../review/review.ts'
import type { Auditor } from './enter.ts'
import type { Fields } from './fields.ts'
import { readWhole } from './kept.ts'
import { maxReviews, maxSignatures, overdue } from './limits.ts'

/** A search that is to be done again and again. The record is where it is kept. */
export interface SavedReview {
  readonly id: string
  readonly title: string
  readonly by: string
  /** Unix milliseconds. */
  readonly at: number
  readonly filter: readonly Parameter[]
  /** The newest first. */
  readonly signatures: readonly Signature[]
}

/** That somebody looked, and what they found. */
export interface Signature {
  readonly request: string
  readonly by: string
  readonly at: number
  readonly from: string
  readonly to: string
  readonly records: number
  readonly refused: number
  readonly people: number
  readonly verdict: string
  readonly note: string
}

/** Every saved review that this person may open, and all its signatures. */
export async function readReviews(auditor: Auditor): Promise<Result<readonly SavedReview[], ReviewFailure>> {
  const saved = await all(auditor, 'review.saved', maxReviews)
  if (!saved.ok) return saved
  const signed = await all(auditor, 'review.signed', maxSignatures)
  if (!signed.ok) return signed
  const signatures = Map.groupBy(signed.value, (record) => record.text('review'))
  return ok(
    saved.value
      .map((record) => reviewOf(record, signatures.get(record.text('review')) ?? []))
      .filter(({ filter }) => mayOpen(filter, auditor.within)),
  )
}

/** Records of a kind, the newest first. They belong to no cluster: who may open which is decided afterwards. */
async function all(
  { review, signal }: Auditor,
  kind: string,
  most: number,
): Promise<Result<readonly Fields[], ReviewFailure>> {
  const rows: ReviewRow[] = []
  let after: string | null = null
  do {
    const page = await review.search({ kind }, 'all', { after, limit: 100 }, signal)
    if (!page.ok) return fail(page.error)
    rows.push(...page.value.rows)
    after = page.value.next
  } while (after !== null && rows.length < most)
  return readWhole({ review, within: 'all', signal }, rows.slice(0, most))
}

/** A review is opened by those who may see all that it is about: everything, or the one cluster that it names. */
export const mayOpen = (filter: readonly Parameter[], within: Within): boolean =>
  within === 'all' || filter.some(([name, value]) => name === 'cluster' && within.includes(value))

const reviewOf = (record: Fields, signed: readonly Fields[]): SavedReview => ({
  id: record.text('review'),
  title: record.text('title'),
  by: record.text('who', 'name'),
  at: Date.parse(record.text('ts')),
  filter: record.pairs('filter'),
  signatures: signed.map(signatureOf),
})

const signatureOf = (record: Fields): Signature => ({
  request: record.text('request'),
  by: record.text('who', 'name'),
  at: Date.parse(record.text('ts')),
  from: record.text('covers', 'from'),
  to: record.text('covers', 'to'),
  records: record.number('found', 'records') ?? 0,
  refused: record.number('found', 'refused') ?? 0,
  people: record.number('found', 'people') ?? 0,
  verdict: record.text('verdict'),
  note: record.text('note'),
})

/** Should it have been signed by now? */
export const isOverdue = ({ at, signatures }: SavedReview, now: number): boolean =>
  now - (signatures[0]?.at ?? at) > overdue

/** Up to which moment it was reviewed, in Unix milliseconds; null: never. */
export function reviewedTo({ signatures }: SavedReview): number | null {
  const times = signatures.map(({ to }) => Date.parse(to)).filter((time) => !Number.isNaN(time))
  return times.length === 0 ? null : Math.max(...times)
}
