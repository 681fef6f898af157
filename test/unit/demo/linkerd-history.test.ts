import assert from 'node:assert/strict'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { sampleTimes, seriesText, step, storedSeries, writeHistory } from '../../../demo/parts/linkerd-history.ts'
import type { StoredSeries } from '../../../demo/parts/linkerd-history.ts'
import type { Labels } from '../../../demo/parts/linkerd-mesh.ts'
import { linkerdTargets } from '../../../demo/parts/linkerd-targets.ts'
import { truthOf } from '../../../demo/parts/linkerd-truth.ts'
import type { Edge } from '../../../demo/parts/linkerd-truth.ts'
import { window } from '../../support/world.ts'

const times = sampleTimes(window.start, window.end)
const all = storedSeries(window)
const counters = (series: readonly StoredSeries[]) =>
  series.filter(({ labels }) => /_(total|bucket|sum|count)$/.test(labels['__name__'] ?? ''))
/** The one series that has these labels. */
const only = (wanted: Labels): StoredSeries => {
  const found = all.filter(({ labels }) => Object.entries(wanted).every(([name, value]) => labels[name] === value))
  assert.equal(found.length, 1, JSON.stringify(wanted))
  return found[0]!
}
const sampled = (series: readonly StoredSeries[], at: readonly number[]) =>
  series.map(({ labels, value }) => [labels, at.map((time) => value(time) ?? null)])

// Windows of up to six hours, and a night that begins in them.
const anyWindow = fc
  .record({
    start: fc.integer({ min: 1_700_000_000, max: 1_800_000_000 }),
    length: fc.integer({ min: 1800, max: 21_600 }),
    night: fc.integer({ min: 60, max: 1200 }),
  })
  .map(({ start, length, night }) => ({ start, end: start + length, nightlyAt: start + night }))

describe('the history’s series', () => {
  it('are of every promised namespace, and of none at all for what belongs to the cluster', () => {
    const lived = all.filter(({ value }) => times.some((at) => value(at) !== undefined))
    const namespaces = new Set(lived.map(({ labels }) => labels['namespace']))
    assert.deepEqual([...namespaces].map(String).toSorted(), [
      'batch',
      'booksapp',
      'emojivoto',
      'linkerd',
      'linkerd-viz',
      'ops',
      'payments',
      'undefined',
    ])
  })
  it('have different labels, and none that is empty', () => {
    const texts = all.map(({ labels }) => JSON.stringify(labels, Object.keys(labels).toSorted()))
    assert.equal(new Set(texts).size, all.length)
    assert.deepEqual(
      all.filter(({ labels }) => Object.values(labels).includes('')),
      [],
    )
  })
  it('are the same every time, samples too', () => {
    const again = storedSeries({ start: window.start, nightlyAt: window.nightlyAt })
    assert.deepEqual(sampled(again, times), sampled(all, times))
  })
  it('never fall where they count, and count whole things', () => {
    fc.assert(
      fc.property(anyWindow, (one) => {
        for (const { labels, value } of counters(storedSeries(one))) {
          const seen = sampleTimes(one.start, one.end).flatMap((at) => value(at) ?? [])
          const wrong = seen.find((count, index) => count < (seen[index - 1] ?? 0))
          assert.equal(wrong, undefined, seriesText(labels))
          if (labels['__name__'] === 'request_total') assert.ok(seen.every(Number.isSafeInteger))
        }
      }),
      { numRuns: 15 },
    )
  })
  it('do not begin at zero: the everyday pods are a day old', () => {
    const calls = all.filter(({ labels }) => labels['__name__'] === 'request_total')
    const first = calls.flatMap(({ value }) => value(window.start) ?? [])
    assert.ok(first.length > 0 && first.every((count) => count > 0))
  })
  it('have histograms whose buckets rise to their count', () => {
    const at = window.nightlyAt + 300
    for (const { labels, value } of all.filter((one) => one.labels['__name__'] === 'response_latency_ms_count')) {
      if (value(at) === undefined) continue
      const bucket = (le: string) => only({ ...labels, __name__: 'response_latency_ms_bucket', le }).value(at) ?? NaN
      const counts = ['10', '50', '100', '1000', '+Inf'].map(bucket)
      assert.deepEqual(
        counts,
        counts.toSorted((one, other) => one - other),
      )
      assert.equal(counts.at(-1), value(at))
    }
  })
  it('of the nightly report exist while its pod does', () => {
    const { value } = only({ __name__: 'up', namespace: 'batch' })
    const { nightlyAt } = window
    const seen = [-31, -30, 390, 391].map((seconds) => value(nightlyAt + seconds))
    assert.deepEqual(seen, [undefined, 1, 1, undefined])
  })
  it('are sampled at every multiple of the step in the window, and at no other time', () => {
    const limits = fc.tuple(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 5000 }))
    fc.assert(
      fc.property(limits, ([start, end]) => {
        const seconds = Array.from({ length: Math.max(0, end - start + 1) }, (_, index) => start + index)
        assert.deepEqual(
          sampleTimes(start, end),
          seconds.filter((at) => at % step === 0),
        )
      }),
    )
  })
})

