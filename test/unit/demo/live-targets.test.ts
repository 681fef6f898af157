import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, it, mock } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { seriesText, storedSeries } from '../../../demo/parts/linkerd-history.ts'
import type { Labels } from '../../../demo/parts/linkerd-mesh.ts'
import { linkerdTargets } from '../../../demo/parts/linkerd-targets.ts'
import { startLiveTargets } from '../../../demo/parts/live-targets.ts'
import type { LiveTargets } from '../../../demo/parts/live-targets.ts'
import { freePort, loopback } from '../../../demo/parts/loopback.ts'
import { findPrometheus } from '../../../demo/parts/prometheus-binary.ts'
import type { PrometheusBinary } from '../../../demo/parts/prometheus-binary.ts'
import { startPrometheus } from '../../../demo/parts/prometheus.ts'
import type { RunningPrometheus } from '../../../demo/parts/prometheus.ts'
import { window } from '../../support/world.ts'

const cacheDir = fileURLToPath(new URL('../../../.cache', import.meta.url))
const since = window.start
const targets = linkerdTargets(since)
// The mesh by day: its night was long ago.
const history = storedSeries({ start: since, nightlyAt: 0 })

interface Job {
  readonly job_name: string
  readonly static_configs: readonly { readonly targets: readonly string[]; readonly labels: Labels }[]
}

/** A proxy's metrics as they are when the clock says `at`; the clock is the server's too. */
const scrape = async (live: LiveTargets, path: string, at: number): Promise<string> => {
  mock.method(Date, 'now', () => at * 1000)
  const answer = await fetch(`http://${loopback}:${live.port}${path}`)
  assert.equal(answer.status, 200, path)
  return answer.text()
}
/** Value by series. */
const samples = (text: string): Map<string, number> =>
  new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line): [string, number] => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
  )

describe('targets that live', () => {
  let binary: PrometheusBinary
  let live: LiveTargets
  let paths: string[]
  before(async () => {
    binary = await findPrometheus({ cacheDir, tell: () => {} })
    live = await startLiveTargets({ since })
    const { scrape_configs: jobs }: { scrape_configs: readonly Job[] } = parse(live.scrapeConfig)
    paths = jobs.flatMap((job) => job.static_configs.map(({ labels }) => labels['__metrics_path__'] ?? ''))
  })
  afterEach(() => mock.restoreAll())
  after(() => live.stop())

  it('have one path each', () => {
    assert.equal(paths.length, targets.length)
    assert.equal(new Set(paths).size, targets.length)
  })
  it('expose text that promtool reads, each with the content type of the format', async () => {
    for (const path of paths) {
      const answer = await fetch(`http://${loopback}:${live.port}${path}`)
      assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4')
      const input = await answer.text()
      const { status, stderr } = spawnSync(binary.promtool, ['check', 'metrics'], { input, encoding: 'utf8' })
      // 3 is a complaint about style, as real proxies get it too; text that is wrong gives 1.
      assert.ok(status === 0 || status === 3, `${path}: ${stderr}`)
      assert.ok(samples(input).size > 0, path)
    }
  })
  it('are checked by a promtool that does refuse what is wrong', () => {
    const { status } = spawnSync(binary.promtool, ['check', 'metrics'], { input: '# TYPE a counter\na{b=c} 1\n' })
    assert.equal(status, 1)
  })
  it('count upwards, and do move', async () => {
    let moved = 0
    for (const path of paths) {
      const then = samples(await scrape(live, path, window.end))
      const now = samples(await scrape(live, path, window.end + 60))
      assert.deepEqual([...now.keys()], [...then.keys()])
      for (const [series, value] of now) {
        if (!/^\w+_(total|bucket|sum|count)\{/.test(series)) continue
        const earlier = then.get(series) ?? NaN
        assert.ok(value >= earlier, `${series} fell from ${earlier} to ${value}`)
        if (value > earlier) moved += 1
      }
    }
    assert.ok(moved > 100)
  })
  it('go on where the history of the same start ended', async () => {
    for (const [index, path] of paths.entries()) {
      const target = targets[index]
      const told = samples(await scrape(live, path, window.end))
      const held = target?.series.map(
        ({ name, labels, value }) => [seriesText({ __name__: name, ...labels }), value(window.end)] as const,
      )
      assert.deepEqual(told, new Map(held), path)
    }
  })
  it('answer no other path', async () => {
    for (const path of ['/', '/metrics', `${paths[0]}/`]) {
      assert.equal((await fetch(`http://${loopback}:${live.port}${path}`)).status, 404, path)
    }
  })
  it('listen no more after stop', async () => {
    const other = await startLiveTargets()
    await other.stop()
    assert.equal(await freePort(other.port), other.port)
  })
})

describe('targets that live, in Prometheus', () => {
  let dataDir: string
  let live: LiveTargets
  let prometheus: RunningPrometheus
  const ask = async (query: string): Promise<readonly { metric: Labels; value: readonly [number, string] }[]> => {
    const answer = await fetch(`${prometheus.url}/api/v1/query?${new URLSearchParams({ query }).toString()}`)
    return JSON.parse(await answer.text()).data.result
  }
  const sorted = (all: readonly Labels[]): string[] =>
    all.map((labels) => JSON.stringify(labels, Object.keys(labels).toSorted())).toSorted()

  before(async () => {
    const { prometheus: binary } = await findPrometheus({ cacheDir, tell: () => {} })
    dataDir = await mkdtemp(join(tmpdir(), 'bailiwick-targets-'))
    live = await startLiveTargets({ since })
    const config = `global: { scrape_interval: 1s }\n${live.scrapeConfig}`
    prometheus = await startPrometheus({ binary, dataDir, config, tell: () => {} })
    for (let tries = 0; tries < 300 && (await ask('up == 1')).length < targets.length; tries += 1) await sleep(100)
  })
  after(async () => {
    await prometheus.stop()
    await live.stop()
    await rm(dataDir, { recursive: true, force: true })
  })

  it('are all up', async () => {
    const up = await ask('up')
    assert.deepEqual([up.length, up.filter(({ value }) => value[1] === '1').length], [targets.length, targets.length])
  })
  it('get the labels that the history gives them, by relabelling', async () => {
    const up = await ask('up')
    assert.deepEqual(
      sorted(up.map(({ metric }) => metric)),
      sorted(targets.map(({ labels }) => ({ __name__: 'up', ...labels }))),
    )
  })
  it('give every series the labels that the history gives it', async () => {
    const all = await ask('{__name__!~"scrape_.+", __name__!=""}')
    const alive = history.filter(({ value }) => value(window.end) !== undefined)
    assert.deepEqual(sorted(all.map(({ metric }) => metric)), sorted(alive.map(({ labels }) => labels)))
  })
})
