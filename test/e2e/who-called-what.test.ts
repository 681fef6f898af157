// Who called booksapp/authors at 3 a.m.? Answered by the queries and under the grants of docs/who-called-what.md, and
// compared with what really happened, and with a Prometheus that holds nothing but what may be seen.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import type { Labels } from '../../demo/parts/linkerd-mesh.ts'
import type { Edge } from '../../demo/parts/linkerd-truth.ts'
import { loadPolicy } from '../../src/policy/policy.ts'
import { profiles } from '../../src/policy/profile.ts'
import { describeScope } from '../../src/policy/scope.ts'
import { identityFor } from '../../src/policy/subjects.ts'
import { send, seriesRequests } from '../support/prometheus-answers.ts'
import type { ApiRequest } from '../support/prometheus-answers.ts'
import { startRuledGateway } from '../support/ruled-gateway.ts'
import type { RuledGateway } from '../support/ruled-gateway.ts'
import { startWritten, writtenMesh } from '../support/two-databases.ts'
import type { Running, Written } from '../support/two-databases.ts'
import { startHistory, window } from '../support/world.ts'
import type { Database } from '../support/world.ts'

const fileOf = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const blocks = (language: string): ReadonlyMap<string, string> =>
  new Map(
    [...fileOf('docs/who-called-what.md').matchAll(new RegExp(`\`\`\`${language} (\\S+)\n([^]*?)\`\`\``, 'g'))].map(
      ([, name = '', text = '']) => [name, text],
    ),
  )
const queries = blocks('promql')
const grants = blocks('csv')
const grant = (...names: readonly string[]): string =>
  names.map((name) => grants.get(name) ?? assert.fail(name)).join('')
/** What the repository grants, to team-booksapp its own namespace among it. */
const usual = fileOf('policies/policy.csv')

const night = window.nightlyAt
/** The queries reach back so far. */
const reach = 1200

interface Answer {
  readonly series: readonly { readonly metric: Labels; readonly values: readonly (readonly [number, string])[] }[]
  readonly infos: readonly string[]
}

async function ask(gateway: RuledGateway, groups: readonly string[], request: ApiRequest): Promise<Answer> {
  const response = await send(gateway.url, request, await gateway.as(...groups))
  const text = await response.text()
  assert.equal(response.status, 200, text)
  const { data, infos = [] } = JSON.parse(text)
  const series = data.result.map((one: { metric: Labels; value?: [number, string]; values?: [number, string][] }) => ({
    metric: one.metric,
    values: one.values ?? [one.value],
  }))
  return { series, infos }
}

/** A ready query about one moment. */
const ready = (name: string, time = night + 600): ApiRequest => ({
  path: '/api/v1/query',
  params: [
    ['query', queries.get(name) ?? assert.fail(`the page has no query "${name}"`)],
    ['time', String(time)],
  ],
  method: 'POST',
})

/** Who the series of an answer name, each once. */
const workloads = ({ series }: Answer): readonly string[] =>
  [
    ...new Set(series.map(({ metric }) => `${metric['namespace']}/${metric['deployment'] ?? metric['cronjob']}`)),
  ].toSorted()
const identities = ({ series }: Answer): readonly string[] =>
  series.map(({ metric }) => metric['client_id'] ?? String(metric['tls'])).toSorted()
const counts = ({ series }: Answer, of: (metric: Labels) => string): Readonly<Record<string, number>> =>
  Object.fromEntries(series.map(({ metric, values }) => [of(metric), Number(values[0]?.[1])]))

/** What really happened: who called authors in the time before a moment. */
const callersAt = ({ truth }: Database, time: number): readonly Edge[] =>
  truth.edges.filter(
    ({ to, service, first, last }) =>
      to?.namespace === 'booksapp' && service === 'authors' && first <= time && last > time - reach,
  )
const workloadsOf = (edges: readonly Edge[]): readonly string[] =>
  edges.flatMap(({ from }) => (from === null ? [] : [`${from.namespace}/${from.workload}`])).toSorted()
const identitiesOf = (edges: readonly Edge[]): readonly string[] =>
  edges.map(({ from }) => from?.clientId ?? 'no_identity').toSorted()
const isOwn = ({ from }: Edge): boolean => from?.namespace === 'booksapp'

