// Requests that are written so that two readers would read them differently, sent byte by byte.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'

const answer = '{"status":"success","data":{"resultType":"vector","result":[]}}'

describe('request smuggling', () => {
  let gateway: StubGateway
  let authorization: string
  before(async () => {
    gateway = await startStubGateway((_, response) => {
      response.setHeader('content-type', 'application/json').end(answer)
    })
    authorization = `Authorization: Bearer ${await gateway.token()}`
  })
  after(() => gateway.stop())

  /** Sends bytes as they are and returns all that comes back until the connection ends or nothing more comes. */
  function raw(text: string): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1', () => socket.write(text))
      let came = ''
      socket.setEncoding('latin1').on('data', (chunk: string) => (came += chunk))
      // A half-open connection would be an abort to the server: it stays open until all is said.
      socket.setTimeout(700, () => socket.destroy())
      socket.on('error', () => {})
      socket.on('close', () => resolve(came))
    })
  }
  const statuses = (came: string): readonly string[] =>
    [...came.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, code = '']) => code)
  const head = (first: string, ...headers: readonly string[]): string =>
    [first, 'Host: gateway', authorization, ...headers, '', ''].join('\r\n')
  const form = 'Content-Type: application/x-www-form-urlencoded'
  const smuggled = `GET /api/v1/query?query=smuggled HTTP/1.1\r\nHost: gateway\r\n\r\n`

  it('reads a plain one, so that the others mean something', async () => {
    const came = await raw(head('GET /api/v1/query?query=up HTTP/1.1', 'Connection: close'))
    assert.deepEqual(statuses(came), ['200'])
    assert.match(came, /"success"/)
  })
  for (const [what, text] of [
    [
      'a length beside chunks',
      () =>
        head('POST /api/v1/query HTTP/1.1', form, 'Content-Length: 6', 'Transfer-Encoding: chunked') +
        `0\r\n\r\n${smuggled}`,
    ],
    [
      'two lengths',
      () => head('POST /api/v1/query HTTP/1.1', form, 'Content-Length: 8', 'Content-Length: 0') + 'query=up',
    ],
    ['a length that is none', () => head('POST /api/v1/query HTTP/1.1', form, 'Content-Length: +8') + 'query=up'],
    [
      'chunked, but not last',
      () => head('POST /api/v1/query HTTP/1.1', form, 'Transfer-Encoding: chunked, identity') + smuggled,
    ],
    [
      'a chunk size that is none',
      () => head('POST /api/v1/query HTTP/1.1', form, 'Transfer-Encoding: chunked') + `0x8\r\nquery=up\r\n0\r\n\r\n`,
    ],
    ['a folded header', () => head('GET /api/v1/query?query=up HTTP/1.1', 'X-A: b\r\n folded: c')],
    ['white space before the colon', () => head('GET /api/v1/query?query=up HTTP/1.1', 'Content-Length : 0')],
    ['a bare line feed for the end of a header', () => head('GET /api/v1/query?query=up HTTP/1.1', 'X-A: b\nX-B: c')],
    ['a NUL in a header', () => head('GET /api/v1/query?query=up HTTP/1.1', 'X-A: b\0c')],
    ['a line break in the target', () => head('GET /api/v1/query?query=up\r\nX: y HTTP/1.1')],
    ['no host', () => `GET /api/v1/query?query=up HTTP/1.1\r\n${authorization}\r\n\r\n`],
  ] as const) {
    it(`refuses ${what}, and nothing reaches Prometheus`, async () => {
      const before = gateway.reached.length
      const came = await raw(text())
      assert.ok(statuses(came).length <= 1, came)
      assert.match(came, /^HTTP\/1\.1 4\d\d /)
      assert.deepEqual(gateway.reached.slice(before), [])
    })
  }
  it('takes an absolute target, a fragment and dots for unknown paths', async () => {
    for (const target of [
      'http://gateway/api/v1/query?query=up',
      '/api/v1/query#?query=up',
      '/api/v1/x/../query?query=up',
      '/api/v1/query;a?query=up',
      '*',
      '//api/v1/query?query=up',
    ]) {
      const before = gateway.reached.length
      const came = await raw(head(`GET ${target} HTTP/1.1`, 'Connection: close'))
      assert.match(came, /^HTTP\/1\.1 4\d\d /, target)
      assert.deepEqual(gateway.reached.slice(before), [], target)
    }
  })
  it('does not take the rest of a refused body for another request', async () => {
    const before = gateway.reached.length
    const body = `${smuggled}${'x'.repeat(100)}`
    const came = await raw(
      head('POST /api/v1/query HTTP/1.1', 'Content-Type: text/plain', `Content-Length: ${body.length}`) + body,
    )
    assert.deepEqual(statuses(came), ['415'])
    assert.deepEqual(gateway.reached.slice(before), [])
  })
  it('answers two requests on one connection each with its own', async () => {
    const one = head('GET /api/v1/query?query=first HTTP/1.1')
    const two = `GET /api/v1/query?query=second HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n`
    const came = await raw(one + two)
    assert.deepEqual(statuses(came), ['200', '401'])
    assert.ok(!gateway.reached.some(({ body }) => body.includes('second')))
  })
})