describe('the history’s labels', () => {
  it('say about a caller’s proxy what viz’ relabelling does, and about the called pod what the proxy knows', () => {
    const { labels } = only({ __name__: 'request_total', direction: 'outbound', dst_service: 'web-svc' })
    const web = only({ __name__: 'up', namespace: 'emojivoto', deployment: 'web' }).labels
    const self = only({ __name__: 'up', namespace: 'emojivoto', deployment: 'vote-bot' }).labels
    assert.deepEqual(labels, {
      __name__: 'request_total',
      job: 'linkerd-proxy',
      namespace: 'emojivoto',
      deployment: 'vote-bot',
      pod: self['pod'],
      pod_template_hash: self['pod_template_hash'],
      instance: self['instance'],
      app: 'vote-bot',
      version: 'v11',
      control_plane_ns: 'linkerd',
      workload_ns: 'emojivoto',
      direction: 'outbound',
      authority: 'web-svc.emojivoto.svc.cluster.local:8080',
      target_addr: `${web['instance']?.split(':')[0]}:8080`,
      target_ip: web['instance']?.split(':')[0],
      target_port: '8080',
      tls: 'true',
      server_id: 'web.emojivoto.serviceaccount.identity.linkerd.cluster.local',
      dst_control_plane_ns: 'linkerd',
      dst_namespace: 'emojivoto',
      dst_deployment: 'web',
      dst_pod: web['pod'],
      dst_pod_template_hash: web['pod_template_hash'],
      dst_service: 'web-svc',
      dst_serviceaccount: 'web',
    })
  })
  it('on the called side know the caller’s identity and nothing else of it', () => {
    const client = 'nightly-report.batch.serviceaccount.identity.linkerd.cluster.local'
    const { labels } = only({ __name__: 'request_total', direction: 'inbound', client_id: client })
    const { namespace, deployment, tls } = labels
    assert.deepEqual({ namespace, deployment, tls }, { namespace: 'booksapp', deployment: 'authors', tls: 'true' })
    assert.deepEqual(
      Object.entries(labels).filter(([name, value]) => name !== 'client_id' && /batch|nightly/.test(value)),
      [],
    )
  })
  it('name a client without a proxy by no identity', () => {
    const { labels } = only({ __name__: 'request_total', direction: 'inbound', tls: 'no_identity' })
    assert.equal(labels['deployment'], 'authors')
    assert.equal(Object.hasOwn(labels, 'client_id'), false)
  })
  it('name a cronjob’s pod by cronjob, without a ReplicaSet’s hash', () => {
    const { labels } = only({ __name__: 'up', namespace: 'batch' })
    assert.equal(labels['cronjob'], 'nightly-report')
    assert.deepEqual([Object.hasOwn(labels, 'deployment'), Object.hasOwn(labels, 'pod_template_hash')], [false, false])
  })
  it('give controllers and nodes no namespace of their own, as viz does', () => {
    for (const { job, labels } of linkerdTargets(window.start)) {
      assert.equal(labels['job'], job)
      assert.equal(Object.hasOwn(labels, 'namespace'), job === 'linkerd-proxy', job)
    }
    assert.deepEqual(only({ __name__: 'up', component: 'destination' }).labels, {
      __name__: 'up',
      component: 'destination',
      instance: '10.42.0.120:9996',
      job: 'linkerd-controller',
    })
  })
  it('of a container say its namespace, of a whole node none', () => {
    const usage = all.filter(({ labels }) => labels['__name__'] === 'container_cpu_usage_seconds_total')
    const machines = usage.filter(({ labels }) => labels['namespace'] === undefined)
    assert.deepEqual(
      machines.map(({ labels }) => [labels['instance'], labels['id']]),
      [
        ['node-a', '/'],
        ['node-b', '/'],
      ],
    )
    assert.ok(usage.length > machines.length)
  })
  it('are written as the text format wants them', () => {
    assert.equal(seriesText({ __name__: 'a', b: 'x"\\\n' }), 'a{b="x\\"\\\\\\n"}')
  })
})

