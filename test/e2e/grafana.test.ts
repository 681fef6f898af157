// Grafana as a client: its sequences of requests, and what its panels, variables and editors show of the answers.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { close, listen, loopback } from '../../demo/parts/loopback.ts'
import { findPrometheus } from '../../demo/parts/prometheus-binary.ts'
import { startPrometheus } from '../../demo/parts/prometheus.ts'
import type { RunningPrometheus } from '../../demo/parts/prometheus.ts'
import { decodeResource, openDatasource, readAnswer } from '../support/grafana.ts'
import type { Datasource, PanelQuery, Range, Series, Settings } from '../support/grafana.ts'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'
import { startWorld, window } from '../support/world.ts'
import type { AuditLine, World } from '../support/world.ts'

const cacheDir = fileURLToPath(new URL('../../.cache', import.meta.url))
const range: Range = { from: window.nightlyAt - 1_800, to: window.nightlyAt + 1_800 }
const people = [
  ['alice', 'emojivoto'],
  ['bob', 'booksapp'],
] as const

/** The path of each request with its method, in the order sent. */
const pathsOf = ({ exchanges }: Datasource): readonly string[] =>
  exchanges.map(({ method, target }) => `${method} ${target.split('?', 1)[0]}`)

/** The names of a namespace's labels, as Prometheus itself gives them. */
async function labelsOf(direct: Datasource, namespace: string, { from, to } = range): Promise<unknown> {
  const answer = await direct.resource('/api/v1/labels', [
    ['match[]', `{namespace="${namespace}"}`],
    ['start', String(from)],
    ['end', String(to)],
  ])
  return JSON.parse(decodeResource(answer)).data
}

