import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'

/** The beginning of an answer's body, and what matters of its head. */
export interface PostAnswer {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly body: string
}

/** One connection to one address, kept open between requests. */
export class Poster {
  readonly #url: string
  readonly #http = new HttpAgent({ keepAlive: true, maxSockets: 1 })
  #https: { readonly ca: string | undefined; readonly agent: HttpsAgent } | null = null

  constructor(url: string) {
    this.#url = url
  }

  /** Sends a body and reads the answer's, up to a bound. Follows no redirect: the record goes nowhere else. */
  async post(
    body: Buffer,
    headers: Readonly<Record<string, string>>,
    { ca, signal }: { readonly ca: string | undefined; readonly signal: AbortSignal },
  ): Promise<PostAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const secure = this.#url.toLowerCase().startsWith('https:')
    const options = { method: 'POST', headers: { ...headers, 'content-length': String(body.length) }, signal }
    const sent = secure
      ? httpsRequest(this.#url, { ...options, agent: this.#secureAgent(ca) }, resolve)
      : httpRequest(this.#url, { ...options, agent: this.#http }, resolve)
    sent.on('error', reject)
    sent.end(body)
    const answer = await promise
    return {
      status: answer.statusCode ?? 0,
      retryAfter: answer.headers['retry-after'],
      body: await readBounded(answer),
    }
  }

  close(): void {
    this.#http.destroy()
    this.#https?.agent.destroy()
  }

  /** Connections that were made with another authority in force are not used again. */
  #secureAgent(ca: string | undefined): HttpsAgent {
    if (this.#https !== null && this.#https.ca === ca) return this.#https.agent
    this.#https?.agent.destroy()
    const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1, ...(ca === undefined ? {} : { ca }) })
    this.#https = { ca, agent }
    return agent
  }
}

const longestAnswer = 64 * 1024

async function readBounded(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of answer) {
    if (!Buffer.isBuffer(chunk)) continue
    size += chunk.length
    chunks.push(chunk)
    // What is left closes the connection; the status is known already.
    if (size > longestAnswer) break
  }
  return Buffer.concat(chunks).toString('utf8')
}
