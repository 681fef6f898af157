// Two real databases for one question: the whole one, with a gateway before it, and one that holds nothing but what the
// person who asks may see.
import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { parse, stringify } from 'yaml'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { storedSeries, writeHistory } from '../../demo/parts/linkerd-history.ts'
import type { Labels } from '../../demo/parts/linkerd-mesh.ts'
import { startLiveTargets } from '../../demo/parts/live-targets.ts'
import type { LiveTargets } from '../../demo/parts/live-targets.ts'
import { close, listen, loopback } from '../../demo/parts/loopback.ts'
import { findPrometheus } from '../../demo/parts/prometheus-binary.ts'
import { startPrometheus } from '../../demo/parts/prometheus.ts'
import { startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import { endpoints } from '../../src/prometheus/endpoints.ts'
import type { UpstreamPath } from '../../src/prometheus/endpoints.ts'
import { bytesField, numberField, textField } from '../../src/prometheus/protobuf.ts'
import { packSnappy } from '../../src/prometheus/snappy.ts'
import { generous } from './generous.ts'
import { audience, startStubIssuer } from './issuer.ts'
import { window } from './world.ts'

/** Something that answers on loopback. */
export interface Running {
  readonly url: string
  stop(): Promise<void>
}

/** Somebody, and the same in other words: which series a database holds that holds only what they may see. */
export interface Person {
  readonly name: string
  readonly groups: readonly string[]
  /** What the gateway says that an answer was narrowed to. */
  readonly scope: string
  readonly holds: (labels: Labels) => boolean
}

/** Who has one namespace and nothing else. */
export const ofTeam = (name: string, namespace: string): Person => ({
  name,
  groups: [`team-${namespace}`],
  scope: `namespace: ${namespace}`,
  holds: (labels) => labels['namespace'] === namespace,
})
export const alice = ofTeam('alice', 'emojivoto')
export const bob = ofTeam('bob', 'booksapp')
/** Has what ran for seven minutes at night. */
export const nadia = ofTeam('nadia', 'batch')
/** Has every namespace but one, and so a scope with a deny. */
export const erin: Person = {
  name: 'erin',
  groups: ['nearly-all'],
  scope: 'namespace: * but not payments',
  holds: ({ namespace = '' }) => namespace !== '' && namespace !== 'payments',
}

/** Beside the rules that the repository shows people. */
const moreRules = `p, group:team-batch, *, query|metadata|rules|alerts|targets|federate|remote-read, namespace=batch, allow
p, group:nearly-all, *, query|metadata|rules|alerts|targets|federate|remote-read, namespace=*, allow
p, group:nearly-all, *, *, namespace=payments, deny
`

/** A gateway that knows these people. */
export interface Gateway extends Running {
  /** The headers that say who asks. */
  headers(person: Person): Promise<Record<string, string>>
}

/** Starts a gateway before one Prometheus. */
export async function startGateway(prometheus: string): Promise<Gateway> {
  const issuer = await startStubIssuer()
  const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-two-'))
  const file = join(scratch, 'bailiwick.yaml')
  const rules = join(scratch, 'more.csv')
  await writeFile(rules, moreRules)
  const places = { port: 0, adminPort: 0, clusters: { east: prometheus }, auditDir: join(scratch, 'audit') }
  await writeFile(file, gatewayConfig({ ...places, issuer: issuer.issuer, audience, rules: [generous] }))
  const config = loadConfig(file)
  if (!config.ok) throw new Error(config.error.join('\n'))
  const policy = { ...config.value.policy, rules: [...config.value.policy.rules, rules] }
  const app = await startApp({ ...config.value, policy }, pino({ level: 'silent' }))
  if (!app.ok) throw new Error(app.error.join('\n'))
  const tokens = new Map<string, string>()
  return {
    url: app.value.url,
    async headers({ name, groups }) {
      const exp = Math.floor(Date.now() / 1000) + 3600
      const token = tokens.get(name) ?? (await issuer.sign({ sub: name, groups: [...groups], exp }))
      tokens.set(name, token)
      return { authorization: `Bearer ${token}` }
    },
    async stop() {
      await app.value.stop()
      await issuer.stop()
      await rm(scratch, { recursive: true, force: true })
    },
  }
}

/** A Prometheus that answers: what the machine or Debian has, or a Prometheus 3 where there is one. */
export type Which = 'prometheus' | 'prometheus3'

const cacheDir = fileURLToPath(new URL('../../.cache', import.meta.url))
const built3 = join(cacheDir, 'prometheus3', 'prometheus')
const program3 = process.env['PROMETHEUS_3'] ?? (existsSync(built3) ? built3 : undefined)
/** Why the tests with a Prometheus 3 cannot run, or false. */
export const without3 =
  program3 === undefined ? 'no Prometheus 3: npm run prometheus3, or name one with PROMETHEUS_3' : false

const flags: Readonly<Record<Which, string>> = {
  prometheus: '--web.enable-remote-write-receiver --enable-feature=exemplar-storage',
  prometheus3: '--web.enable-remote-write-receiver --enable-feature=exemplar-storage,search-api',
}

/** The starter takes no flags, so a script adds them; `exec` keeps the process id that is stopped in the end. */
async function start(which: Which, scratch: string, config: string, dataDir = join(scratch, 'data')): Promise<Running> {
  const program = which === 'prometheus3' ? program3 : (await findPrometheus({ cacheDir, tell: () => {} })).prometheus
  const binary = join(scratch, 'prometheus')
  await writeFile(binary, `#!/bin/sh\nexec '${program?.replaceAll("'", "'\\''")}' "$@" ${flags[which]}\n`)
  await chmod(binary, 0o755)
  const running = await startPrometheus({ binary, dataDir, config, tell: () => {} })
  return {
    url: running.url,
    async stop() {
      await running.stop()
      await rm(scratch, { recursive: true, force: true })
    },
  }
}

const scratchDir = (): Promise<string> => mkdtemp(join(tmpdir(), 'bailiwick-two-'))
// An external label that looks like a scope: Prometheus drops `=` matchers that name one from a remote read.
const quiet = 'global: { scrape_interval: 1h, external_labels: { cluster: east, namespace: emojivoto } }\n'

/** A Prometheus with the tests' history, or with those of its series that `person` may see. */
export async function startHistory(which: Which, person?: Person): Promise<Running> {
  const { promtool } = await findPrometheus({ cacheDir, tell: () => {} })
  const { dataDir } = await writeHistory({
    ...window,
    promtool,
    dir: join(cacheDir, 'history'),
    tell: () => {},
    ...(person === undefined ? {} : { only: person.holds }),
  })
  const running = await start(which, await scratchDir(), quiet, dataDir)
  return {
    ...running,
    async stop() {
      await running.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** A series as remote write carries it. Times are milliseconds since 1970. */
export interface Written {
  readonly labels: Labels
  readonly samples?: readonly (readonly [at: number, value: number])[]
  readonly exemplars?: readonly { readonly labels: Labels; readonly at: number; readonly value: number }[]
  /** When it had native histograms: each with three observations in each of two buckets. */
  readonly histograms?: readonly number[]
}

/**
 * A Prometheus that was sent these series, or those of them that `person` may see, and gets no more: what it holds "now"
 * stays as it is, so that two can be asked one after the other.
 */
export async function startWritten(
  which: Which,
  series: readonly Written[],
  person?: Person,
  config = '',
): Promise<Running> {
  const running = await start(which, await scratchDir(), quiet + config)
  const kept = series.filter(({ labels }) => person === undefined || person.holds(labels))
  const headers = {
    'content-type': 'application/x-protobuf',
    'content-encoding': 'snappy',
    'x-prometheus-remote-write-version': '0.1.0',
  }
  for (let from = 0; from < kept.length; from += 500) {
    const body = packSnappy(Buffer.concat(kept.slice(from, from + 500).flatMap((one) => bytesField(1, encode(one)))))
    const response = await fetch(`${running.url}/api/v1/write`, { method: 'POST', body: Buffer.from(body), headers })
    if (response.ok) continue
    await running.stop()
    throw new Error(`remote write: status ${response.status}: ${await response.text()}`)
  }
  return running
}

/** A TimeSeries of Prometheus's prompb/types.proto. */
const encode = ({ labels, samples = [], exemplars = [], histograms = [] }: Written): Uint8Array =>
  Buffer.concat([
    ...encodeLabels(labels),
    ...samples.flatMap(([at, value]) => bytesField(2, encodeSample(1, value, at))),
    ...exemplars.flatMap(({ labels, at, value }) =>
      bytesField(3, Buffer.concat([...encodeLabels(labels), encodeSample(2, value, at)])),
    ),
    ...histograms.flatMap((at) => bytesField(4, encodeHistogram(at))),
  ])

const encodeLabels = (labels: Labels): readonly Uint8Array[] =>
  Object.entries(labels)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .flatMap(([name, value]) => bytesField(1, Buffer.concat([...textField(1, name), ...textField(2, value)])))

/** A value and, in the field after it, its time. */
const encodeSample = (field: number, value: number, at: number): Uint8Array =>
  Buffer.concat([...doubleField(field, value), ...numberField(field + 1, BigInt(at))])

function encodeHistogram(at: number): Uint8Array {
  const span = Buffer.concat(numberField(2, 2n))
  return Buffer.concat([
    ...numberField(1, 6n),
    ...doubleField(3, 9),
    ...doubleField(5, 0.001),
    ...bytesField(11, span),
    // Three in the first bucket and none more in the second, as zigzag numbers.
    ...bytesField(12, Uint8Array.of(6, 0)),
    ...numberField(15, BigInt(at)),
  ])
}

function doubleField(field: number, value: number): readonly Uint8Array[] {
  const double = Buffer.alloc(8)
  double.writeDoubleLE(value)
  return [Uint8Array.of((field << 3) | 1), double]
}

/** The mesh as its proxies would be scraped in the two minutes before `now` (seconds), with an exemplar for each bucket. */
export function writtenMesh(now: number): readonly Written[] {
  const times = [-120, -90, -60, -30, 0].map((seconds) => now + seconds)
  return storedSeries({ start: now - 3600, nightlyAt: now - 300 }).map(({ labels, value }, index) => {
    const samples = times.flatMap((at) => {
      const sample = value(at)
      return sample === undefined ? [] : [[at * 1000, sample] as const]
    })
    if (labels['__name__']?.endsWith('_bucket') !== true) return { labels, samples }
    const exemplars = [{ labels: { trace_id: `trace-${index}` }, at: now * 1000, value: index }]
    return { labels, samples, exemplars }
  })
}

/** Targets that are scraped now: those of the mesh, and beside them what only a test wants. */
export interface Scraped {
  /** The whole of them, or those that hold series of `person`, each exposing these and nothing else. */
  configFor(person?: Person): string
  stop(): Promise<void>
}

/** Teams that have targets of their own beside the mesh: one that answers, one that does not, one that is dropped. */
const extraTeams = ['emojivoto', 'booksapp', 'payments']

/** Starts them. */
export async function startScraped(): Promise<Scraped> {
  const live = await startLiveTargets()
  const server = createServer((request, response) => void relay(live, request, response))
  const port = await listen(server, 0)
  return {
    configFor: (person) => stringify({ scrape_configs: scrapeConfigs(live, port, person) }),
    async stop() {
      await close(server)
      await live.stop()
    },
  }
}

interface Job {
  readonly job_name: string
  readonly static_configs: readonly { readonly targets: readonly string[]; readonly labels: Labels }[]
}

function scrapeConfigs(live: LiveTargets, port: number, person?: Person): readonly object[] {
  const { scrape_configs: mesh }: { scrape_configs: readonly Job[] } = parse(live.scrapeConfig)
  const extra = {
    job_name: 'extra',
    static_configs: extraTeams.filter((namespace) => person?.holds({ namespace }) ?? true).flatMap(extraTargets(port)),
    relabel_configs: [{ action: 'drop', source_labels: ['__meta_drop'], regex: 'yes' }],
  }
  if (person === undefined) return [...mesh, extra]
  const own = mesh.map((job) => ({ ...job, static_configs: job.static_configs.flatMap(ownTarget(port, person)) }))
  return [...own, extra]
}

/**
 * A target of the person's as it is. One that is nobody's, such as a node, comes through the relay, which leaves their
 * series only: `metric_relabel_configs` would leave the metadata of the others.
 */
const ownTarget =
  (port: number, person: Person) =>
  (target: Job['static_configs'][number]): readonly Job['static_configs'][number][] => {
    const { __meta_kubernetes_namespace: namespace, __metrics_path__: path = '' } = target.labels
    if (namespace !== undefined) return person.holds({ namespace }) ? [target] : []
    const through = { __metrics_path__: `/only/${namespaceOf(person)}${path}` }
    return [{ targets: [`${loopback}:${port}`], labels: { ...target.labels, ...through } }]
  }

const namespaceOf = (person: Person): string => extraTeams.find((namespace) => person.holds({ namespace })) ?? ''

const extraTargets =
  (port: number) =>
  (namespace: string): Job['static_configs'] => [
    {
      targets: [`${loopback}:${port}`],
      labels: { namespace, pod: 'extra', __meta_node: 'a node', __metrics_path__: `/extra/${namespace}` },
    },
    { targets: [`${loopback}:9`], labels: { namespace, pod: 'broken', __metrics_path__: `/${namespace}` } },
    { targets: [`${loopback}:9`], labels: { namespace, pod: 'dropped', __meta_drop: 'yes' } },
  ]

/** `/extra/<namespace>`, or `/only/<namespace>/<path of a target>`: the lines of that target that say the namespace. */
async function relay(live: LiveTargets, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, kind, namespace = '', path = ''] = /^\/(extra|only)\/([a-z]+)(\/.*)?$/.exec(request.url ?? '') ?? []
  if (kind === 'extra') {
    response.writeHead(200, { 'content-type': 'application/openmetrics-text; version=1.0.0' }).end(extraText(namespace))
    return
  }
  const answer = await fetch(`http://${loopback}:${live.port}${path}`)
  const families = (await answer.text()).split(/^(?=# TYPE )/m).map((family) => onlyOf(namespace, family))
  response.writeHead(answer.status, { 'content-type': 'text/plain; version=0.0.4' }).end(families.join(''))
}

function onlyOf(namespace: string, family: string): string {
  const [type = '', ...samples] = family.split('\n')
  const kept = samples.filter((sample) => /[{,]namespace="([^"]*)"/.exec(sample)?.[1] === namespace)
  return kept.length === 0 ? '' : `${[type, ...kept].join('\n')}\n`
}

/** Every type of OpenMetrics under the team's name, a name that the teams share, and a family that has no series. */
const extraText = (team: string): string => `# TYPE ${team}_jobs counter
# HELP ${team}_jobs Jobs <done> & "said".
${team}_jobs_total 1
# TYPE ${team}_heat_celsius gauge
# UNIT ${team}_heat_celsius celsius
${team}_heat_celsius 1
# TYPE ${team}_wait_seconds histogram
${team}_wait_seconds_bucket{le="+Inf"} 1
${team}_wait_seconds_count 1
${team}_wait_seconds_sum 1
# TYPE ${team}_size summary
${team}_size_count 1
${team}_size_sum 1
# TYPE ${team}_build info
${team}_build_info{version="1"} 1
# TYPE ${team}_odd unknown
${team}_odd 1
# TYPE ${team}_silent gauge
# HELP ${team}_silent Has no series.
# TYPE shared gauge
# HELP shared What ${team} says of it.
shared 1
# EOF
`

/** A Prometheus that scrapes and evaluates each second. */
export async function startScraping(which: Which, targets: string, rules: string): Promise<Running> {
  const global = { scrape_interval: '1s', evaluation_interval: '1s' }
  return start(which, await scratchDir(), `${stringify({ global, rule_files: [rules] })}${targets}`)
}

/** One question: a path and its parameters, or the body of a remote read. */
export interface Ask {
  readonly name: string
  readonly path: string
  readonly params: readonly (readonly [string, string])[]
  readonly body?: Uint8Array
}

/**
 * Reads a question as a table writes it, without `/api/v1/`: `series | match[]=up | limit=2`. With a body it is a remote
 * read, and the text no more than its name.
 */
export function ask(name: string, body?: Uint8Array): Ask {
  const [path = '', ...params] = body === undefined ? name.split(' | ') : ['read']
  return {
    name,
    path: path.startsWith('/') ? path : `/api/v1/${path}`,
    params: params.map((param) => {
      const equals = param.indexOf('=')
      return [param.slice(0, equals), param.slice(equals + 1)] as const
    }),
    ...(body === undefined ? {} : { body }),
  }
}

/** The row of the endpoints' table that a question is about. */
export function endpointOf({ path }: Ask): UpstreamPath {
  const row = path.replace(/^\/api\/v1\/label\/[^/]+\/values$/, '/api/v1/label/<name>/values')
  const found = Object.keys(endpoints).find((one): one is UpstreamPath => one === row)
  assert.ok(found !== undefined, path)
  return found
}

/** How a question is put; `both` has one parameter in the URL and the rest in the body, as with Grafana's own parameters. */
export type Way = 'GET' | 'POST' | 'both'

/** Every way in which it can be put. */
export function waysOf(ask: Ask): readonly [Way, ...Way[]] {
  const { methods } = endpoints[endpointOf(ask)]
  if (!methods.includes('GET')) return ['POST']
  if (!methods.includes('POST')) return ['GET']
  return ask.params.length > 1 ? ['GET', 'POST', 'both'] : ['GET', 'POST']
}

/** An answer, with one character for each byte. */
export interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
}

/** Asks a Prometheus or a gateway. */
export async function send(
  base: string,
  { path, params, body }: Ask,
  way: Way,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const inUrl = { GET: params.length, POST: 0, both: 1 }[way]
  const url = `${base}${path}?${formOf(params.slice(0, inUrl)).toString()}`
  const read = body === undefined ? {} : { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' }
  const posted = { method: 'POST', headers: { ...headers, ...read }, body: Buffer.from(body ?? '') }
  const form = { method: 'POST', headers: { ...headers }, body: formOf(params.slice(inUrl)) }
  const response = await fetch(url, way === 'GET' ? { headers: { ...headers } } : body === undefined ? form : posted)
  const text = Buffer.from(await response.arrayBuffer()).toString('latin1')
  return { status: response.status, type: response.headers.get('content-type') ?? '', text }
}

const formOf = (params: Ask['params']): URLSearchParams =>
  new URLSearchParams(params.map(([name, value]): [string, string] => [name, value]))

/** The whole database behind a gateway, and beside it one for each person that holds only what they may see. */
export interface Pair extends Running {
  /** Of the whole database. */
  readonly full: string
  /** Of the database that holds only what somebody may see. */
  own(person: Person): string
  headers(person: Person): Promise<Record<string, string>>
  /** What the gateway says to somebody, and what the database says that holds only what they may see. */
  ask(person: Person, ask: Ask, way?: Way, headers?: Record<string, string>): Promise<readonly [Answer, Answer]>
}

/** Starts all of them, one after the other, the whole one last. */
export async function startPair(
  people: readonly Person[],
  start: (person?: Person) => Promise<Running>,
): Promise<Pair> {
  const running: Running[] = []
  const stop = async (): Promise<void> => {
    for (const one of running.toReversed()) await one.stop()
  }
  try {
    const urls = new Map<string, string>()
    for (const person of people) {
      const own = await start(person)
      running.push(own)
      urls.set(person.name, own.url)
    }
    const full = await start()
    running.push(full)
    const gateway = await startGateway(full.url)
    running.push(gateway)
    const own = (person: Person): string => urls.get(person.name) ?? ''
    return {
      url: gateway.url,
      full: full.url,
      own,
      headers: (person) => gateway.headers(person),
      async ask(person, ask, way = waysOf(ask)[0], headers = {}) {
        const through = await send(gateway.url, ask, way, { ...headers, ...(await gateway.headers(person)) })
        return [through, await send(own(person), ask, way, headers)]
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}
