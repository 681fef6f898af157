// Grafana's Prometheus datasource in miniature, after its plugin of August 2026 (grafana-prometheus-datasource 13.1):
// what its server half and its browser half send, and what they make of an answer. Nothing in it is the gateway's.
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { z } from 'zod'

/** How a datasource is set up, and who looks. */
export interface Settings {
  readonly url: string
  /** What Grafana adds for whoever is signed in, such as `authorization` with *Forward OAuth Identity*. */
  readonly headers?: Readonly<Record<string, string>>
  /** *Custom query parameters*, such as `timeout=30s`. */
  readonly custom?: string
  /** *Query statistics*: `stats=all` in the URL of each query. */
  readonly stats?: boolean
  /** Builds of July 2026 ask for the build with the datasource's own method. */
  readonly buildinfoByPost?: boolean
}

/** One request over the wire, and its answer as it came. */
export interface Exchange {
  readonly method: string
  /** Path and query string. */
  readonly target: string
  readonly body: string
  readonly status: number
  /** Such as `403 Forbidden`. */
  readonly statusLine: string
  readonly headers: IncomingHttpHeaders
  readonly bytes: Buffer
}

/** From and to, in seconds since 1970. */
export interface Range {
  readonly from: number
  readonly to: number
}

/** One query of a panel. */
export interface PanelQuery extends Range {
  readonly expr: string
  /** In seconds; without it, an instant query at `to`. */
  readonly step?: number
  readonly exemplar?: boolean
}

export interface Series {
  readonly labels: Readonly<Record<string, string>>
  readonly points: readonly (readonly [time: number, value: string])[]
}

/** What a panel shows. */
export interface Panel {
  /** The text in its corner; null where all is well. */
  readonly error: string | null
  readonly series: readonly Series[]
  readonly notices: readonly string[]
  /** *Total queryable samples* of the query inspector. */
  readonly samples: number | null
  readonly traceIds: readonly string[]
}

/** What Explore and the editors know when they have started. */
export interface Editor {
  readonly metrics: readonly string[]
  readonly labels: readonly string[]
  /** Names of the metrics with help and type. */
  readonly documented: readonly string[]
  /** Recording rules, by which a name in a query is expanded. */
  readonly rules: Readonly<Record<string, string>>
  readonly exemplars: boolean
}

export interface Datasource {
  /** Everything that was sent so far. */
  readonly exchanges: readonly Exchange[]
  /** *Save & test*: green or red, the sentence under it, and what kind of server Grafana thinks it is. */
  saveAndTest(): Promise<{ readonly green: boolean; readonly message: string; readonly application: string | null }>
  /** A panel, asked through `/api/ds/query`. `headers` are those that Grafana copies from the browser. */
  panel(query: PanelQuery, headers?: Readonly<Record<string, string>>): Promise<Panel>
  /** The values of a template variable. */
  variable(text: string, range: Range): Promise<readonly string[]>
  startEditor(range: Range): Promise<Editor>
  /** A call that passes through Grafana as it is, with all of the browser's headers; the last exchange of it. */
  resource(path: string, params: Params, options?: ResourceOptions): Promise<Exchange>
}

type Params = readonly (readonly [string, string])[]

interface ResourceOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Other programs that speak through Grafana (mcp-grafana) post everything first. */
  readonly postFirst?: boolean
}

const seriesLimit = '40000'
const browserHeaders = {
  accept: 'application/json, text/plain, */*',
  'accept-encoding': 'gzip, deflate, br, zstd',
  'user-agent': 'Mozilla/5.0',
}
const serverHeaders = { 'accept-encoding': 'gzip', 'user-agent': 'Grafana/13.1.0' }
/** The paths for which the browser half takes the datasource's method; compared as a part of the path. */
const postedPaths = ['api/v1/query', 'api/v1/query_range', 'api/v1/series', 'api/v1/labels']

