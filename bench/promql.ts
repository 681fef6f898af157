// What the PromQL room costs: µs per dashboard query beside another parser, and how its time grows with hostile input.
// Run: node bench/promql.ts
//
// On a machine with other work, any one time is luck. So the steps take turns, round by round, and the least and the
// median of the rounds are shown: compare these, and compare steps of one run only.
import { existsSync, readFileSync } from 'node:fs'
import { defaultLimits } from '../src/promql/limits.ts'
import { parse, parseQuery } from '../src/promql/parser.ts'
import { print } from '../src/promql/print.ts'
import { rewriteQuery } from '../src/promql/rewrite.ts'
import type { Alternative, PromqlError, Scope } from '../src/promql/rewrite.ts'
import { scopeExpr } from '../src/promql/union.ts'
import { verify } from '../src/promql/verify.ts'
import type { Result } from '../src/result.ts'

const own = [
  'sum(irate(response_total{classification="success", namespace="emojivoto", direction="inbound"}[2m])) by (deployment) / sum(irate(response_total{namespace="emojivoto", direction="inbound"}[2m])) by (deployment) >= 0',
  'histogram_quantile(0.95, sum(rate(response_latency_ms_bucket{namespace="books", deployment="web", direction="inbound"}[30s])) by (le, deployment))',
  'sum(irate(request_total{namespace="books", direction="outbound", dst_namespace=~".*", tls="true"}[5m])) by (dst_namespace, dst_deployment)',
  'count(count(request_total{dst_namespace!="", namespace="books"}) by (namespace, deployment))',
  'sum(process_resident_memory_bytes{job="linkerd-proxy", namespace="books"}) by (pod)',
  'sum(rate(tcp_read_bytes_total{namespace="books", peer="src", direction="inbound"}[1m])) by (pod)',
  'increase(response_total{job="linkerd-proxy", namespace="books", classification="failure"}[5m]) > 0',
  'sum by (rt_route, dst) (rate(route_response_total{namespace="books", direction="outbound"}[5m]))',
  'sum(rate(control_request_total{namespace="linkerd"}[1m])) by (addr)',
  '(time() - process_start_time_seconds{namespace="books"}) / 60',
  'topk(10, sum(rate(inbound_http_authz_deny_total{namespace="books"}[5m])) by (client_id, srv_name))',
  '1+1',
]

const shared = new URL('../../shared/linkerd/queries.json', import.meta.url)

function dashboardQueries(): string[] {
  if (!existsSync(shared)) return own
  const entries: { concrete: string }[] = JSON.parse(readFileSync(shared, 'utf8'))
  return entries.map(({ concrete }) => concrete)
}

const scope: Scope = {
  kind: 'labels',
  alternatives: [
    { label: 'namespace', allow: ['emojivoto', 'books*', 'payments', 'batch', 'ops', 'linkerd*'], deny: [] },
  ],
}
const [first] = scope.alternatives
const destination: Alternative = { ...first, label: 'dst_namespace' }
const union: Scope = { kind: 'labels', alternatives: [first, destination] }
const families: Scope = {
  ...union,
  families: [
    { metrics: 'outbound_*', alternatives: [first, { ...first, label: 'parent_namespace' }] },
    { metrics: 'inbound_*', alternatives: [first] },
    { metrics: 'route_*', alternatives: [first, { ...first, label: 'dst' }] },
  ],
}

const queries = dashboardQueries()
const parsed = queries.map((text) => parse(text, defaultLimits).expr)
const scoped = parsed.map((expr) => valueOf(scopeExpr(expr, scope)).expr)
const sent = queries.map((text) => valueOf(rewriteQuery(text, scope)).sent)

function valueOf<T>(result: Result<T, PromqlError>): T {
  if (!result.ok) throw new Error(result.error.message)
  return result.value
}

type Step = (text: string, index: number) => unknown

const steps: Record<string, Step> = {
  parse: (text) => parse(text, defaultLimits),
  'parse and type check': (text) => parseQuery(text),
  scope: (_, index) => scopeExpr(parsed[index]!, scope),
  print: (_, index) => print(scoped[index]!),
  'self-check': (_, index) => verify(sent[index]!, scope, defaultLimits),
  'rewriteQuery (all of it)': (text) => rewriteQuery(text, scope),
  'all, two alternatives': (text) => rewriteQuery(text, union),
  'all, families of metrics': (text) => rewriteQuery(text, families),
}

// What was made of a scope is kept with the scope object. Measured last, as its garbage would slow the others down.
const newScope: Record<string, Step> = {
  'all, a new scope each time': (text) => rewriteQuery(text, { ...scope }),
}

/** The grammar that editors use, where it is installed: only its parse, which makes a tree and checks nothing. */
async function otherParser(): Promise<Step | undefined> {
  try {
    // In a variable, so that the compiler does not ask for a package that need not be there.
    const name = '@prometheus-io/lezer-promql'
    const { parser }: { parser: { parse(text: string): unknown } } = await import(name)
    return (text) => parser.parse(text)
  } catch {
    return undefined
  }
}

