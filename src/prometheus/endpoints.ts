import type { Action } from '../policy/rules.ts'
import type { ParamTable } from './params.ts'

/** The paths that the gateway answers; `<name>` stands for a label name. Any other path is refused. */
export type UpstreamPath =
  | '/api/v1/query'
  | '/api/v1/query_range'
  | '/api/v1/series'
  | '/api/v1/labels'
  | '/api/v1/label/<name>/values'
  | '/federate'
  | '/api/v1/status/buildinfo'

/**
 * What an endpoint owes. `query`: the parameter `query` carries PromQL. `selectors`: `match[]` does; where none is
 * given, the scope itself is sent as one, or the request is refused. `public`: nothing in the answer belongs to a team.
 */
export type Treatment =
  | { readonly scope: 'query'; readonly action: Action }
  | { readonly scope: 'selectors'; readonly action: Action; readonly whenAbsent: 'scope' | 'refuse' }
  | { readonly scope: 'public'; readonly because: string }

export interface Endpoint {
  readonly methods: readonly ('GET' | 'POST')[]
  readonly params: ParamTable
  readonly treatment: Treatment
}

const range = { start: 'time', end: 'time' } as const
const evaluation = { timeout: 'duration', limit: 'count', lookback_delta: 'duration', stats: 'stats' } as const
const selection = { 'match[]': 'selector', ...range, limit: 'count' } as const
const both = ['GET', 'POST'] as const

/** Methods and parameters as in Prometheus 2.42 to 3.14 (web/api/v1/api.go, web/federate.go). */
export const endpoints = {
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
  '/api/v1/series': {
    methods: both,
    params: selection,
    treatment: { scope: 'selectors', action: 'query', whenAbsent: 'refuse' },
  },
  '/api/v1/labels': {
    methods: both,
    params: selection,
    treatment: { scope: 'selectors', action: 'query', whenAbsent: 'scope' },
  },
  '/api/v1/label/<name>/values': {
    methods: ['GET'],
    params: selection,
    treatment: { scope: 'selectors', action: 'query', whenAbsent: 'scope' },
  },
  '/federate': {
    methods: ['GET'],
    params: { 'match[]': 'selector' },
    treatment: { scope: 'selectors', action: 'federate', whenAbsent: 'refuse' },
  },
  '/api/v1/status/buildinfo': {
    methods: ['GET'],
    params: {},
    treatment: { scope: 'public', because: 'the version of Prometheus; Grafana asks for it on "Save & test"' },
  },
} as const satisfies Record<UpstreamPath, Endpoint>

/** A row of the table, and the path to ask Prometheus for. */
export interface FoundEndpoint {
  readonly name: UpstreamPath
  readonly path: string
  readonly endpoint: Endpoint
}

const labelValues = /^\/api\/v1\/label\/([a-zA-Z_][a-zA-Z0-9_]{0,511})\/values$/

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
