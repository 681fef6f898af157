// Whoever has a browser tries to be somebody else: with cookies changed, made, tossed, stolen, or sent by another site.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { CompactEncrypt, EncryptJWT, base64url } from 'jose'
import { identify } from '../../src/identity/identity.ts'
import type { Credentials, Identified } from '../../src/identity/identity.ts'
import { openSealer } from '../../src/identity/seal.ts'
import { sealable } from '../../src/identity/session.ts'
import { sessionSource } from '../../src/identity/sources/session.ts'
import { credentialsWith } from '../support/issuer.ts'
import { asking, hour, sessionWorld, vouch } from '../support/sessions.ts'

const newKey = (): Uint8Array => new Uint8Array(randomBytes(32))
const name = '__Host-bailiwick-session.0'

describe('a sealed cookie', () => {
  it('does not open with any one byte of it changed, dropped or doubled', async () => {
    const world = sessionWorld({ idToken: null })
    const cookies = await world.begin()
    const sealed = cookies.slice(name.length + 1)
    assert.equal((await world.read(`${name}=${sealed}`)).is, 'live')
    for (let at = 0; at < sealed.length; at += 1) {
      const [before, byte = '', after] = [sealed.slice(0, at), sealed[at], sealed.slice(at + 1)]
      for (const other of [byte === 'A' ? 'B' : 'A', byte === 'g' ? 'h' : 'g', '', byte + byte, '.']) {
        if (other === byte) continue
        const state = await world.read(`${name}=${before}${other}${after}`)
        assert.ok(state.is !== 'live', `byte ${at}, ${byte} → ${other}`)
      }
    }
  })
  it('does not open with a key that is no longer in the ring, and does with an old one that is', async () => {
    const [first, second, third] = [newKey(), newKey(), newKey()]
    const cookies = await sessionWorld({}, [first, second]).begin()
    assert.equal((await sessionWorld({}, [third, first]).read(cookies)).is, 'live')
    assert.deepEqual(await sessionWorld({}, [second, third]).read(cookies), { is: 'ended', because: 'unreadable' })
  })
  it('of a login cannot be used as a session', async () => {
    const world = sessionWorld()
    const session = await world.live(await world.begin())
    const sealed = await world.sealer.seal('login', sealable(session), world.now() + hour)
    assert.deepEqual(await world.read(`${name}=${sealed}`), { is: 'ended', because: 'unreadable' })
  })
  it('cannot be made without the key: not with another algorithm, key id or password', async () => {
    const world = sessionWorld()
    const session = sealable(await world.live(await world.begin()))
    const kid = Reflect.get(
      Object(JSON.parse(Buffer.from((await world.begin()).split('=')[1]?.split('.')[0] ?? '', 'base64url').toString())),
      'kid',
    )
    const claims = new TextEncoder().encode(JSON.stringify({ ...session, exp: world.now() / 1000 + 3600 }))
    const zero = new Uint8Array(32)
    const password = new TextEncoder().encode('password')
    const forged = [
      await new EncryptJWT(session)
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid })
        .setExpirationTime('1h')
        .encrypt(zero),
      await new EncryptJWT(session)
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
        .setExpirationTime('1h')
        .encrypt(zero),
      await new CompactEncrypt(claims)
        .setProtectedHeader({ alg: 'PBES2-HS256+A128KW', enc: 'A256GCM', kid })
        .encrypt(password),
      await new CompactEncrypt(claims).setProtectedHeader({ alg: 'A256KW', enc: 'A256GCM', kid }).encrypt(zero),
      `${base64url.encode(JSON.stringify({ alg: 'none', kid }))}.${base64url.encode(claims)}.`,
      base64url.encode(claims),
      '....',
      '__proto__',
    ]
    for (const one of forged) {
      assert.deepEqual(await world.read(`${name}=${one}`), { is: 'ended', because: 'unreadable' }, one.slice(0, 80))
    }
  })
  it('without the form of a session is none, however well it is sealed', async () => {
    const world = sessionWorld()
    const good = sealable(await world.live(await world.begin()))
    const bad = [
      {},
      { ...good, v: 2 },
      { ...good, groups: 'platform' },
      { ...good, groups: Array.from({ length: 1001 }, String) },
      { ...good, id: null },
      { ...good, begun: 'now' },
      { ...good, vouchedUntil: null },
      { ...good, issuer: 'https://other.test' },
    ]
    for (const content of bad) {
      const sealed = await world.sealer.seal('session', content, world.now() + hour)
      assert.deepEqual(await world.read(`${name}=${sealed}`), { is: 'ended', because: 'unreadable' })
    }
  })
  it('ends with the greatest length of the session, whatever is in it', async () => {
    const world = sessionWorld()
    const good = sealable(await world.live(await world.begin()))
    const sealed = await world.sealer.seal('session', { ...good, begun: world.now() + 24 * hour }, world.now() + hour)
    world.wait(hour)
    assert.deepEqual(await world.read(`${name}=${sealed}`), { is: 'ended', because: 'absolute' })
  })
})

