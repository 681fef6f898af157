// Nothing the client typed reaches Prometheus, and nothing unexpected of Prometheus's reaches the client.
import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, RequestListener } from 'node:http'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync, gzipSync } from 'node:zlib'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'

const empty = '{"status":"success","data":{"resultType":"vector","result":[]}}'
const json: RequestListener = (_, response) => {
  response.setHeader('content-type', 'application/json').end(empty)
}

async function withGateway(
  answer: RequestListener,
  run: (gateway: StubGateway, headers: Record<string, string>) => Promise<void>,
  change?: Parameters<typeof startStubGateway>[1],
): Promise<void> {
  const gateway = await startStubGateway(answer, change)
  try {
    await run(gateway, { authorization: `Bearer ${await gateway.token()}` })
  } finally {
    await gateway.stop()
  }
}

const until = async (done: () => boolean | Promise<boolean>): Promise<void> => {
  for (let round = 0; round < 200; round += 1) {
    if (await done()) return
    await sleep(25)
  }
  assert.fail('it did not come about')
}

describe('the request to Prometheus', () => {
  it('holds none of the client’s headers, path or bytes', async () => {
    await withGateway(json, async (gateway, headers) => {
      const hostile = {
        ...headers,
        cookie: 'session=1',
        'x-scope-orgid': 'other',
        'x-prom-label-policy': 'other',
        'thanos-tenant': 'other',
        'x-forwarded-for': '10.0.0.1',
        'l5d-client-id': 'x',
        'x-grafana-id': 'x',
        'user-agent': 'evil/1',
        'accept-encoding': 'zstd, br',
        accept: 'application/x-protobuf',
        'proxy-authorization': 'Basic eDp5',
        te: 'trailers',
      }
      const response = await fetch(`${gateway.url}/clusters/stub/api/v1/query?query=sum%28up%29%23evil&time=4`, {
        headers: hostile,
      })
      assert.equal(response.status, 200)
      const [seen] = gateway.reached
      assert.equal(seen?.method, 'POST')
      assert.equal(seen?.url, '/api/v1/query')
      assert.deepEqual(
        [...new URLSearchParams(seen?.body)],
        [
          ['query', 'sum(up{namespace=~"emojivoto"})'],
          ['time', '4'],
        ],
      )
      assert.deepEqual(
        { ...seen?.headers, host: '', 'content-length': '' },
        {
          host: '',
          connection: 'keep-alive',
          'user-agent': 'bailiwick',
          'accept-encoding': 'identity',
          'content-type': 'application/x-www-form-urlencoded',
          'content-length': '',
        },
      )
    })
  })
  it('carries the gateway’s own token and the path of the upstream URL, and nothing else', async () => {
    const change: Parameters<typeof startStubGateway>[1] = (config) => ({
      ...config,
      clusters: config.clusters.map(({ name, notices, prometheus }) => ({
        name,
        notices,
        prometheus: { ...prometheus, url: `${prometheus.url}/prometheus/`, bearerToken: 'the-gateways-own' },
      })),
    })
    await withGateway(
      json,
      async (gateway, headers) => {
        await (await fetch(`${gateway.url}/api/v1/label/pod/values`, { headers })).text()
        const [seen] = gateway.reached
        assert.equal(seen?.method, 'GET')
        assert.equal(
          seen?.url,
          `/prometheus/api/v1/label/pod/values?${new URLSearchParams({ 'match[]': '{namespace=~"emojivoto"}' }).toString()}`,
        )
        assert.equal(seen?.headers.authorization, 'Bearer the-gateways-own')
      },
      change,
    )
  })
  it('is not made for a refused one', async () => {
    await withGateway(json, async (gateway, headers) => {
      for (const path of [
        '/api/v1/query?query=sum(',
        '/api/v1/query?query=up&query=up',
        '/api/v1/nothing',
        '/api/v1/query?query=x{namespace="other"}',
      ]) {
        await (await fetch(`${gateway.url}${path}`, { headers })).text()
      }
      await (await fetch(`${gateway.url}/api/v1/query?query=up`)).text()
      const nobody = { authorization: `Bearer ${await gateway.token(['auditors'])}` }
      await (await fetch(`${gateway.url}/api/v1/query?query=up`, { headers: nobody })).text()
      assert.deepEqual(gateway.reached, [])
    })
  })
})