describe('who called booksapp/authors at 3 a.m.?', () => {
  let history: Database
  /** Under the rules of the repository, and with a grant of the page beside them. */
  let before3: RuledGateway
  let granted: RuledGateway
  let callers: readonly Edge[]
  before(async () => {
    history = await startHistory()
    before3 = await startRuledGateway(history.prometheus.url, usual)
    granted = await startRuledGateway(history.prometheus.url, usual + grant('grant'))
    callers = callersAt(history, night + 600)
  })
  after(async () => {
    await granted.stop()
    await before3.stop()
    await history.stop()
  })
  const bob = ['team-booksapp']
  const alice = ['team-emojivoto']
  const carol = ['platform']

  it('in truth five did, two of them from other namespaces and one without a proxy', () => {
    assert.deepEqual(workloadsOf(callers), [
      'batch/nightly-report',
      'booksapp/books',
      'booksapp/webapp',
      'payments/checkout',
    ])
    assert.equal(callers.length, 5)
  })

  for (const name of ['workloads', 'routes']) {
    describe(`by the callers’ proxies (${name})`, () => {
      it('bob with a view of calls is told all of them, as is carol who sees everything', async () => {
        for (const [gateway, groups] of [
          [granted, bob],
          [before3, carol],
        ] as const) {
          const answer = await ask(gateway, groups, ready(name))
          assert.deepEqual(workloads(answer), workloadsOf(callers))
          assert.deepEqual(answer.infos, [])
        }
      })
      it('bob without it is told those of booksapp, and that there may be more', async () => {
        const answer = await ask(before3, bob, ready(name))
        assert.deepEqual(workloads(answer), workloadsOf(callers.filter(isOwn)))
        assert.deepEqual(answer.infos, ['bailiwick: narrowed to namespace: booksapp'])
      })
      it('alice is told of none', async () => {
        const answer = await ask(granted, alice, ready(name))
        assert.deepEqual([answer.series, answer.infos], [[], ['bailiwick: narrowed to namespace: emojivoto']])
      })
      it('the calls of those who began in the night are counted exactly, the single one too', async () => {
        const answer = await ask(granted, bob, ready(name))
        const nightly = callers.filter(({ from, first }) => first >= night && from !== null)
        assert.equal(nightly.length, 2)
        for (const { from, calls } of nightly) {
          const own = answer.series.filter(({ metric }) => metric['namespace'] === from?.namespace)
          const sum = own.reduce((total, { values }) => total + Number(values[0]?.[1]), 0)
          assert.equal(sum, calls, from?.workload)
        }
      })
    })
  }

  describe('by the called proxies (identities)', () => {
    it('bob is told of each by its certificate, and of the one without, whatever his view', async () => {
      for (const gateway of [before3, granted]) {
        const answer = await ask(gateway, bob, ready('identities'))
        assert.deepEqual(identities(answer), identitiesOf(callers))
        assert.deepEqual(answer.infos, [])
      }
    })
    it('the calls of those who began in the night are counted exactly', async () => {
      const said = counts(await ask(before3, bob, ready('identities')), ({ client_id: id = 'no_identity' }) => id)
      const nightly = callers.filter(({ first }) => first >= night)
      assert.equal(nightly.length, 3)
      for (const { from, calls } of nightly) assert.equal(said[from?.clientId ?? 'no_identity'], calls)
    })
    it('who has only the view of calls is told nothing: it is booksapp’s own', async () => {
      const rows = 'p, group:guests, *, query, namespace=booksapp, allow, view=destination\n'
      const guests = await startRuledGateway(history.prometheus.url, rows)
      try {
        const { series, infos } = await ask(guests, ['guests'], ready('identities'))
        assert.deepEqual([series, infos.length], [[], 1])
        assert.match(infos[0] ?? '', /^bailiwick: narrowed to dst_namespace: booksapp; for outbound_/)
        assert.deepEqual(workloads(await ask(guests, ['guests'], ready('workloads'))), workloadsOf(callers))
      } finally {
        await guests.stop()
      }
    })
    it('the connections name the same callers', async () => {
      assert.deepEqual(identities(await ask(before3, bob, ready('connections'))), identitiesOf(callers))
    })
    it('alice, asking by name, is refused rather than shown an empty answer', async () => {
      for (const name of ['identities', 'connections', 'denied', 'scrapes']) {
        const response = await send(granted.url, ready(name), await granted.as(...alice))
        assert.equal(response.status, 403, name)
        assert.match(await response.text(), /you may not see namespace \\"booksapp\\"/)
      }
    })
  })

  describe('where the witnesses differ', () => {
    const names = ({ series }: Answer): readonly string[] =>
      series.map(({ metric }) => metric['caller'] ?? '').toSorted()
    it('without a view of calls, the callers from elsewhere are known by certificate only', async () => {
      assert.deepEqual(names(await ask(before3, bob, ready('unseen'))), ['', 'batch', 'payments'])
      assert.deepEqual(names(await ask(before3, bob, ready('unproven'))), [])
    })
    it('with it, only who has no proxy is', async () => {
      assert.deepEqual(names(await ask(granted, bob, ready('unseen'))), [''])
      assert.deepEqual(names(await ask(granted, bob, ready('unproven'))), [])
    })
  })

  it('every proxy of booksapp was scraped all the time', async () => {
    const { series } = await ask(before3, bob, ready('scrapes'))
    const pods = new Set(series.map(({ metric }) => metric['pod']))
    assert.equal(pods.size, 5)
    // A Prometheus 2 counts the samples at both ends.
    for (const { values } of series) assert.ok([40, 41].includes(Number(values[0]?.[1])), JSON.stringify(values))
  })

  describe('over the whole night', () => {
    const start = window.start + reach
    const range = (name: string): ApiRequest => ({
      path: '/api/v1/query_range',
      params: [
        ['query', queries.get(name) ?? assert.fail(name)],
        ['start', String(start)],
        ['end', String(window.end)],
        ['step', String(reach)],
      ],
    })
    const at = ({ series, infos }: Answer, time: number): Answer => ({
      infos,
      series: series.filter(({ values }) => values.some(([moment]) => moment === time)),
    })
    const times = Array.from({ length: (window.end - start) / reach + 1 }, (_, index) => start + index * reach)

    for (const [name, named, expected] of [
      ['workloads', workloads, workloadsOf],
      ['routes', workloads, workloadsOf],
      ['identities', identities, identitiesOf],
    ] as const) {
      it(`each twenty minutes have their callers (${name})`, async () => {
        const answer = await ask(granted, bob, range(name))
        for (const time of times)
          assert.deepEqual(named(at(answer, time)), expected(callersAt(history, time)), `${time}`)
        assert.ok(new Set(times.map((time) => named(at(answer, time)).length)).size > 1)
      })
    }
    it('without the view of calls, each have those of booksapp', async () => {
      const answer = await ask(before3, bob, range('workloads'))
      for (const time of times) {
        assert.deepEqual(workloads(at(answer, time)), workloadsOf(callersAt(history, time).filter(isOwn)))
      }
      assert.deepEqual(answer.infos, ['bailiwick: narrowed to namespace: booksapp'])
    })
  })

  describe('with a deny beside the view of calls', () => {
    const under = async <T>(names: readonly string[], use: (gateway: RuledGateway) => Promise<T>): Promise<T> => {
      const gateway = await startRuledGateway(history.prometheus.url, usual + grant('grant', ...names))
      try {
        return await use(gateway)
      } finally {
        await gateway.stop()
      }
    }
    it('of a caller, that caller is known by its certificate only', async () => {
      await under(['deny-caller'], async (gateway) => {
        const others = callers.filter(({ from }) => from?.namespace !== 'payments')
        for (const name of ['workloads', 'routes']) {
          const answer = await ask(gateway, bob, ready(name))
          assert.deepEqual(workloads(answer), workloadsOf(others))
          assert.match(answer.infos[0] ?? '', /narrowed to .*; never namespace: payments/)
        }
        assert.deepEqual(identities(await ask(gateway, bob, ready('identities'))), identitiesOf(callers))
      })
    })
    it('of the calls, none is seen by the callers’ proxies, bob’s own neither', async () => {
      await under(['deny-calls'], async (gateway) => {
        for (const name of ['workloads', 'routes']) {
          const answer = await ask(gateway, bob, ready(name))
          assert.deepEqual(answer.series, [])
          assert.match(answer.infos[0] ?? '', /narrowed to namespace: booksapp; never dst_namespace: booksapp/)
        }
        assert.deepEqual(identities(await ask(gateway, bob, ready('identities'))), identitiesOf(callers))
      })
    })
  })
})

