import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { CustomFetchOptions } from 'openid-client'
import { maxProviderAnswer, providerTimeout } from './limits.ts'

/** A `fetch` as the OpenID libraries call it. */
export type Fetch = (url: string, options: Partial<CustomFetchOptions>) => Promise<Response>

/** How a provider is reached. */
export interface FetchOptions {
  /** Certificates (PEM) of the authority that the provider's certificate comes from; the system's where absent. */
  readonly ca?: string | undefined
  /** Sent as `Authorization: Bearer …`. */
  readonly bearerToken?: string | undefined
}

/**
 * A `fetch` for talking with providers: no redirect is followed, an answer is capped in size and in time, and the
 * authority of the certificate can be a private one (Node's own `fetch` knows neither the cap nor the authority).
 */
export const boundedFetch =
  ({ ca, bearerToken }: FetchOptions = {}): Fetch =>
  async (url, { method = 'GET', headers, body }) => {
    const send = new Headers(headers)
    if (bearerToken !== undefined) send.set('authorization', `Bearer ${bearerToken}`)
    const bytes = body === undefined || body === null ? null : Buffer.from(await new Response(body).arrayBuffer())
    if (bytes !== null) send.set('content-length', String(bytes.length))
    const request = url.startsWith('https:') ? httpsRequest : httpRequest
    const options = { method, headers: Object.fromEntries(send), signal: AbortSignal.timeout(providerTimeout) }
    return new Promise((resolve, reject) => {
      const sent = request(url, { ...options, ...(ca === undefined ? {} : { ca }) }, (answer) => {
        collect(answer).then(resolve, reject)
      })
      sent.on('error', reject)
      sent.end(bytes ?? undefined)
    })
  }

async function collect(answer: IncomingMessage): Promise<Response> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of answer) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > maxProviderAnswer) {
      answer.destroy()
      throw new Error(`the answer is larger than ${maxProviderAnswer} bytes`)
    }
    chunks.push(bytes)
  }
  const status = answer.statusCode ?? 0
  const headers = new Headers()
  for (const [name, values] of Object.entries(answer.headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value)
  }
  // A response of one of these statuses may have no body, not even an empty one.
  const bodiless = status === 204 || status === 205 || status === 304
  return new Response(bodiless ? null : Buffer.concat(chunks), { status, headers })
}
