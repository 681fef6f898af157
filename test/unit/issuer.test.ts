import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { readClaim, readGroups } from '../../src/identity/claims.ts'
import { identify } from '../../src/identity/identity.ts'
import type { Identified, IdentitySource } from '../../src/identity/identity.ts'
import { openIssuer } from '../../src/identity/issuer.ts'
import type { IssuerKeys } from '../../src/identity/issuer.ts'
import { maxKeyAge } from '../../src/identity/limits.ts'
import { bearerSource } from '../../src/identity/sources/bearer.ts'
import { openTokenVerifier } from '../../src/identity/token.ts'
import { credentialsWith, issuerOptions, startStubIssuer } from '../support/issuer.ts'
import type { StubIssuer } from '../support/issuer.ts'

const optionsFor = (issuer: string) => issuerOptions(issuer, { groupPrefix: 'corp:' })

describe("an issuer's keys", () => {
  let stub: StubIssuer
  const opened: IssuerKeys[] = []
  const open = (issuer = stub.issuer): IssuerKeys => {
    const keys = openIssuer(optionsFor(issuer), Date.now)
    opened.push(keys)
    return keys
  }
  const ask = (keys: IssuerKeys, token: string): Promise<Identified> =>
    bearerSource(openTokenVerifier({ issuers: [keys], clock: Date.now })).identify(
      credentialsWith({ authorization: `Bearer ${token}` }),
    )

  beforeEach(async () => {
    stub = await startStubIssuer()
  })
  afterEach(async () => {
    for (const keys of opened.splice(0)) keys.stop()
    await stub.stop().catch(() => {})
  })

  it('are found by discovery, with the age for the metrics', async () => {
    const keys = open()
    assert.equal(keys.state().keyAge, null)
    const said = await ask(keys, await stub.sign())
    assert.equal(said.is, 'known')
    assert.deepEqual(said.identity.groups, ['corp:team-a'])
    assert.ok((keys.state().keyAge ?? -1) >= 0)
  })
  it('are fetched once, however many tokens come at once', async () => {
    const keys = open()
    const token = await stub.sign()
    const said = await Promise.all(Array.from({ length: 20 }, () => ask(keys, token)))
    assert.ok(said.every(({ is }) => is === 'known'))
    assert.equal(stub.fetches(), 1)
  })
  it('stay good when the provider goes away', async () => {
    const keys = open()
    const token = await stub.sign()
    await ask(keys, token)
    await stub.stop()
    assert.equal((await ask(keys, token)).is, 'known')
  })
  it('that cannot be had are the provider’s fault, not the caller’s: 503, not 401', async () => {
    stub.jwks = () => ({ status: 500, body: 'no' })
    const said = await ask(open(), await stub.sign())
    assert.equal(said.is, 'refused')
    assert.equal(said.refusal.code, 'issuer_unavailable')
  })
  it('of a shape that is none are the provider’s fault too', async () => {
    for (const body of ['{"keys":null}', '<html>', '[]', '']) {
      stub.jwks = () => ({ status: 200, body })
      const keys = open()
      const said = await ask(keys, await stub.sign())
      assert.equal(said.is, 'refused')
      assert.equal(said.refusal.code, 'issuer_unavailable', body)
      assert.notEqual(keys.state().lastFailure, null)
    }
  })
  it('are asked for again by a failed provider’s background retry, not by every request', async () => {
    stub.jwks = () => ({ status: 500, body: 'no' })
    const keys = open()
    const token = await stub.sign()
    for (let round = 0; round < 10; round += 1) await ask(keys, token)
    assert.ok(stub.fetches() <= 2, `${stub.fetches()} fetches`)
  })
  it('that rotated are fetched for the first token of the new key', async () => {
    let now = Date.now()
    const keys = openIssuer(optionsFor(stub.issuer), () => now)
    opened.push(keys)
    const before = await stub.sign()
    assert.equal((await ask(keys, before)).is, 'known')
    await stub.rotate()
    now += 5_001
    assert.equal((await ask(keys, await stub.sign())).is, 'known')
    assert.equal(stub.fetches(), 2)
  })
  it('that the provider withdrew stop working at the next fetch, also for tokens that were remembered', async () => {
    let now = Date.now()
    const keys = openIssuer(optionsFor(stub.issuer), () => now)
    opened.push(keys)
    const verifier = openTokenVerifier({ issuers: [keys], clock: () => now })
    const verify = (token: string): Promise<Identified> =>
      verifier.verify(token, { use: 'access-token', via: 'bearer' })
    const before = await stub.sign()
    assert.equal((await verify(before)).is, 'known')
    assert.equal((await verify(before)).is, 'known')
    await stub.rotate()
    now += 5_001
    assert.equal(await keys.refresh(), true)
    assert.equal((await verify(before)).is, 'refused')
  })
  it('are not asked for again by each of many tokens with unknown keys', async () => {
    const keys = open()
    await ask(keys, await stub.sign())
    for (let round = 0; round < 50; round += 1) await ask(keys, await stub.sign({}, { kid: `unknown-${round}` }))
    assert.equal(stub.fetches(), 1)
  })
  it('of 50 MB are given up at the limit', async () => {
    stub.jwks = () => ({ status: 200, body: `{"keys":[{"kty":"RSA","n":"${'A'.repeat(50_000_000)}"}]}` })
    const keys = open()
    const said = await ask(keys, await stub.sign())
    assert.equal(said.is, 'refused')
    assert.equal(said.refusal.code, 'issuer_unavailable')
    assert.match(keys.state().lastFailure ?? '', /larger than 1048576 bytes/)
  })
  it('that come too slowly are given up, and those of before stay in force', async () => {
    let now = Date.now()
    const keys = openIssuer(optionsFor(stub.issuer), () => now)
    opened.push(keys)
    const token = await stub.sign()
    assert.equal((await ask(keys, token)).is, 'known')
    const { promise: never, resolve: end } = Promise.withResolvers<null>()
    stub.jwks = () => ({ status: 200, body: '{"keys":[]}', after: never })
    now += 5_001
    await keys.refresh()
    end(null)
    assert.match(keys.state().lastFailure ?? '', /timeout|aborted/)
    assert.equal((await ask(keys, token)).is, 'known')
  })
  it('are not followed to where a redirect points', async () => {
    stub.jwks = () => ({ status: 302, body: '' })
    const keys = open()
    await assert.rejects(keys.keys(), /status 302/)
  })
  it('outlive an outage of a day, and no longer', async () => {
    let now = Date.now()
    const keys = openIssuer(optionsFor(stub.issuer), () => now)
    opened.push(keys)
    await keys.keys()
    await stub.stop()
    now += maxKeyAge
    await keys.keys()
    now += 1
    await assert.rejects(keys.keys())
  })
  it('that go wrong in between leave the last good ones in force', async () => {
    let now = Date.now()
    const keys = openIssuer(optionsFor(stub.issuer), () => now)
    opened.push(keys)
    const token = await stub.sign()
    await ask(keys, token)
    stub.jwks = () => ({ status: 200, body: '{"keys":null}' })
    now += 5_001
    await keys.refresh()
    assert.match(keys.state().lastFailure ?? '', /no JSON Web Key Set/)
    assert.equal((await ask(keys, token)).is, 'known')
  })
  it('are not taken from a provider whose document names another issuer', async () => {
    const keys = open(`${stub.issuer}/other`)
    await assert.rejects(keys.keys())
  })
})