describe('the grant for one night', () => {
  const scopeAt = async (time: string): Promise<readonly [scope: string, reasons: readonly string[]]> => {
    const model = { name: 'model.conf', text: fileOf('policies/model.conf') }
    const files = [{ name: 'policy.csv', text: usual + grant('break-glass') }]
    const setting = { profile: profiles.linkerd, clock: () => Date.parse(time) }
    const policy = await loadPolicy(model, files, setting)
    assert.ok(policy.ok, JSON.stringify(policy))
    const { scope, reasons } = policy.value.decide(identityFor('group:team-booksapp'), 'east', 'query')
    return [describeScope(scope), reasons]
  }
  it('holds until its end, and says why', async () => {
    const [scope, reasons] = await scopeAt('2026-11-20T17:59:59Z')
    assert.match(scope, /^namespace: booksapp; or dst_namespace: booksapp; /)
    assert.deepEqual(reasons, ['who called authors at 3 a.m.'])
  })
  it('is over then', async () => {
    assert.deepEqual(await scopeAt('2026-11-20T18:00:00Z'), ['namespace: booksapp', []])
  })
})

/** Somebody, and which series a Prometheus holds that holds only what they may see. */
interface Viewer {
  readonly name: string
  readonly rows: string
  readonly holds: (labels: Labels) => boolean
  /** What a query sees that does not say a metric's name: nothing of what only metrics of that name say. */
  readonly unnamed: (labels: Labels) => boolean
}

