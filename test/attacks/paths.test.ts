// Methods and paths that a router and a Prometheus behind it could take for different ones. A path has one spelling
// here, and what is asked of Prometheus is the table's path, never the one that was typed.
import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { after, before, describe, it } from 'node:test'
import type { Config } from '../../src/config/config.ts'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { Reached, StubGateway } from '../support/stub-gateway.ts'

const query = '?query=up'

interface Sent {
  readonly status: number
  readonly reached: readonly Reached[]
}

/** Starts a gateway whose Prometheus has its API below `prefix`, and gives a way to ask it as somebody known. */
async function startDoor(prefix: string) {
  const change = (config: Config): Config => ({
    ...config,
    clusters: config.clusters.map(({ prometheus, ...cluster }) => ({
      ...cluster,
      prometheus: { ...prometheus, url: `${prometheus.url}${prefix}` },
    })),
  })
  const gateway: StubGateway = await startStubGateway((_, response) => {
    response.setHeader('content-type', 'application/json').end('{"status":"success","data":[]}')
  }, change)
  const authorization = `Bearer ${await gateway.token()}`
  const { hostname, port } = new URL(gateway.url)
  // Not fetch: that would tidy the path up before it is sent.
  const send = async (method: string, path: string, more: Readonly<Record<string, string>> = {}): Promise<Sent> => {
    const before = gateway.reached.length
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    httpRequest({ hostname, port, method, path, headers: { authorization, ...more } }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0))
    })
      .on('error', reject)
      .end()
    return { status: await promise, reached: gateway.reached.slice(before) }
  }
  return { send, stop: () => gateway.stop() }
}

describe('a request for a path of the API', () => {
  let door: Awaited<ReturnType<typeof startDoor>>
  before(async () => {
    door = await startDoor('')
  })
  after(() => door.stop())

  async function assertUnknown(paths: readonly string[]): Promise<void> {
    for (const path of paths) assert.deepEqual(await door.send('GET', path), { status: 404, reached: [] }, path)
  }

  it('that is plain goes on, once, or the rest would mean nothing', async () => {
    for (const path of [`/api/v1/query${query}`, `/clusters/stub/api/v1/query${query}`]) {
      const { status, reached } = await door.send('GET', path)
      assert.equal(status, 200)
      assert.deepEqual(
        reached.map(({ method, url }) => [method, url]),
        [['POST', '/api/v1/query']],
      )
    }
  })

  it('by PUT, PATCH, HEAD, OPTIONS or another method does not reach Prometheus', async () => {
    const methods = [
      'PUT',
      'PATCH',
      'HEAD',
      'OPTIONS',
      'DELETE',
      'TRACE',
      'PROPFIND',
      'QUERY',
      'SEARCH',
      'PURGE',
      'LINK',
    ]
    for (const path of [
      `/api/v1/query${query}`,
      '/federate?match[]=up',
      '/api/v1/label/pod/values',
      '/api/v1/alerts',
    ]) {
      for (const method of methods) {
        assert.deepEqual(await door.send(method, path), { status: 405, reached: [] }, `${method} ${path}`)
      }
    }
    for (const path of ['/federate?match[]=up', '/api/v1/label/pod/values', '/api/v1/rules', '/clusters']) {
      assert.deepEqual(await door.send('POST', path), { status: 405, reached: [] }, path)
    }
  })
  it('with a header that would override the method keeps its own', async () => {
    for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override', 'x-original-method']) {
      for (const method of ['DELETE', 'PUT', 'POST']) {
        const { status, reached } = await door.send('GET', '/federate?match[]=up', { [name]: method })
        // The stub answers with JSON, which a federation must not be: 502, but it was asked.
        assert.equal(status, 502)
        assert.equal(reached[0]?.method, 'GET')
        assert.equal(reached[0].headers[name], undefined)
      }
      assert.deepEqual(await door.send('PUT', `/api/v1/query${query}`, { [name]: 'GET' }), { status: 405, reached: [] })
    }
  })
  it('with a header that would override the path keeps its own', async () => {
    const elsewhere = '/api/v1/status/config'
    for (const name of [
      ...['x-original-url', 'x-rewrite-url', 'x-original-uri', 'x-forwarded-uri', 'x-envoy-original-path'],
      ...[
        'x-forwarded-prefix',
        'x-forwarded-path',
        'x-script-name',
        'x-accel-redirect',
        'x-forwarded-host',
        'forwarded',
      ],
    ]) {
      const { status, reached } = await door.send('GET', `/api/v1/query${query}`, { [name]: elsewhere })
      assert.equal(status, 200)
      assert.equal(reached[0]?.url, '/api/v1/query', name)
      assert.equal(reached[0].headers[name], undefined)
    }
  })

  it('with an encoded letter is unknown', () =>
    assertUnknown([
      `/api/v1/%71uery${query}`,
      `/%61pi/v1/query${query}`,
      `/api/v1/quer%79${query}`,
      `/api/v1/%2571uery${query}`,
      '/%66ederate?match[]=up',
      '/api/v1/label/%6eamespace/values',
      `/clusters/%73tub/api/v1/query${query}`,
      `/%63lusters/stub/api/v1/query${query}`,
    ]))
  it('with dots in it is unknown', () =>
    assertUnknown([
      `/api/v1/./query${query}`,
      `/api/v1/x/../query${query}`,
      '/api/v1/query/../status/config',
      '/api/v1/query/..%2fstatus/config',
      '/api/v1/query/%2e%2e/status/config',
      '/api/v1/query/..;/status/config',
      '/api/v1/query/..\\status\\config',
      '/api/v1/label/../values',
      '/api/v1/label/%2e%2e/values',
      '/api/v1/label/..%2f..%2fstatus%2fconfig%3f/values',
      `/clusters/stub/../stub/api/v1/query${query}`,
      `/clusters/../api/v1/query${query}`,
      '/../../api/v1/admin/tsdb/snapshot',
    ]))
  it('with two slashes, or one at its end, is unknown', () =>
    assertUnknown([
      `//api/v1/query${query}`,
      `/api//v1/query${query}`,
      `/api/v1//query${query}`,
      `/api/v1/query/${query}`,
      '/federate/?match[]=up',
      '/api/v1/label/pod/values/',
      `/clusters//api/v1/query${query}`,
      `/clusters/stub//api/v1/query${query}`,
      `/clusters/stub/api/v1/query/${query}`,
      '/clusters/stub/',
      '/clusters/',
    ]))
  it('with a semicolon, a space or a NUL behind it is unknown', () =>
    assertUnknown([
      `/api/v1/query;x${query}`,
      `/api/v1/query;jsessionid=1${query}`,
      `/api/v1/query%3bx${query}`,
      `/api/v1/query%20${query}`,
      `/api/v1/query%09${query}`,
      `/api/v1/query%00${query}`,
      `/api/v1/query%0d%0aX-A:b${query}`,
      `/api/v1/query%23${query}`,
      '/api/v1/query%3fquery=up',
      '/api/v1/label/pod;x/values',
      `/clusters/stub;x/api/v1/query${query}`,
    ]))
  it('with an encoded slash is unknown, in either case of its letters', () =>
    assertUnknown([
      `/api%2fv1%2fquery${query}`,
      `/api%2Fv1%2Fquery${query}`,
      `/api/v1%5cquery${query}`,
      `/api/v1%5Cquery${query}`,
      '/api/v1/label/a%2fb/values',
      '/api/v1/label/pod%2Fvalues',
      `/clusters%2Fstub/api/v1/query${query}`,
      `/clusters/stub%2fapi/v1/query${query}`,
    ]))
  it('in capitals is unknown', () =>
    assertUnknown([
      `/API/V1/QUERY${query}`,
      `/api/v1/Query${query}`,
      '/Federate?match[]=up',
      `/clusters/STUB/api/v1/query${query}`,
      `/Clusters/stub/api/v1/query${query}`,
    ]))
  it('under the name of a cluster that is none, or twice under one, is unknown', () =>
    assertUnknown([
      `/clusters/__proto__/api/v1/query${query}`,
      `/clusters/constructor/api/v1/query${query}`,
      `/clusters/stub/clusters/stub/api/v1/query${query}`,
      `/clusters/stub,stub/api/v1/query${query}`,
      '/clusters/stub',
    ]))
  it('that is Prometheus’s own page, switch or debugger is unknown', () =>
    assertUnknown([
      ...['/', '/graph', '/query', '/alerts', '/targets', '/config', '/flags', '/tsdb-status', '/version', '/metrics'],
      ...['/consoles/index.html', '/classic/graph', '/static/x', '/debug/pprof/heap', '/debug/pprof/cmdline'],
      ...['/-/quit', '/-/reload', '/-/healthy', '/-/ready', '/api/v1', '/api/v2/query', '/api/v1/admin/tsdb'],
    ]))
})

