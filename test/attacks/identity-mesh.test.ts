// What Linkerd says of callers counts where nobody can have forged it, is read to the letter, and gives rights only
// where the configuration and a rule say so.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { services } from '../../src/identity/identity.ts'
import type { Credentials, Identified, Identity, IdentitySource } from '../../src/identity/identity.ts'
import { maxMeshIdentity } from '../../src/identity/limits.ts'
import { meshSource, readWorkload } from '../../src/identity/sources/mesh.ts'
import { credentialsWith } from '../support/issuer.ts'
import { podAddress, startLinkerdProxy } from '../support/linkerd-proxy.ts'
import type { Behaviour, LinkerdProxy } from '../support/linkerd-proxy.ts'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'

const mesh = { trustDomain: 'cluster.local', controlPlaneNamespace: 'linkerd', selfTest: 'http://unused' } as const
const suffix = 'serviceaccount.identity.linkerd.cluster.local'
const metricsApi = `metrics-api.linkerd-viz.${suffix}`

describe('an identity of the mesh', () => {
  const reads = (value: string, expected: string | null): void =>
    assert.equal(readWorkload(value, mesh), expected, JSON.stringify(value))

  it('is a service account in its namespace', () => {
    reads(metricsApi, 'mesh/linkerd-viz/metrics-api')
    reads(`default.x.${suffix}`, 'mesh/x/default')
  })
  it('is read from its end, since the names of accounts may hold dots', () => {
    reads(`admin.linkerd-viz.evil.${suffix}`, 'mesh/evil/admin.linkerd-viz')
    reads(`metrics-api.linkerd-viz.${suffix}.evil.${suffix}`, `mesh/evil/metrics-api.linkerd-viz.${suffix}`)
  })
  it('of another trust domain is nobody, also of one that ends or begins like ours', () => {
    for (const domain of ['other.local', 'cluster.local.evil', 'evilcluster.local', 'cluster.localx', 'local', '']) {
      reads(`admin.x.serviceaccount.identity.linkerd.${domain}`, null)
    }
    reads('admin.x.serviceaccount.identity.linkerd.evil.cluster.local', null)
  })
  it('of another control plane is nobody', () => {
    for (const namespace of ['linkerd2', 'xlinkerd', 'evil', 'linkerd.evil', '']) {
      reads(`admin.x.serviceaccount.identity.${namespace}.cluster.local`, null)
    }
  })
  it('in another form is nobody', () => {
    for (const value of [
      ...['', '.', suffix, `.${suffix}`, `x.${suffix}`, `.x.${suffix}`, `admin..${suffix}`, `admin..x.${suffix}`],
      ...[`Admin.x.${suffix}`, `admin.X.${suffix}`, `admin.x.${suffix.toUpperCase()}`, `admin.x.${suffix}.`],
      ...[
        ` admin.x.${suffix}`,
        `admin.x.${suffix} `,
        `admin.x.${suffix}\t`,
        `admin.x.${suffix}\n`,
        `ad min.x.${suffix}`,
      ],
      ...[
        `-admin.x.${suffix}`,
        `admin-.x.${suffix}`,
        `admin.-x.${suffix}`,
        `admin_.x.${suffix}`,
        `admin/y.x.${suffix}`,
      ],
      ...[`ádmin.x.${suffix}`, `admin.x\0.${suffix}`, `%61dmin.x.${suffix}`, `*.x.${suffix}`, `admin.*.${suffix}`],
      ...[`${'a'.repeat(64)}.x.${suffix}`, `admin.${'a'.repeat(64)}.${suffix}`],
      'admin.x.serviceaccount.identity.linkerd-cluster.local',
      'admin.x.serviceaccountXidentity.linkerd.cluster.local',
    ]) {
      reads(value, null)
    }
  })
  it('that is a URI of SPIFFE is nobody', () => {
    for (const value of [
      'spiffe://cluster.local/ns/linkerd-viz/sa/metrics-api',
      `spiffe://${metricsApi}`,
      `spiffe://cluster.local/${metricsApi}`,
    ]) {
      reads(value, null)
    }
  })
  it('is at most as long as a name in DNS', () => {
    const namespace = 'x'
    const rest = maxMeshIdentity - `.${namespace}.${suffix}`.length
    const account = 'a.'
      .repeat(Math.ceil(rest / 2))
      .slice(0, rest)
      .replace(/\.$/, 'a')
    assert.equal(account.length, rest)
    reads(`${account}.${namespace}.${suffix}`, `mesh/${namespace}/${account}`)
    reads(`a${account}.${namespace}.${suffix}`, null)
  })
  it('and its reading say the same: no two identities are one workload', () => {
    const part = fc.stringMatching(/^[a-z0-9.-]{1,12}$/)
    let workloads = 0
    fc.assert(
      fc.property(part, part, fc.constantFrom(suffix, `evil.${suffix}`, suffix.slice(1)), (account, namespace, end) => {
        const value = `${account}.${namespace}.${end}`
        const read = readWorkload(value, mesh)
        if (read === null) return
        workloads += 1
        const [, readNamespace = '', readAccount = '', ...more] = read.split('/')
        assert.deepEqual(more, [])
        assert.doesNotMatch(readNamespace, /\./)
        assert.equal(`${readAccount}.${readNamespace}.${suffix}`, value)
      }),
      { numRuns: 500 },
    )
    assert.ok(workloads > 0)
  })
})

