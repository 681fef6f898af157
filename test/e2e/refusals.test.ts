// Whoever is not known, and whatever is not understood, gets an error that Grafana and curl can show.
import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { SignJWT, base64url, decodeJwt, decodeProtectedHeader } from 'jose'
import supertest from 'supertest'
import { startIdp } from '../../demo/parts/idp.ts'
import { people } from '../../demo/parts/people.ts'
import { endpoints } from '../../src/prometheus/endpoints.ts'
import { audience, startWorld } from '../support/world.ts'
import type { World } from '../support/world.ts'

const pathOf = (name: string): string => name.replace('<name>', 'namespace')

/** What Grafana can show: this body, these keys in this order, no `data`, short, the sentence first. */
function assertEnvelope(text: string, contentType: string | undefined): string {
  assert.match(contentType ?? '', /^application\/json/)
  assert.ok(Buffer.byteLength(text) < 900, `${text.length} bytes`)
  const body: unknown = JSON.parse(text)
  assert.deepEqual(Object.keys(Object(body)), ['status', 'errorType', 'error'])
  assert.match(text, /^\{"status":"error","errorType":"[a-z_]+","error":"/)
  return String(Reflect.get(Object(body), 'error'))
}

describe('refusals', () => {
  let world: World
  let good: string
  before(async () => {
    world = await startWorld()
    good = await world.idp.token('alice')
  })
  after(() => world.stop())

  const ask = (authorization?: string, path = '/api/v1/query?query=up') => {
    const asked = supertest(world.app.url).get(path)
    return authorization === undefined ? asked : asked.set('authorization', authorization)
  }

  describe('a stranger gets 401 with WWW-Authenticate', () => {
    for (const [name, { methods }] of Object.entries(endpoints)) {
      for (const method of methods) {
        it(`${method} ${name}`, async () => {
          const agent = supertest(world.app.url)
          const verb = ({ GET: 'get', POST: 'post', PUT: 'put' } as const)[method]
          const response = await agent[verb](pathOf(name))
          assert.equal(response.status, 401)
          // RFC 6750 §3: no error code where no credentials were sent.
          assert.equal(response.headers['www-authenticate'], 'Bearer realm="bailiwick"')
          assertEnvelope(response.text, response.headers['content-type'])
        })
      }
    }
  })

  describe('a token that is not good gets 401 with the reason, in body and challenge', () => {
    async function assertInvalid(token: string, words: RegExp): Promise<void> {
      const response = await ask(`Bearer ${token}`)
      assert.equal(response.status, 401, response.text)
      assert.match(
        response.headers['www-authenticate'] ?? '',
        /^Bearer realm="bailiwick", error="invalid_token", error_description="[\x20-\x21\x23-\x5B\x5D-\x7E]+"$/,
      )
      assert.match(assertEnvelope(response.text, response.headers['content-type']), words)
      if (token.length > 40) assert.ok(!response.text.includes(token.slice(10, 40)))
    }
    it('expired', async () => {
      const token = await world.idp.token('alice', { expiresIn: 1 })
      assert.equal((await ask(`Bearer ${token}`)).status, 200)
      await sleep(3_000)
      await assertInvalid(token, /expired at 20\d\d-.*fresh/)
    })
    it('for another audience of the same issuer', async () => {
      await assertInvalid(await world.idp.token('alice', { audience: 'https://other.test' }), /another audience/)
    })
    it('from another issuer, as real as ours', async () => {
      const other = await startIdp({ people, audience })
      try {
        await assertInvalid(await other.token('alice'), /issuer/)
      } finally {
        await other.stop()
      }
    })
    it('alg none', async () => {
      const header = base64url.encode(JSON.stringify({ ...decodeProtectedHeader(good), alg: 'none' }))
      await assertInvalid(`${header}.${good.split('.')[1]}.`, /./)
    })
    it('HS256', async () => {
      const claims = { ...decodeJwt(good), groups: ['platform'] }
      const secret = Buffer.from('secret'.repeat(8))
      await assertInvalid(await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(secret), /algorithm/)
    })
    it('good, but with other groups written in', async () => {
      const [header, , signature] = good.split('.')
      const payload = base64url.encode(JSON.stringify({ ...decodeJwt(good), groups: ['platform'] }))
      await assertInvalid(`${header}.${payload}.${signature}`, /signature/)
    })
    it('garbage', async () => {
      for (const token of ['x', 'a.b.c', '....', 'eyJhbGciOiJSUzI1NiJ9.e30.AAAA']) await assertInvalid(token, /./)
    })
  })

  it('ES256 tokens of the same issuer are good too', async () => {
    const token = await world.idp.token('alice', { algorithm: 'ES256' })
    assert.equal((await ask(`Bearer ${token}`)).status, 200)
  })

  describe('credentials of a wrong form get 400', () => {
    interface Raw {
      readonly status: number
      readonly headers: NodeJS.Dict<string>
      readonly text: string
    }
    function raw(headers: readonly string[]): Promise<Raw> {
      const { promise, resolve, reject } = Promise.withResolvers<Raw>()
      const sent = ['Host', new URL(world.app.url).host, ...headers]
      httpRequest(`${world.app.url}/api/v1/query?query=up`, { headers: sent }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('end', () => {
          const flat = Object.entries(response.headers).map(([name, value]) => [name, String(value)])
          resolve({ status: response.statusCode ?? 0, headers: Object.fromEntries(flat), text })
        })
      })
        .on('error', reject)
        .end()
      return promise
    }
    it('two Authorization headers, both good', async () => {
      const sent = ['Authorization', `Bearer ${good}`, 'Authorization', `Bearer ${good}`]
      const { status, headers, text } = await raw(sent)
      assert.equal(status, 400)
      assert.match(headers['www-authenticate'] ?? '', /error="invalid_request"/)
      assert.match(assertEnvelope(text, headers['content-type']), /exactly one/)
    })
    it('another scheme', async () => {
      assert.equal((await ask('Digest YWxpY2U6eA==')).status, 400)
    })
    it('and a token in the URL is not a credential', async () => {
      assert.equal((await ask(undefined, `/api/v1/query?query=up&access_token=${good}`)).status, 401)
    })
  })

  describe('a known person who asks for something else', () => {
    const bearer = () => `Bearer ${good}`
    it('an unknown path: 404, without asking Prometheus', async () => {
      for (const path of [
        '/api/v1/nothing',
        '/api/v1/admin/tsdb',
        '/api/v1/status',
        '/',
        '/graph',
        '/metrics',
        '/api/v1/query/',
        '/api/v1/%71uery',
        '/-/quit',
        '//api/v1/query',
      ]) {
        const response = await ask(bearer(), path)
        assert.equal(response.status, 404, path)
        assertEnvelope(response.text, response.headers['content-type'])
      }
    })
    it('a wrong method: 405 with Allow', async () => {
      const agent = supertest(world.app.url)
      for (const method of ['put', 'patch', 'delete', 'options', 'head'] as const) {
        const response = await agent[method]('/api/v1/query?query=up').set('authorization', bearer())
        assert.equal(response.status, 405, method)
        assert.equal(response.headers['allow'], 'GET, POST')
      }
      assert.equal((await agent.post('/federate').set('authorization', bearer()).send('match[]=up')).status, 405)
    })
    it('a method-override header: it changes nothing', async () => {
      const response = await ask(bearer(), '/federate?match[]=up').set('x-http-method-override', 'DELETE')
      assert.equal(response.status, 200)
    })
    it('a query that is no PromQL: 422, with the spot in their own text', async () => {
      const query = encodeURIComponent('sum(rate(request_total[5m])')
      const response = await ask(bearer(), `/api/v1/query?query=${query}`)
      assert.equal(response.status, 422)
      const sentence = assertEnvelope(response.text, response.headers['content-type'])
      assert.match(sentence, /\n\s*sum\(rate\(request_total\[5m\]\)\n\s+\^/)
      assert.ok(!response.text.includes('emojivoto'), 'the message speaks of the rewritten text')
    })
    it('a parameter twice, in URL and body: 422', async () => {
      const agent = supertest(world.app.url)
      const response = await agent.post('/api/v1/query?query=up').set('authorization', bearer()).send('query=secret')
      assert.equal(response.status, 422)
      assert.match(response.text, /more than once/)
    })
    it('an unknown parameter: 422 by name', async () => {
      const response = await ask(bearer(), '/api/v1/query?query=up&extra_label=namespace%3Dbooksapp')
      assert.equal(response.status, 422)
      assert.match(response.text, /extra_label/)
    })
    it('no query, no match[]: 422', async () => {
      for (const path of [
        '/api/v1/query',
        '/api/v1/query?query=',
        '/api/v1/series',
        '/federate',
        '/api/v1/series?match=up',
      ]) {
        assert.equal((await ask(bearer(), path)).status, 422, path)
      }
    })
    it('multipart and JSON bodies: 415; a GET with a body: 400; a body too large: 413', async () => {
      const post = () => supertest(world.app.url).post('/api/v1/query').set('authorization', bearer())
      assert.equal((await post().field('query', 'up')).status, 415)
      assert.equal((await post().send({ query: 'up' })).status, 415)
      assert.equal((await ask(bearer()).send('query=x')).status, 400)
      assert.equal((await post().send(`query=${'x'.repeat(600_000)}`)).status, 413)
    })
  })

  it('headers that claim an identity change nothing', async () => {
    const claims = {
      'x-forwarded-user': 'carol',
      'x-grafana-user': 'carol',
      'x-scope-orgid': 'platform',
      'x-forwarded-groups': 'platform',
      'l5d-client-id': 'admin.linkerd.serviceaccount.identity.linkerd.cluster.local',
    }
    const path = '/api/v1/label/namespace/values'
    assert.equal((await ask(undefined, path).set(claims)).status, 401)
    const alice = await ask(`Bearer ${good}`, path).set(claims)
    assert.deepEqual(alice.body.data, ['emojivoto'])
  })
})