const other = await otherParser()
if (other !== undefined) steps['lezer-promql, parse alone'] = other

const rounds = 150
const warmUp = 40

/** µs per query of each round of each step; the steps take turns. */
function measure(all: Record<string, Step>): Record<string, number[]> {
  const times = Object.fromEntries(Object.keys(all).map((name): [string, number[]] => [name, []]))
  for (let round = 0; round < warmUp + rounds; round++) {
    for (const [name, step] of Object.entries(all)) {
      const from = performance.now()
      for (const [index, text] of queries.entries()) step(text, index)
      const µs = ((performance.now() - from) * 1000) / queries.length
      if (round >= warmUp) times[name]?.push(µs)
    }
  }
  return times
}

const mean = (list: readonly number[]): number => list.reduce((sum, one) => sum + one, 0) / list.length
const quantile = (list: readonly number[], at: number): number =>
  list.toSorted((a, b) => a - b)[Math.floor(at * (list.length - 1))] ?? 0
const round = (value: number): number => Number(value.toFixed(2))

const length = Math.round(mean(queries.map((one) => one.length)))
console.log(`${queries.length} queries, mean length ${length}; mean µs per query over ${rounds} rounds`)
const times = { ...measure(steps), ...measure(newScope) }
const unit = quantile(times['lezer-promql, parse alone'] ?? times['parse'] ?? [], 0.5)
console.log(
  other === undefined
    ? 'lezer-promql is not installed; the ratio is to our own parse'
    : 'the ratio is to the parse of lezer-promql',
)
console.table(
  Object.fromEntries(
    Object.entries(times).map(([name, list]) => [
      name,
      { least: round(quantile(list, 0)), median: round(quantile(list, 0.5)), ratio: round(quantile(list, 0.5) / unit) },
    ]),
  ),
)

// Which query is slow: the least time of each, so that it is about the query and not about the machine.
const each = queries.map((text) => {
  const list = Array.from({ length: 60 }, () => {
    const from = performance.now()
    rewriteQuery(text, scope)
    return (performance.now() - from) * 1000
  })
  return quantile(list, 0)
})
const spread = [0.5, 0.9, 0.99, 1].map((at) => round(quantile(each, at)))
console.log(`least time of each query, p50 p90 p99 and the slowest: ${spread.join(' ')} µs\n`)

const fill = (unit: string) => (size: number) => unit.repeat(Math.ceil(size / unit.length)).slice(0, size)
const shapes: Record<string, (size: number) => string> = {
  'a+a+…': (size) => `a${fill('+a')(size - 1)}`,
  '1+1+…': (size) => `1${fill('+1')(size - 1)}`,
  '1^1^…': (size) => `1${fill('^1')(size - 1)}`,
  '((((…': fill('('),
  '----…': fill('-'),
  'abs(abs(…': fill('abs('),
  '{{{{…': fill('{'),
  '""""…': fill('"'),
  '[[[[…': fill('a['),
  'one string': (size) => `"${'x'.repeat(size - 2)}"`,
  'all escapes': (size) => `"${fill(String.raw`\xff`)(size - 2 - ((size - 2) % 4))}"`,
  'many matchers': (size) => `a{${fill('a="b",')(size - 3 - ((size - 3) % 6))}}`,
  'many names': (size) => `a{namespace=~"${fill('x|')(size - 20)}"}`,
  'regex groups': (size) => `{a=~"${fill('(')(size - 8)}"}`,
  'regex optionals': (size) => `{a=~"${fill('a?')(size - 8)}"}`,
  'many digits': fill('1'),
  'digits and unit': (size) => `${fill('1')(size - 1)}x`,
  comment: (size) => `1 #${fill('x')(size - 3)}`,
  'blank lines': (size) => `1${fill('\n')(size - 1)}`,
  'range chain': (size) => `a${fill('[5m:]')(size - 1)}`,
  'duration signs': (size) => `a[${fill('-')(size - 4)}1]`,
  'unknown name': fill('x'),
}
const sizes = [10, 100, 1000, 10_000, 64 * 1024, 100_000]
// The length limit alone would answer at 100 kB, so the growth is measured without it as well.
const unlimited = { ...defaultLimits, length: Infinity, selectors: Infinity, sent: Infinity }

console.log('ms per rewrite, least of 7, without limits on length and selectors')
// One pass for the compiler, the next is shown.
const growth = [...Object.entries(shapes), ...Object.entries(shapes)].map(([name, shape]) => {
  const row = sizes.map((size) => {
    const text = shape(Math.max(size, 24))
    const list = Array.from({ length: 7 }, () => {
      const from = performance.now()
      rewriteQuery(text, scope, unlimited)
      return performance.now() - from
    })
    return [`${size} B`, Number(quantile(list, 0).toFixed(3))] as const
  })
  return [name, Object.fromEntries(row)] as const
})
console.table(Object.fromEntries(growth))
