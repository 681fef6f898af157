// What Thanos, Mimir and VictoriaMetrics would take from clients, and how they word answers: a stub speaks as they do.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { close, listen, loopback } from '../../demo/parts/loopback.ts'
import { endpoints } from '../../src/prometheus/endpoints.ts'
import type { Endpoint } from '../../src/prometheus/endpoints.ts'
import { askAt } from '../judges/other-answers.ts'
import type { Answer, Form } from '../judges/other-answers.ts'
import type { Kind } from '../judges/other-upstreams.ts'
import { startUpstreamGateway } from '../support/upstream-gateway.ts'
import type { UpstreamGateway } from '../support/upstream-gateway.ts'

/** Parameters with which these programs widen, shift or switch what is answered; no client may set one. */
const extraParameters: Readonly<Record<Kind, readonly string[]>> = {
  thanos: [
    'dedup',
    'partial_response',
    'max_source_resolution',
    'storeMatch[]',
    'replicaLabels[]',
    'engine',
    'tenant',
    'shard_info',
    'partial_response_strategy',
    'explain',
    'analyze',
    'forceTracing',
  ],
  mimir: ['tenant', 'X-Scope-OrgID', 'org_id', 'shard', 'source_tenants', 'max_cache_freshness'],
  'victoria-metrics': [
    'extra_label',
    'extra_filters',
    'extra_filters[]',
    'nocache',
    'latency_offset',
    'round_digits',
    'max_lookback',
    'trace',
    'denyPartialResponse',
    'accountID',
    'projectID',
    'reduce_mem_usage',
    'format',
    'date',
  ],
}

describe('an upstream that is no Prometheus:', () => {
  let gateway: UpstreamGateway
  let stub: Server
  let answer: readonly [status: number, type: string, body: string] = [200, '', '']
  let asked = 0
  before(async () => {
    stub = createServer((request, response) => {
      asked += 1
      request.resume()
      const [status, type, body] = answer
      response.writeHead(status, { 'content-type': type }).end(body)
    })
    gateway = await startUpstreamGateway({ stub: { url: `http://${loopback}:${await listen(stub, 0)}` } })
  })
  after(async () => {
    await gateway.stop()
    await close(stub)
  })
  const ask = async (path: string, form: Form): Promise<Answer> =>
    askAt(`${gateway.url}${path}`, await gateway.as('team-emojivoto'), form, 'GET')

  for (const [kind, names] of Object.entries(extraParameters)) {
    it(`the parameters of ${kind}'s own are refused from clients, by every endpoint`, async () => {
      for (const [path, { methods, treatment }] of Object.entries<Endpoint>(endpoints)) {
        if (treatment.scope === 'refuse' || !methods.includes('GET')) continue
        for (const name of names) {
          const { status, text } = await ask(path.replace('<name>', 'pod'), { [name]: '1' })
          assert.equal(status, 422, `${path} ${name}`)
          assert.match(text, /unknown parameter/)
        }
      }
      assert.equal(asked, 0)
    })
  }

  const success = '{"status":"success","data":{"resultType":"vector","result":[]}'
  const failure = (type: string, error: string): string => JSON.stringify({ status: 'error', errorType: type, error })
  for (const [what, given, status, told] of [
    [
      'Mimir, which ends with a line break',
      [200, 'application/json', `${success}}\n`],
      200,
      /"infos":\["bailiwick: narrowed/,
    ],
    ['Mimir without a tenant', [401, 'text/plain; charset=utf-8', 'no org id\n'], 502, /own credentials/],
    [
      'Mimir with its limits',
      [422, 'application/json', `${failure('execution', 'err-mimir-max')}\n`],
      422,
      /err-mimir-max/,
    ],
    ['Mimir when asked too much', [429, 'application/json', failure('too_many_requests', 'slow')], 429, /slow/],
    [
      'Thanos with a part of it',
      [200, 'application/json', `${success},"warnings":["no store"],"analysis":{}}`],
      200,
      /no store/,
    ],
    ['Thanos where it lacks a path', [404, 'text/plain; charset=utf-8', '404 page not found\n'], 502, /something else/],
    [
      'VictoriaMetrics with a part of it',
      [200, 'application/json', `{"isPartial":true,${success.slice(1)}}`],
      200,
      /"isPartial":true/,
    ],
    ['VictoriaMetrics with an error', [422, 'application/json', failure('422', 'unknown func')], 422, /unknown func/],
    [
      'VictoriaMetrics where it lacks a path',
      [400, 'text/plain; charset=utf-8', 'unsupported path'],
      502,
      /something else/,
    ],
    [
      'vmauth without a password',
      [401, 'text/plain; charset=utf-8', 'missing `Authorization`'],
      502,
      /own credentials/,
    ],
  ] as const) {
    it(`an answer like that of ${what}`, async () => {
      answer = given
      const shown = await ask('/api/v1/query', { query: 'sum(up)' })
      assert.equal(shown.status, status)
      assert.match(shown.text, told)
      JSON.parse(shown.text)
    })
  }
})
