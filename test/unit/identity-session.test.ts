// A session's life: how long it lasts, who renews it, and what ends it.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { dropSession, ourCookies, readSession, setCookie, writeSession } from '../../src/identity/cookies.ts'
import { maxCookie, maxKept, maxSessionCookies, vouched } from '../../src/identity/limits.ts'
import { openRevocations } from '../../src/identity/revocations.ts'
import { fail, ok } from '../../src/result.ts'
import { hour, minute, sessionWorld, vouch } from '../support/sessions.ts'

describe('a session', () => {
  it('is live, with who the provider said it is', async () => {
    const world = sessionWorld()
    const cookies = await world.begin()
    const state = await world.read(cookies)
    assert.ok(state.is === 'live')
    const { id, ...rest } = state.session
    assert.match(id, /^[\w-]{22}$/)
    const { begun, lastSeen, vouchedAt } = rest
    assert.deepEqual([begun, lastSeen, vouchedAt], [world.now(), world.now(), world.now()])
    assert.deepEqual([rest.subject, rest.groups, rest.sid], ['alice', ['team-a'], 'sid-1'])
    assert.deepEqual(state.cookies, [])
  })
  it('has an id of its own each time', async () => {
    const world = sessionWorld()
    const ids = new Set<string>()
    for (let at = 0; at < 50; at += 1) ids.add((await world.live(await world.begin())).id)
    assert.equal(ids.size, 50)
  })
  it('ends when it was idle for too long, and not before', async () => {
    for (const [waited, expected] of [
      [hour - 1, 'live'],
      [hour, 'ended'],
    ] as const) {
      const world = sessionWorld()
      const cookies = await world.begin()
      world.wait(waited)
      const state = await world.read(cookies)
      assert.equal(state.is, expected)
      if (state.is === 'ended') assert.equal(state.because, 'idle')
    }
  })
  it('goes on for as long as it is used, up to its greatest length', async () => {
    const world = sessionWorld()
    let cookies = await world.begin()
    for (let at = 0; at < 12 * 2 - 1; at += 1) {
      world.wait(hour / 2)
      const state = await world.read(cookies)
      assert.ok(state.is === 'live', `after ${at} half hours: ${JSON.stringify(state)}`)
      cookies = world.keep(cookies, state.cookies)
    }
    world.wait(hour / 2 - 1)
    assert.equal((await world.read(cookies)).is, 'live')
    world.wait(1)
    assert.deepEqual(await world.read(cookies), { is: 'ended', because: 'absolute' })
  })
  it('is not written anew with every request', async () => {
    const world = sessionWorld()
    const cookies = await world.begin()
    world.wait(minute - 1)
    const before = await world.read(cookies)
    assert.ok(before.is === 'live' && before.cookies.length === 0)
    world.wait(1)
    const after = await world.read(cookies)
    assert.ok(after.is === 'live' && after.cookies.length === 1)
  })
})