describe('the mesh as a source', () => {
  const alice: Identity = { issuer: 'https://id', subject: 'alice', name: 'alice', groups: ['team-a'], via: 'bearer' }
  const others = (said: Identified): IdentitySource[] => [{ name: 'bearer', identify: () => Promise.resolve(said) }]
  const nobody: Identified = { is: 'absent' }
  interface Setting {
    readonly said?: Identified
    readonly subjects?: 'none' | 'all'
    readonly proven?: boolean
    readonly localAddress?: string
  }
  const identify = (header: string | readonly string[] | undefined, setting: Setting = {}): Promise<Identified> => {
    const { said = nobody, subjects = 'all', proven = true, localAddress = podAddress } = setting
    const source = meshSource({ options: { ...mesh, subjects }, isProven: () => proven, others: others(said) })
    const credentials = credentialsWith(header === undefined ? {} : { 'l5d-client-id': header })
    return source.identify({ ...credentials, localAddress } satisfies Credentials)
  }
  const refusal = async (...given: Parameters<typeof identify>): Promise<string> => {
    const said: Identified = await identify(...given)
    return said.is === 'refused' ? said.refusal.code : said.is
  }
  const known: Identified = { is: 'known', identity: alice }

  it('knows a workload that sends nothing else, as a service and without a group', async () => {
    const name = 'mesh/linkerd-viz/metrics-api'
    const identity = { issuer: services, subject: name, name, groups: [], via: 'mesh' }
    assert.deepEqual(await identify(metricsApi), { is: 'known', identity })
  })
  it('does not where the configuration does not say so', async () => {
    assert.deepEqual(await identify(metricsApi, { subjects: 'none' }), nobody)
  })
  it('names the hop on whoever else was found, and changes nothing of them', async () => {
    const by = { is: 'known', identity: { ...alice, actor: 'mesh/linkerd-viz/metrics-api' } }
    for (const subjects of ['none', 'all'] as const) {
      assert.deepEqual(await identify(metricsApi, { said: known, subjects }), by)
    }
  })
  it('names both where a datasource’s secret has proven the hop as well', async () => {
    const said: Identified = { is: 'known', identity: { ...alice, actor: 'datasource/grafana' } }
    const both = { is: 'known', identity: { ...alice, actor: 'datasource/grafana mesh/monitoring/grafana' } }
    assert.deepEqual(await identify(`grafana.monitoring.${suffix}`, { said }), both)
  })
  it('does not stand in for a credential that was refused', async () => {
    const said: Identified = { is: 'refused', refusal: { code: 'invalid_token', message: 'expired' } }
    assert.deepEqual(await identify(metricsApi, { said }), said)
  })
  it('refuses two copies, and one that two were joined to, beside whatever else is sent', async () => {
    for (const header of [
      [metricsApi, metricsApi],
      ['', metricsApi],
      `${metricsApi}, evil.x.${suffix}`,
      `${metricsApi},`,
    ]) {
      const codes: readonly string[] = [await refusal(header), await refusal(header, { said: known })]
      assert.deepEqual(codes, ['malformed_credentials', 'malformed_credentials'])
    }
  })
  it('refuses somebody who is no service account of this mesh, where that is all there is', async () => {
    for (const header of ['', 'x', `admin.x.${suffix}.`, 'spiffe://cluster.local/ns/x/sa/admin', `Admin.x.${suffix}`]) {
      assert.equal(await refusal(header), 'invalid_token', header)
      assert.deepEqual(await identify(header, { subjects: 'none' }), nobody)
      assert.deepEqual(
        await identify(header, { said: known }),
        known,
        'their token is what counts, and no hop is named',
      )
    }
  })
  it('never counts a header that came in on the loopback interface, past the proxy', async () => {
    for (const localAddress of ['127.0.0.1', '127.0.0.2', '127.255.0.9', '::1', '::ffff:127.0.0.1', '']) {
      for (const header of [metricsApi, [metricsApi, metricsApi], 'x']) {
        assert.deepEqual(await identify(header, { localAddress }), nobody, localAddress)
        assert.deepEqual(await identify(header, { localAddress, said: known }), known, localAddress)
      }
    }
    for (const localAddress of ['10.0.0.7', '::ffff:10.0.0.7', 'fd00::7', '1127.0.0.1']) {
      assert.equal((await identify(metricsApi, { localAddress })).is, 'known', localAddress)
    }
  })
  it('counts nothing before the self-test has passed: the hop is not named, and nobody is somebody by it', async () => {
    for (const header of [metricsApi, [metricsApi, metricsApi], 'x']) {
      assert.equal(await refusal(header, { proven: false }), 'issuer_unavailable')
      assert.deepEqual(await identify(header, { proven: false, subjects: 'none' }), nobody)
      assert.deepEqual(await identify(header, { proven: false, said: known }), known)
    }
  })
  it('gives nobody more for leaving the header out than for sending it', async () => {
    const header = fc.oneof(fc.string(), fc.constantFrom(metricsApi, `x.y.${suffix}`), fc.array(fc.string()))
    const setting = fc.record({
      said: fc.constantFrom(nobody, known),
      subjects: fc.constantFrom('none' as const, 'all' as const),
      proven: fc.boolean(),
      localAddress: fc.constantFrom(podAddress, '127.0.0.1'),
    })
    await fc.assert(
      fc.asyncProperty(header, setting, async (sent, given) => {
        const without = await identify(undefined, given)
        assert.deepEqual(without, given.said)
        const said = await identify(sent, given)
        if (said.is !== 'known') return
        const { actor, ...identity } = said.identity
        if (given.said.is === 'known') return assert.deepEqual(identity, alice)
        assert.deepEqual([identity.issuer, identity.groups, actor], [services, [], undefined])
      }),
    )
  })
})

