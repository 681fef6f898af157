import type { ReviewRow, Timeline } from '../../review/review.ts'
import type { PageAnswer, PageParts, PageRequest } from '../answer.ts'
import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { paths } from '../paths.ts'
import { enter, lookAt, showReview } from './enter.ts'
import type { Auditor } from './enter.ts'
import { failureNote, problemsNote, statusOf } from './failure.ts'
import { maxFirst, maxRead, pageRows } from './limits.ts'
import { addressOf, readFilter, recordedOf } from './query.ts'
import type { AskedFilter } from './query.ts'
import { listOf } from './table.ts'
import { clockTime, counted, iso, thousands, written } from './text.ts'
import { timelineOf, totalOf } from './timeline.ts'

/** Everything that one person saw, of one namespace or of all: in sum, and record by record. */
export async function showPerson(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const entered = await enter(parts, request)
  if (!entered.ok) return entered.error
  const auditor = entered.value
  const query = new URLSearchParams(request.query)
  // Of a person, all there is.
  if (!['range', 'from', 'to'].some((name) => query.has(name))) query.set('range', 'all')
  const asked = readFilter(query, parts.clock())
  const missing = asked.ok && (asked.value.given.person ?? '') === ''
  if (!asked.ok || missing) {
    const entry = lookAt(request, auditor, 'person', [])
    const body = html`${problemsNote(asked.ok ? ['say which person'] : asked.error)} ${personForm('', '')}`
    const page = { title: 'One person', body, here: paths.review }
    return showReview(parts, request, auditor, page, { status: 400, record: { is: 'event', entry } })
  }
  const entry = lookAt(request, auditor, 'person', recordedOf(asked.value))
  const { title, body, status } = await found(auditor, asked.value)
  const page = { title, body, here: paths.review }
  return showReview(parts, request, auditor, page, { status, record: { is: 'event', entry } })
}

async function found(auditor: Auditor, asked: AskedFilter) {
  const { review, within, signal } = auditor
  const { filter, given, after } = asked
  const [page, newest, timeline] = await Promise.all([
    review.search(filter, within, { after, limit: pageRows }, signal),
    review.search(filter, within, { after: null, limit: maxRead }, signal),
    drawn(auditor, asked),
  ])
  const { person = '', namespace = '' } = given
  const title = namespace === '' ? 'Everything one person saw' : 'What one person saw of a namespace'
  const form = personForm(person, namespace)
  const failed = [page, newest, timeline].find((one) => !one.ok)
  if (failed !== undefined && !failed.ok) {
    return { title, body: html`${failureNote(failed.error)} ${form}`, status: statusOf(failed.error) }
  }
  if (!page.ok || !newest.ok || !timeline.ok) throw new Error('unreachable: none failed')
  const first = await firstOf(auditor, asked, timeline.value)
  const rows = newest.value.rows
  const all = newest.value.next === null
  const body = html`${sentence(asked, timeline.value, { first, last: rows[0] ?? null })} ${form}
    ${timelineOf(paths.reviewPerson, asked, timeline.value)} ${summary(rows, all)}
    <section aria-labelledby="records-title">
      <h2 id="records-title">Records</h2>
      ${listOf(paths.reviewPerson, asked, page.value)}
      <p><a href="${addressOf(paths.review, given)}">The same in the search, to save or to take home</a></p>
    </section>`
  return { title, body, status: 200 }
}

/** The timeline, from the first record on where all time is asked for: the log may be much older. */
async function drawn({ review, within, signal }: Auditor, { filter }: AskedFilter) {
  const whole = await review.timeline(filter, within, signal)
  if (!whole.ok || filter.from !== undefined) return whole
  const { buckets, to } = whole.value
  const first = buckets.findIndex(({ allowed, refused }) => allowed + refused > 0)
  const begin = buckets[first]?.at
  if (begin === undefined || first === 0) return whole
  return review.timeline({ ...filter, from: begin, to: filter.to ?? to + 1 }, within, signal)
}