describe('the truth', () => {
  /** How much the series of one metric that match grew in the edge's time. */
  const grown = (series: readonly StoredSeries[], edge: Edge, start: number, wanted: Labels): number => {
    const matching = series.filter(({ labels }) =>
      Object.entries(wanted).every(([name, value]) => (labels[name] ?? '') === value),
    )
    const sum = (at: number) => matching.reduce((total, { value }) => total + (value(at) ?? 0), 0)
    return sum(edge.last) - sum(start)
  }
  const outbound = ({ from, to, service }: Edge): Labels => ({
    direction: 'outbound',
    namespace: from?.namespace ?? '',
    [from?.workload === 'nightly-report' ? 'cronjob' : 'deployment']: from?.workload ?? '',
    ...(to === null ? { dst_namespace: '' } : { dst_namespace: to.namespace, dst_service: service }),
  })
  const inbound = ({ from, to }: Edge): Labels => ({
    direction: 'inbound',
    namespace: to?.namespace ?? '',
    deployment: to?.workload ?? '',
    client_id: from?.clientId ?? '',
  })

  it('counts each caller’s calls as its proxies and the called ones do', () => {
    fc.assert(
      fc.property(anyWindow, (one) => {
        const series = storedSeries(one)
        for (const edge of truthOf(one).edges) {
          const name = { __name__: 'request_total' }
          const { source, destination } = edge.seenBy
          const views = [
            ...(source ? [grown(series, edge, one.start, { ...name, ...outbound(edge) })] : []),
            ...(destination ? [grown(series, edge, one.start, { ...name, ...inbound(edge) })] : []),
          ]
          assert.ok(views.length > 0)
          assert.deepEqual(
            views,
            views.map(() => edge.calls),
            JSON.stringify(edge),
          )
        }
      }),
      { numRuns: 15 },
    )
  })
  it('counts failures as the proxies do', () => {
    const name = { __name__: 'response_total', classification: 'failure' }
    for (const edge of truthOf(window).edges.filter(({ failures }) => failures > 0)) {
      assert.equal(grown(all, edge, window.start, { ...name, ...outbound(edge) }), edge.failures, edge.service)
      assert.equal(grown(all, edge, window.start, { ...name, ...inbound(edge) }), edge.failures, edge.service)
    }
  })
  it('knows the night’s three callers of authors, one of them by a single call', () => {
    const { nightlyAt } = window
    const night = truthOf(window).edges.filter(({ first }) => first >= nightlyAt)
    assert.deepEqual(
      night.map(({ from, service, first, last }) => [from?.workload, service, first - nightlyAt, last - nightlyAt]),
      [
        ['nightly-report', 'authors', 0, 360],
        ['checkout', 'authors', 240, 240],
        [undefined, 'authors', 120, 300],
      ],
    )
    assert.deepEqual(
      night.map(({ calls }) => calls > 1),
      [true, false, true],
    )
  })
  it('says whose proxy saw a call', () => {
    const seen = (wanted: (edge: Edge) => boolean) =>
      truthOf(window)
        .edges.filter(wanted)
        .map(({ seenBy }) => seenBy)
    assert.deepEqual(
      seen(({ from }) => from === null),
      [{ source: false, destination: true }],
    )
    assert.deepEqual(
      seen(({ to }) => to === null),
      [{ source: true, destination: false }],
    )
  })
  it('cuts a night that has begun to the window', () => {
    const end = window.nightlyAt + 60
    const night = truthOf({ ...window, end }).edges.filter(({ first }) => first >= window.nightlyAt)
    assert.deepEqual(
      night.map(({ from, last }) => [from?.workload, last]),
      [['nightly-report', end]],
    )
  })
  for (const [when, nightlyAt] of [
    ['after', window.end + 60],
    ['just before', window.start - 700],
    ['long before', window.start - 86_400],
  ] as const) {
    it(`holds no night that was ${when} the window`, () => {
      const { edges } = truthOf({ ...window, nightlyAt })
      assert.deepEqual(
        edges.filter(({ from }) => from === null || from.namespace === 'batch'),
        [],
      )
    })
  }
})

