// What a search finds is what a plain scan of the same lines finds: in the index, outside it, and half in it.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import type { ReviewFilter, Review, Within } from '../../../src/review/review.ts'
import { allRows, decision, never, noDuck, noon, outcome, ReviewLog } from '../../support/review-log.ts'
import type { Written } from '../../support/review-log.ts'

type Line = Partial<Record<string, unknown>>

const people = ['ada', 'bob', 'eve', 'u-ada']
const namespaces = ['shop', 'pay', 'pay-eu', 'team-a', 'team-b']
const scopes = [
  'namespace: shop',
  'namespace: pay, pay-*',
  'namespace: team-* but not team-b',
  'every series',
  'nothing',
  '',
]
const matchers = [
  { label: 'namespace', op: '=', value: 'shop' },
  { label: 'namespace', op: '=~', value: 'team-.*' },
  { label: 'dst_namespace', op: '=~', value: 'pay|shop' },
  { label: 'pod', op: '=', value: 'pay-eu-7' },
]

const entry = fc.record({
  person: fc.constantFrom(...people),
  at: fc.integer({ min: 0, max: 40_000 }).map((ms) => noon + ms * 10),
  cluster: fc.constantFrom('east', 'west', null),
  deny: fc.boolean(),
  scope: fc.constantFrom(...scopes),
  matcher: fc.constantFrom(...matchers, null),
  metric: fc.constantFrom('up', 'rate_total', null),
  dashboard: fc.constantFrom('d1', 'd2', null),
  text: fc.constantFrom('sum(up)', "x{a='1'}", '$1 OR true', 'a"; --'),
  group: fc.constantFrom('team', 'sre'),
  answered: fc.boolean(),
})

const filter: fc.Arbitrary<ReviewFilter> = fc.record(
  {
    person: fc.constantFrom(...people, 'nobody', "x' OR '1'='1"),
    group: fc.constantFrom('team', 'sre', 'none'),
    namespace: fc.constantFrom(...namespaces, 'other'),
    metric: fc.constantFrom('up', 'rate_total', 'none'),
    cluster: fc.constantFrom('east', 'west'),
    decision: fc.constantFrom('allow' as const, 'deny' as const),
    kind: fc.constantFrom('decision', 'log.opened', 'login.failed'),
    dashboard: fc.constantFrom('d1', 'd2'),
    text: fc.constantFrom('up', "'1'", '$1', '; --', '%'),
    from: fc.integer({ min: 0, max: 400_000 }).map((ms) => noon + ms),
    to: fc.integer({ min: 0, max: 400_000 }).map((ms) => noon + ms),
  },
  { requiredKeys: [] },
)
const withins = fc.constantFrom<Within[]>('all', ['east'], ['east', 'west'], [], ["east') OR true --"])

function entriesOf(made: readonly (typeof entry extends fc.Arbitrary<infer T> ? T : never)[]): readonly Written[] {
  return made.flatMap(
    ({ person, at, cluster, deny, scope, matcher, metric, dashboard, text, group, answered }, index) => {
      const request = `r-${index}`
      const sent =
        matcher === null ? text : `${metric ?? ''}{${matcher.label}${matcher.op}${JSON.stringify(matcher.value)}}`
      const made = decision(request, {
        ...{ person, cluster, scope, decision: deny ? 'deny' : 'allow', asked: [['query', text]] },
        ...(deny ? { reason: 'not_allowed', sent: null } : { sent: [{ path: '/q', params: [['query', sent]] }] }),
        ...{ selectors: [{ metric, matchers: matcher === null ? [] : [matcher] }] },
        ...(dashboard === null ? {} : { claimed: { 'x-dashboard-uid': dashboard } }),
      })
      const who = made.who === null ? null : { ...made.who, groups: [group] }
      const written: Written = { at, entry: { ...made, who } }
      return answered ? [written, { at: at + 5, entry: outcome(request) }] : [written]
    },
  )
}