const runsIn = (labels: Labels): boolean => labels['namespace'] === 'booksapp'
const called = (labels: Labels): boolean => labels['dst_namespace'] === 'booksapp'
/** By the labels of the metric's family. */
function calls(labels: Labels): boolean {
  const { __name__: name = '', dst = '', parent_namespace: parent, backend_namespace: backend } = labels
  if (/^outbound_.*_(route|balancer)_/.test(name)) return parent === 'booksapp' || backend === 'booksapp'
  if (name.startsWith('route_')) return /^[^.]+\.booksapp\.svc\./.test(dst)
  return called(labels)
}
const says = (labels: Labels, namespace: string): boolean =>
  ['dst_namespace', 'parent_namespace', 'backend_namespace'].some((label) => labels[label] === namespace)

const may = 'query|metadata|rules|alerts|targets|federate|remote-read'
const rowFor = (group: string, ...rest: readonly string[]): string => `p, group:${group}, *, ${rest.join(', ')}\n`
const viewers: readonly Viewer[] = [
  {
    name: 'owner',
    rows: rowFor('owner', may, 'namespace=booksapp, allow, view=both'),
    holds: (labels) => runsIn(labels) || calls(labels),
    unnamed: (labels) => runsIn(labels) || called(labels),
  },
  {
    name: 'guest',
    rows: rowFor('guest', may, 'namespace=booksapp, allow, view=destination'),
    holds: calls,
    unnamed: called,
  },
  {
    name: 'shut-out',
    rows:
      rowFor('shut-out', may, 'namespace=booksapp, allow, view=both') +
      rowFor('shut-out', '*', 'namespace=booksapp, deny, view=destination'),
    holds: (labels) => runsIn(labels) && !says(labels, 'booksapp'),
    unnamed: (labels) => runsIn(labels) && !says(labels, 'booksapp'),
  },
  {
    name: 'discreet',
    rows:
      rowFor('discreet', may, 'namespace=booksapp, allow, view=both') +
      rowFor('discreet', '*', 'namespace=payments, deny, view=both'),
    holds: (labels) =>
      (runsIn(labels) || calls(labels)) && labels['namespace'] !== 'payments' && !says(labels, 'payments'),
    unnamed: (labels) =>
      (runsIn(labels) || called(labels)) && labels['namespace'] !== 'payments' && !says(labels, 'payments'),
  },
]
const rows = viewers.map((viewer) => viewer.rows).join('')

