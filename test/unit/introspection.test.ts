// Opaque tokens: the issuer is asked (RFC 7662), sparingly, and its word is checked again.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Identified } from '../../src/identity/identity.ts'
import { openIntrospection } from '../../src/identity/introspect.ts'
import { maxIntrospections } from '../../src/identity/limits.ts'
import { openTokenVerifier } from '../../src/identity/token.ts'
import { audience, issuerOptions } from '../support/issuer.ts'

describe('an opaque token', () => {
  let server: Server
  let issuer: string
  let asked: { readonly token: string; readonly authorization: string }[]
  let answer: (token: string) => unknown
  let status: number
  let now: number
  let verify: (token: string) => Promise<Identified>

  beforeEach(async () => {
    asked = []
    status = 200
    now = Date.parse('2026-11-20T03:00:00Z')
    answer = () => ({ active: true, sub: 'alice', aud: audience, groups: ['team-a'], exp: now / 1000 + 600 })
    server = createServer((request, response) => {
      response.setHeader('content-type', 'application/json')
      if (request.url !== '/introspect') {
        response.end(JSON.stringify({ issuer, introspection_endpoint: `${issuer}/introspect` }))
        return
      }
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString()))
      request.on('end', () => {
        const token = new URLSearchParams(body).get('token') ?? ''
        asked.push({ token, authorization: `${body} ${request.headers.authorization ?? ''}` })
        response.statusCode = status
        response.end(JSON.stringify(answer(token)))
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is one
    issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const clock = (): number => now
    const options = issuerOptions(issuer, { groupPrefix: 'corp:', clientIds: ['cli'] })
    const introspect = openIntrospection({ issuer: options, clientId: 'gateway', clientSecret: 's3cret' }, clock)
    const verifier = openTokenVerifier({ issuers: [], clock, introspect })
    verify = (token) => verifier.verify(token, { use: 'access-token', via: 'basic' })
  })
  afterEach(async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  })

  const assertRefused = async (code: string, words: RegExp): Promise<void> => {
    const said = await verify(`opaque-${Math.random()}`)
    assert.equal(said.is, 'refused', JSON.stringify(said))
    assert.equal(said.refusal.code, code)
    assert.match(said.refusal.message, words)
  }

  it('stands for whom its issuer says, by the way it came', async () => {
    const said = await verify('opaque-1')
    assert.equal(said.is, 'known')
    const { credential, ...identity } = said.identity
    assert.match(credential ?? '', /^[0-9a-f]{16}$/)
    const expires = now / 1000 + 600
    assert.deepEqual(identity, {
      issuer,
      subject: 'alice',
      name: 'alice',
      groups: ['corp:team-a'],
      via: 'basic',
      expires,
    })
    assert.equal(asked[0]?.token, 'opaque-1')
    const basic = Buffer.from('gateway:s3cret').toString('base64')
    assert.ok(asked[0]?.authorization.endsWith(` Basic ${basic}`), asked[0]?.authorization)
  })
  it('is asked about once a minute, and at once when several come together', async () => {
    await Promise.all(Array.from({ length: 20 }, () => verify('opaque-1')))
    now += 59_000
    await verify('opaque-1')
    assert.equal(asked.length, 1)
    now += 2_000
    await verify('opaque-1')
    assert.equal(asked.length, 2)
  })
  it('is not remembered beyond its own end', async () => {
    answer = () => ({ active: true, sub: 'alice', aud: audience, exp: now / 1000 + 10 })
    await verify('opaque-1')
    now += 11_000
    answer = () => ({ active: false })
    assert.equal((await verify('opaque-1')).is, 'refused')
    assert.equal(asked.length, 2)
  })
  it('stops working when its issuer withdraws it, a minute later at the latest', async () => {
    assert.equal((await verify('opaque-1')).is, 'known')
    answer = () => ({ active: false })
    now += 61_000
    assert.equal((await verify('opaque-1')).is, 'refused')
  })
  it('that is not active is refused, and asked about again only after a pause', async () => {
    for (const active of [false, 'true', 1, null, undefined]) {
      answer = () => ({ active, sub: 'alice', aud: audience })
      await assertRefused(typeof active === 'boolean' ? 'invalid_token' : 'issuer_unavailable', /active|try again/)
      now += 6_000
    }
    answer = () => ({ active: false })
    const before = asked.length
    await verify('bad')
    await verify('bad')
    assert.equal(asked.length, before + 1)
  })
  it('must be for the gateway, of this issuer, unbound and in time, whatever "active" says', async () => {
    const good = { active: true, sub: 'alice', aud: audience }
    for (const [claims, words] of [
      [{ ...good, aud: 'https://other.test' }, /audience/],
      [{ ...good, aud: undefined }, /audience/],
      [{ ...good, aud: undefined, client_id: 'other' }, /audience/],
      [{ ...good, iss: 'https://evil.test' }, /issuer/],
      [{ ...good, exp: now / 1000 - 60 }, /expired/],
      [{ ...good, nbf: now / 1000 + 60 }, /not valid yet/],
      [{ ...good, cnf: { jkt: 'x' } }, /bound to a key/],
      [{ ...good, sub: undefined }, /sub/],
      [{ ...good, sub: '' }, /sub/],
      [{ ...good, groups: { a: 1 } }, /groups/],
    ] as const) {
      answer = () => claims
      await assertRefused('invalid_token', words)
    }
    answer = () => ({ ...good, aud: undefined, client_id: 'cli' })
    assert.equal((await verify('of-a-known-client')).is, 'known')
  })
  it('of a provider that fails is nobody’s fault but its own, and the provider is then left alone for a while', async () => {
    status = 500
    await assertRefused('issuer_unavailable', /try again/)
    await assertRefused('issuer_unavailable', /try again/)
    assert.equal(asked.length, 1)
    status = 200
    now += 6_000
    assert.equal((await verify('opaque-1')).is, 'known')
  })
  it('is one of few that are asked about at the same time', async () => {
    const said = await Promise.all(
      Array.from({ length: maxIntrospections + 1 }, (_, index) => verify(`opaque-${index}`)),
    )
    assert.deepEqual(
      said.map(({ is }) => is),
      [...Array.from({ length: maxIntrospections }, () => 'known'), 'refused'],
    )
  })
  it('is not what a JWT of an unknown issuer is: the provider never sees that', async () => {
    assert.equal((await verify('e30.e30.e30')).is, 'refused')
    assert.equal((await verify('a.b.c.d.e')).is, 'refused')
    assert.equal(asked.length, 0)
  })
})