describe('Grafana’s datasource', () => {
  let world: World
  let direct: Datasource
  const tokens = new Map<string, string>()
  before(async () => {
    world = await startWorld()
    direct = openDatasource({ url: world.prometheus.url })
    for (const person of ['alice', 'bob', 'carol', 'dana']) tokens.set(person, await world.idp.token(person))
  })
  after(() => world.stop())

  const as = (person: string, settings: Partial<Settings> = {}): Datasource =>
    openDatasource({ url: world.app.url, headers: { authorization: `Bearer ${tokens.get(person)}` }, ...settings })

  /** The decision records of what a datasource sent. */
  async function recordsOf({ exchanges }: Datasource): Promise<readonly AuditLine[]> {
    const records = await world.records()
    return exchanges.map(({ headers }) => {
      const record = records.find(
        ({ kind, request }) => kind === 'decision' && request === headers['bailiwick-request'],
      )
      assert.ok(record, 'an answer without a record')
      return record
    })
  }

  describe('Save & test', () => {
    for (const person of ['alice', 'bob', 'carol', 'dana']) {
      it(`is green for ${person}, and takes what is there for a Prometheus`, async () => {
        const grafana = as(person)
        assert.deepEqual(await grafana.saveAndTest(), {
          green: true,
          message: 'Successfully queried the Prometheus API.',
          application: 'Prometheus',
        })
        const [health, build] = grafana.exchanges
        assert.equal(health?.body, 'query=1%2B1&time=4')
        assert.ok(health && build)
        assert.deepEqual(readAnswer(health).series, [{ labels: {}, points: [[4, '2']] }])
        assert.deepEqual(pathsOf(grafana), ['POST /api/v1/query', 'GET /api/v1/status/buildinfo'])
      })
    }
    it('is green for a build that posts the question for the build, and is told 405', async () => {
      const grafana = as('alice', { buildinfoByPost: true })
      const { green, application } = await grafana.saveAndTest()
      assert.deepEqual([green, application], [true, null])
      const [, build] = grafana.exchanges
      assert.equal(build?.status, 405)
      assert.equal(build.headers['allow'], 'GET')
    })
    it('is red with the status line, which is all that Grafana looks at', async () => {
      for (const [headers, status] of [
        [{}, '401 Unauthorized'],
        [{ authorization: 'Bearer x' }, '401 Unauthorized'],
        [{ authorization: 'Token x' }, '400 Bad Request'],
      ] as const) {
        const { green, message } = await as('alice', { headers }).saveAndTest()
        assert.equal(green, false)
        assert.equal(message, `${status} - There was an error returned querying the Prometheus API.`)
      }
    })
  })

  describe('template variables', () => {
    /** A variable, the requests it takes, and the same variable as somebody writes it who asks for one namespace. */
    const variables: readonly (readonly [text: string, request: string, narrowed: (matcher: string) => string])[] = [
      ['label_values(namespace)', 'GET /api/v1/label/namespace/values', (m) => `label_values({${m}}, namespace)`],
      [
        'label_values(request_total, deployment)',
        'GET /api/v1/label/deployment/values',
        (m) => `label_values(request_total{${m}}, deployment)`,
      ],
      [
        'label_values(request_total{direction="inbound"}, client_id)',
        'GET /api/v1/label/client_id/values',
        (m) => `label_values(request_total{direction="inbound",${m}}, client_id)`,
      ],
      ['metrics(.+)', 'GET /api/v1/label/__name__/values', (m) => `label_values({__name__=~".+",${m}}, __name__)`],
      [
        'query_result(sum by (deployment) (request_total))',
        'POST /api/v1/query',
        (m) => `query_result(sum by (deployment) (request_total{${m}}))`,
      ],
      ['request_total{direction="outbound"}', 'POST /api/v1/series', (m) => `request_total{direction="outbound",${m}}`],
    ]
    const inOrder = async (values: Promise<readonly string[]>): Promise<readonly string[]> => (await values).toSorted()

    for (const [text, request, narrowed] of variables) {
      it(`${text} has one's own values: what Prometheus gives to somebody who asks for one namespace`, async () => {
        const all = await inOrder(direct.variable(text, range))
        for (const [person, namespace] of people) {
          const grafana = as(person)
          const seen = await inOrder(grafana.variable(text, range))
          assert.deepEqual(seen, await inOrder(direct.variable(narrowed(`namespace="${namespace}"`), range)))
          assert.ok(seen.length > 0 && seen.length < all.length, `${seen.length} of ${all.length}`)
          assert.deepEqual(pathsOf(grafana), [request])
        }
        assert.deepEqual(await inOrder(as('carol').variable(text, range)), all)
      })
    }
    it('label_names() has the names of one’s own series', async () => {
      const all = await direct.variable('label_names()', range)
      for (const [person, namespace] of people) {
        const grafana = as(person)
        const seen = await grafana.variable('label_names()', range)
        assert.deepEqual(seen, await labelsOf(direct, namespace))
        assert.ok(seen.length > 5 && seen.length < all.length, `${seen.length} of ${all.length}`)
        assert.deepEqual(pathsOf(grafana), ['POST /api/v1/labels'])
      }
      assert.deepEqual(await as('carol').variable('label_names()', range), all)
    })
  })

  describe('a panel', () => {
    const expr = 'sum by (namespace, deployment) (rate(request_total[5m]))'
    /** Neither end is a multiple of the step. */
    const perWorkload: PanelQuery = { expr, from: range.from + 10, to: range.to + 10, step: 7.5 }
    const ofNamespace = (namespace: string): ((one: Series) => boolean) => {
      return ({ labels }) => labels['namespace'] === namespace
    }
    const inOrder = (series: readonly Series[]): readonly Series[] =>
      series.toSorted((a, b) => (JSON.stringify(a.labels) < JSON.stringify(b.labels) ? -1 : 1))

    for (const [kind, query] of [
      ['over a range, with fractions of a second', perWorkload],
      ['of one instant', { expr, ...range }],
      ['over the whole range at once', { expr: expr.replace('5m', '3600s'), ...range }],
    ] as const) {
      it(`${kind} shows one's own series, and says that it shows no others`, async () => {
        const all = inOrder((await direct.panel(query)).series)
        for (const [person, namespace] of people) {
          const panel = await as(person).panel(query)
          const own = all.filter(ofNamespace(namespace))
          assert.deepEqual(inOrder(panel.series), own)
          assert.ok(own.length > 0 && own.length < all.length, `${own.length} of ${all.length}`)
          assert.deepEqual(panel.notices, [`bailiwick: narrowed to namespace: ${namespace}`])
        }
        const carol = await as('carol').panel(query)
        assert.deepEqual(inOrder(carol.series), all)
        assert.deepEqual(carol.notices, [])
      })
    }
    it('over a range posts start, end and step as plain numbers, and what is recorded and sent are these', async () => {
      const grafana = as('alice')
      await grafana.panel(perWorkload)
      const [exchange] = grafana.exchanges
      const times = [
        ['end', '1795145407.5'],
        ['query', expr],
        ['start', '1795141807.5'],
        ['step', '7.5'],
      ]
      assert.deepEqual([...new URLSearchParams(exchange?.body)], times)
      const [record] = await recordsOf(grafana)
      assert.deepEqual(record?.['asked'], times)
      const narrowed = expr.replace('request_total', 'request_total{namespace=~"emojivoto"}')
      const sent = times.map(([name, value]) => [name, name === 'query' ? narrowed : value])
      assert.deepEqual(record?.['sent'], [{ path: '/api/v1/query_range', params: sent }])
    })
    it('with a variable in it shows what the values that one has stand for, whatever else is in the link', async () => {
      const byNamespace = (value: string): PanelQuery => ({ ...range, expr: expr.replace('total', `total{${value}}`) })
      const own = inOrder((await as('alice').panel({ ...range, expr })).series)
      const [value] = await as('alice').variable('label_values(namespace)', range)
      for (const matcher of [`namespace=~"${value}"`, 'namespace=~".*"', 'namespace=~"booksapp|emojivoto"']) {
        const panel = await as('alice').panel(byNamespace(matcher))
        assert.deepEqual([panel.error, inOrder(panel.series)], [null, own], matcher)
      }
      const { error, series } = await as('alice').panel(byNamespace('namespace="booksapp"'))
      assert.deepEqual(series, [])
      assert.match(
        error ?? '',
        /status code 403: \{"status":"error","errorType":"forbidden","error":"alice@example\.com: /,
      )
    })
    it('with query statistics counts the samples of one’s own series', async () => {
      const samplesOf = async (datasource: Datasource): Promise<number> => {
        const { samples } = await datasource.panel({ expr, ...range, step: 60 })
        assert.match(datasource.exchanges[0]?.target ?? '', /^\/api\/v1\/query_range\?stats=all$/)
        return samples ?? 0
      }
      const all = await samplesOf(openDatasource({ url: world.prometheus.url, stats: true }))
      const own = await samplesOf(as('alice', { stats: true }))
      assert.ok(own > 0 && own < all, `${own} of ${all}`)
      assert.equal(await samplesOf(as('carol', { stats: true })), all)
    })
    it('takes custom parameters from the URL of a POST, records them, and sends each once, in the body', async () => {
      const grafana = as('alice', { custom: 'timeout=30s&lookback_delta=1m' })
      const { series } = await grafana.panel({ expr: 'up', ...range, step: 60 })
      assert.ok(series.length > 0 && series.every(ofNamespace('emojivoto')))
      assert.match(grafana.exchanges[0]?.target ?? '', /\?lookback_delta=1m&timeout=30s$/)
      const [record] = await recordsOf(grafana)
      assert.deepEqual(Object(record?.['asked']).slice(0, 2), [
        ['lookback_delta', '1m'],
        ['timeout', '30s'],
      ])
      const [sent] = Object(record?.['sent'])
      assert.deepEqual(sent.params.map(([name]: readonly [string]) => name).toSorted(), [
        'end',
        'lookback_delta',
        'query',
        'start',
        'step',
        'timeout',
      ])
    })
    it('is refused by name where a custom parameter would change whose series are shown', async () => {
      for (const [custom, words] of [
        ['query=up', /^bad_data: "query" was given more than once/],
        ['extra_label=namespace%3Dbooksapp', /^bad_data: unknown parameter "extra_label"/],
      ] as const) {
        const { error, series } = await as('alice', { custom }).panel({ expr: 'up', ...range, step: 60 })
        assert.match(error ?? '', words)
        assert.deepEqual(series, [])
      }
    })
  })

  describe('a request that is repeated as GET', () => {
    it('after a 400 of Prometheus’s gets the same, is recorded again, and shows no more', async () => {
      const grafana = as('alice')
      const answer = await grafana.resource('/api/v1/query_range', [
        ['query', 'up'],
        ['start', String(range.to)],
        ['end', String(range.from)],
        ['step', '60'],
      ])
      assert.equal(answer.status, 400)
      assert.match(decodeResource(answer), /"errorType":"bad_data","error":.*end/)
      assert.deepEqual(pathsOf(grafana), ['POST /api/v1/query_range', 'GET /api/v1/query_range'])
      const [posted, got] = await recordsOf(grafana)
      assert.deepEqual([posted?.['asked'], posted?.['sent']], [got?.['asked'], got?.['sent']])
      assert.match(JSON.stringify(got?.['sent']), /up\{namespace=~\\"emojivoto\\"\}/)
    })
    it('after a 405 gets its answer, which is scoped', async () => {
      const path = '/api/v1/label/pod/values'
      const own = await direct.resource(path, [['match[]', '{namespace="emojivoto"}']])
      const grafana = as('alice')
      const got = await grafana.resource(path, [], { postFirst: true })
      assert.deepEqual(JSON.parse(decodeResource(got)).data, JSON.parse(decodeResource(own)).data)
      assert.deepEqual(
        grafana.exchanges.map(({ method, status }) => [method, status]),
        [
          ['POST', 405],
          ['GET', 200],
        ],
      )
      const [refused] = await recordsOf(grafana)
      assert.deepEqual([refused?.['reason'], refused?.['sent']], ['wrong_method', null])
    })
    it('is not what a mistake in a query leads to: it is told once', async () => {
      const grafana = as('alice')
      assert.equal((await grafana.resource('/api/v1/series', [['match[]', 'up{']])).status, 422)
      assert.deepEqual(pathsOf(grafana), ['POST /api/v1/series'])
    })
  })

  describe('a browser that takes gzip, deflate, br and zstd', () => {
    const time = ['time', String(range.to)] as const
    for (const [path, params] of [
      ['/api/v1/query', [['query', 'request_total'], time]],
      ['/api/v1/query', [['query', 'request_total{namespace="emojivoto"}'], time]],
      ['/api/v1/series', [['match[]', 'request_total']]],
      ['/api/v1/labels', []],
      ['/api/v1/label/pod/values', []],
    ] as const) {
      it(`gets ${[path, ...(params[0] ?? [])].join(' ')} in gzip, and the same as plain text`, async () => {
        const grafana = as('alice')
        const zipped = await grafana.resource(path, params)
        assert.equal(zipped.headers['content-encoding'], 'gzip')
        for (const accepted of ['identity', 'br', 'deflate, br, zstd']) {
          const plain = await grafana.resource(path, params, { headers: { 'accept-encoding': accepted } })
          assert.equal(plain.headers['content-encoding'], undefined, accepted)
          assert.equal(decodeResource(plain), decodeResource(zipped))
        }
        assert.doesNotMatch(decodeResource(zipped), /booksapp-|namespace":"booksapp|webapp/)
        assert.match(decodeResource(zipped), path === '/api/v1/labels' ? /"namespace"/ : /vote-bot/)
      })
    }
  })

  describe('the headers that Grafana adds or lets through', () => {
    const told = {
      'x-dashboard-uid': 'adk2xyz',
      'x-panel-id': '7',
      'x-datasource-uid': 'P1809F7CD0C75ACF3',
      'x-grafana-org-id': '1',
      'x-grafana-referer': 'http://grafana.test/d/adk2xyz/top-line?var-namespace=booksapp',
      'x-grafana-user': 'carol',
      'x-rule-uid': 'cdk3abc',
      'x-rule-name': 'High%20latency',
      fromalert: 'true',
      'x-forwarded-for': '10.1.2.3, 10.0.0.1',
    }
    const secret = {
      cookie: 'grafana_session=5e55104',
      'x-grafana-id': forged({ sub: 'user:carol', groups: ['platform'] }),
    }
    const sent = { ...told, ...secret }
    // That a token was sent is on record; the token is not, nor the query of a page, in which one can be.
    const claimed = {
      ...told,
      'x-grafana-id': '(not recorded)',
      'x-grafana-referer': 'http://grafana.test/d/adk2xyz/top-line',
    }
    const names: PanelQuery = { expr: 'count by (namespace) (up)', ...range }

    it('are in the record as claimed, and give nobody anything', async () => {
      const grafana = as('alice')
      const panel = await grafana.panel(names, sent)
      const values = await grafana.resource('/api/v1/label/namespace/values', [], { headers: sent })
      assert.deepEqual(
        panel.series.map(({ labels }) => labels),
        [{ namespace: 'emojivoto' }],
      )
      assert.deepEqual(JSON.parse(decodeResource(values)).data, ['emojivoto'])
      for (const record of await recordsOf(grafana)) {
        assert.deepEqual(record['claimed'], claimed)
        assert.deepEqual([Object(record['who']).subject, record['scope']], ['alice', 'namespace: emojivoto'])
      }
    })
    it('do not make somebody of nobody, nor one who may of one who may not', async () => {
      for (const [grafana, status, subject] of [
        [as('alice', { headers: {} }), 401, undefined],
        [as('dana'), 403, 'dana'],
      ] as const) {
        assert.deepEqual((await grafana.panel(names, sent)).series, [])
        assert.equal(grafana.exchanges[0]?.status, status)
        const [record] = await recordsOf(grafana)
        assert.deepEqual([Object(record?.['who']).subject, record?.['claimed']], [subject, claimed])
      }
    })
    it('leave no cookie and no token behind, neither in the record nor in the log', async () => {
      await as('alice').panel(names, sent)
      for (const text of [JSON.stringify(await world.records()), world.logged()]) {
        assert.ok(text.includes('request') && !text.includes('5e55104'))
        assert.ok(secret['x-grafana-id'].split('.').every((part) => !text.includes(part)))
      }
    })
    it('never reach Prometheus', async () => {
      const gateway = await startStubGateway((_, response) => {
        response.setHeader('content-type', 'application/json')
        response.end('{"status":"success","data":{"resultType":"vector","result":[]}}')
      })
      try {
        const headers = { authorization: `Bearer ${await gateway.token()}` }
        const grafana = openDatasource({ url: gateway.url, headers, custom: 'timeout=30s' })
        await grafana.panel({ ...names, step: 60 }, sent)
        await grafana.panel(names, sent)
        await openDatasource({ url: gateway.url, headers }).resource('/api/v1/label/pod/values', [], { headers: sent })
        const form = ['content-length', 'content-type']
        const own = ['accept-encoding', 'connection', 'host', 'user-agent']
        assert.deepEqual(
          gateway.reached.map((reached) => [reached.url.split('?', 1)[0], Object.keys(reached.headers).toSorted()]),
          [
            ['/api/v1/query_range', [...own, ...form].toSorted()],
            ['/api/v1/query', [...own, ...form].toSorted()],
            ['/api/v1/label/pod/values', own],
          ],
        )
        assert.deepEqual(new Set(gateway.reached.map(({ headers }) => headers['user-agent'])), new Set(['bailiwick']))
      } finally {
        await gateway.stop()
      }
    })
  })

  describe('an error in the corner of a panel', () => {
    /** What a panel shows, once it is known to be all of the body, with nothing that Grafana stumbles over. */
    async function cornerOf(grafana: Datasource, expr: string): Promise<string> {
      const panel = await grafana.panel({ expr, ...range })
      const [exchange] = grafana.exchanges
      const text = exchange?.bytes.toString() ?? ''
      assert.deepEqual(Object.keys(JSON.parse(text)), ['status', 'errorType', 'error'])
      assert.ok(Buffer.byteLength(text) <= 1024, text)
      const { errorType, error } = JSON.parse(text)
      const whole = [`${errorType}: ${error}`, `unexpected response with status code ${exchange?.status}: ${text}`]
      assert.ok(whole.includes(panel.error ?? ''), panel.error ?? 'no error')
      return panel.error ?? ''
    }
    const id = String.raw`\(request [0-9a-f-]{36}\)`

    it('is a sentence for what is wrong with the query or the header', async () => {
      const broken = await cornerOf(as('alice'), 'sum(rate(up[5m])')
      assert.match(broken, new RegExp(`^bad_data: [^{]+\\n *sum\\(rate\\(up\\[5m\\]\\)\\n +\\^+ ${id}$`))
      const noBearer = await cornerOf(as('alice', { headers: { authorization: 'Token x' } }), 'up')
      assert.match(noBearer, new RegExp(`^bad_data: the Authorization header must be .+ ${id}$`))
    })
    it('is the short body itself for what is not allowed, not known, or not there', async () => {
      const raw = (status: number, type: string, words: string): RegExp =>
        new RegExp(
          `^unexpected response with status code ${status}: \\{"status":"error","errorType":"${type}","error":"${words}.* ${id}"\\}$`,
        )
      const foreign = 'up{namespace="booksapp"}'
      assert.match(await cornerOf(as('alice'), foreign), raw(403, 'forbidden', 'alice@example\\.com: '))
      assert.match(await cornerOf(as('dana'), 'up'), raw(403, 'forbidden', 'dana@example\\.com has no right'))
      assert.match(await cornerOf(as('alice', { headers: {} }), 'up'), raw(401, 'unauthorized', 'no credentials'))
      const west = { url: `${world.app.url}/clusters/west` }
      assert.match(await cornerOf(as('alice', west), 'up'), raw(502, 'unavailable', 'the Prometheus of cluster west'))
      const north = { url: `${world.app.url}/clusters/north` }
      assert.match(await cornerOf(as('alice', north), 'up'), raw(404, 'not_found', 'there is no cluster'))
    })
    it('is Prometheus’s own where it is Prometheus that fails, and tells of one’s own series only', async () => {
      const twice = (selector: string): string => `${selector} * on (namespace) ${selector}`
      const own = await direct.panel({ expr: twice('up{namespace="emojivoto"}'), ...range })
      const { error } = await as('alice').panel({ expr: twice('up'), ...range })
      assert.match(error ?? '', /^execution: .*namespace="emojivoto"/)
      assert.doesNotMatch(error ?? '', /booksapp|payments/)
      assert.equal(error?.slice(0, 100), own.error?.slice(0, 100))
      const late = await as('alice', { custom: 'timeout=0.000001' }).panel({ expr: 'count(up)', ...range })
      assert.match(late.error ?? '', /^timeout: query timed out/)
    })
    it('is short though somebody is in very many groups', async () => {
      const gateway = await startStubGateway(() => assert.fail('it was asked'))
      try {
        const groups = Array.from({ length: 100 }, (_, at) => `CORP\\Größere Gruppe ${at}`)
        const headers = { authorization: `Bearer ${await gateway.token(groups)}` }
        const corner = await cornerOf(openDatasource({ url: gateway.url, headers }), 'up')
        assert.match(
          corner,
          /alice has no right to this on cluster stub \(your groups are CORP\\\\Größere Gruppe 0, .+ … \(request /,
        )
      } finally {
        await gateway.stop()
      }
    })
    it('is a sentence while no audit record can be kept', async () => {
      const nowhere = fileURLToPath(import.meta.url)
      const gateway = await startStubGateway(
        (_, response) => void response.setHeader('content-type', 'application/json').end('{"secret":1}'),
        (config) => ({ ...config, audit: { ...config.audit, directory: `${nowhere}/audit` } }),
      )
      try {
        const headers = { authorization: `Bearer ${await gateway.token()}` }
        const grafana = openDatasource({ url: gateway.url, headers })
        const corner = await cornerOf(grafana, 'up')
        assert.match(corner, new RegExp(`^unavailable: nothing is answered while no audit record can be kept.* ${id}$`))
      } finally {
        await gateway.stop()
      }
    })
  })
})

describe('Explore and the query editors', () => {
  const mine = 'sum(rate(request_total{namespace="emojivoto"}[1m]))'
  const ours = 'sum(rate(request_total[1m]))'
  const config = `groups:
  - name: recorded
    rules:
      - { record: 'emojivoto:requests:rate1m', expr: '${mine}' }
      - { record: 'cluster:requests:rate1m', expr: '${ours}' }
      - { alert: BooksappUp, expr: 'up{namespace="booksapp"} > 0' }
`
  let world: World
  let scratch: string
  let direct: Datasource
  let now: Range
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-grafana-'))
    await writeFile(join(scratch, 'rules.yml'), config)
    world = await startWorld({ live: true, config: `rule_files: ['${join(scratch, 'rules.yml')}']\n` })
    direct = openDatasource({ url: world.prometheus.url })
    now = { from: Date.now() / 1000 - 3_600, to: Date.now() / 1000 + 60 }
    const ruled = ['ALERTS', 'cluster:requests:rate1m', 'emojivoto:requests:rate1m']
    await until(async () => {
      const metrics = await direct.variable('metrics(.+)', now)
      const targets = decodeResource(await direct.resource('/api/v1/targets', []))
      return ruled.every((name) => metrics.includes(name)) && !targets.includes('"health":"unknown"')
    })
  })
  after(async () => {
    await world.stop()
    await rm(scratch, { recursive: true, force: true })
  })
  const as = async (person: string): Promise<Datasource> =>
    openDatasource({ url: world.app.url, headers: { authorization: `Bearer ${await world.idp.token(person)}` } })

  it('start with the five requests that they always send, and learn of one’s own series only', async () => {
    const all = await direct.startEditor(now)
    for (const [person, namespace] of people) {
      const grafana = await as(person)
      const editor = await grafana.startEditor(now)
      assert.ok(grafana.exchanges.some(({ target }) => target === '/api/v1/metadata?limit=40000'))
      assert.deepEqual(pathsOf(grafana).toSorted(), [
        'GET /api/v1/label/__name__/values',
        'GET /api/v1/metadata',
        'GET /api/v1/rules',
        'POST /api/v1/labels',
        'POST /api/v1/query_exemplars',
      ])
      assert.deepEqual(editor.metrics, await direct.variable(`label_values({namespace="${namespace}"}, __name__)`, now))
      assert.deepEqual(editor.labels, await labelsOf(direct, namespace, now))
      assert.ok(editor.metrics.length < all.metrics.length && editor.labels.length < all.labels.length)
      const own = editor.documented.map((family) => editor.metrics.some((name) => name.startsWith(family)))
      assert.ok(own.length > 0 && own.length < all.documented.length && own.every(Boolean))
      assert.equal(editor.exemplars, true)
    }
    assert.deepEqual(await (await as('carol')).startEditor(now), all)
  })
  it('expand the recording rules that read one’s own series', async () => {
    for (const [person, rules] of [
      ['alice', { 'emojivoto:requests:rate1m': mine }],
      ['bob', {}],
      ['carol', { 'emojivoto:requests:rate1m': mine, 'cluster:requests:rate1m': ours }],
    ] as const) {
      assert.deepEqual((await (await as(person)).startEditor(now)).rules, rules, person)
    }
  })
  it('are answered in gzip what is filtered, and the same in plain text', async () => {
    for (const path of ['/api/v1/metadata', '/api/v1/rules']) {
      const grafana = await as('alice')
      const zipped = await grafana.resource(path, [])
      const plain = await grafana.resource(path, [], { headers: { 'accept-encoding': 'br, zstd' } })
      assert.deepEqual(
        grafana.exchanges.map(({ headers }) => headers['content-encoding']),
        ['gzip', undefined],
      )
      const [one, other] = [zipped, plain].map((exchange) => Object.keys(JSON.parse(decodeResource(exchange)).data))
      assert.deepEqual(one, other)
    }
  })
})

describe('exemplars', () => {
  let scratch: string
  let target: Server
  let prometheus: RunningPrometheus
  let gateway: StubGateway
  const latency: PanelQuery = {
    expr: 'histogram_quantile(0.95, sum by (le) (rate(response_latency_ms_bucket[1m])))',
    from: Date.now() / 1000 - 3_600,
    to: Date.now() / 1000 + 3_600,
    step: 15,
    exemplar: true,
  }
  /** One team's latencies, each with a trace: OpenMetrics text. */
  const exposed = (namespace: string): string => `response_latency_ms_bucket{namespace="${namespace}",le="10.0"} 4
response_latency_ms_bucket{namespace="${namespace}",le="+Inf"} 5 # {trace_id="trace-of-${namespace}"} 42.0
response_latency_ms_count{namespace="${namespace}"} 5
response_latency_ms_sum{namespace="${namespace}"} 60.5
`
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-exemplars-'))
    target = createServer((_, response) => {
      response.setHeader('content-type', 'application/openmetrics-text; version=1.0.0; charset=utf-8')
      response.end(`# TYPE response_latency_ms histogram\n${exposed('emojivoto')}${exposed('booksapp')}# EOF\n`)
    })
    const port = await listen(target, 0)
    // The starter of Prometheus takes no flags: this script adds the one that keeps exemplars.
    const { prometheus: program } = await findPrometheus({ cacheDir, tell: () => {} })
    const binary = join(scratch, 'prometheus')
    await writeFile(binary, `#!/bin/sh\nexec '${program}' "$@" --enable-feature=exemplar-storage\n`, { mode: 0o755 })
    const config = `scrape_configs: [{ job_name: apps, scrape_interval: 1s, static_configs: [{ targets: ['${loopback}:${port}'] }] }]\n`
    prometheus = await startPrometheus({ binary, dataDir: join(scratch, 'data'), config, tell: () => {} })
    gateway = await startStubGateway(
      () => assert.fail('not this one'),
      ({ clusters: [cluster], ...config }) => {
        assert.ok(cluster)
        return { ...config, clusters: [{ ...cluster, prometheus: { ...cluster.prometheus, url: prometheus.url } }] }
      },
    )
    const direct = openDatasource({ url: prometheus.url })
    await until(async () => (await direct.panel(latency)).traceIds.length === 2)
  })
  after(async () => {
    await gateway.stop()
    await prometheus.stop()
    await close(target)
    await rm(scratch, { recursive: true, force: true })
  })

  for (const [group, traces] of [
    ['team-emojivoto', ['trace-of-emojivoto']],
    ['team-booksapp', ['trace-of-booksapp']],
    ['platform', ['trace-of-booksapp', 'trace-of-emojivoto']],
  ] as const) {
    it(`in a panel of ${group} are those of their own series`, async () => {
      const headers = { authorization: `Bearer ${await gateway.token([group])}` }
      const grafana = openDatasource({ url: gateway.url, headers })
      const { error, traceIds } = await grafana.panel(latency)
      assert.deepEqual([error, traceIds.toSorted()], [null, traces])
      assert.deepEqual(pathsOf(grafana).toSorted(), ['POST /api/v1/query_exemplars', 'POST /api/v1/query_range'])
    })
  }
})

async function until(done: () => Promise<boolean>): Promise<void> {
  for (let round = 0; round < 150; round += 1) {
    if (await done()) return
    await sleep(200)
  }
  assert.fail('it did not come about')
}

/** A token as Grafana would sign it for somebody else, without the signature. */
function forged(claims: object): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const head = { alg: 'ES256', typ: 'jwt', kid: 'id-2026-11-es256' }
  return `${part(head)}.${part({ iss: 'http://grafana.test/', aud: ['org:1'], ...claims })}.${'A'.repeat(86)}`
}
