import { IncomingMessage, ServerResponse, Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { Socket } from 'node:net'
import { createProxyMiddleware, debugProxyErrorsPlugin, proxyEventsPlugin } from 'http-proxy-middleware'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { maxSockets } from './limits.ts'
import type { ScopedRequest } from './rewrite.ts'

/** Where a Prometheus is and how to speak to it. */
export interface UpstreamOptions {
  /** Base URL; a path in it is put before every API path. */
  readonly url: string
  /** Milliseconds without a sign of life after which a request is given up. */
  readonly timeout: number
  /** Sent to Prometheus as `Authorization: Bearer …`. The caller's own credentials never are. */
  readonly bearerToken?: string
}

/** The beginning of an answer; the body is still under way. */
export interface UpstreamAnswer {
  readonly status: number
  readonly contentType: string
  readonly contentEncoding: 'gzip' | 'snappy' | 'identity' | 'unknown'
  readonly body: IncomingMessage
  /** Gives the answer up and closes the connection to Prometheus. */
  abort(): void
}

/** Why there is no answer. `detail` is for the log, not for the caller. */
export interface UpstreamFailure {
  readonly is: 'unreachable' | 'timeout' | 'aborted'
  readonly detail: string
}

/** The only door to Prometheus: nothing but a {@link ScopedRequest} fits through. */
export interface Upstream {
  send(
    request: ScopedRequest,
    options: { readonly gzip: boolean; readonly signal: AbortSignal },
  ): Promise<Result<UpstreamAnswer, UpstreamFailure>>
  close(): void
}

/** One request's surrogates: what the proxy sees in place of the client's own request and response. */
interface Exchange {
  readonly out: ServerResponse
  timedOut: boolean
  /** Given up, perhaps before the library had made its request. */
  aborted: boolean
  settle(result: Result<UpstreamAnswer, UpstreamFailure>): void
}

// A request that was never received from anywhere; its socket is never connected.
const nowhere = new Socket()

/**
 * Opens the door. `http-proxy-middleware` is given a request made here from the parsed values, and a response that
 * leads nowhere, so neither a header nor a byte of the client's can pass, and a failing answer cannot reach the client
 * before the gateway has decided about it.
 */
export function openUpstream(options: UpstreamOptions): Upstream {
  const exchanges = new WeakMap<IncomingMessage, Exchange>()
  const Agent = options.url.startsWith('https:') ? HttpsAgent : HttpAgent
  const agent = new Agent({ keepAlive: true, maxSockets, maxFreeSockets: maxSockets })
  const proxy = createProxyMiddleware({
    target: options.url,
    agent,
    changeOrigin: true,
    selfHandleResponse: true,
    proxyTimeout: options.timeout,
    // Without these the library would answer errors itself and log addresses.
    ejectPlugins: true,
    plugins: [proxyEventsPlugin, debugProxyErrorsPlugin],
    on: {
      proxyReq: (proxyReq, request) => {
        const exchange = exchanges.get(request)
        // The library listens for `close` only from here on: what was given up before would else stay open for ever.
        if (exchange === undefined || exchange.aborted) {
          proxyReq.destroy()
          return
        }
        proxyReq.once('timeout', () => {
          exchange.timedOut = true
        })
      },
      proxyRes: (body, request) => {
        const exchange = exchanges.get(request)
        if (exchange !== undefined) exchange.settle(ok(answerOf(body, exchange.out)))
      },
      error: (error, request) => fails(exchanges.get(request), error),
      econnreset: (error, request) => fails(exchanges.get(request), error),
    },
  })
  return {
    send: (request, { gzip, signal }) =>
      new Promise((resolve) => {
        const surrogate = surrogateFor(request, gzip, options.bearerToken)
        const out = new ServerResponse(surrogate)
        const exchange: Exchange = { out, timedOut: false, aborted: false, settle: resolve }
        const abort = (): void => {
          exchange.aborted = true
          close(out)
          resolve(fail({ is: 'aborted', detail: 'the caller went away' }))
        }
        signal.addEventListener('abort', abort, { once: true })
        exchanges.set(surrogate, exchange)
        // Its promise says nothing that the events above do not say.
        void proxy(surrogate, out, () => {})
        if (signal.aborted) abort()
      }),
    close: () => agent.destroy(),
  }
}

function surrogateFor(scoped: ScopedRequest, gzip: boolean, token?: string): IncomingMessage {
  const { method, path, params } = scoped
  const form = new URLSearchParams(params.map(([name, value]): [string, string] => [name, value])).toString()
  const surrogate = new IncomingMessage(nowhere)
  surrogate.method = method
  surrogate.url = method === 'GET' && form !== '' ? `${path}?${form}` : path
  surrogate.httpVersion = '1.1'
  surrogate.httpVersionMajor = 1
  surrogate.httpVersionMinor = 1
  surrogate.headers = {
    'user-agent': 'bailiwick',
    'accept-encoding': gzip ? 'gzip' : 'identity',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  }
  if (method === 'POST') {
    const body = scoped.body ?? Buffer.from(form)
    Object.assign(surrogate.headers, scoped.body === undefined ? formHeaders : readHeaders)
    surrogate.headers['content-length'] = String(body.length)
    surrogate.push(body)
  }
  surrogate.push(null)
  return surrogate
}

const formHeaders = { 'content-type': 'application/x-www-form-urlencoded' } as const
// Prometheus's remote-read protocol, version 0.1.0.
const readHeaders = {
  'content-type': 'application/x-protobuf',
  'content-encoding': 'snappy',
  'x-prometheus-remote-read-version': '0.1.0',
} as const

function answerOf(body: IncomingMessage, out: ServerResponse): UpstreamAnswer {
  const encoding = body.headers['content-encoding'] ?? 'identity'
  // An answer that breaks off shows as `close` without `end`; the library destroys only the surrogate then.
  body.on('error', () => {})
  return {
    status: body.statusCode ?? 0,
    contentType: body.headers['content-type'] ?? '',
    contentEncoding: encoding === 'gzip' || encoding === 'snappy' || encoding === 'identity' ? encoding : 'unknown',
    body,
    abort: () => close(out),
  }
}

function fails(exchange: Exchange | undefined, error: Error): void {
  const is = exchange?.timedOut === true ? 'timeout' : 'unreachable'
  exchange?.settle(fail({ is, detail: error.message }))
}

/** Tells the library that "the client" is gone: it then drops the connection to Prometheus. */
function close(out: ServerResponse): void {
  out.destroy()
  out.emit('close')
}
