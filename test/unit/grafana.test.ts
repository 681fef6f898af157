// Who asks through a datasource of Grafana: the person wherever there is one, else the datasource.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { JWTPayload } from 'jose'
import { loadConfig } from '../../src/config/config.ts'
import { schema } from '../../src/config/schema.ts'
import type { Identified, Identity } from '../../src/identity/identity.ts'
import { openIssuer } from '../../src/identity/issuer.ts'
import type { IssuerKeys } from '../../src/identity/issuer.ts'
import { grafanaSource, openDatasource } from '../../src/identity/sources/grafana.ts'
import type { Datasource, DatasourceOptions } from '../../src/identity/sources/grafana.ts'
import { openTokenVerifier } from '../../src/identity/token.ts'
import { loadPolicy } from '../../src/policy/policy.ts'
import { describeScope } from '../../src/policy/scope.ts'
import { audience, credentialsWith, issuerOptions, startStubIssuer } from '../support/issuer.ts'
import type { StubIssuer } from '../support/issuer.ts'
import { startStubGrafana } from '../support/stub-grafana.ts'
import type { StubGrafana } from '../support/stub-grafana.ts'

const secret = 'S3cr3t-of-the-datasource-of-prod'
const other = 'another-datasources-secret-0815'
type Headers = Readonly<Record<string, string | readonly string[]>>

