// How a cluster's Prometheus may be reached, and the sentence for every way in which it may not.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { parse, stringify } from 'yaml'
import { loadConfig } from '../../../src/config/config.ts'
import type { ClusterOptions } from '../../../src/config/config.ts'
import { makeAuthority } from '../../support/certificates.ts'

const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-clusters-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const authority = makeAuthority()
const { cert, key } = authority.issue(['gateway'])
const other = authority.issue(['other'])
const ca = authority.cert
const url = 'https://prometheus'

const load = (...prometheus: readonly object[]): ReturnType<typeof loadConfig> =>
  loadClusters(prometheus.map((one, index) => ({ name: `c${index}`, prometheus: { url, ...one } })))
function loadClusters(clusters: unknown): ReturnType<typeof loadConfig> {
  const file = join(scratch, 'bailiwick.yaml')
  const settings = {
    clusters,
    identity: { issuers: [{ issuer: 'https://id.example.org', audience: ['a'] }] },
    policy: { model: 'model.conf', rules: ['policy.csv'] },
    audit: { directory: 'audit' },
  }
  writeFileSync(file, stringify(settings))
  return loadConfig(file, {})
}
function problemsOf(prometheus: object): readonly string[] {
  const config = load(prometheus)
  return config.ok ? [] : config.error
}
function optionsOf(prometheus: object): ClusterOptions['prometheus'] | undefined {
  const config = load(prometheus)
  assert.ok(config.ok, JSON.stringify(config))
  return config.value.clusters[0]?.prometheus
}
function put(name: string, content: string): string {
  writeFileSync(join(scratch, name), content)
  return name
}

const at = 'clusters[0].prometheus'
const pem = 'must be certificates in PEM form (-----BEGIN CERTIFICATE-----)'
const aKey = 'must be a private key in PEM form, without a passphrase'
const aName = 'must be a user name: not empty, no colon and no control character in it'
const aPassword = 'must be a password: not empty, no control character or line break in it'
const aTenant = 'must be 1 to 1000 letters, digits and signs of ASCII, without spaces'
const aHeader = 'must be X-Scope-OrgID (Mimir) or THANOS-TENANT (Thanos)'
const noSuch = 'there is no such setting: see docs/configuration.md for the names'

describe('a Prometheus is refused with the key, what is wrong and the remedy:', () => {
  const basic = { username: 'u', password: 'p' }
  const tenant = { header: 'X-Scope-OrgID', value: 'a' }
  const refused: readonly (readonly [what: string, prometheus: object, ...problems: string[]])[] = [
    [
      'two kinds of credentials',
      { basic, bearerToken: 't' },
      `${at}.basic: there is a bearerToken too, and both are the same header: keep one`,
    ],
    ['a user without a password', { basic: { username: 'u' } }, `${at}.basic.password: is missing: must be a text`],
    ['a password without a user', { basic: { password: 'p' } }, `${at}.basic.username: is missing: must be a text`],
    ['a colon in a user name', { basic: { ...basic, username: 'a:b' } }, `${at}.basic.username: ${aName}`],
    ['an empty user name', { basic: { ...basic, username: '' } }, `${at}.basic.username: ${aName}`],
    ['an empty password', { basic: { ...basic, password: '' } }, `${at}.basic.password: ${aPassword}`],
    ['a line break in a password', { basic: { ...basic, password: 'a\nb' } }, `${at}.basic.password: ${aPassword}`],
    ['a number for a password', { basic: { ...basic, password: 1 } }, `${at}.basic.password: must be a text`],
    [
      'a certificate for plain http',
      { url: 'http://prometheus', tls: { cert, key } },
      `${at}.tls: the url is not https, so it would do nothing: write https in the url, or leave tls out`,
    ],
    [
      'a certificate alone',
      { tls: { cert } },
      `${at}.tls.key: is missing: cert is given without it: give both, or none`,
    ],
    ['a key alone', { tls: { key } }, `${at}.tls.cert: is missing: key is given without it: give both, or none`],
    [
      'another certificate’s key',
      { tls: { cert, key: other.key } },
      `${at}.tls.key: is not the key of the first certificate in cert: give the two that were made together`,
    ],
    ['an authority that is no PEM', { tls: { ca: 'x' } }, `${at}.tls.ca: ${pem}`],
    ['an empty authority', { tls: { ca: '' } }, `${at}.tls.ca: ${pem}`],
    ['a broken one among several', { tls: { ca: `${ca}${ca.replace(/\n[^-]{20}/, '\n')}` } }, `${at}.tls.ca: ${pem}`],
    ['a key for a certificate', { tls: { cert: key, key } }, `${at}.tls.cert: ${pem}`],
    ['a certificate for a key', { tls: { cert, key: cert } }, `${at}.tls.key: ${aKey}`],
    [
      'an address for a name',
      { tls: { serverName: '10.0.0.1' } },
      `${at}.tls.serverName: must be a host name, not an address: leave it out for an address`,
    ],
    ['a URL for a name', { tls: { serverName: 'https://a' } }, `${at}.tls.serverName: must be a host name`],
    ['TLS that checks nothing', { tls: { insecureSkipVerify: true } }, `${at}.tls.insecureSkipVerify: ${noSuch}`],
    ['another tenant header', { tenant: { ...tenant, header: 'X-Forwarded-User' } }, `${at}.tenant.header: ${aHeader}`],
    [
      'a tenant header in another case',
      { tenant: { ...tenant, header: 'x-scope-orgid' } },
      `${at}.tenant.header: ${aHeader}`,
    ],
    ['a tenant without a header', { tenant: { value: 'a' } }, `${at}.tenant.header: is missing: ${aHeader}`],
    ['a tenant that ends its header', { tenant: { ...tenant, value: 'a\r\nb: c' } }, `${at}.tenant.value: ${aTenant}`],
    ['an empty tenant', { tenant: { ...tenant, value: '' } }, `${at}.tenant.value: ${aTenant}`],
    ['a tenant of letters that no header has', { tenant: { ...tenant, value: 'é' } }, `${at}.tenant.value: ${aTenant}`],
    [
      'a file that is not there',
      { tls: { ca_file: 'missing.crt' } },
      `${at}.tls.ca_file: the file cannot be read (ENOENT): check the path and its mode`,
    ],
    [
      'a certificate’s file that is not there, and its key’s',
      { tls: { cert_file: 'missing.crt', key_file: 'missing.key' } },
      `${at}.tls.cert_file: the file cannot be read (ENOENT): check the path and its mode`,
      `${at}.tls.key_file: the file cannot be read (ENOENT): check the path and its mode`,
    ],
  ]
  for (const [what, prometheus, ...problems] of refused) {
    it(what, () => assert.deepEqual(problemsOf(prometheus), problems))
  }

  it('and no message holds a password, a key or a tenant', () => {
    const secrets = { basic: { username: 'S3CR3T:', password: 'S3CR3T\n' }, bearerToken: 'S3CR3T S3CR3T' }
    const more = { tls: { ca: 'S3CR3T', cert: 'S3CR3T', key: 'S3CR3T', serverName: 'S3CR3T!' } }
    const problems = problemsOf({ ...secrets, ...more, tenant: { header: 'S3CR3T', value: 'S3CR3T\n' } })
    assert.ok(problems.length >= 9, problems.join('\n'))
    assert.doesNotMatch(problems.join('\n'), /S3CR3T/)
  })
})

