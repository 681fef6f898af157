import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, createServer, request } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parse, stringify } from 'yaml'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { generateKeyPair } from '../../src/audit/keys.ts'
import { randomNumbers } from './crash.ts'
import type { Answered } from './crash.ts'
import { generous } from './generous.ts'
import { audience, startStubIssuer } from './issuer.ts'

/** What came of killing a gateway again and again. */
export interface GatewayCrashes {
  /** Where it all is, until `remove`. */
  readonly dir: string
  readonly copy: string
  readonly publicKeyFile: string
  readonly ledger: readonly Answered[]
  /** Requests that the client gave up before or during the answer. */
  readonly cancelled: number
  /** Kills that came before the gateway was ready. */
  readonly early: number
  /** Rounds in which it ended by itself or did not get ready, and its log. */
  readonly failures: readonly string[]
  remove(): Promise<void>
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const lanes = 24

/**
 * Kills a gateway at random moments under load and starts it again on the same directory, so many times; at the end it is
 * started once more and stopped in good order. `audit` are more settings of the section of that name.
 */
export async function crashGateway(rounds: number, seed: number, audit: object = {}): Promise<GatewayCrashes> {
  const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-crash-'))
  const world = await startSurroundings(scratch, seed, audit)
  const counts = { early: 0, failures: [] as string[] }
  let startTakes = 600
  async function oneRound(gateway: Gateway, name: string, ms: number, end: () => Promise<void>): Promise<void> {
    const began = performance.now()
    const url = await gateway.ready()
    startTakes = performance.now() - began
    if (url === null) counts.failures.push(`${name}, not ready: ${gateway.log()}`)
    // Ended while requests are on their way, or they would all be answered.
    else await world.load(url, name, () => sleep(ms), end)
    await end()
    if (gateway.ended()) counts.failures.push(`${name}, ended by itself: ${gateway.log()}`)
  }
  try {
    for (let round = 0; round < rounds; round += 1) {
      const gateway = startGateway(world.config)
      // Some are killed on their way: what a start leaves half done is a state of its own.
      if (world.random() < 0.15) {
        await sleep(world.random() * startTakes)
        counts.early += gateway.url() === null ? 1 : 0
        await gateway.kill()
        continue
      }
      await oneRound(gateway, `r${round}`, world.random() * 400, () => gateway.kill())
    }
    const last = startGateway(world.config)
    await oneRound(last, 'last', 300, () => last.stop())
  } catch (error) {
    await rm(scratch, { recursive: true, force: true })
    throw error
  } finally {
    await world.stop()
  }
  const remove = (): Promise<void> => rm(scratch, { recursive: true, force: true })
  return { ...world.places, ledger: world.ledger, cancelled: world.cancelled(), ...counts, remove }
}

async function startSurroundings(scratch: string, seed: number, audit: object) {
  const random = randomNumbers(seed)
  const issuer = await startStubIssuer()
  const prometheus = await startStub(random)
  const dir = join(scratch, 'audit')
  const pair = generateKeyPair()
  await writeFile(join(scratch, 'key'), pair.privatePem, { mode: 0o600 })
  await writeFile(join(scratch, 'key.pub'), pair.publicPem)
  const config = join(scratch, 'bailiwick.yaml')
  const settings: unknown = parse(
    gatewayConfig({
      ...{ port: 0, adminPort: 0, clusters: { east: prometheus.url }, issuer: issuer.issuer },
      ...{ audience, auditDir: dir, rules: [generous] },
    }),
  )
  const checkpoints = { key_file: 'key', copyTo: 'copy', every: '20ms', idle: '200ms' }
  await writeFile(config, stringify({ ...Object(settings), audit: { directory: dir, checkpoints, ...audit } }))
  const exp = Math.floor(Date.now() / 1000) + 7_200
  const tokens = await Promise.all(
    Array.from({ length: 8 }, (_, n) => issuer.sign({ sub: `p${n}`, groups: ['team-emojivoto'], exp })),
  )
  const client = openClient(random, tokens)
  return {
    config,
    random,
    ...client,
    places: { dir, copy: join(scratch, 'copy'), publicKeyFile: join(scratch, 'key.pub') },
    async stop() {
      await prometheus.stop()
      await issuer.stop()
    },
  }
}

/** A Prometheus that is now quick, now slow, and sends some answers in pieces. */
async function startStub(random: () => number) {
  const row = { metric: { namespace: 'emojivoto', pod: 'web' }, value: [1_795_143_600, '1'] }
  const [head, piece] = ['{"status":"success","data":{"resultType":"vector","result":[', `${JSON.stringify(row)},`]
  async function answer(url: string, response: ServerResponse): Promise<void> {
    response.setHeader('content-type', 'application/json')
    await sleep(random() * 10)
    response.write(head)
    for (let pieces = url.includes('slow') ? 20 : 0; pieces > 0; pieces -= 1) {
      response.write(piece.repeat(20))
      await sleep(2)
    }
    response.end(`${JSON.stringify(row)}]}}`)
  }
  const server = createServer((incoming, response) => {
    let asked = incoming.url ?? ''
    incoming.setEncoding('utf8').on('data', (chunk: string) => (asked += chunk))
    incoming.on('end', () => void answer(asked, response))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is one
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

interface Ask {
  readonly path: string
  readonly token: string | null
  readonly method?: string
  /** Milliseconds after which the client gives up; `first`: with the first piece of the answer. */
  readonly leaves?: number | 'first'
}

/** People who ask at once, and write down what they were answered. */
function openClient(random: () => number, tokens: readonly string[]) {
  const ledger: Answered[] = []
  let cancelled = 0
  const query = (text: string): string => `/api/v1/query?query=${encodeURIComponent(text)}`
  function ask(mark: string): Ask {
    const token = tokens[Math.floor(random() * tokens.length)] ?? null
    const own = query(`up{job="${mark}"}`)
    const kinds: readonly Ask[] = [
      { path: own, token },
      { path: own, token },
      { path: own, token, method: 'POST' },
      { path: query(`sum(rate(slow{job="${mark}"}[5m]))`), token },
      { path: `/api/v1/labels?match[]=${encodeURIComponent(`up{job="${mark}"}`)}`, token },
      { path: own, token: null },
      { path: own, token: 'garbage' },
      { path: query(`up{namespace="booksapp",job="${mark}"}`), token },
      { path: query(`sum(${mark}`), token },
      { path: `/api/v1/${mark}`, token },
      { path: own, token, leaves: random() * 12 },
      { path: query(`slow{job="${mark}"}`), token, leaves: 'first' },
    ]
    return kinds[Math.floor(random() * kinds.length)] ?? { path: own, token }
  }

  /** Answers false when the gateway is gone. */
  function send(base: string, agent: Agent, mark: string): Promise<boolean> {
    const { path, token, method = 'GET', leaves } = ask(mark)
    // Also a request of somebody unknown, whose parameters are not read, is recorded with this header.
    const headers = { 'user-agent': mark, ...(token === null ? {} : { authorization: `Bearer ${token}` }) }
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const sent = request(`${base}${path}`, { agent, method, headers })
    const leave = (): void => {
      cancelled += 1
      sent.destroy()
      resolve(true)
    }
    const timer = typeof leaves === 'number' ? setTimeout(leave, leaves) : undefined
    sent.on('error', () => resolve(false))
    sent.on('response', (response) => {
      clearTimeout(timer)
      const id = response.headers['bailiwick-request']
      if (typeof id !== 'string') throw new Error(`an answer without an id: ${response.statusCode} to ${path}`)
      ledger.push({ id, status: response.statusCode ?? 0, mark })
      response.on('data', () => leaves === 'first' && leave())
      response.on('close', () => resolve(true))
      response.on('error', () => resolve(true))
    })
    sent.end()
    return promise
  }

  async function load(
    url: string,
    name: string,
    until: () => Promise<unknown>,
    end: () => Promise<void>,
  ): Promise<void> {
    const agent = new Agent({ keepAlive: true })
    const over = new AbortController()
    const ask = async (lane: number): Promise<void> => {
      for (let n = 0; !over.signal.aborted && (await send(url, agent, `${name}-${lane}-${n}`)); n += 1) continue
    }
    const before = ledger.length
    const busy = Promise.all(Array.from({ length: lanes }, (_, lane) => ask(lane)))
    // A gateway that just started takes a while to answer for the first time, and longer on a busy machine.
    for (let wait = 0; wait < 4_000 && ledger.length === before; wait += 1) await sleep(5)
    await until()
    over.abort()
    await end()
    await busy
    agent.destroy()
  }
  return { ledger, cancelled: () => cancelled, load }
}

interface Gateway {
  /** Its address, or `null` when it ended or took too long. */
  ready(): Promise<string | null>
  url(): string | null
  log(): string
  ended(): boolean
  kill(): Promise<void>
  stop(): Promise<void>
}

function startGateway(config: string): Gateway {
  const child: ChildProcess = spawn(process.execPath, [main, 'serve', '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const gone = once(child, 'exit')
  const killed = (): void => void child.kill('SIGKILL')
  process.once('exit', killed)
  let log = ''
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (log += chunk))
  function url(): string | null {
    const line = log.split('\n').find((one) => one.includes('ready for requests') && one.endsWith('}'))
    return line === undefined ? null : String(Reflect.get(Object(JSON.parse(line)), 'url'))
  }
  let asked = false
  const ended = (): boolean => child.exitCode !== null && !asked
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    asked ||= child.exitCode === null
    child.kill(signal)
    await gone
    process.off('exit', killed)
  }
  return {
    url,
    ended,
    log: () => log,
    async ready() {
      for (let wait = 0; wait < 6_000 && url() === null && !ended(); wait += 1) await sleep(5)
      return url()
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  }
}
