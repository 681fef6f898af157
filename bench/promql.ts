// What the PromQL room costs: µs per dashboard query, and how its time grows with hostile input.
// Run: node bench/promql.ts
import { existsSync, readFileSync } from 'node:fs'
import { defaultLimits } from '../src/promql/limits.ts'
import { parse } from '../src/promql/parser.ts'
import { print } from '../src/promql/print.ts'
import { rewriteQuery } from '../src/promql/rewrite.ts'
import type { Scope } from '../src/promql/rewrite.ts'
import { scopeExpr } from '../src/promql/union.ts'

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
const union: Scope = { kind: 'labels', alternatives: [first, { ...first, label: 'dst_namespace' }] }

const queries = dashboardQueries()
const parsed = queries.map((text) => parse(text, defaultLimits).expr)
const scoped = parsed.map((expr) => {
  const result = scopeExpr(expr, scope)
  if (!result.ok) throw new Error(result.error.message)
  return result.value.expr
})

const steps: Record<string, (text: string, index: number) => unknown> = {
  parse: (text) => parse(text, defaultLimits),
  scope: (_, index) => scopeExpr(parsed[index]!, scope),
  print: (_, index) => print(scoped[index]!),
  'rewriteQuery (all, with self-check)': (text) => rewriteQuery(text, scope),
  'rewriteQuery, two alternatives': (text) => rewriteQuery(text, union),
}

function measure(step: (text: string, index: number) => unknown, rounds: number): number[] {
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    for (const [index, text] of queries.entries()) {
      const from = process.hrtime.bigint()
      step(text, index)
      times.push(Number(process.hrtime.bigint() - from) / 1000)
    }
  }
  return times
}

const mean = (times: number[]): number => times.reduce((sum, one) => sum + one, 0) / times.length
const quantile = (sorted: number[], at: number): number => sorted[Math.floor(at * (sorted.length - 1))] ?? 0

const rounds = Math.ceil(40_000 / queries.length)
console.log(
  `${queries.length} queries, mean length ${Math.round(mean(queries.map((one) => one.length)))}, ${rounds} rounds`,
)
const empty = mean(measure(() => 0, rounds))
console.log(`(each figure includes the timer itself, about ${empty.toFixed(2)} µs)`)
for (const step of Object.values(steps)) measure(step, rounds)
console.table(
  Object.fromEntries(
    Object.entries(steps).map(([name, step]) => {
      const times = measure(step, rounds).sort((a, b) => a - b)
      const figures = { 'mean µs': mean(times), 'p50 µs': quantile(times, 0.5), 'p99 µs': quantile(times, 0.99) }
      return [name, Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, Number(value.toFixed(2))]))]
    }),
  ),
)

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

console.log('ms per rewrite, worst of 5, without limits on length and selectors')
const growth = Object.entries(shapes).map(([name, shape]) => {
  const row = sizes.map((size) => {
    const text = shape(Math.max(size, 24))
    let worst = 0
    for (let round = 0; round < 5; round++) {
      const from = process.hrtime.bigint()
      rewriteQuery(text, scope, unlimited)
      worst = Math.max(worst, Number(process.hrtime.bigint() - from) / 1e6)
    }
    return [`${size} B`, Number(worst.toFixed(3))] as const
  })
  return [name, Object.fromEntries(row)] as const
})
console.table(Object.fromEntries(growth))