const sample = z.tuple([z.number(), z.string()])
const labels = z.record(z.string(), z.string())
const stats = z.object({ samples: z.object({ totalQueryableSamples: z.number() }) }).optional()
const result = z.discriminatedUnion('resultType', [
  z.object({
    resultType: z.literal('matrix'),
    result: z.array(z.object({ metric: labels, values: z.array(sample) })),
    stats,
  }),
  z.object({ resultType: z.literal('vector'), result: z.array(z.object({ metric: labels, value: sample })), stats }),
  z.object({ resultType: z.literal('scalar'), result: sample, stats }),
])
const exemplars = z.array(z.object({ seriesLabels: labels, exemplars: z.array(z.object({ labels })) }))
const texts = z.array(z.string())
const envelope = z.object({
  status: z.string(),
  errorType: z.string().default(''),
  error: z.string().default(''),
  data: z.unknown().optional(),
  warnings: texts.default([]),
  infos: texts.default([]),
})
const buildinfo = z.object({ data: z.object({ version: z.string(), features: labels.optional() }) })
const rules = z.object({
  groups: z.array(z.object({ rules: z.array(z.object({ type: z.string(), name: z.string(), query: z.string() })) })),
})

export function openDatasource(settings: Settings): Datasource {
  const exchanges: Exchange[] = []
  const custom: Params = [...new URLSearchParams(settings.custom)]

  /** Custom parameters are put into the URL whatever the method; both halves encode with the names sorted. */
  async function send(method: string, path: string, params: Params, headers: object): Promise<Exchange> {
    const inUrl: Params = [...(method === 'GET' ? params : []), ...custom]
    const isQuery = path === '/api/v1/query' || path === '/api/v1/query_range'
    const search = encode(settings.stats === true && isQuery ? [...inUrl, ['stats', 'all']] : inUrl)
    const target = `${path}${search === '' ? '' : `?${search}`}`
    const body = method === 'POST' ? encode(params) : ''
    const exchange = await overTheWire(settings.url, method, target, body, { ...headers, ...settings.headers })
    exchanges.push(exchange)
    return exchange
  }

  async function resource(path: string, params: Params, options: ResourceOptions = {}): Promise<Exchange> {
    // The browser half adds the custom parameters, too, so that they come twice.
    const given = new Set(params.map(([name]) => name))
    const all: Params = [...params, ...custom.filter(([name]) => !given.has(name))]
    const headers = { ...browserHeaders, ...options.headers }
    if (options.postFirst === true || postedPaths.some((part) => path.includes(part))) {
      const posted = await send('POST', path, all, headers)
      if (posted.status !== 400 && posted.status !== 405) return posted
    }
    return send('GET', path, all, headers)
  }

  /** The `data` of a resource's answer. */
  async function dataOf(path: string, params: Params): Promise<unknown> {
    const exchange = await resource(path, params)
    const text = decodeResource(exchange)
    if (exchange.status >= 400) throw new Error(`${exchange.statusLine}: ${text}`)
    return envelope.parse(JSON.parse(text)).data
  }

  const rounded = ({ from, to }: Range): Params => [
    ['limit', seriesLimit],
    ['start', String(Math.floor(from / 60) * 60)],
    ['end', String(Math.ceil(to / 60) * 60)],
  ]
  const matching = (selector: string | undefined): Params => (selector === undefined ? [] : [['match[]', selector]])
  const labelNames = async (range: Range): Promise<readonly string[]> =>
    texts.parse(await dataOf('/api/v1/labels', rounded(range)))
  const labelValues = async (label: string, range: Range, selector?: string): Promise<readonly string[]> =>
    texts.parse(await dataOf(`/api/v1/label/${label}/values`, [...rounded(range), ...matching(selector)]))

  async function queryResult(query: string, { to }: Range): Promise<readonly string[]> {
    const params: Params = [
      ['query', query],
      ['time', String(to)],
    ]
    return readSeries(result.parse(await dataOf('/api/v1/query', params))).map((series) => textOf(series))
  }

  async function seriesNames(selector: string, { from, to }: Range): Promise<readonly string[]> {
    const params: Params = [...matching(selector), ['start', String(from)], ['end', String(to)]]
    return z
      .array(labels)
      .parse(await dataOf('/api/v1/series', params))
      .map((one) => nameOf(one))
  }

  async function ruleMappings(): Promise<Readonly<Record<string, string>>> {
    const { groups } = rules.parse(await dataOf('/api/v1/rules', []))
    const recording = groups.flatMap((group) => group.rules).filter(({ type }) => type === 'recording')
    return Object.fromEntries(recording.map(({ name, query }) => [name, query]))
  }

  /** Whether exemplars can be had is tried with milliseconds where seconds are meant. */
  async function probeExemplars(): Promise<boolean> {
    const probe: Params = [
      ['query', 'test'],
      ['start', String(Date.now() - 1_800_000)],
      ['end', String(Date.now())],
    ]
    return (await resource('/api/v1/query_exemplars', probe)).status === 200
  }

  return {
    exchanges,
    resource,
    async saveAndTest() {
      const query: Params = [
        ['query', '1+1'],
        ['time', '4'],
      ]
      const health = await send('POST', '/api/v1/query', query, serverHeaders)
      // Of anything but a 200, the body is not looked at.
      const said = health.status === 200 ? readAnswer(health).error : health.statusLine
      const green = said === null
      const build = await send(settings.buildinfoByPost === true ? 'POST' : 'GET', buildinfoPath, [], serverHeaders)
      return {
        green,
        message: green
          ? 'Successfully queried the Prometheus API.'
          : `${said} - There was an error returned querying the Prometheus API.`,
        application: build.status === 200 ? applicationOf(build) : null,
      }
    },
    async panel({ expr, from, to, step, exemplar }, headers = {}) {
      const all = { ...serverHeaders, ...headers }
      // Rounded down to a multiple of the step, so that answers can be cached.
      const aligned = (time: number): string => String(step === undefined ? time : Math.floor(time / step) * step)
      const range: Params = [
        ['query', expr],
        ['start', aligned(from)],
        ['end', aligned(to)],
      ]
      const instant: Params = [
        ['query', expr],
        ['time', String(to)],
      ]
      const [panel, marks] = await Promise.all([
        step === undefined
          ? send('POST', '/api/v1/query', instant, all)
          : send('POST', '/api/v1/query_range', [...range, ['step', String(step)]], all),
        exemplar === true ? send('POST', '/api/v1/query_exemplars', range, all) : null,
      ])
      return { ...readAnswer(panel), ...(marks === null ? {} : { traceIds: readAnswer(marks).traceIds }) }
    },
    async variable(text, range) {
      const [, selector, label] = /^label_values\((?:(.+),\s*)?(.+)\)$/.exec(text) ?? []
      if (text === 'label_names()') return labelNames(range)
      if (label !== undefined) return labelValues(label, range, selector)
      const [, metrics] = /^metrics\((.+)\)$/.exec(text) ?? []
      if (metrics !== undefined) return labelValues('__name__', range, `{__name__=~"${metrics}"}`)
      const [, query] = /^query_result\((.+)\)$/.exec(text) ?? []
      return query === undefined ? seriesNames(text, range) : queryResult(query, range)
    },
    async startEditor(range) {
      const limit: Params = [['limit', seriesLimit]]
      const [metrics, metadata, mappings, exemplarsThere] = await Promise.all([
        labelValues('__name__', range),
        dataOf('/api/v1/metadata', limit),
        ruleMappings(),
        probeExemplars(),
      ])
      const documented = Object.keys(z.record(z.string(), z.unknown()).parse(metadata))
      return { metrics, labels: await labelNames(range), documented, rules: mappings, exemplars: exemplarsThere }
    },
  }
}

