// Thanos, Mimir and VictoriaMetrics behind the gateway: real ones with data, as far as their programs are here.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Labels } from '../../demo/parts/linkerd-mesh.ts'
import { bytesField, numberField, textField } from '../../src/prometheus/protobuf.ts'
import { packSnappy } from '../../src/prometheus/snappy.ts'
import { rewriteQuery } from '../../src/promql/rewrite.ts'
import { attacks } from '../judges/attacks.ts'
import { laterExpressions, ownExpressions } from '../judges/corpora.ts'
import { matches } from '../judges/corpus.ts'
import { askAt, dialect } from '../judges/other-answers.ts'
import type { Answer, Form } from '../judges/other-answers.ts'
import { findProgram, namespace, remedies, startOther } from '../judges/other-upstreams.ts'
import type { OtherUpstream, Store } from '../judges/other-upstreams.ts'
import { dataScopes } from '../judges/scopes.ts'
import { unsnappy } from '../judges/snappy.ts'
import { startUpstreamGateway } from '../support/upstream-gateway.ts'
import type { UpstreamGateway } from '../support/upstream-gateway.ts'

for (const kind of ['victoria-metrics', 'thanos', 'mimir'] as const) {
  const skip = (await findProgram(kind)) === null ? remedies[kind] : false
  describe(kind, { skip }, () => {
    let other: OtherUpstream
    let gateway: UpstreamGateway
    let [alice, carol]: Record<string, string>[] = []
    let time: string
    let range: Record<string, string>
    before(async () => {
      other = await startOther(kind)
      gateway = await startUpstreamGateway({
        everything: other.everything.prometheus,
        one: other.oneNamespace.prometheus,
      })
      alice = await gateway.as('team-emojivoto')
      carol = await gateway.as('platform')
      time = String(other.window.end - 1200)
      range = { start: String(other.window.end - 3600), end: time }
    })
    after(async () => {
      await gateway.stop()
      await other.stop()
    })

    const through = (cluster: string, headers: Record<string, string> | undefined, path: string, form: Form) =>
      askAt(`${gateway.url}/clusters/${cluster}${path}`, headers ?? {}, form, path.includes('/label/') ? 'GET' : 'POST')
    const bySeries = (path: string, match: string): readonly [path: string, form: Form] => [
      path,
      new URLSearchParams({ ...range, 'match[]': match }),
    ]

    it('holds what it should: carol sees every namespace, and the small store one', async () => {
      const path = '/api/v1/label/namespace/values'
      const all = await through('everything', carol, path, range)
      assert.match(all.text, /"booksapp","emojivoto"/)
      assert.match((await through('one', carol, path, range)).text, new RegExp(`"data":\\["${namespace}"\\]`))
    })
    it('would show it if a query were not in scope', async () => {
      const [everything, one] = [other.everything, other.oneNamespace].map((store) =>
        askStore(store, { query: 'up', time }),
      )
      assert.notEqual((await everything)?.told, (await one)?.told)
    })

    describe('alice sees the same, whether there is more than her namespace or not:', () => {
      const same = async (path: string, form: Form): Promise<Answer> => {
        const [everything, one] = [
          await through('everything', alice, path, form),
          await through('one', alice, path, form),
        ]
        assert.equal(everything.status, 200, everything.text)
        assert.equal(everything.told, one.told)
        return everything
      }
      it('queries', async () => {
        for (const query of [
          'up',
          'sum by (namespace) (rate(request_total[5m]))',
          'count({__name__=~".+"})',
          'absent(up{pod="x"})',
        ]) {
          assert.match((await same('/api/v1/query', { query, time })).text, /"value":/)
          assert.match((await same('/api/v1/query_range', { query, ...range, step: '60' })).text, /"values":/)
        }
      })
      it('series, labels and their values, with and without match[]', async () => {
        assert.match((await same('/api/v1/labels', range)).text, /"pod"/)
        assert.match((await same('/api/v1/label/pod/values', range)).text, /vote-bot/)
        assert.match((await same('/api/v1/label/__name__/values', range)).text, /request_total/)
        for (const match of ['up', '{__name__=~"request.*"}']) {
          for (const path of ['/api/v1/series', '/api/v1/labels', '/api/v1/label/pod/values']) {
            assert.match((await same(...bySeries(path, match))).text, /pod|vote-bot/)
          }
        }
      })
      it('and it is said that the answer was narrowed', async () => {
        const { infos } = Object(JSON.parse((await same('/api/v1/query', { query: 'sum(up)', time })).text))
        assert.deepEqual(infos, ['bailiwick: narrowed to namespace: emojivoto'])
      })
    })

    it('a header with which a client chooses a tenant changes nothing', async () => {
      const asked = ['/api/v1/query', { query: 'count by (namespace) (up)', time }] as const
      const plain = await through('everything', carol, ...asked)
      for (const header of ['x-scope-orgid', 'thanos-tenant', 'x-prometheus-tenant', 'accountid']) {
        for (const value of ['oneNamespace', 'nobody', 'everything|oneNamespace']) {
          const response = await through('everything', { ...carol, [header]: value }, ...asked)
          assert.equal(response.told, plain.told, `${header}: ${value}`)
        }
      }
    })

    it('a query in another dialect is refused, or answered in scope', async () => {
      let refused = 0
      for (const query of dialect) {
        const [everything, one] = [
          await through('everything', alice, '/api/v1/query', { query, time }),
          await through('one', alice, '/api/v1/query', { query, time }),
        ]
        assert.equal(everything.status, one.status, query)
        if (everything.status === 200) assert.equal(everything.told, one.told, query)
        else refused += 1
      }
      assert.ok(refused >= 20, `only ${refused}`)
    })

    it('every rewritten query asks for nothing out of scope', async () => {
      const texts = [...attacks, ...ownExpressions, ...laterExpressions]
      let answered = 0
      for (const text of texts) {
        const rewritten = rewriteQuery(text, {
          kind: 'labels',
          alternatives: [{ label: 'namespace', allow: [namespace], deny: [] }],
        })
        if (!rewritten.ok) continue
        const form = { query: rewritten.value.sent, time }
        const [everything, one] = await Promise.all(
          [other.everything, other.oneNamespace].map((store) => askStore(store, form)),
        )
        assert.equal(everything?.status, one?.status, text)
        if (everything?.status !== 200) continue
        // Which of several series with one value is chosen is for the program to say, and differs from time to time.
        if (/topk|bottomk|limit/.test(text)) assert.doesNotMatch(everything.text, /"namespace":"(?!emojivoto")/)
        else assert.equal(everything.told, one?.told, text)
        answered += 1
      }
      assert.ok(answered > 300, `only ${answered} of ${texts.length}`)
    })

    it('every kind of scope shows the series that it should, and no others', async () => {
      const all = await seriesOf(other.everything, '{__name__=~".+"}')
      assert.ok(all.length > 400, `only ${all.length}`)
      for (const { name, scope, holds } of dataScopes) {
        const rewritten = rewriteQuery('{__name__=~".+"}', scope)
        assert.ok(rewritten.ok)
        const expected = all.filter((text) => holds(JSON.parse(text)))
        assert.ok(expected.length > 0 && expected.length < all.length, name)
        assert.deepEqual(await seriesOf(other.everything, rewritten.value.sent), expected, name)
      }
    })

    const askStore = (store: Store, form: Form): Promise<Answer> =>
      askAt(`${store.url}/api/v1/query`, { ...store.headers }, form)
    async function seriesOf(store: Store, query: string): Promise<readonly string[]> {
      const { status, text } = await askStore(store, { query, time })
      assert.equal(status, 200, text)
      const result: readonly { readonly metric: Labels }[] = JSON.parse(text).data.result
      return result.map(({ metric }) => JSON.stringify(metric, Object.keys(metric).toSorted())).toSorted()
    }

    it('remote read, where there is one, gives what is in scope', async () => {
      const up = Buffer.concat([...textField(2, '__name__'), ...textField(3, 'up')])
      const times = [numberField(1, BigInt(range['start'] ?? 0) * 1000n), numberField(2, BigInt(time) * 1000n)].flat()
      const query = Buffer.concat([...times, ...bytesField(3, up)])
      const response = await fetch(`${gateway.url}/clusters/everything/api/v1/read`, {
        method: 'POST',
        headers: {
          ...alice,
          'content-type': 'application/x-protobuf',
          'content-encoding': 'snappy',
          'x-prometheus-remote-read-version': '0.1.0',
        },
        body: packSnappy(Buffer.concat(bytesField(1, query))),
      })
      const answer = Buffer.from(await response.arrayBuffer())
      if (kind !== 'mimir') return assert.equal(response.ok, false)
      assert.equal(response.status, 200)
      const told = Buffer.from(unsnappy(answer)).toString('latin1')
      assert.match(told, /emojivoto/)
      return assert.doesNotMatch(told, /booksapp|payments/)
    })

    it('match[] asks for nothing out of scope', async () => {
      for (const match of matches) {
        for (const path of ['/api/v1/series', '/api/v1/labels', '/api/v1/label/pod/values']) {
          const [everything, one] = [
            await through('everything', alice, ...bySeries(path, match)),
            await through('one', alice, ...bySeries(path, match)),
          ]
          assert.equal(everything.told, one.told, `${path} ${match}`)
        }
      }
    })
  })
}
