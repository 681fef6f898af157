// How a cluster's keys and its token review are set, and which audiences may never be accepted.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { stringify } from 'yaml'
import { loadConfig } from '../../../src/config/config.ts'
import type { IssuerOptions } from '../../../src/identity/issuer.ts'
import { makeAuthority } from '../../support/certificates.ts'

const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-kubernetes-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const issuer = 'https://kubernetes.default.svc.cluster.local'
const url = 'https://kubernetes.default.svc'
const jwks = `${url}/openid/v1/jwks`
const ca = makeAuthority().cert

function load(...issuers: readonly object[]): ReturnType<typeof loadConfig> {
  const file = join(scratch, 'bailiwick.yaml')
  const settings = {
    clusters: [{ name: 'a', prometheus: { url: 'http://prometheus' } }],
    identity: { issuers: issuers.map((one) => ({ issuer, audience: ['bailiwick'], ...one })) },
    policy: { model: 'model.conf', rules: ['policy.csv'] },
    audit: { directory: 'audit' },
  }
  writeFileSync(file, stringify(settings))
  return loadConfig(file, {})
}
function problemsOf(one: object): readonly string[] {
  const config = load(one)
  return config.ok ? [] : config.error
}
function optionsOf(...issuers: readonly object[]): readonly IssuerOptions[] {
  const config = load(...issuers)
  assert.ok(config.ok, JSON.stringify(config))
  return config.value.issuers
}
function put(name: string, content: string): string {
  writeFileSync(join(scratch, name), content)
  return name
}
const at = 'identity.issuers[0]'

describe('a cluster as an issuer', () => {
  it('has its keys at an address of their own, with an authority and a token', () => {
    const [options] = optionsOf({
      keys: { url: jwks, ca, bearerToken: 'abc' },
      tokenReview: { url, bearerToken: 'abc' },
    })
    assert.deepEqual(options?.keys, { url: jwks, ca, bearerToken: 'abc' })
    assert.deepEqual(options.tokenReview, { url, bearerToken: 'abc' })
  })
  it('has neither where nothing is said', () => {
    const [options] = optionsOf({})
    assert.ok(options !== undefined && !('keys' in options) && !('tokenReview' in options))
  })
  it('may have both from files, which are read again: each issuer its own', () => {
    const files = { ca_file: put('ca.crt', ca), bearerToken_file: put('token', 'abc\n') }
    const other = { bearerToken_file: put('other', 'def') }
    const [one, two] = optionsOf(
      { keys: { url: jwks, ...files }, tokenReview: { url, bearerToken: 'written' } },
      { issuer: 'https://other', keys: { url: 'https://other/keys', ...other }, tokenReview: { url, ...files } },
    )
    const both = { ca: join(scratch, 'ca.crt'), bearerToken: join(scratch, 'token') }
    assert.deepEqual([one?.keys?.bearerToken, one?.keys?.ca], ['abc', ca.trimEnd()])
    assert.deepEqual([one?.keys?.files, one?.tokenReview?.files], [both, undefined])
    assert.deepEqual([two?.keys?.files, two?.tokenReview?.files], [{ bearerToken: join(scratch, 'other') }, both])
  })

  const secure = 'must be https; plain http only on this machine (localhost, 127.0.0.1, [::1])'
  const pem = 'must be certificates in PEM form (-----BEGIN CERTIFICATE-----)'
  const token = 'must be a bearer token: letters, digits and -._~+/ with = at its end only'
  const noSuch = 'there is no such setting: see docs/configuration.md for the names'
  const refused: readonly (readonly [what: string, one: object, ...problems: readonly string[]])[] = [
    ['has no keys over plain http', { keys: { url: 'http://kubernetes' } }, `${at}.keys.url: ${secure}`],
    [
      'is not asked over plain http',
      { tokenReview: { url: 'http://k', bearerToken: 'a' } },
      `${at}.tokenReview.url: ${secure}`,
    ],
    ['has no empty authority', { keys: { url: jwks, ca: '' } }, `${at}.keys.ca: ${pem}`],
    ['has no token of two words', { keys: { url: jwks, bearerToken: 'a b' } }, `${at}.keys.bearerToken: ${token}`],
    [
      'is not asked without a token',
      { tokenReview: { url } },
      `${at}.tokenReview.bearerToken: is missing: must be a text`,
    ],
    ['has no setting that is misspelt', { keys: { url: jwks, token: 'a' } }, `${at}.keys.token: ${noSuch}`],
  ]
  for (const [what, one, ...problems] of refused) it(what, () => assert.deepEqual(problemsOf(one), problems))
})

