import type { Action } from '../policy/rules.ts'
import type { ParamTable } from './params.ts'

/** Every path of Prometheus's API from 2.42 to 3.14; `<name>` stands for a label name. Any other path is unknown. */
export type UpstreamPath =
  | '/api/v1/query'
  | '/api/v1/query_range'
  | '/api/v1/query_exemplars'
  | '/api/v1/format_query'
  | '/api/v1/parse_query'
  | '/api/v1/series'
  | '/api/v1/labels'
  | '/api/v1/label/<name>/values'
  | '/api/v1/search/metric_names'
  | '/api/v1/search/label_names'
  | '/api/v1/search/label_values'
  | '/api/v1/read'
  | '/federate'
  | '/api/v1/rules'
  | '/api/v1/alerts'
  | '/api/v1/targets'
  | '/api/v1/metadata'
  | '/api/v1/status/buildinfo'
  | GrantedPath
  | RefusedPath

/** Paths that show how Prometheus is run, for whoever has an explicit right to that. */
type GrantedPath =
  | '/api/v1/targets/metadata'
  | '/api/v1/targets/relabel_steps'
  | '/api/v1/scrape_pools'
  | '/api/v1/alertmanagers'
  | '/api/v1/notifications'
  | '/api/v1/features'
  | '/api/v1/status/config'
  | '/api/v1/status/flags'
  | '/api/v1/status/runtimeinfo'
  | '/api/v1/status/tsdb'
  | '/api/v1/status/tsdb/blocks'
  | '/api/v1/status/walreplay'
  | '/api/v1/status/self_metrics'

/** Paths that are never asked for, whatever the right. */
type RefusedPath =
  | '/api/v1/write'
  | '/api/v1/otlp/v1/metrics'
  | '/api/v1/admin/tsdb/delete_series'
  | '/api/v1/admin/tsdb/clean_tombstones'
  | '/api/v1/admin/tsdb/snapshot'
  | '/api/v1/notifications/live'
  | '/api/v1/openapi.yaml'

/** Which answers are taken apart, and by what. */
export type FilterName = 'rules' | 'alerts' | 'targets' | 'metadata'

/**
 * What an endpoint owes.
 * - `query`: the parameter `query` carries PromQL, `selectors`: `match[]` does; where none is given, the scope itself is
 *   sent as one, or the request is refused. `read`: the body carries matchers.
 * - `filter`: the answer names other teams, and what is not the caller's is taken out of it.
 * - `text`: PromQL that is only looked at; no series is read. `public`: nothing in the answer belongs to a team.
 * - `grant`: for whoever has the right to every series under this action. `refuse`: for nobody.
 */
export type Treatment =
  | { readonly scope: 'query'; readonly action: Action }
  | { readonly scope: 'selectors'; readonly action: Action; readonly whenAbsent: 'scope' | 'refuse' }
  | { readonly scope: 'read'; readonly action: Action }
  | { readonly scope: 'filter'; readonly action: Action; readonly filter: FilterName }
  | { readonly scope: 'text' }
  | { readonly scope: 'public'; readonly because: string }
  | { readonly scope: 'grant'; readonly action: Action }
  | { readonly scope: 'refuse'; readonly because: string }

type Method = 'GET' | 'POST' | 'PUT'

/** What kind of body Prometheus answers with; anything else is not passed on. */
export type AnswerType = 'json' | 'text' | 'ndjson' | 'protobuf'

export interface Endpoint {
  readonly methods: readonly Method[]
  readonly params: ParamTable
  readonly treatment: Treatment
  /** `json` where not said. */
  readonly answers?: AnswerType
}

const range = { start: 'time', end: 'time' } as const
const evaluation = { timeout: 'duration', limit: 'count', lookback_delta: 'duration', stats: 'stats' } as const
// Grafana puts a datasource's "custom query parameters" on every request; the timeout is the one that people set.
const idle = { timeout: 'ignored' } as const
const selection = { 'match[]': 'selector', ...range, limit: 'count', ...idle } as const
const search = {
  ...selection,
  'search[]': 'texts',
  fuzz_threshold: 'count',
  fuzz_alg: 'word',
  case_sensitive: 'flag',
  include_score: 'flag',
  sort_by: 'word',
  sort_dir: 'word',
  batch_size: 'count',
} as const
const both = ['GET', 'POST'] as const
const get = ['GET'] as const
const searching = { scope: 'selectors', action: 'query', whenAbsent: 'scope' } as const

/** A path for those with the right to `status`. */
const granted = (params: ParamTable = {}): Endpoint => ({
  methods: get,
  params,
  treatment: { scope: 'grant', action: 'status' },
})
/** A path for nobody. */
const refused = (because: string, methods: readonly Method[] = ['POST']): Endpoint => ({
  methods,
  params: {},
  treatment: { scope: 'refuse', because },
})
const administers = 'it deletes or copies data: ask Prometheus itself'

