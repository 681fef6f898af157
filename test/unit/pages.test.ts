// Parts of the pages and of logging in that can be tried alone.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isNavigation, isOwn, isOwnForm } from '../../src/identity/fetch-metadata.ts'
import { openIssuer } from '../../src/identity/issuer.ts'
import { maxLoginTime, maxLogoutTokenAge, maxReturnPath } from '../../src/identity/limits.ts'
import { openLogoutTokens } from '../../src/identity/logout-token.ts'
import { html } from '../../src/pages/html.ts'
import { openUsedLogins } from '../../src/pages/login.ts'
import { paths, returnPath } from '../../src/pages/paths.ts'
import { loginProblem } from '../../src/pages/problems.ts'
import type { PageParts, PageRequest } from '../../src/pages/answer.ts'
import type { LoginFailureCode } from '../../src/identity/login-failure.ts'
import { credentialsWith, issuerOptions, startStubIssuer } from '../support/issuer.ts'

describe('a template', () => {
  it('escapes whatever is put in, so that it is neither markup nor the end of an attribute', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('<', '>', '&', '"', "'", '`', '=', '/', 'a', 'x') }), (text) => {
        const inner = html`<a title="${text}">${text}</a>`.text.slice('<a title="'.length, -'</a>'.length)
        assert.doesNotMatch(inner.replace('">', ''), /[<>"'`]/)
        const [title = ''] = inner.split('">')
        const back = title.replaceAll(/&(amp|lt|gt|quot|#39|#96);/g, (entity) => unescaped[entity] ?? '')
        assert.equal(back, text)
      }),
    )
  })
  it('takes what it made itself as it is, and nothing for null', () => {
    assert.equal(html`${html`<b>${'<'}</b>`}${[html`1`, html`2`]}${null}${3}`.text, '<b>&lt;</b>123')
  })
  it('knows its own by more than a form that anybody could give a value', () => {
    const forged: unknown = { text: '<script>' }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what a mistake in the types would let through
    assert.throws(() => html`${forged as string}`)
  })
})

const unescaped: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
  '&#96;': '`',
}

describe('where somebody returns to', () => {
  const origin = 'https://gateway.test'

  it('is always a page of ours, whatever was asked', () => {
    const piece = fc.constantFrom(
      '/',
      '\\',
      '.',
      '..',
      '@',
      ':',
      'evil.test',
      'https:',
      'bailiwick',
      '%2f',
      '%5c',
      '?',
      '#',
      '\t',
      '\n',
      ' ',
      'x',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.boolean(), (pieces, begun) => {
        const path = returnPath((begun ? '/bailiwick/' : '') + pieces.join(''), origin)
        const url = new URL(origin + path)
        assert.equal(url.origin, origin)
        assert.ok(url.pathname.startsWith('/bailiwick/'))
        // A browser that is given the path alone ends there too.
        assert.equal(new URL(path, origin).href, url.href)
      }),
    )
  })
  it('is kept up to a length', () => {
    const longest = `/bailiwick/?${'x'.repeat(maxReturnPath - '/bailiwick/?'.length)}`
    assert.equal(returnPath(longest, origin), longest)
    assert.equal(returnPath(`${longest}x`, origin), paths.home)
    assert.equal(returnPath(null, origin), paths.home)
  })
})

describe('how a browser asks', () => {
  const page = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-site': 'none' }

  for (const [what, headers, method, expected] of [
    ['a browser that says so', page, 'GET', true],
    ['an old browser', { accept: 'text/html, */*' }, 'GET', true],
    ['an old browser that would rather have JSON', { accept: 'application/json, text/html' }, 'GET', false],
    ['curl', { accept: '*/*' }, 'GET', false],
    ['nothing said', {}, 'GET', false],
    ['a form', page, 'POST', false],
    ['HEAD', page, 'HEAD', false],
    ['a frame', { ...page, 'sec-fetch-dest': 'iframe' }, 'GET', false],
    ['a script’s request', { ...page, 'sec-fetch-mode': 'cors', accept: 'text/html' }, 'GET', false],
    ['only the site said', { 'sec-fetch-site': 'none', accept: 'text/html' }, 'GET', false],
    ['a header twice', { ...page, 'sec-fetch-mode': ['navigate', 'cors'] }, 'GET', false],
    ['a token with it', { ...page, authorization: 'Bearer x' }, 'GET', false],
  ] as const) {
    it(`${what}: ${expected ? '' : 'no '}navigation`, () => {
      assert.equal(isNavigation(credentialsWith(headers), method), expected)
    })
  }
  it('only our own pages and typed addresses are own', () => {
    for (const [site, expected] of [
      [['same-origin'], true],
      [['none'], true],
      [['same-site'], false],
      [['cross-site'], false],
      [[], false],
      [['none', 'none'], false],
    ] as const) {
      assert.equal(isOwn(credentialsWith({ 'sec-fetch-site': site })), expected)
    }
  })
  it('a form twice of two places is not ours', () => {
    const headers = { 'sec-fetch-site': 'same-origin', origin: ['null', 'https://evil.test'] }
    assert.equal(isOwnForm(credentialsWith(headers), 'https://gateway.test'), false)
  })
})

