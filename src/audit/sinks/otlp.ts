import { X509Certificate } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { Poster, type PostAnswer } from './http-post.ts'
import { exportRequest } from './otlp-record.ts'
import { followSecret } from './own-files.ts'
import type { Answer, Receiver, Rejected, TailRecord } from './sink.ts'

const compress = promisify(gzip)

/** A receiver of OpenTelemetry logs over HTTP (OTLP 1.x, JSON). */
export interface OtlpOptions {
  readonly kind: 'otlp'
  /** The whole address, such as `https://collector:4318/v1/logs`. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly bearerToken?: string | undefined
  /** PEM of a private authority. */
  readonly ca?: string | undefined
  /** Absolute paths of those that are read again for each request. */
  readonly files?: Readonly<Partial<Record<'bearerToken' | 'ca', string>>>
}

/** Opens the way there; nothing is sent yet. */
export function openOtlp(options: OtlpOptions): Receiver {
  const { url, headers, bearerToken, ca, files = {} } = options
  const token = followSecret({ value: bearerToken, file: files.bearerToken }, (text) => /^[\x21-\x7e]+$/.test(text))
  const authority = followSecret({ value: ca, file: files.ca }, isCertificate)
  const poster = new Poster(url)
  return {
    send: async (records, signal) => {
      try {
        const body = await compress(JSON.stringify(exportRequest(records)))
        const bearer = await token()
        const sent = { ...headers, ...fixed, ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }) }
        return judge(await poster.post(body, sent, { ca: await authority(), signal }), records)
      } catch (error) {
        return { is: 'failed', because: error instanceof Error ? error.message : String(error) }
      }
    },
    close: async () => poster.close(),
  }
}

const fixed = { 'content-type': 'application/json', 'content-encoding': 'gzip', 'user-agent': 'bailiwick' }

/** What comes to nothing now, and may not the next time: OTLP's four, and two of HTTP's own. */
const retryable: ReadonlySet<number> = new Set([408, 425, 429, 502, 503, 504])

/**
 * What is said of these very records. Every other status is about the way there (a token that ended, a wrong path): nothing is
 * given up for that, it is tried again until somebody mends it.
 */
const aboutRecords: ReadonlySet<number> = new Set([400, 413, 422, 500])

function judge(answer: PostAnswer, records: readonly TailRecord[]): Answer {
  const { status, retryAfter } = answer
  if (status >= 200 && status < 300) {
    // A page of somebody on the way, such as a login, must not pass for a yes.
    if (!isObject(answer.body)) return { is: 'failed', because: 'what answers there is no OTLP receiver' }
    return { is: 'taken', rejected: partialSuccess(answer, records) }
  }
  const because = `it answers ${status}${messageIn(answer)}`
  if (aboutRecords.has(status)) return { is: 'refused', because }
  const retryAfterMs = retryable.has(status) ? millisecondsOf(retryAfter) : null
  return { is: 'failed', because, ...(retryAfterMs === null ? {} : { retryAfterMs }) }
}

/** OTLP says how many were rejected but not which, and forbids to send them again. */
function partialSuccess({ body }: PostAnswer, records: readonly TailRecord[]): readonly Rejected[] {
  const { rejectedLogRecords, errorMessage } = Object(Object(parsed(body)).partialSuccess)
  const count = Math.min(Number(rejectedLogRecords ?? 0), records.length)
  const [first, last] = [records[0], records.at(-1)]
  if (!(count > 0) || first === undefined || last === undefined) return []
  const because = `it took all but ${count} of these ${records.length}: ${shortened(errorMessage)}`
  return [{ from: first.seq, to: last.seq, count, because }]
}

function messageIn({ body }: PostAnswer): string {
  const { message } = Object(parsed(body))
  return typeof message === 'string' && message !== '' ? `: ${shortened(message)}` : ''
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function isObject(body: string): boolean {
  const found = body === '' ? {} : parsed(body)
  return typeof found === 'object' && found !== null && !Array.isArray(found)
}

const shortened = (text: unknown): string => (typeof text === 'string' ? text.slice(0, 200) : 'it does not say why')

/** RFC 9110 §10.2.3: seconds, or a date. A date needs a clock that both sides share, so it counts as not given. */
function millisecondsOf(retryAfter: string | undefined): number | null {
  return retryAfter !== undefined && /^\d{1,9}$/.test(retryAfter) ? Number(retryAfter) * 1_000 : null
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}
