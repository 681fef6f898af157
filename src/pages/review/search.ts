import type { ReviewPage, ReviewStatus, Timeline } from '../../review/review.ts'
import type { Answer, PageAnswer, PageParts, PageRequest } from '../answer.ts'
import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { paths } from '../paths.ts'
import { enter, lookAt, showReview } from './enter.ts'
import type { Auditor } from './enter.ts'
import { exportForm } from './export-form.ts'
import { failureNote, problemsNote, statusOf } from './failure.ts'
import { chips, clustersWithin, filterForm } from './filter-form.ts'
import { maxTitle, pageRows } from './limits.ts'
import { addressOf, parametersOf, rangeOf, ranges, readFilter, recordedOf } from './query.ts'
import type { AskedFilter } from './query.ts'
import { listOf } from './table.ts'
import { counted, thousands, written } from './text.ts'
import { leaders, timelineOf, totalOf } from './timeline.ts'

/** Who looked at what, and when: filters, a timeline, who and how much, and the list. */
export async function search(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const entered = await enter(parts, request)
  if (!entered.ok) return entered.error
  const auditor = entered.value
  const asked = readFilter(new URLSearchParams(request.query), parts.clock())
  if (!asked.ok) {
    const none = { filter: {}, given: {}, after: null, back: [] }
    const body = html`${problemsNote(asked.error)} ${filterForm(paths.review, none, [])}`
    return answer(parts, request, auditor, { asked: none, body, status: 400 })
  }
  return found(parts, request, auditor, asked.value)
}

async function found(
  parts: PageParts,
  request: PageRequest,
  auditor: Auditor,
  asked: AskedFilter,
): Promise<PageAnswer> {
  const { review, within, signal } = auditor
  const { filter, after } = asked
  const [page, timeline] = await Promise.all([
    review.search(filter, within, { after, limit: pageRows }, signal),
    review.timeline(filter, within, signal),
  ])
  const form = html`${chips(paths.review, asked)} ${wholePerson(asked)}
  ${filterForm(paths.review, asked, clustersWithin(within, parts.clusters))}`
  if (!page.ok) {
    const body = html`${failureNote(page.error)} ${form}`
    return answer(parts, request, auditor, { asked, body, status: statusOf(page.error) })
  }
  const body = html`${scopeNote(auditor)} ${summaryOf(asked, timeline.ok ? timeline.value : null)} ${form}
  ${timeline.ok ? activity(asked, timeline.value) : failureNote(timeline.error)} ${records(asked, page.value)}
  ${actions(parts, auditor, asked)} ${indexNote(review.status())}`
  return answer(parts, request, auditor, { asked, body, status: 200 })
}

/** From a search for somebody to all that they saw. */
const wholePerson = ({ given: { person, namespace = '' } }: AskedFilter): Html | null =>
  person === undefined
    ? null
    : html`<p>
        <a href="${addressOf(paths.reviewPerson, { person, namespace })}"
          >Everything this person saw${namespace === '' ? null : html` of ${written(namespace)}`}</a
        >
      </p>`

const activity = (asked: AskedFilter, timeline: Timeline): Html =>
  html`${timelineOf(paths.review, asked, timeline)} ${leaders(paths.review, asked, timeline)}`

const records = (asked: AskedFilter, page: ReviewPage): Html =>
  html`<section aria-labelledby="records-title">
    <h2 id="records-title">Records</h2>
    ${listOf(paths.review, asked, page)}
  </section>`

/** One sentence that answers "who, and how much?". */
function summaryOf(asked: AskedFilter, timeline: Timeline | null): Html | null {
  if (timeline === null) return null
  const { requests, refused } = totalOf(timeline)
  const name = rangeOf(asked)
  const when = Object.entries(ranges)
    .find(([range]) => range === name)?.[1]
    .text.toLowerCase()
  const people = timeline.people.length
  return html`<p class="summary">
    <b>${counted(requests, 'record')}</b>, <b>${thousands(refused)}</b> refused, by
    <b>${people >= 10 ? '10 people or more' : counted(people, 'person', 'people')}</b
    >${when === undefined ? null : `, ${when}`}.
  </p>`
}

/** Those who may see some clusters only are told so: a list that is short must not look whole. */
const scopeNote = ({ within }: Auditor): Html | null =>
  within === 'all'
    ? null
    : html`<p class="note">
        You see the records of ${within.length === 1 ? 'cluster' : 'clusters'} <b>${within.join(', ')}</b> only, and
        none that belong to no cluster.
      </p>`

function actions(parts: PageParts, auditor: Auditor, { given }: AskedFilter): Html {
  const code = parts.sealer.code(auditor.visitor.session.id)
  const hidden = parametersOf(given).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`,
  )
  return html`<div class="columns two">
    <section aria-labelledby="save-title">
      <h2 id="save-title">Look at this regularly</h2>
      <form class="row" method="post" action="${paths.reviews}">
        <input type="hidden" name="code" value="${code}" />${hidden}
        <label>Title <input name="title" required maxlength="${maxTitle}" autocomplete="off" /></label>
        <button>Save as a review</button>
      </form>
    </section>
    ${exportForm(auditor, code, hidden)}
  </div>`
}

function indexNote({ state, indexed, waiting, failure }: ReviewStatus): Html {
  if (failure !== null) return failureNote(failure)
  const words = state === 'starting' ? 'The index is being made: ' : ''
  return html`<p class="quiet">
    ${words}${counted(indexed, 'record')} in the index, ${thousands(waiting)} read from the log itself. That you looked
    is on record.
  </p>`
}

function answer(
  parts: PageParts,
  request: PageRequest,
  auditor: Auditor,
  { asked, body, status }: { readonly asked: AskedFilter; readonly body: Html; readonly status: number },
): Answer {
  const entry = lookAt(request, auditor, 'search', recordedOf(asked))
  return showReview(
    parts,
    request,
    auditor,
    { title: 'Who looked at what', body, here: paths.review },
    { status, record: { is: 'event', entry } },
  )
}