describe('what the provider vouches for', () => {
  it('is asked for again when it ends, not before', async () => {
    const world = sessionWorld({ expiresIn: 600 })
    const cookies = await world.begin()
    world.wait(600_000 - 1)
    assert.equal((await world.read(cookies)).is, 'live')
    assert.equal(world.refreshes.length, 0)
    world.wait(1)
    assert.equal((await world.live(cookies)).vouchedAt, world.now())
    assert.deepEqual(world.refreshes, ['r-1'])
  })
  it('counts for five minutes where it does not say, for an hour at most', async () => {
    for (const [expiresIn, lasts] of [
      [null, vouched.usual],
      [7200, vouched.longest],
      [90, 90_000],
    ] as const) {
      const world = sessionWorld({ expiresIn })
      const { vouchedUntil, begun } = await world.live(await world.begin())
      assert.equal(vouchedUntil - begun, lasts)
    }
  })
  it('brings new groups, and keeps id and beginning', async () => {
    const world = sessionWorld({ expiresIn: 600 })
    const cookies = await world.begin()
    const before = await world.live(cookies)
    world.answer = () =>
      ok(vouch({ person: { ...vouch().person, groups: ['team-b'] }, sid: null, refreshToken: 'r-2' }))
    world.wait(600_000)
    const after = await world.live(cookies)
    assert.deepEqual([after.groups, after.id, after.begun, after.sid], [['team-b'], before.id, before.begun, 'sid-1'])
  })
  it('ends the session where it cannot be asked for again', async () => {
    const world = sessionWorld({ expiresIn: 600, refreshToken: null })
    const cookies = await world.begin()
    world.wait(600_000)
    assert.deepEqual(await world.read(cookies), { is: 'ended', because: 'provider' })
  })
  it('ends the session where the provider says no, and it is not asked twice', async () => {
    const world = sessionWorld({ expiresIn: 600 })
    const cookies = await world.begin()
    world.answer = () => fail({ code: 'stale_code', detail: '' })
    world.wait(600_000)
    assert.deepEqual(await world.read(cookies), { is: 'ended', because: 'provider' })
    assert.deepEqual(await world.read(cookies), { is: 'ended', because: 'logout' })
    assert.equal(world.refreshes.length, 1)
  })
  it('leaves the session where it was while the provider is down', async () => {
    const world = sessionWorld({ expiresIn: 600 })
    const cookies = await world.begin()
    world.answer = () => fail({ code: 'provider_unavailable', detail: '' })
    world.wait(600_000)
    assert.equal((await world.read(cookies)).is, 'unavailable')
    world.answer = () => ok(vouch({ refreshToken: 'r-2' }))
    assert.equal((await world.read(cookies)).is, 'live')
  })
  it('is asked for once, however many tabs come back at a time', async () => {
    const world = sessionWorld({ expiresIn: 600 })
    const cookies = await world.begin()
    world.wait(600_000)
    const states = await Promise.all(Array.from({ length: 20 }, () => world.read(cookies)))
    assert.equal(world.refreshes.length, 1)
    for (const state of states) assert.ok(state.is === 'live' && state.session.refreshToken === 'r-2')
  })
  it('is not asked for with a refresh token that was used, when a tab comes late', async () => {
    const world = sessionWorld({ expiresIn: 600 })
    const old = await world.begin()
    world.wait(600_000)
    await world.live(old)
    // Only the old cookie comes back, again and again.
    for (const later of [1, minute, 8 * minute]) {
      world.wait(later)
      const state = await world.read(old)
      assert.ok(state.is === 'live' && state.session.refreshToken === 'r-2' && state.cookies.length > 0)
    }
    world.wait(minute)
    assert.equal((await world.live(old)).refreshToken, 'r-3')
    assert.deepEqual(world.refreshes, ['r-1', 'r-2'])
  })
  it('is kept with the old refresh token where the provider does not rotate', async () => {
    const world = sessionWorld({ expiresIn: 600 })
    const cookies = await world.begin()
    world.answer = () => ok(vouch({ refreshToken: null, idToken: null, expiresIn: 600 }))
    world.wait(600_000)
    const state = await world.live(cookies)
    assert.deepEqual([state.refreshToken, state.idToken], ['r-1', 'id-token'])
  })
  it('does not bring back what was withdrawn while it was asked', async () => {
    const world = sessionWorld({ expiresIn: 600 })
    const cookies = await world.begin()
    world.wait(600_000)
    world.answer = () => {
      world.revocations.withdraw({ issuer: 'https://id.test', subject: null, sid: 'sid-1', issuedAt: 0 })
      return ok(vouch({ refreshToken: 'r-2' }))
    }
    assert.deepEqual(await world.read(cookies), { is: 'ended', because: 'logout' })
  })
})

describe('a restart', () => {
  it('has the provider vouch anew before a session counts', async () => {
    const world = sessionWorld()
    const cookies = await world.begin()
    world.wait(1)
    const later = world.restarted()
    const state = await later.read(cookies)
    assert.ok(state.is === 'live' && state.session.vouchedAt === world.now())
    assert.deepEqual(world.refreshes, ['r-1'])
  })
  it('ends a session that cannot be vouched for', async () => {
    const world = sessionWorld({ refreshToken: null })
    const cookies = await world.begin()
    world.wait(1)
    assert.deepEqual(await world.restarted().read(cookies), { is: 'ended', because: 'restart' })
  })
  it('does not bring back what was logged out before it', async () => {
    const world = sessionWorld()
    const cookies = await world.begin()
    world.sessions.end(await world.live(cookies))
    // What the provider says of a refresh token that was withdrawn at logout.
    world.answer = () => fail({ code: 'stale_code', detail: '' })
    world.wait(1)
    assert.deepEqual(await world.restarted().read(cookies), { is: 'ended', because: 'provider' })
  })
})

