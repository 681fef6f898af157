import { channel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer as createHttpServer, request as httpRequest } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'

/**
 * How the proxy in front of the gateway behaves:
 * - `server`: the port has a Server with proxyProtocol HTTP/1. Meshed callers' connections that do not look like HTTP
 *   are refused; unmeshed callers' are taken for HTTP whatever they look like.
 * - `detect`: it has none, as at first. What does not look like HTTP in the first read is passed on as it is.
 * - `past`: nothing passes the proxy (skipped or opaque port, no proxy at all, the pod's own address).
 * - `first copy`: a proxy that only takes away the first copy of the header.
 * - `denies`, `closes`, `silent`: the request does not get through.
 */
export type Behaviour = 'server' | 'detect' | 'past' | 'first copy' | 'denies' | 'closes' | 'silent'

/** Linkerd's inbound proxy as far as its sources say what it does with `l5d-client-id`. */
export interface LinkerdProxy {
  behaviour: Behaviour
  /** Where a caller of this identity comes in; null: one without mesh TLS. */
  as(identity: string | null): Promise<string>
  /** Lets requests through to this URL, the gateway's; until then they wait. */
  to(url: string): void
  stop(): Promise<void>
}

/** The pod's address, as the gateway sees it of requests that came through the proxy. */
export const podAddress = '10.42.0.7'
const header = 'l5d-client-id'
/** From so many bytes the proxy recognises HTTP. */
const recognisable = 14

/** Starts one at 127.0.0.2, which stands for the pod's address; the gateway is at 127.0.0.1. */
export function startLinkerdProxy(behaviour: Behaviour = 'server'): LinkerdProxy {
  const { promise: target, resolve: to } = Promise.withResolvers<string>()
  const servers: Server[] = []
  const sockets = new Set<Socket>()
  /** Ports from which the proxy has connected to the gateway. */
  const ports = new Set<number>()
  const keep = (socket: Socket): Socket => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    return socket.once('close', () => sockets.delete(socket))
  }
  const dial = async (): Promise<Socket> => {
    const { hostname, port } = new URL(await target)
    const socket = keep(connect(Number(port), hostname))
    await once(socket, 'connect')
    ports.add(socket.localPort ?? 0)
    return socket
  }
  const started = channel('http.server.request.start')
  const show = (message: unknown): void => {
    const { socket } = Object(message)
    if (ports.has(socket.remotePort)) Object.defineProperty(socket, 'localAddress', { value: podAddress })
  }
  started.subscribe(show)

  const proxy: LinkerdProxy = {
    behaviour,
    to,
    async as(identity) {
      const http = createHttpServer((request, response) => void forward(proxy, identity, dial, request, response))
      const server = createServer((socket) => {
        keep(socket)
        void accept(proxy.behaviour, identity, socket, dial, () => http.emit('connection', socket)).catch(() =>
          socket.destroy(),
        )
      }).listen(0, '127.0.0.2')
      servers.push(server)
      await once(server, 'listening')
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is one
      return `http://127.0.0.2:${(server.address() as AddressInfo).port}`
    },
    async stop() {
      started.unsubscribe(show)
      for (const socket of sockets) socket.destroy()
      await Promise.all(
        servers.map(async (server) => {
          server.close()
          await once(server, 'close')
        }),
      )
    },
  }
  return proxy
}

/** Decides by one read what a connection is, as `linkerd/app/inbound/src/detect.rs` does. */
async function accept(
  behaviour: Behaviour,
  identity: string | null,
  socket: Socket,
  dial: () => Promise<Socket>,
  asHttp: () => void,
): Promise<void> {
  if (behaviour === 'closes') return void socket.destroy()
  if (behaviour === 'silent') return
  // Without mesh TLS there is nothing to detect where the policy says HTTP/1.
  if (behaviour === 'server' && identity === null) return asHttp()
  const [first]: Buffer[] = await once(socket, 'data')
  socket.pause()
  socket.unshift(first)
  const looksLikeHttp = (first?.length ?? 0) >= recognisable
  if (behaviour === 'past' || (behaviour === 'detect' && !looksLikeHttp)) {
    const upstream = await dial()
    socket.pipe(upstream).pipe(socket)
    return
  }
  if (behaviour === 'server' && !looksLikeHttp) return void socket.destroy()
  asHttp()
  // What was read is only read again once the HTTP server listens for it.
  process.nextTick(() => socket.resume())
}

/** Passes a request on with what is known of the caller in the place of whatever it says of itself. */
async function forward(
  { behaviour }: LinkerdProxy,
  identity: string | null,
  dial: () => Promise<Socket>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (behaviour === 'denies') return void response.writeHead(403).end()
  const pairs = Array.from({ length: request.rawHeaders.length / 2 }, (_, index) => [
    request.rawHeaders[2 * index] ?? '',
    request.rawHeaders[2 * index + 1] ?? '',
  ])
  const copies = pairs.filter(([name]) => name?.toLowerCase() === header)
  const taken = behaviour === 'first copy' ? copies.slice(0, 1) : copies
  const kept = [...pairs.filter((pair) => !taken.includes(pair)), ...(identity === null ? [] : [[header, identity]])]
  const upstream = await dial()
  const sent = httpRequest({
    createConnection: () => upstream,
    method: request.method,
    path: request.url,
    headers: kept.flat(),
  })
  sent.on('error', () => response.destroy())
  sent.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
    answer.pipe(response)
  })
  request.pipe(sent)
}