describe('cookie tossing', () => {
  it('with a second cookie of the same name is refused, wherever it stands', async () => {
    const world = sessionWorld()
    const [mine, evil] = [await world.begin(), await world.begin()]
    for (const both of [`${mine}; ${evil}`, `${evil};${mine}`, `${mine}; ${mine}`, `${mine}; a=b; ${name}=`]) {
      assert.deepEqual(await world.read(both), { is: 'duplicate' })
    }
    const lines = { header: (header: string) => (header === 'cookie' ? [mine, evil] : []) }
    assert.deepEqual(await world.sessions.read(lines), { is: 'duplicate' })
  })
  it('with names that only look alike has no effect', async () => {
    const world = sessionWorld()
    const [mine, evil] = [await world.begin(), await world.begin()]
    const { id } = await world.live(mine)
    const value = evil.slice(name.length + 1)
    for (const other of [
      '__host-bailiwick-session.0',
      'bailiwick-session.0',
      '__Secure-bailiwick-session.0',
      '__Host-bailiwick-session',
      `\u00a0${name}`,
      `\v${name}`,
      `${name} `,
      `=${name}`,
    ]) {
      assert.equal((await world.live(`${other}=${value}; ${mine}`)).id, id)
      assert.deepEqual(await world.read(`${other}=${value}`), { is: 'absent' })
    }
  })
  it('with a part of another session makes none', async () => {
    const world = sessionWorld({ idToken: 'i'.repeat(5000) })
    const [one, other] = [await world.begin(), await world.begin()]
    const [first, second] = [one.split('; '), other.split('; ')]
    assert.equal(first.length, 2)
    for (const mixed of [[first[0], second[1]], [second[0], first[1]], [first[0]]]) {
      assert.deepEqual(await world.read(mixed.join('; ')), { is: 'ended', because: 'unreadable' })
    }
    assert.deepEqual(await world.read(String(first[1])), { is: 'absent' })
  })
  it('with very many cookies is answered, and soon', async () => {
    const world = sessionWorld()
    const mine = await world.begin()
    const noise = `${Array.from({ length: 2000 }, (_, at) => `a${at}=b`).join('; ')};${' '.repeat(10_000)}x`
    assert.equal((await world.read(`${noise}; ${mine}`)).is, 'live')
  })
})

describe('a session that was known before', () => {
  it('is not the one after a login, and ends with it (fixation)', async () => {
    const world = sessionWorld()
    const attackers = await world.begin()
    const fixed = await world.live(attackers)
    // The victim's browser has the attacker's cookie when the victim logs in.
    const victims = await world.begin(asking(attackers))
    assert.notEqual((await world.live(victims)).id, fixed.id)
    assert.deepEqual(await world.read(attackers), { is: 'ended', because: 'logout' })
  })
  it('is over after a logout for whoever kept a copy of the cookie', async () => {
    const world = sessionWorld()
    const stolen = await world.begin()
    world.sessions.end(await world.live(stolen))
    assert.deepEqual(await world.read(stolen), { is: 'ended', because: 'logout' })
    world.wait(2 * hour)
    assert.notEqual((await world.read(stolen)).is, 'live')
  })
  it('is over once the provider withdrew it, by session or by person', async () => {
    for (const [subject, sid] of [
      [null, 'sid-1'],
      ['alice', null],
      ['alice', 'sid-1'],
    ] as const) {
      const world = sessionWorld()
      const cookies = await world.begin()
      world.revocations.withdraw({ issuer: 'https://id.test', subject, sid, issuedAt: 1_000 })
      assert.deepEqual(await world.read(cookies), { is: 'ended', because: 'logout' })
    }
  })
  it('is somebody else’s business: withdrawing one leaves the others', async () => {
    const world = sessionWorld()
    const cookies = await world.begin()
    world.revocations.withdraw({ issuer: 'https://id.test', subject: 'bob', sid: 'sid-2', issuedAt: 9_999 })
    world.revocations.withdraw({ issuer: 'https://other.test', subject: 'alice', sid: 'sid-1', issuedAt: 9_999 })
    assert.equal((await world.read(cookies)).is, 'live')
  })
})