describe('a page', () => {
  const request: Pick<PageRequest, 'id'> = { id: 'the-request' }
  const show = (origin: string, code: LoginFailureCode) =>
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a problem's page asks for no more
    loginProblem({ origin } as PageParts, request as PageRequest, code)
  const codes: readonly LoginFailureCode[] = [
    'provider_unavailable',
    'denied',
    'misconfigured',
    'stale_code',
    'no_login',
    'expired',
    'replayed',
    'wrong_nonce',
    'wrong_issuer',
    'clock',
    'rejected',
    'claims',
    'too_large',
    'too_short',
  ]
  it('about a failed login names a remedy and the request, and is a page of its own for each reason', () => {
    const bodies = codes.map((code) => show('https://gateway.test', code))
    assert.equal(new Set(bodies.map(({ body }) => body)).size, codes.length)
    for (const { status, body } of bodies) {
      assert.ok(status >= 400 && status !== 401)
      assert.match(body, /role="alert"/)
      assert.match(body, /the-request/)
    }
  })
  it('asks a browser to come back over https only, where it came over https', () => {
    assert.equal(show('https://gateway.test', 'denied').headers['strict-transport-security'], 'max-age=31536000')
    assert.equal(show('http://127.0.0.1', 'denied').headers['strict-transport-security'], undefined)
  })
})

describe('a login that was finished', () => {
  it('is kept in mind for as long as its cookie could open', () => {
    let now = 0
    const used = openUsedLogins(() => now)
    assert.equal(used.use('a'), true)
    now = maxLoginTime - 1
    assert.equal(used.use('a'), false)
    now = maxLoginTime
    assert.equal(used.use('a'), true)
  })
})

describe('a logout token', () => {
  it('counts up to an age, and once only up to then', async () => {
    const stub = await startStubIssuer()
    let now = Date.now()
    const keys = openIssuer(issuerOptions(stub.issuer), () => now)
    try {
      const tokens = openLogoutTokens(keys, 'gateway', () => now)
      const event = { 'http://schemas.openid.net/event/backchannel-logout': {} }
      const iat = Math.floor(now / 1000)
      const claims = { aud: 'gateway', sid: 'one', jti: 'one', iat, exp: iat + 3600, events: event }
      const token = await stub.sign(claims, { typ: 'logout+jwt' })
      assert.ok((await tokens.verify(token)).ok)
      // Five seconds is what the stub's options let the clocks differ.
      now = (iat + maxLogoutTokenAge + 5) * 1000
      const again = await tokens.verify(token)
      assert.ok(!again.ok && again.error.code === 'replayed')
      now += 1000
      const old = await tokens.verify(token)
      assert.ok(!old.ok && old.error.code === 'invalid_token')
    } finally {
      keys.stop()
      await stub.stop()
    }
  })
  it('signed with a new key is followed: the keys are asked for once more', async () => {
    const stub = await startStubIssuer()
    let now = Date.now()
    const keys = openIssuer(issuerOptions(stub.issuer), () => now)
    try {
      const tokens = openLogoutTokens(keys, 'gateway', () => now)
      await keys.keys()
      await stub.rotate()
      now += 6_000
      const event = { 'http://schemas.openid.net/event/backchannel-logout': {} }
      const token = await stub.sign({ aud: 'gateway', jti: 'one', events: event }, { typ: 'application/logout+jwt' })
      const verified = await tokens.verify(token)
      assert.deepEqual(verified.ok && [verified.value.subject, verified.value.sid], ['alice', null])
    } finally {
      keys.stop()
      await stub.stop()
    }
  })
  it('is not judged while the keys cannot be had', async () => {
    const stub = await startStubIssuer()
    await stub.stop()
    const keys = openIssuer(issuerOptions(stub.issuer), Date.now)
    const verified = await openLogoutTokens(keys, 'gateway', Date.now).verify(
      await stub.sign({}, { typ: 'logout+jwt' }),
    )
    keys.stop()
    assert.ok(!verified.ok && verified.error.code === 'issuer_unavailable')
  })
})