/** Which namespaces the parts of a record name, read in the plainest way; a pattern counts for all that it matches. */
function names(line: Line, namespace: string): boolean {
  const text = JSON.stringify([line['scope'], line['selectors'], line['sent']])
  const whole = new RegExp(`(?<![a-z0-9-])${namespace}(?![a-z0-9-])`).test(text)
  const globs = [...String(line['scope']).matchAll(/[a-z-]*\*/g)].map(([glob]) => glob.slice(0, -1))
  const regexes = [...text.matchAll(/"(?:op":"=~","value":"|[^"]*namespace=~\\")([a-z|.*-]+)/g)].map(
    ([, one = '']) => one,
  )
  return (
    whole ||
    globs.some((start) => namespace.startsWith(start)) ||
    regexes.some((one) => new RegExp(`^(?:${one})$`).test(namespace))
  )
}

function matches(line: Line, wanted: ReviewFilter, within: Within): boolean {
  const { subject, name, groups }: Line = Object(line['who'])
  const { person, group, namespace, cluster, decision, kind, dashboard, text, from, to, metric } = wanted
  const at = Date.parse(String(line['ts']))
  const selectors: readonly unknown[] = Array.isArray(line['selectors']) ? line['selectors'] : []
  return (
    (within === 'all' || within.includes(String(line['cluster']))) &&
    (person === undefined || subject === person || name === person) &&
    (group === undefined || (Array.isArray(groups) && groups.includes(group))) &&
    (namespace === undefined || names(line, namespace)) &&
    (metric === undefined || selectors.some((one) => Object(one).metric === metric)) &&
    (cluster === undefined || line['cluster'] === cluster) &&
    (decision === undefined || line['decision'] === decision) &&
    (kind === undefined || line['kind'] === kind) &&
    (dashboard === undefined || Object(line['claimed'])['x-dashboard-uid'] === dashboard) &&
    (text === undefined || String(Object(line['asked'])[0]?.[1] ?? '').includes(text)) &&
    (from === undefined || at >= from) &&
    (to === undefined || at < to)
  )
}

