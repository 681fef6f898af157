// Opaque tokens of a real provider: the gateway asks it whom they stand for, and hears of a withdrawal within a minute.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startIdp } from '../../demo/parts/idp.ts'
import type { RunningIdp } from '../../demo/parts/idp.ts'
import { people } from '../../demo/parts/people.ts'
import type { Identified } from '../../src/identity/identity.ts'
import { openIntrospection } from '../../src/identity/introspect.ts'
import { openTokenVerifier } from '../../src/identity/token.ts'
import { audience, issuerOptions } from '../support/issuer.ts'

const gateway = { client_id: 'gateway-api', client_secret: 'a-secret-of-the-tests-only', redirect_uris: [] }

describe('an opaque token of a real provider', () => {
  let idp: RunningIdp
  let now: number
  let verify: (token: string) => Promise<Identified>
  before(async () => {
    const client = { ...gateway, response_types: [], grant_types: [] }
    idp = await startIdp({ people, audience, clients: [client] })
    now = Date.now()
    const clock = (): number => now
    const introspect = openIntrospection(
      { issuer: issuerOptions(idp.issuer), clientId: gateway.client_id, clientSecret: gateway.client_secret },
      clock,
    )
    const verifier = openTokenVerifier({ issuers: [], clock, introspect })
    verify = (token) => verifier.verify(token, { use: 'access-token', via: 'bearer' })
  })
  after(() => idp.stop())

  it('stands for the person with their groups, and ends when the provider says', async () => {
    const token = await idp.token('alice', { opaque: true })
    assert.equal(token.split('.').length, 1, 'the token is a JWT')
    const said = await verify(token)
    assert.ok(said.is === 'known', JSON.stringify(said))
    const { subject, groups, via, expires = 0 } = said.identity
    assert.deepEqual([subject, groups, via], ['alice', ['team-emojivoto'], 'bearer'])
    assert.ok(Math.abs(expires - (Date.now() / 1000 + 3600)) < 60)
  })
  it('for somebody else’s service is refused', async () => {
    const said = await verify(await idp.token('alice', { opaque: true, audience: 'https://other.test' }))
    assert.ok(said.is === 'refused')
    assert.match(said.refusal.message, /another audience/)
  })
  it('that was withdrawn stops working a minute later at the latest', async () => {
    const token = await idp.token('bob', { opaque: true })
    assert.equal((await verify(token)).is, 'known')
    const body = new URLSearchParams({ token, client_id: 'script' })
    const answer = await fetch(`${idp.issuer}/token/revocation`, { method: 'POST', body })
    assert.equal(answer.status, 200)
    now += 60_001
    const said = await verify(token)
    assert.ok(said.is === 'refused')
    assert.match(said.refusal.message, /not active/)
  })
  it('that nobody made is refused', async () => {
    assert.equal((await verify('made-up')).is, 'refused')
  })
})
