import { pipeline } from 'node:stream/promises'
import type { OutcomeEntry } from '../audit/record.ts'
import { describeScope } from '../policy/scope.ts'
import type { FoundEndpoint } from '../prometheus/endpoints.ts'
import type { UpstreamAnswer } from '../prometheus/upstream.ts'
import { maxMessage } from './limits.ts'
import type { Wire } from './refusal.ts'
import type { Visit } from './visit.ts'

/** Statuses with which Prometheus itself speaks to a client; anything else comes from something in between. */
const passed = new Set([200, 204, 400, 422, 429, 500, 503])

/** Is this an answer that may be shown? Its type must be the endpoint's, its coding one we asked for. */
export function isExpected(answer: UpstreamAnswer, { name }: FoundEndpoint): boolean {
  const type = answer.contentType.split(';', 1)[0]?.trim().toLowerCase()
  const wanted = name === '/federate' ? 'text/plain' : 'application/json'
  return passed.has(answer.status) && type === wanted && answer.contentEncoding !== 'unknown'
}

/** Streams Prometheus's answer to the caller; the caller's pace is Prometheus's pace. Resolves when all is said. */
export async function writeAnswer(visit: Visit, answer: UpstreamAnswer): Promise<OutcomeEntry> {
  const { response } = visit
  response.statusCode = answer.status
  writeCommonHeaders(visit)
  response.setHeader('content-type', answer.contentType)
  if (answer.contentEncoding === 'gzip') response.setHeader('content-encoding', 'gzip')
  response.setHeader('vary', 'accept-encoding')
  let bytes = 0
  answer.body.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  try {
    await pipeline(answer.body, response)
    return outcome(visit, bytes, 'complete')
  } catch {
    answer.abort()
    return outcome(visit, bytes, 'cut')
  }
}

/**
 * Writes an error as Prometheus words one: `status`, `errorType`, `error`, in this order and without `data`, which is
 * what Grafana can show. The sentence comes first and ends with the request's id.
 */
export function writeError(visit: Visit, { status, errorType, message, headers }: Wire): OutcomeEntry {
  const { response } = visit
  const error = `${cut(message)} (request ${visit.id})`
  const body = JSON.stringify({ status: 'error', errorType, error })
  response.statusCode = status
  writeCommonHeaders(visit)
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.setHeader('content-type', 'application/json')
  // A body that was not read would be taken for the next request: end the connection with the answer.
  if (!visit.request.complete) response.setHeader('connection', 'close')
  response.end(body)
  return outcome(visit, Buffer.byteLength(body), status >= 500 ? 'failed' : 'complete')
}

function writeCommonHeaders({ response, id, decision }: Visit): void {
  response.setHeader('bailiwick-request', id)
  response.setHeader('cache-control', 'no-store')
  response.setHeader('x-content-type-options', 'nosniff')
  if (decision === null) return
  response.setHeader('bailiwick-policy', decision.policy)
  response.setHeader('bailiwick-scope', describeScope(decision.scope).slice(0, 1_000))
}

const outcome = ({ id, response, began }: Visit, bytes: number, ended: OutcomeEntry['ended']): OutcomeEntry => ({
  kind: 'outcome',
  request: id,
  status: response.statusCode,
  ms: Math.round(performance.now() - began),
  bytes,
  ended,
})

/** Cuts at a whole character; the limit counts bytes. */
function cut(message: string): string {
  if (Buffer.byteLength(message) <= maxMessage) return message
  const bytes = Buffer.from(message).subarray(0, maxMessage)
  return `${new TextDecoder().decode(bytes).replace(/\uFFFD+$/, '')} …`
}
