// Logging in with a browser, before the real provider: code with PKCE, sessions, refresh with rotation, logout.
import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { newKey, startLoginWorld } from '../support/login-world.ts'
import type { LoginWorld } from '../support/login-world.ts'
import { navigation, send, visitor } from '../support/visitor.ts'
import type { Came, Visitor } from '../support/visitor.ts'

const hour = 3_600_000
const form = { 'content-type': 'application/x-www-form-urlencoded' }

/** Headers that every page has. */
function assertPage({ headers, text, status }: Came, expected = 200): void {
  assert.equal(status, expected, text)
  assert.equal(headers['content-type'], 'text/html; charset=utf-8')
  const policy = String(headers['content-security-policy'])
  assert.match(
    policy,
    /^default-src 'none'; style-src 'self'; form-action 'self'( http:\/\/127\.0\.0\.1:\d+)?; frame-ancestors 'none'; base-uri 'none'$/,
  )
  assert.equal(headers['cache-control'], 'no-store')
  assert.equal(headers['referrer-policy'], 'no-referrer')
  assert.equal(headers['x-content-type-options'], 'nosniff')
  assert.equal(headers['x-frame-options'], 'DENY')
  assert.equal(headers['cross-origin-opener-policy'], 'same-origin')
  assert.match(String(headers['bailiwick-request']), /^[0-9a-f-]{36}$/)
  assert.doesNotMatch(text, /<script|<style| style=| on[a-z]+=/)
}

