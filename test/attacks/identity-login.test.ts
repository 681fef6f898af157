// Attacks on logging in and out: whoever can send a link, a form, a cookie or a token to a browser or the gateway.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { SignJWT, generateKeyPair } from 'jose'
import { startLoginWorld } from '../support/login-world.ts'
import type { LoginWorld } from '../support/login-world.ts'
import { startStubProvider } from '../support/stub-provider.ts'
import type { StubProvider } from '../support/stub-provider.ts'
import { navigation, send, visitor } from '../support/visitor.ts'
import type { Came, Visitor } from '../support/visitor.ts'

type Claims = Readonly<Record<string, unknown>>

/** A page that says what to do, shows nothing of what was sent, and sets no session. */
function assertProblem(came: Came, status: number, words: RegExp): void {
  assert.equal(came.status, status, came.text)
  assert.match(came.headers['content-type'] ?? '', /^text\/html/)
  assert.match(came.text, words)
  assert.match(came.text, /role="alert"/)
  assert.match(came.text, /Request <code>[0-9a-f-]{36}<\/code>/)
  assert.ok(!came.cookies.some((line) => /^__Host-bailiwick-session\.\d=[^;]/.test(line)))
}

const sessionOf = ({ cookies }: Visitor): string | undefined => cookies.get('__Host-bailiwick-session.0 /')?.value

