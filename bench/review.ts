/**
 * How fast auditors find something: `node bench/review.ts [--records 10000000]`, by default a log of 1,000,000 records.
 * Makes a log with a right chain below the temporary directory, has it indexed, and asks. Removes all of it afterwards.
 */
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { firstChain, recordLine } from '../src/audit/line.ts'
import { segmentName } from '../src/audit/segment-names.ts'
import { openReview } from '../src/review/open.ts'
import type { Review, ReviewFilter } from '../src/review/review.ts'

const { values } = parseArgs({ options: { records: { type: 'string', default: '1000000' } } })
const wanted = Number(values.records)
const segmentBytes = 256 * 1024 * 1024
const began = Date.parse('2026-11-20T00:00:00Z')
const day = 86_400_000
const memoryBytes = 512 * 1024 * 1024
const threads = 2

/** Random numbers that are the same in each run (mulberry32). */
let state = 42
const random = (): number => {
  state = (state + 0x6d2b79f5) | 0
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
}
const below = (count: number): number => Math.floor(random() * count)
const pick = <T>(list: readonly T[]): T => list[below(list.length)]!
const hex = (digits: number): string => {
  let text = ''
  while (text.length < digits) text += below(0x1000_0000).toString(16).padStart(7, '0')
  return text.slice(0, digits)
}
const idAt = (ms: number): string => {
  const time = ms.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(3)}-8${hex(3)}-${hex(12)}`
}

const namespaces = Array.from({ length: 200 }, (_, at) => `team-${String(at).padStart(3, '0')}`)
const people = Array.from({ length: 3_000 }, (_, at) => {
  const namespace = pick(namespaces)
  const who = {
    ...{ issuer: 'https://id.example', subject: `u-${hex(12)}`, name: `person-${at}` },
    ...{ groups: [`group-${below(300)}`, 'everybody'], via: 'bearer' },
  }
  return { who: JSON.stringify(who), subject: who.subject, name: who.name, namespace, credential: hex(16) }
})
const dashboards = Array.from({ length: 150 }, (_, at) => ({ uid: hex(10), title: `Dashboard ${at}` }))
const metrics = ['response_total', 'request_total', 'response_latency_ms_bucket', 'tcp_open_connections', 'up']
const queries = Array.from({ length: 3_000 }, () => {
  const [metric, namespace, by] = [pick(metrics), pick(namespaces), pick(['pod', 'dst', 'status_code', 'deployment'])]
  const label = pick(['direction', 'tls', 'app'])
  const matchers = [
    { label: 'namespace', op: '=', value: namespace },
    { label, op: '=', value: `value-${below(40)}` },
  ]
  const inner = matchers.map((one) => `${one.label}${one.op}${JSON.stringify(one.value)}`).join(',')
  const text = `sum by (${by}) (rate(${metric}{${inner}}[${pick(['1m', '5m', '1h'])}]))`
  return {
    text: JSON.stringify(text),
    selectors: JSON.stringify([{ metric, matchers }]),
    scope: JSON.stringify(`namespace: ${namespace}, ${namespace}-*`),
  }
})
const policy = `"sha256:${hex(64)}"`

function decision(ms: number, id: string): string {
  const { who, credential } = pick(people)
  const { text, selectors, scope } = pick(queries)
  const { uid, title } = pick(dashboards)
  const start = Math.floor(ms / 1000) - 3600
  const params = `["query",${text}],["start","${start}"],["end","${start + 3600}"],["step","15"]`
  const denied = random() < 0.01
  const path = '/api/v1/query_range'
  return [
    `"kind":"decision","request":"${id}","received":"${new Date(ms).toISOString()}"`,
    `"who":${who.slice(0, -1)},"credential":"${credential}"},"from":{"peer":"10.0.${below(256)}.${below(256)}"}`,
    `"claimed":{"x-dashboard-uid":"${uid}","x-dashboard-title":"${title}","x-panel-id":"${below(30)}"}`,
    `"cluster":"${pick(['east', 'west'])}","method":"POST","endpoint":"${path}","path":"${path}","asked":[${params}]`,
    `"sent":${denied ? 'null' : `[{"path":"${path}","params":[${params}]}]`},"selectors":${selectors}`,
    `"decision":"${denied ? 'deny","reason":"not_allowed' : 'allow'}","because":["rules.csv:${below(400)}"],"scope":${scope}`,
    `"policy":${policy},"fold":"${hex(16)}"`,
  ].join(',')
}

const outcome = (id: string): string =>
  `"kind":"outcome","request":"${id}","status":200,"ms":${below(900)},"bytes":${below(90_000)},"ended":"complete",` +
  `"servedFrom":"upstream","upstream":200,"series":${below(200)}`

/** Writes a log of so many records over one day; answers how many bytes it has. */
function generate(dir: string): number {
  const [log, boot] = ['0199c1d2-0000-7000-8000-000000000001', '0199c1d2-0000-7000-8000-000000000002']
  const made = { seq: 1, bytes: 0, at: began, pending: '' }
  for (; made.seq <= wanted;) {
    const segment = { chain: firstChain, bytes: 0, lines: [''] }
    const path = join(dir, segmentName(Math.floor(made.at), boot))
    const add = (members: string): void => {
      const head = { seq: made.seq++, ts: new Date(Math.floor(made.at)).toISOString(), log, boot }
      const { line, chain } = recordLine(head, members, segment.chain)
      segment.chain = chain
      segment.bytes += line.length
      segment.lines.push(line)
      if (segment.lines.length < 4096) return
      appendFileSync(path, segment.lines.join(''))
      segment.lines = []
    }
    add('"kind":"log.opened","writer":{"pid":1,"host":"bench"},"previous":null,"unread":[]')
    for (; segment.bytes < segmentBytes && made.seq < wanted;) {
      made.at += (day / wanted) * 2
      const id = idAt(Math.floor(made.at))
      add(decision(Math.floor(made.at), id))
      // The outcome of the request before: it may fall into the next segment.
      if (made.pending !== '') add(outcome(made.pending))
      made.pending = id
    }
    add('"kind":"log.sealed","records":0,"lost":0')
    appendFileSync(path, segment.lines.join(''))
    made.bytes += segment.bytes
  }
  return made.bytes
}

const mib = (bytes: number): string => `${Math.round(bytes / 1024 / 1024).toLocaleString('en')} MiB`
const sizeOf = (dir: string): number =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((file) => statSync(join(dir, file)))
    .reduce((sum, stats) => sum + (stats.isFile() ? stats.size : 0), 0)

/** The most memory that the child ever held. */
function peak(): number {
  const [child = ''] = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ')
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child}/status`, 'utf8'))?.[1]) * 1024
}

