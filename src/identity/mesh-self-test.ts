import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import type { NetConnectOpts } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Credentials } from './identity.ts'
import { selfTestTimeout } from './limits.ts'
import { meshHeader } from './sources/mesh.ts'
import type { MeshOptions } from './sources/mesh.ts'

/** Where the gateway's requests to itself arrive. For everybody else it is a path like any other. */
export const selfTestPath = '/-/mesh-self-test'

/** How the self-test stands. */
export interface SelfTestState {
  /** Does what the proxy says of a caller count? */
  readonly proven: boolean
  /** Why not, or why the last test, after one that passed, could not be made. */
  readonly lastFailure: string | null
}

/** Takes a request to {@link selfTestPath}. Says whether it was the gateway's own. */
export type Receive = (credentials: Credentials) => boolean

/** Tests, again and again, that the gateway's own proxy lets no forged identity through. */
export interface MeshSelfTest {
  readonly receive: Receive
  state(): SelfTestState
  /** Begins; from now on the gateway must be able to receive. */
  start(): void
  stop(): void
}

/** Requests under way to itself: what each brings along is told to whoever sent it. */
export interface Inbox {
  readonly receive: Receive
  /** A secret that counts once, and the values of the header with which it arrived: null until then. */
  expect(): { readonly secret: string; readonly arrived: () => readonly string[] | null; readonly forget: () => void }
}

const secretHeader = 'bailiwick-self-test'

/** Makes one. */
export function openInbox(): Inbox {
  const open = new Map<string, (values: readonly string[]) => void>()
  return {
    receive(credentials) {
      const [secret = ''] = credentials.header(secretHeader)
      const take = open.get(secret)
      open.delete(secret)
      take?.(credentials.header(meshHeader))
      return take !== undefined
    },
    expect() {
      const secret = randomBytes(32).toString('base64url')
      let values: readonly string[] | null = null
      open.set(secret, (found) => void (values = found))
      return { secret, arrived: () => values, forget: () => void open.delete(secret) }
    },
  }
}

/** What a test says: nothing forged came through, something did, or it could not be found out. */
export type Verdict = { readonly is: 'good' } | { readonly is: 'forged' | 'unknown'; readonly why: string }

/**
 * One test. The gateway sends itself a request with a forged identity, through its own proxy, and looks at what arrives.
 * Then it sends one whose first bytes come by themselves: where the proxy looks for the protocol first, it takes that
 * for something else than HTTP and passes it on as it is, headers and all. That one need not arrive.
 */
export async function testProxy(options: MeshOptions, inbox: Inbox, signal: AbortSignal): Promise<Verdict> {
  const whole = await send(options, inbox, 0, signal)
  if (whole.forged) return { is: 'forged', why: `${forgedBy('a request')}: ${past}` }
  if (!whole.arrived) return { is: 'unknown', why: `the request to ${options.selfTest} did not arrive: ${whole.how}` }
  const slow = await send(options, inbox, firstBytes, signal)
  if (slow.forged) return { is: 'forged', why: `${forgedBy('a request whose first bytes came alone')}: ${server}` }
  // Silence is no refusal: it could still arrive.
  const isRefused = slow.connected && slow.how !== silence
  if (!slow.arrived && !isRefused) return { is: 'unknown', why: `a slow request got no answer: ${slow.how}` }
  return { is: 'good' }
}

const forgedBy = (what: string): string =>
  `a forged ${meshHeader} came through with ${what}, so that it says nothing about the caller`
const past = 'it did not pass the proxy (the own address of a pod never does), or the port is skipped or opaque'
const server = 'the port needs a Server with proxyProtocol HTTP/1'
const silence = `silence for ${selfTestTimeout} ms`

/** Fewer than the 14 from which Linkerd's proxy recognises HTTP. */
const firstBytes = 'GET /'.length
const pauseAfterThem = 250

interface Sent extends Ended {
  readonly arrived: boolean
  readonly forged: boolean
}

async function send(
  { selfTest, ...mesh }: MeshOptions,
  inbox: Inbox,
  alone: number,
  signal: AbortSignal,
): Promise<Sent> {
  const { secret, arrived, forget } = inbox.expect()
  const { host, hostname, port } = new URL(selfTest)
  const forged = `forged.self-test.serviceaccount.identity.${mesh.controlPlaneNamespace}.${mesh.trustDomain}`
  const headers = [`host: ${host}`, 'connection: close', `${secretHeader}: ${secret}`]
  // Twice, since a proxy could take away the first copy only.
  const copies = [`${meshHeader}: ${forged}`, `${meshHeader.toUpperCase()}: ${forged}`]
  const request = [`GET ${selfTestPath} HTTP/1.1`, ...headers, ...copies, '', ''].join('\r\n')
  const to = { host: hostname.replaceAll(/[[\]]/g, ''), port: Number(port) || 80, signal }
  const ended = await exchange(to, request, alone)
  forget()
  const values = arrived()
  return { ...ended, arrived: values !== null, forged: values?.some((value) => value.includes(forged)) ?? false }
}

interface Ended {
  readonly how: string
  /** Was there a connection at all? */
  readonly connected: boolean
}

/** Sends a text, its beginning alone, and waits until the other side has ended the connection. */
async function exchange(to: NetConnectOpts, text: string, alone: number): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<string>()
  let connected = false
  const socket = connect({ ...to, noDelay: true }, () => (connected = true))
  socket.on('error', ({ message }) => resolve(message))
  socket.on('close', () => resolve('the connection was closed'))
  // Nobody reads the answer: what arrived is known.
  socket.resume()
  const timer = setTimeout(() => resolve(silence), selfTestTimeout)
  if (alone > 0) {
    socket.write(text.slice(0, alone))
    await Promise.race([promise, sleep(pauseAfterThem)])
  }
  socket.write(text.slice(alone))
  const how = await promise
  clearTimeout(timer)
  socket.destroy()
  return { how, connected }
}

const again = 5 * 60_000
const firstRetry = 1_000
const lastRetry = 60_000

/**
 * What the proxy says of callers counts from the first test that passed until one in which something forged came
 * through. A later test that could not be made changes nothing: it speaks neither for the proxy nor against it.
 */
export const afterTest = ({ proven }: SelfTestState, verdict: Verdict): SelfTestState =>
  verdict.is === 'good'
    ? { proven: true, lastFailure: null }
    : { proven: verdict.is === 'unknown' && proven, lastFailure: verdict.why }

/** Tests at the start and every few minutes, after failures at growing intervals. */
export function openMeshSelfTest(options: MeshOptions, tell: (state: SelfTestState) => void): MeshSelfTest {
  const inbox = openInbox()
  let state: SelfTestState = { proven: false, lastFailure: 'the self-test has not ended yet' }
  let timer: NodeJS.Timeout | undefined
  const stop = new AbortController()
  async function run(failures: number): Promise<void> {
    const verdict = await testProxy(options, inbox, stop.signal)
    if (stop.signal.aborted) return
    const before = state
    state = afterTest(before, verdict)
    if (state.proven !== before.proven || state.lastFailure !== before.lastFailure) tell(state)
    const delay = verdict.is === 'good' ? again : Math.min(firstRetry * 2 ** failures, lastRetry)
    timer = setTimeout(() => void run(verdict.is === 'good' ? 0 : failures + 1), delay).unref()
  }
  return {
    receive: inbox.receive,
    state: () => state,
    start: () => void run(0),
    stop() {
      stop.abort()
      clearTimeout(timer)
    },
  }
}