describe('the answer to the client', () => {
  it('holds none of Prometheus’s headers but type and coding', async () => {
    const chatty: RequestListener = (_, response) => {
      response
        .setHeader('set-cookie', 'a=b')
        .setHeader('x-powered-by', 'x')
        .setHeader('location', 'http://evil')
        .setHeader('server', 'x')
      json(_, response)
    }
    await withGateway(chatty, async (gateway, headers) => {
      const response = await fetch(`${gateway.url}/api/v1/query?query=up`, { headers })
      const names = [...response.headers.keys()].filter(
        (name) => !['date', 'connection', 'keep-alive', 'transfer-encoding'].includes(name),
      )
      assert.deepEqual(names.toSorted(), [
        'bailiwick-policy',
        'bailiwick-request',
        'bailiwick-scope',
        'cache-control',
        'content-encoding',
        'content-type',
        'vary',
        'x-content-type-options',
      ])
      assert.equal(response.headers.get('bailiwick-scope'), 'namespace: emojivoto')
    })
  })
  it('is passed on compressed where the client takes gzip, and only then', async () => {
    const zipped: RequestListener = (request, response) => {
      response.setHeader('content-type', 'application/json')
      if (request.headers['accept-encoding'] === 'gzip')
        response.setHeader('content-encoding', 'gzip').end(gzipSync(empty))
      else response.end(empty)
    }
    await withGateway(zipped, async (gateway, headers) => {
      const raw = (accept: string): Promise<Buffer> =>
        new Promise((resolve, reject) => {
          httpRequest(
            `${gateway.url}/api/v1/query?query=up`,
            { headers: { ...headers, 'accept-encoding': accept } },
            (response: IncomingMessage) => {
              const chunks: Buffer[] = []
              response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)))
            },
          )
            .on('error', reject)
            .end()
        })
      assert.equal(gunzipSync(await raw('deflate, gzip;q=1.0')).toString(), empty)
      assert.equal((await raw('zstd')).toString(), empty)
    })
  })
  for (const [what, answer] of [
    ['a page', (_, response) => void response.setHeader('content-type', 'text/html').end('<h1>secret</h1>')],
    [
      'a redirect',
      (_, response) =>
        void response.writeHead(302, { location: 'http://evil', 'content-type': 'application/json' }).end('{}'),
    ],
    [
      'a 401 of its own',
      (_, response) => void response.writeHead(401, { 'content-type': 'application/json' }).end('{"secret":1}'),
    ],
    [
      'a coding that nobody asked for',
      (_, response) =>
        void response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'br' }).end('x'),
    ],
    ['no type', (_, response) => void response.end('secret')],
  ] as const satisfies readonly (readonly [string, RequestListener])[]) {
    it(`is 502 where Prometheus gives ${what}, and shows nothing of it`, async () => {
      await withGateway(answer, async (gateway, headers) => {
        const response = await fetch(`${gateway.url}/api/v1/query?query=up`, { headers, redirect: 'manual' })
        assert.equal(response.status, 502)
        assert.doesNotMatch(await response.text(), /secret|evil/)
      })
    })
  }
  const noticing: Parameters<typeof startStubGateway>[1] = (config) => ({
    ...config,
    clusters: config.clusters.map((cluster) => ({ ...cluster, notices: true })),
  })
  it('keeps its end where it is no JSON, though the scope narrowed it', async () => {
    const text = 'up{namespace="emojivoto"} 1\n# ends like JSON }'
    await withGateway(
      (_, response) => void response.setHeader('content-type', 'text/plain; version=0.0.4').end(text),
      async (gateway, headers) => {
        const response = await fetch(`${gateway.url}/federate?match[]=up`, { headers })
        assert.equal(await response.text(), text)
      },
      noticing,
    )
  })
  for (const [what, names] of [
    ['an error', [503, '{"status":"error","errorType":"unavailable","error":"x"}']],
    ['another shape', [200, '{"status":"success","data":{}}']],
    ['half a list', [200, '{"status":"success","data":["up",7]}']],
  ] as const) {
    it(`of metadata is 502, not empty, where the question for names gets ${what}`, async () => {
      const metadata = '{"status":"success","data":{"up":[{"type":"gauge","help":"","unit":""}]}}'
      const answer: RequestListener = (request, response) => {
        const [status, body] = request.url?.includes('__name__') === true ? names : ([200, metadata] as const)
        response.writeHead(status, { 'content-type': 'application/json' }).end(body)
      }
      await withGateway(answer, async (gateway, headers) => {
        const response = await fetch(`${gateway.url}/api/v1/metadata`, { headers })
        assert.equal(response.status, 502)
        await response.arrayBuffer()
      })
    })
  }
  it('is 502 where an error is not worded as Prometheus words it', async () => {
    await withGateway(
      (_, response) => void response.writeHead(503, { 'content-type': 'text/plain' }).end('secret of a proxy'),
      async (gateway, headers) => {
        const response = await fetch(`${gateway.url}/api/v1/query?query=up`, { headers })
        assert.equal(response.status, 502)
        assert.doesNotMatch(await response.text(), /secret/)
      },
    )
  })
  it('is Prometheus’s own error where it has one', async () => {
    const error = '{"status":"error","errorType":"execution","error":"too many samples"}'
    await withGateway(
      (_, response) => void response.writeHead(422, { 'content-type': 'application/json' }).end(error),
      async (gateway, headers) => {
        const response = await fetch(`${gateway.url}/api/v1/query?query=up`, { headers })
        assert.equal(response.status, 422)
        assert.equal(await response.text(), error)
      },
    )
  })
  it('is 504 where Prometheus keeps silent', async () => {
    const change: Parameters<typeof startStubGateway>[1] = (config) => ({
      ...config,
      clusters: config.clusters.map((cluster) => ({
        ...cluster,
        prometheus: { ...cluster.prometheus, timeout: 200 },
      })),
    })
    await withGateway(
      () => {},
      async (gateway, headers) => {
        const response = await fetch(`${gateway.url}/api/v1/query?query=up`, { headers })
        assert.equal(response.status, 504)
        assert.match(await response.text(), /took too long/)
      },
      change,
    )
  })
  it('breaks off visibly where Prometheus’s does, and the record says so', async () => {
    const broken: RequestListener = (_, response) => {
      response.setHeader('content-type', 'application/json').write(empty.slice(0, 30))
      setTimeout(() => response.destroy(), 50)
    }
    await withGateway(broken, async (gateway, headers) => {
      const response = await fetch(`${gateway.url}/api/v1/query?query=up`, { headers })
      await assert.rejects(response.text())
      await until(async () =>
        (await gateway.records()).some(({ kind, ended }) => kind === 'outcome' && ended === 'cut'),
      )
    })
  })
  it('is given up when the client goes away, before and during it', async () => {
    let silent = true
    const slow: RequestListener = (_, response) => {
      if (silent) return
      response.setHeader('content-type', 'application/json').write('{"status"')
    }
    await withGateway(slow, async (gateway, headers) => {
      for (silent of [true, false]) {
        const before = gateway.reached.length
        const gone = new AbortController()
        const asked = fetch(`${gateway.url}/api/v1/query?query=up`, { headers, signal: gone.signal }).then((response) =>
          response.text(),
        )
        asked.catch(() => {})
        await until(() => gateway.reached.length > before)
        assert.equal(await gateway.connections(), 1)
        await sleep(100)
        gone.abort()
        await assert.rejects(asked)
        await until(async () => (await gateway.connections()) === 0)
      }
      await until(
        async () =>
          (await gateway.records()).filter(({ kind, ended }) => kind === 'outcome' && ended === 'cut').length === 2,
      )
    })
  })
})
