import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { generateKeyPair } from '../src/audit/keys.ts'
import { gatewayConfig } from './parts/gateway-config.ts'
import { gatewayClient, startIdp } from './parts/idp.ts'
import type { RunningIdp } from './parts/idp.ts'
import { writeHistory } from './parts/linkerd-history.ts'
import { startLiveTargets } from './parts/live-targets.ts'
import { freePort } from './parts/loopback.ts'
import { people } from './parts/people.ts'
import { findPrometheus } from './parts/prometheus-binary.ts'
import type { Tell } from './parts/prometheus-binary.ts'
import { startPrometheus } from './parts/prometheus.ts'

/** Everything that the demo runs, started. */
export interface Stage {
  /** The gateway: what people and Grafana are given. */
  readonly url: string
  readonly adminUrl: string
  readonly prometheusUrl: string
  readonly issuer: string
  /** Directory of this run, relative to the repository: tokens, configuration, logs, audit record. */
  readonly dir: string
  readonly auditDir: string
  /** When the nightly report began, the last time: 3 a.m. UTC in seconds since 1970. */
  readonly nightlyAt: number
  /** A fresh token of a person; also written to `<dir>/tokens/<person>`. */
  token(person: string): Promise<string>
  stop(): Promise<void>
}

const root = fileURLToPath(new URL('..', import.meta.url))
const cache = join(root, '.cache')
const audience = 'https://bailiwick.example'
const hour = 3600

/** Where the parts would like to be; a port that is taken is chosen around. */
const ports = { gateway: 9080, admin: 9081, prometheus: 9090, idp: 9400 } as const

/** Starts all parts on loopback, telling what it does. When one cannot be started, those before it are stopped. */
export async function startStage(name: string, tell: Tell): Promise<Stage> {
  const stops: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).toReversed()) await one()
  }
  try {
    return await start(name, tell, stops, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

async function start(
  name: string,
  tell: Tell,
  stops: (() => Promise<void>)[],
  stop: () => Promise<void>,
): Promise<Stage> {
  const port = await portNear(ports.gateway, 'the gateway', tell)
  // A second demo beside the first has a directory of its own: an audit directory has one owner.
  const dir = join(cache, port === ports.gateway ? name : `${name}-${port}`)
  await mkdir(join(dir, 'tokens'), { recursive: true, mode: 0o700 })
  const window = historyWindow(Math.floor(Date.now() / 1000))

  const binary = await findPrometheus({ cacheDir: cache, tell })
  tell(`Prometheus ${binary.version}`)
  tell(`Writing Linkerd's metrics since ${isoMinute(window.start)} …`)
  const { dataDir } = await writeHistory({ ...window, promtool: binary.promtool, dir: join(cache, 'history'), tell })
  stops.push(() => rm(dataDir, { recursive: true, force: true }))
  const targets = await startLiveTargets({ since: window.start })
  stops.push(() => targets.stop())
  const prometheus = await startPrometheus({
    binary: binary.prometheus,
    dataDir,
    config: `global: { scrape_interval: 5s }\n${targets.scrapeConfig}`,
    port: await portNear(ports.prometheus, 'Prometheus', tell),
    tell,
  })
  stops.push(() => prometheus.stop())

  const url = `http://127.0.0.1:${port}`
  const idp = await startIdp({
    port: await portNear(ports.idp, 'the OIDC provider', tell),
    people,
    audience,
    clients: [gatewayClient(url)],
  })
  stops.push(() => idp.stop())
  tell(`The OIDC provider is ready on ${idp.issuer}`)

  const auditDir = join(dir, 'audit')
  const adminPort = await portNear(ports.admin, 'the gateway’s admin port', tell)
  const clusters = { demo: prometheus.url }
  const audit = { checkpoints: { key_file: await auditKey(dir) } }
  const own = { auditDir, audit, loginClient: 'gateway' }
  const config = { port, adminPort, clusters, issuer: idp.issuer, audience, ...own }
  const adminUrl = `http://127.0.0.1:${adminPort}`
  stops.push(await startGateway(dir, gatewayConfig(config), adminUrl))
  tell(`The gateway is ready on ${url}`)

  return {
    url,
    adminUrl,
    prometheusUrl: prometheus.url,
    issuer: idp.issuer,
    dir: relative(root, dir),
    auditDir,
    nightlyAt: window.nightlyAt,
    token: (person) => writeToken(idp, dir, person),
    stop,
  }
}

/** The key of the record stays for as long as the record does. */
async function auditKey(dir: string): Promise<string> {
  const file = join(dir, 'audit-key')
  const { privatePem, publicPem } = generateKeyPair()
  try {
    await writeFile(file, privatePem, { flag: 'wx', mode: 0o600 })
    await writeFile(`${file}.pub`, publicPem)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  return file
}

/** At least the last six hours, and far enough back for the last 3 a.m. whose story is over (UTC). */
function historyWindow(now: number): { start: number; end: number; nightlyAt: number } {
  const told = now - hour / 2
  const nightlyAt = Math.floor((told - 3 * hour) / 86_400) * 86_400 + 3 * hour
  const end = Math.floor(now / 60) * 60
  return { start: Math.min(Math.floor(now / hour) * hour - 6 * hour, nightlyAt - hour), end, nightlyAt }
}

async function portNear(wanted: number, what: string, tell: Tell): Promise<number> {
  for (let port = wanted; port < wanted + 20; port += 2) {
    try {
      await freePort(port)
      if (port !== wanted) tell(`Port ${wanted} is taken; ${what} uses ${port}`)
      return port
    } catch {
      // Taken: try the next one.
    }
  }
  return freePort()
}

async function writeToken(idp: RunningIdp, dir: string, person: string): Promise<string> {
  const token = await idp.token(person)
  await writeFile(join(dir, 'tokens', person), token, { mode: 0o600 })
  return token
}

/** Runs the product as a user would, from its command line; its operational log goes to `<dir>/gateway.log`. */
async function startGateway(dir: string, config: string, adminUrl: string): Promise<() => Promise<void>> {
  const file = join(dir, 'bailiwick.yaml')
  await writeFile(file, config)
  const log = await open(join(dir, 'gateway.log'), 'w')
  const child = spawn(process.execPath, [join(root, 'src/main.ts'), 'serve', '--config', file], {
    stdio: ['ignore', log.fd, log.fd],
    // In a group of its own: Ctrl-C reaches us alone, and we stop it once, in order.
    detached: true,
  })
  const ended = once(child, 'exit')
  await log.close()
  for (let round = 0; round < 300 && child.exitCode === null; round += 1) {
    if (await answers(`${adminUrl}/-/ready`)) return () => stopChild(child, ended)
    await sleep(100)
  }
  await stopChild(child, ended)
  const words = await readFile(join(dir, 'gateway.log'), 'utf8')
  throw new Error(`the gateway did not become ready. Its log ends with:\n${words.split('\n').slice(-10).join('\n')}`)
}

async function stopChild(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await ended
}

const answers = (url: string): Promise<boolean> =>
  fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )

const isoMinute = (seconds: number): string => `${new Date(seconds * 1000).toISOString().slice(0, 16)}Z`
