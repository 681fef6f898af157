// Every scoped and filtered endpoint answers what Prometheus would answer from a database that holds only the person's
// series: whole answers, byte by byte. What differs has a name here, and under this name its reason in docs/api.md.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { endpoints } from '../../src/prometheus/endpoints.ts'
import type { Endpoint, UpstreamPath } from '../../src/prometheus/endpoints.ts'
import { encodeReadRequest } from '../../src/prometheus/remote-read.ts'
import type { ReadHints, ReadQuery } from '../../src/prometheus/remote-read.ts'
import type { Match } from '../../src/promql/match-list.ts'
import { seriesRequests } from '../support/prometheus-answers.ts'
import {
  alice,
  ask,
  bob,
  endpointOf,
  erin,
  nadia,
  send,
  startHistory,
  startPair,
  startScraped,
  startScraping,
  startWritten,
  waysOf,
  without3,
  writtenMesh,
} from '../support/two-databases.ts'
import type { Answer, Ask, Pair, Person, Scraped, Which, Written } from '../support/two-databases.ts'

// What is set aside before two answers are compared. In quotes: the name of the difference in docs/api.md.

/** "the notice": sentences of the gateway's in `infos`. */
const withoutNotice = (text: string): string =>
  text
    .replaceAll(/"(?:bailiwick: narrowed to |left out, because you may not see it: )(?:[^"\\]|\\.)*",?/g, '')
    .replace(/,\]\}$/, ']}')
    .replace(/,"infos":\[\]\}$/, '}')
/** "the time it took": how long Prometheus was busy, with `stats`. */
const withoutTimings = (text: string): string => text.replaceAll(/"timings":\{[^}]*\}/g, '"timings":{}')
/** "the place in the query": where in the text a note of Prometheus's points. */
const withoutPlaces = (text: string): string =>
  text.replaceAll(/"PromQL (?:info|warning): (?:[^"\\]|\\.)*"/g, (note) => note.replace(/ \(\d+:\d+\)"$/, '"'))
/** "the order of quantiles": of what comes out of `histogram_quantile` at one time. */
const withoutOrder = (text: string, { params }: Ask): string =>
  params.some(([name, value]) => name === 'query' && value.includes('histogram_quantile'))
    ? text.replace(/(?<="result":\[)\{.*?\}(?=\])/, (result) =>
        result
          .split(/(?<=\]\}),/)
          .toSorted()
          .join(),
      )
    : text

/** "JSON that is written anew": errors, which the gateway reads and prints again. */
const withoutEscapes = ({ status, type, text }: Answer): string =>
  status >= 400 && type === 'application/json' ? JSON.stringify(JSON.parse(text)) : text

const comparable = (answer: Answer, ask: Ask): Answer => ({
  ...answer,
  text: withoutOrder(withoutPlaces(withoutTimings(withoutNotice(withoutEscapes(answer)))), ask),
})

/** Is it an answer, but with nothing in it? */
const isEmpty = ({ status, text }: Answer): boolean =>
  status === 200 && (text.length < 8 || /"(?:data|result|results)":(?:\[\]|\{\})/.test(text))

/** What the gateway says in its own words, which end with the request's id; Prometheus's own errors pass as they are. */
const ownWords = ({ status, text }: Answer): string =>
  status >= 400 && / \(request [-0-9a-f]{36}\)"\}$/.test(text) ? text : ''

