// Each person sees exactly their own, in every endpoint: the judge is a Prometheus that holds nothing else.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { dataOf, send, seriesRequests } from '../support/prometheus-answers.ts'
import type { ApiRequest } from '../support/prometheus-answers.ts'
import { startHistory, startWorld } from '../support/world.ts'
import type { Database, World } from '../support/world.ts'

const nameOf = ({ method = 'GET', path, params }: ApiRequest): string =>
  `${method} ${path} ${params
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
    .slice(0, 90)}`

describe('what each person sees', () => {
  let world: World
  let headers: (person: string) => Promise<Record<string, string>>
  before(async () => {
    world = await startWorld()
    const tokens = new Map<string, string>()
    headers = async (person) => {
      const token = tokens.get(person) ?? (await world.idp.token(person))
      tokens.set(person, token)
      return { authorization: `Bearer ${token}` }
    }
  })
  after(() => world.stop())

  for (const [person, namespace] of [
    ['alice', 'emojivoto'],
    ['bob', 'booksapp'],
  ] as const) {
    describe(`${person}, who has ${namespace}, sees what a Prometheus with only that namespace shows`, () => {
      let filtered: Database
      before(async () => {
        filtered = await startHistory((labels) => labels['namespace'] === namespace)
      })
      after(() => filtered.stop())

      for (const request of seriesRequests) {
        it(nameOf(request), async () => {
          const through = await dataOf(await send(world.app.url, request, await headers(person)))
          const judge = await dataOf(await send(filtered.prometheus.url, request))
          assert.deepEqual(through, judge)
        })
      }
      it('and the questions are not all without an answer', async () => {
        let shown = 0
        for (const request of seriesRequests) {
          const data = await dataOf(await send(world.app.url, request, await headers(person)))
          if (JSON.stringify(data).includes(namespace)) shown += 1
        }
        assert.ok(shown > seriesRequests.length / 3, `only ${shown} of ${seriesRequests.length} show the namespace`)
      })
    })
  }

  describe('carol, who has every series, sees what Prometheus shows', () => {
    for (const request of seriesRequests) {
      it(nameOf(request), async () => {
        const through = await dataOf(await send(world.app.url, request, await headers('carol')))
        assert.deepEqual(through, await dataOf(await send(world.prometheus.url, request)))
      })
    }
    it('also the series without a namespace', async () => {
      const request: ApiRequest = {
        path: '/api/v1/query',
        params: [
          ['query', 'count({namespace="",__name__=~".+"})'],
          ['time', '2026-11-20T03:05:00Z'],
        ],
      }
      assert.match(JSON.stringify(await dataOf(await send(world.app.url, request, await headers('carol')))), /"\d+"/)
    })
  })

  describe('dana, who has no right to metrics, is refused each of them', () => {
    for (const request of [...seriesRequests, { path: '/federate', params: [['match[]', 'up']] } as const]) {
      it(nameOf(request), async () => {
        const response = await send(world.app.url, request, await headers('dana'))
        assert.equal(response.status, 403)
        assert.match(response.headers.get('www-authenticate') ?? '', /insufficient_scope/)
        assert.match(await response.text(), /dana@example\.com has no right .*auditors/)
      })
    }
    it('but a query without selectors is answered: it is how Grafana tests a datasource', async () => {
      const request: ApiRequest = {
        path: '/api/v1/query',
        params: [
          ['query', '1+1'],
          ['time', '4'],
        ],
        method: 'POST',
      }
      const data = await dataOf(await send(world.app.url, request, await headers('dana')))
      assert.deepEqual(data, { resultType: 'scalar', result: [4, '2'] })
      const buildinfo: ApiRequest = { path: '/api/v1/status/buildinfo', params: [] }
      const answer = await dataOf(await send(world.app.url, buildinfo, await headers('dana')))
      assert.match(JSON.stringify(answer), /"version":"/)
    })
  })

  describe('who called booksapp/authors at 3 a.m.?', () => {
    const callers = async (person: string, query: string): Promise<string> => {
      const request: ApiRequest = {
        path: '/api/v1/query',
        params: [
          ['query', query],
          ['time', '2026-11-20T03:10:00Z'],
        ],
      }
      return JSON.stringify(await dataOf(await send(world.app.url, request, await headers(person))))
    }
    it('bob is told by the identities that his own proxies proved, the nightly report and strangers among them', async () => {
      const said = await callers(
        'bob',
        'sum by (client_id, tls) (increase(request_total{direction="inbound", deployment="authors"}[10m])) > 0',
      )
      assert.match(said, /nightly-report\.batch\./)
      assert.match(said, /no_identity/)
      const edge = world.truth.edges.find(
        ({ from, to }) => from?.workload === 'nightly-report' && to?.workload === 'authors',
      )
      assert.ok((edge?.calls ?? 0) > 1_000)
    })
    it('alice is told nothing of it', async () => {
      const said = await callers('alice', 'sum by (client_id) (increase(request_total{deployment="authors"}[10m]))')
      assert.equal(said, '{"resultType":"vector","result":[]}')
    })
    it('alice, asking by name, is refused rather than shown an empty panel', async () => {
      const request: ApiRequest = { path: '/api/v1/query', params: [['query', 'request_total{namespace="booksapp"}']] }
      const response = await send(world.app.url, request, await headers('alice'))
      assert.equal(response.status, 403)
      assert.match(await response.text(), /alice@example\.com: .*\\"booksapp\\"/)
    })
  })

  describe('clusters', () => {
    it('the first answers at the root and under its name', async () => {
      const params = [
        ['query', 'count(up)'],
        ['time', '1795143600'],
      ] as const
      const ask = async (path: string): Promise<unknown> =>
        dataOf(await send(world.app.url, { path, params }, await headers('alice')))
      const named = await ask('/clusters/east/api/v1/query')
      assert.deepEqual(named, await ask('/api/v1/query'))
      assert.match(JSON.stringify(named), /"\d+"/)
    })
    it('one that is down is 502 with its name, one that is not there 404', async () => {
      const params = [['query', 'up']] as const
      const ask = async (path: string): Promise<Response> =>
        send(world.app.url, { path, params }, await headers('alice'))
      const down = await ask('/clusters/west/api/v1/query')
      assert.equal(down.status, 502)
      assert.match(await down.text(), /cluster west cannot be reached/)
      for (const name of ['north', '', 'EAST', '%65ast']) {
        assert.equal((await ask(`/clusters/${name}/api/v1/query`)).status, 404, name)
      }
    })
  })
})