describe('a search', { skip: noDuck }, () => {
  let world: ReviewLog
  let review: Review
  let lines: readonly Line[]
  const sample = fc.sample(fc.array(entry, { minLength: 120, maxLength: 120 }), { numRuns: 3, seed: 7 })
  before(async () => {
    world = await ReviewLog.create()
    const [one = [], two = [], three = []] = sample.map((made, round) =>
      entriesOf(made).map(({ at, entry }) => ({
        at,
        entry: 'request' in entry ? { ...entry, request: `${round}-${entry.request}` } : entry,
      })),
    )
    await world.segment(one)
    await world.segment(two)
    await world.segment(three, false)
    lines = (await world.lines()).map((line): Line => JSON.parse(line)).filter(({ kind }) => kind !== 'outcome')
    review = await world.indexed(three.length + 1)
  })
  after(() => world.remove())

  const keys = (all: readonly { readonly seq?: unknown }[]): readonly number[] =>
    all.map(({ seq }) => Number(seq)).toSorted((one, other) => one - other)

  const keysInOrder = (all: readonly { readonly seq: number }[]): readonly number[] => all.map(({ seq }) => seq)

  it('looks in the index as well as in the segment that is not closed', () => {
    assert.ok(review.status().indexed > 200)
    assert.ok(review.status().waiting > 100)
  })

  it('finds what a plain scan finds, whatever the filter and the rights', async () => {
    await fc.assert(
      fc.asyncProperty(filter, withins, async ({ namespace, ...plain }, within) => {
        const expected = lines.filter((line) => matches(line, plain, within))
        assert.deepEqual(keys(await allRows(review, plain, { within, limit: 50 })), keys(expected))
        assert.ok(namespace === undefined || expected.length >= 0)
      }),
      { numRuns: 60 },
    )
  })

  it('misses nothing that a record names of a namespace, and shows nobody else’s', async () => {
    await fc.assert(
      fc.asyncProperty(filter, withins, async (wanted, within) => {
        const { namespace = 'shop', ...rest } = wanted
        const found = new Set(keys(await allRows(review, { ...rest, namespace }, { within, limit: 50 })))
        const named = lines.filter((line) => matches(line, { ...rest, namespace }, within))
        for (const seq of keys(named)) assert.ok(found.has(seq), `record ${seq} is missed for ${namespace}`)
        const allowed = new Set(keys(lines.filter((line) => matches(line, rest, within))))
        for (const seq of found) assert.ok(allowed.has(seq))
      }),
      { numRuns: 60 },
    )
  })

  it('leaves out what names another namespace only', async () => {
    const rows = await allRows(review, { namespace: 'other' })
    const open = lines.filter((line) => line['scope'] === 'every series' && line['decision'] === 'allow')
    assert.ok(rows.length <= open.length, `${rows.length} rows for a namespace that nothing names`)
  })

  it('comes newest first, and no page skips or repeats a row', async () => {
    const whole = await allRows(review, {}, { limit: 1000 })
    const inOrder = async (filter: ReviewFilter, limit: number): Promise<void> => {
      const expected = whole.filter(
        ({ name, ts }) =>
          filter.person === undefined || (name === filter.person && Date.parse(ts) >= (filter.from ?? 0)),
      )
      const paged = await allRows(review, filter, { limit })
      assert.deepEqual(keysInOrder(paged), keysInOrder(expected), `${limit} rows a page`)
    }
    await inOrder({}, 13)
    await inOrder({}, 99)
    await inOrder({ person: 'bob', from: noon + 300_000 }, 1)
    const times = whole.map(({ ts }) => ts)
    assert.deepEqual(times, times.toSorted().toReversed())
  })

  it('joins outcomes, in the index and outside it', async () => {
    const answered = new Set(
      (await world.lines())
        .map((line): Line => JSON.parse(line))
        .filter(({ kind }) => kind === 'outcome')
        .map(({ request }) => request),
    )
    for (const row of await allRows(review, { kind: 'decision' })) {
      assert.equal(row.status, answered.has(row.request) ? 200 : null, `record ${row.seq}`)
    }
  })

  it('tells of each record its metrics, its rules and what was granted, in the index and outside it', async () => {
    const told = await allRows(review, { kind: 'decision' })
    assert.ok(told.length > 300)
    const bySeq = new Map(lines.map((line) => [line['seq'], line]))
    for (const { seq, metrics, rules, scope } of told) {
      const { selectors, because, scope: granted } = bySeq.get(seq) ?? {}
      const named = (Array.isArray(selectors) ? selectors : []).flatMap((one: unknown) => Object(one).metric ?? [])
      assert.deepEqual({ metrics, rules, scope }, { metrics: named, rules: because, scope: granted })
    }
  })

  it('refuses a cursor that is none, and a page of no size', async () => {
    for (const after of ['', 'x', 'WzFd', Buffer.from('[1,2,3]').toString('base64url'), 'a'.repeat(5_000), "';--"]) {
      const answer = await review.search({}, 'all', { after, limit: 10 }, never)
      assert.equal(answer.ok ? 'answered' : answer.error.code, 'refused', after)
    }
    for (const limit of [0, -1, 1.5, 100_000, Number.NaN]) {
      const answer = await review.search({}, 'all', { after: null, limit }, never)
      assert.equal(answer.ok ? 'answered' : answer.error.code, 'refused', String(limit))
    }
  })

  it('is stopped when nobody waits any more', async () => {
    const stop = new AbortController()
    const asked = review.search({}, 'all', { after: null, limit: 10 }, stop.signal)
    stop.abort()
    const answer = await asked
    assert.equal(answer.ok ? 'answered' : answer.error.code, 'stopped')
  })

  it('answers busy where too many wait', async () => {
    const asked = Array.from({ length: 60 }, () => review.search({}, 'all', { after: null, limit: 1 }, never))
    const codes = new Set((await Promise.all(asked)).map((answer) => (answer.ok ? 'answered' : answer.error.code)))
    assert.deepEqual([...codes].toSorted(), ['answered', 'busy'])
  })
})
