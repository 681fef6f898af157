// Tokens of a cluster's service accounts: only a living pod's, made for the gateway, by this very cluster.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { SignJWT, base64url, generateKeyPair } from 'jose'
import type { JWTPayload } from 'jose'
import type { Identified } from '../../src/identity/identity.ts'
import { openIssuer } from '../../src/identity/issuer.ts'
import type { IssuerKeys, IssuerOptions } from '../../src/identity/issuer.ts'
import { bearerSource } from '../../src/identity/sources/bearer.ts'
import { openTokenVerifier } from '../../src/identity/token.ts'
import type { TokenVerifier } from '../../src/identity/token.ts'
import { makeAuthority } from '../support/certificates.ts'
import { credentialsWith } from '../support/issuer.ts'
import { nightly, podAudience, startStubCluster } from '../support/kubernetes.ts'
import type { StubCluster } from '../support/kubernetes.ts'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'

describe('the token of a pod', () => {
  let cluster: StubCluster
  let now: number
  let opened: IssuerKeys[]
  let verifier: TokenVerifier

  const open = (others: Partial<IssuerOptions> = {}): TokenVerifier => {
    const clock = (): number => now
    const keys = openIssuer(cluster.options(others), clock)
    opened.push(keys)
    return openTokenVerifier({ issuers: [keys], clock })
  }
  beforeEach(async () => {
    cluster = await startStubCluster()
    now = Date.now()
    opened = []
    verifier = open()
  })
  afterEach(async () => {
    for (const keys of opened) keys.stop()
    await cluster.stop()
  })

  const identify = (token: string): Promise<Identified> =>
    bearerSource(verifier).identify(credentialsWith({ authorization: `Bearer ${token}` }))
  async function assertRefused(token: string, code: string, words: RegExp): Promise<void> {
    const said = await identify(token)
    assert.equal(said.is, 'refused', JSON.stringify(said))
    assert.equal(said.refusal.code, code, said.refusal.message)
    assert.match(said.refusal.message, words)
    assert.ok(!said.refusal.message.includes(token.slice(0, 20)), 'the message holds the token')
  }

  it('is its service account, and its namespace is its group', async () => {
    const said = await identify(await cluster.sign())
    assert.equal(said.is, 'known', JSON.stringify(said))
    const { credential, expires, ...identity } = said.identity
    assert.match(credential ?? '', /^[0-9a-f]{16}$/)
    assert.ok((expires ?? 0) * 1000 > now)
    assert.deepEqual(identity, {
      issuer: cluster.issuer,
      subject: nightly,
      name: nightly,
      groups: ['namespace:emojivoto'],
      via: 'bearer',
    })
  })
  it('with dots in the account’s name is in the namespace that the cluster says, not in one that the name says', async () => {
    const said = await identify(await cluster.sign({ sub: 'system:serviceaccount:evil:admin.linkerd-viz' }))
    assert.equal(said.is, 'known')
    assert.equal(said.identity.subject, 'system:serviceaccount:evil:admin.linkerd-viz')
    assert.deepEqual(said.identity.groups, ['namespace:evil'])
  })
  it('for the API server, as every pod has one, is refused, and the API server is not asked', async () => {
    for (const aud of [
      ['https://kubernetes.default.svc.cluster.local'],
      ['https://kubernetes.default.svc', 'k3s'],
      [],
      ['bailiwick.evil'],
      ['BAILIWICK'],
    ]) {
      await assertRefused(await cluster.sign({ aud }), 'invalid_token', /another audience/)
    }
    assert.equal(cluster.reviews.length, 0)
  })
  it('of the old kind, which lives for ever in a Secret, is refused', async () => {
    const { privateKey } = await generateKeyPair('RS256')
    const legacy = {
      iss: 'kubernetes/serviceaccount',
      sub: nightly,
      'kubernetes.io/serviceaccount/namespace': 'emojivoto',
      'kubernetes.io/serviceaccount/secret.name': 'nightly-report-token-x',
    }
    const old = await new SignJWT(legacy).setProtectedHeader({ alg: 'RS256', kid: 'sa-1' }).sign(privateKey)
    await assertRefused(old, 'invalid_token', /issuer/)
    for (const claim of ['exp', 'iat', 'aud', 'sub']) {
      await assertRefused(await cluster.sign({ [claim]: undefined }), 'invalid_token', /./)
    }
  })
  it('that lives longer than a day is not good for longer than a day', async () => {
    const year = 365 * 86_400
    const token = await cluster.sign({ exp: Math.floor(now / 1000) + year })
    assert.equal((await identify(token)).is, 'known')
    now += 86_400_000 + 6_000
    await assertRefused(token, 'invalid_token', /issued more than 86400 s ago/)
  })
  it('of another cluster that calls itself the same is refused', async () => {
    const other = await startStubCluster()
    try {
      await assertRefused(await other.sign(), 'invalid_token', /signature/)
    } finally {
      await other.stop()
    }
  })
  it('with changed claims is refused before the API server sees it', async () => {
    const [header, payload, signature] = (await cluster.sign()).split('.')
    const claims: unknown = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString())
    for (const change of [
      { sub: 'system:serviceaccount:linkerd-viz:admin' },
      { 'kubernetes.io': { namespace: 'x' } },
    ]) {
      const changed = base64url.encode(JSON.stringify({ ...Object(claims), ...change }))
      await assertRefused(`${header}.${changed}.${signature}`, 'invalid_token', /signature/)
    }
    assert.equal(cluster.reviews.length, 0)
  })
  it('whose namespace is no text is refused rather than taken for one without a namespace', async () => {
    for (const namespace of [{ a: 1 }, 7, ['emojivoto', 7], null]) {
      const claims: JWTPayload = { 'kubernetes.io': { namespace } }
      await assertRefused(await cluster.sign(claims), 'invalid_token', /not a list of/)
    }
  })
  it('stops working once its pod is gone, though it has been remembered as good', async () => {
    const token = await cluster.sign()
    assert.equal((await identify(token)).is, 'known')
    assert.equal((await identify(token)).is, 'known')
    assert.equal(cluster.reviews.length, 1)
    cluster.gone.add(nightly)
    now += 120_000
    await assertRefused(token, 'invalid_token', /pod or service account is gone/)
  })
  it('of a pod that is gone is refused though everything in it is right', async () => {
    cluster.gone.add(nightly)
    await assertRefused(await cluster.sign(), 'invalid_token', /Kubernetes does not vouch/)
    assert.equal((await identify(await cluster.sign({ sub: 'system:serviceaccount:emojivoto:web' }))).is, 'known')
  })
  it('is refused while the API server cannot be asked: 503, as that is not the caller’s fault', async () => {
    const token = await cluster.sign()
    await identify(token)
    await cluster.stop()
    assert.equal((await identify(token)).is, 'known')
    now += 120_000
    await assertRefused(token, 'issuer_unavailable', /cannot say just now/)
    assert.match(opened[0]?.state().lastFailure ?? '', /the token review failed/)
    cluster = await startStubCluster()
  })
  it('is not confirmed by a yes about somebody else, or for another audience', async () => {
    const yes = { authenticated: true, user: { username: nightly }, audiences: [podAudience] }
    for (const status of [
      { ...yes, user: { username: 'system:serviceaccount:linkerd-viz:admin' } },
      { ...yes, audiences: ['https://kubernetes.default.svc'] },
    ]) {
      cluster.bend = () => ({ status: 201, body: { status } })
      await assertRefused(await cluster.sign({ jti: JSON.stringify(status) }), 'invalid_token', /does not vouch/)
    }
  })

  it('is checked with keys that only the cluster’s own authority can have vouched for', async () => {
    verifier = open({
      keys: { url: `${cluster.url}/openid/v1/jwks`, ca: makeAuthority().cert, bearerToken: 'own-token' },
    })
    await assertRefused(await cluster.sign(), 'issuer_unavailable', /cannot be had just now/)
    verifier = open({ keys: { url: `${cluster.url}/openid/v1/jwks`, bearerToken: 'own-token' } })
    await assertRefused(await cluster.sign(), 'issuer_unavailable', /cannot be had just now/)
  })
  it('is checked with keys that are asked for with what the files hold now', async () => {
    const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-kubernetes-'))
    try {
      const files = { ca: join(scratch, 'ca.crt'), bearerToken: join(scratch, 'token') }
      writeFileSync(files.ca, cluster.ca)
      writeFileSync(files.bearerToken, 'own-token')
      const first = { ca: makeAuthority().cert, bearerToken: 'of-yesterday' }
      verifier = open({ keys: { url: `${cluster.url}/openid/v1/jwks`, ...first, files } })
      assert.equal((await identify(await cluster.sign())).is, 'known')
      await cluster.rotate()
      cluster.known.add('renewed')
      writeFileSync(files.bearerToken, 'renewed')
      now += 6_000
      assert.equal((await identify(await cluster.sign())).is, 'known')
    } finally {
      rmSync(scratch, { recursive: true, force: true })
    }
  })
  it('is checked with keys that are shown to the gateway’s own token only', async () => {
    verifier = open({ keys: { url: `${cluster.url}/openid/v1/jwks`, ca: cluster.ca } })
    await assertRefused(await cluster.sign(), 'issuer_unavailable', /cannot be had just now/)
    assert.match(opened.at(-1)?.state().lastFailure ?? '', /status 401/)
  })
})

