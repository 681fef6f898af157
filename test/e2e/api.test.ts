// The rest of Prometheus's API: what names other teams is taken apart, what runs Prometheus takes a right of its own.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startPrometheus } from '../../demo/parts/prometheus.ts'
import { endpoints } from '../../src/prometheus/endpoints.ts'
import type { Endpoint } from '../../src/prometheus/endpoints.ts'
import { dataOf, send } from '../support/prometheus-answers.ts'
import type { ApiRequest } from '../support/prometheus-answers.ts'
import { startWorld } from '../support/world.ts'
import type { World } from '../support/world.ts'

const rules = `groups:
  - name: emojivoto
    rules:
      - { record: 'emojivoto:requests:rate1m', expr: 'sum(rate(request_total{namespace="emojivoto"}[1m]))', labels: { namespace: emojivoto } }
      - { alert: EmojivotoUp, expr: 'up{namespace="emojivoto"} > 0' }
  - name: booksapp
    rules:
      - { alert: BooksappUp, expr: 'up{namespace="booksapp"} > 0' }
  - name: platform
    rules:
      - { record: 'cluster:requests:rate1m', expr: 'sum(rate(request_total[1m]))' }
`

const textOf = (value: unknown): string => JSON.stringify(value)

describe('the rest of the API', () => {
  let world: World
  let scratch: string
  const tokens = new Map<string, string>()
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-api-'))
    await writeFile(join(scratch, 'rules.yml'), rules)
    world = await startWorld({ live: true, config: `rule_files: ['${join(scratch, 'rules.yml')}']\n` })
    for (const person of ['alice', 'bob', 'carol', 'dana']) tokens.set(person, await world.idp.token(person))
    // Each group of rules is evaluated at a moment of its own.
    await until(async () => {
      const alerts = textOf(await direct('/api/v1/alerts'))
      return alerts.includes('BooksappUp') && alerts.includes('EmojivotoUp')
    })
    await until(async () => textOf(await direct('/api/v1/rules')).includes('"health":"ok"'))
  })
  after(async () => {
    await world.stop()
    await rm(scratch, { recursive: true, force: true })
  })

  async function until(done: () => Promise<boolean>): Promise<void> {
    for (let round = 0; round < 150; round += 1) {
      if (await done()) return
      await sleep(200)
    }
    assert.fail('it did not come about')
  }
  const direct = async (path: string, params: ApiRequest['params'] = []): Promise<unknown> =>
    dataOf(await send(world.prometheus.url, { path, params }))
  const ask = (person: string, path: string, params: ApiRequest['params'] = []): Promise<Response> =>
    send(world.app.url, { path, params }, { authorization: `Bearer ${tokens.get(person)}` })
  const see = async (person: string, path: string, params: ApiRequest['params'] = []): Promise<string> =>
    textOf(await dataOf(await ask(person, path, params)))

  for (const path of ['/api/v1/rules', '/api/v1/alerts', '/api/v1/targets']) {
    it(`${path} shows alice hers, bob his, carol all`, async () => {
      const alice = await see('alice', path)
      assert.match(alice, /emojivoto/)
      assert.doesNotMatch(alice, /booksapp|Booksapp|cluster:requests|payments/)
      const bob = await see('bob', path)
      assert.match(bob, /booksapp/)
      assert.doesNotMatch(bob, /emojivoto|Emojivoto/)
      const carol = await see('carol', path)
      assert.match(carol, /emojivoto/)
      assert.match(carol, /booksapp/)
      assert.equal((await ask('dana', path)).status, 403)
    })
  }
  it('/api/v1/targets shows no discovered label and no dropped target to one team', async () => {
    assert.match(await see('carol', '/api/v1/targets'), /__meta_|__address__/)
    assert.doesNotMatch(await see('alice', '/api/v1/targets'), /__meta_|__address__/)
  })
  it('/api/v1/metadata tells of metrics that one can see, as many as asked for', async () => {
    const names = async (person: string, params: ApiRequest['params'] = []): Promise<readonly string[]> =>
      Object.keys(Object(await dataOf(await ask(person, '/api/v1/metadata', params))))
    const [alice, carol] = [await names('alice'), await names('carol')]
    assert.ok(alice.includes('request_total') && alice.length < carol.length, `${alice.length} of ${carol.length}`)
    const hidden = carol.filter((name) => !alice.includes(name))
    assert.ok(hidden.length > 0)
    for (const name of hidden) {
      assert.equal(await see('alice', '/api/v1/query', [['query', name]]), '{"resultType":"vector","result":[]}', name)
    }
    assert.equal((await names('alice', [['limit', '2']])).length, 2)
  })
  it('format_query prints anew for anybody known, without asking for a right', async () => {
    assert.equal(await see('dana', '/api/v1/format_query', [['query', 'sum(up)by(x)']]), '"sum by (x) (up)"')
    assert.equal((await ask('dana', '/api/v1/format_query', [['query', 'sum(']])).status, 422)
  })
  it('query_exemplars takes the milliseconds with which Grafana probes it', async () => {
    const params = [
      ['query', 'test'],
      ['start', '1795140000000'],
      ['end', '1795143600000'],
    ] as const
    assert.equal(await see('alice', '/api/v1/query_exemplars', params), '[]')
  })
  it('what shows how Prometheus is run is for carol, who has the right to it', async () => {
    for (const [path, { treatment }] of Object.entries<Endpoint>(endpoints)) {
      if (treatment.scope !== 'grant') continue
      assert.equal((await ask('alice', path)).status, 403, path)
      // Prometheus 2.42 does not have all of them.
      assert.ok([200, 422, 502].includes((await ask('carol', path)).status), path)
    }
    assert.match(await see('carol', '/api/v1/status/config'), /scrape_configs/)
  })
  it('what writes is for nobody', async () => {
    for (const [path, { treatment, methods }] of Object.entries<Endpoint>(endpoints)) {
      if (treatment.scope !== 'refuse') continue
      const authorization = `Bearer ${tokens.get('carol')}`
      const response = await fetch(`${world.app.url}${path}`, { method: methods[0] ?? '', headers: { authorization } })
      assert.equal(response.status, 403, path)
      assert.match(await response.text(), /closed to everybody/)
    }
  })
  it('an unknown parameter is refused by every endpoint, in words', async () => {
    for (const [path, { methods, treatment }] of Object.entries<Endpoint>(endpoints)) {
      if (treatment.scope === 'refuse' || !methods.includes('GET')) continue
      const response = await ask('carol', path.replace('<name>', 'pod'), [['extra_filters[]', 'x']])
      assert.equal(response.status, 422, path)
      assert.match(await response.text(), /unknown parameter \\"extra_filters\[\]\\"/)
    }
  })

  describe('/clusters', () => {
    it('lists the clusters that one may see something of', async () => {
      const all = [
        { name: 'east', path: '/clusters/east' },
        { name: 'west', path: '/clusters/west' },
      ]
      assert.deepEqual(JSON.parse(await see('alice', '/clusters')), all)
      assert.equal((await fetch(`${world.app.url}/clusters`)).status, 401)
    })
  })

  describe('a narrowed answer', () => {
    const infosOf = async (response: Response): Promise<unknown> => Reflect.get(Object(await response.json()), 'infos')
    it('says so, and to what', async () => {
      const narrowed = ['bailiwick: narrowed to namespace: emojivoto']
      for (const [path, params] of [
        ['/api/v1/query', [['query', 'sum(up)']]],
        ['/api/v1/labels', []],
        ['/api/v1/series', [['match[]', 'up']]],
        ['/api/v1/alerts', []],
      ] as const) {
        assert.deepEqual(await infosOf(await ask('alice', path, params)), narrowed, path)
      }
    })
    it('is not claimed where nothing was left out', async () => {
      assert.equal(
        await infosOf(await ask('alice', '/api/v1/query', [['query', 'sum(up{namespace="emojivoto"})']])),
        undefined,
      )
      assert.equal(await infosOf(await ask('alice', '/api/v1/query', [['query', '1+1']])), undefined)
      assert.equal(await infosOf(await ask('carol', '/api/v1/query', [['query', 'sum(up)']])), undefined)
    })
  })

  describe('a Prometheus that reads from the gateway', () => {
    it('is given its scope and nothing else', async () => {
      await writeFile(join(scratch, 'token'), tokens.get('alice') ?? '')
      const reader = await startPrometheus({
        binary: world.binary.prometheus,
        dataDir: join(scratch, 'reader'),
        config: `remote_read:
  - url: ${world.app.url}/api/v1/read
    read_recent: true
    authorization: { type: Bearer, credentials_file: ${join(scratch, 'token')} }
`,
        tell: () => {},
      })
      try {
        const count = async (query: string): Promise<string> =>
          textOf(await dataOf(await send(reader.url, { path: '/api/v1/query', params: [['query', query]] })))
        await until(async () => (await count('count by (namespace) (request_total)')).includes('emojivoto'))
        assert.doesNotMatch(await count('count by (namespace) ({__name__=~".+"})'), /booksapp|payments|linkerd-viz/)
        const read = (await world.records()).find(({ endpoint }) => endpoint === '/api/v1/read')
        assert.equal(read?.['decision'], 'allow')
        assert.match(textOf(read?.['selectors']), /request_total/)
      } finally {
        await reader.stop()
      }
    })
  })
})