const buildinfoPath = '/api/v1/status/buildinfo'

/** A build that has features of its own is taken for a Mimir with a ruler. */
function applicationOf(build: Exchange): string {
  const { features = {} } = buildinfo.parse(JSON.parse(decodeQuery(build))).data
  return Object.keys(features).length === 0 ? 'Prometheus' : 'Mimir'
}

/** What the server half makes of an answer to a query. It reads the members of the envelope in the order they come in. */
export function readAnswer(exchange: Exchange): Panel {
  const failed = (error: string): Panel => ({ error, series: [], notices: [], samples: null, traceIds: [] })
  const { status, bytes } = exchange
  const isParsed = (status >= 200 && status < 300) || [400, 422, 503].includes(status)
  if (!isParsed) return failed(`unexpected response with status code ${status}: ${bytes.toString('utf8', 0, 1024)}`)
  let body: unknown
  try {
    body = JSON.parse(decodeQuery(exchange))
  } catch {
    return failed("response from prometheus couldn't be parsed. it is non-json")
  }
  const { data, error, errorType, warnings, infos, status: said } = envelope.parse(body)
  const hasData = Object.hasOwn(Object(body), 'data')
  if (hasData && (data === null || typeof data !== 'object')) return failed('expected object type')
  if (said === 'error') return failed(`${errorType}: ${error}`)
  const notices = [...warnings, ...infos]
  if (Array.isArray(data)) {
    const traceIds = exemplars.parse(data).flatMap((one) => one.exemplars.map((mark) => mark.labels['trace_id'] ?? ''))
    return { error: null, series: [], notices, samples: null, traceIds }
  }
  const read = result.parse(data)
  const samples = read.stats?.samples.totalQueryableSamples ?? null
  return { error: null, series: readSeries(read), notices, samples, traceIds: [] }
}

