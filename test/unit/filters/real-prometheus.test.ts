// What a real Prometheus says about rules, alerts, targets and metadata, as alice and as carol see it. Prometheus 3 too,
// where PROMETHEUS_3 names its program.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parse, stringify } from 'yaml'
import { startLiveTargets } from '../../../demo/parts/live-targets.ts'
import type { LiveTargets } from '../../../demo/parts/live-targets.ts'
import { loopback } from '../../../demo/parts/loopback.ts'
import { findPrometheus } from '../../../demo/parts/prometheus-binary.ts'
import { startPrometheus } from '../../../demo/parts/prometheus.ts'
import type { RunningPrometheus } from '../../../demo/parts/prometheus.ts'
import type { Scope } from '../../../src/policy/scope.ts'
import { filterAlerts } from '../../../src/prometheus/filters/alerts.ts'
import { filterMetadata } from '../../../src/prometheus/filters/metadata.ts'
import { filterRules } from '../../../src/prometheus/filters/rules.ts'
import type { Filtered, UnknownAnswer } from '../../../src/prometheus/filters/shape.ts'
import { filterTargets } from '../../../src/prometheus/filters/targets.ts'
import { scopeSelector } from '../../../src/promql/rewrite.ts'
import type { Result } from '../../../src/result.ts'

const alice: Scope = { kind: 'labels', alternatives: [{ label: 'namespace', allow: ['emojivoto'], deny: [] }] }
const carol: Scope = { kind: 'everything' }
const othersName = /payments|booksapp|linkerd-viz|backup/

const alert = (name: string, expr: string, labels = {}) => ({ alert: name, expr, labels, annotations: { about: expr } })
const twice = (namespace: string) => `up{namespace="${namespace}"} * on () up{namespace="${namespace}"}`
const rules = {
  groups: [
    {
      name: 'emojivoto',
      rules: [
        alert('MineIsUp', 'up{namespace="emojivoto", deployment="web"} == 1'),
        alert('MineInAll', 'sum(up{namespace="emojivoto"}) > 0'),
        { record: 'mine:up', expr: 'sum by (pod) (up{namespace=~"emojivoto"})' },
        { record: 'mine:broken', expr: twice('emojivoto') },
      ],
    },
    {
      name: 'mixed',
      rules: [
        alert('MineUnlabelled', 'vector(1)', { namespace: 'emojivoto' }),
        alert('OfPayments', 'up{namespace="payments"} == 1', { severity: 'page' }),
        alert('OfPaymentsToo', 'up{namespace="emojivoto"} == 1', { namespace: 'payments' }),
        alert('OfNobody', 'vector(1)', { team: 'payments' }),
      ],
    },
    {
      name: 'payments',
      rules: [
        alert('OfSome', 'up{namespace=~"emojivoto|payments"} == 1'),
        alert('OfAll', 'up == 1', { owner: 'payments' }),
        { record: 'payments:broken', expr: twice('payments') },
      ],
    },
  ],
}

/** Beside the mesh: a target of each team that cannot be scraped, and one that relabelling drops. */
const broken = ['emojivoto', 'payments'].map((namespace) => ({
  targets: [`${loopback}:9`],
  labels: {
    namespace,
    pod: 'broken',
    __meta_node: `a node of ${namespace} and payments`,
    __metrics_path__: `/${namespace}`,
  },
}))
const drop = [{ action: 'drop', source_labels: ['__meta_drop'], regex: 'yes' }]
const dropped = [{ targets: [`${loopback}:9`], labels: { namespace: 'emojivoto', __meta_drop: 'yes', of: 'payments' } }]

async function configOf(targets: LiveTargets, dir: string): Promise<string> {
  const { scrape_configs: mesh }: { scrape_configs: readonly object[] } = parse(targets.scrapeConfig)
  await writeFile(join(dir, 'rules.yml'), stringify(rules))
  return stringify({
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [join(dir, 'rules.yml')],
    scrape_configs: [...mesh, { job_name: 'broken', static_configs: [...broken, ...dropped], relabel_configs: drop }],
  })
}