describe('a Prometheus may be reached', () => {
  it('with a user name and a password', () => {
    assert.deepEqual(optionsOf({ basic: { username: 'ü', password: 'a:b c' } })?.basic, {
      username: 'ü',
      password: 'a:b c',
    })
  })
  it('with certificates written out, several authorities among them', () => {
    const tls = { ca: `${ca}${ca}`, cert: `${cert}${ca}`, key, serverName: 'prometheus.internal' }
    assert.deepEqual(optionsOf({ tls })?.tls, tls)
  })
  it('as a tenant, or as several of Mimir’s', () => {
    for (const tenant of [
      { header: 'X-Scope-OrgID', value: 'a|b' },
      { header: 'THANOS-TENANT', value: 'team-a' },
    ]) {
      assert.deepEqual(optionsOf({ tenant })?.tenant, tenant)
    }
  })
})

describe('the files that are followed', () => {
  const written = {
    basic: { username_file: put('user', 'u\n'), password_file: put('password', 'p\n') },
    tls: { ca_file: put('ca.crt', ca), cert_file: put('tls.crt', cert), key_file: put('tls.key', key) },
  }

  it('are those of a secret, by setting and with the whole path; what was in them is checked and kept', () => {
    const options = optionsOf(written)
    assert.deepEqual(options?.files, {
      'basic.password': join(scratch, 'password'),
      'tls.ca': join(scratch, 'ca.crt'),
      'tls.cert': join(scratch, 'tls.crt'),
      'tls.key': join(scratch, 'tls.key'),
    })
    assert.deepEqual(options?.basic, { username: 'u', password: 'p' })
    assert.equal(options?.tls?.cert, cert.trimEnd())
  })
  it('are each cluster’s own', () => {
    const config = load(
      { bearerToken_file: put('one', 'a') },
      { bearerToken: 'b' },
      { bearerToken_file: put('two', 'c') },
    )
    assert.ok(config.ok)
    assert.deepEqual(
      config.value.clusters.map(({ prometheus }) => prometheus.files?.bearerToken ?? null),
      [join(scratch, 'one'), null, join(scratch, 'two')],
    )
  })
  it('are checked at start like what is written out', () => {
    assert.deepEqual(problemsOf({ tls: { ...written.tls, key_file: put('other.key', other.key) } }), [
      `${at}.tls.key: is not the key of the first certificate in cert: give the two that were made together`,
    ])
  })
})

describe('docs/upstreams.md', () => {
  const page = readFileSync(new URL('../../../docs/upstreams.md', import.meta.url), 'utf8')
  const blocks = [...page.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, block = '']) => block)
  const secrets = { password: 'p', token: 't', 'ca.crt': ca, 'tls.crt': cert, 'tls.key': key }
  /** The names of the clusters that a block configures, with its secrets lying here. */
  function loaded(block: string): readonly string[] {
    for (const [name, content] of Object.entries(secrets)) put(name, content)
    const { clusters }: Record<string, unknown> = parse(block.replaceAll('/run/secrets/bailiwick', scratch))
    const config = loadClusters(clusters)
    assert.ok(config.ok, JSON.stringify(config))
    return config.value.clusters.map(({ name }) => name)
  }

  it('has a configuration for each upstream, and each loads', () => {
    assert.deepEqual(blocks.flatMap(loaded), ['east', 'viz', 'west', 'thanos', 'mimir', 'vm', 'vm-cluster'])
  })
})