describe('before a provider that lies', () => {
  let provider: StubProvider
  let world: LoginWorld
  before(async () => {
    provider = await startStubProvider()
    world = await startLoginWorld({ issuer: provider.issuer })
  })
  after(async () => {
    await world.stop()
    await provider.stop()
  })
  beforeEach(() => {
    provider.metadata = {}
  })

  /** Begins a login and returns what the provider was sent. */
  async function begin(person: Visitor, to = '/bailiwick/'): Promise<URLSearchParams> {
    const came = await person.ask(`${world.url}/bailiwick/login?to=${encodeURIComponent(to)}`, {
      headers: navigation(),
    })
    assert.equal(came.status, 303, came.text)
    return new URL(came.headers.location ?? '').searchParams
  }
  /** The provider's answer for a login: an ID token with these claims over the right ones. */
  function vouch(nonce: string | null, claims: Claims = {}, header = {}, stranger = false, more: object = {}): void {
    provider.token = async () => ({
      status: 200,
      body: {
        access_token: 'opaque',
        token_type: 'Bearer',
        expires_in: 3600,
        id_token: await provider.sign({ nonce, ...claims }, header, stranger),
        ...more,
      },
    })
  }
  const comeBack = (person: Visitor, parameters: Record<string, string>): Promise<Came> =>
    person.ask(`${world.url}/bailiwick/callback?${new URLSearchParams(parameters).toString()}`, {
      headers: navigation('cross-site'),
    })

  it('a login works where nobody lies: code, PKCE with S256, state and nonce', async () => {
    const alice = visitor()
    const sent = await begin(alice)
    assert.deepEqual(
      [sent.get('response_type'), sent.get('code_challenge_method'), sent.get('client_id'), sent.get('scope')],
      ['code', 'S256', 'gateway', 'openid profile email'],
    )
    assert.equal(sent.get('redirect_uri'), `${world.url}/bailiwick/callback`)
    vouch(sent.get('nonce'))
    const came = await comeBack(alice, { code: 'good', state: sent.get('state') ?? '' })
    assert.deepEqual([came.status, came.headers.location], [303, `${world.url}/bailiwick/`], came.text)
    const form = provider.asked.at(-1)
    assert.equal(form?.get('code'), 'good')
    assert.match(form?.get('code_verifier') ?? '', /^[\w-]{43}$/)
    assert.ok(sessionOf(alice))
  })

  for (const [what, claims, header, status, words] of [
    ['another nonce', { nonce: 'another' }, {}, 403, /another sign-in/],
    ['no nonce', { nonce: undefined }, {}, 502, /cannot be trusted/],
    ['another issuer', { iss: 'https://evil.test' }, {}, 403, /another identity provider/],
    ['another audience', { aud: 'other' }, {}, 502, /cannot be trusted/],
    ['several audiences and another party', { aud: ['gateway', 'other'], azp: 'other' }, {}, 502, /cannot be trusted/],
    ['an expiry in the past', { exp: 1_000_000 }, {}, 502, /clocks/],
    ['no expiry', { exp: undefined }, {}, 502, /cannot be trusted/],
    ['an issue in the future', { iat: Math.floor(Date.now() / 1000) + 3600 }, {}, 403, /who you are/],
    ['no subject', { sub: undefined }, {}, 502, /cannot be trusted/],
    ['groups that are no list', { groups: { admin: true } }, {}, 403, /who you are/],
    ['too many groups to list', { hasgroups: true, groups: undefined }, {}, 403, /who you are/],
    ['an unknown key', {}, { kid: 'unknown' }, 502, /cannot be trusted/],
  ] as const) {
    it(`an ID token with ${what} is not taken`, async () => {
      const alice = visitor()
      const sent = await begin(alice)
      vouch(sent.get('nonce'), claims, header)
      assertProblem(await comeBack(alice, { code: 'x', state: sent.get('state') ?? '' }), status, words)
      assert.equal(sessionOf(alice), undefined)
    })
  }
  it('an ID token signed by somebody else is not taken', async () => {
    const alice = visitor()
    const sent = await begin(alice)
    vouch(sent.get('nonce'), {}, {}, true)
    assertProblem(await comeBack(alice, { code: 'x', state: sent.get('state') ?? '' }), 502, /cannot be trusted/)
  })
  it('an ID token that is not signed, or with a secret, is not taken', async () => {
    const alice = visitor()
    const sent = await begin(alice)
    const { state, nonce } = Object.fromEntries(sent)
    const now = Math.floor(Date.now() / 1000)
    const claims = { iss: provider.issuer, aud: 'gateway', sub: 'alice', iat: now, exp: now + 300, nonce }
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const none = `${encode({ alg: 'none' })}.${encode(claims)}.`
    const secret = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from('gateway'.repeat(8)))
    for (const token of [none, secret]) {
      const bob = visitor()
      const again = await begin(bob)
      vouch(again.get('nonce'), {}, {}, false, { id_token: token })
      assertProblem(await comeBack(bob, { code: 'x', state: again.get('state') ?? '' }), 502, /cannot be trusted/)
    }
    assert.ok(state)
  })
  it('an answer without an ID token is not taken', async () => {
    const alice = visitor()
    const sent = await begin(alice)
    vouch(sent.get('nonce'), {}, {}, false, { id_token: undefined })
    assertProblem(await comeBack(alice, { code: 'x', state: sent.get('state') ?? '' }), 502, /cannot be trusted/)
  })
  it('a login that would end at once is not begun: no circles', async () => {
    const alice = visitor()
    const sent = await begin(alice)
    vouch(sent.get('nonce'), {}, {}, false, { expires_in: 1 })
    assertProblem(await comeBack(alice, { code: 'x', state: sent.get('state') ?? '' }), 502, /few seconds/)
  })
  it('more groups than cookies hold are told of', async () => {
    const alice = visitor()
    const sent = await begin(alice)
    vouch(sent.get('nonce'), { groups: Array.from({ length: 900 }, (_, at) => `a-rather-long-name-of-a-group-${at}`) })
    assertProblem(await comeBack(alice, { code: 'x', state: sent.get('state') ?? '' }), 403, /too large/)
  })

  it('an answer of another provider is not taken (mix-up, RFC 9207)', async () => {
    const alice = visitor()
    const sent = await begin(alice)
    vouch(sent.get('nonce'))
    const count = provider.asked.length
    const came = await comeBack(alice, { code: 'x', state: sent.get('state') ?? '', iss: 'https://evil.test' })
    assertProblem(came, 403, /another identity provider/)
    assert.equal(provider.asked.length, count)
  })
  it('what the provider or a link says is not shown', async () => {
    const marker = '<script>alert(1)</script>"\'`--><b>'
    for (const error of ['access_denied', 'invalid_scope', 'server_error', marker]) {
      const alice = visitor()
      const sent = await begin(alice)
      const came = await comeBack(alice, {
        error,
        error_description: marker,
        error_uri: 'https://evil.test',
        state: sent.get('state') ?? '',
      })
      assertProblem(came, error === 'access_denied' ? 403 : error === 'server_error' ? 503 : 502, /Sign in again/)
      assert.doesNotMatch(came.text, /<script|alert\(1\)|evil\.test/)
    }
  })
  it('a name that is markup is shown as a name', async () => {
    const alice = visitor()
    const sent = await begin(alice)
    const name = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    vouch(sent.get('nonce'), { email: name, groups: [name] })
    await comeBack(alice, { code: 'x', state: sent.get('state') ?? '' })
    const page = await alice.ask(`${world.url}/bailiwick/`, { headers: navigation() })
    assert.equal(page.status, 200)
    assert.doesNotMatch(page.text, /<script|<img/)
    assert.match(page.text, /&lt;script&gt;alert\(1\)&lt;\/script&gt;/)
  })

  describe('login CSRF', () => {
    it('somebody else’s answer does not log a browser in', async () => {
      const [attacker, victim] = [visitor(), visitor()]
      const sent = await begin(attacker)
      vouch(sent.get('nonce'), { sub: 'mallory' })
      const answer = { code: 'mallorys', state: sent.get('state') ?? '' }
      assertProblem(await comeBack(victim, answer), 400, /no sign-in under way/)
      // Nor when the victim has a login of their own under way.
      await begin(victim)
      assertProblem(await comeBack(victim, answer), 400, /no sign-in under way/)
      assert.equal(sessionOf(victim), undefined)
    })
    it('a state that is left out, doubled, empty or made up does not either', async () => {
      const victim = visitor()
      const sent = await begin(victim)
      const state = sent.get('state') ?? ''
      for (const query of [
        'code=x',
        `code=x&state=${state}&state=${state}`,
        'code=x&state=',
        `code=x&state=${state}x`,
        '',
      ]) {
        const came = await victim.ask(`${world.url}/bailiwick/callback?${query}`, { headers: navigation('cross-site') })
        assertProblem(came, 400, /no sign-in under way/)
      }
    })
    it('one login’s cookie under another’s name does not either', async () => {
      const person = visitor()
      const [first, second] = [await begin(person), await begin(person)]
      const names = [...person.cookies.keys()]
      const [one = '', other = ''] = names
      const [kept, swapped] = [person.cookies.get(one), person.cookies.get(other)]
      assert.ok(kept && swapped && names.length === 2)
      person.cookies.set(one, swapped).set(other, kept)
      for (const sent of [first, second]) {
        assertProblem(
          await comeBack(person, { code: 'x', state: sent.get('state') ?? '' }),
          400,
          /no sign-in under way/,
        )
      }
    })
  })

  it('an answer counts once, whatever cookies come back', async () => {
    const alice = visitor()
    const sent = await begin(alice)
    const cookies = new Map(alice.cookies)
    vouch(sent.get('nonce'))
    const answer = { code: 'once', state: sent.get('state') ?? '' }
    assert.equal((await comeBack(alice, answer)).status, 303)
    assertProblem(await comeBack(alice, answer), 400, /no sign-in under way/)
    for (const [name, cookie] of cookies) alice.cookies.set(name, cookie)
    const count = provider.asked.length
    assertProblem(await comeBack(alice, answer), 400, /finished already/)
    assert.equal(provider.asked.length, count)
  })
  it('an answer that comes too late does not count', async () => {
    const alice = visitor()
    const sent = await begin(alice)
    vouch(sent.get('nonce'))
    world.setClock(600_000)
    try {
      assertProblem(await comeBack(alice, { code: 'x', state: sent.get('state') ?? '' }), 400, /ten minutes/)
    } finally {
      world.setClock(0)
    }
  })
  it('two tabs may log in at the same time', async () => {
    const alice = visitor()
    const [first, second] = [await begin(alice), await begin(alice)]
    for (const sent of [second, first]) {
      vouch(sent.get('nonce'))
      assert.equal((await comeBack(alice, { code: 'x', state: sent.get('state') ?? '' })).status, 303)
    }
  })
  it('logins that are never finished do not pile up in the browser', async () => {
    const alice = visitor()
    for (let at = 0; at < 20; at += 1) await begin(alice)
    assert.ok(alice.cookies.size <= 5, `${alice.cookies.size} cookies`)
  })

  describe('open redirects', () => {
    for (const to of [
      'https://evil.test/',
      '//evil.test/',
      '///evil.test/',
      '/\\evil.test/',
      '\\\\evil.test',
      '/\t/evil.test',
      '/\n/evil.test',
      '/bailiwick/\n//evil.test',
      '/.//evil.test',
      '/bailiwick/..//evil.test',
      '/bailiwick/..\\/evil.test',
      '/bailiwick/%2e%2e//evil.test',
      '/%2f%2fevil.test',
      'javascript:alert(1)',
      'data:text/html,x',
      '@evil.test',
      '.evil.test',
      'bailiwick/',
      ' /bailiwick/',
      '/bailiwick/login?to=//evil.test',
      '/bailiwick/logout',
      '/bailiwick/callback?code=x',
      '/api/v1/query?query=up',
      `/bailiwick/?${'x'.repeat(2_000)}`,
      'http://127.0.0.1@evil.test/bailiwick/',
      '',
    ]) {
      it(`${JSON.stringify(to.slice(0, 60))} leads to the first page`, async () => {
        const alice = visitor()
        const sent = await begin(alice, to)
        vouch(sent.get('nonce'))
        const came = await comeBack(alice, { code: 'x', state: sent.get('state') ?? '' })
        assert.deepEqual([came.status, came.headers.location], [303, `${world.url}/bailiwick/`])
      })
    }
    it('a page of ours, with its query, is where one returns to', async () => {
      const alice = visitor()
      const sent = await begin(alice, '/bailiwick/?a=b&c=%2F#d')
      vouch(sent.get('nonce'))
      const came = await comeBack(alice, { code: 'x', state: sent.get('state') ?? '' })
      assert.equal(came.headers.location, `${world.url}/bailiwick/?a=b&c=%2F`)
    })
    it('Host and X-Forwarded-Host do not say where the gateway is', async () => {
      for (const path of ['/', '/bailiwick/', '/bailiwick/login']) {
        const headers = {
          ...navigation(),
          host: 'evil.test',
          'x-forwarded-host': 'evil.test',
          forwarded: 'host=evil.test',
        }
        const came = await send(world.url + path, { headers })
        assert.equal(came.status, 303)
        const location = new URL(came.headers.location ?? '')
        assert.ok([world.url, provider.issuer].includes(location.origin), location.href)
        assert.ok(!decodeURIComponent(location.href).includes('evil'), location.href)
      }
    })
  })
})

