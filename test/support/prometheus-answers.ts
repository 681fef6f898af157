/** One request in Prometheus's API, as path and parameters. */
export interface ApiRequest {
  readonly path: string
  readonly params: readonly (readonly [string, string])[]
  readonly method?: 'GET' | 'POST'
}

/** Sends it to a Prometheus or a gateway. */
export async function send(base: string, request: ApiRequest, headers: Record<string, string> = {}): Promise<Response> {
  const form = new URLSearchParams(request.params.map(([name, value]): [string, string] => [name, value]))
  if (request.method === 'POST') return fetch(`${base}${request.path}`, { method: 'POST', body: form, headers })
  return fetch(`${base}${request.path}?${form.toString()}`, { headers })
}

/** The `data` of an answer, with everything whose order means nothing sorted, so that two answers can be compared. */
export async function dataOf(response: Response): Promise<unknown> {
  const body: unknown = await response.json()
  if (response.status !== 200) throw new Error(`status ${response.status}: ${JSON.stringify(body)}`)
  const data: unknown = Reflect.get(Object(body), 'data')
  if (Array.isArray(data)) return sorted(data)
  const result: unknown = Reflect.get(Object(data), 'result')
  const isSet = ['vector', 'matrix'].includes(String(Reflect.get(Object(data), 'resultType')))
  return isSet && Array.isArray(result) ? { ...Object(data), result: sorted(result) } : data
}

const sorted = (items: readonly unknown[]): readonly unknown[] =>
  items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))

const at: readonly (readonly [string, string])[] = [['time', '2026-11-20T03:05:00Z']]
const range: readonly (readonly [string, string])[] = [
  ['start', '2026-11-20T02:30:00Z'],
  ['end', '2026-11-20T03:30:00Z'],
]

const queries = [
  'up',
  'sum by (namespace, deployment) (rate(request_total[5m]))',
  'sum by (namespace, deployment) (rate(response_total{direction="inbound", classification="failure"}[10m])) > 0',
  'count by (namespace) ({__name__=~".+"})',
  'count({job=~".*", __name__!=""})',
  'topk(scalar(count(count by (pod) (up))), request_total)',
  'max_over_time(sum(rate(request_total[5m]))[30m:5m])',
  'histogram_quantile(0.95, sum by (le, namespace) (rate(response_latency_ms_bucket[5m])))',
  'request_total{direction="outbound"} unless on (pod) up == 0',
  'sum(request_total) by (dst_namespace) or vector(1)',
  'absent(request_total{pod="nobody"})',
  'label_replace(up, "namespace", "booksapp", "", "")',
  'count(up @ 1795143600) - count(up offset 1h)',
  'up # a comment that ends here\r or request_total',
  '{namespace!="",__name__="up"}',
] as const

/** One request or more for each endpoint that shows series. Federation is apart: it only knows "now". */
export const seriesRequests: readonly ApiRequest[] = [
  ...queries.map((query): ApiRequest => ({ path: '/api/v1/query', params: [['query', query], ...at] })),
  ...queries.map((query): ApiRequest => ({
    path: '/api/v1/query_range',
    params: [['query', query], ...range, ['step', '60']],
    method: 'POST',
  })),
  { path: '/api/v1/query', params: [['query', 'up'], ...at], method: 'POST' },
  { path: '/api/v1/query_range', params: [['query', 'up'], ...range, ['step', '5m']] },
  { path: '/api/v1/series', params: [['match[]', 'up'], ...range] },
  {
    path: '/api/v1/series',
    params: [['match[]', '{__name__=~"request.*"}'], ['match[]', 'up'], ...range],
    method: 'POST',
  },
  { path: '/api/v1/labels', params: [...range] },
  { path: '/api/v1/labels', params: [['match[]', 'request_total'], ...range], method: 'POST' },
  ...['namespace', 'pod', '__name__', 'dst_namespace', 'client_id', 'job', 'component'].map((label): ApiRequest => ({
    path: `/api/v1/label/${label}/values`,
    params: [...range],
  })),
  { path: '/api/v1/label/namespace/values', params: [['match[]', 'up'], ...range] },
]
