// How the mesh's word on callers is switched on, and the sentence for every way in which it is not.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { stringify } from 'yaml'
import { loadConfig } from '../../../src/config/config.ts'

const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-mesh-config-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const selfTest = 'http://bailiwick-self-test:19080'
function load(mesh: object | undefined, listen = '0.0.0.0:9080'): ReturnType<typeof loadConfig> {
  const file = join(scratch, 'bailiwick.yaml')
  const settings = {
    listen,
    clusters: [{ name: 'a', prometheus: { url: 'http://prometheus' } }],
    identity: { issuers: [{ issuer: 'https://id.example.org', audience: ['a'] }], ...(mesh && { mesh }) },
    policy: { model: 'model.conf', rules: ['policy.csv'] },
    audit: { directory: 'audit' },
  }
  writeFileSync(file, stringify(settings))
  return loadConfig(file, {})
}
function problemsOf(mesh: object, listen?: string): readonly string[] {
  const config = load({ trustDomain: 'cluster.local', selfTest, ...mesh }, listen)
  return config.ok ? [] : config.error
}

describe('the mesh', () => {
  it('is off where nothing is said', () => {
    const config = load(undefined)
    assert.ok(config.ok)
    assert.equal(config.value.mesh, null)
  })
  it('names hops only, and has its control plane in linkerd, where no more is said', () => {
    const config = load({ trustDomain: 'cluster.local', selfTest })
    assert.ok(config.ok, JSON.stringify(config))
    const defaults = { controlPlaneNamespace: 'linkerd', subjects: 'none' }
    assert.deepEqual(config.value.mesh, { trustDomain: 'cluster.local', selfTest, ...defaults })
  })
  it('may be another one, and may let workloads ask for themselves', () => {
    assert.deepEqual(problemsOf({ trustDomain: 'a', controlPlaneNamespace: 'mesh-system', subjects: 'all' }), [])
  })

  const at = 'identity.mesh'
  const domain = "must be Linkerd's trust domain, such as cluster.local"
  const loopback = 'is on the loopback interface, where nothing passes the proxy: see docs/mesh.md'
  for (const trustDomain of [
    '',
    'Cluster.local',
    'cluster.local.',
    '.cluster.local',
    'a..b',
    'a_b',
    'a/b',
    'a'.repeat(64),
  ]) {
    it(`has no trust domain ${JSON.stringify(trustDomain).slice(0, 20)}`, () =>
      assert.deepEqual(problemsOf({ trustDomain }), [`${at}.trustDomain: ${domain}`]))
  }
  it('has no trust domain longer than any name', () => {
    assert.deepEqual(problemsOf({ trustDomain: 'a.'.repeat(126) + 'aa' }), [`${at}.trustDomain: ${domain}`])
  })
  it('is not on without a test of itself, nor without a trust domain', () => {
    const config = load({})
    assert.ok(!config.ok)
    assert.deepEqual(config.error, [
      `${at}.trustDomain: is missing: must be a text`,
      `${at}.selfTest: is missing: must be an http or https URL such as https://example.org`,
    ])
  })
  for (const [what, mesh, ...problems] of [
    [
      'a namespace with a dot',
      { controlPlaneNamespace: 'a.b' },
      `${at}.controlPlaneNamespace: must be the name of a namespace`,
    ],
    [
      'a test that the proxy cannot look into',
      { selfTest: 'https://a' },
      `${at}.selfTest: must be http: the proxy cannot look into https`,
    ],
    [
      'a test with a path',
      { selfTest: 'http://a/b' },
      `${at}.selfTest: must have no path: the gateway has one of its own for this`,
    ],
    ['a test at localhost', { selfTest: 'http://localhost:9080' }, `${at}.selfTest: ${loopback}`],
    ['a test at 127.0.0.1', { selfTest: 'http://127.0.0.1:9080' }, `${at}.selfTest: ${loopback}`],
    [
      'a test at 127.9.9.9, also written otherwise',
      { selfTest: 'http://0x7f090909:9080' },
      `${at}.selfTest: ${loopback}`,
    ],
    ['a test at [::1]', { selfTest: 'http://[::1]:9080' }, `${at}.selfTest: ${loopback}`],
    ['other subjects', { subjects: 'some' }, `${at}.subjects: must be none or all`],
  ] as const) {
    it(`has no ${what}`, () => assert.deepEqual(problemsOf(mesh), problems))
  }
  it('is of no use where the gateway listens on the loopback interface alone, and that is said', () => {
    const useless = `${at}: listen is an address of the loopback interface, where nothing comes from the mesh: use 0.0.0.0`
    for (const listen of ['127.0.0.1:9080', 'localhost:9080', '[::1]:9080'])
      assert.deepEqual(problemsOf({}, listen), [useless])
    for (const listen of ['0.0.0.0:9080', '[::]:9080', '10.0.0.7:9080']) assert.deepEqual(problemsOf({}, listen), [])
  })
})