function readSeries(read: z.infer<typeof result>): readonly Series[] {
  switch (read.resultType) {
    case 'matrix':
      return read.result.map(({ metric, values }) => ({ labels: metric, points: values }))
    case 'vector':
      return read.result.map(({ metric, value }) => ({ labels: metric, points: [value] }))
    case 'scalar':
      return [{ labels: {}, points: [read.result] }]
  }
}

function nameOf({ __name__ = '', ...rest }: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(rest).map(([name, value]) => `${name}="${value}"`)
  return `${__name__}{${pairs.join(',')}}`
}

const textOf = ({ labels, points: [point] }: Series): string =>
  `${nameOf(labels)} ${point?.[1]} ${(point?.[0] ?? 0) * 1000}`

/** Go's `url.Values.Encode`. */
function encode(params: Params): string {
  const form = new URLSearchParams(params.map(([name, value]): [string, string] => [name, value]))
  form.sort()
  return form.toString()
}

/** Go's transport asks for gzip by itself and unpacks it; anything else stays as it is. */
const decodeQuery = ({ headers, bytes }: Exchange): string =>
  (headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString('utf8')

/** The newest plugin's rule for a resource's answer, where the browser's own `Accept-Encoding` was sent on. */
export function decodeResource(exchange: Exchange): string {
  const coding = exchange.headers['content-encoding'] ?? ''
  if (coding !== 'gzip' && coding !== '') throw new Error(`unexpected encoding type "${coding}"`)
  return decodeQuery(exchange)
}

async function overTheWire(
  url: string,
  method: string,
  target: string,
  body: string,
  headers: object,
): Promise<Exchange> {
  const form = {
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': String(Buffer.byteLength(body)),
  }
  const request = httpRequest(`${url}${target}`, {
    method,
    headers: { ...headers, ...(method === 'POST' ? form : {}) },
  })
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve).once('error', reject).end(body)
  })
  const chunks: Buffer[] = []
  response.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(response, 'end')
  const status = response.statusCode ?? 0
  const statusLine = `${status} ${response.statusMessage}`
  return { method, target, body, status, statusLine, headers: response.headers, bytes: Buffer.concat(chunks) }
}