describe('a CronJob with a projected token', () => {
  let cluster: StubCluster
  let gateway: StubGateway
  before(async () => {
    cluster = await startStubCluster()
    gateway = await startStubGateway(
      (_, response) =>
        void response.setHeader('content-type', 'application/json').end('{"status":"success","data":[]}'),
      (config) => ({ ...config, issuers: [cluster.options({ groupPrefix: 'team-' })] }),
    )
  })
  after(async () => {
    await gateway.stop()
    await cluster.stop()
  })
  const ask = (token: string): Promise<Response> =>
    fetch(`${gateway.url}/api/v1/query?query=up`, { headers: { authorization: `Bearer ${token}` } })

  it('sees its own namespace, and the record names the service account, never the token', async () => {
    const token = await cluster.sign()
    const response = await ask(token)
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('bailiwick-scope'), 'namespace: emojivoto')
    await response.arrayBuffer()
    const decision = (await gateway.records()).find(({ kind }) => kind === 'decision')
    const { who } = Object(decision)
    assert.deepEqual([who.issuer, who.subject, who.groups], [cluster.issuer, nightly, ['team-emojivoto']])
    assert.ok(!JSON.stringify(await gateway.records()).includes(token.slice(0, 40)))
  })
  it('never has its token passed on to Prometheus', async () => {
    const token = await cluster.sign()
    await (await ask(token)).arrayBuffer()
    assert.ok(gateway.reached.length > 0)
    assert.ok(!JSON.stringify(gateway.reached).includes(token))
  })
  it('sees nothing with the token that every pod has', async () => {
    const before = gateway.reached.length
    const response = await ask(await cluster.sign({ aud: [cluster.issuer] }))
    assert.deepEqual([response.status, gateway.reached.length], [401, before])
    await response.arrayBuffer()
  })
})
