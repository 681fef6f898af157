// What a user of Grafana, or somebody beside it, can send to be somebody else. Which headers Grafana sets, copies from the
// browser or lets through is read from its sources; the stand-in for it does the same.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { SignJWT, base64url, generateKeyPair } from 'jose'
import type { JWTHeaderParameters, JWTPayload } from 'jose'
import { identify } from '../../src/identity/identity.ts'
import type { Identified } from '../../src/identity/identity.ts'
import { openIssuer } from '../../src/identity/issuer.ts'
import type { IssuerKeys } from '../../src/identity/issuer.ts'
import { bearerSource } from '../../src/identity/sources/bearer.ts'
import { grafanaSource, openDatasource as openHop } from '../../src/identity/sources/grafana.ts'
import type { Datasource } from '../../src/identity/sources/grafana.ts'
import { openTokenVerifier } from '../../src/identity/token.ts'
import { openDatasource } from '../support/grafana.ts'
import { audience, credentialsWith, issuerOptions, startStubIssuer } from '../support/issuer.ts'
import type { StubIssuer } from '../support/issuer.ts'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'
import { startStubGrafana } from '../support/stub-grafana.ts'
import type { StubGrafana } from '../support/stub-grafana.ts'

const secret = 'S3cr3t-of-the-datasource-of-prod'
const hop = { 'bailiwick-datasource': secret }
type SigningKey = Parameters<SignJWT['sign']>[0]

/** Headers of a query that Grafana copies from the browser, or from an alert rule: any user can set them. */
const copied: Readonly<Record<string, string>> = {
  fromalert: 'true',
  'x-rule-uid': 'r1',
  'x-rule-name': 'High%20latency',
  'x-rule-folder': 'platform',
  'x-rule-source': 'grafana-managed',
  'x-rule-type': 'alerting',
  'x-rule-version': '3',
  'x-rule-origin': 'x',
  'x-dashboard-uid': 'd1',
  'x-dashboard-title': 'Top%20line',
  'x-panel-id': '7',
  'x-panel-title': 'Success',
  'x-panel-plugin-id': 'timeseries',
  'x-query-group-id': 'q1',
  'x-datasource-uid': 'P1',
  'x-grafana-from-expr': 'true',
  'x-grafana-org-id': '2',
}
/** What a call of a user's own lets through besides; these prove nothing, and are no business of the record. */
const letThrough: Readonly<Record<string, string>> = {
  'x-grafana-user': 'carol',
  'x-grafana-referer': 'http://grafana.test/d/1',
  'x-forwarded-for': '127.0.0.1',
  'x-forwarded-user': 'carol',
  'x-grafana-request-id': '7f3a',
  'x-grafana-signed-request-id': '0'.repeat(64),
  'x-access-token': 'carol',
  'x-grafana-device-id': '1',
  'x-webauth-user': 'carol',
  'bailiwick-datasource-name': 'grafana-prod',
  bailiwick_datasource: secret,
  'x-bailiwick-datasource': secret,
  connection: 'close, x-grafana-id, x-id-token, authorization',
}