describe('the cookies of a session', () => {
  const none = new Map<string, string>()
  const room = maxCookie - '__Host-bailiwick-session.0='.length
  const header = (lines: readonly string[]) => ({
    header: (name: string) => (name === 'cookie' ? [lines.map((line) => line.split(';')[0]).join('; ')] : []),
  })

  it('are as many as needed, each small enough for every browser, and one whole again', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: room * maxSessionCookies }), (length) => {
        const sealed = 'x'.repeat(length)
        const lines = writeSession(sealed, none) ?? []
        assert.equal(lines.length, Math.ceil(length / room))
        for (const line of lines) assert.ok((line.split(';')[0] ?? '').length <= maxCookie && line.length <= 4096)
        const read = ourCookies(header(lines))
        assert.equal(read.ok && readSession(read.value), sealed)
      }),
    )
  })
  it('are none where they would be too large', () => {
    assert.equal(writeSession('x'.repeat(room * maxSessionCookies), none)?.length, maxSessionCookies)
    assert.equal(writeSession('x'.repeat(room * maxSessionCookies + 1), none), null)
  })
  it('take away what a larger session left', () => {
    const large = ourCookies(header(writeSession('x'.repeat(room * 3), none) ?? []))
    assert.ok(large.ok)
    const lines = writeSession('y', large.value) ?? []
    assert.equal(lines.length, 3)
    for (const line of lines.slice(1)) assert.match(line, /^__Host-bailiwick-session\.[12]=; Max-Age=0;/)
    assert.equal(dropSession(large.value).length, 3)
  })
  it('are for this host alone, over a safe connection, and hidden from scripts', () => {
    assert.equal(setCookie('a', 'b'), 'a=b; Path=/; Secure; HttpOnly; SameSite=Lax')
    assert.equal(setCookie('a', 'b', 5), 'a=b; Max-Age=5; Path=/; Secure; HttpOnly; SameSite=Lax')
  })
  it('leave the ID token out where it does not fit, and the login where nothing helps', async () => {
    const world = sessionWorld()
    const many = (count: number) =>
      vouch({
        person: { ...vouch().person, groups: Array.from({ length: count }, (_, at) => `group-${at}`) },
        idToken: 'i'.repeat(4000),
      })
    const small = await world.sessions.begin(many(100), { header: () => [] })
    assert.equal(small?.session.idToken?.length, 4000)
    const large = await world.sessions.begin(many(400), { header: () => [] })
    assert.ok(large !== null && large.session.idToken === null)
    assert.equal(await world.sessions.begin(many(1000), { header: () => [] }), null)
  })
})

describe('withdrawals', () => {
  const token = { issuer: 'i', subject: 'alice', sid: 'one', issuedAt: 100 }

  it('by session reach that session alone, and what does not name its session', () => {
    const revocations = openRevocations(hour, () => 0)
    assert.ok(revocations.withdraw({ issuer: 'i', subject: 'alice', sid: 'one', issuedAt: 200 }))
    assert.equal(revocations.isWithdrawn(token), true)
    assert.equal(revocations.isWithdrawn({ ...token, issuedAt: 300 }), true)
    assert.equal(revocations.isWithdrawn({ ...token, sid: 'two' }), false)
    assert.equal(revocations.isWithdrawn({ ...token, sid: null }), true)
    assert.equal(revocations.isWithdrawn({ ...token, sid: null, issuedAt: 201 }), false)
    assert.equal(revocations.isWithdrawn({ ...token, issuer: 'other' }), false)
  })
  it('by person reach everything that was issued until then', () => {
    const revocations = openRevocations(hour, () => 0)
    revocations.withdraw({ issuer: 'i', subject: 'alice', sid: null, issuedAt: 100 })
    assert.equal(revocations.isWithdrawn(token), true)
    assert.equal(revocations.isWithdrawn({ ...token, issuedAt: 101 }), false)
    assert.equal(revocations.isWithdrawn({ ...token, subject: 'bob' }), false)
    assert.equal(revocations.isWithdrawn({ ...token, issuer: 'other' }), false)
  })
  it('are forgotten when nothing can live any longer that they withdrew', () => {
    let now = 0
    const revocations = openRevocations(hour, () => now)
    revocations.end('a')
    now = hour - 1
    revocations.end('b')
    assert.equal(revocations.isEnded('a'), true)
    now = hour
    revocations.end('c')
    assert.deepEqual(
      ['a', 'b', 'c'].map((id) => revocations.isEnded(id)),
      [false, true, true],
    )
  })
  it('are kept up to a number, and then refused rather than forgotten', () => {
    const revocations = openRevocations(hour, () => 0)
    for (let at = 0; at < maxKept; at += 1) assert.ok(revocations.end(String(at)))
    assert.equal(revocations.end('one more'), false)
    assert.equal(revocations.isEnded('0'), true)
  })
})
