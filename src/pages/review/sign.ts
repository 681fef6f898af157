import type { ReviewSignedEntry } from '../../audit/record.ts'
import { fail, ok } from '../../result.ts'
import type { Result } from '../../result.ts'
import type { ReviewFailure, ReviewFilter } from '../../review/review.ts'
import { eventOf } from '../answer.ts'
import type { Answer, PageAnswer, PageParts, PageRequest } from '../answer.ts'
import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { paths } from '../paths.ts'
import { redirect } from '../reply.ts'
import { enter, enterForm, lookAt, showReview } from './enter.ts'
import type { Auditor } from './enter.ts'
import { failureNote, statusOf } from './failure.ts'
import { maxNote, maxTitle } from './limits.ts'
import { countPeople } from './people.ts'
import { addressOf, between, ranges, readFilter, readMoment } from './query.ts'
import type { AskedFilter } from './query.ts'
import { recordPath } from './table.ts'
import { filterText, refused, signPath, stateOf } from './reviews.ts'
import { readReviews, reviewedTo } from './saved.ts'
import type { SavedReview, Signature } from './saved.ts'
import { clockTime, counted, iso, plainly, thousands, written } from './text.ts'
import { timelineOf, totalOf } from './timeline.ts'

type Found = ReviewSignedEntry['found']

/** A stretch of time, in Unix milliseconds. */
interface Span {
  readonly from: number
  readonly to: number
}

/** One review: what is to be looked through since it was signed last, and the form to sign. */
export async function showReviewToSign(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const entered = await enter(parts, request)
  if (!entered.ok) return entered.error
  const auditor = entered.value
  const query = new URLSearchParams(request.query)
  const id = (query.get('review') ?? '').slice(0, 100)
  const entry = lookAt(request, auditor, 'reviews', [['review', id]])
  const record = { is: 'event', entry } as const
  const review = await findReview(auditor, id)
  if (!review.ok) return failed(parts, request, auditor, { failure: review.error, record })
  if (review.value === null) return failed(parts, request, auditor, { failure: unknown, record, status: 404 })
  const now = parts.clock()
  const span = spanOf(query, now, review.value)
  const asked = searchOf(review.value, span, now)
  const timeline = await auditor.review.timeline(asked.filter, auditor.within, auditor.signal)
  if (!timeline.ok) return failed(parts, request, auditor, { failure: timeline.error, record })
  const { requests, refused: denied } = totalOf(timeline.value)
  const body = html`<p class="summary">
      ${stateOf(review.value, now)} saved ${clockTime(iso(review.value.at))} UTC by <b>${written(review.value.by)}</b>:
      ${filterText(review.value.filter)}
    </p>
    ${timelineOf(paths.review, asked, timeline.value)}
    <p>
      <b>${counted(requests, 'record')}</b>, ${thousands(denied)} refused, from ${clockTime(iso(span.from))} to
      ${clockTime(iso(span.to))} UTC. <a href="${addressOf(paths.review, asked.given)}">Look through them</a>
    </p>
    ${signForm(parts.sealer.code(auditor.visitor.session.id), id, span)} ${history(review.value.signatures)}`
  const page = { title: `Review: ${plainly(review.value.title, maxTitle)}`, body, here: paths.reviews }
  return showReview(parts, request, auditor, page, { record })
}

const unknown: ReviewFailure = {
  code: 'refused',
  reason: 'no review that you may open has this id',
  remedy: 'choose one from the list of saved reviews',
}

async function findReview(auditor: Auditor, id: string): Promise<Result<SavedReview | null, ReviewFailure>> {
  const reviews = await readReviews(auditor)
  return reviews.ok ? ok(reviews.value.find((review) => review.id === id) ?? null) : reviews
}

/** What is to be reviewed: what was asked for, or what came since the last time, up to now. */
function spanOf(query: URLSearchParams, now: number, review: SavedReview): Span {
  const range = review.filter.find(([name]) => name === 'range')?.[1]
  const length = Object.entries(ranges).find(([name]) => name === range)?.[1].ms ?? ranges['30d'].ms
  const to = Math.min(now, readMoment(query.get('to') ?? '') ?? now)
  const from = readMoment(query.get('from') ?? '') ?? reviewedTo(review) ?? to - length
  return from < to ? { from, to } : { from: to - length, to }
}

/** The review's search in a stretch of time. What the record says is read like an address: it may be of another version. */
function searchOf({ filter }: SavedReview, { from, to }: Span, now: number): AskedFilter {
  const query = new URLSearchParams(Object.fromEntries(filter))
  for (const [name, value] of Object.entries(between(from, to))) query.set(name, value)
  const asked = readFilter(query, now)
  return asked.ok ? asked.value : { filter: { from, to } satisfies ReviewFilter, given: {}, after: null, back: [] }
}

