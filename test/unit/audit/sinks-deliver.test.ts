// A batch that is refused, in whole or in part.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Delivery, type Call } from '../../../src/audit/sinks/deliver.ts'
import type { Answer, Receiver, TailRecord } from '../../../src/audit/sinks/sink.ts'

const record = (seq: number): TailRecord => ({
  log: 'log-1',
  seq,
  ts: '2026-11-21T08:00:00.000Z',
  kind: 'decision',
  file: 'audit-20261121T080000000Z-b.ndjson',
  line: `{"seq":${seq}}`,
  bytes: 10,
  fields: {},
})
const records = (count: number, from = 0): readonly TailRecord[] =>
  Array.from({ length: count }, (_, index) => record(from + index))

const call: Call = (ask) => ask(new AbortController().signal)
const failed: Answer = { is: 'failed', because: 'down' }

/** A receiver that refuses these, and is down for the calls of these numbers. */
function receiver(poison: ReadonlySet<number>, down: ReadonlySet<number> = new Set()) {
  const took: number[] = []
  let calls = 0
  const send: Receiver['send'] = (part) => {
    if (down.has(calls++)) return Promise.resolve(failed)
    if (part.some(({ seq }) => poison.has(seq))) return Promise.resolve({ is: 'refused', because: 'poison' })
    took.push(...part.map(({ seq }) => seq))
    return Promise.resolve({ is: 'taken', rejected: [] })
  }
  return { took, calls: () => calls, to: { send, close: () => Promise.resolve() } }
}

describe('a batch', () => {
  it('goes in one call where nothing is wrong with it', async () => {
    const { to, calls } = receiver(new Set())
    assert.deepEqual(await new Delivery(to, 4).send(records(9), call), { settled: 9, rejected: [], failed: null })
    assert.equal(calls(), 1)
  })

  it('is not touched where the receiver is down', async () => {
    const { to, took } = receiver(new Set(), new Set([0]))
    assert.deepEqual(await new Delivery(to, 4).send(records(9), call), { settled: 0, rejected: [], failed })
    assert.deepEqual(took, [])
  })

  it('has its bad records found, however many calls fail: each is taken or given up, in order', async () => {
    const seqs = (max: number) => fc.uniqueArray(fc.nat({ max }), { maxLength: max })
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40 }), seqs(39), seqs(60), async (count, bad, down) => {
        const poison = new Set(bad.filter((seq) => seq < count))
        const { to, took } = receiver(poison, new Set(down))
        const delivery = new Delivery(to, 4)
        const rejected: number[] = []
        // A good record behind them is what shows that the receiver is in order.
        for (let rest = records(count + 1); rest.length > 0;) {
          const done = await delivery.send(rest, call)
          rejected.push(...done.rejected.map(({ from }) => from))
          assert.ok(done.settled === rest.length || done.failed !== null)
          const stuck = done.failed !== null && done.failed !== failed && done.settled === 0
          if (stuck) {
            // More bad ones at the start than it has patience for, and nothing it ever took.
            assert.ok(took.length === 0 && poison.size >= 4)
            return
          }
          rest = rest.slice(done.settled)
        }
        const firsts = [...new Set(took)]
        assert.deepEqual(
          rejected,
          [...poison].toSorted((one, other) => one - other),
        )
        assert.deepEqual(
          firsts,
          records(count + 1).flatMap(({ seq }) => (poison.has(seq) ? [] : [seq])),
        )
      }),
      { numRuns: 300 },
    )
  })

  it('has nothing given up by a receiver that refuses everything for a while, whenever that is', async () => {
    const calls = fc.nat({ max: 40 })
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 30 }),
        calls,
        calls,
        fc.boolean(),
        async (count, from, length, known) => {
          const took = new Set<number>()
          let asked = 0
          const send: Receiver['send'] = (part) => {
            asked++
            if (asked > from && asked <= from + length) return Promise.resolve({ is: 'refused', because: 'all' })
            for (const { seq } of part) took.add(seq)
            return Promise.resolve({ is: 'taken', rejected: [] })
          }
          const delivery = new Delivery({ send, close: () => Promise.resolve() }, 4)
          if (known) delivery.remember(record(0))
          const all = records(count, 1)
          for (let rest = all; rest.length > 0;) {
            const done = await delivery.send(rest.slice(0, 7), call)
            assert.deepEqual(done.rejected, [])
            rest = rest.slice(done.settled)
          }
          assert.deepEqual(
            all.filter(({ seq }) => !took.has(seq)),
            [],
          )
        },
      ),
      { numRuns: 500 },
    )
  })

  it('gives up a single record when the one before it is taken again', async () => {
    const { to, took } = receiver(new Set([9]))
    const delivery = new Delivery(to, 4)
    await delivery.send(records(9), call)
    const { settled, rejected } = await delivery.send([record(9)], call)
    assert.deepEqual([settled, rejected], [1, [{ from: 9, to: 9, count: 1, because: 'poison' }]])
    assert.deepEqual(took.slice(9), [8])
  })

  it('gives up a single record after a restart, too', async () => {
    const { to } = receiver(new Set([9]))
    const delivery = new Delivery(to, 4)
    assert.equal((await delivery.send([record(9)], call)).settled, 0)
    delivery.remember(record(8))
    assert.equal((await delivery.send([record(9)], call)).rejected.length, 1)
  })

  it('gives up nothing when everything is refused, and does not ask for each', async () => {
    const all = new Set(records(500).map(({ seq }) => seq))
    const { to, calls } = receiver(all)
    const done = await new Delivery(to, 4).send(records(500), call)
    assert.deepEqual(done, {
      settled: 0,
      rejected: [],
      failed: { is: 'failed', because: 'it refuses every record: poison' },
    })
    assert.ok(calls() < 20, `${calls()} calls`)
  })
})
