// What was verified once is remembered: within a bounded weight, and for no longer than it would be good if it were
// verified anew.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import type { Identified, Identity, SourceName } from '../../src/identity/identity.ts'
import { openIssuer } from '../../src/identity/issuer.ts'
import type { IssuerKeys } from '../../src/identity/issuer.ts'
import { maxGroups, maxRemembered } from '../../src/identity/limits.ts'
import { hashOf, rememberTokens, shortHash } from '../../src/identity/remembered.ts'
import type { Remembered, RememberedTokens } from '../../src/identity/remembered.ts'
import { openRevocations } from '../../src/identity/revocations.ts'
import { openTokenVerifier } from '../../src/identity/token.ts'
import type { TokenVerifier, VerifiedToken } from '../../src/identity/token.ts'
import { issuerOptions, startStubIssuer } from '../support/issuer.ts'
import type { StubIssuer } from '../support/issuer.ts'

describe('the memory of tokens', () => {
  let now = 0
  const identity = (groups = 0, subject = 'alice'): Identity => ({
    ...{ issuer: 'https://id.test', subject, name: subject, via: 'bearer' },
    groups: Array.from({ length: groups }, (_, at) => `group-${at}`),
  })
  /** Weighs one and one for each group. */
  const entry = (groups = 0, others: Partial<Remembered> = {}): Remembered => ({
    identity: identity(groups),
    until: Number.POSITIVE_INFINITY,
    valid: () => true,
    ...others,
  })
  const empty = (): RememberedTokens => rememberTokens(() => now)
  const found = (tokens: RememberedTokens, names: readonly string[]): readonly string[] =>
    names.filter((name) => tokens.find(name) !== null)
  const full = (weight: number): RememberedTokens => {
    const tokens = empty()
    for (let at = 0; at < weight / 1_000; at += 1) tokens.keep(`full-${at}`, entry(999))
    return tokens
  }
  const first = 'full-0'

  it('gives what was kept under a hash, the same object each time', () => {
    const tokens = empty()
    const kept = entry(2)
    tokens.keep('a', kept)
    assert.equal(tokens.find('a'), kept.identity)
    assert.equal(tokens.find('a'), kept.identity)
    assert.equal(tokens.find('b'), null)
  })
  it('has room for one of the greatest weight', () => {
    assert.ok(1 + maxGroups < maxRemembered / 100)
  })
  it('keeps all of them below and at its limit', () => {
    const tokens = full(maxRemembered - 1_000)
    tokens.keep('below', entry(998))
    assert.deepEqual(found(tokens, [first, 'below']), [first, 'below'])
    tokens.keep('at', entry())
    assert.deepEqual(found(tokens, [first, 'below', 'at']), [first, 'below', 'at'])
  })
  it('forgets the oldest above it, and as many as it takes', () => {
    const tokens = full(maxRemembered)
    tokens.keep('one above', entry())
    assert.deepEqual(found(tokens, [first, 'full-1', 'one above']), ['full-1', 'one above'])
    const more = full(maxRemembered)
    more.keep('much', entry(maxGroups))
    assert.deepEqual(found(more, ['full-0', 'full-1', 'full-2', 'much']), ['full-2', 'much'])
  })
  it('forgets what was longest unused, not what was kept first', () => {
    const tokens = full(maxRemembered)
    assert.notEqual(tokens.find(first), null)
    tokens.keep('new', entry())
    assert.deepEqual(found(tokens, [first, 'full-1', 'new']), [first, 'new'])
  })
  it('weighs what is kept again once', () => {
    const tokens = full(maxRemembered)
    for (let round = 0; round < 5; round += 1) tokens.keep('full-7', entry(999))
    assert.notEqual(tokens.find(first), null)
    tokens.keep('full-7', entry(998))
    tokens.keep('in its room', entry())
    assert.notEqual(tokens.find(first), null)
  })
  it('does not weigh what was found to be over', () => {
    const tokens = full(maxRemembered)
    tokens.keep('full-7', entry(999, { until: now }))
    assert.equal(tokens.find('full-7'), null)
    for (let at = 0; at < 1_000; at += 1) tokens.keep(`small-${at}`, entry())
    assert.notEqual(tokens.find(first), null)
    tokens.keep('one above', entry())
    assert.equal(tokens.find('full-1'), null)
  })
  it('gives nothing from its end on, and what is over does not come back', () => {
    const tokens = empty()
    tokens.keep('a', entry(0, { until: 5_000 }))
    now = 4_999
    assert.notEqual(tokens.find('a'), null)
    now = 5_000
    assert.equal(tokens.find('a'), null)
    now = 4_999
    assert.equal(tokens.find('a'), null)
    now = 0
  })
  it('gives nothing once what it was verified with is not in force, and that does not come back either', () => {
    const tokens = empty()
    let valid = true
    tokens.keep('a', entry(0, { valid: () => valid }))
    assert.notEqual(tokens.find('a'), null)
    valid = false
    assert.equal(tokens.find('a'), null)
    valid = true
    assert.equal(tokens.find('a'), null)
  })
  it('holds, whatever is kept and asked for, the newest that fit and no more', () => {
    const what = fc.constantFrom('keep', 'keep', 'keep', 'find')
    const step = fc.tuple(what, fc.integer({ min: 0, max: 500 }), fc.integer({ min: 500, max: 999 }))
    let forgotten = 0
    fc.assert(
      fc.property(fc.array(step, { minLength: 500, maxLength: 600, size: 'max' }), (steps) => {
        const tokens = empty()
        // The same by other means: a list, the newest last, and its sum.
        const model: { readonly name: string; readonly weight: number }[] = []
        for (const [asked, number, groups] of steps) {
          const name = String(number)
          const at = model.findIndex((one) => one.name === name)
          const [old] = at < 0 ? [] : model.splice(at, 1)
          if (asked === 'find') {
            assert.equal(tokens.find(name) !== null, old !== undefined)
            if (old !== undefined) model.push(old)
            continue
          }
          tokens.keep(name, entry(groups))
          model.push({ name, weight: 1 + groups })
          while (model.reduce((sum, { weight }) => sum + weight, 0) > maxRemembered) {
            model.shift()
            forgotten += 1
          }
        }
        const names = new Set(steps.map(([, number]) => String(number)))
        assert.deepEqual(new Set(found(tokens, [...names])), new Set(model.map(({ name }) => name)))
      }),
      { numRuns: 10 },
    )
    assert.ok(forgotten > 0)
  })
  it('knows tokens by their SHA-256, of which the record shows too little to find one', () => {
    assert.equal(hashOf('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
    assert.equal(shortHash(hashOf('abc')), 'ba7816bf8f01cfea')
  })
})

describe('a verified token', () => {
  let stub: StubIssuer
  let now: number
  const clock = (): number => now
  const opened: IssuerKeys[] = []
  before(async () => {
    stub = await startStubIssuer()
    now = Math.floor(Date.now() / 1_000) * 1_000
  })
  after(async () => {
    for (const keys of opened) keys.stop()
    await stub.stop()
  })

  const tolerance = 30
  const maxAge = 600
  /** A verifier, and how often it had to look at keys, which is once for each time that it verifies. */
  function open(revoked?: (token: VerifiedToken) => boolean): { verifier: TokenVerifier; verified: () => number } {
    const real = openIssuer(issuerOptions(stub.issuer, { clockTolerance: tolerance, maxAge }), clock)
    opened.push(real)
    let verified = 0
    const counting: IssuerKeys = {
      ...real,
      keys: () => {
        verified += 1
        return real.keys()
      },
    }
    const verifier = openTokenVerifier({ issuers: [counting], clock, ...(revoked === undefined ? {} : { revoked }) })
    return { verifier, verified: () => verified }
  }
  const ask = (verifier: TokenVerifier, token: string, via: SourceName = 'bearer'): Promise<Identified> =>
    verifier.verify(token, { use: 'access-token', via })
  async function known(verifier: TokenVerifier, token: string, via: SourceName = 'bearer'): Promise<Identity> {
    const said = await ask(verifier, token, via)
    assert.ok(said.is === 'known', JSON.stringify(said))
    return said.identity
  }
  /** Seconds from now. */
  const at = (seconds: number): number => Math.floor(now / 1_000) + seconds

  it('is verified once, and is the same person, by the same object, each time that it comes in the same way', async () => {
    const { verifier, verified } = open()
    const token = await stub.sign({ iat: at(0), exp: at(300) })
    const bearer = await known(verifier, token)
    const basic = await known(verifier, token, 'basic')
    for (let round = 0; round < 5; round += 1) {
      assert.equal(await known(verifier, token), bearer)
      assert.equal(await known(verifier, token, 'basic'), basic)
    }
    assert.equal(verified(), 1)
    assert.deepEqual([bearer.via, basic.via], ['bearer', 'basic'])
    assert.deepEqual({ ...basic, via: 'bearer' }, bearer)
  })
  it('is another one where one character differs', async () => {
    const { verifier, verified } = open()
    const token = await stub.sign({ iat: at(0), exp: at(300) })
    await known(verifier, token)
    for (const other of [`${token}A`, token.slice(0, -1), token.toLowerCase()]) {
      assert.equal((await ask(verifier, other)).is, 'refused')
    }
    assert.ok(verified() >= 3)
  })
  it('taken for an access token is not remembered as an ID token', async () => {
    const { verifier } = open()
    const token = await stub.sign({ iat: at(0), exp: at(300) })
    await known(verifier, token)
    const said = await verifier.verify(token, { use: 'id-token', via: 'id-token' })
    assert.equal(said.is, 'refused')
  })
  it('that was refused is looked at again', async () => {
    const { verifier, verified } = open()
    const token = await stub.sign({ iat: at(0), exp: at(300), aud: 'other' })
    for (let round = 0; round < 3; round += 1) assert.equal((await ask(verifier, token)).is, 'refused')
    assert.equal(verified(), 3)
  })

  it('says, at every moment around its end, what one that is verified anew says', async () => {
    const begun = now
    try {
      for (const [claims, end] of [
        [{ iat: at(0), exp: at(60) }, 60 + tolerance],
        // Here its age ends it, and its `exp` would not.
        [{ iat: at(0), exp: at(86_400) }, maxAge + tolerance],
        [{ iat: at(-100), exp: at(86_400) }, maxAge - 100 + tolerance],
        [{ iat: at(0), exp: at(maxAge) }, maxAge + tolerance],
      ] as const) {
        now = begun
        const token = await stub.sign(claims)
        const { verifier: warm, verified } = open()
        await known(warm, token)
        now = begun + end * 1_000 - 1
        await known(warm, token)
        assert.equal(verified(), 1, 'remembered up to its last millisecond')
        for (const past of [0, 1, 999, 1_000, 1_001, 60_000]) {
          now = begun + end * 1_000 + past
          const cold = open().verifier
          assert.deepEqual(await ask(warm, token), await ask(cold, token), `${past} ms past ${end} s`)
        }
        assert.equal((await ask(warm, token)).is, 'refused')
      }
    } finally {
      now = begun
    }
  })

  it('is verified anew when a key came, and refused when its own is gone', async () => {
    const { verifier, verified } = open()
    const keys = opened.at(-1)
    const token = await stub.sign({ iat: at(0), exp: at(300) })
    await known(verifier, token)
    const old = stub.publicKey()
    const answer = stub.jwks
    try {
      await stub.rotate()
      stub.jwks = () => ({ status: 200, body: JSON.stringify({ keys: [old, stub.publicKey()] }) })
      now += 6_000
      await keys?.refresh()
      await known(verifier, token)
      assert.equal(verified(), 2)
      await known(verifier, token)
      assert.equal(verified(), 2)
      stub.jwks = answer
      now += 6_000
      await keys?.refresh()
      assert.equal((await ask(verifier, token)).is, 'refused')
      // The key comes back: the token is looked at, not remembered.
      stub.jwks = () => ({ status: 200, body: JSON.stringify({ keys: [old] }) })
      now += 6_000
      await keys?.refresh()
      const before = verified()
      await known(verifier, token)
      assert.equal(verified(), before + 1)
    } finally {
      stub.jwks = answer
    }
  })
  it('is kept when the same keys come again, in whichever moment', async () => {
    const { verifier, verified } = open()
    const token = await stub.sign({ iat: at(0), exp: at(300) })
    await known(verifier, token)
    now += 6_000
    assert.equal(await opened.at(-1)?.refresh(), true)
    await known(verifier, token)
    assert.equal(verified(), 1)
  })

  it('is refused from its withdrawal on, and no other is', async () => {
    const revocations = openRevocations(86_400_000, clock)
    const { verifier } = open((token) => revocations.isWithdrawn(token))
    const sign = (sub: string, sid: string): Promise<string> => stub.sign({ sub, sid, iat: at(0), exp: at(300) })
    const [mine, otherSession, others] = [
      await sign('alice', 'one'),
      await sign('alice', 'two'),
      await sign('bob', 'three'),
    ]
    for (const token of [mine, otherSession, others]) await known(verifier, token)
    revocations.withdraw({ issuer: stub.issuer, subject: 'alice', sid: 'one', issuedAt: at(1) })
    for (let round = 0; round < 2; round += 1) {
      const said = await ask(verifier, mine)
      assert.ok(said.is === 'refused')
      assert.equal(said.refusal.code, 'invalid_token')
      assert.match(said.refusal.message, /withdrawn by a logout: sign in again/)
    }
    await known(verifier, otherSession)
    await known(verifier, others)
    revocations.withdraw({ issuer: stub.issuer, subject: 'alice', sid: null, issuedAt: at(1) })
    assert.equal((await ask(verifier, otherSession)).is, 'refused')
    await known(verifier, others)
  })

  it('that is opaque is the same object too, as long as its issuer’s answer is remembered', async () => {
    const answered: Identity = { issuer: stub.issuer, subject: 'alice', name: 'a', groups: [], via: 'bearer' }
    let said: Identified = { is: 'known', identity: answered }
    const verifier = openTokenVerifier({ issuers: [], clock, introspect: async () => said })
    assert.equal(await known(verifier, 'opaque'), answered)
    const basic = await known(verifier, 'opaque', 'basic')
    assert.deepEqual(basic, { ...answered, via: 'basic' })
    assert.equal(await known(verifier, 'opaque', 'basic'), basic)
    // Asked anew, the issuer may say something else of the same token.
    said = { is: 'known', identity: { ...answered, groups: ['team-b'] } }
    assert.deepEqual((await known(verifier, 'opaque', 'basic')).groups, ['team-b'])
  })
})
