import { createHash, randomUUID } from 'node:crypto'
import type { AuditEntry, DecisionEntry, OutcomeEntry } from '../../src/audit/record.ts'

/** A moment of the story, and what was put on record then. */
export interface Moment {
  readonly at: number
  readonly entries: readonly AuditEntry[]
}

interface Teller {
  readonly id: string
  readonly name: string
  readonly group: string
  readonly namespace: string
  /** How often they ask, beside the others. */
  readonly share: number
}

const tellers: readonly Teller[] = [
  { id: 'alice', name: 'Alice Arden', group: 'team-emojivoto', namespace: 'emojivoto', share: 0.52 },
  { id: 'bob', name: 'Bob Berg', group: 'team-booksapp', namespace: 'booksapp', share: 0.36 },
  { id: 'carol', name: 'Carol Castro', group: 'platform', namespace: '', share: 0.12 },
]

/** Queries with a place for what the gateway adds. */
const queries = [
  [
    'response_total',
    'sum(rate(response_total{#classification="failure"}[5m])) by (deployment) / sum(rate(response_total{#}[5m])) by (deployment)',
  ],
  [
    'response_latency_ms_bucket',
    'histogram_quantile(0.95, sum(rate(response_latency_ms_bucket{#direction="inbound"}[5m])) by (le, deployment))',
  ],
  ['request_total', 'sum(rate(request_total{#direction="inbound"}[1m])) by (deployment)'],
  ['tcp_open_connections', 'sum(tcp_open_connections{#direction="inbound"}) by (pod)'],
  [
    'outbound_http_route_request_statuses_total',
    'topk(10, sum by (route_name) (rate(outbound_http_route_request_statuses_total{#}[5m])))',
  ],
] as const

const dashboards = ['Linkerd / Deployment', 'Linkerd / Top line', 'Linkerd / Route', null] as const

/** A day of three people with their dashboards, one of whom also tries what is not hers; the same at each run. */
export function storyOf(end: number, issuer: string, count = 600): readonly Moment[] {
  let state = 42
  const random = (): number => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648
  const day = 86_400_000
  const moments: Moment[] = []
  for (let at = end - day + 60_000; at < end - 30_000; at += Math.round((day / count) * (0.5 + random()))) {
    const hour = new Date(at).getUTCHours()
    if ((hour < 6 || hour > 18) && random() < 0.75) continue
    const chance = random()
    const who = tellers.find((_, index) => chance < sum(index)) ?? tellers[0]
    if (who === undefined) continue
    const refused = random() < (who.id === 'alice' ? 0.1 : 0.04)
    const one = decisionOf(who, issuer, {
      at,
      query: Math.floor(random() * queries.length),
      dashboard: Math.floor(random() * 4),
      refused,
    })
    const times = random() < 0.08 ? 3 : 1
    const entries = Array.from({ length: times }, () => ({ ...one, request: randomUUID() }))
    const known = random() < 0.98
    const outcomes = entries.flatMap(({ request }) => (known ? [outcomeOf(request, refused, random())] : []))
    moments.push({ at, entries: [...entries, ...outcomes] })
  }
  return moments
}

const sum = (index: number): number => tellers.slice(0, index + 1).reduce((all, { share }) => all + share, 0)

interface Asked {
  readonly at: number
  readonly query: number
  readonly dashboard: number
  readonly refused: boolean
}

function decisionOf(who: Teller, issuer: string, { at, query, dashboard, refused }: Asked): DecisionEntry {
  const [metric, template] = queries[query] ?? queries[0]
  const namespace = refused && who.id === 'alice' ? 'booksapp' : ''
  const plain = template
    .replaceAll('#', namespace === '' ? '' : `namespace="${namespace}", `)
    .replaceAll(/, \}|\{\}/g, (end) => end.replace(', ', '').replace('{}', ''))
  const narrowed =
    who.namespace === ''
      ? plain
      : template.replaceAll('#}', `namespace="${who.namespace}"}`).replaceAll('#', `namespace="${who.namespace}", `)
  const title = dashboards[dashboard] ?? null
  const times: readonly (readonly [string, string])[] = [
    ['start', String(Math.floor(at / 1000) - 3_600)],
    ['end', String(Math.floor(at / 1000))],
    ['step', '15'],
  ]
  return {
    kind: 'decision',
    request: '',
    received: new Date(at).toISOString(),
    who: {
      issuer,
      subject: who.id,
      name: who.name,
      groups: [who.group],
      via: 'bearer',
      credential: createHash('sha256').update(who.id).digest('hex').slice(0, 16),
      expires: Math.floor(at / 1000) + 900,
    },
    from: { peer: '10.42.0.17', userAgent: 'Grafana/13.0.1' },
    ...(title === null
      ? {}
      : {
          claimed: {
            'x-dashboard-title': title,
            'x-dashboard-uid': `uid-${dashboard}`,
            'x-panel-title': 'Success rate',
          },
        }),
    cluster: query % 3 === 2 ? 'west' : 'east',
    method: 'POST',
    endpoint: 'query_range',
    path: '/api/v1/query_range',
    asked: [['query', plain], ...times],
    sent: refused
      ? null
      : [{ path: '/api/v1/query_range', params: [['query', narrowed], ...times, ['timeout', '30s']] }],
    selectors: [{ metric, matchers: namespace === '' ? [] : [{ label: 'namespace', op: '=', value: namespace }] }],
    decision: refused ? 'deny' : 'allow',
    ...(refused ? { reason: namespace === '' ? 'over_limit' : 'no_rights' } : {}),
    because: refused ? [] : [`policy.csv:${who.id === 'alice' ? 16 : who.id === 'bob' ? 17 : 18}`],
    scope: refused ? '' : who.namespace === '' ? 'every series' : `namespace: ${who.namespace}`,
    policy: `sha256:${createHash('sha256').update('policy').digest('hex')}`,
    fold: createHash('sha256').update(`${who.id} ${query} ${at}`).digest('hex').slice(0, 16),
  }
}

const outcomeOf = (request: string, refused: boolean, chance: number): OutcomeEntry => ({
  kind: 'outcome',
  request,
  status: refused ? 403 : 200,
  ms: Math.round(8 + 120 * chance ** 3),
  bytes: refused ? 180 : Math.round(4_000 + 90_000 * chance),
  ended: 'complete',
  servedFrom: refused ? 'gateway' : 'upstream',
  ...(refused ? {} : { upstream: 200, series: Math.round(1 + 60 * chance) }),
})
