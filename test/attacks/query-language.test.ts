// PromQL written so that a gateway reads less in it than Prometheus does. The judge is Prometheus: one without data of its
// own asks a storage for every series, and the storage writes down with which matchers.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { findPrometheus } from '../../demo/parts/prometheus-binary.ts'
import { startPrometheus } from '../../demo/parts/prometheus.ts'
import type { RunningPrometheus } from '../../demo/parts/prometheus.ts'
import { rewriteQuery } from '../../src/promql/rewrite.ts'
import type { Scope } from '../../src/promql/rewrite.ts'
import { beginsRight } from '../judges/format.ts'
import { readingFrom, startReadStub } from '../judges/read-stub.ts'
import type { ReadStub } from '../judges/read-stub.ts'
import type { Select } from '../judges/read-request.ts'
import { prometheus3, without3 } from '../judges/server.ts'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'

interface Attack {
  readonly name: string
  /** Those that Prometheus answers; storage must be asked with the scope. */
  readonly answered: readonly string[]
  /** Those of which nothing may reach Prometheus. */
  readonly refused?: readonly string[]
}

const attacks: readonly Attack[] = [
  {
    name: 'a label name that is quoted or escaped',
    answered: [
      'up{"na\\u006despace"=~".*"} or secret',
      'secret{"namespace"!=""}',
      '{"secret"}',
      '{"se\\x63ret","pod"=~".*"}',
      '{__name__="secret","na\\155espace"!~"emojivoto"}',
    ],
    refused: [
      '{"namespace"="theirs"}',
      '{"na\\u006despace"="theirs"}',
      'secret{"\\156amespace"="theirs"}',
      `secret{'namespace'=\`theirs\`}`,
      'secret{"namespace"=~"theirs"}',
    ],
  },
  {
    name: 'backticks and quotes inside of quotes',
    answered: [
      'up{pod=`\\`} or secret{pod=`x`}',
      'up{pod=`"`} or secret{pod="`"}',
      'up{pod="\\"} or up{"} or secret',
      `up{pod='"'} or secret{pod='"'}`,
      'up{pod=`#\n`} or secret',
      'up{pod="\\\\"} or secret',
      'secret{pod=~`.*`}',
    ],
    refused: ['up{pod=`\\`x`} or secret', "up{pod='\\\"'} or secret", 'secret{namespace=`theirs`}'],
  },
  {
    name: 'a comment that holds what looks like the scope, or ends at a carriage return',
    answered: [
      'secret # {namespace="emojivoto"}',
      '# namespace="emojivoto"\nsecret',
      'up # x\r or secret',
      'up # x\n or secret',
      'up{pod="x" # }\r} or secret{pod="y"}',
      'up{pod="x" #"\r,job="y"} or secret',
      'up #\r\n or secret',
      'up{pod="#"} or secret',
      'up # x\u2028 or secret{',
    ],
    refused: ['up/**/or secret', 'up // x\n or secret', 'up -- x\n secret'],
  },
  {
    name: 'a selector of everything',
    answered: [
      '{__name__=~".+"}',
      '{__name__!=""}',
      '{__name__=~"sec.*|up"}',
      '{__name__!~"up",job!=""} or {job=~".+"}',
      'count by (namespace) ({__name__=~".+"})',
      '{pod!="",__name__="secret"}',
    ],
    refused: ['{}', '{__name__=~".*"}', '{job=~".*"}', '{job!="x"}', '{__name__=""}'],
  },
  {
    name: 'matchers that accept the empty value',
    answered: [
      'secret{namespace!=""}',
      'secret{namespace=~".*"}',
      'secret{namespace=~""}',
      'secret{namespace=""}',
      'secret{namespace=~"emojivoto|"}',
      'secret{namespace=~"|theirs.*"}',
      'secret{namespace!~".+"}',
      'secret{namespace!="emojivoto"}',
      'secret{namespace!~"emojivoto"}',
      'secret{namespace=~"(theirs)?"}',
      'up or secret{namespace=~".*",namespace=~".*"}',
    ],
    refused: ['{namespace=~".*"}', '{namespace=""}', '{namespace=~"a|"}', '{namespace!~".+"}'],
  },
  {
    name: 'a selector in the parameter of an aggregation',
    answered: [
      'topk(scalar(secret), up)',
      'bottomk by (pod) (scalar(secret offset 5m), up)',
      'quantile(scalar(sum(secret)), up)',
      'topk(scalar(topk(scalar(secret), up)), up)',
      'count_values("pod", secret)',
      'histogram_quantile(scalar(secret), up)',
      'round(up, scalar(secret))',
      'clamp(up, scalar(secret), scalar(secret))',
      'predict_linear(up[5m], scalar(secret))',
      'quantile_over_time(scalar(secret), up[5m])',
      'label_replace(secret, "namespace", "emojivoto", "", "")',
    ],
  },
  {
    name: 'a selector in a subquery',
    answered: [
      'max_over_time(secret[5m:1m])',
      'max_over_time((up or secret)[5m:])',
      'rate(secret[5m])[10m:1m]',
      'max_over_time(max_over_time(secret[5m])[10m:1m])',
      'sum_over_time((scalar(secret) + vector(1))[5m:1m])',
      'secret[5m:]',
    ],
    refused: ['max_over_time(secret[[5m]])', 'secret[5m:1m][5m', 'secret[5m:1m:1m]'],
  },
  {
    name: 'a selector under @ and offset',
    answered: [
      'secret @ 1795143000',
      'secret @ start() offset 1h',
      'secret offset -5m @ end()',
      'max_over_time(secret[5m:1m] @ end())',
      'up or (secret @ 0)',
    ],
    refused: ['secret @ scalar(up)', 'secret @ "namespace"', 'secret offset (secret)'],
  },
  {
    name: 'a selector on the right of an operator',
    answered: [
      'up or secret',
      'up and secret unless secret',
      'up or on () secret unless on () secret',
      '1 + (2 * (up or secret))',
      'up + on (pod) group_left (namespace) secret',
      'up == bool secret',
      '-secret ^ -secret',
      'vector(1)or secret',
      '5 > bool scalar(secret)',
      'up>secret<secret',
    ],
    refused: ['up secret', 'up;secret', 'up || secret', 'up&query=secret'],
  },
  {
    name: 'absent() and its like, which tell of a series by showing none',
    answered: [
      'absent(secret)',
      'absent(secret{pod="x"})',
      'absent_over_time(secret[5m])',
      'count(secret) or vector(0)',
      'scalar(secret)',
      'timestamp(((secret)))',
    ],
    refused: ['absent(secret{namespace="theirs"})'],
  },
  {
    name: 'info(), which reads series that no selector names',
    answered: [],
    refused: [
      'info(up)',
      'info(secret, {__name__=~".+"})',
      'info (up)',
      'info(label_replace(vector(1), "job", "theirs", "", ""))',
      'sum(info(up, {__name__="secret"}))',
      'INFO(up)',
    ],
  },
  {
    name: 'keywords and numbers in the place of names',
    answered: [
      'sum + by + secret',
      'by or secret',
      'offset offset 5m or secret',
      'or or or or secret',
      'unless unless unless or secret',
      'start + secret',
      'sum by (secret) (secret)',
    ],
    refused: ['1e5secret', 'atan2 or secret', 'foo{a="b"}{c="d"} or secret'],
  },
  {
    name: 'white space and control characters',
    answered: ['up\tor\rsecret\n', '\r\nsecret'],
    refused: [
      ...['up\u00a0or secret', 'up\vor secret', 'up\for secret', 'up\0or secret', 'up\u0085or secret', '\ufeffsecret'],
      ...['up\u2028or secret', 'up\u2003or secret', 'secret{pod="\ufffd"}', '`\ufffd` or secret', 'up\u200bor secret'],
    ],
  },
  {
    name: 'syntax that the gateway does not know',
    answered: [],
    refused: [
      'WITH (x = secret) x',
      'secret{namespace="emojivoto" or namespace="theirs"}',
      '{namespace="emojivoto" or job=~".+"}',
      'secret keep_metric_names',
      'secret default 0',
      'secret if up',
      'sum(secret) limit 1',
      'secret[5i]',
      'union(up, secret)',
      'new_function(secret)',
      'secret |> up',
      'secret{namespace<"x"}',
      'secret{namespace=}',
      '$secret',
      '${secret}',
      'secret as x',
      'ALERT x IF secret',
    ],
  },
]