describe('with a browser', () => {
  let world: LoginWorld
  before(async () => {
    world = await startLoginWorld()
  })
  after(() => world.stop())

  const home = (): string => `${world.url}/bailiwick/`
  const api = (person: Visitor): Promise<Came> =>
    person.ask(`${world.url}/clusters/east/api/v1/query?query=up`, { headers: { 'sec-fetch-site': 'same-origin' } })
  const logOutHere = async (person: Visitor): Promise<Came> => {
    const page = await person.ask(`${world.url}/bailiwick/logout`, { headers: navigation() })
    const code = /name="code" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    const headers = { ...form, ...navigation('same-origin'), origin: 'null' }
    return person.ask(`${world.url}/bailiwick/logout`, { method: 'POST', headers, body: `code=${code}` })
  }

  it('somebody is sent to the provider and back, and sees who they are, what they may see, and why', async () => {
    const alice = visitor()
    const came = await alice.logIn(world.url, 'alice')
    assert.equal(came.url, home())
    assertPage(came)
    for (const words of [
      /alice@example\.com/,
      /team-emojivoto/,
      /Cluster east/,
      /namespace: emojivoto/,
      /policy\.csv:\d+/,
    ]) {
      assert.match(came.text, words)
    }
    assert.match(
      came.text,
      /curl -H &quot;Authorization: Bearer \$TOKEN&quot; &#39;http:\/\/127\.0\.0\.1:\d+\/clusters\/east\//,
    )
    assert.match(came.text, /policy\.csv:\d+/)
  })
  it('somebody without rights sees that, and why', async () => {
    const dana = visitor()
    const { text } = await dana.logIn(home(), 'dana')
    assert.match(text, /no rule names you or your groups/)
  })
  it('a session is good for the API, from the pages', async () => {
    const bob = visitor()
    await bob.logIn(home(), 'bob')
    const came = await api(bob)
    assert.equal(came.status, 200, came.text)
    assert.equal(came.headers['bailiwick-scope'], 'namespace: booksapp')
  })
  it('the cookie is for this host alone and hidden from scripts', async () => {
    const alice = visitor()
    const begun = await alice.ask(`${world.url}/bailiwick/login`, { headers: navigation() })
    assert.match(
      begun.cookies[0] ?? '',
      /^__Host-bailiwick-login\.[0-9a-f]{8}=[\w.-]+; Max-Age=600; Path=\/; Secure; HttpOnly; SameSite=Lax$/,
    )
    assert.equal(begun.cookies.length, 1)
  })

  describe('only a top-level navigation is ever redirected', () => {
    for (const path of ['/', '/bailiwick', '/bailiwick/', '/bailiwick/login']) {
      it(`GET ${path}: a browser yes, a program no`, async () => {
        assert.equal((await send(world.url + path, { headers: navigation() })).status, 303)
        assert.equal((await send(world.url + path, { headers: { accept: 'text/html' } })).status, 303)
        for (const headers of [
          {},
          { accept: '*/*' },
          { accept: 'application/json, text/html' },
          { ...navigation(), 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' },
          { ...navigation(), 'sec-fetch-dest': 'iframe' },
          { ...navigation(), authorization: 'Bearer x' },
        ]) {
          const came = await send(world.url + path, { headers })
          assert.ok([401, 404].includes(came.status), `${came.status} for ${JSON.stringify(headers)}`)
          assert.match(came.headers['content-type'] ?? '', /^application\/json/)
          assert.equal(Reflect.get(Object(JSON.parse(came.text)), 'status'), 'error')
        }
      })
    }
    for (const path of ['/api/v1/query?query=up', '/clusters', '/clusters/east/api/v1/labels', '/federate']) {
      it(`GET ${path}: nobody, not even a browser`, async () => {
        const came = await send(world.url + path, { headers: navigation() })
        assert.equal(came.status, 401)
        assert.match(came.headers['content-type'] ?? '', /^application\/json/)
        assert.match(String(came.headers['www-authenticate']), /^Bearer realm="bailiwick"/)
      })
    }
    it('what the pages do not have is 404, and a wrong method 405', async () => {
      for (const path of ['/bailiwick/nothing', '/bailiwick//', '/bailiwick/%6cogin', '/bailiwick/login/']) {
        assert.equal((await send(world.url + path, { headers: navigation() })).status, 404)
      }
      const came = await send(`${world.url}/bailiwick/login`, { method: 'POST', headers: form })
      assert.deepEqual([came.status, came.headers.allow], [405, 'GET'])
    })
  })

  it('a token goes on working as before, without any cookie', async () => {
    const headers = { authorization: `Bearer ${await world.idp.token('alice')}` }
    const came = await send(`${world.url}/clusters/east/api/v1/query?query=up`, { headers })
    assert.deepEqual([came.status, came.cookies], [200, []])
  })

  it('logout ends the session here, and at the provider, which tells every client', async () => {
    const alice = visitor()
    await alice.logIn(home(), 'alice')
    const stolen = visitor()
    for (const [name, cookie] of alice.cookies) stolen.cookies.set(name, cookie)
    assert.equal((await api(stolen)).status, 200)
    const came = await logOutHere(alice)
    assert.equal(came.status, 303, came.text)
    const end = new URL(came.headers.location ?? '')
    assert.equal(end.origin, world.idp.issuer)
    assert.equal(end.searchParams.get('post_logout_redirect_uri'), `${world.url}/bailiwick/logged-out`)
    assert.ok(end.searchParams.get('id_token_hint'))
    assert.ok(![...alice.cookies.keys()].some((name) => name.startsWith('__Host-bailiwick')))
    assert.equal((await api(stolen)).status, 401)

    const asked = await alice.go(end.href)
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(asked.text)?.[1] ?? ''
    const action = /action="([^"]+)"/.exec(asked.text)?.[1] ?? ''
    const ended = await alice.go(action, { method: 'POST', headers: form, body: `xsrf=${xsrf}&logout=yes` })
    assert.equal(ended.url, `${world.url}/bailiwick/logged-out`)
    assertPage(ended)
    assert.match(ended.text, /has ended/)
    // The next visit asks the provider's login page again.
    assert.match((await alice.go(home())).text, /Who are you\?/)
  })
  it('a logout at the provider alone ends the session here (back-channel)', async () => {
    const carol = visitor()
    await carol.logIn(home(), 'carol')
    assert.equal((await api(carol)).status, 200)
    const discovery: unknown = await (await fetch(world.idp.discoveryUrl)).json()
    const asked = await carol.go(String(Reflect.get(Object(discovery), 'end_session_endpoint')))
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(asked.text)?.[1] ?? ''
    const action = /action="([^"]+)"/.exec(asked.text)?.[1] ?? ''
    await carol.go(action, { method: 'POST', headers: form, body: `xsrf=${xsrf}&logout=yes` })
    assert.equal((await api(carol)).status, 401)
    const [logout] = (await world.records('logout')).toReversed()
    assert.equal(logout?.['how'], 'back-channel')
    assert.equal(Reflect.get(Object(logout?.['withdrawn']), 'subject'), 'carol')
  })
  it('a logout without a session says that there is none', async () => {
    const nobody = visitor()
    const came = await nobody.go(`${world.url}/bailiwick/logout`)
    assert.equal(came.url, `${world.url}/bailiwick/logged-out`)
    const headers = { ...form, 'sec-fetch-site': 'same-origin' }
    const sent = await nobody.ask(`${world.url}/bailiwick/logout`, { method: 'POST', headers })
    assert.deepEqual([sent.status, sent.headers.location], [303, `${world.url}/bailiwick/logged-out`])
  })

  it('what a person cancels at the provider is told of', async () => {
    const alice = visitor()
    const begun = await alice.ask(`${world.url}/bailiwick/login`, { headers: navigation() })
    const state = new URL(begun.headers.location ?? '').searchParams.get('state')
    const query = new URLSearchParams({ error: 'access_denied', state: state ?? '', iss: world.idp.issuer })
    const came = await alice.ask(`${world.url}/bailiwick/callback?${query.toString()}`, {
      headers: navigation('cross-site'),
    })
    assertPage(came, 403)
    assert.match(came.text, /said no/)
  })

  it('every login, failed login, logout and look is on record, before anything is shown, and holds no secret', async () => {
    const before = (await world.records()).length
    const bob = visitor()
    const page = await bob.logIn(home(), 'bob')
    await api(bob)
    await logOutHere(bob)
    await bob.ask(`${world.url}/bailiwick/callback?code=secret-code&state=x`, { headers: navigation() })
    const records = (await world.records()).slice(before)
    const told = records
      .filter(({ kind }) => kind !== 'outcome')
      .map((record) => ['kind', 'path', 'how', 'decision', 'reason'].map((field) => record[field]))
      .map((fields) => fields.filter((field) => typeof field === 'string').join(' '))
    assert.deepEqual(told, [
      'decision /bailiwick/ deny no_credentials',
      'login',
      'decision /bailiwick/ allow',
      'decision /clusters/east/api/v1/query allow',
      'logout local',
      'login.failed no_login',
    ])
    const credentials = records.flatMap(({ who }) => Reflect.get(Object(who), 'credential') ?? [])
    assert.equal(credentials.length, 4)
    assert.equal(new Set(credentials).size, 1)
    const login = records.find(({ kind }) => kind === 'login')
    assert.equal(Reflect.get(Object(login?.['who']), 'subject'), 'bob')
    assert.ok(Reflect.get(Object(login?.['from']), 'peer'))
    const look = records.find(
      ({ kind, path, decision }) => kind === 'decision' && path === '/bailiwick/' && decision === 'allow',
    )
    assert.equal(look?.request, page.headers['bailiwick-request'])
    assert.deepEqual(look?.['sent'], [])
    assert.equal(Array.isArray(look?.['because']) && look['because'].length > 0, true)
    const outcomes = records.filter(({ kind }) => kind === 'outcome').map(({ request }) => request)
    assert.ok(outcomes.includes(login?.request))
    const all = JSON.stringify(records) + world.logged()
    for (const secret of ['secret-code', '__Host-', 'eyJ', 'code_verifier']) assert.ok(!all.includes(secret), secret)
  })
})

