// Forged, foreign, stale and oddly shaped credentials. Each must be refused, none may throw.
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { SignJWT, base64url, exportJWK, generateKeyPair } from 'jose'
import type { CryptoKey, JWTHeaderParameters } from 'jose'
import type { Identified } from '../../src/identity/identity.ts'
import { openIssuer } from '../../src/identity/issuer.ts'
import type { IssuerKeys } from '../../src/identity/issuer.ts'
import { bearerSource } from '../../src/identity/sources/bearer.ts'
import { openTokenVerifier } from '../../src/identity/token.ts'
import { audience, credentialsWith, issuerOptions, startStubIssuer } from '../support/issuer.ts'
import type { StubIssuer } from '../support/issuer.ts'

describe('bearer tokens', () => {
  let stub: StubIssuer
  let keys: IssuerKeys
  let identify: (...headers: string[]) => Promise<Identified>

  before(async () => {
    stub = await startStubIssuer()
    keys = openIssuer(issuerOptions(stub.issuer), Date.now)
    const source = bearerSource(openTokenVerifier({ issuers: [keys], clock: Date.now }))
    identify = (...headers) => source.identify(credentialsWith({ authorization: headers }))
  })
  after(async () => {
    keys.stop()
    await stub.stop()
  })

  const now = (): number => Math.floor(Date.now() / 1000)
  async function assertRefused(headers: readonly string[], code: string, words: RegExp): Promise<void> {
    const said = await identify(...headers)
    assert.equal(said.is, 'refused', JSON.stringify(said))
    assert.equal(said.refusal.code, code, said.refusal.message)
    assert.match(said.refusal.message, words)
    for (const header of headers) {
      const token = header.split(' ')[1] ?? ''
      if (token.length > 20)
        assert.ok(!said.refusal.message.includes(token.slice(0, 20)), 'the message holds the token')
    }
  }

  it('knows the bearer of a good token', async () => {
    const expires = now() + 60
    const token = await stub.sign({ email: 'alice@example.org', exp: expires })
    assert.deepEqual(await identify(`Bearer ${token}`), {
      is: 'known',
      identity: {
        issuer: stub.issuer,
        subject: 'alice',
        name: 'alice@example.org',
        groups: ['team-a'],
        via: 'bearer',
        credential: createHash('sha256').update(token).digest('hex').slice(0, 16),
        expires,
      },
    })
  })
  it('says absent, not refused, where there is no header', async () => {
    assert.deepEqual(await identify(), { is: 'absent' })
  })
  it('takes the scheme in any case', async () => {
    assert.equal((await identify(`bEARER ${await stub.sign()}`)).is, 'known')
  })

  it('refuses an expired token and says when it expired', async () => {
    const token = await stub.sign({ exp: now() - 60, iat: now() - 120 })
    await assertRefused([`Bearer ${token}`], 'invalid_token', /expired at \d{4}-.*get a fresh one/)
  })
  for (const claim of ['exp', 'iat', 'sub', 'aud', 'iss']) {
    it(`refuses a token without ${claim}`, async () => {
      await assertRefused([`Bearer ${await stub.sign({ [claim]: undefined })}`], 'invalid_token', /./)
    })
  }
  it('refuses another audience of the same issuer', async () => {
    const token = await stub.sign({ aud: ['account', 'https://other.test'] })
    await assertRefused([`Bearer ${token}`], 'invalid_token', /another audience.*https:\/\/gateway\.test/)
  })
  it('refuses an audience that only begins like ours', async () => {
    await assertRefused([`Bearer ${await stub.sign({ aud: `${audience}.evil` })}`], 'invalid_token', /audience/)
  })
  it('refuses another issuer, also one that differs by a slash', async () => {
    for (const iss of ['https://evil.test', `${stub.issuer}/`, stub.issuer.toUpperCase(), '']) {
      await assertRefused([`Bearer ${await stub.sign({ iss })}`], 'invalid_token', /issuer/)
    }
  })
  it('refuses a token that is not valid yet, and one issued in the future', async () => {
    await assertRefused([`Bearer ${await stub.sign({ nbf: now() + 600 })}`], 'invalid_token', /nbf/)
    await assertRefused([`Bearer ${await stub.sign({ iat: now() + 600 })}`], 'invalid_token', /iat/)
  })
  it('refuses alg none in every spelling', async () => {
    const claims = base64url.encode(
      JSON.stringify({ iss: stub.issuer, aud: audience, sub: 'alice', iat: now(), exp: now() + 60 }),
    )
    for (const alg of ['none', 'None', 'NONE', 'nOnE']) {
      const header = base64url.encode(JSON.stringify({ alg }))
      for (const signature of ['', 'AAAA']) {
        await assertRefused([`Bearer ${header}.${claims}.${signature}`], 'invalid_token', /./)
      }
    }
  })
  /** Mallory's own token: everything right but who signed it. */
  const forge = (key: CryptoKey | Uint8Array, header: JWTHeaderParameters): Promise<string> =>
    new SignJWT({ groups: ['platform'] })
      .setProtectedHeader(header)
      .setIssuer(stub.issuer)
      .setAudience(audience)
      .setSubject('mallory')
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(key)

  it('refuses HS256 signed with the public key as the secret', async () => {
    const secret = Buffer.from(JSON.stringify(stub.publicKey()))
    const token = await forge(secret, { alg: 'HS256', kid: String(stub.publicKey().kid) })
    await assertRefused([`Bearer ${token}`], 'invalid_token', /algorithm/)
  })
  it('refuses a token signed by another key under the right kid', async () => {
    const { privateKey } = await generateKeyPair('RS256')
    const token = await forge(privateKey, { alg: 'RS256', kid: String(stub.publicKey().kid) })
    await assertRefused([`Bearer ${token}`], 'invalid_token', /signature/)
  })
  it('never looks at keys that the token brings along', async () => {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
    const jwk = await exportJWK(publicKey)
    for (const extra of [{ jwk }, { jku: `${stub.issuer}/evil` }, { x5u: `${stub.issuer}/evil` }]) {
      const token = await forge(privateKey, { alg: 'RS256', kid: 'evil', ...extra })
      await assertRefused([`Bearer ${token}`], 'invalid_token', /./)
    }
  })
  it('refuses a changed payload under an unchanged signature', async () => {
    const [header, payload, signature] = (await stub.sign()).split('.')
    const claims: unknown = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString())
    const changed = base64url.encode(JSON.stringify({ ...Object(claims), groups: ['platform'] }))
    await assertRefused([`Bearer ${header}.${changed}.${signature}`], 'invalid_token', /signature/)
  })
  it('refuses tokens of the same issuer that say something else', async () => {
    for (const typ of ['logout+jwt', 'application/logout+jwt', 'LOGOUT+JWT', 'dpop+jwt', 'secevent+jwt']) {
      await assertRefused([`Bearer ${await stub.sign({}, { typ })}`], 'invalid_token', /does not say who is asking/)
    }
  })
  it('refuses a token bound to a key as a plain bearer token', async () => {
    await assertRefused([`Bearer ${await stub.sign({ cnf: { jkt: 'x' } })}`], 'invalid_token', /bound to a key/)
  })
  it('refuses groups of a shape it does not know rather than taking them for none', async () => {
    for (const groups of [{ a: 1 }, [1], [['platform']], 7]) {
      await assertRefused([`Bearer ${await stub.sign({ groups })}`], 'invalid_token', /groups/)
    }
    assert.equal((await identify(`Bearer ${await stub.sign({ groups: 'one' })}`)).is, 'known')
  })
  it('refuses two Authorization headers, even two good ones', async () => {
    const token = await stub.sign()
    await assertRefused([`Bearer ${token}`, `Bearer ${token}`], 'malformed_credentials', /exactly one/)
  })
  it('refuses other schemes and joined headers', async () => {
    const token = await stub.sign()
    for (const header of [
      '',
      'Bearer',
      `Basic ${token}`,
      `Bearer ${token}, Bearer ${token}`,
      token,
      `Bearer\t${token}`,
    ]) {
      await assertRefused([header], 'malformed_credentials', /Bearer <token>/)
    }
  })
  it('refuses a token that is too long before looking at it', async () => {
    const token = await stub.sign({ padding: 'x'.repeat(9_000) })
    await assertRefused([`Bearer ${token}`], 'invalid_token', /longer than/)
  })
  it('refuses an encrypted token', async () => {
    await assertRefused(['Bearer a.b.c.d.e'], 'invalid_token', /not a signed JWT/)
  })
  it('refuses garbage of every kind and never throws', async () => {
    const part = fc.oneof(
      fc.string(),
      fc.base64String(),
      fc.json().map((text) => base64url.encode(text)),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 4 }), async (parts) => {
        const said = await identify(`Bearer ${parts.join('.')}`)
        assert.equal(said.is, 'refused')
      }),
    )
  })
  it('refuses every single flipped character of a good token', async () => {
    const token = await stub.sign()
    const signature = token.lastIndexOf('.')
    for (let at = 0; at < token.length; at += 7) {
      // The last character of a base64url text may hold bits that do not count.
      if (at === signature - 1 || at === token.length - 1 || token[at] === '.') continue
      const flipped = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`
      assert.equal((await identify(`Bearer ${flipped}`)).is, 'refused', `at ${at}`)
    }
  })
  it('does not accept a token whose HMAC was made with an empty secret', async () => {
    const head = base64url.encode(JSON.stringify({ alg: 'HS256' }))
    const body = base64url.encode(
      JSON.stringify({ iss: stub.issuer, aud: audience, sub: 'x', iat: now(), exp: now() + 60 }),
    )
    const mac = createHmac('sha256', '').update(`${head}.${body}`).digest('base64url')
    await assertRefused([`Bearer ${head}.${body}.${mac}`], 'invalid_token', /algorithm/)
  })
})