describe('a request through a datasource', () => {
  let idp: StubIssuer
  let grafana: StubGrafana
  let keys: IssuerKeys
  const datasources: Datasource[] = []
  let now = Date.now()
  const clock = (): number => now

  before(async () => {
    idp = await startStubIssuer()
    grafana = await startStubGrafana()
    keys = openIssuer(issuerOptions(idp.issuer, { clientIds: ['grafana'] }), clock)
    const { issuer, keysUrl } = grafana
    const grafanaId = { issuer, keysUrl, audience: ['org:1', 'org:7'], clockTolerance: 5 }
    open({ name: 'grafana-prod', secret, grafanaId })
    open({ name: 'plain', secret: other })
  })
  after(async () => {
    for (const one of datasources) one.keys?.stop()
    keys.stop()
    await idp.stop()
    await grafana.stop()
  })

  const open = (options: DatasourceOptions): number => datasources.push(openDatasource(options, clock))
  const ask = (headers: Headers): Promise<Identified> =>
    grafanaSource({ datasources, verifier: openTokenVerifier({ issuers: [keys], clock }) }).identify(
      credentialsWith(headers),
    )
  const through = (headers: Headers): Promise<Identified> => ask({ 'bailiwick-datasource': secret, ...headers })
  async function known(headers: Headers): Promise<Identity> {
    const said = await through(headers)
    assert.ok(said.is === 'known', JSON.stringify(said))
    return said.identity
  }
  async function refusal(headers: Headers, code: string, words: RegExp): Promise<string> {
    const said = await through(headers)
    assert.ok(said.is === 'refused', JSON.stringify(said))
    assert.equal(said.refusal.code, code, said.refusal.message)
    assert.match(said.refusal.message, words)
    return said.refusal.message
  }
  /** The token that a person's sign-in to Grafana left there. */
  const idToken = (claims: JWTPayload = {}): Promise<string> => idp.sign({ aud: 'grafana', nonce: 'n', ...claims })
  const accessToken = (claims: JWTPayload = {}): Promise<string> => idp.sign(claims, { typ: 'at+jwt' })
  const short = ({ subject, via, actor }: Identity): readonly unknown[] => [subject, via, actor]

  it('is none where the secret was not sent, whatever else was', async () => {
    const headers = { 'x-id-token': await idToken(), 'x-grafana-id': await grafana.sign(), authorization: 'Bearer x' }
    assert.deepEqual(await ask(headers), { is: 'absent' })
  })
  it('that names nobody is the datasource, without groups', async () => {
    const subject = 'datasource/grafana-prod'
    assert.deepEqual(await known({}), { issuer: 'service', subject, name: subject, groups: [], via: 'datasource' })
    const said = await ask({ 'bailiwick-datasource': other })
    assert.ok(said.is === 'known')
    assert.equal(said.identity.subject, 'datasource/plain')
  })
  it('is that of the person in X-Id-Token, with groups, and the datasource as the actor', async () => {
    const { credential, expires, ...rest } = await known({ 'x-id-token': await idToken({ email: 'a@example.com' }) })
    assert.deepEqual(rest, {
      ...{ issuer: idp.issuer, subject: 'alice', name: 'a@example.com', groups: ['team-a'] },
      ...{ via: 'id-token', actor: 'datasource/grafana-prod' },
    })
    assert.match(credential ?? '', /^[\da-f]{16}$/)
    assert.ok((expires ?? 0) > now / 1000)
  })
  it('is that of the person in X-Grafana-Id, without groups, even where the token has some', async () => {
    const { credential, expires, ...rest } = await known({
      'x-grafana-id': await grafana.sign({ groups: ['platform'] }),
    })
    assert.deepEqual(rest, {
      ...{ issuer: grafana.issuer, subject: 'user:u1', name: 'local@example.com', groups: [] },
      ...{ via: 'grafana-id', actor: 'datasource/grafana-prod' },
    })
    assert.ok(credential !== undefined && expires !== undefined)
  })
  it('by X-Grafana-Id has the best name there is', async () => {
    const nameOf = async (claims: JWTPayload): Promise<string> =>
      (await known({ 'x-grafana-id': await grafana.sign(claims) })).name
    assert.equal(await nameOf({ email: '' }), 'local')
    assert.equal(await nameOf({ email: '', username: undefined }), 'Lo Cal')
    assert.equal(await nameOf({ email: 7, username: '', name: '' }), 'user:u1')
  })
  it("is that of one of Grafana's service accounts, which is no user of the same name", async () => {
    const account = { sub: 'service-account:u1', type: 'service-account', email: undefined, username: undefined }
    const { subject, via } = await known({ 'x-grafana-id': await grafana.sign({ ...account, name: '' }) })
    assert.deepEqual([subject, via], ['service-account:u1', 'grafana-id'])
  })
  it('is that of the bearer of an access token where nothing else names a person', async () => {
    const token = await accessToken()
    const basic = `Basic ${Buffer.from(`x:${token}`).toString('base64')}`
    const actor = 'datasource/grafana-prod'
    assert.deepEqual(short(await known({ authorization: `Bearer ${token}` })), ['alice', 'bearer', actor])
    assert.deepEqual(short(await known({ authorization: basic })), ['alice', 'basic', actor])
  })
  it('takes the first of the three, and never the next where the first is bad', async () => {
    const id = await idToken({ sub: 'carol' })
    const signed = await grafana.sign()
    const authorization = `Bearer ${await accessToken({ sub: 'bob' })}`
    assert.equal((await known({ 'x-id-token': id, 'x-grafana-id': signed })).subject, 'carol')
    assert.equal((await known({ 'x-grafana-id': signed, authorization })).subject, 'user:u1')
    const bad = 'eyJhbGciOiJSUzI1NiJ9.e30.AAAA'
    await refusal({ 'x-id-token': bad, 'x-grafana-id': signed, authorization }, 'invalid_token', /^X-Id-Token: /)
    await refusal({ 'x-grafana-id': bad, authorization }, 'invalid_token', /^X-Grafana-Id: /)
    await refusal({ authorization: `Bearer ${bad}` }, 'invalid_token', /^Authorization: .*none of its own/)
  })

  describe('whose Authorization holds', () => {
    it("the person's own access token (Grafana's built-in datasource) is that person's", async () => {
      const headers = { 'x-id-token': await idToken(), authorization: `Bearer ${await accessToken()}` }
      assert.deepEqual(short(await known(headers)), ['alice', 'id-token', 'datasource/grafana-prod'])
    })
    it("anything else (the external datasource's own credential) is the person's all the same", async () => {
      const id = await idToken()
      const signed = await grafana.sign()
      for (const authorization of [
        `Basic ${Buffer.from('grafana:a password').toString('base64')}`,
        'Bearer glsa_opaque',
        'ApiKey 7',
        '',
        `Bearer ${await idp.sign({ sub: 'service', aud: 'account' })}`,
        `Bearer ${await idp.sign({ sub: 'service', exp: Math.floor(now / 1000) - 60 })}`,
        `Bearer ${await grafana.sign({ sub: 'user:u2' })}`,
        `Basic ${Buffer.from(`x:${await idp.sign({ sub: 'service', aud: 'x' })}`).toString('base64')}`,
      ]) {
        assert.equal((await known({ 'x-id-token': id, authorization })).subject, 'alice', authorization)
        assert.equal((await known({ 'x-grafana-id': signed, authorization })).subject, 'user:u1', authorization)
      }
    })
    it('a good token of somebody else, of the same issuer, is refused with the remedy', async () => {
      const id = await idToken()
      const token = await accessToken({ sub: 'service-account-grafana' })
      for (const authorization of [`Bearer ${token}`, `Basic ${Buffer.from(`:${token}`).toString('base64')}`]) {
        const words = /two different people: remove the datasource's own Authorization in Grafana/
        await refusal({ 'x-id-token': id, authorization }, 'malformed_credentials', words)
      }
    })
    it('a token of the same person under another sub (Entra ID) is that person’s, by oid alone', async () => {
      const id = await idToken({ oid: 'o-1' })
      const bearer = async (claims: JWTPayload): Promise<Headers> => ({
        'x-id-token': id,
        authorization: `Bearer ${await accessToken({ sub: 'pairwise', ...claims })}`,
      })
      assert.equal((await known(await bearer({ oid: 'o-1' }))).subject, 'alice')
      for (const claims of [{ oid: 'o-2' }, {}, { oid: ['o-1'] }]) {
        await refusal(await bearer(claims), 'malformed_credentials', /two different people/)
      }
      const without = { 'x-id-token': await idToken(), authorization: `Bearer ${await accessToken({ sub: 'x' })}` }
      await refusal(without, 'malformed_credentials', /two different people/)
    })
    it('an opaque token costs no question while X-Id-Token says who it is', async () => {
      const asked: string[] = []
      const introspect = async (token: string): Promise<Identified> => {
        asked.push(token)
        return { is: 'refused', refusal: { code: 'invalid_token', message: 'not active' } }
      }
      const source = grafanaSource({ datasources, verifier: openTokenVerifier({ issuers: [keys], clock, introspect }) })
      const opaque = { 'bailiwick-datasource': secret, authorization: 'Bearer opaque' }
      const said = await source.identify(credentialsWith({ ...opaque, 'x-id-token': await idToken() }))
      assert.deepEqual([said.is, asked], ['known', []])
      assert.equal((await source.identify(credentialsWith(opaque))).is, 'refused')
      assert.deepEqual(asked, ['opaque'])
    })
  })

  describe('is refused with what helps in Grafana:', () => {
    it('an expired token that Grafana goes on sending', async () => {
      const past = { iat: Math.floor(now / 1000) - 120, exp: Math.floor(now / 1000) - 60 }
      const words = /the token expired at 20.*use_refresh_token and the scope offline_access .*or sign in again$/
      assert.match(await refusal({ 'x-id-token': await idToken(past) }, 'invalid_token', words), /^X-Id-Token: /)
      const authorization = `Bearer ${await accessToken(past)}`
      assert.match(await refusal({ authorization }, 'invalid_token', words), /^Authorization: /)
      const signed = await grafana.sign(past)
      await refusal({ 'x-grafana-id': signed }, 'invalid_token', /^X-Grafana-Id: the token expired.*Grafana's clock/)
    })
    it("an ID token for another client than Grafana's", async () => {
      await refusal({ 'x-id-token': await idToken({ aud: 'kiali' }) }, 'invalid_token', /audience.*clientIds$/)
    })
    it('an access token in the place of the ID token', async () => {
      await refusal({ 'x-id-token': await accessToken({ aud: 'grafana' }) }, 'invalid_token', /an access token where/)
    })
    it('X-Grafana-Id alone where the datasource has no grafanaId, be it the datasource’s service otherwise', async () => {
      const said = await ask({ 'bailiwick-datasource': other, 'x-grafana-id': await grafana.sign() })
      assert.ok(said.is === 'refused')
      assert.match(said.refusal.message, /cannot check it: set grafanaId .* "Forward OAuth Identity"/)
      const person = { 'bailiwick-datasource': other, 'x-grafana-id': 'x', 'x-id-token': await idToken() }
      assert.equal((await ask(person)).is, 'known')
    })
    it('each sentence short enough for the challenge, and without the token', async () => {
      const past = { iat: Math.floor(now / 1000) - 120, exp: Math.floor(now / 1000) - 60 }
      for (const token of [await idToken(past), await idToken({ aud: 'x' }), await idp.sign({ iss: 'https://x' })]) {
        const message = await refusal({ 'x-id-token': token }, 'invalid_token', /./)
        assert.ok(message.length <= 300, message)
        for (const part of token.split('.')) assert.ok(!message.includes(part))
      }
    })
  })

  it("is known after Grafana's change of keys at the month's end, with the old key still good", async () => {
    const old = await grafana.sign({ sub: 'user:before' })
    assert.equal((await known({ 'x-grafana-id': await grafana.sign() })).subject, 'user:u1')
    await grafana.newMonth()
    // Beyond the few seconds between two questions.
    now += 6_000
    const fetches = grafana.fetches()
    assert.equal((await known({ 'x-grafana-id': await grafana.sign() })).subject, 'user:u1')
    assert.equal(grafana.fetches(), fetches + 1)
    assert.equal((await known({ 'x-grafana-id': old })).subject, 'user:before')
  })
  it('of Grafana Cloud, which publishes no keys, is refused for the moment; the state says why for good', async () => {
    const cloud = await startStubGrafana()
    cloud.keys = () => ({ status: 200, body: '{"keys":null}' })
    const { issuer, keysUrl } = cloud
    const grafanaId = { issuer, keysUrl, audience: ['org:1'], clockTolerance: 5 }
    const one = openDatasource({ name: 'cloud', secret, grafanaId }, clock)
    try {
      const source = grafanaSource({ datasources: [one], verifier: openTokenVerifier({ issuers: [keys], clock }) })
      const headers = { 'bailiwick-datasource': secret, 'x-grafana-id': await cloud.sign() }
      const said = await source.identify(credentialsWith(headers))
      assert.ok(said.is === 'refused')
      assert.equal(said.refusal.code, 'issuer_unavailable')
      assert.doesNotMatch(said.refusal.message, /Cloud/)
      assert.match(one.keys?.state().lastFailure ?? '', /Grafana Cloud answers \{"keys":null\}/)
      cloud.keys = () => ({ status: 500, body: '' })
      now += 6_000
      await one.keys?.refresh()
      assert.doesNotMatch(one.keys?.state().lastFailure ?? 'Cloud', /Cloud/)
    } finally {
      one.keys?.stop()
      await cloud.stop()
    }
  })
})

describe('the configuration of datasources', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-datasources-'))
  after(() => rmSync(scratch, { recursive: true, force: true }))
  function read(...datasources: object[]): ReturnType<typeof loadConfig> {
    const file = join(scratch, 'bailiwick.yaml')
    const settings = {
      clusters: [{ name: 'east', prometheus: { url: 'http://a' } }],
      identity: { issuers: [{ issuer: 'https://id.example.org', audience: [audience] }], datasources },
      policy: { model: 'm', rules: ['r'] },
      audit: { directory: 'a' },
    }
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(settings))
    return loadConfig(file, {})
  }
  const one = { name: 'a', secret }
  const signedBy = (issuer: string, more: object = {}): object => ({
    ...one,
    grafanaId: { issuer, audience: ['org:1'], ...more },
  })

  it('takes the secret out of a file', () => {
    writeFileSync(join(scratch, 'secret'), `${secret}\n`)
    const config = read({ name: 'a', secret_file: 'secret' })
    assert.ok(config.ok, JSON.stringify(config))
    assert.deepEqual(config.value.datasources, [one])
  })
  it("finds Grafana's keys below its root URL, with or without the slash, and leaves the issuer as it is", () => {
    for (const issuer of ['https://grafana.example.org/', 'https://grafana.example.org', 'https://a.test/grafana/']) {
      const config = read(signedBy(issuer))
      assert.ok(config.ok, JSON.stringify(config))
      const keysUrl = `${issuer.replace(/\/$/, '')}/api/signing-keys/keys`
      const expected = { issuer, keysUrl, audience: ['org:1'], clockTolerance: 30 }
      assert.deepEqual(config.value.datasources[0]?.grafanaId, expected)
    }
  })
  it('lets a Grafana be known by plain http where its keys come by https', () => {
    const config = read(signedBy('http://grafana.internal/', { keysUrl: 'https://keys.test/k' }))
    assert.equal(config.ok && config.value.datasources[0]?.grafanaId?.keysUrl, 'https://keys.test/k')
  })

  const at = 'identity.datasources[0]'
  const form = 'must be a secret of 24 to 1000 letters, digits and signs of ASCII, without spaces'
  const badName = 'must be a name of a-z, 0-9 and -, at most 63 characters'
  const plain = 'is plain http, and the keys must not come that way: give their address in keysUrl, as https'
  const secure = 'must be https; plain http only on this machine (localhost, 127.0.0.1, [::1])'
  const bearer = 'is identity.issuers[0], too, so that it would need no datasource: remove that one'
  const refused: readonly (readonly [what: string, datasources: readonly object[], problem: string])[] = [
    ['a secret of 23 characters', [{ ...one, secret: 'x'.repeat(23) }], `${at}.secret: ${form}`],
    ['a secret of 1001 characters', [{ ...one, secret: 'x'.repeat(1001) }], `${at}.secret: ${form}`],
    ['a secret with a space', [{ ...one, secret: `${'x'.repeat(30)} y` }], `${at}.secret: ${form}`],
    ['a secret beyond ASCII', [{ ...one, secret: 'ä'.repeat(30) }], `${at}.secret: ${form}`],
    ['a name with a slash', [{ ...one, name: 'a/b' }], `${at}.name: ${badName}`],
    ['a list of nothing', [], 'identity.datasources: must name at least one datasource'],
    [
      'two of one name',
      [one, { ...one, secret: other }],
      `identity.datasources[1].name: is the name of ${at} already: choose another`,
    ],
    [
      'two of one secret',
      [one, { ...one, name: 'b' }],
      `identity.datasources[1].secret: is that of ${at} too: make another`,
    ],
    ['keys over plain http', [signedBy('http://grafana.internal/')], `${at}.grafanaId.issuer: ${plain}`],
    [
      'an address of keys over plain http',
      [signedBy('https://g.test/', { keysUrl: 'http://g.test/' })],
      `${at}.grafanaId.keysUrl: ${secure}`,
    ],
    [
      'a Grafana without organisations',
      [signedBy('https://g.test/', { audience: [] })],
      `${at}.grafanaId.audience: must name at least one organisation`,
    ],
    [
      'a Grafana whose tokens would be bearer tokens',
      [signedBy('https://id.example.org')],
      `${at}.grafanaId.issuer: ${bearer}`,
    ],
  ]
  for (const [what, datasources, problem] of refused) {
    it(`refuses ${what}`, () => {
      const config = read(...datasources)
      assert.deepEqual(config.ok ? [] : config.error, [problem])
    })
  }
  it('takes secrets of 24 and of 1000 characters', () => {
    for (const length of [24, 1000]) assert.ok(read({ ...one, secret: 'x'.repeat(length) }).ok)
  })
})

