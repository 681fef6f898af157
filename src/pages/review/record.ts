import type { FoundRecord } from '../../review/review.ts'
import type { Answer, PageAnswer, PageParts, PageRecord, PageRequest } from '../answer.ts'
import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { paths } from '../paths.ts'
import { askedAndSent } from './asked.ts'
import { enter, lookAt, showReview } from './enter.ts'
import type { Auditor } from './enter.ts'
import { claimedOf, decidedBy, outcomePanel, whoOf } from './facts.ts'
import { failureNote, statusOf } from './failure.ts'
import { Fields } from './fields.ts'
import { proofPanel } from './proof-panel.ts'
import { proofStateOf } from './proof.ts'
import { kinds } from './query.ts'
import { decisionMark } from './table.ts'
import { clockTime, counted, written } from './text.ts'

/** Longest id of a request that is looked for. */
const maxId = 100

/** One request: what was asked, sent and decided, how it ended, and how far that is proven. */
export async function showRecord(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const entered = await enter(parts, request)
  if (!entered.ok) return entered.error
  const auditor = entered.value
  const { review, within, signal } = auditor
  const id = new URLSearchParams(request.query).get('request') ?? ''
  const entry = lookAt(request, auditor, 'record', [['request', id.slice(0, maxId)]])
  const record: PageRecord = { is: 'event', entry }
  if (id === '' || id.length > maxId) return unknownRecord(parts, request, auditor, record)
  const found = await review.request(id, within, signal)
  if (!found.ok) {
    const page = { title: 'A record', body: failureNote(found.error), here: paths.review }
    return showReview(parts, request, auditor, page, { status: statusOf(found.error), record })
  }
  if (found.value.length === 0) return unknownRecord(parts, request, auditor, record)
  const page = await pageOf(parts, auditor, id, found.value)
  return showReview(parts, request, auditor, page, { record })
}

/** There is none, or none that this person may see: they are told the same. */
export const unknownRecord = (parts: PageParts, request: PageRequest, auditor: Auditor, record: PageRecord): Answer =>
  showReview(
    parts,
    request,
    auditor,
    {
      title: 'No such record',
      body: html`<p role="alert">No record that you may see has this id.</p>
        <p>
          The id of a request is in the header <code>bailiwick-request</code> of its answer, and at the foot of each
          page. A record that was here once may have been deleted with its segment after the time for which it is kept.
        </p>`,
      here: paths.review,
    },
    { status: 404, record },
  )

async function pageOf(parts: PageParts, auditor: Auditor, id: string, found: readonly FoundRecord[]) {
  const records = found.map((one) => new Fields(one))
  const outcome = records.find((one) => one.text('kind') === 'outcome') ?? null
  const main = records.find((one) => one.text('kind') !== 'outcome') ?? outcome
  if (main === null) throw new Error('unreachable: there is a record')
  const state = await proofStateOf(parts, auditor.reviewing, main)
  const decision = main.text('kind') === 'decision'
  const body = html`${headOf(main)} ${decision ? askedAndSent(main) : otherFields(main)}
    <div class="stacks">
      <div>${decision ? decidedBy(main) : null} ${whoOf(main)}</div>
      <div>${proofPanel(id, main, state)} ${outcomePanel(main, outcome)} ${claimedOf(main)}</div>
    </div>
    ${rawLines(records)}`
  return { title: decision ? 'One question' : 'One record', body, here: paths.review }
}

function headOf(main: Fields): Html {
  const kind = main.text('kind')
  const decided = main.text('decision')
  const mark = decisionMark({
    kind,
    decision: decided === 'allow' || decided === 'deny' ? decided : null,
    reason: main.text('reason') === '' ? null : main.text('reason'),
  })
  const name = main.text('who', 'name')
  const what = Object.entries(kinds).find(([one]) => one === kind)?.[1]
  return html`<p class="summary">
    ${mark} <b>${name === '' ? 'nobody known' : written(name)}</b> at ${clockTime(main.text('ts'))} UTC
    ${main.text('cluster') === '' ? null : html` on cluster <b>${written(main.text('cluster'))}</b>`}
    ${what === undefined || kind === 'decision' ? null : html` <span class="quiet">(${what.toLowerCase()})</span>`}
  </p>`
}

/** Fields of a record that is no decision, as they stand. */
function otherFields({ all }: Fields): Html {
  const usual = new Set(['v', 'seq', 'ts', 'log', 'boot', 'kind', 'who', 'from', 'chain', 'request', 'received'])
  const rest = Object.entries(all).filter(([name]) => !usual.has(name))
  return html`<section class="panel" aria-labelledby="fields-title">
    <h2 id="fields-title">What it says</h2>
    <dl>
      ${rest.map(
        ([name, value]) =>
          html`<dt>${written(name)}</dt>
            <dd><code>${written(typeof value === 'string' ? value : JSON.stringify(value, null, 1))}</code></dd>`,
      )}
    </dl>
  </section>`
}

const rawLines = (records: readonly Fields[]): Html =>
  html`<details class="raw">
    <summary>${counted(records.length, 'line')} as in the log</summary>
    ${records.map(
      ({ found }) =>
        html`<p class="quiet">
            Segment <code>${written(found.segment)}</code>, number <code>${found.seq}</code>, log
            <code>${written(found.log)}</code>
          </p>
          <pre tabindex="0" aria-label="A line of the log"><code>${written(found.line)}</code></pre>`,
    )}
  </details>`