const span = [
  ['start', String(night - 1800)],
  ['end', String(night + 1800)],
] as const
const calling: readonly ApiRequest[] = [
  ...[
    ...[...queries].filter(([name]) => ['workloads', 'routes', 'unseen'].includes(name)).map(([, query]) => query),
    'request_total{direction="outbound", dst_namespace=~".+"}',
    'sum by (namespace, dst_namespace) (rate(response_total{classification="failure"}[10m]))',
    'outbound_http_route_request_statuses_total',
    'count by (namespace, parent_namespace, parent_name) ({__name__="outbound_http_route_request_statuses_total"})',
    'sum by (client_id) (inbound_http_authz_allow_total)',
    'tcp_open_connections{peer="dst"} * on (namespace, pod) group_left () process_start_time_seconds',
    'request_total unless on (pod) process_resident_memory_bytes',
    'absent(request_total{direction="sideways"})',
  ].flatMap((query): readonly ApiRequest[] => [
    {
      path: '/api/v1/query',
      params: [
        ['query', query],
        ['time', String(night + 600)],
      ],
    },
    { path: '/api/v1/query_range', params: [['query', query], ...span, ['step', '120']], method: 'POST' },
  ]),
  ...['request_total', 'outbound_http_route_request_statuses_total', 'up', 'inbound_http_authz_allow_total'].flatMap(
    (name): readonly ApiRequest[] => [
      { path: '/api/v1/series', params: [['match[]', name], ...span] },
      { path: '/api/v1/labels', params: [['match[]', name], ...span], method: 'POST' },
      ...['namespace', 'dst_namespace', 'parent_namespace', 'pod'].map((label): ApiRequest => ({
        path: `/api/v1/label/${label}/values`,
        params: [['match[]', name], ...span],
      })),
    ],
  ),
]
const hidesName = ({ params }: ApiRequest): boolean => {
  const texts = params.flatMap(([name, value]) => (name === 'query' || name === 'match[]' ? [value] : []))
  return texts.length === 0 || texts.some((text) => /__name__(=~|!=)/.test(text))
}

/** Of equal series, topk takes those that come first, and a union has another order. */
const choosesNone = ({ params }: ApiRequest): boolean => params.every(([, value]) => !value.includes('topk'))

/** An answer's data in an order that means nothing; rounded for that, since a sum's last digits depend on its order. */
async function dataOf(response: Response): Promise<readonly unknown[]> {
  const text = await response.text()
  assert.equal(response.status, 200, text)
  const { data } = JSON.parse(text)
  const list: readonly unknown[] = Array.isArray(data) ? data : data.result
  const rounded = (_: string, value: unknown): unknown =>
    isNumber(value) ? Number(Number(value).toPrecision(6)) : value
  return list
    .map((one) => ({ one, key: JSON.stringify(one, rounded) }))
    .toSorted((left, right) => (left.key < right.key ? -1 : 1))
    .map(({ one }) => one)
}

const isNumber = (value: unknown): value is string =>
  typeof value === 'string' && /^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(value)

/** Are they the same, with numbers as far as adding up in another order leaves them? Rounding would part two on both sides of a half. */
function isSame(came: unknown, judged: unknown): boolean {
  if (isNumber(came) && isNumber(judged)) {
    return Math.abs(Number(came) - Number(judged)) <= 1e-12 * Math.abs(Number(judged))
  }
  if (typeof came !== 'object' || typeof judged !== 'object' || came === null || judged === null) return came === judged
  const [one, other] = [Object.entries(came), new Map(Object.entries(judged))]
  return one.length === other.size && one.every(([key, value]) => other.has(key) && isSame(value, other.get(key)))
}

describe('a view of calls shows what a Prometheus shows that holds nothing else', () => {
  let history: Database
  let gateway: RuledGateway
  before(async () => {
    history = await startHistory()
    gateway = await startRuledGateway(history.prometheus.url, rows)
  })
  after(async () => {
    await gateway.stop()
    await history.stop()
  })

  for (const { name, holds, unnamed } of viewers) {
    describe(`to the ${name}`, () => {
      let named: Database
      let hidden: Database
      before(async () => {
        named = await startHistory(holds)
        hidden = await startHistory(unnamed)
      })
      after(async () => {
        await named.stop()
        await hidden.stop()
      })
      for (const request of [...seriesRequests.filter(choosesNone), ...calling]) {
        const { method = 'GET', path, params } = request
        it(`${method} ${path} ${params
          .map(([key, value]) => `${key}=${value}`)
          .join(' ')
          .replaceAll(/\s+/g, ' ')}`, async () => {
          const through = await dataOf(await send(gateway.url, request, await gateway.as(name)))
          const judge = await dataOf(await send((hidesName(request) ? hidden : named).prometheus.url, request))
          assert.ok(isSame(through, judge), `${JSON.stringify(through)}\nis not\n${JSON.stringify(judge)}`)
        })
      }
    })
  }
  it('is compared by a comparison that sees what differs', () => {
    const row = { metric: { a: 'x', b: '1' }, value: [1, '68.9306358381'] }
    assert.ok(isSame([row], [{ ...row, value: [1, '68.93063583810001'] }]))
    for (const other of [
      [],
      [row, row],
      [{ ...row, value: [1, '68.9306358'] }],
      [{ ...row, value: [2, '68.9306358381'] }],
      [{ ...row, metric: { a: 'x' } }],
      [{ ...row, metric: { a: 'y', b: '1' } }],
      [{ ...row, metric: { a: 'x', b: '2' } }],
      [{ ...row, more: null }],
    ]) {
      assert.ok(!isSame([row], other) && !isSame(other, [row]), JSON.stringify(other))
    }
  })
  it('and to each of them another part', async () => {
    const seen = []
    for (const { name } of viewers) {
      const request: ApiRequest = { path: '/api/v1/series', params: [['match[]', 'request_total'], ...span] }
      const all = await dataOf(await send(gateway.url, request, await gateway.as(name)))
      seen.push(all.length)
    }
    assert.equal(new Set(seen).size, viewers.length, seen.join())
    assert.ok(seen.every((count) => count > 0))
  })
})