describe('a session that needs the provider', () => {
  let world: LoginWorld
  before(async () => {
    world = await startLoginWorld({ loginLifetime: 600 })
  })
  after(() => world.stop())
  const own = { headers: { 'sec-fetch-site': 'same-origin' } }
  const api = (person: Visitor): Promise<Came> => person.ask(`${world.url}/clusters`, own)

  it('is renewed with a rotating refresh token, once for all tabs, and lasts beyond the first one', async () => {
    const alice = visitor()
    await alice.logIn(`${world.url}/bailiwick/`, 'alice')
    try {
      for (const round of [1, 2, 3]) {
        const tab = visitor()
        for (const [name, cookie] of alice.cookies) tab.cookies.set(name, cookie)
        world.setClock(round * 601_000)
        const came = await Promise.all([api(alice), api(tab), api(alice)])
        assert.deepEqual(
          came.map(({ status }) => status),
          [200, 200, 200],
          JSON.stringify(came),
        )
        assert.ok(came.some(({ cookies }) => cookies.length > 0))
        // A tab that still holds the cookie from before gets the same new session.
        assert.equal((await api(tab)).status, 200)
      }
    } finally {
      world.setClock(0)
    }
  })
  it('ends where it was idle: a program is told, a browser logs in again without a word', async () => {
    const alice = visitor()
    await alice.logIn(`${world.url}/bailiwick/`, 'alice')
    world.setClock(hour)
    try {
      const came = await api(alice)
      assert.equal(came.status, 401)
      assert.match(came.text, /not used for too long.*sign in again at http/)
      const page = await alice.go(`${world.url}/bailiwick/`)
      assert.equal(page.url, `${world.url}/bailiwick/`)
      assertPage(page)
      assert.equal(page.trail.filter((url) => url.includes('/login/')).length, 0, 'the provider still knows her')
    } finally {
      world.setClock(0)
    }
  })
  it('is vouched for anew after a restart, and opens with an old key that is kept in the ring', async () => {
    const alice = visitor()
    await alice.logIn(`${world.url}/bailiwick/`, 'alice')
    const before = new Map(alice.cookies)
    await world.restart((config) => {
      const { login } = config
      if (login === null) throw new Error('no login')
      return { ...config, login: { ...login, cookieKeys: [newKey(), ...login.cookieKeys] } }
    })
    const came = await api(alice)
    assert.equal(came.status, 200, came.text)
    assert.ok(came.cookies.length > 0)
    assert.notDeepEqual([...alice.cookies.values()], [...before.values()])
  })
  it('ends with a key that is gone', async () => {
    const alice = visitor()
    await alice.logIn(`${world.url}/bailiwick/`, 'alice')
    await world.restart((config) => ({
      ...config,
      login: config.login === null ? null : { ...config.login, cookieKeys: [newKey()] },
    }))
    const came = await api(alice)
    assert.equal(came.status, 401)
    assert.match(came.text, /keys were changed/)
    await world.restart()
  })
})

