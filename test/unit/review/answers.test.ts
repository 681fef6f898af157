// Timeline, records of a request, exports, rights, and what happens when the process that answers is not there.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { csvLine } from '../../../src/review/csv.ts'
import type { ExportFormat, Exported, Review, ReviewFilter, Within } from '../../../src/review/review.ts'
import { allRows, decision, never, noDuck, noon, outcome, ReviewLog, until } from '../../support/review-log.ts'
import type { Written } from '../../support/review-log.ts'

const minute = 60_000
const login: Written = {
  at: noon + 3 * minute,
  entry: {
    kind: 'login.failed',
    request: 'l-1',
    received: new Date(noon).toISOString(),
    from: { peer: '10.0.0.9' },
    reason: 'no_state',
  },
}
const formula = '=HYPERLINK("http://x","y")'
const written: readonly Written[] = [
  { at: noon, entry: decision('e-1', { person: 'ada', cluster: 'east' }) },
  { at: noon + 1, entry: outcome('e-1') },
  { at: noon + minute, entry: decision('w-1', { person: 'bob', cluster: 'west', asked: [['query', formula]] }) },
  { at: noon + minute + 1, entry: outcome('w-1', 422) },
  {
    at: noon + 2 * minute,
    entry: decision('e-2', { person: 'ada', cluster: 'east', decision: 'deny', reason: 'no_rights', sent: null }),
  },
  login,
  { at: noon + 4 * minute, entry: decision('n-1', { person: '-eve', cluster: null }) },
]

describe('what auditors are told', { skip: noDuck }, () => {
  let world: ReviewLog
  let review: Review
  before(async () => {
    world = await ReviewLog.create()
    await world.segment(written.slice(0, 4))
    await world.segment(written.slice(4), false)
    review = await world.indexed(4)
  })
  after(() => world.remove())

  it('counts requests over time, refused ones apart, and who and what they were about', async () => {
    const found = await review.timeline({ from: noon, to: noon + 5 * minute }, 'all', never)
    assert.ok(found.ok)
    const { step, buckets, people, namespaces } = found.value
    const sum = (name: 'allowed' | 'refused'): number => buckets.reduce((total, bucket) => total + bucket[name], 0)
    assert.equal(buckets.length * step, 5 * minute)
    assert.ok(buckets.length <= 120)
    assert.deepEqual([sum('allowed'), sum('refused')], [3, 2])
    assert.deepEqual(people[0], { value: 'ada', requests: 2, refused: 1 })
    assert.deepEqual(namespaces, [{ value: 'shop', requests: 3, refused: 0 }])
    assert.deepEqual(new Set(buckets.map(({ people }) => people)), new Set([0, 1]))
  })

  it('has an empty timeline where nothing is', async () => {
    const found = await review.timeline({ person: 'nobody' }, 'all', never)
    assert.deepEqual(found.ok && found.value.people, [])
    assert.ok(found.ok && found.value.buckets.every(({ allowed, refused }) => allowed + refused === 0))
  })

  it('shows the records of a request as they stand in the log', async () => {
    const lines = await world.lines()
    const found = await review.request('w-1', 'all', never)
    assert.ok(found.ok)
    const records = lines.filter((line) => line.includes('"request":"w-1"'))
    assert.deepEqual(
      found.value.map(({ line }) => line),
      records,
    )
    assert.equal(records.length, 2)
    assert.deepEqual(await review.request("x' OR 1=1 --", 'all', never), { ok: true, value: [] })
  })

  it('never leaks another cluster, whatever is asked', async () => {
    const east: Within = ['east']
    const seen = async (filter: ReviewFilter) =>
      (await allRows(review, filter, { within: east })).map(({ request }) => request)
    assert.deepEqual(await seen({}), ['e-2', 'e-1'])
    assert.deepEqual(await seen({ cluster: 'west' }), [])
    assert.deepEqual(await seen({ person: 'bob' }), [])
    assert.deepEqual(await allRows(review, {}, { within: [] }), [])
    for (const id of ['w-1', 'l-1', 'n-1'])
      assert.deepEqual(await review.request(id, east, never), { ok: true, value: [] })
    const own = await review.request('e-1', east, never)
    assert.equal(own.ok && own.value.length, 2)
    const times = await review.timeline({}, east, never)
    assert.ok(times.ok)
    assert.deepEqual(
      times.value.people.map(({ value }) => value),
      ['ada'],
    )
    assert.equal(
      times.value.buckets.reduce((sum, { allowed, refused }) => sum + allowed + refused, 0),
      2,
    )
    for (const format of ['csv', 'ndjson'] as const) {
      const { text } = await exported(format, {}, east)
      assert.ok(text.includes('e-1'), format)
      for (const other of ['w-1', 'l-1', 'n-1', 'bob']) assert.ok(!text.includes(other), `${format} shows ${other}`)
    }
  })

  async function exported(format: ExportFormat, filter: ReviewFilter = {}, within: Within = 'all') {
    const told: number[] = []
    const made = await review.export(filter, within, format, (records) => told.push(records), never)
    assert.ok(made.ok, JSON.stringify(made))
    const file: Exported = made.value
    const bytes = await readFile(file.path)
    assert.equal(createHash('sha256').update(bytes).digest('hex'), file.sha256)
    assert.equal(bytes.length, file.bytes)
    assert.equal((await stat(file.path)).mode & 0o777, 0o600)
    assert.equal(told.at(-1), file.records)
    await file.done()
    await assert.rejects(stat(file.path))
    return { text: bytes.toString('utf8'), records: file.records, bytes }
  }

  it('exports the lines byte for byte, each outcome with its record', async () => {
    const lines = await world.lines()
    const { text, records } = await exported('ndjson', { person: 'bob' })
    assert.equal(text, `${lines.filter((line) => line.includes('w-1')).join('\n')}\n`)
    assert.equal(records, 2)
    assert.equal((await exported('ndjson')).text, `${lines.join('\n')}\n`)
  })

  it('exports CSV in which no cell is a formula', async () => {
    const { text, records } = await exported('csv', { kind: 'decision' })
    assert.equal(records, 4)
    const [head = '', ...rows] = text.split('\r\n').slice(0, -1)
    assert.ok(head.startsWith('ts,log,seq,'))
    assert.equal(rows.length, 4)
    assert.ok(text.includes(`"'${formula.replaceAll('"', '""')}"`))
    assert.ok(text.includes(`,'-eve,`))
    assert.ok(rows[0]?.startsWith('2026-11-20T12:00:00.000Z,'))
  })

  it('exports Parquet that begins and ends as such a file does', async () => {
    const { bytes, records } = await exported('parquet', { decision: 'deny' })
    assert.equal(records, 1)
    assert.deepEqual([bytes.subarray(0, 4).toString(), bytes.subarray(-4).toString()], ['PAR1', 'PAR1'])
  })

  it('answers again after its process died, and says so meanwhile', async () => {
    const said: string[] = []
    const other = world.open({ index: `${world.index}-2`, said: (problem) => said.push(problem) })
    const ask = () => other.search({}, 'all', { after: null, limit: 10 }, never)
    await until(async () => (await ask()).ok)
    const [victim = ''] = await childrenWith(`${world.index}-2`)
    process.kill(Number(victim), 'SIGKILL')
    await until(async () => !(await ask()).ok)
    await until(async () => (await ask()).ok)
    assert.ok(
      said.some((problem) => problem.includes('SIGKILL')),
      said.join(),
    )
  })

  it('leaves an index alone that another process keeps', async () => {
    const other = world.open()
    await until(() => other.status().state === 'failed')
    const page = await other.search({}, 'all', { after: null, limit: 10 }, never)
    assert.match(page.ok ? 'answered' : page.error.reason, /is in use/)
    assert.equal((await allRows(review, { kind: 'decision' })).length, 4)
    await other.stop()
  })

  it('answers nothing when it was stopped', async () => {
    const other = world.open({ index: `${world.index}-3` })
    await other.stop()
    const page = await other.search({}, 'all', { after: null, limit: 10 }, never)
    assert.equal(page.ok ? 'answered' : page.error.code, 'unavailable')
    await other.stop()
  })
})

