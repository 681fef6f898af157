import type { IncomingMessage } from 'node:http'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { maxBody } from './limits.ts'
import type { Refusal } from './refusal.ts'

/**
 * Reads a urlencoded body; an empty text where there is none. The size is judged before reading where the client
 * declares it, and while reading where it does not. Prometheus would also read multipart: that is refused, not ignored.
 */
export async function readBody(request: IncomingMessage): Promise<Result<string, Refusal>> {
  const length = request.headers['content-length']
  if (request.headers['transfer-encoding'] === undefined && (length === undefined || length === '0')) return ok('')
  if (request.method !== 'POST') return refuse(400, 'only a POST may have a body')
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded') {
    return refuse(415, 'send the parameters as application/x-www-form-urlencoded')
  }
  if (request.headers['content-encoding'] !== undefined) return refuse(415, 'send the body without a content encoding')
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
  return ok(Buffer.concat(chunks).toString('utf8'))
}

const refuse = (status: 400 | 413 | 415, message: string): Result<never, Refusal> =>
  fail({ is: 'bad_body', status, message })

const tooLarge = refuse(413, `the body is larger than ${maxBody} bytes`)
