// Credentials that change while the gateway runs, servers that do not take them, and servers that cannot be trusted.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, describe, it } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { loopback } from '../../demo/parts/loopback.ts'
import { makeAuthority } from '../support/certificates.ts'
import type { Certificate } from '../support/certificates.ts'
import { startUpstreamGateway } from '../support/upstream-gateway.ts'
import type { UpstreamGateway } from '../support/upstream-gateway.ts'

const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-upstreams-'))
after(() => rmSync(scratch, { recursive: true, force: true }))
function put(name: string, content: string): string {
  const file = join(scratch, name)
  writeFileSync(file, content)
  return file
}
const putCertificate = (name: string, { cert, key }: Certificate) => ({
  cert_file: put(`${name}.crt`, cert),
  key_file: put(`${name}.key`, key),
})

const untrusted = /cannot be reached over TLS that both sides trust: tell the operator/
const notAccepted = /did not accept the gateway's own credentials: tell the operator/

describe('an upstream of the test’s own', () => {
  const open: { gateway?: UpstreamGateway; server?: Server } = {}
  let seen: IncomingMessage[] = []
  afterEach(async () => {
    await open.gateway?.stop()
    open.server?.close()
    open.server?.closeAllConnections()
  })
  const empty = '{"status":"success","data":{"resultType":"vector","result":[]}}'
  const succeed = (_: IncomingMessage, response: ServerResponse): void => {
    response.setHeader('content-type', 'application/json').end(empty)
  }
  /** Starts one, and a gateway before it; the result asks it once and gives the status and the text. */
  async function start(settings: object, tls?: ServerOptions, answer = succeed) {
    seen = []
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      seen.push(request)
      request.resume()
      answer(request, response)
    }
    const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)
    open.server = server.listen(0, loopback)
    await once(server, 'listening')
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is one
    const { port } = server.address() as AddressInfo
    const url = `${tls === undefined ? 'http' : 'https'}://${loopback}:${port}`
    const gateway = await startUpstreamGateway({ stub: { url, ...settings } })
    open.gateway = gateway
    const headers = await gateway.as('team-emojivoto')
    return async (more: Record<string, string> = {}): Promise<readonly [status: number, text: string]> => {
      const response = await fetch(`${gateway.url}/api/v1/query?query=up`, { headers: { ...headers, ...more } })
      return [response.status, await response.text()]
    }
  }
  const lastHeaders = (): IncomingMessage['headers'] => seen.at(-1)?.headers ?? {}

  it('is sent the new token as soon as the file has one, and the last good one while it is away', async () => {
    const file = put('token', 'first\n')
    const ask = await start({ bearerToken_file: file })
    await ask()
    assert.equal(lastHeaders().authorization, 'Bearer first')
    writeFileSync(file, 'second\n')
    await ask()
    assert.equal(lastHeaders().authorization, 'Bearer second')
    unlinkSync(file)
    for (const _ of [1, 2]) {
      assert.equal((await ask())[0], 200)
      assert.equal(lastHeaders().authorization, 'Bearer second')
    }
    assert.deepEqual(open.gateway?.failures(), [
      ': bearerToken_file cannot be read (ENOENT): what was read before stays in use',
    ])
    writeFileSync(file, 'third')
    await ask()
    assert.equal(lastHeaders().authorization, 'Bearer third')
    assert.doesNotMatch(open.gateway?.log() ?? '', /first|second"|third/)
  })

  it('is sent the tenant and the password that are set, whatever the client sends', async () => {
    const settings = { tenant: { header: 'X-Scope-OrgID', value: 'a|b' }, basic: { username: 'u', password: 'p' } }
    const ask = await start(settings)
    const hostile = {
      'x-scope-orgid': 'c',
      'thanos-tenant': 'c',
      'proxy-authorization': 'Basic eDp5',
      'x-forwarded-user': 'c',
      'x-webauth-user': 'c',
      'x-prometheus-tenant': 'c',
      cookie: 'a=b',
    }
    assert.equal((await ask(hostile))[0], 200)
    const { host: _, 'content-length': __, ...headers } = lastHeaders()
    assert.deepEqual(headers, {
      connection: 'keep-alive',
      'user-agent': 'bailiwick',
      'accept-encoding': 'identity',
      'x-scope-orgid': 'a|b',
      authorization: `Basic ${btoa('u:p')}`,
      'content-type': 'application/x-www-form-urlencoded',
    })
  })

  for (const status of [401, 403]) {
    it(`that answers ${status} is 502 with nothing of its answer, also where a filter reads it`, async () => {
      const ask = await start({ bearerToken: 'abc' }, undefined, (_, response) => {
        response.writeHead(status, { 'content-type': 'application/json', 'www-authenticate': 'Basic realm="secret"' })
        response.end('{"status":"error","errorType":"unauthorized","error":"secret"}')
      })
      const [told, text] = await ask()
      assert.equal(told, 502)
      assert.match(text, notAccepted)
      assert.doesNotMatch(text, /secret/)
      const gateway = open.gateway ?? assert.fail()
      const rules = await fetch(`${gateway.url}/api/v1/rules`, { headers: await gateway.as('team-emojivoto') })
      assert.equal(rules.status, 502)
      assert.match(await rules.text(), notAccepted)
    })
  }

  describe('over TLS', () => {
    const authority = makeAuthority()
    const ca = authority.cert

    it('is sent the new certificate as soon as the files have one, and connections with the old one are not used', async () => {
      const files = putCertificate('rotated', authority.issue(['one']))
      const names: unknown[] = []
      const ask = await start(
        { tls: { ca, ...files } },
        { ...authority.issue([loopback]), ca, requestCert: true, rejectUnauthorized: true },
        (request, response) => {
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TLS server's socket is one
          names.push((request.socket as TLSSocket).getPeerCertificate().subject.CN)
          succeed(request, response)
        },
      )
      assert.equal((await ask())[0], 200)
      assert.equal((await ask())[0], 200)
      putCertificate('rotated', authority.issue(['two']))
      assert.equal((await ask())[0], 200)
      assert.deepEqual(names, ['one', 'one', 'two'])
      assert.notEqual(seen[1]?.socket.remotePort, seen[2]?.socket.remotePort)
      assert.equal(seen[0]?.socket.remotePort, seen[1]?.socket.remotePort)
    })
    it('may finish what is under way when the files change', async () => {
      const files = putCertificate('changing', authority.issue(['one']))
      const held: ServerResponse[] = []
      let arrived = Promise.withResolvers<undefined>()
      const ask = await start({ tls: { ca, ...files } }, authority.issue([loopback]), (_, response) => {
        held.push(response)
        arrived.resolve(undefined)
      })
      const before = ask()
      await arrived.promise
      putCertificate('changing', authority.issue(['two']))
      arrived = Promise.withResolvers<undefined>()
      const now = ask()
      await arrived.promise
      for (const response of held) succeed(seen[0] ?? assert.fail(), response)
      assert.deepEqual([(await before)[0], (await now)[0]], [200, 200])
    })
    it('is asked by its own name where serverName says so', async () => {
      const ask = await start(
        { tls: { ca, serverName: 'prometheus.internal' } },
        authority.issue(['prometheus.internal']),
      )
      assert.deepEqual(await ask(), [
        200,
        empty.replace(/}$/, ',"infos":["bailiwick: narrowed to namespace: emojivoto"]}'),
      ])
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TLS server's socket is one
      assert.equal(Reflect.get(seen[0]?.socket as TLSSocket, 'servername'), 'prometheus.internal')
    })
    for (const [what, certificate, detail] of [
      ['has expired', authority.issue([loopback], -1), /^untrusted: certificate has expired/],
      ['is of another name', authority.issue(['other']), /^untrusted: Hostname\/IP does not match/],
      ['is of another authority', makeAuthority('x').issue([loopback]), /^untrusted: unable to verify/],
    ] as const) {
      it(`is not asked at all where its certificate ${what}, whatever the environment says`, async () => {
        const ask = await start({ tls: { ca }, bearerToken: 'abc' }, certificate)
        process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
        const [status, text] = await ask().finally(() => delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'])
        assert.equal(status, 502)
        assert.match(text, untrusted)
        assert.match(open.gateway?.failures().at(-1) ?? '', detail)
        assert.deepEqual(seen, [])
      })
    }
  })
})
