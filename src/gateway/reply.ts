import { Readable } from 'node:stream'
import type { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createGzip } from 'node:zlib'
import type { OutcomeEntry } from '../audit/record.ts'
import { describeScope } from '../policy/scope.ts'
import type { AnswerType, FoundEndpoint } from '../prometheus/endpoints.ts'
import { addInfos } from '../prometheus/notices.ts'
import type { UpstreamAnswer } from '../prometheus/upstream.ts'
import { seriesCounter, type SeriesCounter } from './count-series.ts'
import { maxMessage } from './limits.ts'
import type { Wire } from './refusal.ts'
import type { Visit } from './visit.ts'

/** Statuses with which Prometheus itself speaks to a client; anything else comes from something in between. */
const passed = new Set([200, 204, 400, 422, 429, 500, 503])

const types: Readonly<Record<AnswerType, readonly string[]>> = {
  json: ['application/json'],
  text: ['text/plain'],
  ndjson: ['application/x-ndjson'],
  protobuf: ['application/x-protobuf', 'application/x-streamed-protobuf'],
}

/** How Prometheus words an error there: its envelope, or a line of text where an answer is no JSON. */
const errorTypes: Readonly<Record<AnswerType, readonly string[]>> = {
  json: types.json,
  text: types.text,
  ndjson: types.json,
  protobuf: types.text,
}

const typeOf = ({ contentType }: UpstreamAnswer): string => contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''

export const isJson = (answer: UpstreamAnswer): boolean => types.json.includes(typeOf(answer))

/** Is this an answer that may be shown? Its type must be the endpoint's, or an error's, its coding one we asked for. */
export function isExpected(answer: UpstreamAnswer, found: FoundEndpoint): boolean {
  const { status, contentEncoding } = answer
  const answers = found.endpoint.answers ?? 'json'
  if (!passed.has(status) || contentEncoding === 'unknown') return false
  // Prometheus has nothing to say to a query for exemplars that names no series.
  if (status === 204) return true
  if (contentEncoding === 'snappy' && answers !== 'protobuf') return false
  return (status < 300 ? types : errorTypes)[answers].includes(typeOf(answer))
}

/** What an answer gets on its way to the caller. */
export interface Extras {
  /** Sentences for the caller, put into the `infos` of a JSON answer. */
  readonly infos: readonly string[]
  /** Does the caller take gzip? Only asked where the answer is not compressed already. */
  readonly gzip: boolean
}

/** Why nothing of an answer was passed on: it broke off, or was larger than it may be. */
export type Unsaid = 'broken' | 'over_limit'

/**
 * Streams Prometheus's answer to the caller; the caller's pace is Prometheus's pace. Resolves when all is said; where the
 * answer ended before anything of it was passed on, with the reason, so that an error can still be told in its place.
 *
 * @param most bytes that may come from Prometheus; beyond them the connection is cut, which no client takes for an end
 */
export async function writeAnswer(
  visit: Visit,
  answer: UpstreamAnswer,
  extras: Extras,
  most: number,
): Promise<OutcomeEntry | Unsaid> {
  if (answer.status === 204) return writeNothing(visit, answer)
  writeHead(visit, answer.status, answer.contentType)
  const plain = answer.contentEncoding === 'identity'
  // Only a JSON answer has a place for sentences; the end of any other one must not be touched.
  const says = plain && answer.status === 200 && isJson(answer) && extras.infos.length > 0
  const steps: Transform[] = says ? [addInfos(extras.infos)] : []
  if (plain && extras.gzip) steps.push(gzipper(visit))
  else if (!plain) visit.response.setHeader('content-encoding', answer.contentEncoding)
  const counter = plain && answer.status === 200 ? seriesCounter(visit.found) : null
  const outcome = await stream(visit, answer.body, steps, most, counter)
  if (typeof outcome === 'string' || outcome.ended !== 'complete') answer.abort()
  return outcome
}

function writeNothing(visit: Visit, answer: UpstreamAnswer): OutcomeEntry {
  answer.body.resume()
  writeHead(visit, answer.status, '')
  visit.response.removeHeader('content-type')
  visit.response.end()
  return outcomeOf(visit, 0, 'complete')
}

/** Writes an answer that the gateway has whole. */
export async function writeWhole(visit: Visit, status: number, json: string, extras: Extras): Promise<OutcomeEntry> {
  writeHead(visit, status, 'application/json')
  const steps: Transform[] = extras.infos.length > 0 ? [addInfos(extras.infos)] : []
  if (extras.gzip) steps.push(gzipper(visit))
  const outcome = await stream(visit, Readable.from([Buffer.from(json)]), steps, Number.POSITIVE_INFINITY)
  return typeof outcome === 'string' ? outcomeOf(visit, 0, 'cut') : outcome
}

