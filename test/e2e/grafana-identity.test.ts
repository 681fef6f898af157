// Through Grafana each person sees their own, an alert rule what its datasource was granted, and the record tells them
// apart. Prometheus and the provider are real; of Grafana there is what it sends, and the keys that it signs with.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { pino } from 'pino'
import { parse, stringify } from 'yaml'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { startIdp } from '../../demo/parts/idp.ts'
import type { RunningIdp } from '../../demo/parts/idp.ts'
import { people } from '../../demo/parts/people.ts'
import { startApp } from '../../src/app.ts'
import type { App } from '../../src/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import { openDatasource } from '../support/grafana.ts'
import type { Datasource } from '../support/grafana.ts'
import { startStubGrafana } from '../support/stub-grafana.ts'
import type { StubGrafana } from '../support/stub-grafana.ts'
import { audience, readRecords, startHistory, window } from '../support/world.ts'
import type { AuditLine, Database } from '../support/world.ts'

type Headers = Readonly<Record<string, string>>

const prod = { 'bailiwick-datasource': 'the-secret-of-grafana-prod-1' }
const alerting = { 'bailiwick-datasource': 'the-secret-of-grafana-alerts' }
/** What Grafana's alert engine adds. */
const byRule = {
  fromalert: 'true',
  'x-rule-uid': 'cdk3abc',
  'x-rule-name': 'High%20latency',
  'x-rule-type': 'alerting',
}
const range = { from: window.nightlyAt, to: window.nightlyAt + 600 }
const namespaces = { expr: 'count by (namespace) (request_total)', ...range }

