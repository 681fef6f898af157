// What docs/kubernetes.md and docs/mesh.md tell people to write does what they say.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, it } from 'node:test'
import { parse, stringify } from 'yaml'
import { loadConfig } from '../../../src/config/config.ts'
import type { Config } from '../../../src/config/config.ts'
import { services } from '../../../src/identity/identity.ts'
import { openTokenVerifier } from '../../../src/identity/token.ts'
import { openIssuer } from '../../../src/identity/issuer.ts'
import { readPolicy } from '../../../src/policy/files.ts'
import type { Policy } from '../../../src/policy/policy.ts'
import { describeScope } from '../../../src/policy/scope.ts'
import { makeAuthority } from '../../support/certificates.ts'
import { nightly, startStubCluster } from '../../support/kubernetes.ts'

const root = resolve(import.meta.dirname, '../../..')
const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-identity-docs-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const pageOf = (name: string): string => readFileSync(join(root, 'docs', name), 'utf8')
/** The blocks of code of a language, wherever they are indented to. */
const blocks = (page: string, language: string): readonly string[] =>
  [...page.matchAll(/^( *)```(\w+)\n([^]*?)^ *```$/gm)]
    .filter(([, , found]) => found === language)
    .map(([, indent = '', , text = '']) => text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''))

/** The file that a page's first block is a part of. */
function load(identity: unknown): Config {
  const file = join(scratch, 'bailiwick.yaml')
  const issuers = [{ issuer: 'https://id.example.org', audience: ['bailiwick'] }]
  const settings = {
    listen: '0.0.0.0:9080',
    clusters: [{ name: 'east', prometheus: { url: 'http://prometheus' } }],
    identity: { issuers, ...Object(identity) },
    policy: { model: join(root, 'policies/model.conf'), rules: ['policy.csv'] },
    audit: { directory: 'audit' },
  }
  writeFileSync(file, stringify(settings))
  const config = loadConfig(file, {})
  assert.ok(config.ok, JSON.stringify(config))
  return config.value
}
async function policyOf(config: Config, csv: string): Promise<Policy> {
  writeFileSync(join(scratch, 'policy.csv'), csv)
  const policy = await readPolicy(config.policy, Date.now)
  assert.ok(policy.ok, JSON.stringify(policy))
  return policy.value
}

describe('docs/kubernetes.md', () => {
  const page = pageOf('kubernetes.md')
  const [settings = '', manifest = ''] = blocks(page, 'yaml')
  const [rules = ''] = blocks(page, 'csv')
  // The files are not on this machine.
  const { identity } = parse(
    settings.replaceAll(/(ca|bearerToken)_file: .*\/(.*)/g, (_, key: string, name: string) => `${key}_file: ${name}`),
  )
  writeFileSync(join(scratch, 'ca.crt'), makeAuthority().cert)
  writeFileSync(join(scratch, 'token'), 'own-token')
  const config = load(identity)
  const [issuer] = config.issuers

  it('shows settings that load, with both files followed', () => {
    assert.equal(issuer?.keys?.bearerToken, 'own-token')
    assert.deepEqual(Object.keys(issuer.keys.files ?? {}), ['ca', 'bearerToken'])
    assert.deepEqual(Object.keys(issuer.tokenReview?.files ?? {}), ['ca', 'bearerToken'])
    assert.match(settings, /_file: \/run\/secrets\/kubernetes\//, 'where the chart mounts them')
  })
  it('shows a CronJob that gets a token for this gateway, renewed, and for nothing else', () => {
    const { kind, spec, metadata } = parse(manifest)
    const pod = spec.jobTemplate.spec.template.spec
    const [volume] = pod.volumes
    const [{ serviceAccountToken }] = volume.projected.sources
    const [{ command, volumeMounts }] = pod.containers
    assert.equal(kind, 'CronJob')
    assert.deepEqual([serviceAccountToken.audience], issuer?.audience)
    assert.ok(serviceAccountToken.expirationSeconds >= 600, 'the least that Kubernetes allows')
    assert.equal(pod.automountServiceAccountToken, false)
    assert.deepEqual(
      volumeMounts.map(({ name }: { name: string }) => name),
      [volume.name],
    )
    assert.ok(String(command[2]).includes(`$(cat ${volumeMounts[0].mountPath}/${serviceAccountToken.path})`))
    assert.equal(`system:serviceaccount:${metadata.namespace}:${pod.serviceAccountName}`, nightly)
  })
  it('shows rules that give its service account and a namespace what they say', async () => {
    const policy = await policyOf(config, rules)
    const cluster = await startStubCluster()
    const keys = openIssuer(cluster.options({ groupPrefix: issuer?.groupPrefix ?? '' }), Date.now)
    const verifier = openTokenVerifier({ issuers: [keys], clock: Date.now })
    const scopeOf = async (sub: string): Promise<string> => {
      const said = await verifier.verify(await cluster.sign({ sub }), { use: 'access-token', via: 'bearer' })
      assert.equal(said.is, 'known', JSON.stringify(said))
      return describeScope(policy.decide(said.identity, 'east', 'query').scope)
    }
    try {
      assert.equal(cluster.issuer, issuer?.issuer)
      assert.equal(await scopeOf(nightly), 'namespace: emojivoto')
      assert.equal(await scopeOf('system:serviceaccount:booksapp:any'), 'namespace: booksapp')
      assert.equal(await scopeOf('system:serviceaccount:emojivoto:other'), 'nothing')
    } finally {
      keys.stop()
      await cluster.stop()
    }
  })
})

describe('docs/mesh.md', () => {
  const page = pageOf('mesh.md')
  const [settings = '', values = ''] = blocks(page, 'yaml')
  const [rules = ''] = blocks(page, 'csv')
  const chart = parse(readFileSync(join(root, 'helm/bailiwick/values.yaml'), 'utf8'))

  it('shows settings that load, with the defaults that it names', () => {
    const { mesh } = load(parse(settings).identity)
    const { trustDomain, selfTest } = parse(settings).identity.mesh
    assert.deepEqual(mesh, load({ mesh: { trustDomain, selfTest } }).mesh)
    assert.equal(new URL(selfTest).port, String(chart.linkerd.selfTest.port))
  })
  it('shows values that the chart has', () => {
    const { linkerd } = parse(values)
    for (const [name, value] of Object.entries(linkerd)) {
      assert.ok(Object.hasOwn(chart.linkerd, name), name)
      if (typeof value !== 'object' || value === null) continue
      for (const inner of Object.keys(value)) assert.ok(Object.hasOwn(chart.linkerd[name], inner), `${name}.${inner}`)
    }
  })
  it('shows a rule that gives a workload what it says', async () => {
    const policy = await policyOf(load({}), rules)
    const subject = 'mesh/linkerd-viz/metrics-api'
    const identity = { issuer: services, subject, name: subject, groups: [], via: 'mesh' } as const
    assert.equal(policy.decide(identity, 'east', 'query').because.length, 1)
    assert.equal(policy.decide({ ...identity, subject: 'mesh/x/metrics-api' }, 'east', 'query').because.length, 0)
  })
})
