import { createHash, randomUUID } from 'node:crypto'
import type { AuditEntry, DecisionEntry, OutcomeEntry, Who } from '../../src/audit/record.ts'

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
  { id: 'alice', name: 'alice@example.com', group: 'team-emojivoto', namespace: 'emojivoto', share: 0.52 },
  { id: 'bob', name: 'bob@example.com', group: 'team-booksapp', namespace: 'booksapp', share: 0.36 },
  { id: 'carol', name: 'carol@example.com', group: 'platform', namespace: '', share: 0.12 },
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
    endpoint: '/api/v1/query_range',
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

/** Three saved reviews: signed lately, overdue, and new. They begin seven weeks before the end of the story. */
export function reviewsOf(end: number, issuer: string): readonly Moment[] {
  const day = 86_400_000
  const who: Who = { issuer, subject: 'dana', name: 'dana@example.com', groups: ['auditors'], via: 'session' }
  const event = (at: number) => ({
    request: randomUUID(),
    received: new Date(at).toISOString(),
    from: { peer: '10.42.0.9' },
    who,
  })
  const save = (at: number, title: string, filter: readonly (readonly [string, string])[]) => {
    const head = event(at)
    return { kind: 'review.saved', ...head, review: head.request, title, filter } as const
  }
  const sign = (at: number, review: string, found: { records: number; refused: number; people: number }, note = '') =>
    ({
      kind: 'review.signed',
      ...event(at),
      review,
      covers: { from: new Date(at - 7 * day).toISOString(), to: new Date(at).toISOString() },
      found,
      verdict: note === '' ? 'nothing unusual' : 'followed up',
      note,
    }) as const
  const saved = end - 49 * day
  const refusals = save(saved, 'Refusals of the week', [
    ['decision', 'deny'],
    ['range', '7d'],
  ])
  const platform = save(saved + 60_000, 'What the platform team looked at', [
    ['group', 'platform'],
    ['range', '30d'],
  ])
  const night = save(end - 2 * day, 'Everything about namespace booksapp', [
    ['namespace', 'booksapp'],
    ['range', '7d'],
  ])
  const moments = [
    { at: saved, entries: [refusals] },
    { at: saved + 60_000, entries: [platform] },
    {
      at: end - 44 * day,
      entries: [
        sign(
          end - 44 * day,
          platform.review,
          { records: 412, refused: 3, people: 2 },
          'Carol looked into the latency of emojivoto: ticket 4711.',
        ),
      ],
    },
    { at: end - 9 * day, entries: [sign(end - 9 * day, refusals.review, { records: 61, refused: 61, people: 3 })] },
    {
      at: end - 2 * day,
      entries: [
        night,
        sign(
          end - 2 * day,
          refusals.review,
          { records: 44, refused: 44, people: 3 },
          'Alice had a dashboard of booksapp open: told her team.',
        ),
      ],
    },
  ]
  return moments
}
