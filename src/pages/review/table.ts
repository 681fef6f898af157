import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { paths } from '../paths.ts'
import type { ReviewPage, ReviewRow } from '../../review/review.ts'
import { maxBack, maxShown } from './limits.ts'
import { addressOf, kinds } from './query.ts'
import type { AskedFilter } from './query.ts'
import { clockTime, cut, duration, plainly, thousands, written } from './text.ts'

/** Where the page of one record is. */
export const recordPath = (request: string): string =>
  `${paths.reviewRecord}?${new URLSearchParams({ request }).toString()}`

/** The list, newest first, with the ways to newer and older ones. `page` is where the list stands. */
export function listOf(page: string, asked: AskedFilter, { rows, next }: ReviewPage): Html {
  if (rows.length === 0)
    return html`<p class="empty">Nothing on record fits. Take a filter away, or choose a longer time.</p>`
  return html`<div class="scroll" tabindex="0" role="region" aria-label="List of records">
      <table class="records">
        <caption class="sr">
          Records, newest first; times are UTC
        </caption>
        <thead>
          <tr>
            <th scope="col">Time (UTC)</th>
            <th scope="col">Who</th>
            <th scope="col">Decision</th>
            <th scope="col">Asked</th>
            <th scope="col">Where, claimed dashboard</th>
            <th scope="col">Answer</th>
            <th scope="col" class="number">Series</th>
            <th scope="col" class="number">Took</th>
          </tr>
        </thead>
        <tbody>
          ${rows.map(rowOf)}
        </tbody>
      </table>
    </div>
    ${ways(page, asked, next)}`
}

function rowOf(row: ReviewRow): Html {
  const { request, ts, name, subject, asked, cluster, endpoint, dashboard, series, ms } = row
  const time = clockTime(ts)
  return html`<tr data-row>
    <th scope="row">${request === null ? time : html`<a href="${recordPath(request)}">${time}</a>`}</th>
    <td class="short">
      ${name === null && subject === null ? html`<span class="quiet">nobody known</span>` : written(name ?? subject ?? '')}
    </td>
    <td>${decisionMark(row)}${repeats(row)}</td>
    <td class="query">
      ${asked === '' ? html`<span class="quiet">no query</span>` : html`<code>${cut(asked, maxShown)}</code>`}
    </td>
    <td class="short">
      ${cluster === null ? html`<span class="quiet">–</span>` : written(cluster)}
      <small>${endpoint === null ? null : written(endpoint)}</small>
      ${dashboard === null ? null : html`<br /><small title="Claimed by the client: ${plainly(dashboard)}">${written(dashboard.slice(0, 80))}</small>`}
    </td>
    <td>${outcomeOf(row)}</td>
    <td class="number">${series === null ? html`<span class="quiet">–</span>` : thousands(series)}</td>
    <td class="number">${ms === null ? html`<span class="quiet">–</span>` : duration(ms)}</td>
  </tr>`
}

/** What was decided, in words and shape and not by colour alone. */
export function decisionMark({ decision, reason, kind }: Pick<ReviewRow, 'decision' | 'reason' | 'kind'>): Html {
  if (decision === 'allow') return html`<span class="mark allow">allowed</span>`
  const why = reason === null ? null : html` <small>${written(reason)}</small>`
  if (decision === 'deny') return html`<span class="mark deny">refused</span>${why}`
  return html`<span class="mark">${Object.hasOwn(kinds, kind) ? kind : written(kind)}</span>${why}`
}

const repeats = ({ repeats }: ReviewRow): Html | null =>
  repeats > 1
    ? html` <span class="times" title="The same question, asked ${repeats} times in a row"
        >×${thousands(repeats)}</span
      >`
    : null

/** A decision without an outcome: the gateway died, the disk failed, or the answer is still under way. */
function outcomeOf({ kind, status }: ReviewRow): Html {
  if (status !== null) return html`${status}`
  return kind === 'decision' ? unknown : html`<span class="quiet">–</span>`
}

const unknown = html`<span
  class="mark unknown"
  title="No outcome is on record: the answer is under way, or the gateway ended before it could write one"
  >unknown</span
>`

function ways(page: string, { given, after, back }: AskedFilter, next: string | null): Html {
  const [...earlier] = back
  const before = earlier.pop() ?? ''
  const newer = { after: before === '' ? null : before, back: earlier }
  const older = { after: next, back: [...back, after ?? ''].slice(-maxBack) }
  return html`<nav class="ways" aria-label="Pages of the list">
    ${after === null ? html`<span class="quiet">Newest</span>` : html`<a href="${addressOf(page, given, newer)}" rel="prev">${back.length === 0 ? '⇤ Newest' : '← Newer'}</a>`}
    ${next === null ? html`<span class="quiet">Nothing older</span>` : html`<a href="${addressOf(page, given, older)}" rel="next">Older →</a>`}
  </nav>`
}
