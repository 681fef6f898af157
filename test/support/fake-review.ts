import { fail, ok } from '../../src/result.ts'
import type { FoundRecord, Review, ReviewFailure, ReviewFilter, ReviewRow, Within } from '../../src/review/review.ts'

type Line = Readonly<Record<string, unknown>>

/** A review over records in memory, that a test can make fail. It knows nothing of an index. */
export interface FakeReview extends Review {
  /** What every method answers from now on; null: what it finds. */
  failWith(failure: ReviewFailure | null): void
  /** What happens while an export is made. */
  whileExporting(run: () => Promise<void>): void
  /** What was asked, in order. */
  readonly asked: readonly (readonly [method: string, ...args: unknown[]])[]
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
const inner = (value: unknown, name: string): unknown => Reflect.get(Object(value ?? {}), name)

const textsIn = (list: unknown, name: string): readonly string[] =>
  Array.isArray(list) ? list.map((one: unknown) => textOf(inner(one, name))).filter((text) => text !== '') : []

/** Reads the records anew at each question. */
export function fakeReview(read: () => Promise<readonly FoundRecord[]>): FakeReview {
  let failure: ReviewFailure | null = null
  let meanwhile = async (): Promise<void> => {}
  const asked: (readonly [string, ...unknown[]])[] = []
  const all = async () => (await read()).map((found) => ({ found, line: parsed(found.line) }))
  const chosen = async (filter: ReviewFilter, within: Within) => {
    const records = await all()
    const outcomes = new Map(
      records.filter(({ line }) => line['kind'] === 'outcome').map((one) => [one.line['request'], one.line]),
    )
    return records
      .filter(({ line }) => line['kind'] !== 'outcome' && fits(line, filter, within))
      .map(({ found, line }) => rowOf(found, line, outcomes.get(line['request'])))
      .toReversed()
  }
  return {
    asked,
    failWith: (with_) => void (failure = with_),
    whileExporting: (run) => void (meanwhile = run),
    async search(filter, within, page) {
      asked.push(['search', filter, within, page])
      if (failure !== null) return fail(failure)
      const rows = await chosen(filter, within)
      const start = page.after === null ? 0 : Number(Buffer.from(page.after, 'base64url').toString())
      if (Number.isNaN(start))
        return fail({
          code: 'refused',
          reason: 'this is not where a page goes on',
          remedy: 'begin with the first page',
        })
      const end = start + page.limit
      return ok({
        rows: rows.slice(start, end),
        next: end < rows.length ? Buffer.from(String(end)).toString('base64url') : null,
      })
    },
    async timeline(filter, within) {
      asked.push(['timeline', filter, within])
      if (failure !== null) return fail(failure)
      return ok(timelineOf(await chosen(filter, within), await all(), filter))
    },
    async request(id, within) {
      asked.push(['request', id, within])
      if (failure !== null) return fail(failure)
      const records = (await all()).filter(({ line }) => line['request'] === id)
      const seen = records.some(({ line }) => line['kind'] !== 'outcome' && fits(line, {}, within))
      return ok(seen ? records.map(({ found }) => found) : [])
    },
    async sql(text) {
      asked.push(['sql', text])
      if (failure !== null) return fail(failure)
      if (!/^select/i.test(text))
        return fail({ code: 'refused', reason: 'this is no SELECT', remedy: 'ask with a single SELECT' })
      return ok({
        columns: ['text', 'number'],
        rows: [
          [text, 12_345],
          [null, 2],
        ],
        cut: true,
      })
    },
    async export(filter, within, format, progress) {
      asked.push(['export', filter, within, format])
      if (failure !== null) return fail(failure)
      progress(7)
      await meanwhile()
      return ok({ path: import.meta.filename, records: 2, bytes: 10, sha256: 'ab'.repeat(32), done: async () => {} })
    },
    status: () => ({ state: 'ready', indexed: 1_200_000, waiting: 12, failure: null }),
    stop: async () => {},
  }
}

function parsed(text: string): Line {
  const value: unknown = JSON.parse(text)
  return Object.fromEntries(Object.entries(Object(value)))
}

function fits(line: Line, filter: ReviewFilter, within: Within): boolean {
  const { person, group, namespace, metric, cluster, decision, kind, dashboard, text, from, to } = filter
  const who = line['who']
  const at = Date.parse(textOf(line['ts']))
  const whole = JSON.stringify(line)
  return (
    (within === 'all' || within.includes(textOf(line['cluster']))) &&
    (person === undefined || [inner(who, 'subject'), inner(who, 'name')].includes(person)) &&
    (group === undefined || JSON.stringify(inner(who, 'groups') ?? []).includes(JSON.stringify(group))) &&
    (namespace === undefined || whole.includes(namespace)) &&
    (metric === undefined || whole.includes(`"metric":"${metric}"`)) &&
    (cluster === undefined || line['cluster'] === cluster) &&
    (decision === undefined || line['decision'] === decision) &&
    (kind === undefined || line['kind'] === kind) &&
    (dashboard === undefined || Object.values(Object(line['claimed'] ?? {})).includes(dashboard)) &&
    (text === undefined || queryOf(line).includes(text)) &&
    (from === undefined || at >= from) &&
    (to === undefined || at < to)
  )
}

function queryOf(line: Line): string {
  const pairs = Array.isArray(line['asked']) ? line['asked'] : []
  return pairs
    .flatMap((pair: unknown) =>
      Array.isArray(pair) && ['query', 'match[]'].includes(textOf(pair[0])) ? [textOf(pair[1])] : [],
    )
    .join(' ')
}

function rowOf({ log, seq }: FoundRecord, line: Line, outcome: Line | undefined): ReviewRow {
  const who = line['who']
  const claimed = line['claimed']
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)
  const number = (name: string): number | null => (typeof outcome?.[name] === 'number' ? outcome[name] : null)
  const decision = line['decision']
  return {
    log,
    seq,
    ts: textOf(line['ts']),
    kind: textOf(line['kind']),
    request: text(line['request']),
    name: text(inner(who, 'name')),
    subject: text(inner(who, 'subject')),
    cluster: text(line['cluster']),
    endpoint: text(line['endpoint']),
    asked: queryOf(line),
    decision: decision === 'allow' || decision === 'deny' ? decision : null,
    reason: text(line['reason']),
    dashboard: text(inner(claimed, 'x-dashboard-title')) ?? text(inner(claimed, 'x-dashboard-uid')),
    metrics: textsIn(line['selectors'], 'metric'),
    rules: Array.isArray(line['because']) ? line['because'].map(String) : [],
    scope: textOf(line['scope']),
    status: number('status'),
    ms: number('ms'),
    bytes: number('bytes'),
    series: number('series'),
    repeats: typeof line['repeats'] === 'number' ? line['repeats'] : 1,
  }
}

