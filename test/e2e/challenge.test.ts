// A client that knows nothing but the gateway's URL learns from a refusal where to get a token (RFC 6750 §3, RFC 9728).
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'

const empty = '{"status":"success","data":{"resultType":"vector","result":[]}}'
const metadataPath = '/.well-known/oauth-protected-resource'

describe('a stranger', () => {
  let gateway: StubGateway
  before(async () => {
    gateway = await startStubGateway(
      (_, response) => response.setHeader('content-type', 'application/json').end(empty),
      (config) => ({ ...config, publicUrl: 'https://metrics.example.org/team' }),
    )
  })
  after(() => gateway.stop())

  it('is told where the metadata is, and finds the issuer in it', async () => {
    const refused = await fetch(`${gateway.url}/api/v1/query?query=up`)
    assert.equal(refused.status, 401)
    const where = `https://metrics.example.org${metadataPath}/team`
    assert.equal(refused.headers.get('www-authenticate'), `Bearer realm="bailiwick", resource_metadata="${where}"`)
    const metadata = await fetch(`${gateway.url}${metadataPath}`)
    assert.equal(metadata.headers.get('content-type'), 'application/json')
    const { authorization_servers: servers, ...rest } = Object(await metadata.json())
    assert.deepEqual(rest, {
      resource: 'https://metrics.example.org/team',
      resource_name: 'bailiwick',
      bearer_methods_supported: ['header'],
    })
    const discovered = await fetch(`${servers[0]}/.well-known/openid-configuration`)
    assert.equal(discovered.status, 200)
  })
  it('gets the same challenge with the reason, whatever was wrong with the token', async () => {
    const refused = await fetch(`${gateway.url}/api/v1/query?query=up`, { headers: { authorization: 'Bearer x.y.z' } })
    const challenge = refused.headers.get('www-authenticate') ?? ''
    assert.match(challenge, /^Bearer realm="bailiwick", resource_metadata="[^"]+", error="invalid_token", error_desc/)
  })
  it('is not asked for Basic, lest a browser should ask for a password', async () => {
    const refused = await fetch(`${gateway.url}/api/v1/query?query=up`, { headers: { authorization: 'Basic eDp5' } })
    assert.equal(refused.status, 401)
    assert.doesNotMatch(refused.headers.get('www-authenticate') ?? '', /Basic/)
  })
})

describe('HTTP Basic', () => {
  let gateway: StubGateway
  before(async () => {
    gateway = await startStubGateway((_, response) => response.setHeader('content-type', 'application/json').end(empty))
  })
  after(() => gateway.stop())
  const ask = (userAndPassword: string): Promise<Response> =>
    fetch(`${gateway.url}/api/v1/query?query=up`, {
      headers: { authorization: `Basic ${Buffer.from(userAndPassword).toString('base64')}` },
    })

  it('with a token as the password lets its bearer in, and says so in the record', async () => {
    assert.equal((await ask(`anything:${await gateway.token()}`)).status, 200)
    const decision = (await gateway.records()).findLast(({ kind }) => kind === 'decision')
    assert.equal(Object(decision?.['who']).via, 'basic')
    assert.equal(gateway.reached.at(-1)?.headers.authorization, undefined)
  })
  it('with anything else lets nobody in', async () => {
    const token = await gateway.token()
    for (const [credentials, status] of [
      [`${token}:`, 400],
      [token, 400],
      [`:x${token}`, 401],
      [`:${token} `, 400],
      ['admin:admin', 401],
      ['', 400],
    ] as const) {
      assert.equal((await ask(credentials)).status, status, credentials.slice(0, 20))
    }
  })
  it('is the only place for a token beside the bearer header: never the URL or the body', async () => {
    const token = await gateway.token()
    const inUrl = await fetch(`${gateway.url}/api/v1/query?query=up&access_token=${token}`)
    const inBody = await fetch(`${gateway.url}/api/v1/query`, {
      method: 'POST',
      body: new URLSearchParams({ query: 'up', access_token: token }),
    })
    assert.deepEqual([inUrl.status, inBody.status], [401, 401])
  })
})
