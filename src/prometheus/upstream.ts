import { IncomingMessage, ServerResponse, Agent as HttpAgent } from 'node:http'
import type { ClientRequest } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import { createProxyMiddleware, debugProxyErrorsPlugin, proxyEventsPlugin } from 'http-proxy-middleware'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { maxSockets } from './limits.ts'
import type { ScopedRequest } from './rewrite.ts'
import { openCredentials } from './upstream-auth.ts'
import type { Tell, UpstreamAuth } from './upstream-auth.ts'

/** Where a Prometheus is and how to speak to it. */
export interface UpstreamOptions extends UpstreamAuth {
  /** Base URL; a path in it is put before every API path. */
  readonly url: string
  /** Milliseconds without a sign of life after which a request is given up. */
  readonly timeout: number
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

/** Why there is no answer: `untrusted` is TLS that did not come about. `detail` is for the log, not for the caller. */
export interface UpstreamFailure {
  readonly is: 'unreachable' | 'untrusted' | 'timeout' | 'aborted'
  readonly detail: string
}

/** How a request is sent. */
export interface SendOptions {
  /** May the answer come compressed? */
  readonly gzip: boolean
  /** Gives the request up. */
  readonly signal: AbortSignal
  readonly tell: Tell
}

type Answered = Result<UpstreamAnswer, UpstreamFailure>

/** What came back, and whether it was asked over a connection that an earlier request had left open. */
interface Asked {
  readonly answered: Answered
  readonly reused: boolean
}

/** The only door to Prometheus: nothing but a {@link ScopedRequest} fits through. */
export interface Upstream {
  send(request: ScopedRequest, options: SendOptions): Promise<Answered>
  close(): void
}

/** One request's surrogates: what the proxy sees in place of the client's own request and response. */
interface Exchange {
  readonly out: ServerResponse
  timedOut: boolean
  /** Given up, perhaps before the library had made its request. */
  aborted: boolean
  /** The library's request, once there is one. */
  sent: ClientRequest | null
  settle(answered: Answered): void
}

// A request that was never received from anywhere; its socket is never connected.
const nowhere = new Socket()

type Exchanges = WeakMap<IncomingMessage, Exchange>

/**
 * Opens the door. `http-proxy-middleware` is given a request made here from the parsed values, and a response that
 * leads nowhere, so neither a header nor a byte of the client's can pass, and a failing answer cannot reach the client
 * before the gateway has decided about it.
 */
export function openUpstream(options: UpstreamOptions): Upstream {
  const exchanges: Exchanges = new WeakMap()
  const credentials = openCredentials(options)
  let line: Line | null = null
  /** Connections made with a certificate that is no longer in force serve what is under way, and nothing else. */
  function lineFor(context: SecureContext | null): Line {
    if (line !== null && line.context === context) return line
    line?.retire()
    line = openLine(options, context, exchanges)
    return line
  }
  function ask(request: ScopedRequest, { gzip, signal, tell }: SendOptions): Promise<Asked> {
    const { promise, resolve } = Promise.withResolvers<Asked>()
    const surrogate = surrogateFor(request, gzip, credentials.headers(tell))
    const { proxy } = lineFor(credentials.secureContext(tell))
    const out = new ServerResponse(surrogate)
    const settle = (answered: Answered): void => {
      clearTimeout(silence)
      resolve({ answered, reused: exchange.sent?.reusedSocket === true })
    }
    const giveUp = (is: 'aborted' | 'timeout', detail: string): void => {
      exchange.aborted = true
      close(out)
      settle(fail({ is, detail }))
    }
    const exchange: Exchange = { out, timedOut: false, aborted: false, sent: null, settle }
    // The library counts from when there is a connection; waiting for one of the pool's counts too.
    const silence = setTimeout(() => giveUp('timeout', 'no answer began in time'), options.timeout)
    const abort = (): void => giveUp('aborted', 'the caller went away')
    signal.addEventListener('abort', abort, { once: true })
    exchanges.set(surrogate, exchange)
    // Its promise says nothing that the events above do not say.
    void proxy(surrogate, out, () => {})
    if (signal.aborted) abort()
    return promise
  }
  return {
    async send(request, sending) {
      const { answered, reused } = await ask(request, sending)
      // A kept connection may be closed by the other side just as it is used again. Every request only reads, so it may
      // be sent once more: Prometheus saw it once or twice, and nobody an answer.
      const again = reused && !answered.ok && answered.error.is === 'unreachable'
      return again ? (await ask(request, sending)).answered : answered
    },
    close: () => line?.agent.destroy(),
  }
}

/** The library with its connections, which all show the same certificate. */
interface Line {
  readonly context: SecureContext | null
  readonly agent: HttpAgent
  readonly proxy: ReturnType<typeof createProxyMiddleware>
  /** Closes what is idle, and the rest as soon as it is. */
  retire(): void
}

function openLine(options: UpstreamOptions, context: SecureContext | null, exchanges: Exchanges): Line {
  const agent = agentFor(options, context)
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
        exchange.sent = proxyReq
        proxyReq.once('timeout', () => {
          exchange.timedOut = true
        })
        // Without an answer (a switch of protocols, say) this is all that is heard.
        proxyReq.once('close', () => fails(exchange, new Error('the connection was closed without an answer')))
      },
      proxyRes: (body, request) => {
        const exchange = exchanges.get(request)
        if (exchange !== undefined) exchange.settle(ok(answerOf(body, exchange.out)))
      },
      error: (error, request) => fails(exchanges.get(request), error),
      econnreset: (error, request) => fails(exchanges.get(request), error),
    },
  })
  const retire = (): void => {
    agent.maxFreeSockets = 0
    for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy()
  }
  return { context, agent, proxy, retire }
}

function agentFor({ url, tls }: UpstreamOptions, secureContext: SecureContext | null): HttpAgent {
  const pool = { keepAlive: true, maxSockets, maxFreeSockets: maxSockets }
  if (new URL(url).protocol !== 'https:') return new HttpAgent(pool)
  return new HttpsAgent({
    ...pool,
    // Said here, no environment variable switches it off.
    rejectUnauthorized: true,
    ...(secureContext === null ? {} : { secureContext }),
    ...(tls?.serverName === undefined ? {} : { servername: tls.serverName }),
  })
}

function surrogateFor(
  scoped: ScopedRequest,
  gzip: boolean,
  credentials: Readonly<Record<string, string>>,
): IncomingMessage {
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
    ...credentials,
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
  const code = 'code' in error ? String(error.code) : ''
  const is = exchange?.timedOut === true ? 'timeout' : tlsCodes.test(code) ? 'untrusted' : 'unreachable'
  // OpenSSL's sentences end with a line break; where several addresses failed, there is a code only.
  exchange?.settle(fail({ is, detail: error.message.trim() || code }))
}

// Node's own, OpenSSL's, and those of certificates (https://nodejs.org/api/tls.html#x509-certificate-error-codes).
const tlsCodes =
  /^(EPROTO|ERR_(TLS|SSL|OSSL)_.*|(UNABLE_TO|CERT|CRL|ERROR_IN)_.*|(DEPTH_ZERO_)?SELF_SIGNED_CERT.*|INVALID_(CA|PURPOSE)|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)$/

/** Tells the library that "the client" is gone: it then drops the connection to Prometheus. */
function close(out: ServerResponse): void {
  out.destroy()
  out.emit('close')
}
