import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import type { JWTVerifyResult } from 'jose'
import { startIdp } from '../../../demo/parts/idp.ts'
import type { RunningIdp } from '../../../demo/parts/idp.ts'
import { freePort } from '../../../demo/parts/loopback.ts'
import { loginPage } from '../../../demo/parts/login-page.ts'
import { people } from '../../../demo/parts/people.ts'
import type { Person } from '../../../demo/parts/people.ts'
import { audience } from '../../support/world.ts'

const metadataOf = async (idp: RunningIdp): Promise<Record<string, unknown>> => {
  const answer = await fetch(idp.discoveryUrl)
  assert.equal(answer.status, 200)
  const metadata: unknown = await answer.json()
  assert.ok(typeof metadata === 'object' && metadata !== null)
  return { ...metadata }
}
/** Checks a token as a relying party does: with the keys that discovery leads to. */
const verify = async (idp: RunningIdp, token: string, expected = audience): Promise<JWTVerifyResult> => {
  const { issuer, jwks_uri: keys } = await metadataOf(idp)
  return jwtVerify(token, createRemoteJWKSet(new URL(String(keys))), { issuer: String(issuer), audience: expected })
}

describe("the demo's identity provider", () => {
  let idp: RunningIdp
  before(async () => {
    idp = await startIdp({ people, audience })
  })
  after(() => idp.stop())

  it('is discovered under its own issuer, on loopback', async () => {
    const { issuer } = await metadataOf(idp)
    assert.equal(issuer, idp.issuer)
    assert.equal(idp.issuer, `http://127.0.0.1:${idp.port}`)
  })
  it('publishes no private key', async () => {
    const { jwks_uri: uri } = await metadataOf(idp)
    const body: unknown = await (await fetch(String(uri))).json()
    const keys: unknown = Reflect.get(Object(body), 'keys')
    assert.ok(Array.isArray(keys) && keys.length === 2)
    for (const key of keys)
      assert.deepEqual([Reflect.has(Object(key), 'd'), Reflect.has(Object(key), 'p')], [false, false])
  })
  for (const { id, groups, name, email } of people) {
    it(`gives ${id} an RFC 9068 access token with the groups`, async () => {
      const { payload, protectedHeader } = await verify(idp, await idp.token(id))
      assert.equal(protectedHeader.alg, 'RS256')
      assert.equal(protectedHeader.typ, 'at+jwt')
      const { iss, aud, sub } = payload
      assert.deepEqual(
        { iss, aud, sub, groups: payload['groups'], name: payload['name'], email: payload['email'] },
        { iss: idp.issuer, aud: audience, sub: id, groups, name, email },
      )
    })
  }
  it('lets a token live for an hour', async () => {
    const { payload } = await verify(idp, await idp.token('alice'))
    assert.equal(Number(payload.exp) - Number(payload.iat), 3600)
  })
  it('lets a token live for as long as expiresIn says', async () => {
    const { payload } = await verify(idp, await idp.token('alice', { expiresIn: 90 }))
    assert.equal(Number(payload.exp) - Number(payload.iat), 90)
  })
  it('refuses a lifetime that is none', async () => {
    for (const expiresIn of [0, -1, 1.5]) {
      await assert.rejects(idp.token('alice', { expiresIn }), /400.*positive whole number of seconds/s)
    }
  })
  it('signs with ES256 when asked', async () => {
    const { payload, protectedHeader } = await verify(idp, await idp.token('bob', { algorithm: 'ES256' }))
    assert.deepEqual([protectedHeader.alg, payload.sub], ['ES256', 'bob'])
  })
  it('makes a token for another audience, which is not good for ours', async () => {
    const other = 'https://other.test/'
    const token = await idp.token('carol', { audience: other })
    const { payload } = await verify(idp, token, other)
    assert.equal(payload.aud, other)
    await assert.rejects(verify(idp, token), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' })
  })
  it('gives a new token every time', async () => {
    const [first, second] = await Promise.all([idp.token('alice'), idp.token('alice')])
    assert.notEqual(first, second)
  })
  it('knows nobody else, and says whom it knows', async () => {
    await assert.rejects(idp.token('mallory'), /400: Nobody is called mallory; there are alice, bob, carol, dana\./)
  })
  it('refuses a login that nobody began', async () => {
    const answer = await fetch(`${idp.issuer}/login/unknown`)
    assert.equal(answer.status, 400)
    assert.match(await answer.text(), /^This login cannot go on: /)
  })
  it('does not give a code without PKCE', async () => {
    const asked = new URLSearchParams({
      client_id: 'script',
      response_type: 'code',
      redirect_uri: 'http://127.0.0.1/callback',
      scope: 'openid',
    })
    const { authorization_endpoint: endpoint } = await metadataOf(idp)
    const answer = await fetch(`${String(endpoint)}?${asked.toString()}`, { redirect: 'manual' })
    const location = new URL(answer.headers.get('location') ?? '')
    assert.equal(location.searchParams.get('error'), 'invalid_request')
    assert.match(location.searchParams.get('error_description') ?? '', /PKCE/)
  })
  it('shows the login page of the four people, which no cache may keep', async () => {
    const { authorization_endpoint: endpoint } = await metadataOf(idp)
    const asked = new URLSearchParams({
      client_id: 'script',
      response_type: 'code',
      redirect_uri: 'http://127.0.0.1/callback',
      scope: 'openid',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
    })
    const begun = await fetch(`${String(endpoint)}?${asked.toString()}`, { redirect: 'manual' })
    const cookie = begun.headers.getSetCookie().map((line) => line.split(';')[0])
    const path = begun.headers.get('location') ?? ''
    const page = await fetch(new URL(path, idp.issuer), { headers: { cookie: cookie.join('; ') } })
    assert.equal(page.headers.get('cache-control'), 'no-store')
    assert.equal(await page.text(), loginPage(people, path))
  })
})

describe("the identity provider's life", () => {
  it('two at once have different ports and do not take each other’s tokens', async () => {
    const [one, two] = await Promise.all([startIdp({ people, audience }), startIdp({ people, audience })])
    try {
      assert.notEqual(one.port, two.port)
      await assert.rejects(verify(two, await one.token('alice')), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
    } finally {
      await Promise.all([one.stop(), two.stop()])
    }
  })
  it('takes the port it is given, and leaves nothing listening after stop', async () => {
    const port = await freePort()
    const idp = await startIdp({ people, audience, port })
    assert.equal(idp.port, port)
    await idp.token('alice')
    await idp.stop()
    await assert.rejects(fetch(idp.discoveryUrl))
    assert.equal(await freePort(port), port)
  })
  it('says what to do when the port is taken', async () => {
    const idp = await startIdp({ people, audience })
    try {
      await assert.rejects(startIdp({ people, audience, port: idp.port }), /EADDRINUSE.*Choose another port/)
    } finally {
      await idp.stop()
    }
  })
  it('does not start with an audience that is no absolute URI', async () => {
    await assert.rejects(startIdp({ people, audience: 'bailiwick' }), /audience "bailiwick" must be an absolute URI/)
  })
})

describe('the login page', () => {
  it('lists every person with name, id and groups', () => {
    const page = loginPage(people, '/login/x')
    for (const { id, name, groups } of people) {
      assert.ok(page.includes(`<button name="as" value="${id}">${name}</button>`), id)
      assert.ok(page.includes(`<small>${groups.join(', ')}</small>`), id)
    }
    assert.equal(page.split('<button').length - 1, people.length)
  })
  it('posts to its action and holds no script', () => {
    const page = loginPage(people, '/login/x')
    assert.ok(page.includes('<form method="post" action="/login/x">'))
    assert.doesNotMatch(page, /<script|javascript:|\son\w+=/i)
  })
  it('escapes whatever is not its own', () => {
    const nasty = `<script>"'&`
    const person: Person = { id: nasty, name: nasty, email: '', groups: [nasty], about: nasty }
    const page = loginPage([person], nasty)
    assert.equal(page.includes(nasty), false)
    assert.equal(page.split('&lt;script&gt;&quot;&#39;&amp;').length - 1, 5)
  })
})
