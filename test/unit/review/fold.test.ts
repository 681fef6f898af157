// A client's repetitions become one row, which stays where it is when more records come.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { Folding } from '../../../src/review/fold.ts'
import type { Review } from '../../../src/review/review.ts'
import { allRows, decision, never, noDuck, noon, ReviewLog } from '../../support/review-log.ts'

const record = (at: number, seq: number, key: string | null) => ({ place: { at, log: 'l', seq }, key })

describe('folding', () => {
  it('gives every record to exactly one row, whatever the order of keys and times', () => {
    const records = fc.array(fc.tuple(fc.integer({ min: 0, max: 30_000 }), fc.constantFrom('a', 'b', null)), {
      maxLength: 60,
    })
    fc.assert(
      fc.property(records, (made) => {
        const all = made.map(([at, key], seq) => record(at, seq, key))
        const newestFirst = all.toSorted(
          (one, other) => other.place.at - one.place.at || other.place.seq - one.place.seq,
        )
        const folding = new Folding()
        for (const one of newestFirst) folding.add(one)
        const rows = folding.settled(-Infinity)
        assert.equal(
          rows.reduce((sum, { repeats }) => sum + repeats, 0),
          all.length,
        )
        const firsts = all.filter(
          ({ key, place }) =>
            key === null ||
            !all.some((other) => {
              const before = other.place.at < place.at || (other.place.at === place.at && other.place.seq < place.seq)
              return other.key === key && before && place.at - other.place.at <= 2_000
            }),
        )
        const seqs = (some: readonly { readonly place: { readonly seq: number } }[]): readonly number[] =>
          some.map(({ place }) => place.seq).toSorted((one, other) => one - other)
        assert.deepEqual(seqs(rows.map(({ first }) => first)), seqs(firsts))
      }),
    )
  })
})

describe('a list with repetitions', { skip: noDuck }, () => {
  let world: ReviewLog
  let review: Review
  const ask = (request: string, after: number, fold: string, given = {}) => ({
    at: noon + after,
    entry: decision(request, { fold, ...given }),
  })
  before(async () => {
    world = await ReviewLog.create()
    await world.segment([
      ...[ask('a1', 0, 'aa'), ask('b1', 500, 'bb'), ask('a2', 1_000, 'aa'), ask('a3', 3_000, 'aa')],
      ...[ask('a4', 5_001, 'aa'), ask('c1', 6_000, 'cc'), ask('c2', 6_100, 'cc', { decision: 'deny', reason: 'no' })],
      { at: noon + 7_000, entry: decision('d1') },
      { at: noon + 7_001, entry: decision('d2') },
    ])
    review = await world.indexed()
  })
  after(() => world.remove())

  const shown = async (limit: number) =>
    (await allRows(review, { kind: 'decision' }, { limit })).map(({ request, repeats }) => `${request} ${repeats}`)

  it('folds what asks the same within two seconds, never a refusal into an answer, and nothing without a key', async () => {
    assert.deepEqual(await shown(100), ['d2 1', 'd1 1', 'c2 1', 'c1 1', 'a4 1', 'b1 1', 'a1 3'])
  })

  it('counts the same whatever the size of a page', async () => {
    for (const limit of [1, 2, 3, 5]) assert.deepEqual(await shown(limit), await shown(100), `${limit} rows a page`)
  })

  it('keeps its order when records come between two pages', async () => {
    const first = await review.search({ kind: 'decision' }, 'all', { after: null, limit: 3 }, never)
    assert.ok(first.ok)
    await world.segment([ask('a5', 6_500, 'aa'), ask('e1', 60_000, 'ee')], false)
    const second = await review.search({ kind: 'decision' }, 'all', { after: first.value.next, limit: 10 }, never)
    assert.ok(second.ok)
    assert.deepEqual(
      second.value.rows.map(({ request }) => request),
      ['c1', 'a4', 'b1', 'a1'],
    )
    assert.deepEqual(
      second.value.rows.map(({ repeats }) => repeats),
      [1, 2, 1, 3],
    )
  })
})
