import type { ExportFormat } from '../../review/review.ts'
import type { PageAnswer, PageParts, PageRequest } from '../answer.ts'
import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { paths } from '../paths.ts'
import { problem } from '../problems.ts'
import { download, redirect } from '../reply.ts'
import { enter, enterForm, lookAt, noRight, showReview } from './enter.ts'
import type { Auditor } from './enter.ts'
import type { ExportJob, Exports } from './exports.ts'
import { failureNote, problemsNote } from './failure.ts'
import { addressOf, readFilter, recordedOf } from './query.ts'
import { isWithin } from './right.ts'
import { clockTime, counted, iso, size, thousands } from './text.ts'
import { totalOf } from './timeline.ts'

const types: Readonly<Record<ExportFormat, string>> = {
  ndjson: 'application/x-ndjson',
  csv: 'text/csv; charset=utf-8',
  parquet: 'application/vnd.apache.parquet',
}

const isFormat = (text: string | null): text is ExportFormat => text !== null && Object.hasOwn(types, text)

/** Begins an export. That it was asked for is on record before it begins. */
export async function beginExport(parts: PageParts, request: PageRequest, exports: Exports): Promise<PageAnswer> {
  const entered = await enterForm(parts, request)
  if (!entered.ok) return entered.error
  const asking = entered.value
  const { form, takes, identity, review, reviewing, visitor, signal } = asking
  if (takes === null) return noRight(parts, request, asking, 'audit:export')
  const format = form.get('format')
  const asked = readFilter(form, parts.clock())
  if (!asked.ok || !isFormat(format)) {
    const entry = lookAt(request, asking, 'export', [])
    const body = problemsNote(asked.ok ? ['the format is none of ndjson, csv and parquet'] : asked.error)
    return showReview(
      parts,
      request,
      asking,
      { title: 'No export', body },
      { status: 400, record: { is: 'event', entry } },
    )
  }
  const recorded = await reviewing.append(
    lookAt(request, asking, 'export', [...recordedOf(asked.value), ['format', format]]),
  )
  if (!recorded.ok) return problem(parts, request, 'audit_unavailable')
  const { filter } = asked.value
  const timeline = await review.timeline(filter, takes, signal)
  const expected = timeline.ok ? totalOf(timeline.value).requests : null
  const begun = exports.begin({ id: request.id, identity, format, filter, within: takes, expected })
  if (!begun.ok) {
    const body = failureNote({ code: 'busy', reason: begun.error, remedy: 'your question is on record all the same' })
    return showReview(parts, request, asking, { title: 'No export', body }, { status: 503 })
  }
  return redirect(parts, parts.origin + placeOf(paths.reviewExport, request.id), { cookies: visitor.cookies })
}

const placeOf = (path: string, id: string): string => `${path}?${new URLSearchParams({ id }).toString()}`

/** How far an export is. It says nothing of the record itself, so it is no look at it. */
export async function showExport(parts: PageParts, request: PageRequest, exports: Exports): Promise<PageAnswer> {
  const found = await findJob(parts, request, exports)
  if ('is' in found) return found
  const { auditor, job } = found
  const running = job.state.is === 'running'
  const body = html`<div ${running ? html`data-poll` : null} id="export" aria-live="polite">${stateOf(job)}</div>`
  const page = { title: 'Export of the record', body, here: paths.review, again: running ? 2 : null }
  return showReview(parts, request, auditor, page, {})
}

async function findJob(
  parts: PageParts,
  request: PageRequest,
  exports: Exports,
): Promise<PageAnswer | { readonly auditor: Auditor; readonly job: ExportJob }> {
  const entered = await enter(parts, request)
  if (!entered.ok) return entered.error
  const auditor = entered.value
  const job = exports.find(new URLSearchParams(request.query).get('id') ?? '', auditor.identity)
  if (job === null) {
    const remedy = 'files are kept for half an hour: export anew'
    const body = failureNote({ code: 'refused', reason: 'you have no export of this id', remedy })
    return showReview(parts, request, auditor, { title: 'No such export', body }, { status: 404 })
  }
  // A right may have ended since.
  if (auditor.takes === null || !isWithin(job.within, auditor.takes)) {
    return noRight(parts, request, auditor, 'audit:export')
  }
  return { auditor, job }
}

function stateOf({ id, state, records, expected, format, begun }: ExportJob): Html {
  switch (state.is) {
    case 'running': {
      const known = expected !== null && expected > 0 && records <= expected
      const bar = known
        ? html`<progress max="${expected}" value="${records}" aria-label="Records written"></progress>`
        : html`<progress aria-label="Records written"></progress>`
      return html`<p>${bar}</p>
        <p>
          <b>${counted(records, 'record')}</b>${known ? ` of about ${thousands(expected)}` : ''}, begun
          ${clockTime(iso(begun))} UTC. This page follows it by itself.
        </p>`
    }
    case 'ready':
      return html`<p class="summary">
          <b>${counted(state.file.records, 'record')}</b>, ${size(state.file.bytes)}, ${format}.
        </p>
        <p><a class="button" href="${placeOf(paths.reviewFile, id)}" download>Download the file</a></p>
        <dl>
          <dt>SHA-256</dt>
          <dd>
            <pre tabindex="0" aria-label="SHA-256" data-copy><code>${state.file.sha256}</code></pre>
          </dd>
          <dt>Kept until</dt>
          <dd>${clockTime(iso(state.until))} UTC</dd>
        </dl>
        <p class="quiet">Who took what is on record, with this sum.</p>`
    case 'failed':
      return html`${failureNote({ code: 'stopped', reason: state.reason, remedy: state.remedy })}
        <p><a href="${addressOf(paths.review, {})}">Back to the search</a></p>`
  }
}

/** The file itself, for whoever asked for it. */
export async function takeExport(parts: PageParts, request: PageRequest, exports: Exports): Promise<PageAnswer> {
  const found = await findJob(parts, request, exports)
  if ('is' in found) return found
  const { auditor, job } = found
  const { id, state, format, begun } = job
  if (state.is !== 'ready') {
    return redirect(parts, parts.origin + placeOf(paths.reviewExport, id), { cookies: auditor.visitor.cookies })
  }
  const { path, bytes, sha256 } = state.file
  const entry = lookAt(request, auditor, 'export', [
    ['export', id],
    ['sha256', sha256],
  ])
  const name = `bailiwick-audit-${iso(begun).slice(0, 10)}-${id.replaceAll(/[^\w]/g, '').slice(0, 8)}.${format}`
  const options = { cookies: auditor.visitor.cookies, record: { is: 'event', entry } } as const
  return download(parts, options, { type: types[format], name, body: { path, bytes } })
}
