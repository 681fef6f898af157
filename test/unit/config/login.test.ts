// identity.login: what is refused before a gateway starts with it.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { stringify } from 'yaml'
import { loadConfig } from '../../../src/config/config.ts'
import type { Config } from '../../../src/config/config.ts'

const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-login-config-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const issuer = 'https://id.example.org'
const key = (): string => randomBytes(32).toString('base64url')
const usual = { issuer, clientId: 'bailiwick', cookieKeys: [key()] }

function load(login: object, publicUrl: string | undefined = 'https://metrics.example.org') {
  const file = join(scratch, 'bailiwick.yaml')
  const settings = {
    ...(publicUrl === '' ? {} : { publicUrl }),
    clusters: [{ name: 'a', prometheus: { url: 'http://a' } }],
    identity: { issuers: [{ issuer, audience: ['a'] }], login },
    policy: { model: 'a', rules: ['a'] },
    audit: { directory: 'a' },
  }
  writeFileSync(file, stringify(settings))
  return loadConfig(file, {})
}

function loginOf(login: object): NonNullable<Config['login']> {
  const config = load(login)
  assert.ok(config.ok, JSON.stringify(config))
  assert.ok(config.value.login)
  return config.value.login
}

describe('identity.login', () => {
  it('has defaults for what need not be said', () => {
    const { clientSecret, scopes, limits, callbackUrl, loggedOutUrl, origin } = loginOf(usual)
    assert.deepEqual(
      { clientSecret, scopes, limits, callbackUrl, loggedOutUrl, origin },
      {
        clientSecret: undefined,
        scopes: ['openid', 'profile', 'email'],
        limits: { idle: 3_600_000, absolute: 43_200_000 },
        callbackUrl: 'https://metrics.example.org/bailiwick/callback',
        loggedOutUrl: 'https://metrics.example.org/bailiwick/logged-out',
        origin: 'https://metrics.example.org',
      },
    )
  })
  it('takes keys as a list, and as a text with one on each line', () => {
    const keys = [key(), key()]
    const bytes = keys.map((one) => new Uint8Array(Buffer.from(one, 'base64url')))
    assert.deepEqual(loginOf({ ...usual, cookieKeys: keys }).cookieKeys, bytes)
    writeFileSync(join(scratch, 'keys'), `${keys.join('\n')}\n`)
    const { cookieKeys: _, ...rest } = usual
    assert.deepEqual(loginOf({ ...rest, cookieKeys_file: 'keys' }).cookieKeys, bytes)
  })
  it('takes what openssl prints', () => {
    const padded = randomBytes(32).toString('base64')
    assert.equal(loginOf({ ...usual, cookieKeys: [padded] }).cookieKeys[0]?.length, 32)
  })

  for (const [what, change, publicUrl, words] of [
    ['no keys', { cookieKeys: [] }, undefined, /cookieKeys: must name at least one key/],
    ['an empty text of keys', { cookieKeys: '' }, undefined, /cookieKeys: must name at least one key/],
    ['a number for keys', { cookieKeys: 7 }, undefined, /cookieKeys: must be a list of keys, or a text/],
    [
      'a key of 31 bytes',
      { cookieKeys: [randomBytes(31).toString('base64url')] },
      undefined,
      /cookieKeys\[0\]: .*32 random bytes/,
    ],
    [
      'a key that was typed',
      { cookieKeys: ['secretsecretsecretsecretsecretsecretsecretse'] },
      undefined,
      /32 random bytes/,
    ],
    ['a key of one letter', { cookieKeys: ['A'.repeat(43)] }, undefined, /32 random bytes/],
    [
      'an issuer that is not configured',
      { issuer: 'https://other.org' },
      undefined,
      /login\.issuer: is none of identity\.issuers/,
    ],
    ['a plain issuer', { issuer: 'http://id.example.org' }, undefined, /login\.issuer: must be https/],
    ['scopes without openid', { scopes: ['email'] }, undefined, /login\.scopes: must name openid/],
    ['idle above absolute', { idle: '2h', absolute: '1h' }, undefined, /login\.idle: is longer than absolute/],
    ['a session of seconds', { idle: '59s' }, undefined, /login\.idle: must be at least 1m/],
    ['no public URL', {}, '', /publicUrl: is missing/],
    ['a plain public URL', {}, 'http://metrics.example.org', /publicUrl: must be https for identity\.login/],
    ['a public URL with a path', {}, 'https://example.org/metrics', /publicUrl: must have no path/],
    ['an unknown setting', { cookieKey: 'x' }, undefined, /login\.cookieKey: there is no such setting/],
  ] as const) {
    it(`refuses ${what}`, () => {
      const config = load({ ...usual, ...change }, publicUrl)
      assert.ok(!config.ok)
      assert.match(config.error.join('\n'), words)
      assert.equal(config.error.length, 1, config.error.join('\n'))
    })
  }
  it('takes plain http on this machine', () => {
    for (const url of ['http://localhost:9080', 'http://127.0.0.1:9080', 'http://[::1]:9080/']) {
      assert.equal(load(usual, url).ok, true, url)
    }
  })
})
