import type { Parameter } from '../../audit/record.ts'
import { fail, ok } from '../../result.ts'
import type { Result } from '../../result.ts'
import { eventOf } from '../answer.ts'
import type { Answer, PageAnswer, PageParts, PageRequest } from '../answer.ts'
import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { paths } from '../paths.ts'
import { redirect } from '../reply.ts'
import { enter, enterForm, lookAt, showReview } from './enter.ts'
import type { Asking } from './enter.ts'
import { failureNote, problemsNote, statusOf } from './failure.ts'
import { maxTitle } from './limits.ts'
import { parametersOf, readFilter } from './query.ts'
import { isOverdue, mayOpen, readReviews } from './saved.ts'
import type { SavedReview } from './saved.ts'
import { clockTime, counted, iso, thousands, written } from './text.ts'

/** The saved reviews: when each was last signed, and by whom. */
export async function listReviews(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const entered = await enter(parts, request)
  if (!entered.ok) return entered.error
  const auditor = entered.value
  const record = { is: 'event', entry: lookAt(request, auditor, 'reviews', []) } as const
  const reviews = await readReviews(auditor)
  const body = reviews.ok ? listing(reviews.value, parts.clock()) : failureNote(reviews.error)
  const status = reviews.ok ? 200 : statusOf(reviews.error)
  const page = { title: 'Saved reviews', body, here: paths.reviews }
  return showReview(parts, request, auditor, page, { status, record })
}

function listing(reviews: readonly SavedReview[], now: number): Html {
  const how = html`<p class="quiet">
    A review is a search that somebody looks through regularly and signs. To add one,
    <a href="${paths.review}">search</a>, and save the search. Reviews and signatures stand in the record itself.
  </p>`
  if (reviews.length === 0)
    return html`<p class="empty">No review is saved.</p>
      ${how}`
  const late = reviews.filter((review) => isOverdue(review, now)).length
  return html`<p class="summary">
      <b>${counted(reviews.length, 'review')}</b>,
      ${late === 0 ? 'none overdue' : html`<b>${thousands(late)} overdue</b>`}.
    </p>
    <div class="scroll" tabindex="0" role="region" aria-label="Reviews">
      <table class="records">
        <caption class="sr">
          Saved reviews, the newest first; times are UTC
        </caption>
        <thead>
          <tr>
            <th scope="col">Review</th>
            <th scope="col">State</th>
            <th scope="col">Last signed (UTC)</th>
            <th scope="col">By</th>
            <th scope="col">Verdict</th>
            <th scope="col" class="number">Records</th>
            <th scope="col" class="number">Refused</th>
            <th scope="col" class="number">Signed</th>
          </tr>
        </thead>
        <tbody>
          ${reviews.map((review) => row(review, now))}
        </tbody>
      </table>
    </div>
    ${how}`
}

const number = (value: number | undefined): string => (value === undefined ? '–' : thousands(value))

function row(review: SavedReview, now: number): Html {
  const { id, title, filter, signatures } = review
  const [last] = signatures
  return html`<tr data-row>
    <th scope="row">
      <a href="${signPath(id)}">${written(title)}</a>
      <small>${filterText(filter)}</small>
    </th>
    <td>${stateOf(review, now)}</td>
    <td>${last === undefined ? html`<span class="quiet">never</span>` : clockTime(iso(last.at))}</td>
    <td>${last === undefined ? html`<span class="quiet">–</span>` : written(last.by)}</td>
    <td>${last === undefined ? html`<span class="quiet">–</span>` : written(last.verdict)}</td>
    <td class="number">${number(last?.records)}</td>
    <td class="number">${number(last?.refused)}</td>
    <td class="number">${counted(signatures.length, 'time')}</td>
  </tr>`
}

/** Is it signed in time? In words, not by colour alone. */
export function stateOf(review: SavedReview, now: number): Html {
  if (isOverdue(review, now)) return html`<span class="mark deny">overdue</span>`
  if (review.signatures.length === 0) return html`<span class="mark unknown">not yet signed</span>`
  return html`<span class="mark allow">signed</span>`
}

/** A filter in one line. */
export const filterText = (filter: readonly Parameter[]): Html => {
  const narrowing = filter.filter(([name]) => name !== 'range')
  if (narrowing.length === 0) return html`all questions`
  return html`${narrowing.map(([name, value], at) => html`${at === 0 ? '' : ', '}${written(name)}: ${written(value)}`)}`
}

/** Where one review is looked at and signed. */
export const signPath = (review: string): string => `${paths.reviewSign}?${new URLSearchParams({ review }).toString()}`

/** Saves a search under a title. */
export async function saveReview(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const entered = await enterForm(parts, request, paths.reviews)
  if (!entered.ok) return entered.error
  const asking = entered.value
  const wanted = readSaved(asking, parts.clock())
  if (!wanted.ok) return refused(parts, request, asking, wanted.error)
  const { title, filter } = wanted.value
  const entry = {
    kind: 'review.saved',
    ...eventOf(request),
    who: asking.identity,
    review: request.id,
    title,
    filter,
  } as const
  return redirect(parts, parts.origin + paths.reviews, {
    cookies: asking.visitor.cookies,
    record: { is: 'event', entry },
  })
}

function readSaved(
  { form, within }: Asking,
  now: number,
): Result<{ readonly title: string; readonly filter: readonly Parameter[] }, readonly string[]> {
  const title = (form.get('title') ?? '').trim()
  const asked = readFilter(form, now)
  if (!asked.ok) return fail(asked.error)
  if (title === '' || title.length > maxTitle) return fail([`a title has 1 to ${maxTitle} characters`])
  // Whoever does it again chooses the time then.
  const given = { ...asked.value.given, from: '', to: '' }
  const [only] = within === 'all' || within.length !== 1 ? [] : within
  const filter = parametersOf(only === undefined || given.cluster !== undefined ? given : { ...given, cluster: only })
  if (!mayOpen(filter, within)) return fail(['name the cluster: you may see the records of some clusters only'])
  return ok({ title, filter })
}

/** A form that was not filled in as it must be. */
export function refused(parts: PageParts, request: PageRequest, asking: Asking, problems: readonly string[]): Answer {
  const record = { is: 'event', entry: lookAt(request, asking, 'reviews', [['refused', problems.join('; ')]]) } as const
  const body = html`${problemsNote(problems)}
    <p><a href="${paths.reviews}">To the saved reviews</a></p>`
  const page = { title: 'That was not saved', body, here: paths.reviews }
  return showReview(parts, request, asking, page, { status: 400, record })
}
