import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeHistory } from '../../demo/parts/linkerd-history.ts'
import { findPrometheus } from '../../demo/parts/prometheus-binary.ts'
import { rewriteQuery, rewriteSelector, scopeSelector } from '../../src/promql/rewrite.ts'
import { window } from '../support/world.ts'
import type { DataScope } from './scopes.ts'
import { each, formatted, startServer } from './server.ts'
import type { Answer, Server, Which } from './server.ts'

const cacheDir = fileURLToPath(new URL('../../.cache', import.meta.url))

/** A Prometheus with the fixture, or with those of its series that `scope` holds. */
export async function startDatabase(which: Which, scope?: DataScope): Promise<Server> {
  const { promtool } = await findPrometheus({ cacheDir, tell: () => {} })
  const { dataDir } = await writeHistory({
    ...window,
    promtool,
    dir: join(cacheDir, 'history'),
    tell: () => {},
    ...(scope === undefined ? {} : { only: scope.holds }),
  })
  const server = await startServer(which, { dataDir })
  return {
    ...server,
    async stop() {
      await server.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/**
 * A query whose two answers differ, or a refusal that cannot be justified. Known kinds:
 * - `unsteady`: the same series with numbers that differ by less than a billionth, and the filtered database, asked
 *   again, differs from itself as well: Prometheus 2 adds up some sums in an order that changes;
 * - `rounding`: the same, but steady. Only for scopes with several alternatives, where `or` gives another order;
 * - `ties`: topk, bottomk or limitk chose other series with exactly the same values; only there, too.
 */
export interface Difference {
  readonly kind: 'unsteady' | 'rounding' | 'ties' | 'other'
  readonly query: string
  readonly how: 'instant' | 'range' | 'refusal' | 'match[]'
  readonly detail: string
}

export interface Verdict {
  readonly equal: number
  /** Of the equal ones, those with at least one series in the instant answer. */
  readonly withData: number
  /** Queries that we refuse, by reason, each refusal justified. */
  readonly refused: ReadonlyMap<string, number>
  readonly differences: readonly Difference[]
}

const at = { time: String(Date.parse('2026-11-20T03:05:00Z') / 1000), timeout: '20s' }
const span = {
  start: String(Date.parse('2026-11-20T02:35:00Z') / 1000),
  end: String(Date.parse('2026-11-20T03:35:00Z') / 1000),
}

/** Asks `full` the rewritten query and `filtered` the original, at one time and over a range, and compares. */
export async function compareAll(
  full: Server,
  filtered: Server,
  scope: DataScope,
  queries: readonly string[],
): Promise<Verdict> {
  let equal = 0
  let withData = 0
  const refused = new Map<string, number>()
  const differences: Difference[] = []
  await each(queries, async (query) => {
    // What this Prometheus does not read has no answer to compare; judge a looks at those.
    if ((await formatted(full, query)) === undefined) return
    const result = rewriteQuery(query, scope.scope)
    if (!result.ok) {
      const { reason, message } = result.error
      refused.set(reason, (refused.get(reason) ?? 0) + 1)
      const detail = await unjustified(filtered, query, reason, message)
      if (detail !== undefined) differences.push({ kind: 'other', query, how: 'refusal', detail })
      return
    }
    const { sent, type } = result.value
    const instant = await compare(full, filtered, '/api/v1/query', query, sent, at)
    if (instant !== undefined) differences.push({ ...instant, query, how: 'instant' })
    const ranged = type === 'vector' || type === 'scalar'
    const form = { ...span, step: '300' }
    const range = ranged ? await compare(full, filtered, '/api/v1/query_range', query, sent, form) : undefined
    if (range !== undefined) differences.push({ ...range, query, how: 'range' })
    if (instant !== undefined || range !== undefined) return
    equal++
    const answer = await filtered.post('/api/v1/query', { query, ...at })
    if (answer.status === 200 && setOf(answer).length > 0) withData++
  })
  return { equal, withData, refused, differences }
}

async function compare(
  full: Server,
  filtered: Server,
  path: string,
  query: string,
  sent: string,
  form: Readonly<Record<string, string>>,
): Promise<Pick<Difference, 'kind' | 'detail'> | undefined> {
  const ours = await full.post(path, { query: sent, ...form })
  const judge = await filtered.post(path, { query, ...form })
  const detail = differenceOf(ours, judge)
  if (detail === undefined) return undefined
  const kind = kindOf(ours, judge, query)
  if (kind !== 'rounding') return { kind, detail }
  for (let again = 0; again < 20; again++) {
    const other = await filtered.post(path, { query, ...form })
    const differs = differenceOf(other, judge) !== undefined
    if (differs && kindOf(other, judge, query) === 'rounding') return { kind: 'unsteady', detail }
  }
  return { kind, detail }
}

/** Series, label names and label values for each `match[]`, and for none at all where an endpoint allows that. */
export async function compareMatches(
  full: Server,
  filtered: Server,
  scope: DataScope,
  matches: readonly string[],
): Promise<readonly Difference[]> {
  const differences: Difference[] = []
  const paths = ['/api/v1/series', '/api/v1/labels', '/api/v1/label/namespace/values', '/api/v1/label/pod/values']
  const compare = async (query: string, path: string, sent: readonly string[], asked: readonly string[]) => {
    const ask = (server: Server, selectors: readonly string[]): Promise<Answer> => {
      const form = new URLSearchParams(span)
      for (const selector of selectors) form.append('match[]', selector)
      return path.includes('/label/') ? server.get(path, form) : server.post(path, form)
    }
    const detail = differenceOf(await ask(full, sent), await ask(filtered, asked))
    if (detail !== undefined) differences.push({ kind: 'other', query: `${path} ${query}`, how: 'match[]', detail })
  }
  for (const path of paths.slice(1)) await compare('(none)', path, scopeSelector(scope.scope), [])
  for (const match of matches) {
    if ((await formatted(full, match)) === undefined) continue
    const result = rewriteSelector(match, scope.scope)
    if (result.ok) for (const path of paths) await compare(match, path, result.value.sent, [match])
    else {
      const detail = await unjustified(filtered, match, result.error.reason, result.error.message)
      if (detail !== undefined) differences.push({ kind: 'other', query: match, how: 'refusal', detail })
    }
  }
  return differences
}

/**
 * May this refusal be? `not_allowed` must name values that the user did write, and the filtered database, which knows
 * nothing of our scopes, must hold no series with any of them.
 * @returns what is wrong with it, or undefined
 */
async function unjustified(
  filtered: Server,
  query: string,
  reason: string,
  message: string,
): Promise<string | undefined> {
  if (reason === 'unsupported') return /\binfo\b/i.test(query) ? undefined : `unsupported: ${message}`
  if (reason !== 'not_allowed') return `${reason}: ${message}`
  const label = /you may not see (\w+) "/.exec(message)?.[1]
  const values = [...message.matchAll(/"([^"]+)"/g)].map(([, value]) => value ?? '')
  if (label === undefined || values.length === 0) return `names nothing: ${message}`
  for (const value of values) {
    if (!query.includes(value)) return `the query does not name ${value}`
    const answer = await filtered.post('/api/v1/query', { query: `count({${label}="${value}"})`, ...at })
    if (answer.status !== 200 || setOf(answer).length > 0) return `${label}="${value}" may be seen, but was refused`
  }
  return undefined
}

const resultOf = ({ data }: Answer): unknown => (Array.isArray(data) ? data : Reflect.get(Object(data), 'result'))

/** The answer as a set: each series as text. A scalar or a string is a set of one. */
function setOf(answer: Answer): readonly string[] {
  const result = resultOf(answer)
  const type: unknown = Array.isArray(answer.data) ? 'list' : Reflect.get(Object(answer.data), 'resultType')
  if (type === 'scalar' || type === 'string') return [JSON.stringify(result)]
  return Array.isArray(result) ? result.map(canonical).toSorted() : []
}

const sorted = (value: object): object =>
  Object.fromEntries(Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)))

/** A series with its labels sorted; numbers stay the text that Prometheus wrote. */
function canonical(series: unknown): string {
  if (typeof series !== 'object' || series === null) return JSON.stringify(series)
  const metric: unknown = Reflect.get(series, 'metric')
  return JSON.stringify(
    typeof metric === 'object' && metric !== null ? { ...series, metric: sorted(metric) } : sorted(series),
  )
}

/** @returns how two answers differ, or undefined. Two errors are equal when they are of one type. */
function differenceOf(ours: Answer, judge: Answer): string | undefined {
  if (ours.status !== judge.status || ours.errorType !== judge.errorType) {
    return `we: ${ours.status} ${ours.error}; judge: ${judge.status} ${judge.error}`.slice(0, 600)
  }
  const [one, other] = [setOf(ours), setOf(judge)]
  const only = (mine: readonly string[], theirs: readonly string[]) => mine.find((item) => !theirs.includes(item))
  if (one.length === other.length && one.every((item, index) => item === other[index])) return undefined
  const text = `${one.length} and ${other.length} series; only we: ${only(one, other)}; only the judge: ${only(other, one)}`
  return text.slice(0, 900)
}

/** `samples` are texts such as `1795143900,0.5`. */
interface Samples {
  readonly key: string
  readonly samples: readonly string[]
}

/** The series of a vector or a matrix by their labels; undefined for anything else, such as a scalar. */
function samplesOf(answer: Answer): readonly Samples[] | undefined {
  const result = resultOf(answer)
  if (!Array.isArray(result)) return undefined
  return result
    .map((series: unknown) => {
      const at = (field: string): unknown => Reflect.get(Object(series), field)
      const values = at('values')
      const samples: readonly unknown[] = Array.isArray(values) ? values : [at('value')]
      return { key: JSON.stringify(sorted(Object(at('metric')))), samples: samples.map(String) }
    })
    .toSorted((one, other) => (one.key < other.key ? -1 : 1))
}

function near(one: string | undefined, other: string): boolean {
  if (one === other) return true
  const [time, left = NaN] = (one ?? '').split(',').map(Number)
  const [otherTime, right = NaN] = other.split(',').map(Number)
  return time === otherTime && Math.abs(left - right) <= 1e-9 * Math.max(1, Math.abs(left), Math.abs(right))
}

/** Says of two answers that differ how they do. */
function kindOf(ours: Answer, judge: Answer, query: string): Difference['kind'] {
  const [one, other] = [samplesOf(ours), samplesOf(judge)]
  if (ours.status !== 200 || judge.status !== 200 || one === undefined || other === undefined) return 'other'
  const alike = ({ key, samples }: Samples, theirs: Samples | undefined): boolean =>
    theirs?.key === key &&
    theirs.samples.length === samples.length &&
    samples.every((sample, index) => near(theirs.samples[index], sample))
  const rounding = one.length === other.length && one.every((series, index) => alike(series, other[index]))
  if (rounding) return 'rounding'
  const values = (all: readonly Samples[]): string => JSON.stringify(all.flatMap(({ samples }) => samples).toSorted())
  return /\b(?:topk|bottomk|limitk)\b/i.test(query) && values(one) === values(other) ? 'ties' : 'other'
}
