import type { IncomingMessage } from 'node:http'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { maxBody } from './limits.ts'
import type { Refusal } from './refusal.ts'

/** What kind of body an endpoint reads: parameters, a remote-read request, or none whatever is sent. */
export type BodyKind = 'form' | 'protobuf' | 'unread'

/**
 * Reads a body; no bytes where there is none. The size is judged before reading where the client declares it, and while
 * reading where it does not. Prometheus would also read multipart: that is refused, not ignored.
 */
export async function readBody(request: IncomingMessage, kind: BodyKind): Promise<Result<Buffer, Refusal>> {
  const length = request.headers['content-length']
  if (kind === 'unread') return ok(Buffer.alloc(0))
  if (request.headers['transfer-encoding'] === undefined && (length === undefined || length === '0')) {
    return ok(Buffer.alloc(0))
  }
  if (request.method !== 'POST') return refuse(400, 'only a POST may have a body')
  const wrong = kind === 'form' ? wrongForm(request) : wrongProtobuf(request)
  if (wrong !== null) return refuse(415, wrong)
  if (Number(length ?? 0) > maxBody) return tooLarge
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of request) {
      const bytes = Buffer.from(chunk)
      size += bytes.length
      if (size > maxBody) return tooLarge
      chunks.push(bytes)
    }
  } catch {
    return refuse(400, 'the body broke off')
  }
  return ok(Buffer.concat(chunks))
}

const typeOf = ({ headers }: IncomingMessage): string =>
  (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''

function wrongForm(request: IncomingMessage): string | null {
  if (typeOf(request) !== 'application/x-www-form-urlencoded') {
    return 'send the parameters as application/x-www-form-urlencoded'
  }
  return request.headers['content-encoding'] === undefined ? null : 'send the body without a content encoding'
}

/** Old senders leave the type out, or call it what it is not; the encoding is always said. */
function wrongProtobuf(request: IncomingMessage): string | null {
  const good = typeOf(request) === 'application/x-protobuf' && request.headers['content-encoding'] === 'snappy'
  return good ? null : 'send a remote-read request: application/x-protobuf with content encoding snappy'
}

const refuse = (status: 400 | 413 | 415, message: string): Result<never, Refusal> =>
  fail({ is: 'bad_body', status, message })

const tooLarge = refuse(413, `the body is larger than ${maxBody} bytes`)
