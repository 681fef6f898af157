// A secret may be put anywhere in a request, by mistake or by intent: no byte of it is in the audit directory, unless it stands
// where the record says that it keeps what was sent.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { generateKeyPair } from '../../src/audit/keys.ts'
import type { Config } from '../../src/config/config.ts'
import { startLoginWorld } from '../support/login-world.ts'
import type { LoginWorld } from '../support/login-world.ts'
import { startStubProvider } from '../support/stub-provider.ts'
import type { StubProvider } from '../support/stub-provider.ts'
import { navigation, send, visitor } from '../support/visitor.ts'

const form = { 'content-type': 'application/x-www-form-urlencoded' }

/** Headers whose beginning is recorded as what the client claims: `docs/audit-record.md`. */
const claimed = [
  ...['user-agent', 'x-dashboard-uid', 'x-dashboard-title', 'x-panel-id', 'x-panel-title', 'x-panel-plugin-id'],
  ...['x-query-group-id', 'x-datasource-uid', 'x-grafana-user', 'x-grafana-org-id', 'x-grafana-from-expr'],
  ...['x-grafana-referer', 'x-rule-uid', 'x-rule-name', 'x-rule-folder', 'x-rule-source', 'x-rule-type'],
  ...['x-rule-version', 'x-rule-origin', 'fromalert', 'x-forwarded-for', 'l5d-client-id', 'traceparent'],
]
const never = [
  ...['authorization', 'proxy-authorization', 'cookie', 'cookie2', 'x-id-token', 'x-grafana-id', 'x-api-key'],
  ...['x-auth-token', 'x-access-token', 'x-csrf-token', 'x-xsrf-token', 'x-jwt-assertion', 'x-amzn-oidc-data'],
  ...[
    'x-forwarded-access-token',
    'x-forwarded-user',
    'x-goog-iap-jwt-assertion',
    'x-grafana-device-id',
    'x-scope-orgid',
  ],
  ...['referer', 'origin', 'forwarded', 'x-real-ip', 'x-prometheus-scrape-timeout-seconds', 'tracestate', 'baggage'],
  ...['dpop', 'x-anything', 'accept-language', 'if-none-match', 'from', 'via', 'x-request-id', 'x-original-url'],
]
/** Parameters that the endpoint has, and others, such as those in which tokens travel. */
const known = ['query', 'time', 'timeout', 'limit', 'stats', 'lookback_delta']
const unknown = [
  ...['access_token', 'auth_token', 'id_token', 'refresh_token', 'token', 'client_secret', 'password', 'passwd', 'jwt'],
  ...['api_key', 'code', 'state', 'code_verifier', 'session', 'SAMLResponse', 'logout_token', 'assertion', 'sig', 'x'],
]