/** What is found at a path of names in parsed JSON. */
const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce((one: unknown, name) => Reflect.get(Object(one), name), value)
const listAt = (value: unknown, ...path: readonly string[]): readonly unknown[] => {
  const list = at(value, ...path)
  assert.ok(Array.isArray(list), `${path.join('.')} is no list`)
  return list
}
const rulesIn = (answer: unknown): readonly unknown[] =>
  listAt(answer, 'data', 'groups').flatMap((group) => listAt(group, 'rules'))
const namesOf = (items: readonly unknown[], ...path: readonly string[]): readonly string[] =>
  items.map((item) => String(at(item, ...path)))

function shown(result: Result<Filtered, UnknownAnswer>): unknown {
  assert.ok(result.ok, result.ok ? '' : result.error.message)
  return result.value.answer
}

const program3 = process.env['PROMETHEUS_3']
const programs = [
  { version: '2', program: async () => (await findPrometheus({ cacheDir, tell: () => {} })).prometheus, skip: false },
  { version: '3', program: async () => program3 ?? '', skip: program3 === undefined },
]
const cacheDir = fileURLToPath(new URL('../../../.cache', import.meta.url))

for (const { version, program, skip } of programs) {
  describe(`the answers of Prometheus ${version}`, { skip }, () => {
    let dir: string
    let targets: LiveTargets
    let prometheus: RunningPrometheus
    const ask = async (path: string): Promise<unknown> => {
      const response = await fetch(prometheus.url + path)
      assert.equal(response.status, 200, path)
      return response.json()
    }

    before(async () => {
      dir = await mkdtemp(join(tmpdir(), 'bailiwick-filters-'))
      targets = await startLiveTargets()
      const config = await configOf(targets, dir)
      prometheus = await startPrometheus({
        binary: await program(),
        dataDir: join(dir, 'data'),
        config,
        tell: () => {},
      })
      for (let tries = 0; tries < 300 && !(await isSettled(ask)); tries++) await sleep(200)
    })
    after(async () => {
      await prometheus?.stop()
      await targets?.stop()
      await rm(dir, { recursive: true, force: true })
    })

    it('hold what this test is about: alerts that fire, errors, targets of others', async () => {
      const given = JSON.stringify([
        await ask('/api/v1/rules'),
        await ask('/api/v1/alerts'),
        await ask('/api/v1/targets'),
      ])
      for (const word of [
        'OfSome',
        'OfPaymentsToo',
        'multiple matches|duplicate series',
        '"firing"',
        'and payments"',
        '"of":"payments"',
      ]) {
        assert.ok(new RegExp(word).test(given), `no ${word}`)
      }
    })

    it('show alice the rules that keep to her namespace, with their errors and her alerts', async () => {
      const answer = shown(filterRules(await ask('/api/v1/rules'), alice))
      assert.doesNotMatch(JSON.stringify(answer), othersName)
      const own = ['MineIsUp', 'MineInAll', 'mine:up', 'mine:broken', 'MineUnlabelled']
      assert.deepEqual(namesOf(rulesIn(answer), 'name').toSorted(), own.toSorted())
      assert.deepEqual(namesOf(listAt(answer, 'data', 'groups'), 'name'), ['emojivoto', 'mixed'])
      const [isUp, inAll] = rulesIn(answer)
      assert.deepEqual(namesOf(listAt(isUp, 'alerts'), 'labels', 'namespace'), ['emojivoto'])
      assert.deepEqual([at(inAll, 'state'), at(inAll, 'alerts')], ['firing', []])
      const bad = rulesIn(answer).find((rule) => at(rule, 'name') === 'mine:broken')
      assert.match(String(at(bad, 'lastError')), /namespace="emojivoto"/)
    })

    it('show alice the same rules when she asks for kinds of rules, or page by page', async () => {
      const records = shown(filterRules(await ask('/api/v1/rules?type=record'), alice))
      assert.deepEqual(namesOf(rulesIn(records), 'name'), ['mine:up', 'mine:broken'])
      const plain = shown(filterRules(await ask('/api/v1/rules?type=alert&exclude_alerts=true'), alice))
      assert.deepEqual(namesOf(rulesIn(plain), 'name'), ['MineIsUp', 'MineInAll', 'MineUnlabelled'])
      const names: string[] = []
      let from: string | null = null
      do {
        // Prometheus is asked for all groups: the pages are cut here.
        const page = shown(filterRules(await ask('/api/v1/rules'), alice, { groups: 1, from }))
        names.push(...namesOf(rulesIn(page), 'name'))
        const token = at(page, 'data', 'groupNextToken')
        from = typeof token === 'string' ? token : null
      } while (from !== null)
      assert.deepEqual(names, ['MineIsUp', 'MineInAll', 'mine:up', 'mine:broken', 'MineUnlabelled'])
    })

    it('show alice the alerts of her namespace, whoever wrote the rule', async () => {
      const answer = shown(filterAlerts(await ask('/api/v1/alerts'), alice))
      const alerts = listAt(answer, 'data', 'alerts')
      assert.deepEqual(new Set(namesOf(alerts, 'labels', 'namespace')), new Set(['emojivoto']))
      const names = new Set(namesOf(alerts, 'labels', 'alertname'))
      assert.deepEqual([...names].toSorted(), ['MineIsUp', 'MineUnlabelled', 'OfAll', 'OfSome'])
    })

    it('show alice her targets, also one that fails, but not what discovery knew', async () => {
      const answer = shown(filterTargets(await ask('/api/v1/targets'), alice))
      assert.doesNotMatch(JSON.stringify(answer), othersName)
      const active = listAt(answer, 'data', 'activeTargets')
      assert.deepEqual(new Set(namesOf(active, 'labels', 'namespace')), new Set(['emojivoto']))
      assert.equal(active.length, 5)
      const failing = active.find((target) => at(target, 'labels', 'pod') === 'broken')
      assert.match(String(at(failing, 'lastError')), /connection refused/)
      assert.ok(active.every((target) => Object.keys(Object(at(target, 'discoveredLabels'))).length === 0))
      assert.deepEqual(listAt(answer, 'data', 'droppedTargets'), [])
    })

    it('show alice the metadata of metrics that she can see', async () => {
      const match = scopeSelector(alice).map((selector): [string, string] => ['match[]', selector])
      const names = await ask(`/api/v1/label/__name__/values?${new URLSearchParams(match).toString()}`)
      const visible = new Set(listAt(names, 'data').map(String))
      const given = await ask('/api/v1/metadata')
      const families = Object.keys(Object(at(shown(filterMetadata(given, visible)), 'data')))
      for (const own of [
        'request_total',
        'response_latency_ms',
        'process_start_time_seconds',
        'endpoints_subscribers',
      ]) {
        assert.ok(families.includes(own), own)
      }
      const controllers = ['go_goroutines', 'http_server_requests_total']
      assert.ok(controllers.every((name) => Object.hasOwn(Object(at(given, 'data')), name)))
      assert.ok(!controllers.some((name) => families.includes(name)))
    })

    it('stay as they are for carol', async () => {
      for (const [path, filter] of [
        ['/api/v1/rules', filterRules],
        ['/api/v1/alerts', filterAlerts],
        ['/api/v1/targets', filterTargets],
      ] as const) {
        const given = await ask(path)
        assert.deepEqual(filter(given, carol), { ok: true, value: { answer: structuredClone(given), removed: 0 } })
      }
    })
  })
}

/** Was every target scraped and every rule evaluated since, and do the alerts of emojivoto fire? */
async function isSettled(ask: (path: string) => Promise<unknown>): Promise<boolean> {
  const health = namesOf(listAt(await ask('/api/v1/targets'), 'data', 'activeTargets'), 'health')
  const rules = rulesIn(await ask('/api/v1/rules'))
  const broken = rules.filter((rule) => String(at(rule, 'name')).endsWith(':broken'))
  const alerts = listAt(await ask('/api/v1/alerts'), 'data', 'alerts')
  const own = alerts.filter((alert) => at(alert, 'labels', 'namespace') === 'emojivoto')
  return (
    !health.includes('unknown') &&
    broken.every((rule) => at(rule, 'health') === 'err') &&
    rules.every((rule) => at(rule, 'type') === 'recording' || at(rule, 'state') === 'firing') &&
    new Set(namesOf(own, 'labels', 'alertname')).size === 4
  )
}
