// More requests whose end or whose author two readers could see differently, sent byte by byte. See smuggling.test.ts.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'

const form = 'Content-Type: application/x-www-form-urlencoded'
const close = 'Connection: close'
const chunked = 'Transfer-Encoding: chunked'
const good = '8\r\nquery=up\r\n0\r\n\r\n'

describe('a request', () => {
  let gateway: StubGateway
  let authorization: string
  before(async () => {
    gateway = await startStubGateway((_, response) => {
      response.setHeader('content-type', 'application/json').end('{"status":"success","data":[]}')
    })
    authorization = `Authorization: Bearer ${await gateway.token()}`
  })
  after(() => gateway.stop())

  /** Sends bytes as they are; gives the statuses that come back, and the queries that reached Prometheus meanwhile. */
  async function send(...lines: readonly string[]) {
    const before = gateway.reached.length
    const { promise, resolve } = Promise.withResolvers<undefined>()
    let came = ''
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1', () => socket.write(lines.join('\r\n')))
    socket.setEncoding('latin1').on('data', (chunk: string) => (came += chunk))
    socket.setTimeout(700, () => socket.destroy())
    socket.on('error', () => {})
    socket.on('close', () => resolve(undefined))
    await promise
    return {
      statuses: [...came.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status = '']) => status),
      queries: gateway.reached.slice(before).map(({ body }) => new URLSearchParams(body).get('query')),
      headers: gateway.reached.slice(before).map(({ headers }) => headers),
    }
  }
  const post = (more: readonly string[], body: string) =>
    send('POST /api/v1/query HTTP/1.1', 'Host: gateway', authorization, form, close, ...more, '', body)
  const scoped = 'up{namespace=~"emojivoto"}'

  it('in chunks goes on, once, or the rest would mean nothing', async () => {
    const { statuses, queries } = await post([chunked], good)
    assert.deepEqual([statuses, queries], [['200'], [scoped]])
  })
  for (const [what, body] of [
    ['larger than any number', `1${'0'.repeat(16)}8\r\nquery=up\r\n0\r\n\r\n`],
    ['below nothing', '-8\r\nquery=up\r\n0\r\n\r\n'],
    ['with a sign', '+8\r\nquery=up\r\n0\r\n\r\n'],
    ['with white space before it', ' 8\r\nquery=up\r\n0\r\n\r\n'],
    ['with an underscore', '0_8\r\nquery=up\r\n0\r\n\r\n'],
    ['that is missing', '\r\nquery=up\r\n0\r\n\r\n'],
    ['that is too small', '3\r\nquery=up\r\n0\r\n\r\n'],
    ['that ends with a line feed alone', '8\nquery=up\r\n0\r\n\r\n'],
    ['whose extension holds a line feed', '8;a\nb\r\nquery=up\r\n0\r\n\r\n'],
  ] as const) {
    it(`of a chunk size ${what} is refused, and nothing reaches Prometheus`, async () => {
      const { statuses, queries } = await post([chunked], body)
      assert.deepEqual([statuses, queries], [['400'], []])
    })
  }
  for (const [what, headers] of [
    ['is no known one', ['Transfer-Encoding: xchunked']],
    ['has white space in front of its colon', ['Transfer-Encoding : chunked']],
    ['is hidden behind a vertical tab', ['Transfer-Encoding:\u000bchunked']],
    ['ends with another one', [chunked, 'Transfer-Encoding: identity']],
    ['is folded', ['Transfer-Encoding:', ' chunked']],
    ['comes with a length', ['Content-Length: 8', chunked]],
    ['comes with a length of nothing', [chunked, 'Content-Length: 0']],
  ] as const) {
    it(`whose transfer encoding ${what} is refused, and nothing reaches Prometheus`, async () => {
      const { statuses, queries } = await post(headers, good)
      assert.deepEqual([statuses, queries], [['400'], []])
    })
  }
  it('of two content types is read by the first or refused, never by the second', async () => {
    const multipart = 'Content-Type: multipart/form-data; boundary=b'
    const first = await post([multipart, 'Content-Length: 8'], 'query=up')
    assert.deepEqual([first.statuses, first.queries], [['200'], [scoped]])
    const lines = [
      'POST /api/v1/query HTTP/1.1',
      'Host: gateway',
      authorization,
      close,
      multipart,
      form,
      'Content-Length: 8',
    ]
    const second = await send(...lines, '', 'query=up')
    assert.deepEqual([second.statuses, second.queries], [['415'], []])
  })
  it('whose credentials come behind its body is a stranger’s', async () => {
    const lines = ['POST /api/v1/query HTTP/1.1', 'Host: gateway', close, form, chunked, 'Trailer: Authorization', '']
    const { statuses, queries } = await send(...lines, `8\r\nquery=up\r\n0\r\n${authorization}\r\n\r\n`)
    assert.deepEqual([statuses, queries], [['401'], []])
  })
  it('with two Authorization headers is refused, in whichever case and order, though one is good', async () => {
    for (const other of [authorization, 'authorization: Bearer x', 'AUTHORIZATION: Basic eDp5', 'Authorization:']) {
      for (const headers of [
        [authorization, other],
        [other, authorization],
      ]) {
        const { statuses, queries } = await send(
          'GET /api/v1/query?query=up HTTP/1.1',
          'Host: gateway',
          close,
          ...headers,
          '',
          '',
        )
        assert.deepEqual([statuses, queries], [['400'], []], other)
      }
    }
  })
  it('behind one of somebody known on the same connection has no part in their token', async () => {
    const one = ['GET /api/v1/query?query=up HTTP/1.1', 'Host: gateway', authorization, '', ''].join('\r\n')
    const next = [
      'POST /api/v1/query HTTP/1.1',
      'Host: gateway',
      close,
      form,
      'Content-Length: 12',
      '',
      'query=secret',
    ].join('\r\n')
    const { statuses, queries } = await send(`${one}${next}`)
    assert.deepEqual([statuses, queries], [['200', '401'], [scoped]])
  })
  it('inside of the body of a refused one is not answered', async () => {
    const inner = `GET /api/v1/query?query=inner HTTP/1.1\r\nHost: gateway\r\n${authorization}\r\n\r\n`
    for (const [first, type] of [
      ['POST /api/v1/query HTTP/1.1', 'Content-Type: text/plain'],
      ['PUT /api/v1/query HTTP/1.1', form],
      ['POST /api/v1/nothing HTTP/1.1', form],
      ['GET /api/v1/query HTTP/1.1', form],
      ['POST /api/v1/write HTTP/1.1', form],
    ] as const) {
      const length = `Content-Length: ${inner.length + 100}`
      const { statuses, queries } = await send(first, 'Host: gateway', authorization, type, length, '', inner)
      assert.equal(statuses.length, 1, first)
      assert.match(statuses[0] ?? '', /^4/)
      assert.deepEqual(queries, [], first)
    }
  })
  it('to become another protocol stays one of HTTP/1.1, and Prometheus hears nothing of it', async () => {
    for (const upgrade of ['h2c', 'websocket', 'TLS/1.3']) {
      const more = [
        'Connection: Upgrade, HTTP2-Settings, close',
        `Upgrade: ${upgrade}`,
        'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
      ]
      const lines = ['GET /api/v1/query?query=up HTTP/1.1', 'Host: gateway', authorization, ...more, '', '']
      const { statuses, queries, headers } = await send(...lines)
      assert.deepEqual([statuses, queries], [['200'], [scoped]], upgrade)
      assert.equal(headers[0]?.upgrade, undefined)
      assert.equal(headers[0]?.connection, 'keep-alive')
    }
    const preface = await send('PRI * HTTP/2.0', '', 'SM', '', '')
    assert.deepEqual([preface.statuses, preface.queries], [['400'], []])
  })
  it('to be led elsewhere (CONNECT) is not answered at all', async () => {
    const { statuses, queries } = await send('CONNECT prometheus:9090 HTTP/1.1', 'Host: gateway', authorization, '', '')
    assert.deepEqual([statuses, queries], [[], []])
  })
})