describe('when something is down', () => {
  it('the provider: pages say so with 503, tokens and the gateway go on', async () => {
    const world = await startLoginWorld({ loginLifetime: 600 })
    try {
      const alice = visitor()
      await alice.logIn(`${world.url}/bailiwick/`, 'alice')
      const token = await world.idp.token('alice')
      assert.equal((await send(`${world.url}/clusters`, { headers: { authorization: `Bearer ${token}` } })).status, 200)
      await world.idp.stop()
      world.setClock(601_000)
      const due = await alice.ask(`${world.url}/bailiwick/`, { headers: navigation() })
      assertPage(due, 503)
      assert.match(due.text, /cannot be confirmed.*Try again/s)
      const program = await alice.ask(`${world.url}/clusters`, { headers: { 'sec-fetch-site': 'same-origin' } })
      assert.equal(program.status, 503)
      assert.match(program.text, /cannot be reached: try again/)
      const headers = { authorization: `Bearer ${token}` }
      assert.equal((await send(`${world.url}/clusters`, { headers })).status, 200)
      // After a restart nothing of the provider is known.
      await world.restart()
      const login = await send(`${world.url}/bailiwick/login`, { headers: navigation() })
      assertPage(login, 503)
      assert.match(login.text, /identity provider cannot be reached/)
      assert.equal((await world.records('login.failed')).at(-1)?.['reason'], 'provider_unavailable')
    } finally {
      await world.stop()
    }
  })
  it('the record: no login, no page, no cookie', async () => {
    const world = await startLoginWorld()
    try {
      const alice = visitor()
      await alice.logIn(`${world.url}/bailiwick/`, 'alice')
      await rename(world.auditDir, `${world.auditDir}-gone`)
      const shown = await alice.ask(`${world.url}/bailiwick/`, { headers: navigation() })
      assertPage(shown, 503)
      assert.match(shown.text, /No record can be kept/)
      assert.doesNotMatch(shown.text, /alice|emojivoto/)
    } finally {
      await sleep(0)
      await world.stop()
    }
  })
})
