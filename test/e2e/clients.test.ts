// Clients that exist: promtool, and a second Prometheus that federates. Each gets its scope and nothing else.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startPrometheus } from '../../demo/parts/prometheus.ts'
import { dataOf, send } from '../support/prometheus-answers.ts'
import type { ApiRequest } from '../support/prometheus-answers.ts'
import { startWorld } from '../support/world.ts'
import type { World } from '../support/world.ts'

const run = promisify(execFile)
const instant = ['--time', '2026-11-20T03:05:00Z'] as const
const range = ['--start', '2026-11-20T03:00:00Z', '--end', '2026-11-20T03:10:00Z', '--step', '60s'] as const

/** What a failed program said. */
const wordsOf = (error: unknown): string => String(Reflect.get(Object(error), 'stderr'))

describe('promtool', () => {
  let world: World
  let scratch: string
  before(async () => {
    world = await startWorld()
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-promtool-'))
  })
  after(async () => {
    await world.stop()
    await rm(scratch, { recursive: true, force: true })
  })

  const bearerHeader = async (person: string): Promise<readonly string[]> => [
    '--header',
    `Authorization=Bearer ${await world.idp.token(person)}`,
  ]

  it('query range with an Authorization header gets its scope', async () => {
    const args = ['query', 'range', ...(await bearerHeader('alice')), ...range]
    const query = 'count by (namespace) (request_total)'
    const { stdout } = await run(world.binary.promtool, [...args, world.app.url, query])
    assert.match(stdout, /\{namespace="emojivoto"\} =>/)
    assert.doesNotMatch(stdout, /booksapp|payments|linkerd/)
  })

  it('query range under a cluster’s own URL', async () => {
    const args = ['query', 'range', ...(await bearerHeader('bob')), ...range]
    const url = `${world.app.url}/clusters/east`
    const { stdout } = await run(world.binary.promtool, [...args, url, 'count by (namespace) (up)'])
    assert.match(stdout, /\{namespace="booksapp"\} =>/)
    assert.doesNotMatch(stdout, /emojivoto/)
  })

  it('query instant with a bearer file gets its scope', async (context) => {
    const promtool = await promtoolWithHttpConfig(world, context)
    if (promtool === null) return
    const config = join(scratch, 'http.yml')
    await writeFile(join(scratch, 'token'), await world.idp.token('bob'), { mode: 0o600 })
    await writeFile(config, `authorization: { type: Bearer, credentials_file: ${join(scratch, 'token')} }\n`)
    const args = ['query', 'instant', '--http.config.file', config, ...instant]
    const { stdout } = await run(promtool, [...args, world.app.url, 'count by (namespace) (request_total)'])
    assert.match(stdout, /^\{namespace="booksapp"\} => \d+ @/)
    assert.equal(stdout.trim().split('\n').length, 1)
  })

  /** A URL with a token as its password: Go's clients make HTTP Basic of it, so that any promtool can sign in. */
  const withToken = async (person: string): Promise<string> => {
    const url = new URL(world.app.url)
    url.username = 'token'
    url.password = await world.idp.token(person)
    return url.href
  }
  const hour = ['--start', '2026-11-20T03:00:00Z', '--end', '2026-11-20T03:10:00Z'] as const

  it('query instant with a token in its URL gets its scope', async () => {
    const args = ['query', 'instant', ...instant, await withToken('alice'), 'count by (namespace) (request_total)']
    const { stdout } = await run(world.binary.promtool, args)
    assert.match(stdout, /^\{namespace="emojivoto"\} => \d+ @/)
    assert.equal(stdout.trim().split('\n').length, 1)
  })

  it('query series gets its scope', async () => {
    const args = ['query', 'series', '--match', 'request_total', ...hour]
    for (const [person, own, others] of [
      ['alice', 'emojivoto', /namespace="(?!emojivoto)/],
      ['bob', 'booksapp', /namespace="(?!booksapp)/],
    ] as const) {
      const { stdout } = await run(world.binary.promtool, [...args, await withToken(person)])
      const series = stdout.trim().split('\n')
      assert.ok(series.length > 3, stdout)
      assert.ok(series.every((one) => one.includes(`namespace="${own}"`)))
      assert.ok(!series.some((one) => others.test(one.replaceAll(/(dst|srv|authz|route)_namespace="[^"]*"/g, ''))))
    }
  })

  it('query labels gets the values in its scope', async () => {
    const { stdout } = await run(world.binary.promtool, [
      'query',
      'labels',
      ...hour,
      await withToken('bob'),
      'namespace',
    ])
    assert.equal(stdout.trim(), 'booksapp')
    const all = await run(world.binary.promtool, ['query', 'labels', ...hour, await withToken('carol'), 'namespace'])
    assert.ok(all.stdout.trim().split('\n').length > 3, all.stdout)
  })

  it('query instant without credentials is refused in words', async () => {
    await assert.rejects(run(world.binary.promtool, ['query', 'instant', ...instant, world.app.url, 'up']), (error) => {
      assert.match(wordsOf(error), /401|no credentials/)
      return true
    })
  })

  it('is told what is wrong with the query in words about its own text', async () => {
    const args = ['query', 'range', ...(await bearerHeader('alice')), world.app.url, 'sum(rate(request_total[5m])']
    await assert.rejects(run(world.binary.promtool, args), (error) => {
      assert.match(wordsOf(error), /bad_data: .*sum\(rate\(request_total\[5m\]\)/s)
      return true
    })
  })
})

const built = fileURLToPath(new URL('../../.cache/prometheus3/promtool', import.meta.url))

/** Prometheus 2.42's promtool cannot read a bearer file; newer ones can. `PROMTOOL` names one. */
async function promtoolWithHttpConfig(world: World, context: TestContext): Promise<string | null> {
  const { env } = process
  for (const program of [env['PROMTOOL'], built, 'promtool', world.binary.promtool]) {
    if (program === undefined) continue
    try {
      const { stdout, stderr } = await run(program, ['query', 'instant', '--help'])
      if (`${stdout}${stderr}`.includes('http.config.file')) return program
    } catch {
      // Not there: try the next one.
    }
  }
  context.skip(
    'no promtool here that knows --http.config.file (newer than 2.42): run npm run prometheus3, or name one: PROMTOOL=path',
  )
  return null
}

describe('a second Prometheus that federates from the gateway with a token', () => {
  let world: World
  let scratch: string
  before(async () => {
    world = await startWorld({ live: true })
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-federate-'))
  })
  after(async () => {
    await world.stop()
    await rm(scratch, { recursive: true, force: true })
  })

  it('gets its scope and nothing else', async () => {
    await writeFile(join(scratch, 'token'), await world.idp.token('alice'), { mode: 0o600 })
    const federating = await startPrometheus({
      binary: world.binary.prometheus,
      dataDir: join(scratch, 'data'),
      config: `global: { scrape_interval: 1s }
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    params: { 'match[]': ['{__name__=~".+"}'] }
    authorization: { type: Bearer, credentials_file: ${join(scratch, 'token')} }
    static_configs: [{ targets: ['${new URL(world.app.url).host}'] }]
`,
      tell: () => {},
    })
    const ask = async (url: string, request: ApiRequest): Promise<unknown> => dataOf(await send(url, request))
    const namespaces: ApiRequest = { path: '/api/v1/label/namespace/values', params: [['match[]', 'request_total']] }
    try {
      for (let round = 0; round < 150; round += 1) {
        if (JSON.stringify(await ask(federating.url, namespaces)) === '["emojivoto"]') break
        await sleep(200)
      }
      assert.deepEqual(await ask(federating.url, namespaces), ['emojivoto'])
      assert.ok(Object(await ask(world.prometheus.url, namespaces)).length > 3, 'there was nothing to hide')
      const others = 'count({__name__=~".+",namespace!="emojivoto",job!="federate"})'
      const rest = await ask(federating.url, { path: '/api/v1/query', params: [['query', others]] })
      assert.deepEqual(rest, { resultType: 'vector', result: [] })
    } finally {
      await federating.stop()
    }
  })

  it('and what it asked is on record', async () => {
    const federated = (await world.records()).find(({ endpoint }) => endpoint === '/federate')
    assert.equal(federated?.['decision'], 'allow')
    assert.match(JSON.stringify(federated?.['sent']), /namespace=~\\"emojivoto\\"/)
    assert.match(JSON.stringify(federated?.['from']), /Prometheus\//)
  })
})