// Stands in for promtool, to see what it is given: a block is then the text itself.
const copier = `#!/bin/sh
echo "$*" >> "$0.calls"
block="$5/01AAAAAAAAAAAAAAAAA$(head -n 1 "$4" | sed 's/.* //' | cut -c 4-10)"
mkdir -p "$block" && cp "$4" "$block/text"`

// Few series, so that a database is quickly written: the callers of one service, and some of what the cluster has.
const small = ({ namespace, deployment, component }: Labels): boolean =>
  namespace === 'batch' || deployment === 'authors' || component === 'destination'
const few = all.filter(({ labels }) => small(labels))

describe('writing a history', () => {
  let scratch: string
  let promtool: string
  let request: Parameters<typeof writeHistory>[0]
  const told: string[] = []
  beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-history-'))
    promtool = join(scratch, 'promtool')
    await writeFile(promtool, copier, { mode: 0o755 })
    told.length = 0
    request = { ...window, promtool, dir: join(scratch, 'history'), tell: (line) => told.push(line), only: small }
  })
  afterEach(() => rm(scratch, { recursive: true, force: true }))

  const textOf = async (dataDir: string): Promise<string> => {
    const blocks = (await readdir(dataDir)).toSorted()
    return (await Promise.all(blocks.map((block) => readFile(join(dataDir, block, 'text'), 'utf8')))).join('')
  }
  const runs = async (): Promise<number> => (await readFile(`${promtool}.calls`, 'utf8')).trim().split('\n').length

  it('gives promtool every sample once, in blocks of two hours', async () => {
    const { dataDir } = await writeHistory(request)
    const lines = (await textOf(dataDir)).split('\n').filter((line) => line !== '' && line !== '# EOF')
    const expected = few.flatMap(({ labels, value }) =>
      times.flatMap((at) => (value(at) === undefined ? [] : `${seriesText(labels)} ${value(at)} ${at}`)),
    )
    assert.equal(lines.length, expected.length)
    assert.equal(lines.toSorted().join('\n') === expected.toSorted().join('\n'), true)
    assert.equal((await readdir(dataDir)).length, 3)
  })
  it('builds once, and hands out a copy of its own to each', async () => {
    const first = await writeHistory(request)
    const before = await runs()
    await rm(join(first.dataDir, (await readdir(first.dataDir))[0] ?? ''), { recursive: true })
    const second = await writeHistory(request)
    assert.notEqual(first.dataDir, second.dataDir)
    assert.deepEqual([(await readdir(second.dataDir)).length, await runs()], [3, before])
    assert.deepEqual(told, [`writing ${few.length} series, ${times.length} samples each at most`])
  })
  it('gives the same database to two who ask at once', async () => {
    const [one, other] = await Promise.all([writeHistory(request), writeHistory(request)])
    assert.equal((await textOf(one.dataDir)) === (await textOf(other.dataDir)), true)
    assert.equal((await readdir(request.dir)).filter((name) => name.startsWith('blocks-')).length, 1)
  })
  it('narrows the database with `only`, and not the truth', async () => {
    const { dataDir, truth } = await writeHistory({ ...request, only: ({ namespace }) => namespace === 'ops' })
    const lines = (await textOf(dataDir)).split('\n').filter((line) => line !== '' && line !== '# EOF')
    assert.ok(lines.length > 0 && lines.every((line) => line.includes('namespace="ops"')))
    assert.deepEqual(truth, truthOf(window))
  })
  it('writes another database for another night', async () => {
    const nights = [window.nightlyAt + 360, window.nightlyAt + 420]
    const texts = []
    for (const nightlyAt of nights) texts.push(await textOf((await writeHistory({ ...request, nightlyAt })).dataDir))
    assert.equal(texts[0] === texts[1], false)
  })
  it('says what promtool said when it fails, and keeps nothing', async () => {
    await writeFile(promtool, '#!/bin/sh\necho "no space left" >&2\nexit 1\n', { mode: 0o755 })
    await assert.rejects(writeHistory(request), /^Error: promtool could not make the database: no space left$/)
    assert.deepEqual(await readdir(request.dir), [])
  })
  it('says so when there is no promtool', async () => {
    await assert.rejects(writeHistory({ ...request, promtool: join(scratch, 'absent') }), /could not make.*ENOENT/)
  })
})
