import assert from 'node:assert/strict'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, it } from 'node:test'
import { clientAddress, trustedProxies } from '../../src/gateway/client-address.ts'

/** A request from `peer` with these `X-Forwarded-For` headers. */
function request(peer: string, ...forwarded: readonly string[]): IncomingMessage {
  const socket = new Socket()
  Object.defineProperty(socket, 'remoteAddress', { value: peer })
  const made = new IncomingMessage(socket)
  made.headersDistinct['x-forwarded-for'] = [...forwarded]
  return made
}
const trusted = trustedProxies(['10.0.0.0/8', '2001:db8::/32', '192.0.2.1'])

describe("the client's address", () => {
  for (const [name, peer, forwarded, expected] of [
    ['is what the trusted proxy saw', '10.1.2.3', ['203.0.113.9'], '203.0.113.9'],
    [
      'is the right-most that is no proxy: the rest was written by the client',
      '10.1.2.3',
      ['198.51.100.1, 203.0.113.9, 10.9.9.9'],
      '203.0.113.9',
    ],
    ['is read over repeated headers', '192.0.2.1', ['198.51.100.1', '203.0.113.9'], '203.0.113.9'],
    ['may be IPv6, and the proxy too', '2001:db8::1', ['2001:4860::8'], '2001:4860::8'],
    ['is seen where the socket maps IPv4 into IPv6', '::ffff:10.1.2.3', ['203.0.113.9'], '203.0.113.9'],
    ['is nobody’s word from a peer that is not trusted', '203.0.113.1', ['198.51.100.1'], null],
    ['is not known where the proxy says nothing', '10.1.2.3', [], null],
    ['is not known where the proxy says no address', '10.1.2.3', ['unknown'], null],
    ['is not known where all are proxies', '10.1.2.3', ['10.0.0.1, 10.0.0.2'], null],
    ['is not taken from behind garbage', '10.1.2.3', ['203.0.113.9, <script>'], null],
  ] as const) {
    it(name, () => assert.equal(clientAddress(request(peer, ...forwarded), trusted), expected))
  }
  it('is only a claim where no proxy is trusted, which is the default', () => {
    assert.equal(clientAddress(request('127.0.0.1', '203.0.113.9'), trustedProxies([])), null)
  })
})