describe('service subjects of the policy', () => {
  const model = {
    name: 'model.conf',
    text: readFileSync(new URL('../../policies/model.conf', import.meta.url), 'utf8'),
  }
  const lines = [
    'p, service:datasource/grafana-prod, east, query, namespace=emojivoto, allow',
    'p, service:datasource/grafana-prod, *, *, namespace=secret, deny',
    'p, group:service:datasource/grafana-prod, *, *, namespace=booksapp, allow',
    'p, group:platform, *, *, *, allow',
  ]
  const files = [{ name: 'p.csv', text: lines.join('\n') }]
  const service: Identity = {
    ...{ issuer: 'service', subject: 'datasource/grafana-prod', name: 'datasource/grafana-prod' },
    ...{ groups: [], via: 'datasource' },
  }
  /** A policy loads only where Casbin, asked about each rule, decides as the gateway does. */
  const scopeOf = async (identity: Identity, cluster = 'east'): Promise<string> => {
    const policy = await loadPolicy(model, files)
    assert.ok(policy.ok, JSON.stringify(policy))
    return describeScope(policy.value.decide(identity, cluster, 'query').scope)
  }

  it('are for the service alone, and all that a service is', async () => {
    assert.equal(await scopeOf({ ...service, groups: ['platform'] }), 'namespace: emojivoto but not secret')
    assert.equal(await scopeOf({ ...service, subject: 'datasource/grafana' }), 'nothing')
    assert.equal(await scopeOf(service, 'west'), 'nothing')
  })
  it('cannot be reached by a token: its issuer is a URL, and its groups and subject stay behind their own words', async () => {
    const person: Identity = { ...service, issuer: 'https://id.example.org', via: 'bearer' }
    assert.equal(await scopeOf(person), 'nothing')
    assert.equal(await scopeOf({ ...person, subject: 'service:datasource/grafana-prod' }), 'nothing')
    assert.equal(await scopeOf({ ...person, groups: ['service:datasource/grafana-prod'] }), 'namespace: booksapp')
  })
  it('cannot be reached by an issuer of that name either: it would have to be a URL', () => {
    for (const issuer of ['service', 'service:', 'service:datasource', '//service']) {
      const said = schema.shape.identity.safeParse({ issuers: [{ issuer, audience: ['a'] }] })
      assert.match(said.error?.message ?? '', /must be an http or https URL/)
    }
  })
  it('are not written as a user', async () => {
    const line = 'p, user:service#datasource/grafana-prod, *, query, *, allow'
    const loaded = await loadPolicy(model, [{ name: 'p.csv', text: line }])
    assert.ok(!loaded.ok)
    assert.match(loaded.error.join(), /^p\.csv:1: .* is nobody: a service is written service:<subject>$/)
  })
  it('need a name, and the word is taken to the letter', async () => {
    for (const subject of ['service:', 'service', 'Service:datasource/a', 'services:a', 'service datasource/a']) {
      const loaded = await loadPolicy(model, [{ name: 'p.csv', text: `p, ${subject}, *, query, *, allow` }])
      assert.ok(!loaded.ok)
      assert.match(loaded.error.join(), /the subject "[^"]+" is .*service:<subject>/)
    }
  })
})
