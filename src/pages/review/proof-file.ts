import type { PageAnswer, PageParts, PageRequest } from '../answer.ts'
import { paths } from '../paths.ts'
import { download } from '../reply.ts'
import { enter, lookAt, showReview } from './enter.ts'
import { failureNote, statusOf } from './failure.ts'
import { Fields } from './fields.ts'
import { isUncovered, proofOf } from './proof.ts'
import { unknownRecord } from './record.ts'

/** The proof of a record as a file that can be checked alone. */
export async function downloadProof(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const entered = await enter(parts, request)
  if (!entered.ok) return entered.error
  const auditor = entered.value
  const { review, within, signal, reviewing, visitor } = auditor
  const query = new URLSearchParams(request.query)
  const id = query.get('request') ?? ''
  const entry = lookAt(request, auditor, 'record', [
    ['request', id.slice(0, 100)],
    ['as', 'proof'],
  ])
  const record = { is: 'event', entry } as const
  const found = await review.request(id, within, signal)
  if (!found.ok) {
    const body = failureNote(found.error)
    return showReview(parts, request, auditor, { title: 'No proof', body }, { status: statusOf(found.error), record })
  }
  const wanted = found.value.map((one) => new Fields(one)).find((one) => one.text('kind') === (query.get('kind') ?? ''))
  if (wanted === undefined) return unknownRecord(parts, request, auditor, record)
  const made = await proofOf(reviewing, wanted)
  if (made === null || !made.ok) {
    if (made !== null && !isUncovered(made.error))
      parts.log.warn({ request: id, reason: made.error }, 'no proof could be made')
    const reason = made === null ? 'Many proofs are being made just now' : 'no checkpoint covers the record'
    const remedy = 'a record is covered by a checkpoint within seconds: try again, or ask the operator'
    const page = { title: 'No proof yet', body: failureNote({ code: 'busy', reason, remedy }), here: paths.review }
    return showReview(parts, request, auditor, page, { status: 503, record })
  }
  const name = `proof-${id.replaceAll(/[^\w-]/g, '')}.json`
  const file = { type: 'application/json', name, body: made.value.text }
  return download(parts, { cookies: visitor.cookies, record }, file)
}
