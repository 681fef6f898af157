import { open } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { OutcomeEntry } from '../audit/record.ts'
import { isNavigation } from '../identity/fetch-metadata.ts'
import type { Answer, FileBody, PageRecord, PageRequest, Pages } from '../pages/answer.ts'
import { fail, ok } from '../result.ts'
import { readBody } from './body.ts'
import { refuse, timed } from './parts.ts'
import type { GatewayParts } from './parts.ts'
import { credentialsOf, decisionEntry, fromOf } from './visit.ts'
import type { Visit } from './visit.ts'

/** The pages, where a request is for one of them; null where not. */
export function pagesFor({ pages }: GatewayParts, { request, path }: Visit): Pages | null {
  if (pages === null || request.httpVersionMajor < 1) return null
  return pages.owns(path, isNavigation(credentialsOf(request), request.method)) ? pages : null
}

/** A page is made, recorded and sent: nothing of it leaves before the record is durable, as with every answer. */
export async function showPage(parts: GatewayParts, visit: Visit, pages: Pages): Promise<void> {
  const asked = pageRequest(visit)
  const answer = await pages.answer(asked)
  if (answer.is === 'refusal') return refuse(parts, visit, answer.refusal)
  const recorded = await timed(parts, 'audit', () => record(parts, visit, answer.record))
  const reason = !recorded.ok ? 'audit_unavailable' : reasonOf(answer.record)
  parts.metrics.request({ cluster: '', endpoint: 'page', decision: reason === '' ? 'allow' : 'deny', reason })
  if (recorded.ok) return parts.audit.note(await write(visit, answer))
  parts.log.error({ request: visit.id, failure: recorded.error }, 'no audit record could be kept: nothing was shown')
  await write(visit, pages.unrecorded(asked))
}

function pageRequest(visit: Visit): PageRequest {
  const { request, id, received, path, urlQuery } = visit
  return {
    id,
    received,
    method: request.method ?? '',
    path,
    query: urlQuery,
    credentials: credentialsOf(request),
    from: fromOf(visit),
    gone: visit.gone.signal,
    async form() {
      const body = await readBody(request, 'form')
      if (body.ok) return ok(new URLSearchParams(body.value.toString('utf8')))
      return body.error.is === 'bad_body' ? fail(body.error) : fail({ is: 'bad_body', status: 400, message: 'no form' })
    },
  }
}

async function record({ audit }: GatewayParts, visit: Visit, entry: PageRecord) {
  switch (entry.is) {
    case 'nothing':
      return ok(null)
    case 'event':
      return audit.append(entry.entry)
    case 'refusal':
      visit.identity = entry.whose?.identity ?? null
      visit.decision = entry.whose?.decision ?? null
      return audit.appendRefusal(decisionEntry(visit, { denied: entry.reason }))
    case 'look':
      visit.identity = entry.identity
      visit.decision = entry.decision
      return audit.append(decisionEntry(visit, { allowed: null }))
  }
}

/** Why a page was not what was asked for; empty where it was. */
function reasonOf(entry: PageRecord): string {
  if (entry.is === 'refusal') return entry.reason
  return entry.is === 'event' && 'reason' in entry.entry ? (entry.entry.reason ?? '') : ''
}

async function write(
  { id, request, response, began }: Visit,
  { status, headers, cookies, body }: Answer,
): Promise<OutcomeEntry> {
  response.statusCode = status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  for (const line of cookies) response.appendHeader('set-cookie', line)
  response.setHeader('bailiwick-request', id)
  // A body that was not read would be taken for the next request: end the connection with the answer.
  if (!request.complete) response.setHeader('connection', 'close')
  if (typeof body === 'string') response.end(body)
  const bytes = typeof body === 'string' ? Buffer.byteLength(body) : await sendFile(response, body)
  const cut = typeof body !== 'string' && bytes < body.bytes
  const ended = cut ? 'cut' : status >= 500 ? 'failed' : 'complete'
  return {
    kind: 'outcome',
    request: id,
    status,
    ms: Math.round(performance.now() - began),
    bytes,
    ended,
    servedFrom: 'gateway',
  }
}

/** How many bytes of the file were sent. One that cannot be read to its end breaks the connection off. */
async function sendFile(response: ServerResponse, { path, bytes }: FileBody): Promise<number> {
  response.setHeader('content-length', bytes)
  let sent = 0
  try {
    const file = await open(path)
    const stream = file.createReadStream({ end: Math.max(0, bytes - 1) })
    stream.on('data', (chunk) => void (sent += chunk.length))
    await pipeline(stream, response)
  } catch {
    response.destroy()
  }
  return sent
}