describe('behind a datasource, headers that a user of Grafana can set', () => {
  let grafana: StubGrafana
  let gateway: StubGateway
  let scratch: string
  before(async () => {
    grafana = await startStubGrafana()
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-grafana-'))
    const rules = join(scratch, 'policy.csv')
    await writeFile(
      rules,
      `p, service:datasource/grafana-prod, *, *, namespace=of-alerts, allow
p, user:${grafana.issuer}#user:u1, *, *, namespace=of-local, allow
p, group:team-a, *, *, namespace=of-team-a, allow
p, group:platform, *, *, *, allow
`,
    )
    const { issuer, keysUrl } = grafana
    const grafanaId = { issuer, keysUrl, audience: ['org:1'], clockTolerance: 5 }
    gateway = await startStubGateway(
      (request, response) => {
        const data = request.url?.includes('/label/') === true ? '[]' : '{"resultType":"vector","result":[]}'
        response.setHeader('content-type', 'application/json').end(`{"status":"success","data":${data}}`)
      },
      (config) => ({
        ...config,
        issuers: config.issuers.map((one) => ({ ...one, clientIds: [audience] })),
        datasources: [{ name: 'grafana-prod', secret, grafanaId }],
        policy: { ...config.policy, rules: [rules] },
      }),
    )
  })
  after(async () => {
    await gateway.stop()
    await grafana.stop()
    await rm(scratch, { recursive: true, force: true })
  })

  /** A query and a call of the user's own, with what Grafana sets and what the user does: status and scope. */
  async function ask(set: Readonly<Record<string, string>>, forged: Readonly<Record<string, string>>) {
    const datasource = openDatasource({ url: gateway.url, headers: set })
    const ofQueries = Object.entries(forged).filter(([name]) => Object.hasOwn(copied, name))
    await datasource.panel({ expr: 'up', from: 1, to: 2 }, Object.fromEntries(ofQueries))
    await datasource.resource('/api/v1/label/job/values', [], { headers: forged })
    const [query, resource] = datasource.exchanges
    const seen = [query, resource].map((one) => `${one?.status} ${String(one?.headers['bailiwick-scope'] ?? '-')}`)
    return seen[0] === seen[1] ? seen[0] : seen.join(' | ')
  }
  const eachForged = (): readonly Readonly<Record<string, string>>[] => [
    ...Object.entries({ ...copied, ...letThrough }).map(([name, value]) => ({ [name]: value })),
    { ...copied, ...letThrough },
  ]

  it('leave a person of Grafana who they are, also where they pose as an alert rule', async () => {
    const set = { ...hop, 'x-grafana-id': await grafana.sign() }
    for (const forged of eachForged()) assert.equal(await ask(set, forged), '200 namespace: of-local')
  })
  it('leave a person of the issuer who they are', async () => {
    const token = await gateway.token(['team-a'])
    const set = { ...hop, 'x-id-token': token, authorization: `Bearer ${token}`, 'x-grafana-id': await grafana.sign() }
    for (const forged of eachForged()) assert.equal(await ask(set, forged), '200 namespace: of-team-a')
  })
  it('leave nobody a service, whether they say that it is an alert or not', async () => {
    for (const forged of [{}, ...eachForged()]) assert.equal(await ask(hop, forged), '200 namespace: of-alerts')
  })
  it('give nobody anything without the secret', async () => {
    const signed = { 'x-grafana-id': await grafana.sign(), 'x-id-token': await gateway.token(['platform']) }
    for (const forged of eachForged()) {
      assert.equal(await ask({}, { ...forged, ...signed }), '401 -')
      assert.equal(await ask(signed, forged), '401 -')
    }
    const bearer = { authorization: `Bearer ${await gateway.token(['team-a'])}`, ...signed }
    assert.equal(await ask(bearer, { ...copied, ...letThrough }), '200 namespace: of-team-a')
  })
  it('do not replace the secret that Grafana puts in, nor do for it', async () => {
    const mine = { 'bailiwick-datasource': 'x'.repeat(32) }
    assert.equal(await ask({ ...hop, 'x-grafana-id': await grafana.sign() }, mine), '200 namespace: of-local')
    const [query, resource] = (await ask({}, mine))?.split(' | ') ?? []
    assert.deepEqual([query, resource], ['401 -', undefined])
  })
  it('do not let a person of Grafana be somebody by a good Authorization of somebody else', async () => {
    const forged = { authorization: `Bearer ${await gateway.token(['platform'])}` }
    assert.equal(await ask({ ...hop, 'x-grafana-id': await grafana.sign() }, forged), '200 namespace: of-local')
  })
  it('make a call fail where they are a person that is none, and never make it the service’s', async () => {
    const set = { ...hop, 'x-grafana-id': await grafana.sign() }
    for (const token of ['', 'x', 'a.b.c', `${base64url.encode('{"alg":"none"}')}.e30.`]) {
      assert.match((await ask(set, { 'x-id-token': token })) ?? '', /^200 namespace: of-local \| 40[01] -$/)
      assert.match((await ask(hop, { 'x-id-token': token })) ?? '', /^200 namespace: of-alerts \| 40[01] -$/)
      assert.match((await ask(hop, { 'x-grafana-id': token })) ?? '', /^200 namespace: of-alerts \| 40[01] -$/)
      assert.match((await ask(hop, { authorization: token })) ?? '', /^200 namespace: of-alerts \| 40[01] -$/)
    }
  })

  /** Raw headers, so that one can be there twice, in this spelling. Node refuses none of them on its way out. */
  async function raw(...headers: readonly (readonly [string, string])[]): Promise<string> {
    const sent = ['Host', new URL(gateway.url).host, ...headers.flat()]
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    httpRequest(`${gateway.url}/api/v1/query?query=up`, { headers: sent }, (response) => {
      response.resume().on('end', () => {
        resolve(`${response.statusCode} ${String(response.headers['bailiwick-scope'] ?? '-')}`)
      })
    })
      .on('error', reject)
      .end()
    return promise
  }
  it('nor is any header believed that is there twice', async () => {
    const token = await gateway.token(['team-a'])
    const signed = await grafana.sign()
    const proof = ['Bailiwick-Datasource', secret] as const
    assert.equal(await raw(proof, ['X-ID-Token', token]), '200 namespace: of-team-a')
    assert.equal(await raw(proof, ['x-GRAFANA-id', signed]), '200 namespace: of-local')
    const twice: readonly (readonly (readonly [string, string])[])[] = [
      [proof, proof],
      [proof, ['bailiwick-datasource', 'x']],
      [['BAILIWICK-DATASOURCE', ''], proof],
      [proof, ['X-Id-Token', token], ['x-id-token', token]],
      [proof, ['X-Grafana-Id', signed], ['X-Grafana-Id', signed]],
      [proof, ['X-Id-Token', token], ['X-Grafana-Id', signed], ['x-grafana-id', 'x']],
      [proof, ['X-Id-Token', token], ['Authorization', `Bearer ${token}`], ['authorization', `Bearer ${token}`]],
      [proof, ['X-Id-Token', `${token}, ${token}`]],
      [proof, ['X-Id-Token', `${token},${token}`]],
      [proof, ['X-Grafana-Id', `${signed}, ${signed}`]],
      [proof, ['X-Grafana-Id', `Bearer ${signed}`]],
    ]
    for (const headers of twice) assert.equal(await raw(...headers), '400 -', JSON.stringify(headers))
    assert.equal(await raw(['bailiwick-datasource', `${secret}, ${secret}`]), '401 -')
  })
  it('leave no token and no secret behind, neither in the record nor at Prometheus; the record says what was claimed', async () => {
    const signed = await grafana.sign()
    const before = (await gateway.records()).length
    const reached = gateway.reached.length
    await raw(['X-Grafana-Id', signed], ['X-Id-Token', signed], ['FromAlert', 'true'], ['X-Rule-Name', 'a%20b'])
    await raw(['bailiwick-datasource', secret], ['X-Grafana-Id', signed], ['FromAlert', 'true'])
    await raw(['bailiwick-datasource', secret], ['X-Rule-Uid', 'r1'])
    const records = (await gateway.records()).slice(before).filter(({ kind }) => kind === 'decision')
    const token = { 'x-grafana-id': '(not recorded)' }
    const claimed = records.map((record) => record['claimed'])
    assert.deepEqual(claimed, [
      { 'x-rule-name': 'a%20b', fromalert: 'true', 'x-id-token': '(not recorded)', ...token },
      { fromalert: 'true', ...token },
      { 'x-rule-uid': 'r1' },
    ])
    const [stranger, person, service] = records.map(({ who }) => Object(who))
    assert.deepEqual([stranger.subject, stranger.actor], [undefined, undefined])
    assert.deepEqual([person.subject, person.via, person.actor], ['user:u1', 'grafana-id', 'datasource/grafana-prod'])
    assert.deepEqual(service, {
      ...{ issuer: 'service', subject: 'datasource/grafana-prod', name: 'datasource/grafana-prod' },
      ...{ groups: [], via: 'datasource' },
    })
    const everything = JSON.stringify([await gateway.records(), gateway.reached])
    for (const part of [secret, ...signed.split('.')]) assert.ok(!everything.includes(part), part)
    const names = gateway.reached.slice(reached).flatMap(({ headers }) => Object.keys(headers))
    assert.deepEqual(
      names.filter((name) => /grafana|token|rule|alert|datasource/.test(name)),
      [],
    )
  })
})