/** Methods and parameters as in Prometheus 2.42 to 3.14 (web/api/v1/api.go, web/api/v1/search.go, web/federate.go). */
export const endpoints: Readonly<Record<UpstreamPath, Endpoint>> = {
  '/api/v1/query': {
    methods: both,
    params: { query: 'query', time: 'time', ...evaluation },
    treatment: { scope: 'query', action: 'query' },
  },
  '/api/v1/query_range': {
    methods: both,
    params: { query: 'query', ...range, step: 'duration', ...evaluation },
    treatment: { scope: 'query', action: 'query' },
  },
  '/api/v1/query_exemplars': {
    methods: both,
    params: { query: 'query', ...range, ...idle },
    treatment: { scope: 'query', action: 'query' },
  },
  '/api/v1/format_query': { methods: both, params: { query: 'query' }, treatment: { scope: 'text' } },
  '/api/v1/parse_query': { methods: both, params: { query: 'query' }, treatment: { scope: 'text' } },
  '/api/v1/series': {
    methods: both,
    params: selection,
    treatment: { scope: 'selectors', action: 'query', whenAbsent: 'refuse' },
  },
  '/api/v1/labels': { methods: both, params: selection, treatment: searching },
  '/api/v1/label/<name>/values': { methods: get, params: selection, treatment: searching },
  // Without include_metadata: the help texts it adds may come from any team's targets.
  '/api/v1/search/metric_names': { methods: both, params: search, treatment: searching, answers: 'ndjson' },
  '/api/v1/search/label_names': { methods: both, params: search, treatment: searching, answers: 'ndjson' },
  '/api/v1/search/label_values': {
    methods: both,
    params: { label: 'text', ...search },
    treatment: searching,
    answers: 'ndjson',
  },
  '/api/v1/read': {
    methods: ['POST'],
    params: {},
    treatment: { scope: 'read', action: 'remote-read' },
    answers: 'protobuf',
  },
  '/federate': {
    methods: get,
    params: { 'match[]': 'selector' },
    treatment: { scope: 'selectors', action: 'federate', whenAbsent: 'refuse' },
    answers: 'text',
  },
  '/api/v1/rules': {
    methods: get,
    params: {
      type: 'word',
      'rule_name[]': 'texts',
      'rule_group[]': 'texts',
      'file[]': 'texts',
      'match[]': 'selector',
      exclude_alerts: 'flag',
      group_limit: 'count',
      group_next_token: 'word',
      ...idle,
    },
    treatment: { scope: 'filter', action: 'rules', filter: 'rules' },
  },
  '/api/v1/alerts': {
    methods: get,
    params: {},
    treatment: { scope: 'filter', action: 'alerts', filter: 'alerts' },
  },
  '/api/v1/targets': {
    methods: get,
    params: { state: 'word', scrapePool: 'text' },
    treatment: { scope: 'filter', action: 'targets', filter: 'targets' },
  },
  '/api/v1/metadata': {
    methods: get,
    params: { limit: 'count', limit_per_metric: 'count', metric: 'text', ...idle },
    treatment: { scope: 'filter', action: 'metadata', filter: 'metadata' },
  },
  '/api/v1/status/buildinfo': {
    methods: get,
    params: idle,
    treatment: { scope: 'public', because: 'the version of Prometheus; Grafana asks for it on "Save & test"' },
  },
  '/api/v1/targets/metadata': granted({ match_target: 'text', metric: 'text', limit: 'count' }),
  '/api/v1/targets/relabel_steps': granted({ scrapePool: 'text', labels: 'text' }),
  '/api/v1/scrape_pools': granted(),
  '/api/v1/alertmanagers': granted(),
  '/api/v1/notifications': granted(),
  '/api/v1/features': granted(),
  '/api/v1/status/config': granted(),
  '/api/v1/status/flags': granted(),
  '/api/v1/status/runtimeinfo': granted(),
  '/api/v1/status/tsdb': granted({ limit: 'count' }),
  '/api/v1/status/tsdb/blocks': granted(),
  '/api/v1/status/walreplay': granted(),
  '/api/v1/status/self_metrics': granted({ metric_name_pattern: 'text' }),
  '/api/v1/write': refused('the gateway only reads'),
  '/api/v1/otlp/v1/metrics': refused('the gateway only reads'),
  '/api/v1/admin/tsdb/delete_series': refused(administers, ['POST', 'PUT']),
  '/api/v1/admin/tsdb/clean_tombstones': refused(administers, ['POST', 'PUT']),
  '/api/v1/admin/tsdb/snapshot': refused(administers, ['POST', 'PUT']),
  '/api/v1/notifications/live': refused('it never ends: ask /api/v1/notifications', ['GET']),
  '/api/v1/openapi.yaml': refused('it describes Prometheus, not the gateway: see docs/api.md', ['GET']),
}

/** A row of the table, and the path to ask Prometheus for. */
export interface FoundEndpoint {
  readonly name: UpstreamPath
  readonly path: string
  readonly endpoint: Endpoint
}

const labelValues = /^\/api\/v1\/label\/([a-zA-Z_:][a-zA-Z0-9_:]{0,511})\/values$/

/**
 * The endpoint of a request path, compared byte by byte: nothing is decoded, no case folded, no slash or dot collapsed,
 * so that there is one way to write each path. UTF-8 label names come in their `U__` form, which is plain ASCII.
 */
export function findEndpoint(path: string): FoundEndpoint | null {
  if (labelValues.test(path)) {
    const name = '/api/v1/label/<name>/values'
    return { name, path, endpoint: endpoints[name] }
  }
  return isPlain(path) ? { name: path, path, endpoint: endpoints[path] } : null
}

const isPlain = (path: string): path is Exclude<UpstreamPath, '/api/v1/label/<name>/values'> =>
  Object.hasOwn(endpoints, path) && !path.includes('<')