describe('requests for the API with a session', () => {
  const ask = async (
    headers: Readonly<Record<string, string | readonly string[]>>,
    state: 'live' | 'ended' = 'live',
  ) => {
    const world = sessionWorld()
    const cookie = await world.begin()
    if (state === 'ended') world.sessions.end(await world.live(cookie))
    const source = sessionSource(world.sessions, 'https://gateway.test/bailiwick/login')
    return identify([source], credentialsWith({ cookie, ...headers }))
  }
  const assertRefused = (identified: Identified, code: string, words: RegExp): void => {
    assert.ok(identified.is === 'refused', identified.is)
    assert.equal(identified.refusal.code, code)
    assert.match(identified.refusal.message, words)
  }

  it('count from our own pages, and from an address that was typed', async () => {
    for (const site of ['same-origin', 'none']) {
      const identified = await ask({ 'sec-fetch-site': site })
      assert.ok(identified.is === 'known')
      assert.deepEqual([identified.identity.subject, identified.identity.via], ['alice', 'session'])
      assert.match(identified.identity.credential ?? '', /^[0-9a-f]{16}$/)
    }
  })
  for (const [what, headers] of [
    ['another site', { 'sec-fetch-site': 'cross-site' }],
    ['another host of the same site, or another port', { 'sec-fetch-site': 'same-site' }],
    [
      'a link on another site',
      { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
    ],
    ['who does not say', {}],
    ['who says it twice', { 'sec-fetch-site': ['same-origin', 'cross-site'] }],
    ['who says something unknown', { 'sec-fetch-site': 'same-origin, none' }],
  ] as const) {
    it(`do not count from ${what}`, async () => {
      assertRefused(await ask(headers), 'invalid_token', /own pages.*send "Authorization/)
    })
  }
  it('and a token at once are refused, wherever they come from', async () => {
    for (const site of ['same-origin', 'cross-site']) {
      for (const state of ['live', 'ended'] as const) {
        const identified = await ask({ authorization: 'Bearer x', 'sec-fetch-site': site }, state)
        assertRefused(identified, 'malformed_credentials', /send one/)
      }
    }
  })
  it('are refused with the way to sign in when the session is over, never taken for a stranger’s', async () => {
    const identified = await ask({ 'sec-fetch-site': 'same-origin' }, 'ended')
    assertRefused(identified, 'invalid_token', /signed out.*https:\/\/gateway\.test\/bailiwick\/login/)
  })
  it('get the renewed cookies with the answer', async () => {
    const world = sessionWorld({ expiresIn: 600 })
    const cookie = await world.begin()
    world.wait(600_000)
    const lines: string[] = []
    const credentials: Credentials = {
      ...credentialsWith({ cookie, 'sec-fetch-site': 'same-origin' }),
      setCookie: (line) => void lines.push(line),
    }
    const identified = await sessionSource(world.sessions, 'https://gateway.test').identify(credentials)
    assert.equal(identified.is, 'known')
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /^__Host-bailiwick-session\.0=[^;]+; Path=\/; Secure; HttpOnly; SameSite=Lax$/)
  })
})

describe('the code in a form', () => {
  it('is for one session, and for the keys in the ring', () => {
    const [one, two] = [newKey(), newKey()]
    const clock = (): number => 0
    const code = openSealer([one], clock).code('session')
    assert.equal(openSealer([two, one], clock).isCode('session', code), true)
    assert.equal(openSealer([two], clock).isCode('session', code), false)
    for (const [text, wrong] of [
      ['other', code],
      ['session', ''],
      ['session', `${code}x`],
      ['session', code.slice(1)],
    ] as const) {
      assert.equal(openSealer([one], clock).isCode(text, wrong), false)
    }
  })
})

describe('what a session holds', () => {
  it('is not to be read in its cookie', async () => {
    const world = sessionWorld(vouch({ refreshToken: 'very-secret-token' }))
    const parts = (await world.begin()).split('=')[1]?.split('.') ?? []
    const seen = parts.map((part) => Buffer.from(part, 'base64url').toString('latin1')).join(' ')
    assert.doesNotMatch(seen, /very-secret|alice|team-a|sid-1/)
  })
})