/** "a name of others": the only values that a selector leaves are not the person's, and the gateway says so. */
function assertOfOthers(person: Person, { status, text }: Answer): void {
  assert.equal(status, 403, text)
  const [, listed = ''] = /you may not see namespace ((?:\\"[^"\\]*\\"(?:, )?)+);/.exec(text) ?? []
  const named = listed.split(', ').map((value) => value.slice(2, -2))
  assert.ok(listed !== '' && named.every((namespace) => !person.holds({ namespace })), text)
}

/** Names of the differences that are shown below; docs/api.md lists the same. */
const shown = new Set<string>()

/** A test that a difference is there, and is no other than docs/api.md says. */
function differs(name: string, show: () => Promise<void>, skip: string | false = false): void {
  shown.add(name)
  it(`differ by ${name}`, { skip }, show)
}

/** A question in which `<now>` and `<now-60>` are seconds. */
const timed = (one: Ask, now: number): Ask => ({
  ...one,
  params: one.params.map(([name, value]) => [
    name,
    value.replace(/^<now([-+]\d+)?>$/, (_, more = '0') => String(now + Number(more))),
  ]),
})

/** Compares what everybody is told; the first of them asks in every way in which it can be asked. */
function same(
  pair: () => Pair,
  who: readonly (readonly [Person, readonly Ask[]])[],
  now: () => number = () => 0,
): void {
  const answered = new Map<UpstreamPath, { some: number; none: number }>()
  for (const [index, [person, asks]] of who.entries()) {
    describe(`to ${person.name}`, () => {
      for (const ask of asks) {
        it(ask.name, async () => {
          for (const way of waysOf(ask).slice(0, index === 0 ? 3 : 1)) {
            const [through, judge] = await pair().ask(person, timed(ask, now()), way)
            assert.deepEqual(comparable(through, ask), comparable(judge, ask), way)
            const count = answered.get(endpointOf(ask)) ?? { some: 0, none: 0 }
            answered.set(endpointOf(ask), count)
            count[isEmpty(judge) ? 'none' : 'some'] += 1
          }
        })
      }
    })
  }
  it('hold something at each endpoint, and nothing where there is nothing', () => {
    for (const [path, { some, none }] of answered) assert.ok(some > 0 && none > 0, `${path}: ${some}, ${none}`)
  })
  it('are not those to somebody else', async () => {
    const [[person, asks], [other]] = [who[0] ?? [alice, []], who[1] ?? [bob]]
    const alike = new Set(asks.map(endpointOf))
    for (const ask of asks) {
      if (!alike.has(endpointOf(ask))) continue
      const [through] = await pair().ask(other, timed(ask, now()))
      const [, judge] = await pair().ask(person, timed(ask, now()))
      if (comparable(through, ask).text !== comparable(judge, ask).text) alike.delete(endpointOf(ask))
    }
    assert.deepEqual([...alike], [])
  })
}

const at = '2026-11-20T03:05:00Z'
const within = 'start=2026-11-20T02:30:00Z | end=2026-11-20T03:30:00Z'
const versions = [
  { which: 'prometheus', skip: false },
  { which: 'prometheus3', skip: without3 },
] as const

const selectors = [
  'up',
  'request_total{direction="inbound"}',
  '{__name__=~"tcp_.*"}',
  '{job=~"linkerd-.*",__name__!="up"}',
  '{namespace=~".+",le="50"}',
  'request_total{dst_namespace="booksapp"}',
  'request_total{dst_namespace!~"booksapp|payments"}',
  '{client_id=~"nightly.*"}',
  'up{pod=~"web-.*|authors-.*"}',
  'go_goroutines',
  '{namespace="",__name__="up"}',
  '{component="destination"}',
  'no_such_metric',
] as const

const queries = [
  ...selectors,
  'up * on () up',
  'request_total offset 10m unless request_total',
  'sort_desc(count by (pod) (request_total))',
  'count_values("value", up)',
  'quantile by (deployment) (0.5, request_total)',
  'request_total{direction="inbound"}[90s]',
  'last_over_time(up[5m] @ 1795143600)',
  'label_join(up, "namespace", "-", "job", "pod")',
  'absent(up{deployment="web"})',
  'absent_over_time(request_total{pod="nobody"}[5m])',
  'group by (client_id, tls) (request_total{direction="inbound"})',
  'scalar(count(up))',
  '"a text"',
  '1 + 1',
  'label_replace(up, "a", "$1", "pod", "(")',
  'round(rate(request_total[5m]), 0.001) > 1',
] as const

/** What is asked of a database at a time and about a span around it, which is written as parameters are. */
function asksAt(at: string, within: string, step: string): readonly Ask[] {
  const [start = '', end = ''] = within.split(' | ')
  const spans = [within, 'limit=', end, `start=${end.slice(4)}`]
  const matches = selectors.map((selector) => `match[]=${selector}`)
  const labels = ['namespace', '__name__', 'pod', 'dst_namespace', 'client_id', 'component', 'U__pod', 'none']
  return [
    ...queries.map((query) => `query | query=${query} | time=${at}`),
    ...queries.map((query) => `query_range | query=${query} | ${within} | step=${step}`),
    `query | query=rate(request_total[5m]) | time=${at} | stats=all`,
    `query | query=up | time=${at} | lookback_delta=1s`,
    `query | query=up | time=${at} | limit=1`,
    'query | query=up | time=0',
    `query_range | query=up | ${within} | step=1m | stats=all | timeout=20s`,
    `query_range | query=up | ${within} | step=0`,
    `query_range | query=up | start=${end.slice(4)} | end=${start.slice(6)} | step=60`,
    `query_range | query=up | start=1000000000 | ${end} | step=1`,
    ...matches.flatMap((match) => [`series | ${match} | ${within}`, `labels | ${match} | ${within}`]),
    ...spans.flatMap((span) => [`series | match[]=up | match[]=nothing | ${span}`, `labels | ${span}`]),
    `series | ${matches.join(' | ')} | ${within}`,
    `series | match[]=up | ${within} | limit=2`,
    `series | match[]=up | ${within} | limit=-1`,
    `labels | match[]=up | match[]=request_total | ${within}`,
    `labels | ${within} | limit=3`,
    'labels | match[]={namespace!=""} | limit=1',
    ...labels.flatMap((label) => [
      ...spans.map((span) => `label/${label}/values | ${span}`),
      `label/${label}/values | match[]=up | ${within}`,
      `label/${label}/values | match[]=up | match[]={dst_namespace=~".+"} | ${within} | limit=2`,
    ]),
  ].map((text) => ask(text))
}

/** What is asked of a Prometheus 3 that searches. */
const searchesAt = (within: string): readonly Ask[] =>
  [
    'search[]=',
    'search[]=e',
    'search[]=req | search[]=POD | case_sensitive=false | include_score=true',
    'search[]=reqest | fuzz_alg=jarowinkler | fuzz_threshold=60 | sort_by=score',
    'match[]=up | match[]=request_total{direction="inbound"} | sort_by=alpha | sort_dir=dsc',
    'limit=3 | batch_size=2',
    'limit=0',
    'search[]=payments',
  ].flatMap((variant) => [
    ask(`search/metric_names | ${variant} | ${within}`),
    ask(`search/label_names | ${variant} | ${within}`),
    ask(`search/label_values | label=pod | ${variant} | ${within}`),
  ])

const is = (label: string, value: string): Match => ({ label, op: '=', value })
const like = (label: string, value: string): Match => ({ label, op: '=~', value })
const always = { start: -(2n ** 55n), end: 2n ** 55n } as const

const readOf = (name: string, queries: readonly ReadQuery[], streamed = false): Ask =>
  ask(
    `read ${name}${streamed ? ', streamed' : ''}`,
    encodeReadRequest({ queries, responseTypes: streamed ? ['streamed_chunks', 'samples'] : [] }),
  )

/** Remote reads of a span in milliseconds. */
function readsAt(from: number, until: number): readonly Ask[] {
  const [start, end] = [BigInt(from), BigInt(until)]
  const query = (...matchers: readonly Match[]): ReadQuery => ({ start, end, matchers })
  const up = query(is('__name__', 'up'))
  const hints: ReadHints = { step: 60_000n, func: 'rate', start, end, grouping: ['pod'], by: true, range: 300_000n }
  const reads: Readonly<Record<string, readonly ReadQuery[]>> = {
    'of one name': [up],
    'of regular expressions': [query(like('__name__', 'request_.*'), like('direction', 'in.*'))],
    'of all but one namespace': [query({ label: 'namespace', op: '!=', value: 'booksapp' }, is('__name__', 'up'))],
    // Prometheus drops a matcher that says `=` and one of its external labels.
    'of external labels': [query(is('__name__', 'up'), is('cluster', 'east'))],
    'of every namespace': [query(is('__name__', 'up'), like('namespace', '.*'))],
    'of no namespace': [query(is('namespace', ''), like('__name__', '.+'))],
    'of nothing': [query(is('__name__', 'none'))],
    'of three things': [up, query(is('__name__', 'none')), query(is('__name__', 'request_total'))],
    'with hints': [{ ...query(is('__name__', 'request_total')), hints }],
    'for series only': [{ ...up, hints: { ...hints, func: 'series' } }],
    'that ends before it starts': [{ ...up, start: end, end: start }],
  }
  return Object.entries(reads).flatMap(([name, queries]) => [readOf(name, queries), readOf(name, queries, true)])
}

const listed = seriesRequests.map(({ path, params }) =>
  ask([path, ...params.map(([name, value]) => `${name}=${value}`)].join(' | ')),
)

const values: Readonly<Record<string, readonly string[]>> = {
  namespace: ['emojivoto', 'booksapp', 'payments', 'emojivoto|booksapp', 'e.*', '.*', '.+', ''],
  dst_namespace: ['booksapp', 'payments', 'pay.*|emojivoto', ''],
  direction: ['inbound', 'outbound', 'in.*'],
  job: ['linkerd-proxy', 'linkerd-.*', 'kubernetes.*'],
  pod: ['web-.*', '.*-x2k0[1-5]', ''],
  tls: ['true', 'no_identity', '.+'],
  le: ['50', '[1-5].*'],
}
const anyMatcher = fc
  .constantFrom(...Object.keys(values))
  .chain((label) =>
    fc
      .tuple(fc.constantFrom('=', '!=', '=~', '!~'), fc.constantFrom(...(values[label] ?? [])))
      .map(([operator, value]) => `${label}${operator}"${value}"`),
  )
const metrics = ['up', 'request_total', 'tcp_open_connections', 'response_latency_ms_bucket', 'go_goroutines', '']
const anySelector = fc
  .tuple(fc.constantFrom(...metrics), fc.array(anyMatcher, { maxLength: 2 }))
  .map(([name, matchers]) => (matchers.length === 0 ? name || 'up' : `${name}{${matchers.join()}}`))
const anyQuery = fc
  .tuple(
    fc.constantFrom<(one: string, other: string) => string>(
      (one) => one,
      (one) => `count by (namespace, deployment) (${one})`,
      (one) => `max by (pod) (${one})`,
      (one) => `rate(${one}[5m])`,
      (one) => `max_over_time(count(${one})[10m:1m])`,
      (one) => `absent(${one})`,
      (one) => `topk(2, ${one})`,
      (one) => `label_replace(${one}, "namespace", "booksapp", "", "")`,
      (one) => `${one} offset 10m`,
      (one, other) => `${one} and on (pod) ${other}`,
      (one, other) => `${one} unless on (pod) ${other}`,
      (one, other) => `${one} * on (namespace) ${other}`,
      (one, other) => `count(${one}) or count by (pod) (${other})`,
    ),
    anySelector,
    anySelector,
  )
  .map(([shape, one, other]) => shape(one, other))
  // "the label of what is absent"
  .filter((query) => !/^absent\(.*[{,]namespace="[^"]*[.*|]/.test(query))
const anyTime = fc.integer({ min: Date.parse('2026-11-20T01:30:00Z') / 1000, max: Date.parse(at) / 1000 })
const anySpan = fc
  .tuple(anyTime, fc.constantFrom(0, 60, 1800, 7200))
  .map(([start, length]) => `start=${start} | end=${start + length}`)
const anyMatch = fc
  .array(anySelector, { minLength: 1, maxLength: 3 })
  .map((all) => all.map((text) => `match[]=${text}`).join(' | '))
const anyLimit = fc.constantFrom('limit=', 'limit=2', 'limit=0')
const anyPath = fc.constantFrom('series', 'labels', ...Object.keys(values).map((label) => `label/${label}/values`))
const anyAsk = fc
  .oneof(
    fc
      .tuple(anyQuery, anyTime, anyLimit)
      .map(([query, time, limit]) => `query | query=${query} | time=${time} | ${limit}`),
    fc.tuple(anyQuery, anySpan).map(([query, span]) => `query_range | query=${query} | ${span} | step=60`),
    fc.tuple(anyPath, anyMatch, anySpan, anyLimit).map((parts) => parts.join(' | ')),
  )
  .map((text) => ask(text))

for (const { which, skip } of versions) {
  describe(`the answers of ${which} from a history`, { skip }, () => {
    let pair: Pair
    before(async () => {
      pair = await startPair([alice, bob, erin, nadia], (person) => startHistory(which, person))
    })
    after(() => pair.stop())
    const reads = readsAt(Date.parse('2026-11-20T02:30:00Z'), Date.parse('2026-11-20T03:30:00Z'))
    const asks = [...listed, ...asksAt(at, within, '300'), ...(which === 'prometheus3' ? searchesAt(within) : [])]
    const who = [
      [alice, [...asks, ...reads]],
      [bob, [...listed, ...reads]],
      [erin, [...listed, ...reads]],
    ] as const
    same(() => pair, who)

    it('to alice, bob and erin are the same whatever a generator asks', async () => {
      const count = { equal: 0, some: 0, others: 0 }
      const property = fc.asyncProperty(anyAsk, fc.constantFrom(alice, bob, erin), async (ask, person) => {
        const [through, judge] = await pair.ask(person, ask, waysOf(ask).at(-1))
        const own = ownWords(through)
        if (own.includes('you may not see')) {
          count.others += 1
          return assertOfOthers(person, through)
        }
        if (own !== '') return assert.deepEqual([through.status, judge.status], [422, 400], own)
        count.equal += 1
        if (!isEmpty(judge)) count.some += 1
        return assert.deepEqual(comparable(through, ask), comparable(judge, ask))
      })
      await fc.assert(property, { seed: 20_261_121, numRuns: 300 })
      assert.ok(count.equal > 200 && count.some > 100 && count.others > 3, JSON.stringify(count))
    })

    differs('the notice', async () => {
      const [through, judge] = await pair.ask(alice, ask(`labels | match[]=up | ${within}`))
      assert.match(through.text, /,"infos":\["bailiwick: narrowed to namespace: emojivoto"\]\}$/)
      assert.doesNotMatch(judge.text, /infos/)
    })

    differs('the headers', async () => {
      const names = async (base: string, headers = {}): Promise<readonly string[]> => {
        const response = await fetch(`${base}/api/v1/labels`, {
          headers: { ...headers, origin: 'https://example.org' },
        })
        await response.text()
        return [...response.headers.keys()].filter((name) => /^access-control|^bailiwick/.test(name))
      }
      assert.ok((await names(pair.own(alice))).every((name) => name.startsWith('access-control')))
      const through = await names(pair.url, await pair.headers(alice))
      assert.deepEqual(through, ['bailiwick-policy', 'bailiwick-request', 'bailiwick-scope'])
    })

    differs('a name of others', async () => {
      for (const one of [
        ask(`query | query=up{namespace="payments"} | time=${at}`),
        ask(`query | query=count(up) or up{namespace=~"payments|ops"} | time=${at}`),
        ask('series | match[]=up | match[]={namespace="payments"}'),
        ask('label/pod/values | match[]={namespace="payments"}'),
        readOf('of payments', [{ ...always, matchers: [is('namespace', 'payments')] }]),
      ]) {
        const [through, judge] = await pair.ask(alice, one)
        assertOfOthers(alice, through)
        assert.equal(judge.status, 200, one.name)
      }
    })

    differs('the words of a refusal', async () => {
      for (const one of [
        ask('query | query=up{'),
        ask('query | query=sum(up, up)'),
        ask('query | query={namespace=~".*"}'),
        ask(`query_range | query=up | ${within} | step=a while`),
        ask('labels | match[]=up[5m]'),
        ask('labels | start=yesterday'),
        ask('series'),
        ask('read of no message', Uint8Array.of(1, 2, 3)),
      ]) {
        const [through, judge] = await pair.ask(alice, one)
        assert.match(ownWords(through), /"errorType":"bad_data"/, one.name)
        assert.equal(judge.status, 400, one.name)
      }
    })

    differs('what is not read', async () => {
      for (const [text, status] of [
        ['query | query=up | dedup=true', 422],
        ['query | query=up | query=down', 422],
        ['query | query=up | time=0x1p10', 422],
        ['labels | start=NaN', 422],
      ] as const) {
        const [through, judge] = await pair.ask(alice, ask(text), 'GET')
        assert.deepEqual([through.status, judge.status], [status, 200], text)
      }
      const response = await fetch(`${pair.url}/api/v1/label/a%20b/values`, { headers: await pair.headers(alice) })
      assert.equal(response.status, 404)
    })

    differs('the time it took', async () => {
      const both = await pair.ask(alice, ask(`query | query=up | time=${at} | stats=all`))
      for (const { text } of both) assert.match(text, /"timings":\{"evalTotalTime":[\d.e-]+,/)
      assert.notEqual(withoutNotice(both[0].text), both[1].text)
    })

    const notes = which === 'prometheus' && 'Prometheus 2 has no such notes'
    const place = async (): Promise<void> => {
      const [through, judge] = await pair.ask(alice, ask(`query | query=rate( up[5m] ) | time=${at}`))
      assert.match(through.text, /\(1:6\)"/)
      assert.match(judge.text, /\(1:7\)"/)
    }
    differs('the place in the query', place, notes)

    differs('the order of quantiles', async () => {
      const query = 'histogram_quantile(0.5, sum by (le, pod) (rate(response_latency_ms_bucket[5m])))'
      const texts = new Set<string>()
      for (let round = 0; round < 50 && texts.size < 2; round += 1) {
        const [, judge] = await pair.ask(erin, ask(`query | query=${query} | time=${at}`))
        texts.add(judge.text)
      }
      assert.equal(texts.size, 2, 'the judge itself has always the same order')
    })

    const lost = which === 'prometheus' && 'Prometheus 2 has another order'
    const absent = async (): Promise<void> => {
      const asked = ask(`query | query=absent(up{namespace=".*",job="q"}) | time=${at}`)
      const labels = (await pair.ask(erin, asked)).map(({ text }) => /"metric":(\{[^}]*\})/.exec(text)?.[1])
      assert.deepEqual(labels, ['{"job":"q"}', '{"job":"q","namespace":".*"}'])
    }
    differs('the label of what is absent', absent, lost)

    differs('a read of everything', async () => {
      const [through, judge] = await pair.ask(alice, readOf('of no matcher', [{ ...always, matchers: [] }]))
      const [, all] = await pair.ask(alice, readOf('of any name', [{ ...always, matchers: [like('__name__', '.+')] }]))
      assert.notDeepEqual(through, judge)
      assert.deepEqual(through, all)
    })

    differs('the times of the blocks', async () => {
      const early = 'start=2026-11-20T02:05:00Z | end=2026-11-20T02:10:00Z'
      for (const path of ['labels', 'label/pod/values']) {
        const [through, judge] = await pair.ask(nadia, ask(`${path} | ${early}`))
        const [, later] = await pair.ask(nadia, ask(`${path} | ${within}`))
        assert.ok(isEmpty(judge) && !isEmpty(later))
        assert.equal(withoutNotice(through.text), later.text)
      }
      const [through, judge] = await pair.ask(nadia, ask(`series | match[]={pod!=""} | ${early}`))
      assert.equal(withoutNotice(through.text), judge.text)
    })

    const limits = which === 'prometheus' && 'Prometheus 2.42 has no limit there'
    const limited = async (): Promise<void> => {
      const rest = `${within} | limit=1`
      const [through, judge] = await pair.ask(bob, ask(`label/client_id/values | ${rest}`))
      const [, named] = await pair.ask(bob, ask(`label/client_id/values | match[]={namespace=~"booksapp"} | ${rest}`))
      assert.notEqual(withoutNotice(through.text), judge.text)
      assert.equal(withoutNotice(through.text), named.text)
    }
    differs('which values a limit leaves', limited, limits)
  })
}

const teams = ['emojivoto', 'booksapp', 'payments']

/** What is written "now" (seconds): beside the mesh texts in UTF-8, and for a Prometheus 3 names in it, and histograms. */
function writtenAt(now: number, which: Which): readonly Written[] {
  const samples = [[now * 1000, 1]] as const
  const texts = teams.flatMap((namespace): readonly Written[] => [
    { labels: { __name__: 'greetings', text: `grüße <&> "${namespace}" 😀\n`, namespace }, samples },
    { labels: { __name__: `only_${namespace}`, namespace }, samples },
  ])
  const later = teams.flatMap((namespace): readonly Written[] => [
    { labels: { __name__: 'grüße.total', 'a label': `of ${namespace}`, namespace }, samples },
    { labels: { __name__: 'wait_seconds', namespace }, histograms: [now * 1000 - 60_000, now * 1000] },
  ])
  return [...writtenMesh(now), ...texts, ...(which === 'prometheus3' ? later : [])]
}

/** What only knows "now", as federation, or what is in memory only, as exemplars; and texts. */
function asksNow(): readonly Ask[] {
  const matches = [...selectors, 'greetings', '{__name__=~".+"}', '{cluster="east"}'].map((text) => `match[]=${text}`)
  const exemplars = [
    'response_latency_ms_bucket',
    'response_latency_ms_bucket{le="50"} + on () up',
    'histogram_quantile(0.9, rate(response_latency_ms_bucket{direction="inbound"}[1m]))',
    '{__name__=~"response.*"} or up',
    'up',
  ]
  return [
    ...matches.map((match) => `/federate | ${match}`),
    `/federate | ${matches.join(' | ')}`,
    '/federate | match[]=up | match[]=up | match[]={job="linkerd-proxy"}',
    ...exemplars.flatMap((query) => [
      `query_exemplars | query=${query} | start=<now-60> | end=<now+60>`,
      `query_exemplars | query=${query} | ${within}`,
    ]),
    ...['greetings', '{text=~"grüße.*"}', '{text!~"(?i)GRÜSSE.*",__name__="greetings"}'].flatMap((text) => [
      `query | query=${text} | time=<now>`,
      `series | match[]=${text}`,
      `label/text/values | match[]=${text}`,
    ]),
  ].map((text) => ask(text))
}

/** What only a Prometheus 3 reads: names in UTF-8, quoted or in their `U__` form, and native histograms. */
const asksNow3 = (): readonly Ask[] =>
  [
    ...['{"grüße.total"}', '{"a label"=~"of .*"}', '{"grüße.total","a label"!="x",namespace=~".+"}'].flatMap((text) => [
      `query | query=${text} | time=<now>`,
      `query | query=count by ("a label") (${text}) | time=<now>`,
      `series | match[]=${text}`,
      `labels | match[]=${text}`,
      `/federate | match[]=${text}`,
    ]),
    'label/U__a_20_label/values',
    'label/U__a_20_label/values | match[]={"grüße.total"}',
    'label/U__none_20_such/values',
    ...[
      'wait_seconds',
      'histogram_avg(wait_seconds)',
      'sum(wait_seconds)',
      'histogram_quantile(0.5, wait_seconds)',
    ].map((query) => `query | query=${query} | time=<now>`),
    '/federate | match[]=wait_seconds | match[]=up',
  ].map((text) => ask(text))

for (const { which, skip } of versions) {
  describe(`the answers of ${which} about what was just written`, { skip }, () => {
    const span = 'start=<now-150> | end=<now+10>'
    let now = 0
    let pair: Pair
    before(async () => {
      now = Math.floor(Date.now() / 1000)
      pair = await startPair([alice, erin], (person) => startWritten(which, writtenAt(now, which), person))
    })
    after(() => pair.stop())
    const fresh = [...asksNow(), ...readsAt(0, Date.parse('2100-01-01'))]
    const asks = which === 'prometheus3' ? [...fresh, ...asksNow3(), ...searchesAt(span)] : fresh
    const who = [
      [alice, [...asks, ...asksAt('<now>', span, '30')]],
      [erin, asks],
    ] as const
    const clock = (): number => now
    same(() => pair, who, clock)

    // Prometheus answers 204 there, without a type and a body.
    it('have no exemplars of a query without a selector', async () => {
      const [through, judge] = await pair.ask(alice, ask(`query_exemplars | query=1 + 1 | ${within}`))
      assert.deepEqual(through, judge)
    })

    differs('the ring of exemplars', async () => {
      const config = 'storage: { exemplars: { max_exemplars: 20 } }\n'
      const small = await startPair([alice], (person) => startWritten(which, writtenAt(now, which), person, config))
      try {
        const [through, judge] = await small.ask(
          alice,
          timed(ask(`query_exemplars | query={__name__=~".+"} | ${span}`), now),
        )
        assert.equal(withoutNotice(through.text), '{"status":"success","data":[]}')
        assert.equal(judge.text.match(/trace_id/g)?.length, 20)
      } finally {
        await small.stop()
      }
    })

    differs('the moment of asking', async () => {
      const [through, judge] = await pair.ask(alice, ask('query | query=count(up)'))
      const timeless = ({ text }: Answer): string => withoutNotice(text).replace(/"value":\[[\d.]+,/, '"value":[')
      assert.notEqual(withoutNotice(through.text), judge.text)
      assert.equal(timeless(through), timeless(judge))
    })

    differs('the form of a federation', async () => {
      const accept = 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited'
      const question = ask('/federate | match[]=up')
      const [through, judge] = await pair.ask(alice, question, 'GET', { accept })
      assert.match(judge.type, /protobuf/)
      assert.deepEqual(through, (await pair.ask(alice, question))[1])
    })

    differs('a federation without match[]', async () => {
      const [through, judge] = await pair.ask(alice, ask('/federate'))
      assert.deepEqual([through.status, judge.status, judge.text], [422, 200, ''])
    })
  })
}

// Put on every series of a recording rule, which so come to be one and the same, and that is an error.
const sameLabels = Object.fromEntries(
  ['pod', 'instance', 'app', 'deployment', 'pod_template_hash', 'version', 'project'].map((label) => [label, 'x']),
)
/** Rules of one team, among them one that fails and one that counts what the database holds. */
function rulesOf(team: string): readonly object[] {
  const up = `up{namespace="${team}"}`
  const extra = `up{namespace="${team}",pod="extra"}`
  const about = 'pod {{ $labels.pod }} of <{{ $labels.namespace }}>'
  const counted = '{{ with query "count(up)" }}{{ . | first | value }}{{ end }}'
  return [
    {
      alert: `${team}Up`,
      expr: `${up} == 1`,
      labels: { severity: 'page' },
      annotations: { about },
      keep_firing_for: '9m',
    },
    { alert: `${team}Counted`, expr: `${extra} == 1`, annotations: { counted } },
    { alert: `${team}Lost`, expr: `count(${up}) > 0`, labels: { severity: 'page' } },
    { alert: `${team}Quiet`, expr: `${up} > 1`, for: '5m', labels: { severity: 'ticket', team } },
    { alert: `${team}Template`, expr: `${extra} == 1`, labels: { namespace: '{{ $labels.namespace }}' } },
    { record: `${team}:up:count`, expr: `count by (namespace) (${up})` },
    { record: `${team}:broken`, expr: `up{namespace="${team}",job="linkerd-proxy"}`, labels: sameLabels },
  ]
}
/** Rules that read more than one team's series, another's, or none. */
const rulesOfOthers: readonly object[] = [
  { alert: 'OfAll', expr: 'up == 1', labels: { severity: 'page', owner: 'platform' } },
  { alert: 'OfPayments', expr: 'up{namespace="payments"} == 1', labels: { severity: 'page', owner: 'payments' } },
  { alert: 'OfSome', expr: 'up{namespace=~"emojivoto|payments"} > 1' },
  { alert: 'OfNobody', expr: 'vector(1)' },
  { record: 'cluster:up:count', expr: 'count(up)' },
]
const sharedRule = (namespace: string): object => ({ alert: 'Shared', expr: 'vector(1)', labels: { namespace } })
const teamOf = (person: Person): string => teams.find((namespace) => person.holds({ namespace })) ?? ''

/** The groups of everybody, or what is left of them where there are only the rules of one person. */
function rulesText(person?: Person): string {
  const group = (name: string, rules: readonly object[]): object => ({ name, rules })
  if (person !== undefined) {
    const own = teamOf(person)
    return stringify({ groups: [group(own, rulesOf(own)), group('mixed', [sharedRule(own)])] })
  }
  const first = group('a first one', rulesOfOthers)
  const mixed = group('mixed', [...rulesOfOthers, ...teams.map(sharedRule)])
  return stringify({ groups: [first, ...teams.map((team) => group(team, rulesOf(team))), mixed] })
}

const fieldOf = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce((one: unknown, name) => Reflect.get(Object(one), name), value)
function listOf(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const list = fieldOf(value, ...path)
  assert.ok(Array.isArray(list), `${path.join('.')} is no list in ${JSON.stringify(value).slice(0, 300)}`)
  return list
}
const labelsOf = (value: unknown): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(Object(fieldOf(value, 'labels'))).map(([name, text]) => [name, String(text)]))
const rulesIn = (answer: unknown): readonly unknown[] =>
  listOf(answer, 'data', 'groups').flatMap((group) => listOf(group, 'rules'))
const targetsIn = (answer: unknown): readonly unknown[] => listOf(answer, 'data', 'activeTargets')
const alertsIn = (answer: unknown, name: string): readonly unknown[] =>
  listOf(answer, 'data', 'alerts').filter((alert) => labelsOf(alert)['alertname'] === name)
const familiesIn = (answer: unknown): readonly string[] => Object.keys(Object(fieldOf(answer, 'data')))
const parsed = ({ text }: Answer): unknown => JSON.parse(withoutNotice(Buffer.from(text, 'latin1').toString()))

// What is set aside of the answers that are taken apart. In quotes: the name of the difference in docs/api.md.

/** "the moments of scrapes and evaluations": when they were, and how long they took. */
const moments = new Set(['lastScrape', 'lastScrapeDuration', 'lastEvaluation', 'evaluationTime', 'activeAt'])
/** "the order of alerts and targets". */
const unordered = new Set(['alerts', 'activeTargets'])

/** "JSON that is written anew": the same values, with the fields of each object in one order. */
function canonical(value: unknown, name = ''): string {
  if (moments.has(name)) return typeof value
  if (Array.isArray(value)) {
    const items = value.map((item) => canonical(item))
    return `[${(unordered.has(name) ? items.toSorted() : items).join()}]`
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field, name)}`).join()}}`
}

/** A copy in which some fields are others; where a change is to undefined, without them. */
const changed = (value: unknown, change: (name: string, value: unknown) => unknown): unknown =>
  JSON.parse(JSON.stringify(value), (name, value: unknown) => change(name, value))
const only = (list: unknown, which: (item: unknown) => boolean): readonly unknown[] =>
  listOf({ list }, 'list').filter(which)
const isCount = (name: string, value: unknown): boolean => name === 'counted' && !String(value).startsWith('{{')

/** Of the gateway's answer. */
const setAsideThrough = (person: Person, answer: unknown): unknown =>
  changed(answer, (name, value) => {
    // "an alert of a rule that is not theirs"
    if (name === 'alerts') return only(value, (alert) => labelsOf(alert)['alertname'] !== 'OfAll')
    // "help texts of a shared name"
    if (name === 'shared') return only(value, (entry) => String(fieldOf(entry, 'help')).includes(teamOf(person)))
    // "what an annotation asks"
    return isCount(name, value) ? 'a number' : value
  })

/** Of the judge's answer. */
const setAsideJudge = (person: Person, answer: unknown): unknown =>
  changed(answer, (name, value) => {
    // "JSON that is written anew"
    if (name === 'alerts' && value === null) return undefined
    // "an alert without the label", "a target without the label"
    if (unordered.has(name)) return only(value, (item) => person.holds(labelsOf(item)))
    // "a rule whose label is a template"
    if (name === 'rules') return only(value, (rule) => !String(fieldOf(rule, 'name')).endsWith('Template'))
    // "an empty group"
    if (name === 'groups') return only(value, (group) => listOf(group, 'rules').length > 0)
    // "discovered labels and dropped targets"
    if (name === 'discoveredLabels') return {}
    if (name === 'droppedTargets') return []
    // "a family without series"
    if (name === 'droppedTargetCounts' || name === `${teamOf(person)}_silent`) return undefined
    // "what an annotation asks"
    return isCount(name, value) ? 'a number' : value
  })

/** Compares filtered answers as JSON, and errors of Prometheus's own as they are. */
function assertSameFiltered(person: Person, [through, judge]: readonly [Answer, Answer]): void {
  assert.deepEqual([through.status, through.type], [judge.status, judge.type], through.text)
  if (judge.status !== 200) return assert.equal(through.text, judge.text)
  const [ours, wanted] = [setAsideThrough(person, parsed(through)), setAsideJudge(person, parsed(judge))]
  return assert.equal(canonical(ours), canonical(wanted))
}

/** The questions whose answers are taken apart; `<team>` and `<file>` stand for the person's. */
const filtered: Readonly<Record<string, readonly string[]>> = {
  rules: [
    'type=',
    'type=alert',
    'type=record',
    'type=neither',
    'exclude_alerts=false',
    'exclude_alerts=true | type=alert',
    'rule_name[]=<team>Up',
    'rule_name[]=OfAll',
    'rule_name[]=Shared | rule_name[]=<team>:broken',
    'rule_group[]=mixed',
    'rule_group[]=payments',
    'rule_group[]=mixed | rule_group[]=a first one | type=record',
    'file[]=<file>',
    'file[]=/none',
    'match[]={severity="page"}',
    'match[]={severity="ticket"} | match[]={namespace=~".+"}',
    'match[]={owner=~".+"}',
  ],
  alerts: [''],
  targets: [
    'state=',
    'state=any',
    'state=active',
    'state=ACTIVE | scrapePool=extra',
    'state=dropped',
    'state=unheard-of',
    'scrapePool=linkerd-proxy',
    'scrapePool=linkerd-controller',
    'scrapePool=none',
  ],
  metadata: [
    'metric=',
    'metric=request_total',
    'metric=<team>_jobs',
    'metric=payments_jobs',
    'metric=go_goroutines',
    'metric=none',
    'limit=1000',
    'limit=-1',
    'limit_per_metric=5',
    'limit_per_metric=0',
  ],
}
const filteredAsks = Object.entries(filtered).flatMap(([path, all]) =>
  all.map((params) => (params === '' ? path : `${path} | ${params}`)),
)

/** Was every target scraped, and every rule evaluated since? */
async function isSettled(base: string, teams: readonly string[]): Promise<boolean> {
  const get = async (path: string): Promise<unknown> => parsed(await send(base, ask(path), 'GET'))
  const [rules, alerts, targets] = [await get('rules'), await get('alerts'), await get('targets')]
  const of = (team: string, all: readonly unknown[]): number =>
    all.filter((one) => labelsOf(one)['namespace'] === team).length
  const up = targetsIn(targets).filter((target) => fieldOf(target, 'health') === 'up')
  const times = rulesIn(rules).filter((rule) => fieldOf(rule, 'name') === 'OfAll').length
  return (
    [...targetsIn(targets), ...rulesIn(rules)].every((one) => fieldOf(one, 'health') !== 'unknown') &&
    teams.every((team) => of(team, up) > 1 && of(team, alertsIn(alerts, `${team}Up`)) === of(team, up)) &&
    teams.every((team) => of(team, alertsIn(alerts, 'OfAll')) === of(team, up) * times)
  )
}

async function settle(base: string, teams: readonly string[]): Promise<void> {
  for (let round = 0; round < 300; round += 1) {
    if (await isSettled(base, teams)) return
    await sleep(100)
  }
  assert.fail(`${teams.join()}: not every target is scraped, or not every rule evaluated`)
}

for (const { which, skip } of versions) {
  describe(`the answers of ${which} about what is scraped and evaluated`, { skip }, () => {
    const people = [alice, bob]
    let dir: string
    let file: string
    let targets: Scraped
    let pair: Pair
    before(async () => {
      dir = await mkdtemp(join(tmpdir(), 'bailiwick-rules-'))
      file = join(dir, 'rules.yml')
      targets = await startScraped()
      pair = await startPair(people, async (person) => {
        // One name for all, since an answer says where a rule stands: who is ready has read the file.
        await writeFile(file, rulesText(person))
        return startScraping(which, targets.configFor(person), file)
      })
      for (const person of people) await settle(pair.own(person), [teamOf(person)])
      await settle(pair.full, people.map(teamOf))
    })
    after(async () => {
      await pair.stop()
      await targets.stop()
      await rm(dir, { recursive: true, force: true })
    })
    /** Both answers to alice, as JSON. */
    const both = async (text: string): Promise<readonly [unknown, unknown]> => {
      const [through, judge] = await pair.ask(alice, ask(text))
      return [parsed(through), parsed(judge)]
    }

    for (const person of people) {
      describe(`to ${person.name}`, () => {
        for (const text of filteredAsks) {
          it(text, async () => {
            const named = text.replaceAll('<team>', teamOf(person)).replaceAll('<file>', file)
            assertSameFiltered(person, await pair.ask(person, ask(named)))
          })
        }
      })
    }
    it('hold something of each kind', async () => {
      const healths = (all: readonly unknown[]): readonly string[] =>
        [...new Set(all.map((one) => String(fieldOf(one, 'health'))))].toSorted()
      assert.deepEqual(healths(rulesIn((await both('rules'))[0])), ['err', 'ok'])
      assert.deepEqual(healths(targetsIn((await both('targets'))[0])), ['down', 'up'])
      assert.ok(alertsIn((await both('alerts'))[0], 'emojivotoUp').length > 1)
      assert.ok(familiesIn((await both('metadata'))[0]).length > 10)
    })
    it('are not those to somebody else', async () => {
      for (const path of Object.keys(filtered)) {
        const [through] = await pair.ask(bob, ask(path))
        const [, judge] = await pair.ask(alice, ask(path))
        assert.throws(() => assertSameFiltered(alice, [through, judge]), path)
      }
    })

    differs('the moments of scrapes and evaluations', async () => {
      const times = (answer: unknown): string =>
        targetsIn(answer)
          .map((one) => fieldOf(one, 'lastScrape'))
          .join()
      const [through, judge] = await both('targets | scrapePool=extra')
      assert.notEqual(times(through), times(judge))
    })
    differs('the order of alerts and targets', async () => {
      const orders = new Set<string>()
      for (let round = 0; round < 50 && orders.size < 2; round += 1) {
        const [, judge] = await both('alerts')
        orders.add(
          alertsIn(judge, 'emojivotoUp')
            .map((alert) => labelsOf(alert)['pod'])
            .join(),
        )
      }
      assert.equal(orders.size, 2, 'the judge itself has always the same order')
    })
    differs('JSON that is written anew', async () => {
      const [through, judge] = await pair.ask(alice, ask('metadata | metric=emojivoto_jobs'))
      assert.match(through.text, /Jobs <done> & \\"said\\"/)
      assert.match(judge.text, /Jobs \\u003cdone\\u003e \\u0026 \\"said\\"/)
    })
    differs('discovered labels and dropped targets', async () => {
      const [through, judge] = await both('targets | scrapePool=extra')
      const discovered = (answer: unknown): unknown => fieldOf(targetsIn(answer)[0], 'discoveredLabels')
      assert.deepEqual([discovered(through), fieldOf(through, 'data', 'droppedTargets')], [{}, []])
      assert.equal(fieldOf(through, 'data', 'droppedTargetCounts'), undefined)
      assert.equal(fieldOf(discovered(judge), 'job'), 'extra')
      assert.match(JSON.stringify(fieldOf(judge, 'data', 'droppedTargets')), /"pod":"dropped"/)
    })
    differs('a target without the label', async () => {
      const found = (await both('targets | scrapePool=kubernetes-nodes-cadvisor')).map((one) => targetsIn(one).length)
      assert.deepEqual(found, [0, 2])
    })
    differs('an alert without the label', async () => {
      assert.deepEqual(
        (await both('alerts')).map((one) => alertsIn(one, 'emojivotoLost').length),
        [0, 1],
      )
      const rule = rulesIn((await both('rules'))[0]).find((one) => fieldOf(one, 'name') === 'emojivotoLost')
      assert.deepEqual([fieldOf(rule, 'state'), fieldOf(rule, 'alerts')], ['firing', []])
    })
    differs('an alert of a rule that is not theirs', async () => {
      const [through = [], judge = []] = (await both('alerts')).map((one) => alertsIn(one, 'OfAll'))
      assert.ok(through.every((alert) => alice.holds(labelsOf(alert))))
      assert.deepEqual([through.length > 0, judge.length], [true, 0])
      assert.doesNotMatch(JSON.stringify((await both('rules'))[0]), /OfAll/)
    })
    differs('what an annotation asks', async () => {
      const [through = 0, judge = 0] = (await both('alerts')).map((one) =>
        Number(fieldOf(alertsIn(one, 'emojivotoCounted')[0], 'annotations', 'counted')),
      )
      assert.ok(through > judge && judge > 0, `${through}, ${judge}`)
    })
    differs('a rule whose label is a template', async () => {
      const has = (answer: unknown): boolean => JSON.stringify(answer).includes('"emojivotoTemplate"')
      assert.deepEqual((await both('rules')).map(has), [false, true])
      assert.deepEqual((await both('alerts')).map(has), [true, true])
    })
    const emptyGroup = async (): Promise<void> => {
      const sizes = (await both('rules | type=record')).map((one) =>
        listOf(one, 'data', 'groups').map((group) => listOf(group, 'rules').length),
      )
      assert.deepEqual(sizes, [[2], [2, 0]])
    }
    differs('an empty group', emptyGroup, which === 'prometheus3' && 'Prometheus 3 leaves it out, too')
    differs('help texts of a shared name', async () => {
      const helps = (await both('metadata | metric=shared')).map((answer) =>
        listOf(answer, 'data', 'shared').map((entry) => String(fieldOf(entry, 'help'))),
      )
      const says = (team: string): string => `What ${team} says of it.`
      assert.deepEqual(
        helps.map((all) => all.toSorted()),
        [teams.map(says).toSorted(), [says('emojivoto')]],
      )
    })
    differs('a family without series', async () => {
      const silent = (await both('metadata')).map((one) => familiesIn(one).includes('emojivoto_silent'))
      assert.deepEqual(silent, [false, true])
    })
    differs('which families a limit leaves', async () => {
      const whole = familiesIn((await both('metadata'))[0])
      const [through, judge] = (await both('metadata | limit=3')).map(familiesIn)
      assert.deepEqual([through, judge?.length], [whole.slice(0, 3), 3])
    })
    it('hold no metadata where none is wanted', async () => {
      assertSameFiltered(alice, await pair.ask(alice, ask('metadata | limit=0')))
    })

    /** Every page of one group, through the gateway and of the judge; the judge's own tokens lead from page to page. */
    const pages = async (): Promise<readonly (readonly [through: unknown, judge: unknown])[]> => {
      const found: (readonly [unknown, unknown])[] = []
      let next = ''
      do {
        const page = await both(`rules | group_limit=1${next}`)
        found.push([page[0], page[1]])
        const token = fieldOf(page[0], 'data', 'groupNextToken')
        next = typeof token === 'string' ? ` | group_next_token=${token}` : ''
      } while (next !== '')
      return found
    }
    const unpaged = which === 'prometheus' && 'Prometheus 2.42 has no pages'
    it('come in the same pages', { skip: unpaged }, async () => {
      const all = await pages()
      assert.ok(all.length > 1)
      const outline = (answer: unknown): unknown => [
        fieldOf(answer, 'data', 'groupNextToken'),
        rulesIn(answer)
          .map((rule) => fieldOf(rule, 'name'))
          // Not shown through the gateway: see "a rule whose label is a template".
          .filter((name) => name !== 'emojivotoTemplate'),
      ]
      for (const [through, judge] of all) assert.deepEqual(outline(through), outline(judge))
    })
    const paged = async (): Promise<void> => {
      const sizes = (await pages()).map((page) => page.map((one) => listOf(one, 'data', 'groups').length))
      assert.ok(sizes.every(([through]) => through === 1))
      assert.ok(sizes.every(([, judge = 0]) => judge > 1))
    }
    differs('pages of rules', paged, which === 'prometheus3' && 'Prometheus 3 has pages itself')
    const unwanted = { skip: unpaged }
    it('do not tell which labels the rules of others have', unwanted, async () => {
      const question = ask('rules | group_limit=1 | match[]={team="emojivoto"} | match[]={owner=~"pla.*"}')
      assertSameFiltered(alice, await pair.ask(alice, question))
    })
  })
}

describe('docs/api.md', () => {
  it('gives a reason for each difference that is shown here, and for no other', async () => {
    const page = await readFile(new URL('../../docs/api.md', import.meta.url), 'utf8')
    const section = page.split(/^## /m).find((part) => part.startsWith('What an answer equals')) ?? ''
    const told = [...section.matchAll(/^\| ([^|]+?) +\|/gm)].map(([, name = '']) => name)
    assert.deepEqual(told.slice(1).toSorted(), [...shown].toSorted())
  })
  it('speaks of every endpoint that is scoped or filtered: each is compared here', () => {
    const asked = [...asksAt(at, within, '1'), ...searchesAt(within), ...asksNow(), ...readsAt(0, 1)]
    const compared = new Set<string>([...asked, ...filteredAsks.map((text) => ask(text))].map(endpointOf))
    for (const [path, { treatment }] of Object.entries<Endpoint>(endpoints)) {
      const reads = ['query', 'selectors', 'read', 'filter'].includes(treatment.scope)
      assert.equal(compared.has(path), reads, path)
    }
  })
})