describe('a stranger', () => {
  let gateway: StubGateway
  before(async () => {
    gateway = await startStubGateway((_, response) => void response.end())
  })
  after(() => gateway.stop())

  it('does not learn which clusters there are', async () => {
    const statusOf = async (cluster: string, authorization = ''): Promise<number> => {
      const headers = authorization === '' ? {} : { authorization }
      return (await fetch(`${gateway.url}/clusters/${cluster}/api/v1/query${query}`, { headers })).status
    }
    assert.deepEqual([await statusOf('stub'), await statusOf('nosuch')], [401, 401])
    assert.equal(await statusOf('nosuch', `Bearer ${await gateway.token()}`), 404)
  })
})

describe('a Prometheus below a path of its own', () => {
  let door: Awaited<ReturnType<typeof startDoor>>
  before(async () => {
    door = await startDoor('/prometheus/')
  })
  after(() => door.stop())

  it('is asked below it, whichever way the client came', async () => {
    for (const path of [`/api/v1/query${query}`, `/clusters/stub/api/v1/query${query}`]) {
      const { reached } = await door.send('GET', path)
      assert.deepEqual(
        reached.map(({ url }) => url),
        ['/prometheus/api/v1/query'],
      )
    }
  })
  it('cannot be left, nor its path be typed, by a client', async () => {
    for (const path of [
      `/prometheus/api/v1/query${query}`,
      `/clusters/stub/prometheus/api/v1/query${query}`,
      `/prometheus/clusters/stub/api/v1/query${query}`,
      '/clusters/stub/../api/v1/admin/tsdb/snapshot',
      '/clusters/stub/%2e%2e/metrics',
      `//prometheus/api/v1/query${query}`,
      `@evil.test/api/v1/query${query}`,
    ]) {
      const { status, reached } = await door.send('GET', path)
      assert.ok(status === 404 || status === 400, `${status} ${path}`)
      assert.deepEqual(reached, [], path)
    }
  })
})