describe('sources', () => {
  const source = (identified: Identified): IdentitySource => ({ name: 'bearer', identify: async () => identified })
  const credentials = credentialsWith({})
  it('a refusal never falls through to a later source', async () => {
    const known = source({
      is: 'known',
      identity: { issuer: 'i', subject: 's', name: 'n', groups: [], via: 'bearer' },
    })
    const refusing = source({ is: 'refused', refusal: { code: 'invalid_token', message: 'no' } })
    assert.equal((await identify([source({ is: 'absent' }), refusing, known], credentials)).is, 'refused')
    assert.equal((await identify([source({ is: 'absent' }), known], credentials)).is, 'known')
    assert.equal((await identify([], credentials)).is, 'absent')
  })
})

describe('claims', () => {
  it('are read by name or by JSON pointer, own properties only', () => {
    const claims = { 'a/b': 1, realm: { 'x~y': ['p'], 'u/v': 2 }, sub: 's' }
    assert.equal(readClaim(claims, 'a/b'), 1)
    assert.deepEqual(readClaim(claims, '/realm/x~0y'), ['p'])
    assert.equal(readClaim(claims, '/realm/u~1v'), 2)
    assert.equal(readClaim(claims, '/realm/none/deeper'), undefined)
    for (const path of ['constructor', '__proto__', '/constructor/name', '/realm/toString']) {
      assert.equal(readClaim(claims, path), undefined, path)
    }
  })
  it('of groups: absent is none, a string is one, anything else is an error', () => {
    assert.deepEqual(readGroups({}, 'groups'), [])
    assert.deepEqual(readGroups({ groups: 'a' }, 'groups'), ['a'])
    assert.deepEqual(readGroups({ groups: ['a', 'b'] }, 'groups'), ['a', 'b'])
    assert.equal(readGroups({ groups: ['a', null] }, 'groups'), null)
    assert.equal(readGroups({ groups: null }, 'groups'), null)
  })
})