describe('now', () => {
  const backup = 'backup.ops.serviceaccount.identity.linkerd.cluster.local'
  const web = 'web.emojivoto.serviceaccount.identity.linkerd.cluster.local'
  let now: number
  let mesh: readonly Written[]
  /** How often somebody was turned away up to now, a scrape each. */
  const turnedAway = (clientId: string | null, ...values: readonly number[]): Written => ({
    labels: {
      ...{ __name__: 'inbound_http_authz_deny_total', namespace: 'booksapp', deployment: 'authors', pod: 'authors-1' },
      ...(clientId === null ? { tls: 'no_identity' } : { tls: 'true', client_id: clientId }),
    },
    samples: values.map((value, index) => [(now - 30 * (values.length - 1 - index)) * 1000, value]),
  })
  /** A pod that passes for one of another namespace. */
  const claimed = (): Written => ({
    labels: {
      ...{ __name__: 'request_total', direction: 'outbound', namespace: 'linkerd', pod: 'rogue' },
      ...{ dst_namespace: 'booksapp', dst_service: 'authors', dst_deployment: 'authors' },
    },
    samples: [[now * 1000, 1]],
  })
  let prometheus: Running
  let gateway: RuledGateway
  before(async () => {
    now = Math.floor(Date.now() / 1000)
    mesh = [...writtenMesh(now), turnedAway(backup, 1, 1), turnedAway(web, 2, 5, 9), turnedAway(null, 7), claimed()]
    prometheus = await startWritten('prometheus', mesh)
    gateway = await startRuledGateway(prometheus.url, usual + grant('grant') + rows)
  })
  after(async () => {
    await gateway.stop()
    await prometheus.stop()
  })

  it('bob is told who was turned away, once or often, and not alice', async () => {
    const answer = await ask(gateway, ['team-booksapp'], ready('denied', now))
    assert.deepEqual(
      counts(answer, ({ client_id: id = 'no_identity' }) => id.split('.')[0] ?? ''),
      {
        backup: 1,
        web: 9,
        no_identity: 7,
      },
    )
    assert.equal((await send(gateway.url, ready('denied', now), await gateway.as('team-emojivoto'))).status, 403)
  })
  it('a namespace that only claims to call is found', async () => {
    const answer = await ask(gateway, ['team-booksapp'], ready('unproven', now))
    assert.deepEqual(
      answer.series.map(({ metric }) => metric['caller']),
      ['linkerd'],
    )
  })

  for (const viewer of viewers) {
    it(`a federation shows the ${viewer.name} what a Prometheus shows that holds nothing else`, async () => {
      const lines = async (url: string, match: string, headers = {}): Promise<readonly string[]> => {
        const response = await send(url, { path: '/federate', params: [['match[]', match]] }, headers)
        assert.equal(response.status, 200)
        return (await response.text()).split('\n').toSorted()
      }
      const own = await startWritten(
        'prometheus',
        mesh.filter(({ labels }) => viewer.holds(labels)),
      )
      try {
        for (const match of [
          'request_total',
          'outbound_http_route_request_statuses_total',
          'request_total{dst_namespace="booksapp"}',
        ]) {
          const through = await lines(gateway.url, match, await gateway.as(viewer.name))
          assert.deepEqual(through, await lines(own.url, match))
          if (match === 'request_total') assert.ok(through.length > 5)
        }
      } finally {
        await own.stop()
      }
    })
  }
})

describe('docs/who-called-what.md', () => {
  it('has no query and no grant beside those that are tried here', () => {
    const tried = readFileSync(import.meta.filename, 'utf8')
    for (const name of [...queries.keys(), ...grants.keys()]) assert.ok(tried.includes(`'${name}'`), name)
    assert.deepEqual([queries.size, grants.size], [8, 4])
  })
})
