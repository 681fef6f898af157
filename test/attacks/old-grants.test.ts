// A grant ends with the policy that gave it: the gateway remembers tokens, decisions and scopes, and none of them may
// bring it back.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { close, listen } from '../../demo/parts/loopback.ts'
import { startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import { audience, startStubIssuer } from '../support/issuer.ts'
import type { StubIssuer } from '../support/issuer.ts'

const model = fileURLToPath(new URL('../../policies/model.conf', import.meta.url))

describe('a grant that is gone from the policy', () => {
  let dir: string
  let issuer: StubIssuer
  let prometheus: Server
  let port: number
  const queries: (string | null)[] = []
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'bailiwick-grants-'))
    issuer = await startStubIssuer()
    prometheus = createServer((request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
      request.on('end', () => {
        queries.push(new URLSearchParams(body).get('query'))
        response.setHeader('content-type', 'application/json').end('{"status":"success","data":[]}')
      })
    })
    port = await listen(prometheus, 0)
    await cp(model, join(dir, 'model.conf'))
  })
  after(async () => {
    await close(prometheus)
    await issuer.stop()
    await rm(dir, { recursive: true, force: true })
  })

  /** A gateway under these rules, with the same record, issuer and Prometheus as the ones before it. */
  async function startUnder(...rules: string[]) {
    await writeFile(join(dir, 'policy.csv'), rules.join('\n'))
    const clusters = { stub: `http://127.0.0.1:${port}` }
    const settings = { port: 0, adminPort: 0, clusters, issuer: issuer.issuer, audience, auditDir: join(dir, 'audit') }
    await writeFile(join(dir, 'bailiwick.yaml'), gatewayConfig(settings))
    const config = loadConfig(join(dir, 'bailiwick.yaml'))
    assert.ok(config.ok)
    const policy = { ...config.value.policy, model: join(dir, 'model.conf'), rules: [join(dir, 'policy.csv')] }
    return startApp({ ...config.value, policy }, pino({ level: 'silent' }))
  }
  /** What somebody with this token is sent for, or the status of the refusal; twice, as the second one is remembered. */
  async function askUnder(token: string, ...rules: string[]): Promise<readonly unknown[]> {
    const app = await startUnder(...rules)
    assert.ok(app.ok, JSON.stringify(app))
    try {
      const seen: unknown[] = []
      for (const _ of [1, 2]) {
        const before = queries.length
        const headers = { authorization: `Bearer ${token}` }
        const response = await fetch(`${app.value.url}/api/v1/query?query=up`, { headers })
        await response.arrayBuffer()
        seen.push(response.status === 200 ? queries[before] : response.status)
        if (response.status !== 200) assert.equal(queries.length, before)
      }
      return seen
    } finally {
      await app.value.stop()
    }
  }

  const one = 'p, group:a, *, query, namespace=one, allow'
  const every = 'p, group:a, *, query, *, allow'
  const twice = (value: unknown): readonly unknown[] => [value, value]

  it('is gone from the answers, though the token is the same', async () => {
    const token = await issuer.sign({ groups: ['a'] })
    assert.deepEqual(await askUnder(token, every), twice('up{}'))
    assert.deepEqual(await askUnder(token, one), twice('up{namespace=~"one"}'))
    assert.deepEqual(await askUnder(token, 'p, group:b, *, query, namespace=one, allow'), twice(403))
    assert.deepEqual(await askUnder(token, one, 'p, group:a, *, query, namespace=one, deny'), twice(403))
    assert.deepEqual(await askUnder(token, one, 'p, user:' + issuer.issuer + '#alice, *, *, *, deny'), twice(403))
    assert.deepEqual(await askUnder(token, one.replace('query', 'rules')), twice(403))
    assert.deepEqual(await askUnder(token, one.replace('*', 'other')), twice(403))
  })
  it('does not come back because the new policy cannot be read', async () => {
    for (const rules of [
      ['p, group:a, *, query, namespace=one, Allow'],
      ['p, group:a'],
      ['q, group:a, *, *, *, allow'],
    ]) {
      const app = await startUnder(...rules)
      assert.equal(app.ok, false, rules.join())
    }
  })
  it('does not come back by a token of before, either: its groups count, not what they once gave', async () => {
    const [before, now] = [await issuer.sign({ groups: ['a', 'b'] }), await issuer.sign({ groups: ['b'] })]
    const rules = [every, 'p, group:b, *, query, namespace=two, allow']
    assert.deepEqual(await askUnder(before, ...rules), twice('up{}'))
    assert.deepEqual(await askUnder(now, ...rules), twice('up{namespace=~"two"}'))
    assert.deepEqual(await askUnder(before, ...rules.slice(1)), twice('up{namespace=~"two"}'))
  })
})