const signal = new AbortController().signal

/** Waits until everything is in the index. */
async function ready(review: Review): Promise<void> {
  for (;;) {
    const { state, failure, indexed, waiting } = review.status()
    if (failure !== null) throw new Error(failure.reason)
    if (state === 'ready' && indexed > 0 && waiting === 0) return
    await sleep(50)
  }
}

async function time(
  name: string,
  ask: () => Promise<{ readonly ok: boolean; readonly value?: unknown }>,
): Promise<void> {
  const took: number[] = []
  let found = ''
  for (let round = 0; round < 7; round++) {
    const start = performance.now()
    const answer = await ask()
    took.push(performance.now() - start)
    if (!answer.ok) throw new Error(JSON.stringify(answer))
    const value = Object(answer.value)
    found = String(value.rows?.length ?? value.buckets?.length ?? value.length ?? value.records)
  }
  const [first = 0, ...rest] = took
  const median = rest.toSorted((one, other) => one - other)[Math.floor(rest.length / 2)] ?? first
  console.log(`| ${name} | ${found} | ${first.toFixed(0)} | ${median.toFixed(0)} | ${Math.min(...took).toFixed(0)} |`)
}

const root = mkdtempSync(join(tmpdir(), 'bailiwick-bench-review-'))
try {
  const directory = join(root, 'audit')
  const index = join(root, 'index')
  mkdirSync(directory)
  const generating = performance.now()
  const bytes = generate(directory)
  console.log(
    `${wanted.toLocaleString('en')} records in ${readdirSync(directory).length} segments, ${mib(bytes)}, made in ${((performance.now() - generating) / 1000).toFixed(0)} s`,
  )
  const indexing = performance.now()
  const maker = openReview({ directory, index, memoryBytes, threads })
  await ready(maker)
  // Merging goes on for a little: it is over when nothing changes any more.
  for (let size = -1; size !== sizeOf(index); await sleep(3_000)) size = sizeOf(index)
  const took = (performance.now() - indexing) / 1000
  console.log(
    `indexed in ${took.toFixed(0)} s (${Math.round(wanted / took).toLocaleString('en')} records a second), peak memory ${mib(peak())}`,
  )
  await maker.stop()
  const review = openReview({ directory, index, memoryBytes, threads })
  await ready(review)
  const parts = readdirSync(index, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.includes('part-'),
  ).length
  console.log(`the index: ${mib(sizeOf(index))} in ${parts} parts\n`)
  console.log('| question | answer | first ms | median ms | least ms |\n|---|---|---|---|---|')
  const [person, other] = [people[7]!, people[1234]!]
  const hour = { from: began + 10 * 3_600_000, to: began + 11 * 3_600_000 }
  const page = (filter: ReviewFilter) => () => review.search(filter, 'all', { after: null, limit: 100 }, signal)
  await time("one person's hour, by subject", page({ person: person.subject, ...hour }))
  await time("one person's hour, by name", page({ person: other.name, ...hour }))
  await time('the same within one cluster', () =>
    review.search({ person: person.subject, ...hour }, ['east'], { after: null, limit: 100 }, signal),
  )
  await time('person and namespace, all times', page({ person: person.subject, namespace: person.namespace }))
  await time('newest 100 of everybody', page({}))
  await time('newest 100 refusals', page({ decision: 'deny' }))
  await time('newest 100 of a namespace', page({ namespace: 'team-017' }))
  await time('timeline of the day, everybody', () => review.timeline({ from: began, to: began + day }, 'all', signal))
  await time('timeline of the day, one person', () =>
    review.timeline({ person: person.subject, from: began, to: began + day }, 'all', signal),
  )
  const some = await review.search(hour, 'all', { after: null, limit: 1 }, signal)
  const id = some.ok ? (some.value.rows[0]?.request ?? '') : ''
  await time('one request by its id, with its lines', () => review.request(id, 'all', signal))
  await time('SQL: requests by cluster', () =>
    review.sql('SELECT cluster, count(*) FROM records GROUP BY cluster', signal),
  )
  console.log(`\npeak memory of the process that answers: ${mib(peak())}`)
  await review.stop()
} finally {
  rmSync(root, { recursive: true, force: true })
}