async function stream(
  visit: Visit,
  body: Readable,
  steps: readonly Transform[],
  most: number,
  counter: SeriesCounter | null = null,
): Promise<OutcomeEntry | Unsaid> {
  const last: Readable = steps.at(-1) ?? body
  const came = { over: false }
  // Each step passes the end of the one before it on, a good one and a bad one.
  if (steps.length > 0) pipeline([body, ...steps]).catch(() => {})
  const see = (chunk: Buffer): void => counter?.see(chunk)
  if (steps.length > 0) bound(body, most, came, see)
  if (!(await begins(last))) return came.over ? 'over_limit' : 'broken'
  // Not before: who listens for data takes the first of it away.
  if (steps.length === 0) bound(body, most, came, see)
  let bytes = 0
  last.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  try {
    await pipeline(last, visit.response)
    const series = counter?.count() ?? null
    return { ...outcomeOf(visit, bytes, 'complete'), ...(series === null ? {} : { series }) }
  } catch {
    return { ...outcomeOf(visit, bytes, 'cut'), ...(came.over ? { reason: 'over_limit' } : {}) }
  }
}

/** Breaks a body off where more comes than may; what comes is seen in passing. */
function bound(body: Readable, most: number, came: { over: boolean }, see: (chunk: Buffer) => void): void {
  let bytes = 0
  body.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    see(chunk)
    if (bytes <= most) return
    came.over = true
    body.destroy(new Error('the answer is larger than it may be'))
  })
}

/** Waits for the first bytes, or a good end without any; false where it breaks off before. */
function begins(body: Readable): Promise<boolean> {
  // It may have broken off while the record was written: nothing more is heard of it then.
  if (body.destroyed) return Promise.resolve(body.readableEnded)
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const events = ['readable', 'end', 'error', 'close'] as const
  const heard = (begun: boolean) => (): void => {
    for (const [event, listener] of listeners) body.off(event, listener)
    resolve(begun)
  }
  const listeners = events.map((event) => [event, heard(event === 'readable' || event === 'end')] as const)
  for (const [event, listener] of listeners) body.on(event, listener)
  return promise
}

function gzipper({ response }: Visit): Transform {
  response.setHeader('content-encoding', 'gzip')
  return createGzip({ level: constants.Z_BEST_SPEED })
}

/**
 * Writes an error as Prometheus words one: `status`, `errorType`, `error`, in this order and without `data`, which is
 * what Grafana can show. The sentence comes first and ends with the request's id.
 */
export function writeError(visit: Visit, { status, errorType, message, headers }: Wire): OutcomeEntry {
  const { response } = visit
  const error = `${cut(message)} (request ${visit.id})`
  const body = JSON.stringify({ status: 'error', errorType, error })
  response.removeHeader('content-encoding')
  writeHead(visit, status, 'application/json')
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  // A body that was not read would be taken for the next request: end the connection with the answer.
  if (!visit.request.complete) response.setHeader('connection', 'close')
  response.end(body)
  const ended = response.destroyed ? 'cut' : status >= 500 ? 'failed' : 'complete'
  return { ...outcomeOf(visit, Buffer.byteLength(body), ended), servedFrom: 'gateway' }
}

function writeHead({ response, id, decision }: Visit, status: number, contentType: string): void {
  response.statusCode = status
  response.setHeader('content-type', contentType)
  response.setHeader('vary', 'accept-encoding')
  response.setHeader('bailiwick-request', id)
  response.setHeader('cache-control', 'no-store')
  response.setHeader('x-content-type-options', 'nosniff')
  if (decision === null) return
  response.setHeader('bailiwick-policy', decision.policy)
  response.setHeader('bailiwick-scope', describeScope(decision.scope).slice(0, 1_000))
}

const outcomeOf = (visit: Visit, bytes: number, ended: OutcomeEntry['ended']): OutcomeEntry => ({
  kind: 'outcome',
  request: visit.id,
  status: visit.response.statusCode,
  ms: Math.round(performance.now() - visit.began),
  bytes,
  ended,
  ...(visit.upstream === null ? { servedFrom: 'gateway' } : { servedFrom: 'upstream', upstream: visit.upstream }),
})

/** Cuts at a whole character; the limit counts bytes as they are sent, with their escapes. */
function cut(message: string): string {
  if (sizeOf(message) <= maxMessage) return message
  let size = 0
  let end = 0
  for (const character of message) {
    size += sizeOf(character)
    if (size > maxMessage) break
    end += character.length
  }
  return `${message.slice(0, end)} …`
}

const sizeOf = (text: string): number => Buffer.byteLength(JSON.stringify(text)) - 2