const cacheDir = fileURLToPath(new URL('../../.cache', import.meta.url))
const scope = [['namespace=~emojivoto']]
/** The end of a refusal of the gateway's own: nothing was asked of Prometheus. */
const ourWords = /\(request [0-9a-f-]{36}\)"\}$/

for (const which of ['prometheus', 'prometheus3'] as const) {
  describe(`what the storage of ${which} is asked for`, { skip: which === 'prometheus3' && without3 }, () => {
    let dir: string
    let storage: ReadStub
    let prometheus: RunningPrometheus
    let gateway: StubGateway
    let authorization: string
    before(async () => {
      dir = await mkdtemp(join(tmpdir(), 'bailiwick-attacks-'))
      storage = await startReadStub()
      const found =
        which === 'prometheus' ? (await findPrometheus({ cacheDir, tell: () => {} })).prometheus : prometheus3
      prometheus = await startPrometheus({
        binary: found ?? '',
        dataDir: join(dir, 'data'),
        config: readingFrom(storage.url),
        tell: () => {},
      })
      const { url } = prometheus
      gateway = await startStubGateway(
        () => {},
        (config) => ({
          ...config,
          clusters: config.clusters.map((one) => ({ ...one, prometheus: { ...one.prometheus, url } })),
        }),
      )
      authorization = `Bearer ${await gateway.token()}`
    })
    after(async () => {
      await gateway?.stop()
      await prometheus?.stop()
      await storage?.stop()
      await rm(dir, { recursive: true, force: true })
    })

    async function ask(base: string, path: string, params: Readonly<Record<string, string>>) {
      storage.take()
      const body = new URLSearchParams(params)
      const response = await fetch(`${base}${path}`, { method: 'POST', body, headers: { authorization } })
      const text = await response.text()
      return { status: response.status, text, selects: storage.take() }
    }
    const instant = (base: string, query: string) => ask(base, '/api/v1/query', { query, time: '1795143900' })
    const unscoped = (selects: readonly Select[]): readonly string[] =>
      selects.filter(({ matchers }) => !beginsRight(matchers, scope)).map(({ matchers }) => matchers.join(','))

    for (const { name, answered, refused = [] } of attacks) {
      it(name, async () => {
        for (const query of answered) {
          const direct = await instant(prometheus.url, query)
          // 400: what this Prometheus cannot read itself, such as quoted names in 2.42, is not an attack on it.
          if (direct.status !== 400) assert.ok(unscoped(direct.selects).length > 0, `harmless: ${query}`)
          const through = await instant(gateway.url, query)
          // Some fail when they are evaluated on no data, but storage was asked.
          assert.ok(direct.status === 400 || through.status === direct.status, `${query}: ${through.text}`)
          assert.ok(through.selects.length > 0, query)
          assert.deepEqual(unscoped(through.selects), [], query)
        }
        for (const query of refused) {
          const through = await instant(gateway.url, query)
          assert.ok([403, 422].includes(through.status), `${through.status} ${query}: ${through.text}`)
          assert.match(through.text, ourWords, query)
          assert.deepEqual(through.selects, [], query)
        }
      })
    }

    it('a regular expression that is none stands beside the scope all the same', async () => {
      for (const regex of ['(', 'x)|(.*', '(?=x)', '\\C', '[', '*', '(?P<', 'x{1001}', '(?i)x', '\\Q)|.*\\E', '$|^']) {
        const { selects } = await instant(gateway.url, `up or secret{namespace=~${JSON.stringify(regex)}}`)
        assert.deepEqual(unscoped(selects), [], regex)
      }
    })

    it('a metric name that would put the selector into a wider family', async () => {
      const wide: Scope = {
        kind: 'labels',
        alternatives: [{ label: 'namespace', allow: ['emojivoto'], deny: [] }],
        families: [{ metrics: 'route_*', alternatives: [{ label: 'dst', allow: ['*'], deny: [] }] }],
      }
      const wider: string[] = []
      for (const query of [
        'route_x or secret',
        '{__name__="route_x",__name__="secret"}',
        '{__name__="secret",__name__="route_x"}',
        '{__name__=~"route_x|secret"}',
        '{__name__!="route_x",job="x"}',
        '{__name__="secret" # ",__name__="route_x"\n}',
        '{__name__="secret\\nroute_x"}',
        '{name="route_x"} or secret{name="route_x"}',
        'secret_route_x or secret:route_x or Route_x',
        'label_replace(secret, "__name__", "route_x", "", "")',
        'sum by (route_x) (secret) or absent(route_x)',
      ]) {
        const rewritten = rewriteQuery(query, wide)
        assert.ok(rewritten.ok, query)
        const { selects } = await instant(prometheus.url, rewritten.value.sent)
        assert.ok(selects.length > 0, query)
        for (const { matchers } of selects.filter(({ matchers }) => !beginsRight(matchers, scope))) {
          assert.equal(matchers[0], 'dst=~.+', query)
          assert.ok(matchers.includes('__name__=route_x'), `${query}: ${matchers.join()}`)
          wider.push(query)
        }
      }
      assert.deepEqual(wider, ['route_x or secret', 'sum by (route_x) (secret) or absent(route_x)'])
    })

    it('the same by a range and by match[]', async () => {
      for (const query of attacks.flatMap(({ answered }) => answered)) {
        const range = { query, start: '1795143000', end: '1795143900', step: '300' }
        const through = await ask(gateway.url, '/api/v1/query_range', range)
        // A range selector has no value over a range, and Prometheus itself says so.
        if (through.status === 200) assert.ok(through.selects.length > 0, query)
        assert.deepEqual(unscoped(through.selects), [], query)
        const series = await ask(gateway.url, '/api/v1/series', { 'match[]': query })
        assert.deepEqual(unscoped(series.selects), [], query)
      }
      const series = await ask(gateway.url, '/api/v1/series', { 'match[]': '{__name__=~".+"}' })
      assert.deepEqual([series.status, series.selects.length], [200, 1])
    })
  })
}