describe('through Grafana', () => {
  let database: Database
  let idp: RunningIdp
  let grafana: StubGrafana
  let scratch: string
  let auditDir: string
  let app: App

  /** Starts the gateway with the rules of the repository and these. */
  async function start(...rules: readonly string[]): Promise<App> {
    const policies = new URL('../../policies/policy.csv', import.meta.url)
    await writeFile(join(scratch, 'policy.csv'), `${await readFile(policies, 'utf8')}\n${rules.join('\n')}\n`)
    const clusters = { east: database.prometheus.url, west: database.prometheus.url }
    const { issuer } = idp
    const written = parse(
      gatewayConfig({ port: 0, adminPort: 0, clusters, issuer, audience, auditDir, notices: false }),
    )
    const [idpSettings] = written.identity.issuers
    const datasources = [
      { name: 'grafana-prod', secret: prod['bailiwick-datasource'] },
      { name: 'grafana-alerting', secret: alerting['bailiwick-datasource'] },
    ]
    const grafanaId = { issuer: grafana.issuer, audience: ['org:1'] }
    const settings = {
      ...written,
      identity: {
        issuers: [{ ...idpSettings, clientIds: ['script'] }],
        datasources: datasources.map((one) => ({ ...one, grafanaId })),
      },
      policy: { ...written.policy, rules: ['policy.csv'] },
    }
    const file = join(scratch, 'bailiwick.yaml')
    await writeFile(file, stringify(settings))
    const config = loadConfig(file)
    assert.ok(config.ok, JSON.stringify(config))
    const started = await startApp(config.value, pino({ level: 'silent' }))
    assert.ok(started.ok)
    return started.value
  }
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-grafana-'))
    auditDir = join(scratch, 'audit')
    database = await startHistory()
    idp = await startIdp({ people, audience })
    grafana = await startStubGrafana()
    app = await start(`p, user:${grafana.issuer}#user:u-bob, *, query|metadata, namespace=booksapp, allow`)
  })
  after(async () => {
    await app.stop()
    await grafana.stop()
    await idp.stop()
    await database.stop()
    await rm(scratch, { recursive: true, force: true })
  })

  const as = (headers: Headers, path = ''): Datasource => openDatasource({ url: `${app.url}${path}`, headers })
  async function seen(datasource: Datasource): Promise<readonly unknown[]> {
    const { error, series } = await datasource.panel(namespaces)
    assert.equal(error, null)
    return series.map(({ labels }) => labels['namespace'])
  }
  /** The record of a datasource's newest request. */
  async function recordOf({ exchanges }: Datasource): Promise<AuditLine> {
    const id = exchanges.at(-1)?.headers['bailiwick-request']
    const found = (await readRecords(auditDir)).find(({ kind, request }) => kind === 'decision' && request === id)
    assert.ok(found !== undefined, `no record of ${String(id)}`)
    return found
  }

  describe('a person who signed in through the provider', () => {
    it('sees their own, by the ID token that Grafana forwards, in either order of the headers', async () => {
      const token = await idp.idToken('alice')
      const id = { ...prod, 'x-id-token': token }
      for (const authorization of [
        `Bearer ${await idp.token('alice')}`,
        `Bearer ${await idp.token('alice', { audience: 'https://account.test' })}`,
        `Basic ${Buffer.from('grafana:password').toString('base64')}`,
      ]) {
        assert.deepEqual(await seen(as({ ...id, authorization })), ['emojivoto'])
      }
      const grafanaId = await grafana.sign({ sub: 'user:u-alice' })
      const datasource = as({ ...id, 'x-grafana-id': grafanaId })
      assert.deepEqual(await seen(datasource), ['emojivoto'])
      const record = await recordOf(datasource)
      const { credential: _hash, expires: _end, ...who } = Object(record['who'])
      assert.deepEqual(who, {
        ...{ issuer: idp.issuer, subject: 'alice', name: 'alice@example.com', groups: ['team-emojivoto'] },
        ...{ via: 'id-token', actor: 'datasource/grafana-prod' },
      })
      assert.deepEqual(record['claimed'], { 'x-id-token': '(not recorded)', 'x-grafana-id': '(not recorded)' })
    })
    it('has green light, editors and variables', async () => {
      const datasource = as({ ...prod, 'x-id-token': await idp.idToken('alice') })
      assert.equal((await datasource.saveAndTest()).green, true)
      assert.deepEqual(await datasource.variable('label_values(request_total, namespace)', range), ['emojivoto'])
      assert.ok((await datasource.startEditor(range)).metrics.includes('request_total'))
    })
    it('is nobody without the secret, and somebody with their own access token', async () => {
      const id = { 'x-id-token': await idp.idToken('alice') }
      assert.match((await as(id).panel(namespaces)).error ?? '', /401.*no credentials/)
      assert.deepEqual(await seen(as({ ...id, authorization: `Bearer ${await idp.token('bob')}` })), ['booksapp'])
    })
    it('is refused where the datasource’s own credential is somebody else', async () => {
      const headers = { 'x-id-token': await idp.idToken('alice'), authorization: `Bearer ${await idp.token('carol')}` }
      const { error } = await as({ ...prod, ...headers }).panel(namespaces)
      assert.match(error ?? '', /two different people: remove the datasource's own Authorization/)
    })
  })

  it('a person who signed in otherwise sees what a rule gives to their Grafana account', async () => {
    const bob = { sub: 'user:u-bob', email: 'bob@example.com' }
    const datasource = as({ ...prod, 'x-grafana-id': await grafana.sign(bob) })
    assert.deepEqual(await seen(datasource), ['booksapp'])
    const { subject, name, via, actor } = Object((await recordOf(datasource))['who'])
    assert.deepEqual(
      [subject, name, via, actor],
      ['user:u-bob', 'bob@example.com', 'grafana-id', 'datasource/grafana-prod'],
    )
    const other = as({ ...prod, 'x-grafana-id': await grafana.sign({ sub: 'service-account:u-bob', type: undefined }) })
    assert.match((await other.panel(namespaces)).error ?? '', /403.*no right/)
  })

  describe('an alert rule', () => {
    it('sees nothing as long as its datasource is granted nothing; its sums without series are calculated', async () => {
      for (const hop of [prod, alerting]) {
        const datasource = as(hop)
        assert.match((await datasource.panel(namespaces, byRule)).error ?? '', /403.*datasource\/grafana-.*no right/)
        assert.deepEqual((await recordOf(datasource))['claimed'], byRule)
        assert.equal((await datasource.saveAndTest()).green, true)
      }
    })
    describe('whose datasource is granted something', () => {
      before(async () => {
        await app.stop()
        app = await start('p, service:datasource/grafana-alerting, east, query, namespace=emojivoto, allow')
      })
      it('sees exactly that', async () => {
        const datasource = as(alerting)
        assert.deepEqual(await seen(datasource), ['emojivoto'])
        const { who, scope, because } = await recordOf(datasource)
        assert.deepEqual(who, {
          ...{ issuer: 'service', subject: 'datasource/grafana-alerting', name: 'datasource/grafana-alerting' },
          ...{ groups: [], via: 'datasource' },
        })
        assert.equal(scope, 'namespace: emojivoto')
        assert.match(String(because), /^policy\.csv:\d+$/)
        const named = { ...namespaces, expr: 'request_total{namespace="booksapp"}' }
        assert.match((await datasource.panel(named, byRule)).error ?? '', /403.*booksapp/)
      })
      it('sees nothing on another cluster, by another action, or through another datasource', async () => {
        assert.match((await as(alerting, '/clusters/west').panel(namespaces)).error ?? '', /403/)
        assert.equal((await as(alerting).resource('/federate', [['match[]', 'up']])).status, 403)
        assert.match((await as(prod).panel(namespaces, byRule)).error ?? '', /403/)
      })
      it('lends its rights to no person who comes the same way', async () => {
        const dana = as({ ...alerting, 'x-id-token': await idp.idToken('dana') })
        assert.match((await dana.panel(namespaces, byRule)).error ?? '', /403.*dana@example\.com/)
        const local = as({ ...alerting, 'x-grafana-id': await grafana.sign() })
        assert.match((await local.panel(namespaces, byRule)).error ?? '', /403.*local@example\.com/)
      })
    })
  })

  it("the state of Grafana's keys is told, and does not make the gateway unready", async () => {
    const response = await fetch(`${app.adminUrl}/-/ready`)
    assert.equal(response.status, 200)
    const { issuers } = Object(await response.json())
    const [first, ...grafanas] = Object(issuers)
    assert.equal(first.issuer, idp.issuer)
    assert.deepEqual(
      grafanas.map(({ issuer }: { issuer: string }) => issuer),
      [grafana.issuer, grafana.issuer],
    )
    grafana.keys = () => ({ status: 200, body: '{"keys":null}' })
    await app.stop()
    app = await start()
    // The question that finds the keys missing.
    const { error } = await as({ ...prod, 'x-grafana-id': await grafana.sign() }).panel(namespaces)
    assert.match(error ?? '', /^unavailable: the keys of .* cannot be had just now/)
    const alice = as({ ...prod, 'x-id-token': await idp.idToken('alice') })
    assert.deepEqual(await seen(alice), ['emojivoto'])
    const after = await fetch(`${app.adminUrl}/-/ready`)
    assert.equal(after.status, 200)
    assert.match(await after.text(), /Grafana Cloud answers/)
  })
})