/** Processes that hold the lock of an index. */
async function childrenWith(index: string): Promise<readonly string[]> {
  const lock: unknown = JSON.parse(await readFile(`${index}/owner.lock`, 'utf8'))
  return [String(Object(lock).pid)]
}

describe('a line of CSV', () => {
  it('has an apostrophe before what a spreadsheet would run', () => {
    for (const mark of ['=', '+', '-', '@', '\t', '\r']) {
      const line = csvLine([`${mark}1`])
      assert.ok(line.startsWith(`'${mark}`) || line.startsWith(`"'${mark}`), JSON.stringify(line))
    }
    assert.equal(csvLine(['a', 'a,b', 'a"b', null, -1, 'a=b']), 'a,"a,b","a""b",,-1,a=b\r\n')
  })
})

describe('a large log', { skip: noDuck }, () => {
  it('of 100,000 records is searched as a small one is', async (t) => {
    const world = await ReviewLog.create()
    t.after(() => world.remove())
    for (let segment = 0; segment < 4; segment++) {
      const records = Array.from({ length: 12_500 }, (_, at): Written[] => {
        const number = segment * 12_500 + at
        const entry = decision(`r-${number}`, { person: `p${number % 100}`, scope: `namespace: n${number % 40}` })
        return [
          {
            at: noon + number * 100,
            entry: { ...entry, sent: [{ path: '/q', params: [['query', `up{namespace="n${number % 40}"}`]] }] },
          },
          { at: noon + number * 100 + 1, entry: outcome(`r-${number}`) },
        ]
      }).flat()
      await world.segment(records, segment < 3)
    }
    const review = await world.indexed(25_001)
    const rows = await allRows(review, { person: 'p7' }, { limit: 90 })
    assert.deepEqual(
      rows.map(({ request }) => request),
      Array.from({ length: 500 }, (_, at) => `r-${49_907 - at * 100}`),
    )
    assert.ok(rows.every(({ status }) => status === 200))
    assert.equal((await allRows(review, { namespace: 'n3', from: noon + 4_000_000 }, { limit: 500 })).length, 250)
    const page = await review.search({}, 'all', { after: null, limit: 3 }, never)
    assert.deepEqual(page.ok && page.value.rows.map(({ request }) => request), ['r-49999', 'r-49998', 'r-49997'])
    const count = await review.sql('SELECT count(*), count(status), count(DISTINCT request) FROM records', never)
    assert.deepEqual(count.ok && count.value.rows, [[50_000 + 7, 50_000, 50_000]])
  })
})