describe('before the real provider', () => {
  let world: LoginWorld
  before(async () => {
    world = await startLoginWorld()
  })
  after(() => world.stop())

  const api = '/clusters/east/api/v1/query?query=up'
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const codeOf = ({ text }: Came): string => /name="code" value="([^"]+)"/.exec(text)?.[1] ?? ''
  const isIn = async (person: Visitor): Promise<boolean> =>
    (await person.ask(world.url + api, { headers: { 'sec-fetch-site': 'same-origin' } })).status === 200

  it('another site can use no session: not for an answer, not for a page in a frame', async () => {
    const alice = visitor()
    await alice.logIn(`${world.url}/bailiwick/`, 'alice')
    assert.equal(await isIn(alice), true)
    for (const headers of [
      { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' },
      { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' },
      { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
      {},
    ]) {
      const came = await alice.ask(world.url + api, { headers })
      assert.equal(came.status, 401)
      assert.match(came.text, /own pages/)
      const page = await alice.ask(`${world.url}/bailiwick/`, { headers })
      assert.equal(page.status, 401)
      assert.match(page.headers['content-type'] ?? '', /^application\/json/)
    }
  })
  it('a link to a page from elsewhere shows it, since it changes nothing', async () => {
    const alice = visitor()
    await alice.logIn(`${world.url}/bailiwick/`, 'alice')
    const page = await alice.ask(`${world.url}/bailiwick/`, { headers: navigation('cross-site') })
    assert.equal(page.status, 200)
  })
  it('a copied callback is of no use to another browser', async () => {
    const [alice, mallory] = [visitor(), visitor()]
    const { trail } = await alice.logIn(`${world.url}/bailiwick/`, 'alice')
    const callback = trail.find((url) => url.includes('/callback?')) ?? ''
    assertProblem(await mallory.ask(callback, { headers: navigation() }), 400, /no sign-in under way/)
    assert.equal(await isIn(alice), true)
  })

  describe('logout CSRF', () => {
    for (const [what, headers] of [
      ['another site', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.test' }],
      ['another site without an origin', { 'sec-fetch-site': 'cross-site', origin: 'null' }],
      ['a neighbour', { 'sec-fetch-site': 'same-site' }],
      ['another origin that claims to be ours', { 'sec-fetch-site': 'same-origin', origin: 'https://evil.test' }],
      ['nobody knows where', {}],
      ['an old browser on another site', { origin: 'https://evil.test' }],
      ['an old browser that hides where', { origin: 'null' }],
    ] as const) {
      it(`a form from ${what} does not log anybody out`, async () => {
        const alice = visitor()
        await alice.logIn(`${world.url}/bailiwick/`, 'alice')
        const page = await alice.ask(`${world.url}/bailiwick/logout`, { headers: navigation() })
        const came = await alice.ask(`${world.url}/bailiwick/logout`, {
          method: 'POST',
          headers: { ...form, ...headers },
          body: `code=${codeOf(page)}`,
        })
        assertProblem(came, 403, /did not come from a page of this gateway/)
        assert.equal(await isIn(alice), true)
      })
    }
    it('a form without the code of this very session does not either', async () => {
      const [alice, bob] = [visitor(), visitor()]
      await alice.logIn(`${world.url}/bailiwick/`, 'alice')
      await bob.logIn(`${world.url}/bailiwick/`, 'bob')
      const bobs = codeOf(await bob.ask(`${world.url}/bailiwick/logout`, { headers: navigation() }))
      for (const body of ['', 'code=', 'code=x', `code=${bobs}`]) {
        const headers = { ...form, 'sec-fetch-site': 'same-origin', origin: 'null' }
        const came = await alice.ask(`${world.url}/bailiwick/logout`, { method: 'POST', headers, body })
        assertProblem(came, 403, /did not come from a page of this gateway/)
      }
      assert.equal(await isIn(alice), true)
    })
    it('a link does not either', async () => {
      const alice = visitor()
      await alice.logIn(`${world.url}/bailiwick/`, 'alice')
      await alice.ask(`${world.url}/bailiwick/logout`, { headers: navigation('cross-site') })
      assert.equal(await isIn(alice), true)
    })
    it('an old browser that names our origin may', async () => {
      const alice = visitor()
      await alice.logIn(`${world.url}/bailiwick/`, 'alice')
      const page = await alice.ask(`${world.url}/bailiwick/logout`, { headers: navigation() })
      const headers = { ...form, origin: world.url }
      const sent = { method: 'POST', headers, body: `code=${codeOf(page)}` }
      assert.equal((await alice.ask(`${world.url}/bailiwick/logout`, sent)).status, 303)
      assert.equal(await isIn(alice), false)
    })
  })
})

describe('back-channel logout', () => {
  let provider: StubProvider
  let world: LoginWorld
  let alice: Visitor
  let count = 0
  // What is withdrawn stays so: each test has a person and a session of its own.
  let subject = ''
  let sid = ''
  before(async () => {
    provider = await startStubProvider()
    world = await startLoginWorld({ issuer: provider.issuer })
  })
  after(async () => {
    await world.stop()
    await provider.stop()
  })
  beforeEach(async () => {
    count += 1
    subject = `alice-${count}`
    sid = `session-${count}`
    alice = visitor()
    const begun = await alice.ask(`${world.url}/bailiwick/login`, { headers: navigation() })
    const sent = new URL(begun.headers.location ?? '').searchParams
    provider.token = async () => ({
      status: 200,
      body: {
        access_token: 'opaque',
        token_type: 'Bearer',
        expires_in: 3600,
        id_token: await provider.sign({ nonce: sent.get('nonce'), sub: subject, sid }),
      },
    })
    const callback = `${world.url}/bailiwick/callback?code=x&state=${sent.get('state')}`
    assert.equal((await alice.ask(callback, { headers: navigation('cross-site') })).status, 303)
  })

  const event = 'http://schemas.openid.net/event/backchannel-logout'
  const claims = (others: Claims = {}): Claims => ({
    // A new one each time: each test means its own token.
    jti: `token-${(count += 1)}`,
    groups: undefined,
    sub: subject,
    sid,
    events: { [event]: {} },
    ...others,
  })
  const logoutToken = (others: Claims = {}, header = {}, stranger = false): Promise<string> =>
    provider.sign(claims(others), { typ: 'logout+jwt', ...header }, stranger)
  const post = (body: string, headers: Record<string, string> = {}): Promise<Came> =>
    send(`${world.url}/bailiwick/back-channel-logout`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body,
    })
  const isIn = async (): Promise<boolean> =>
    (await alice.ask(`${world.url}/clusters`, { headers: { 'sec-fetch-site': 'same-origin' } })).status === 200
  const now = (): number => Math.floor(Date.now() / 1000)

  async function assertIgnored(token: string): Promise<void> {
    const came = await post(`logout_token=${token}`)
    assert.equal(came.status, 400, came.text)
    assert.equal(came.headers['cache-control'], 'no-store')
    assert.deepEqual(JSON.parse(came.text), { error: 'invalid_request' })
    assert.equal(await isIn(), true)
  }

  it('ends the session that the token names, at once', async () => {
    assert.equal(await isIn(), true)
    const came = await post(`logout_token=${await logoutToken()}`)
    assert.deepEqual([came.status, came.headers['cache-control'], came.text], [200, 'no-store', ''])
    assert.equal(await isIn(), false)
  })
  it('without a session ends all of the person’s', async () => {
    const came = await post(`logout_token=${await logoutToken({ sid: undefined })}`)
    assert.equal(came.status, 200)
    assert.equal(await isIn(), false)
  })
  it('of somebody else ends nothing of hers', async () => {
    assert.equal((await post(`logout_token=${await logoutToken({ sub: 'bob', sid: 'his' })}`)).status, 200)
    assert.equal(await isIn(), true)
  })

  for (const [what, others, header] of [
    ['another type', {}, { typ: 'JWT' }],
    ['no type', {}, { typ: undefined }],
    ['the type of an access token', {}, { typ: 'at+jwt' }],
    ['another issuer', { iss: 'https://evil.test' }, {}],
    ['another audience', { aud: 'other' }, {}],
    ['no audience', { aud: undefined }, {}],
    ['an expiry in the past', { exp: 1_000_000 }, {}],
    ['no expiry', { exp: undefined }, {}],
    ['an issue long ago', { iat: 1_000_000 }, {}],
    ['an issue in the future', { iat: Math.floor(Date.now() / 1000) + 600 }, {}],
    ['no issue', { iat: undefined }, {}],
    ['no jti', { jti: undefined }, {}],
    ['an empty jti', { jti: '' }, {}],
    ['a nonce', { nonce: 'x' }, {}],
    ['an empty nonce', { nonce: '' }, {}],
    ['no events', { events: undefined }, {}],
    ['other events', { events: { 'http://schemas.openid.net/event/other': {} } }, {}],
    ['an event that is no object', { events: { [event]: true } }, {}],
    ['an event that is a list', { events: { [event]: [] } }, {}],
    ['events that are a list', { events: [event] }, {}],
    ['neither sub nor sid', { sub: undefined, sid: undefined }, {}],
    ['a sid that is no text', { sid: ['one'] }, {}],
    ['a sub that is no text', { sid: undefined, sub: 7 }, {}],
    ['an unknown key', {}, { kid: 'unknown' }],
  ] as const) {
    it(`does not follow a token with ${what}`, async () => {
      await assertIgnored(await logoutToken(others, header))
    })
  }
  it('does not follow a token signed by somebody else, with a secret, or by nobody', async () => {
    await assertIgnored(await logoutToken({}, {}, true))
    const payload = { iss: provider.issuer, aud: 'gateway', sub: 'alice', iat: now(), exp: now() + 60, ...claims() }
    const key = (await generateKeyPair('ES256')).privateKey
    const header = { typ: 'logout+jwt', kid: 'one' }
    await assertIgnored(await new SignJWT(payload).setProtectedHeader({ ...header, alg: 'ES256' }).sign(key))
    await assertIgnored(
      await new SignJWT(payload).setProtectedHeader({ ...header, alg: 'HS256' }).sign(Buffer.from('gateway'.repeat(8))),
    )
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    await assertIgnored(`${encode({ ...header, alg: 'none' })}.${encode(payload)}.`)
  })
  it('does not follow her ID token, or an access token', async () => {
    await assertIgnored(await provider.sign({ nonce: 'n', sub: subject, sid }))
    await assertIgnored(await provider.sign({ sub: subject, sid, aud: 'https://bailiwick.test' }, { typ: 'at+jwt' }))
  })
  it('does not follow a token with any one character changed', async () => {
    const token = await logoutToken()
    for (let at = 0; at < token.length - 1; at += 7) {
      const other = token[at] === 'A' ? 'B' : 'A'
      const came = await post(`logout_token=${token.slice(0, at)}${other}${token.slice(at + 1)}`)
      assert.equal(came.status, 400)
    }
    assert.equal(await isIn(), true)
  })
  it('follows a token once', async () => {
    const token = await logoutToken({ sub: 'bob', sid: 'his' })
    assert.equal((await post(`logout_token=${token}`)).status, 200)
    await assertIgnored(token)
  })
  it('does not follow a body of another form', async () => {
    const token = await logoutToken()
    for (const body of [
      '',
      'logout_token=',
      `logout_token=${token}&logout_token=${token}`,
      `token=${token}`,
      'x'.repeat(20_000),
    ]) {
      assert.equal((await post(body)).status, 400)
    }
    assert.equal(
      (await post(JSON.stringify({ logout_token: token }), { 'content-type': 'application/json' })).status,
      415,
    )
    assert.equal((await send(`${world.url}/bailiwick/back-channel-logout?logout_token=${token}`)).status, 405)
    assert.equal(await isIn(), true)
  })
  it('withdraws access tokens of that session, and those that name none; not the next one', async () => {
    const ask = async (claims: Claims): Promise<number> => {
      const token = await provider.sign({ aud: 'https://bailiwick.test', sub: subject, ...claims })
      return (await send(`${world.url}/clusters`, { headers: { authorization: `Bearer ${token}` } })).status
    }
    const old = { iat: now() - 10 }
    assert.deepEqual([await ask(old), await ask({ ...old, sid }), await ask({ ...old, sid: 'other' })], [200, 200, 200])
    assert.equal((await post(`logout_token=${await logoutToken()}`)).status, 200)
    assert.deepEqual([await ask(old), await ask({ ...old, sid }), await ask({ ...old, sid: 'other' })], [401, 401, 200])
    assert.equal(await ask({ iat: now() + 1 }), 200)
  })
  it('leaves a record of what was followed and what was not, without the token', async () => {
    const before = (await world.records()).length
    const good = await logoutToken()
    const bad = await logoutToken({ aud: 'other' })
    await post(`logout_token=${good}`)
    await post(`logout_token=${bad}`)
    const records = (await world.records()).slice(before).filter(({ kind }) => kind.startsWith('logout'))
    assert.deepEqual(
      records.map(({ kind, how, reason }) => [kind, how ?? reason]),
      [
        ['logout', 'back-channel'],
        ['logout.failed', 'invalid_token'],
      ],
    )
    const text = JSON.stringify(records) + world.logged()
    for (const token of [good, bad]) assert.ok(!text.includes(token.slice(-40)))
    assert.ok(!JSON.stringify(records).includes(sid))
  })
})
