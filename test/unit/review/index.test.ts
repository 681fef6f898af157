// The index: whatever happens to it, or to the process that keeps it, a search finds what the log holds.
import assert from 'node:assert/strict'
import { appendFile, copyFile, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { compressSegment } from '../../../src/audit/compress.ts'
import { nodeFiles } from '../../../src/audit/files.ts'
import type { ReviewRow } from '../../../src/review/review.ts'
import {
  allRows,
  cutEnd,
  decision,
  never,
  noDuck,
  noon,
  outcome,
  ReviewLog,
  until,
  untilIndexed,
} from '../../support/review-log.ts'
import type { Written } from '../../support/review-log.ts'

const some = (from: number, count: number, given = {}): readonly Written[] =>
  Array.from({ length: count }, (_, at) => [
    { at: noon + (from + at) * 10_000, entry: decision(`r-${from + at}`, { person: `p${at % 3}`, ...given }) },
    { at: noon + (from + at) * 10_000 + 7, entry: outcome(`r-${from + at}`) },
  ]).flat()

const day = 86_400_000
const plain = (rows: readonly ReviewRow[]) => rows.map(({ seq, request, status }) => [seq, request, status])

describe('the index', { skip: noDuck }, () => {
  let world: ReviewLog
  beforeEach(async () => {
    world = await ReviewLog.create()
  })
  afterEach(() => world.remove())

  const partsOf = async (): Promise<readonly string[]> =>
    (await readdir(world.index, { recursive: true })).filter((file) => /part-\d+\.parquet$/.test(file)).toSorted()
  const partAt = (file: string): string => join(world.index, file)

  it('has a directory for each UTC day, and none of its files can be read by others', async () => {
    await world.segment([...some(0, 5), { at: noon + day, entry: decision('tomorrow') }])
    await world.indexed()
    const days = new Set((await partsOf()).map((file) => file.split('/')[0]))
    assert.deepEqual([...days], ['day=2026-11-20', 'day=2026-11-21'])
    for (const file of await partsOf()) assert.equal((await stat(partAt(file))).mode & 0o777, 0o600)
    assert.equal((await stat(world.index)).mode & 0o777, 0o700)
  })

  it('follows the segment that is being written, and takes it over when it is closed', async () => {
    await world.segment(some(0, 3), false)
    const review = world.open()
    const seen = async (): Promise<number> => (await allRows(review, { kind: 'decision' })).length
    await until(async () => (await review.search({}, 'all', { after: null, limit: 1 }, never)).ok)
    assert.equal(await seen(), 3)
    for (let round = 3; round < 8; round++) {
      await world.append(some(round, 1))
      assert.equal(await seen(), round + 1, 'what was on disk before the question is in the answer')
    }
    await world.append([{ at: noon, entry: { kind: 'log.sealed', records: 17, lost: 0 } }])
    await untilIndexed(review)
    assert.equal(await seen(), 8)
    assert.ok((await allRows(review, { kind: 'decision' })).every(({ status }) => status === 200))
  })

  it('reads the whole lines of a torn segment', async () => {
    const path = await world.segment(some(0, 4), false)
    await cutEnd(path, 30)
    const review = world.open()
    await until(async () => (await review.search({}, 'all', { after: null, limit: 1 }, never)).ok)
    const rows = await allRows(review, { kind: 'decision' })
    assert.deepEqual(plain(rows.slice(0, 2)), [
      [8, 'r-3', null],
      [6, 'r-2', 200],
    ])
  })

  it('joins an outcome that comes a segment later, before and after it is indexed', async () => {
    await world.segment([{ at: noon, entry: decision('late') }])
    await world.segment([{ at: noon + 9, entry: outcome('late', 504) }], false)
    const review = await world.indexed(2)
    assert.deepEqual(plain(await allRows(review, { kind: 'decision' })), [[2, 'late', 504]])
    await world.append([{ at: noon, entry: { kind: 'log.sealed', records: 2, lost: 0 } }])
    await untilIndexed(review)
    assert.deepEqual(plain(await allRows(review, { kind: 'decision' })), [[2, 'late', 504]])
    const found = await review.request('late', 'all', never)
    assert.deepEqual(found.ok && found.value.map(({ seq }) => seq), [2, 5])
    const asked = await review.sql('SELECT request, status FROM records WHERE status IS NOT NULL', never)
    assert.deepEqual(asked.ok && asked.value.rows, [['late', 504]])
  })

  it('is made again, the same, when it is gone', async () => {
    await world.segment(some(0, 20))
    await world.segment(some(20, 20))
    const first = await world.indexed()
    const rows = await allRows(first)
    await first.stop()
    await rm(world.index, { recursive: true })
    assert.deepEqual(await allRows(await world.indexed()), rows)
  })

  it('is kept over a restart', async () => {
    await world.segment(some(0, 20))
    const first = await world.indexed()
    await first.stop()
    const before = await partsOf()
    await world.indexed()
    assert.deepEqual(await partsOf(), before)
  })

  it('is good after a crash between any two steps', async () => {
    await world.segment(some(0, 10))
    const first = await world.indexed()
    const rows = await allRows(first)
    await first.stop()
    const [part = ''] = await partsOf()
    const manifest = join(world.index, 'manifest.json')
    const crashes: Readonly<Record<string, () => Promise<unknown>>> = {
      'a part that the manifest does not name': () => copyFile(partAt(part), partAt(part.replace(/\d+\./, '999999.'))),
      'a part that is not ready': () => writeFile(join(world.index, 'tmp', 'x.parquet.part'), 'PAR1'),
      'a manifest that was not renamed': () => copyFile(manifest, join(world.index, 'manifest.0a0b0c0d0e0f.part')),
      'no manifest': () => rename(manifest, `${manifest}.away`),
      'half a manifest': () => writeFile(manifest, '{"schema":1,"next":3,"segm'),
      'a manifest of another version': async () => {
        await writeFile(manifest, (await readFile(manifest, 'utf8')).replace('"schema":1', '"schema":0'))
      },
      'a part that is missing': () => rm(partAt(part), { force: true }),
    }
    for (const [what, crash] of Object.entries(crashes)) {
      await crash()
      const review = await world.indexed()
      assert.deepEqual(await allRows(review), rows, what)
      await review.stop()
      const left = (await readdir(world.index, { recursive: true })).filter((file) => /999999|\.part$/.test(file))
      assert.deepEqual(left, [], what)
    }
  })

  it('is made again where a part is damaged: cut, or changed within', async () => {
    await world.segment(some(0, 200))
    const first = await world.indexed()
    const rows = await allRows(first)
    await first.stop()
    const [part = ''] = await partsOf()
    await cutEnd(partAt(part), 100)
    const second = await world.indexed()
    assert.deepEqual(await allRows(second), rows)
    await second.stop()
    const [whole = ''] = await partsOf()
    const bytes = await readFile(partAt(whole))
    await writeFile(partAt(whole), bytes.fill(0x55, 4, bytes.length - 20))
    const third = world.open()
    await until(async () => {
      const page = await third.search({}, 'all', { after: null, limit: 1000 }, never)
      return page.ok && page.value.rows.length === rows.length
    })
    assert.deepEqual(await allRows(third), rows)
  })

  it('forgets a segment that was deleted, at once in answers and then in its files', async () => {
    const old = await world.segment(some(0, 10))
    await world.segment(some(10, 10))
    const review = await world.indexed()
    await rm(old)
    const rows = await allRows(review, { kind: 'decision' })
    assert.deepEqual(
      rows.map(({ request }) => request),
      Array.from({ length: 10 }, (_, at) => `r-${19 - at}`),
    )
    await until(() => review.status().indexed === 22)
    const counted = await review.sql('SELECT count(DISTINCT segment) FROM records', never)
    assert.deepEqual(counted.ok && counted.value.rows, [[1]])
  })

  it('indexes a segment again that is not the one that was indexed', async () => {
    const path = await world.segment(some(0, 10))
    const first = await world.indexed()
    await first.stop()
    const text = await readFile(path, 'utf8')
    await writeFile(
      path,
      text.replaceAll('"name":"p1"', '"name":"p9"').replace(/[0-9a-f]{64}"\}\n$/, `${'0'.repeat(64)}"}\n`),
    )
    const second = await world.indexed()
    assert.equal((await allRows(second, { person: 'p9' })).length, 3)
    await second.stop()
    await appendFile(path, '{"v":1,"seq":99,"ts":"2026-11-20T12:00:00.000Z","log":"l","boot":"b","kind":"new"}\n')
    const third = world.open()
    await until(async () => (await third.search({}, 'all', { after: null, limit: 1 }, never)).ok)
    assert.equal((await allRows(third, { kind: 'new' })).length, 1)
    assert.equal((await allRows(third, { person: 'p9' })).length, 3)
  })

  it('merges what came in many segments, and keeps every record', async () => {
    for (let round = 0; round < 9; round++) await world.segment(some(round * 10, 10))
    const review = await world.indexed()
    await until(async () => {
      const found: unknown = JSON.parse(await readFile(join(world.index, 'manifest.json'), 'utf8'))
      return Object(found).parts.some((part: unknown) => Object(part).level === 1)
    })
    const rows = await allRows(review, { kind: 'decision' })
    assert.deepEqual(
      rows.map(({ request }) => request),
      Array.from({ length: 90 }, (_, at) => `r-${89 - at}`),
    )
    assert.ok(rows.every(({ status }) => status === 200))
  })

  it('passes over lines that are no records, and keeps the others', async () => {
    const path = await world.segment(some(0, 2), false)
    const odd = ['{}', 'null', '[]', 'x', '{"seq":"1"}', '{"seq":1e300,"kind":"decision"}', '{"seq":7,"kind":7}', '']
    const long = { v: 1, seq: 77, ts: 'yesterday', kind: 'odd', who: 7, asked: {}, note: '\ud800\0' }
    await appendFile(path, `${odd.join('\n')}\n${JSON.stringify(long)}\n`)
    await world.append(some(5, 1))
    const review = world.open()
    await until(async () => (await review.search({}, 'all', { after: null, limit: 1 }, never)).ok)
    assert.equal((await allRows(review, { kind: 'decision' })).length, 3)
    assert.equal((await allRows(review, { kind: 'odd' }))[0]?.ts, '1970-01-01T00:00:00.000Z')
  })

  it('reads compressed segments', async () => {
    const path = await world.segment(some(0, 10))
    await world.segment(some(10, 2))
    const packed = await compressSegment(nodeFiles, world.directory, basename(path))
    assert.ok(packed.ok)
    assert.deepEqual((await readdir(world.directory)).filter((file) => file.endsWith('.zst')).length, 1)
    const review = await world.indexed()
    assert.equal((await allRows(review, { kind: 'decision' })).length, 12)
    const found = await review.request('r-3', 'all', never)
    const lines = found.ok ? found.value.map(({ line }) => JSON.parse(line).kind) : []
    assert.deepEqual(lines, ['decision', 'outcome'])
  })

  it('does not answer out of a directory that cannot be read', async () => {
    await world.segment(some(0, 2))
    const review = await world.indexed()
    await rename(world.directory, `${world.directory}-away`)
    const page = await review.search({}, 'all', { after: null, limit: 1 }, never)
    assert.equal(page.ok ? 'answered' : page.error.code, 'unavailable')
  })
})