function timelineOf(rows: readonly ReviewRow[], records: readonly { readonly line: Line }[], filter: ReviewFilter) {
  const times = rows.map(({ ts }) => Date.parse(ts))
  const from = filter.from ?? Math.min(...times, Date.parse('2026-01-01T00:00:00Z'))
  const to = Math.max(from + 1, filter.to ?? Math.max(...times, from) + 1)
  const step = [1_000, 60_000, 900_000, 3_600_000, 86_400_000].find((one) => (to - from) / one <= 120) ?? 7 * 86_400_000
  const first = Math.floor(from / step)
  const buckets = Array.from({ length: Math.floor((to - 1) / step) - first + 1 }, (_, index) => {
    const at = (first + index) * step
    const here = rows.filter((_, row) => Math.floor((times[row] ?? 0) / step) === first + index)
    const refused = here.filter(({ decision }) => decision === 'deny').length
    return { at, allowed: here.length - refused, refused, people: new Set(here.map(({ subject }) => subject)).size }
  })
  const count = (values: (row: ReviewRow) => readonly string[]) => {
    const sums = new Map<string, { requests: number; refused: number }>()
    for (const row of rows) {
      for (const value of values(row)) {
        const { requests, refused } = sums.get(value) ?? { requests: 0, refused: 0 }
        sums.set(value, { requests: requests + 1, refused: refused + (row.decision === 'deny' ? 1 : 0) })
      }
    }
    return [...sums]
      .map(([value, sum]) => ({ value, ...sum }))
      .toSorted((one, other) => other.requests - one.requests)
      .slice(0, 10)
  }
  const lines = new Map(records.map(({ line }) => [line['request'], line]))
  const namespaces = (row: ReviewRow) =>
    /namespace: ([a-z-]+)/.exec(textOf(lines.get(row.request)?.['scope']))?.slice(1) ?? []
  return {
    from,
    to,
    step,
    buckets,
    people: count(({ name, subject }) => [name ?? subject ?? ''].filter((one) => one !== '')),
    namespaces: count(namespaces),
    dashboards: count(({ dashboard }) => (dashboard === null ? [] : [dashboard])),
  }
}
