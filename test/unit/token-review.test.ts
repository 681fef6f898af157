// Whether a token still counts is asked of the API server, sparingly, and its word is looked at closely.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, beforeEach, describe, it } from 'node:test'
import type { IdentityRefusal } from '../../src/identity/identity.ts'
import { maxTokenReviews } from '../../src/identity/limits.ts'
import { openTokenReview } from '../../src/identity/token-review.ts'
import type { TokenReviewOptions } from '../../src/identity/token-review.ts'
import { hashOf } from '../../src/identity/remembered.ts'
import { makeAuthority } from '../support/certificates.ts'
import { nightly, podAudience, startStubCluster } from '../support/kubernetes.ts'
import type { StubCluster } from '../support/kubernetes.ts'

const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-review-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

describe('a token review', () => {
  let cluster: StubCluster
  let now: number
  let review: ReturnType<typeof openTokenReview>

  const open = (others: Partial<TokenReviewOptions> = {}): ReturnType<typeof openTokenReview> => {
    const given = { url: cluster.url, ca: cluster.ca, bearerToken: 'own-token', ...others }
    return openTokenReview(given, [podAudience], () => now)
  }
  beforeEach(async () => {
    cluster = await startStubCluster()
    now = Date.parse('2026-11-20T03:00:00Z')
    review = open()
  })
  afterEach(() => cluster.stop())

  const confirm = (token: string, subject = nightly): Promise<IdentityRefusal | null> =>
    review.confirm({ token, hash: hashOf(token), subject })

  it('says yes to a living pod, asked with the gateway’s own token and audience', async () => {
    const token = await cluster.sign()
    assert.equal(await confirm(token), null)
    assert.deepEqual(cluster.reviews, [{ token, audiences: [podAudience], by: 'own-token' }])
    assert.equal(review.lastFailure(), null)
  })
  it('holds for two minutes and no longer', async () => {
    const token = await cluster.sign()
    await confirm(token)
    cluster.gone.add(nightly)
    now += 119_999
    assert.equal(await confirm(token), null)
    assert.equal(cluster.reviews.length, 1)
    now += 1
    assert.equal((await confirm(token))?.code, 'invalid_token')
    assert.equal(cluster.reviews.length, 2)
  })
  it('says no to a pod that is gone, and asks again only after a pause', async () => {
    const token = await cluster.sign()
    cluster.gone.add(nightly)
    const said = await confirm(token)
    assert.equal(said?.code, 'invalid_token')
    assert.match(said.message, /pod or service account is gone/)
    cluster.gone.clear()
    now += 4_999
    assert.notEqual(await confirm(token), null)
    assert.equal(cluster.reviews.length, 1)
    now += 1
    assert.equal(await confirm(token), null)
  })
  it('is asked for once, however many requests bring the token at once', async () => {
    const token = await cluster.sign()
    const said = await Promise.all(Array.from({ length: 20 }, () => confirm(token)))
    assert.ok(said.every((one) => one === null))
    assert.equal(cluster.reviews.length, 1)
  })

  const good = { authenticated: true, user: { username: nightly }, audiences: [podAudience] }
  for (const [what, status] of [
    ['authenticated is left out', { ...good, authenticated: undefined }],
    ['authenticated is a text', { ...good, authenticated: 'true' }],
    ['authenticated is 1', { ...good, authenticated: 1 }],
    ['it is for somebody else', { ...good, user: { username: `${nightly}2` } }],
    ['it is for nobody', { ...good, user: {} }],
    ['the server knows no audiences', { ...good, audiences: undefined }],
    ['the audiences are none', { ...good, audiences: [] }],
    ['the audiences are others', { ...good, audiences: ['https://kubernetes.default.svc'] }],
    ['the audiences are a text that holds ours', { ...good, audiences: podAudience }],
  ] as const) {
    it(`is a no where ${what}`, async () => {
      cluster.bend = () => ({ status: 201, body: { status } })
      assert.equal((await confirm(await cluster.sign()))?.code, 'invalid_token')
    })
  }
  for (const [what, status, body] of [
    ['an error', 500, {}],
    ['a redirect', 302, {}],
    ['a page', 200, 'x'],
    ['no status', 200, { kind: 'TokenReview' }],
    ['null', 200, null],
    ['a status that is no object', 200, { status: true }],
  ] as const) {
    it(`cannot be had where the answer is ${what}: that is nobody’s fault but the server’s`, async () => {
      cluster.bend = () => ({ status, body })
      assert.equal((await confirm(await cluster.sign()))?.code, 'issuer_unavailable')
      assert.match(review.lastFailure() ?? '', /token review/)
    })
  }
  it('that the gateway may not ask for names the right that is missing', async () => {
    cluster.bend = () => ({ status: 403, body: {} })
    assert.equal((await confirm(await cluster.sign()))?.code, 'issuer_unavailable')
    assert.match(review.lastFailure() ?? '', /status 403: .*may not create tokenreviews/)
  })
  it('cannot be had from somebody with a certificate of another authority', async () => {
    review = open({ ca: makeAuthority('mallory').cert })
    assert.equal((await confirm(await cluster.sign()))?.code, 'issuer_unavailable')
    assert.equal(cluster.reviews.length, 0)
  })
  it('keeps a yes while the server is away, for its two minutes; then nothing counts until it is back', async () => {
    const token = await cluster.sign()
    await confirm(token)
    cluster.bend = () => ({ status: 503, body: {} })
    now += 60_000
    assert.equal(await confirm(token), null)
    now += 60_000
    assert.equal((await confirm(token))?.code, 'issuer_unavailable')
    cluster.bend = null
    now += 1_000
    assert.equal(await confirm(token), null)
    assert.equal(review.lastFailure(), null)
  })
  it('of a server that failed is not asked for again at once', async () => {
    cluster.bend = () => ({ status: 500, body: {} })
    await confirm(await cluster.sign())
    await confirm(await cluster.sign({ jti: 'another' }))
    assert.equal(cluster.reviews.length, 1)
  })
  it('waits its turn: so many at a time, so many behind them, and no more', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    cluster.hold = promise
    const { asked, waiting } = maxTokenReviews
    const tokens = Array.from({ length: asked + waiting + 1 }, (_, index) => `token-${index}`)
    cluster.bend = () => ({ status: 201, body: { status: good } })
    const said = tokens.map((token) => confirm(token))
    // The one too many is turned away while the others still wait.
    assert.equal((await said.at(-1))?.code, 'issuer_unavailable')
    assert.ok(cluster.reviews.length <= asked)
    resolve(undefined)
    const others = await Promise.all(said.slice(0, -1))
    assert.ok(others.every((one) => one === null))
    assert.equal(cluster.reviews.length, asked + waiting)
  })

  describe('with the gateway’s own token from a file', () => {
    const file = join(scratch, 'token')
    it('takes what is in the file now', async () => {
      review = open({ bearerToken: 'old', files: { bearerToken: file } })
      writeFileSync(file, 'own-token\n')
      assert.equal(await confirm(await cluster.sign()), null)
      cluster.known.clear()
      cluster.known.add('next-token')
      writeFileSync(file, 'next-token')
      assert.equal(await confirm(await cluster.sign({ jti: 'b' })), null)
      assert.deepEqual(
        cluster.reviews.map(({ by }) => by),
        ['own-token', 'next-token'],
      )
    })
    it('keeps the last good one where the file is away or useless, and says so once that fails', async () => {
      for (const content of ['', 'two words', null]) {
        writeFileSync(file, 'own-token')
        cluster.known.add('own-token')
        review = open({ bearerToken: 'old', files: { bearerToken: file } })
        assert.equal(await confirm(await cluster.sign()), null)
        if (content === null) unlinkSync(file)
        else writeFileSync(file, content)
        assert.equal(await confirm(await cluster.sign({ jti: 'b' })), null)
        cluster.known.clear()
        assert.equal((await confirm(await cluster.sign({ jti: 'c' })))?.code, 'issuer_unavailable')
        const why = content === null ? /bearerToken_file cannot be read \(ENOENT\)/ : /bearerToken_file holds nothing/
        assert.match(review.lastFailure() ?? '', why)
        assert.doesNotMatch(review.lastFailure() ?? '', /own-token|bailiwick-review-/)
      }
    })
    it('never trusts the public authorities because the file of its own is empty', async () => {
      const ca = join(scratch, 'ca.crt')
      writeFileSync(ca, '')
      review = open({ files: { ca } })
      assert.equal(await confirm(await cluster.sign()), null)
      writeFileSync(ca, makeAuthority('mallory').cert)
      assert.equal((await confirm(await cluster.sign({ jti: 'b' })))?.code, 'issuer_unavailable')
      writeFileSync(ca, cluster.ca)
      now += 1_000
      assert.equal(await confirm(await cluster.sign({ jti: 'b' })), null)
    })
  })
})
