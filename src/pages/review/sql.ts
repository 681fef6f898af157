import { fail, ok } from '../../result.ts'
import type { Result } from '../../result.ts'
import type { SqlTable } from '../../review/review.ts'
import type { Answer, PageAnswer, PageParts, PageRequest } from '../answer.ts'
import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { paths } from '../paths.ts'
import { enter, enterForm, lookAt, showReview } from './enter.ts'
import type { Auditor } from './enter.ts'
import { failureNote, problemsNote, statusOf } from './failure.ts'
import { maxSql } from './limits.ts'
import { counted, cut, thousands } from './text.ts'

/** Questions to begin with. */
export const examples: readonly { readonly title: string; readonly sql: string }[] = [
  {
    title: 'Who was refused most',
    sql: `SELECT name, reason, count(*) AS times\nFROM records\nWHERE kind = 'decision' AND decision = 'deny'\nGROUP BY ALL\nORDER BY times DESC\nLIMIT 20`,
  },
  {
    title: 'Questions outside office hours',
    sql: `SELECT ts, name, query\nFROM records\nWHERE kind = 'decision' AND hour(ts) NOT BETWEEN 6 AND 20\nORDER BY ts DESC\nLIMIT 100`,
  },
  {
    title: 'Who looked at this record',
    sql: `SELECT ts, name, asked\nFROM records\nWHERE kind = 'audit.read'\nORDER BY ts DESC\nLIMIT 100`,
  },
]

/** The box for questions in SQL. */
export async function askSql(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const entered = await enter(parts, request)
  if (!entered.ok) return entered.error
  const auditor = entered.value
  if (auditor.within !== 'all') return notAll(parts, request, auditor)
  const chosen = Number(new URLSearchParams(request.query).get('example') ?? Number.NaN)
  const text = examples[chosen]?.sql ?? ''
  const page = { title: 'Ask in SQL', body: box(parts, auditor, text, null), here: paths.reviewSql }
  // Nothing of the record is shown yet.
  return showReview(parts, request, auditor, page, {})
}

/** Answers one. */
export async function answerSql(parts: PageParts, request: PageRequest): Promise<PageAnswer> {
  const entered = await enterForm(parts, request, paths.reviewSql)
  if (!entered.ok) return entered.error
  const asking = entered.value
  if (asking.within !== 'all') return notAll(parts, request, asking)
  const asked = textOf(asking.form)
  const text = asked.ok ? asked.value : ''
  const entry = lookAt(request, asking, 'sql', [['sql', text]])
  const record = { is: 'event', entry } as const
  const page = { title: 'Ask in SQL', here: paths.reviewSql }
  if (!asked.ok) {
    const body = box(parts, asking, '', problemsNote([asked.error]))
    return showReview(parts, request, asking, { ...page, body }, { status: 400, record })
  }
  const answered = await asking.review.sql(text, asking.signal)
  const shown = answered.ok ? tableOf(answered.value) : failureNote(answered.error)
  const body = box(parts, asking, text, shown)
  return showReview(
    parts,
    request,
    asking,
    { ...page, body },
    { status: answered.ok ? 200 : statusOf(answered.error), record },
  )
}

function textOf(form: URLSearchParams): Result<string, string> {
  const text = (form.get('sql') ?? '').trim()
  if (text === '') return fail('there is no question')
  return text.length > maxSql ? fail(`the question is longer than ${maxSql} characters`) : ok(text)
}

/** The box asks all records at once: it cannot be narrowed to a cluster. */
function notAll(parts: PageParts, request: PageRequest, auditor: Auditor): Answer {
  const { identity, right } = auditor
  const body = html`<p role="alert">
      SQL is asked of all records at once, and you may see those of some clusters only.
    </p>
    <p>It needs <code>audit:read</code> to every series of every cluster: a row for the cluster <code>*</code>.</p>`
  const record = { is: 'refusal', reason: 'no_rights', whose: { identity, decision: right.basis } } as const
  return showReview(parts, request, auditor, { title: 'No right to this', body }, { status: 403, record })
}

function box(parts: PageParts, { visitor }: Auditor, text: string, result: Html | null): Html {
  return html`<form class="sql" method="post" action="${paths.reviewSql}">
      <input type="hidden" name="code" value="${parts.sealer.code(visitor.session.id)}" />
      <label for="sql">One SELECT over the view <code>records</code></label>
      <textarea id="sql" name="sql" rows="8" maxlength="${maxSql}" spellcheck="false" required>${text}</textarea>
      <p>
        <button>Ask</button> <span class="quiet">The question goes on record. Nothing can be changed from here.</span>
      </p>
    </form>
    <p>
      Examples:
      ${examples.map(({ title }, at) => html`${at === 0 ? '' : ' · '}<a href="${paths.reviewSql}?example=${at}">${title}</a>`)}
    </p>
    ${result}`
}

function tableOf({ columns, rows, cut: isCut }: SqlTable): Html {
  const numeric = columns.map((_, at) => rows.length > 0 && rows.every((row) => isNumber(row[at])))
  return html`<p class="summary" role="status">
      <b>${counted(rows.length, 'row')}</b>${isCut ? ', and there are more: narrow the question or aggregate' : ''}.
    </p>
    <div class="scroll" tabindex="0" role="region" aria-label="Answer">
      <table class="dense">
        <caption class="sr">
          Answer
        </caption>
        <thead>
          <tr>
            ${columns.map((name, at) => html`<th scope="col" class="${numeric[at] === true ? 'number' : ''}">${cut(name, 80)}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            (row) =>
              html`<tr>
                ${row.map((value, at) => html`<td class="${numeric[at] === true ? 'number' : ''}">${cell(value)}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`
}

const isNumber = (value: SqlTable['rows'][number][number] | undefined): boolean =>
  typeof value === 'number' || value === null

function cell(value: SqlTable['rows'][number][number]): Html {
  if (value === null) return html`<span class="quiet">null</span>`
  return typeof value === 'number' ? html`${thousands(value)}` : html`<code>${cut(String(value), 2_000)}</code>`
}
