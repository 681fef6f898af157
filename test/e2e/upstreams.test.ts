// A real Prometheus that asks for a client certificate and a password, behind the gateway. The certificates are made anew
// each time.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { writeHistory } from '../../demo/parts/linkerd-history.ts'
import { freePort, loopback } from '../../demo/parts/loopback.ts'
import { makeAuthority } from '../support/certificates.ts'
import type { Certificate } from '../support/certificates.ts'
import { startProgram } from '../support/program.ts'
import type { Program } from '../support/program.ts'
import { dataOf, send, seriesRequests } from '../support/prometheus-answers.ts'
import { startUpstreamGateway } from '../support/upstream-gateway.ts'
import type { UpstreamGateway } from '../support/upstream-gateway.ts'
import { startHistory, window } from '../support/world.ts'
import type { Database } from '../support/world.ts'

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

describe('a Prometheus that asks for a certificate and a password', () => {
  const [authority, strangers] = [makeAuthority(), makeAuthority('somebody else')]
  const client = authority.issue(['bailiwick'])
  const [username, password] = ['bailiwick', 'correct horse']
  // Of this password; Node cannot make bcrypt's.
  const hash = '$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e'
  let prometheus: Program
  let judge: Database
  let gateway: UpstreamGateway
  let alice: Record<string, string>

  before(async () => {
    judge = await startHistory((labels) => labels['namespace'] === 'emojivoto')
    const cache = fileURLToPath(new URL('../../.cache/history', import.meta.url))
    const { promtool, prometheus: binary } = judge.binary
    const { dataDir } = await writeHistory({ ...window, promtool, dir: cache, tell: () => {} })
    after(() => rmSync(dataDir, { recursive: true, force: true }))
    const port = await freePort()
    const url = `https://${loopback}:${port}`
    prometheus = await startProgram(binary, [...argumentsFor(port), `--storage.tsdb.path=${dataDir}`], () =>
      isReady(url),
    )
    const [basic, ca_file] = [
      { username, password_file: put('password', `${password}\n`) },
      put('ca.crt', authority.cert),
    ]
    const tls = { ca_file, ...putCertificate('client', client) }
    gateway = await startUpstreamGateway({
      good: { url, basic, tls },
      'no-password': { url, tls },
      'wrong-password': { url, tls, basic: { username, password: 'wrong' } },
      'a-token': { url, tls, bearerToken: 'abc' },
      'no-certificate': { url, basic, tls: { ca_file } },
      'certificate-of-strangers': {
        url,
        basic,
        tls: { ca_file, ...putCertificate('strange', strangers.issue(['x'])) },
      },
      'no-authority': { url, basic, tls: putCertificate('client', client) },
      'authority-of-strangers': { url, basic, tls: { ...tls, ca_file: put('strangers.crt', strangers.cert) } },
      'another-name': { url, basic, tls: { ...tls, serverName: 'other.internal' } },
      'plain-http': { url: url.replace('https', 'http'), basic },
    })
    alice = await gateway.as('team-emojivoto')
  })
  after(async () => {
    await gateway.stop()
    await prometheus.stop()
    await judge.stop()
  })

  function argumentsFor(port: number): readonly string[] {
    const { cert_file, key_file } = putCertificate('server', authority.issue(['localhost', loopback]))
    const web = {
      tls_server_config: {
        cert_file,
        key_file,
        client_auth_type: 'RequireAndVerifyClientCert',
        client_ca_file: put('clients.crt', authority.cert),
      },
      basic_auth_users: { [username]: hash },
    }
    return [
      `--config.file=${put('prometheus.yml', 'global: { scrape_interval: 1h }\n')}`,
      `--web.config.file=${put('web.yml', JSON.stringify(web))}`,
      `--web.listen-address=${loopback}:${port}`,
      '--storage.tsdb.retention.time=100y',
    ]
  }
  const isReady = async (url: string): Promise<boolean> => {
    const options = { ca: authority.cert, ...client, auth: `${username}:${password}` }
    const asked = tlsRequest(`${url}/-/ready`, options).end()
    const [response]: IncomingMessage[] = await once(asked, 'response')
    response?.resume()
    return response?.statusCode === 200
  }
  const askFor = (cluster: string) =>
    fetch(`${gateway.url}/clusters/${cluster}/api/v1/query?query=up`, { headers: alice })

  it('answers alice exactly what is hers, in every endpoint', async () => {
    for (const request of seriesRequests) {
      const through = await dataOf(await send(gateway.url, request, alice))
      assert.deepEqual(through, await dataOf(await send(judge.prometheus.url, request)))
    }
  })
  for (const cluster of ['no-password', 'wrong-password', 'a-token']) {
    it(`is 502, the gateway's own matter, with ${cluster}`, async () => {
      const response = await askFor(cluster)
      assert.equal(response.status, 502)
      assert.equal(response.headers.get('www-authenticate'), null)
      const text = await response.text()
      assert.match(text, notAccepted)
      assert.match(text, new RegExp(`cluster ${cluster} `))
      // Prometheus's own word for it.
      assert.doesNotMatch(text, /Unauthorized/)
      assert.match(gateway.failures().at(-1) ?? '', /^rejected: status 401/)
    })
  }
  for (const [cluster, detail] of [
    ['no-authority', /^untrusted: (unable to verify|self-signed)/],
    ['authority-of-strangers', /^untrusted: (unable to verify|self-signed)/],
    ['another-name', /^untrusted: Hostname\/IP does not match .* other\.internal/],
    // The server's no comes after the request was sent, with or without an alert before the connection ends.
    ['no-certificate', /^(untrusted: .*alert|unreachable: )/],
    ['certificate-of-strangers', /^(untrusted: .*alert|unreachable: )/],
  ] as const) {
    it(`is 502 with ${cluster}, and the log says why`, async () => {
      const response = await askFor(cluster)
      assert.equal(response.status, 502)
      const text = await response.text()
      const said = gateway.failures().at(-1) ?? ''
      assert.match(said, detail)
      assert.match(text, said.startsWith('untrusted') ? untrusted : /cannot be reached/)
    })
  }
  it('is 502 over plain http, which shows nothing of its answer', async () => {
    const response = await askFor('plain-http')
    assert.equal(response.status, 502)
    assert.doesNotMatch(await response.text(), /HTTP request to an HTTPS server/)
  })
  it('and no password, token or key is in the log', () => {
    assert.doesNotMatch(gateway.log(), /correct horse|PRIVATE KEY|Y29ycmVjdCBob3JzZ|abc"/)
  })
})