describe('behind a datasource, tokens', () => {
  let idp: StubIssuer
  let grafana: StubGrafana
  let keys: IssuerKeys
  let datasource: Datasource
  let ask: (headers: Readonly<Record<string, string>>) => Promise<Identified>

  before(async () => {
    idp = await startStubIssuer()
    grafana = await startStubGrafana()
    keys = openIssuer(issuerOptions(idp.issuer, { clientIds: ['grafana'] }), Date.now)
    const { issuer, keysUrl } = grafana
    const grafanaId = { issuer, keysUrl, audience: ['org:1'], clockTolerance: 5 }
    datasource = openHop({ name: 'grafana-prod', secret, grafanaId }, Date.now)
    const verifier = openTokenVerifier({ issuers: [keys], clock: Date.now })
    const sources = [grafanaSource({ datasources: [datasource], verifier }), bearerSource(verifier)]
    ask = (headers) => identify(sources, credentialsWith(headers))
  })
  after(async () => {
    datasource.keys?.stop()
    keys.stop()
    await idp.stop()
    await grafana.stop()
  })

  async function assertRefused(headers: Readonly<Record<string, string>>, words: RegExp): Promise<void> {
    const said = await ask(headers)
    assert.ok(said.is === 'refused', JSON.stringify(said))
    assert.match(said.refusal.message, words)
    for (const value of Object.values(headers)) {
      for (const part of value.split('.')) if (part.length > 20) assert.ok(!said.refusal.message.includes(part))
    }
  }
  const signed = async (claims: JWTPayload, header: Partial<JWTHeaderParameters> = {}) => ({
    ...hop,
    'x-grafana-id': await grafana.sign(claims, header),
  })

  it('of Grafana, replayed without the secret, are nobody’s', async () => {
    const token = await grafana.sign()
    assert.deepEqual(await ask({ 'x-grafana-id': token }), { is: 'absent' })
    await assertRefused({ authorization: `Bearer ${token}` }, /issuer that this gateway trusts/)
    const basic = Buffer.from(`x:${token}`).toString('base64')
    await assertRefused({ authorization: `Basic ${basic}` }, /issuer that this gateway trusts/)
    await assertRefused({ ...hop, authorization: `Bearer ${token}` }, /issuer that this gateway trusts/)
    await assertRefused({ ...hop, 'x-id-token': token }, /issuer that this gateway trusts/)
  })
  it('of another organisation of the same Grafana are refused', async () => {
    for (const aud of [['org:2'], 'org:10', ['ORG:1'], ['org:1 '], 'org', []]) {
      await assertRefused(await signed({ aud }), /aud/)
    }
    assert.equal((await ask(await signed({ aud: ['org:2', 'org:1'] }))).is, 'known')
  })
  it('of another Grafana are refused, also of one that differs by the slash at the end', async () => {
    const { issuer } = grafana
    for (const iss of [issuer.slice(0, -1), `${issuer}/`, issuer.toUpperCase(), idp.issuer, '']) {
      await assertRefused(await signed({ iss }), /issuer that this gateway trusts.*root_url/)
    }
  })
  it('for whoever is nobody in particular are refused', async () => {
    for (const type of [
      'anonymous',
      'render',
      'api-key',
      'plugin',
      'access-policy',
      'provisioning',
      'public',
      'USER',
    ]) {
      for (const claims of [
        { sub: `${type}:1`, type },
        { sub: 'user:1', type },
        { sub: `${type}:1`, type: 'user' },
      ]) {
        await assertRefused(await signed(claims), /nobody in particular: sign in to Grafana/)
      }
    }
    for (const sub of ['user:', 'user', 'service-account:', '1', ':1', ' user:1', 'user-1:1', 'xuser:1', 'users:1']) {
      await assertRefused(await signed({ sub, type: undefined }), /nobody in particular/)
    }
    await assertRefused(await signed({ type: 'service-account' }), /nobody in particular/)
    await assertRefused(await signed({ type: ['user'] }), /nobody in particular/)
    await assertRefused(await signed({ type: null }), /nobody in particular/)
    await assertRefused(await signed({ sub: '' }), /sub/)
  })
  it('of Grafana with another typ, algorithm or key are refused', async () => {
    for (const typ of ['at+jwt', 'logout+jwt', 'id', '', 'jwt2']) {
      await assertRefused(await signed({}, { typ }), /^X-Grafana-Id: /)
    }
    const claims = { iss: grafana.issuer, aud: ['org:1'], sub: 'user:u1', type: 'user' }
    const sign = async (alg: string, key: SigningKey, kid = 'id-2026-01-es256') => ({
      ...hop,
      'x-grafana-id': await new SignJWT(claims)
        .setProtectedHeader({ alg, typ: 'jwt', kid })
        .setIssuedAt()
        .setExpirationTime('5m')
        .sign(key),
    })
    await assertRefused(await sign('ES256', (await generateKeyPair('ES256')).privateKey), /signature/)
    await assertRefused(
      await sign('RS256', (await generateKeyPair('RS256')).privateKey),
      /algorithm is not one of ES256/,
    )
    const published = Buffer.from(grafana.keys().body)
    await assertRefused(await sign('HS256', published), /algorithm is not one of ES256/)
    const head = base64url.encode(JSON.stringify({ alg: 'none', typ: 'jwt' }))
    const unsigned = `${head}.${base64url.encode(JSON.stringify(claims))}`
    for (const end of ['.', '', '.AAAA']) {
      await assertRefused({ ...hop, 'x-grafana-id': `${unsigned}${end}` }, /one signed JWT|algorithm/)
    }
  })
  it('of Grafana that are too old, not yet good or lack a claim are refused', async () => {
    const now = Math.floor(Date.now() / 1000)
    await assertRefused(await signed({ exp: now - 60, iat: now - 660 }), /expired/)
    await assertRefused(await signed({ exp: now + 86_400, iat: now - 3_600 }), /issued more than 1200 s ago/)
    await assertRefused(await signed({ iat: now + 600, exp: now + 1_200 }), /iat/)
    for (const claim of ['exp', 'iat', 'sub', 'aud', 'iss'])
      await assertRefused(await signed({ [claim]: undefined }), /./)
    const most = await ask(await signed({ exp: now + 86_400, iat: now - 1_190 }))
    assert.ok(most.is === 'known')
    assert.equal(most.identity.expires, now + 10)
  })
  it('of the issuer for another client, or of another kind, are no ID tokens', async () => {
    const id = async (claims: JWTPayload, header = {}) => ({ ...hop, 'x-id-token': await idp.sign(claims, header) })
    assert.equal((await ask(await id({ aud: 'grafana' }))).is, 'known')
    await assertRefused(await id({}), /another audience/)
    await assertRefused(await id({ aud: ['grafana', 'kiali'], azp: 'kiali' }), /azp/)
    await assertRefused(await id({ aud: 'grafana' }, { typ: 'at+jwt' }), /access token/)
    await assertRefused(await id({ aud: 'grafana' }, { typ: 'logout+jwt' }), /does not say who is asking/)
    await assertRefused(await id({ aud: 'grafana', events: {} }), /does not say who is asking/)
    await assertRefused(await id({ aud: 'grafana', cnf: { jkt: 'x' } }), /bound to a key/)
    // What is good in one place stays worthless in another.
    await assertRefused({ authorization: `Bearer ${await idp.sign({ aud: 'grafana' })}` }, /another audience/)
  })
  it('of every other shape are refused, and nothing throws', async () => {
    const part = fc.oneof(
      fc.base64String(),
      fc.string({ unit: 'binary-ascii' }),
      fc.json().map((json) => base64url.encode(json)),
    )
    const token = fc.array(part, { maxLength: 4 }).map((parts) => parts.join('.'))
    await fc.assert(
      fc.asyncProperty(fc.constantFrom('x-id-token', 'x-grafana-id', 'authorization'), token, async (name, value) => {
        assert.equal((await ask({ ...hop, [name]: value })).is, 'refused')
      }),
    )
  })

  it('do not matter where the secret is not exactly the secret', async () => {
    const good = { 'x-id-token': await idp.sign({ aud: 'grafana' }) }
    const nearly = [
      ...['', ' ', secret.toLowerCase(), secret.toUpperCase(), secret.slice(0, -1), secret.slice(1), `${secret}x`],
      ...[` ${secret}`, `${secret} `, `${secret}\t`, `${secret}, ${secret}`, `Bearer ${secret}`, `"${secret}"`, 'null'],
      ...[encodeURIComponent(`${secret}ä`), Buffer.from(secret).toString('base64'), 'datasource/grafana-prod', '*'],
    ]
    for (const value of nearly) {
      await assertRefused({ ...good, 'bailiwick-datasource': value }, /no datasource's: compare the custom header/)
    }
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary-ascii', maxLength: 64 }), async (value) => {
        fc.pre(value !== secret)
        assert.equal((await ask({ ...good, 'bailiwick-datasource': value })).is, 'refused')
      }),
    )
    for (const name of ['x-bailiwick-datasource', 'bailiwick_datasource', 'bailiwick-datasources', 'authorization']) {
      assert.notEqual((await ask({ ...good, [name]: secret })).is, 'known', name)
    }
  })
  it('do not matter, nor does a good Authorization, where the secret is bad: nothing weaker is tried', async () => {
    const authorization = `Bearer ${await idp.sign()}`
    assert.equal((await ask({ authorization })).is, 'known')
    await assertRefused({ authorization, 'bailiwick-datasource': 'x' }, /no datasource's/)
  })
  it('do not matter where no datasource is configured, and the header was sent all the same', async () => {
    const verifier = openTokenVerifier({ issuers: [keys], clock: Date.now })
    const source = grafanaSource({ datasources: [], verifier })
    assert.equal((await source.identify(credentialsWith(hop))).is, 'refused')
    assert.deepEqual(await source.identify(credentialsWith({ 'x-id-token': 'x' })), { is: 'absent' })
  })
})