const signForm = (code: string, id: string, { from, to }: Span): Html =>
  html`<section class="panel" aria-labelledby="sign-title">
    <h2 id="sign-title">Sign that you looked through them</h2>
    <form class="sign" method="post" action="${paths.reviewSign}">
      <input type="hidden" name="code" value="${code}" />
      <input type="hidden" name="review" value="${id}" />
      <input type="hidden" name="from" value="${iso(from)}" />
      <input type="hidden" name="to" value="${iso(to)}" />
      <fieldset>
        <legend>What you found</legend>
        <label><input type="radio" name="verdict" value="nothing unusual" required /> Nothing unusual</label>
        <label><input type="radio" name="verdict" value="followed up" /> Something that I followed up</label>
      </fieldset>
      <label>Note <textarea name="note" rows="3" maxlength="${maxNote}"></textarea></label>
      <p><button>Sign</button> <span class="quiet">Your name, the time and the numbers above go on record.</span></p>
    </form>
  </section>`

const history = (signatures: readonly Signature[]): Html =>
  html`<section aria-labelledby="history-title">
    <h2 id="history-title">Signed before</h2>
    ${
      signatures.length === 0
        ? html`<p class="empty">Nobody has signed this review yet.</p>`
        : html`<ol class="history">
            ${signatures.map(
              ({ request, at, by, from, to, records, refused: denied, people, verdict, note }) =>
                html`<li>
                  <a href="${recordPath(request)}">${clockTime(iso(at))} UTC</a> <b>${written(by)}</b>:
                  ${written(verdict)}
                  <div class="quiet">
                    ${counted(records, 'record')}, ${thousands(denied)} refused, ${counted(people, 'person', 'people')},
                    from ${clockTime(from)} to ${clockTime(to)} UTC
                  </div>
                  ${note === '' ? null : html`<blockquote>${written(note)}</blockquote>`}
                </li>`,
            )}
          </ol>`
    }
  </section>`

/** Signs a review: what was found is counted anew, for exactly the time that was shown. */
export async function signReview(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const entered = await enterForm(parts, request, paths.reviews)
  if (!entered.ok) return entered.error
  const asking = entered.value
  const { form, identity, visitor } = asking
  const signed = readSigned(form, parts.clock())
  if (!signed.ok) return refused(parts, request, asking, [signed.error])
  const { id, span, verdict, note } = signed.value
  const record = { is: 'event', entry: lookAt(request, asking, 'reviews', [['review', id]]) } as const
  const review = await findReview(asking, id)
  if (!review.ok) return failed(parts, request, asking, { failure: review.error, record })
  if (review.value === null) return failed(parts, request, asking, { failure: unknown, record, status: 404 })
  const found = await count(asking, searchOf(review.value, span, parts.clock()).filter)
  if (!found.ok) return failed(parts, request, asking, { failure: found.error, record })
  const entry: ReviewSignedEntry = {
    kind: 'review.signed',
    ...eventOf(request),
    who: identity,
    review: id,
    covers: { from: iso(span.from), to: iso(span.to) },
    found: found.value,
    verdict,
    note,
  }
  const to = parts.origin + signPath(id)
  return redirect(parts, to, { cookies: visitor.cookies, record: { is: 'event', entry } })
}

interface Signed {
  readonly id: string
  readonly span: Span
  readonly verdict: ReviewSignedEntry['verdict']
  readonly note: string
}

function readSigned(form: URLSearchParams, now: number): Result<Signed, string> {
  const verdict = form.get('verdict')
  const note = (form.get('note') ?? '').trim()
  const from = readMoment(form.get('from') ?? '')
  const to = readMoment(form.get('to') ?? '')
  if (verdict !== 'nothing unusual' && verdict !== 'followed up') return fail('say what you found')
  if (verdict === 'followed up' && note === '') return fail('say in the note what you followed up, and where')
  if (note.length > maxNote) return fail(`a note has ${maxNote} characters at most`)
  if (from === undefined || to === undefined || from >= to || to > now) return fail('the time is none that has passed')
  return ok({ id: (form.get('review') ?? '').slice(0, 100), span: { from, to }, verdict, note })
}

async function count({ review, within, signal }: Auditor, filter: ReviewFilter): Promise<Result<Found, ReviewFailure>> {
  const timeline = await review.timeline(filter, within, signal)
  if (!timeline.ok) return timeline
  const people = await countPeople(review, filter, { within, signal, timeline: timeline.value })
  if (!people.ok) return people
  const { requests, refused } = totalOf(timeline.value)
  return ok({ records: requests, refused, people: people.value })
}

function failed(
  parts: PageParts,
  request: PageRequest,
  auditor: Auditor,
  { failure, record, status }: { failure: ReviewFailure; record: NonNullable<Answer['record']>; status?: number },
): Answer {
  const body = html`${failureNote(failure)}
    <p><a href="${paths.reviews}">To the saved reviews</a></p>`
  const page = { title: 'A saved review', body, here: paths.reviews }
  return showReview(parts, request, auditor, page, { status: status ?? statusOf(failure), record })
}