describe('a gateway in the mesh', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-mesh-'))
  const rules = join(scratch, 'mesh.csv')
  writeFileSync(rules, 'p, service:mesh/linkerd-viz/metrics-api, *, query, namespace=booksapp, allow\n')
  after(() => rmSync(scratch, { recursive: true, force: true }))

  let proxy: LinkerdProxy
  let gateway: StubGateway
  async function start(behaviour: Behaviour, subjects: 'none' | 'all' | 'off' = 'all'): Promise<void> {
    proxy = startLinkerdProxy(behaviour)
    const selfTest = await proxy.as(null)
    gateway = await startStubGateway(
      (_, response) =>
        void response.setHeader('content-type', 'application/json').end('{"status":"success","data":[]}'),
      (config) => ({
        ...config,
        mesh: subjects === 'off' ? null : { ...mesh, selfTest, subjects },
        policy: { ...config.policy, rules: [...config.policy.rules, rules] },
      }),
    )
    proxy.to(gateway.url)
  }
  afterEach(async () => {
    await gateway.stop()
    await proxy.stop()
  })

  const state = async (): Promise<unknown> => {
    const ready = await fetch(`${gateway.adminUrl}/-/ready`)
    return Reflect.get(Object(await ready.json()), 'mesh')
  }
  /** Waits until the self-test has said something. */
  async function tested(words: RegExp): Promise<void> {
    for (let round = 0; round < 500 && !words.test(JSON.stringify(await state())); round += 1) await sleep(20)
    assert.match(JSON.stringify(await state()), words)
  }
  const passed = /"proven":true/
  const ask = async (url: string, headers: Readonly<Record<string, string>> = {}) => {
    const response = await fetch(`${url}/api/v1/query?query=up`, { headers: { ...headers, connection: 'close' } })
    await response.arrayBuffer()
    return { status: response.status, scope: response.headers.get('bailiwick-scope') }
  }
  const decision = async (): Promise<Record<string, unknown>> =>
    Object((await gateway.records()).findLast(({ kind }) => kind === 'decision'))
  const forged = { 'l5d-client-id': metricsApi }
  const evil = `metrics-api.linkerd-viz.evil.${suffix}`

  it('lets a workload see what a rule gives it, and records it as a service', async () => {
    await start('server')
    await tested(passed)
    assert.deepEqual(await ask(await proxy.as(metricsApi)), { status: 200, scope: 'namespace: booksapp' })
    const { who, claimed } = await decision()
    const name = 'mesh/linkerd-viz/metrics-api'
    assert.deepEqual(who, { issuer: services, subject: name, name, groups: [], via: 'mesh' })
    assert.deepEqual(claimed, forged)
  })
  it('takes nobody’s word for who they are: strangers stay strangers, and others themselves', async () => {
    await start('server')
    await tested(passed)
    const reached = gateway.reached.length
    assert.equal((await ask(await proxy.as(null), forged)).status, 401)
    assert.equal((await ask(await proxy.as(evil), forged)).status, 403)
    assert.equal(Object((await decision())['who']).subject, 'mesh/evil/metrics-api.linkerd-viz')
    // `kubectl port-forward`, or another container of the pod.
    assert.equal((await ask(gateway.url, forged)).status, 401)
    const { who, claimed } = await decision()
    assert.deepEqual([who, claimed], [null, forged])
    assert.equal(gateway.reached.length, reached)
  })
  it('names the hop of a person, who sees what they see without it', async () => {
    await start('server', 'none')
    await tested(passed)
    const authorization = `Bearer ${await gateway.token()}`
    const url = await proxy.as(`grafana.monitoring.${suffix}`)
    assert.deepEqual(await ask(url, { ...forged, authorization }), { status: 200, scope: 'namespace: emojivoto' })
    const { who } = await decision()
    assert.equal(Object(who).actor, 'mesh/monitoring/grafana')
    assert.equal(Object(who).subject, 'alice')
    assert.equal((await ask(url)).status, 401)
  })
  it('never counts the mesh while what is forged comes through, and says why where readiness is asked', async () => {
    for (const [behaviour, why] of [
      ['past', /"proven":false.*did not pass the proxy/],
      ['detect', /"proven":false.*proxyProtocol HTTP\/1/],
    ] as const) {
      await start(behaviour)
      await tested(why)
      const url = await proxy.as(metricsApi)
      assert.equal((await ask(url, forged)).status, 503)
      assert.equal((await fetch(`${gateway.adminUrl}/-/ready`)).status, 200, 'tokens count all the same')
      assert.equal((await ask(url, { ...forged, authorization: `Bearer ${await gateway.token()}` })).status, 200)
      assert.equal(Object((await decision())['who']).actor, undefined)
      assert.deepEqual(
        gateway.reached.map(({ headers }) => headers['l5d-client-id']),
        [undefined],
      )
      if (behaviour === 'past') {
        await gateway.stop()
        await proxy.stop()
      }
    }
  })
  it('is not fooled by a request whose first bytes come alone', async () => {
    for (const [behaviour, expected] of [
      // The proxy sends it on as it is, so that the mesh is off; or it looks at it, or refuses it.
      ['detect', ['503', '503']],
      ['server', ['401', '']],
    ] as const) {
      await start(behaviour)
      await tested(behaviour === 'detect' ? /proxyProtocol/ : passed)
      for (const [index, identity] of [null, evil].entries()) {
        assert.equal(await askSlowly(await proxy.as(identity)), expected[index], `${behaviour} ${identity}`)
      }
      assert.equal(gateway.reached.length, 0)
      if (behaviour === 'detect') {
        await gateway.stop()
        await proxy.stop()
      }
    }
  })
  it('keeps its requests to itself out of the record and away from Prometheus', async () => {
    await start('server')
    await tested(passed)
    assert.deepEqual(
      (await gateway.records()).filter(({ kind }) => kind === 'decision'),
      [],
    )
    assert.equal(gateway.reached.length, 0)
  })
  it('does not tell others’ requests to that path from requests to any other: unknown, and recorded', async () => {
    await start('server')
    await tested(passed)
    const headers = { 'bailiwick-self-test': 'x'.repeat(43), ...forged }
    const [self, other] = await Promise.all(
      ['mesh-self-test', 'mesh-other-test'].map((path) => fetch(`${gateway.url}/-/${path}`, { headers })),
    )
    const said = async (response: Response | undefined): Promise<string | undefined> =>
      (await response?.text())?.replace(/request [\da-f-]{36}/, 'request')
    assert.equal(self?.status, 404)
    assert.equal(await said(self), await said(other))
    const paths = (await gateway.records()).map((record) => record['path'])
    assert.ok(paths.includes('/-/mesh-self-test'))
  })
  it('that is not told of it writes the header down as claimed, and knows nobody by it', async () => {
    await start('server', 'off')
    assert.equal(await state(), undefined)
    assert.equal((await ask(await proxy.as(metricsApi))).status, 401)
    const { who, claimed } = await decision()
    assert.deepEqual([who, claimed], [null, forged])
  })

  /** The status of a forged request whose beginning comes by itself; empty where there is no answer. */
  async function askSlowly(url: string): Promise<string> {
    const { hostname, port } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port), noDelay: true })
    let answer = ''
    socket.on('error', () => {})
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text))
    socket.write('GET /')
    await sleep(100)
    socket.write(
      `api/v1/query?query=up HTTP/1.1\r\nhost: x\r\nconnection: close\r\nl5d-client-id: ${metricsApi}\r\n\r\n`,
    )
    if (!socket.closed) await once(socket, 'close')
    return /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? ''
  }
})