/** When it began; null where nothing is on record, or too much in the first bucket of the timeline to say. */
async function firstOf(
  { review, within, signal }: Auditor,
  { filter }: AskedFilter,
  { buckets, step, from }: Timeline,
): Promise<string | null> {
  const bucket = buckets.find(({ allowed, refused }) => allowed + refused > 0)
  if (bucket === undefined) return null
  const span = { from: Math.max(from, bucket.at), to: Math.min(filter.to ?? Infinity, bucket.at + step) }
  const page = await review.search({ ...filter, ...span }, within, { after: null, limit: maxFirst }, signal)
  return page.ok && page.value.next === null ? (page.value.rows.at(-1)?.ts ?? null) : iso(span.from).slice(0, 10)
}

function sentence(
  { given }: AskedFilter,
  timeline: Timeline,
  { first, last }: { readonly first: string | null; readonly last: ReviewRow | null },
): Html {
  const { requests, refused } = totalOf(timeline)
  const namespace = given.namespace ?? ''
  return html`<p class="summary">
    <b>${written(last?.name ?? given.person ?? '')}</b
    >${namespace === '' ? null : html` and namespace <b>${written(namespace)}</b>`}:
    <b>${counted(requests, 'question')}</b>, <b>${thousands(refused)}</b> refused.
    ${first === null || last === null ? null : html`First ${clockTime(first)}, last ${clockTime(last.ts)} UTC.`}
  </p>`
}

/** Which metrics, dashboards and endpoints, and by which rules. */
function summary(rows: readonly ReviewRow[], all: boolean): Html {
  const allowed = rows.filter(({ decision }) => decision === 'allow')
  const metrics = rows.map((one) => one.metrics)
  const rules = allowed.map((one) => one.rules)
  const scopes = allowed.map(({ scope }) => [scope])
  return html`<p class="quiet">
      ${all ? 'Of all records below:' : `Of the newest ${thousands(rows.length)} records (choose a shorter time for all of it):`}
    </p>
    <div class="columns">
      ${list('Metrics', metrics)}
      ${list(
        'Dashboards (claimed)',
        rows.map(({ dashboard }) => [dashboard ?? '']),
      )}
      ${list(
        'Endpoints',
        rows.map(({ endpoint }) => [endpoint ?? '']),
      )}
      ${list('Allowed by the rules', rules)} ${list('Scope shown', scopes)}
      ${list(
        'Refused because',
        rows.map(({ decision, reason }) => [decision === 'deny' ? (reason ?? '') : '']),
      )}
    </div>`
}

/** How often each of some values is there, the most frequent first. */
function list(title: string, counts: readonly (readonly string[])[]): Html {
  const sums = new Map<string, number>()
  for (const value of counts.flat()) if (value !== '') sums.set(value, (sums.get(value) ?? 0) + 1)
  const most = [...sums].toSorted(([, one], [, other]) => other - one)
  return html`<section class="leaders">
    <h2>${title}</h2>
    ${
      most.length === 0
        ? html`<p class="quiet">none on record</p>`
        : html`<ol>
            ${most.slice(0, 12).map(([value, count]) => html`<li><code>${written(value.slice(0, 200))}</code><span></span> <span class="number">${thousands(count)}</span></li>`)}
          </ol>`
    }
    ${most.length > 12 ? html`<p class="quiet">and ${thousands(most.length - 12)} more</p>` : null}
  </section>`
}

const personForm = (person: string, namespace: string): Html =>
  html`<search>
    <form class="filter row" method="get" action="${paths.reviewPerson}">
      <label
        >Person (subject or name) <input name="person" value="${person}" required autocomplete="off" spellcheck="false"
      /></label>
      <label>Namespace <input name="namespace" value="${namespace}" autocomplete="off" spellcheck="false" /></label>
      <button>Show</button>
    </form>
  </search>`