describe('the namespaces of a cluster as groups', () => {
  const groupsClaim = '/kubernetes.io/namespace'
  it('keep apart from every group of people: whoever may name a namespace must not choose their group', () => {
    const why = "without it, a namespace with the name of a group would be that group: write one, such as 'namespace:'"
    assert.deepEqual(problemsOf({ groupsClaim }), [`${at}.groupPrefix: is missing: ${why}`])
    assert.deepEqual(problemsOf({ groupsClaim, groupPrefix: '' }), [`${at}.groupPrefix: ${why}`])
  })
  it('may be any with something before them', () => {
    assert.deepEqual(problemsOf({ groupsClaim, groupPrefix: 'namespace:' }), [])
  })
})

describe('the audience of the API server', () => {
  const remedy =
    "is the Kubernetes API server's own audience, so that every pod's token would count: choose another, such as " +
    "bailiwick, and name it in the pods' projected volume (serviceAccountToken.audience)"
  const isRefused = (one: object, index = 0): void =>
    assert.deepEqual(problemsOf(one), [`${at}.audience[${index}]: ${remedy}`])

  for (const audience of [
    'https://kubernetes.default.svc',
    'https://kubernetes.default.svc.cluster.local',
    'https://kubernetes.default.svc.corp.example',
    'https://kubernetes.default.svc:443/',
    'HTTPS://Kubernetes.Default.Svc',
    'https://kubernetes.default',
    'https://kubernetes',
    'kubernetes.default.svc',
    'kubernetes.default',
    'kubernetes.svc.default',
    'kubernetes',
  ]) {
    it(`is not accepted of any issuer: ${audience}`, () => {
      isRefused({ issuer: 'https://oidc.cloud.example/id/1', audience: [audience] })
      isRefused({ audience: ['bailiwick', audience] }, 1)
    })
  }
  it('is not accepted under the issuer’s own name, which is what API servers take where nothing is said', () => {
    const cloud = 'https://oidc.cloud.example/id/1'
    isRefused({ issuer: cloud, audience: [cloud], keys: { url: 'https://10.0.0.1/openid/v1/jwks' } })
    isRefused({ issuer: cloud, audience: [cloud], tokenReview: { url, bearerToken: 'a' } })
    assert.deepEqual(problemsOf({ issuer: cloud, audience: [cloud] }), [], 'an OpenID provider may do that')
  })
  it('is not accepted under the names of distributions', () => {
    for (const audience of ['k3s', 'rke2']) isRefused({ audience: [audience] })
  })
  it('is not accepted where the gateway’s own token has it, which is for the API server', () => {
    const claims = Buffer.from(JSON.stringify({ aud: ['api-of-ours', 'vault'] })).toString('base64url')
    const bearerToken = `e30.${claims}.AAAA`
    for (const one of [{ keys: { url: jwks, bearerToken } }, { tokenReview: { url, bearerToken } }]) {
      isRefused({ ...one, audience: ['api-of-ours'] })
      isRefused({ ...one, audience: ['bailiwick', 'vault'] }, 1)
      assert.deepEqual(problemsOf(one), [])
    }
    for (const odd of ['opaque', 'e30.bnVsbA.AAAA', 'e30.W10.AAAA', 'e30.!!.AAAA']) {
      const config = load({ keys: { url: jwks, bearerToken: odd } })
      assert.ok(config.ok || odd.includes('!'), odd)
    }
  })
  it('is not every name with kubernetes in it', () => {
    for (const audience of ['kubernetes-metrics', 'https://kubernetes.example.org', 'bailiwick.kubernetes', 'my-k3s']) {
      assert.deepEqual(problemsOf({ audience: [audience] }), [], audience)
    }
  })
})
