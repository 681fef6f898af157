// The history as a real Prometheus holds it.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { sampleTimes, storedSeries } from '../../../demo/parts/linkerd-history.ts'
import type { Labels } from '../../../demo/parts/linkerd-mesh.ts'
import type { Edge } from '../../../demo/parts/linkerd-truth.ts'
import { startHistory, window } from '../../support/world.ts'
import type { Database } from '../../support/world.ts'

interface Result {
  readonly metric: Labels
  readonly value?: readonly [number, string]
  readonly values?: readonly (readonly [number, string])[]
}

const ask = async ({ prometheus }: Database, query: string, time: number): Promise<readonly Result[]> => {
  const body = new URLSearchParams({ query, time: String(time) })
  const answer = await fetch(`${prometheus.url}/api/v1/query`, { method: 'POST', body })
  const text = await answer.text()
  assert.equal(answer.status, 200, text)
  const { data }: { data: { result: readonly Result[] } } = JSON.parse(text)
  return data.result
}
/** Series with their samples, in an order that does not depend on who wrote them down. */
const sorted = (results: readonly Result[]): string[] =>
  results
    .map(({ metric, values = [] }) => JSON.stringify(metric, Object.keys(metric).toSorted()) + JSON.stringify(values))
    .toSorted()
const expected = (wanted: (labels: Labels) => boolean): Result[] =>
  storedSeries(window)
    .filter(({ labels }) => wanted(labels))
    .map(({ labels, value }) => ({
      metric: labels,
      values: sampleTimes(window.start, window.end).flatMap((at): (readonly [number, string])[] => {
        const sample = value(at)
        return sample === undefined ? [] : [[at, String(sample)]]
      }),
    }))
    .filter(({ values }) => values.length > 0)

// From before the first sample to the last one, however Prometheus understands the left edge.
const whole = `${window.end - window.start + 1}s`
const inBooksapp = ({ namespace }: Labels): boolean => namespace === 'booksapp'

describe('the history in Prometheus', () => {
  let all: Database
  let part: Database
  before(async () => {
    all = await startHistory()
    part = await startHistory(inBooksapp)
  })
  after(() => Promise.all([all, part].map((database) => database.stop())))

  it('is there with every namespace', async () => {
    const seen = await ask(all, `count by (namespace) (max_over_time(up[${whole}]))`, window.end)
    assert.deepEqual(seen.map(({ metric }) => metric['namespace'] ?? 'none').toSorted(), [
      'batch',
      'booksapp',
      'emojivoto',
      'linkerd',
      'linkerd-viz',
      'none',
      'ops',
      'payments',
    ])
  })
  it('is sample for sample what was to be written', async () => {
    for (const [selector, wanted] of [
      ['{namespace="batch"}', ({ namespace }: Labels) => namespace === 'batch'],
      ['up', ({ __name__: name }: Labels) => name === 'up'],
      ['request_total', ({ __name__: name }: Labels) => name === 'request_total'],
      ['{job="linkerd-controller"}', ({ job }: Labels) => job === 'linkerd-controller'],
    ] as const) {
      const held = sorted(await ask(all, `${selector}[${whole}]`, window.end))
      assert.ok(held.length > 0, selector)
      assert.deepEqual(held, sorted(expected(wanted)), selector)
    }
  })
  it('narrowed to a namespace is the whole one under that namespace’s matcher, and nothing else', async () => {
    const query = `{namespace="booksapp"}[${whole}]`
    const held = sorted(await ask(part, query, window.end))
    assert.deepEqual(held, sorted(await ask(all, query, window.end)))
    assert.deepEqual(held, sorted(expected(inBooksapp)))
    assert.deepEqual(
      await ask(part, `max_over_time({__name__=~".+", namespace!="booksapp"}[${whole}])`, window.end),
      [],
    )
  })
  it('narrowed has the whole truth', () => {
    assert.deepEqual(part.truth, all.truth)
  })
})

describe('who called booksapp/authors in the night', () => {
  const end = window.nightlyAt + 600
  let all: Database
  let callers: readonly Edge[]
  before(async () => {
    all = await startHistory()
    callers = all.truth.edges.filter(
      ({ to, service, first, last }) =>
        to?.namespace === 'booksapp' && service === 'authors' && first <= end && last >= window.nightlyAt,
    )
  })
  after(() => all.stop())

  const outbound = 'request_total{direction="outbound", dst_namespace="booksapp", dst_service="authors"}'
  const inbound = 'request_total{direction="inbound", namespace="booksapp", deployment="authors"}'
  /** What grew in the ten minutes, and what is new since. */
  const called = (selector: string): string =>
    `(increase(${selector}[10m]) > 0 or (max_over_time(${selector}[10m]) unless max_over_time(${selector}[10m] offset 10m)))`

  it('the truth tells of five callers, one of them without a proxy', () => {
    assert.deepEqual(callers.map(({ from }) => from?.workload ?? 'none').toSorted(), [
      'books',
      'checkout',
      'nightly-report',
      'none',
      'webapp',
    ])
  })
  it('the callers’ own proxies tell of each that has one', async () => {
    const seen = await ask(all, `count by (namespace, deployment, cronjob) (${called(outbound)})`, end)
    const names = seen.map(({ metric }) => `${metric['namespace']}/${metric['deployment'] ?? metric['cronjob']}`)
    const truth = callers.flatMap(({ from }) => (from === null ? [] : `${from.namespace}/${from.workload}`))
    assert.deepEqual(names.toSorted(), truth.toSorted())
  })
  it('the called proxies tell of each by its identity, and of the one that has none', async () => {
    const seen = await ask(all, `count by (client_id) (${called(inbound)})`, end)
    const ids = seen.map(({ metric }) => metric['client_id'] ?? '')
    assert.deepEqual(ids.toSorted(), callers.map(({ from }) => from?.clientId ?? '').toSorted())
  })
  it('both views count the report’s calls as the truth does', async () => {
    const report = callers.find(({ from }) => from?.workload === 'nightly-report')
    for (const view of [
      outbound.replace('}', ', namespace="batch"}'),
      inbound.replace('}', `, client_id="${report?.from?.clientId}"}`),
    ]) {
      const [one] = await ask(all, `sum(max_over_time(${view}[10m]))`, end)
      assert.equal(one?.value?.[1], String(report?.calls))
    }
  })

  for (const [view, selector] of [
    ['outbound', outbound.replace('}', ', namespace="payments"}')],
    ['inbound', inbound.replace('}', ', client_id=~"checkout[.]payments[.].+"}')],
  ] as const) {
    it(`a single call is in the ${view} view`, async () => {
      const seen = await ask(all, selector, end)
      assert.deepEqual(
        seen.map(({ value }) => value?.[1]),
        ['1'],
      )
      assert.deepEqual(await ask(all, selector, window.nightlyAt), [])
    })
    it(`increase() alone hides it in the ${view} view`, async () => {
      assert.deepEqual(await ask(all, `increase(${selector}[10m]) > 0`, end), [])
    })
    it(`what is new shows it in the ${view} view`, async () => {
      const query = `max_over_time(${selector}[10m]) unless max_over_time(${selector}[10m] offset 10m)`
      const seen = await ask(all, query, end)
      assert.deepEqual(
        seen.map(({ value }) => value?.[1]),
        ['1'],
      )
    })
  }
})