describe('the audit directory', { timeout: 60_000 }, () => {
  let provider: StubProvider
  let world: LoginWorld
  const signing = generateKeyPair().privatePem
  /** Secrets by the place where they were put. */
  const marks = new Map<string, string>()
  before(async () => {
    provider = await startStubProvider()
    const change = (config: Config): Config => ({
      ...config,
      audit: { ...config.audit, checkpoints: { ...config.audit.checkpoints, key: signing } },
    })
    world = await startLoginWorld({ issuer: provider.issuer, change })
  })
  after(async () => {
    await world.stop()
    await provider.stop()
  })

  beforeEach(() => marks.clear())

  function mark(place: string): string {
    const secret = `S${randomBytes(12).toString('hex')}`
    marks.set(place, secret)
    return secret
  }
  /** Every byte of every file in it, and below. */
  async function bytes(): Promise<Buffer> {
    const found = await readdir(world.auditDir, { recursive: true, withFileTypes: true })
    const files = found.filter((one) => one.isFile()).map(({ parentPath, name }) => join(parentPath, name))
    return Buffer.concat(await Promise.all(files.map((path) => readFile(path).catch(() => Buffer.alloc(0)))))
  }
  /** The places whose secrets are in it, as they are or in another spelling. */
  async function found(): Promise<readonly string[]> {
    const text = (await bytes()).toString('latin1')
    const spellings = (secret: string): readonly string[] => [
      ...[
        secret,
        Buffer.from(secret).toString('hex'),
        encodeURIComponent(secret),
        secret.split('').toReversed().join(''),
      ],
      // Whatever stands before it: what is left of its base64 when the first and last pieces may differ.
      ...[0, 1, 2].map((before) =>
        Buffer.from(`${'.'.repeat(before)}${secret}`)
          .toString('base64')
          .slice(4, -4),
      ),
    ]
    return [...marks]
      .filter(([, secret]) => spellings(secret).some((one) => text.includes(one)))
      .map(([place]) => place)
  }
  const marked = (sort: string, names: readonly string[]): readonly (readonly [string, string])[] =>
    names.map((name) => [name, mark(`${sort} ${name}`)])
  const token = () => provider.sign({ aud: 'https://bailiwick.test', groups: ['team-emojivoto'] })
  const query = (path: string): string => `${world.url}/clusters/east/api/v1/${path}`
  const enough = async (count: number): Promise<void> => {
    while ((await world.records('decision')).length < count) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  it('holds of the headers only those that it says it holds', async () => {
    for (const [sort, own] of [
      ['allowed', { authorization: `Bearer ${await token()}` }],
      ['refused', {}],
    ] as const) {
      const headers = Object.fromEntries(marked(`${sort} header`, [...never, ...claimed]))
      const cookie = `__Host-bailiwick-session=${headers['cookie']}; a=${mark(`${sort} cookie a`)}`
      await send(query('query?query=up'), { headers: { ...headers, cookie, ...own } })
      await send(`${world.url}/bailiwick/`, { headers: { ...navigation(), ...headers, cookie, ...own } })
    }
    for (const scheme of ['Bearer', 'Basic', 'Digest', 'Negotiate', '']) {
      const secret = mark(`${scheme} credentials`)
      const value = scheme === 'Basic' ? Buffer.from(`token:${secret}`).toString('base64') : secret
      await send(query('query?query=up'), { headers: { authorization: `${scheme} ${value}` } })
      await send(query('query?query=up'), { headers: { authorization: `${scheme} ${value}x`, cookie: `a=${value}` } })
    }
    const kept = (await found()).filter((place) => place !== 'allowed header authorization')
    const expected = ['allowed', 'refused'].flatMap((sort) => claimed.map((name) => `${sort} header ${name}`))
    assert.deepEqual(kept.toSorted(), expected.toSorted())
  })

  it('holds of the parameters only those that the endpoint has', async () => {
    const headers = { authorization: `Bearer ${await token()}` }
    const encode = (pairs: readonly (readonly [string, string])[]): string =>
      pairs.map(([name, value]) => `${name}=${value}`).join('&')
    for (const name of [...known, ...unknown]) {
      const others = name === 'query' ? '' : 'query=up&'
      await send(query(`query?${others}${encode(marked('url', [name]))}`), { headers })
      const body = `${others}${encode(marked('form', [name]))}`
      await send(query('query'), { method: 'POST', headers: { ...headers, ...form }, body })
      await send(query('query'), {
        method: 'POST',
        headers: form,
        body: `${others}${encode(marked('stranger', [name]))}`,
      })
      await send(query(`nothing?${encode(marked('nowhere', [name]))}`), { headers })
    }
    for (const type of ['application/json', 'text/plain', 'multipart/form-data; boundary=x']) {
      const body = `{"query":"${mark(type)}"}`
      await send(query('query'), { method: 'POST', headers: { ...headers, 'content-type': type }, body })
    }
    const expected = ['url', 'form'].flatMap((sort) => known.map((name) => `${sort} ${name}`))
    assert.deepEqual((await found()).toSorted(), expected.toSorted())
  })

  it('holds nothing of a login and a logout: no code, state, nonce, cookie or token, and no key', async () => {
    const alice = visitor()
    const begun = await alice.ask(`${world.url}/bailiwick/login?to=/bailiwick/?x=${mark('return path')}`, {
      headers: navigation(),
    })
    const sent = new URL(begun.headers.location ?? '').searchParams
    for (const name of ['state', 'nonce', 'code_challenge']) marks.set(name, sent.get(name) ?? assert.fail(name))
    const idToken = await provider.sign({ nonce: sent.get('nonce'), sub: 'alice', sid: mark('sid') })
    marks.set('ID token', idToken.slice(-60))
    const [access_token, refresh_token, code] = [mark('access token'), mark('refresh token'), mark('code')]
    provider.token = async () => ({
      status: 200,
      body: { access_token, refresh_token, token_type: 'Bearer', expires_in: 3600, id_token: idToken },
    })
    const back = new URLSearchParams({ code, state: sent.get('state') ?? '', session_state: mark('session_state') })
    const came = await alice.ask(`${world.url}/bailiwick/callback?${back.toString()}`, {
      headers: navigation('cross-site'),
    })
    assert.equal(came.status, 303, came.text)
    for (const [name, { value }] of alice.cookies) {
      for (const part of value.split('.').filter((text) => text.length > 15))
        marks.set(`cookie ${name} ${part.length}`, part)
    }
    marks.set('code_verifier', provider.asked.at(-1)?.get('code_verifier') ?? assert.fail())
    const same = { headers: { 'sec-fetch-site': 'same-origin' } }
    assert.equal((await alice.ask(query('query?query=up'), same)).status, 200)
    const failed = new URLSearchParams({
      error: 'access_denied',
      error_description: mark('description'),
      state: mark('state'),
    })
    await visitor().ask(`${world.url}/bailiwick/callback?${failed.toString()}`, { headers: navigation('cross-site') })
    const forged = new URLSearchParams({ logout_token: mark('logout token'), password: mark('password') })
    const logout = { method: 'POST', headers: form, body: forged.toString() }
    await send(`${world.url}/bailiwick/back-channel-logout`, logout)
    const page = await alice.ask(`${world.url}/bailiwick/logout`, { headers: navigation() })
    const confirm = /name="code" value="([^"]+)"/.exec(page.text)?.[1] ?? assert.fail(page.text)
    marks.set('code of the form', confirm)
    const body = `code=${confirm}&x=${mark('another field')}`
    const out = { method: 'POST', headers: { ...form, ...navigation('same-origin'), origin: 'null' }, body }
    await alice.ask(`${world.url}/bailiwick/logout`, out)
    for (const [at, line] of signing.split('\n').entries())
      if (line.length > 20) marks.set(`key ${at}`, line.slice(0, 48))
    const kinds = new Set((await world.records()).map(({ kind }) => kind))
    for (const kind of ['login', 'login.failed', 'logout', 'logout.failed']) assert.ok(kinds.has(kind), kind)
    assert.ok(marks.size > 20, `only ${marks.size}`)
    assert.deepEqual(await found(), [])
  })

  it('is really searched: what is recorded is found', async () => {
    const headers = { authorization: `Bearer ${await token()}` }
    const before = (await world.records('decision')).length
    await send(query(`query?query=up{job="${mark('query')}"}`.replaceAll('"', '%22')), { headers })
    await enough(before + 1)
    assert.deepEqual(await found(), ['query'])
  })
})
