// What a sink does by itself: with what it reads, with its files, and when it is stopped. The receiver is as good as its test.
import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { nodeFiles } from '../../../src/audit/files.ts'
import { Backoff } from '../../../src/audit/sinks/backoff.ts'
import type { Answer, Receiver, TailRecord } from '../../../src/audit/sinks/sink.ts'
import { openSinks } from '../../../src/audit/sinks/sinks.ts'
import { isThrough, quick, SinkWorld } from '../../support/sink-world.ts'
import { decision, systemError, until } from './support.ts'

/** A receiver that takes everything, as long as nothing else is said. */
class Taker implements Receiver {
  readonly records: TailRecord[] = []
  readonly batches: number[] = []
  closed = false
  answer: ((records: readonly TailRecord[], signal: AbortSignal) => Promise<Answer>) | null = null

  async send(records: readonly TailRecord[], signal: AbortSignal): Promise<Answer> {
    const answer = (await this.answer?.(records, signal)) ?? { is: 'taken', rejected: [] }
    this.batches.push(records.length)
    if (answer.is === 'taken') this.records.push(...records)
    return answer
  }

  close(): Promise<void> {
    this.closed = true
    return Promise.resolve()
  }

  get lines(): readonly string[] {
    return this.records.map(({ line }) => line)
  }
}

const nowhere = { kind: 'otlp', url: 'http://127.0.0.1:1/v1/logs', headers: {} } as const
const never = new Promise<never>(() => {})

describe('the durable tail', () => {
  it('comes in batches bounded by records and by bytes, but one record always fits', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    world.log.fill(24)
    world.log.append(decision('long', 'x'.repeat(20_000)))
    world.log.fill(2)
    const limits = { ...quick, batchBytes: 12_000 }
    const sinks = world.open(nowhere, { connect: () => taker, limits })
    await until(() => isThrough(sinks))
    assert.deepEqual(taker.lines, world.log.lines)
    assert.ok(taker.batches.every((count) => count <= 10))
    const long = taker.records.findIndex(({ fields }) => fields['request'] === 'long')
    assert.ok(long > 0 && taker.batches.includes(1))
  })

  it('is the same where segments were compressed, also while they are read', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    world.log.fill(30)
    world.log.rotate()
    world.log.fill(30)
    world.log.rotate()
    world.log.fill(3)
    await world.compress(0)
    let compressing: Promise<void> | null = null
    taker.answer = async () => {
      compressing ??= world.compress(1)
      await compressing
      return { is: 'taken', rejected: [] }
    }
    const sinks = world.open(nowhere, { connect: () => taker })
    await until(() => isThrough(sinks))
    assert.deepEqual(taker.lines, world.log.lines)
    assert.ok(taker.records.every(({ file }) => file.endsWith('.ndjson')))
    await world.stop()
    // The cursor names a segment that is compressed by now.
    const first = world.log.segments[0] ?? ''
    const cursor = { v: 1, log: 'log-1', file: first, seq: 11 }
    writeFileSync(join(world.dir, 'sinks/second.cursor'), JSON.stringify(cursor))
    const again = new Taker()
    const second = world.open(nowhere, { connect: () => again })
    await until(() => isThrough(second))
    assert.deepEqual(again.lines, world.log.lines.slice(12))
  })

  it('waits while there is no live segment, and goes on with what was durable before', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    let open = false
    world.log.fill(5)
    const durable = () => (open ? world.log.durable() : null)
    const sinks = world.open(nowhere, { connect: () => taker, durable })
    await delay(30)
    assert.deepEqual([taker.lines, sinks.status()[0]?.state], [[], 'starting'])
    open = true
    await until(() => taker.records.length === 6)
    taker.answer = () => Promise.resolve({ is: 'failed', because: 'down' })
    world.log.fill(20)
    world.log.rotate()
    world.log.fill(5)
    await until(() => sinks.status()[0]?.state === 'failing')
    open = false
    taker.answer = null
    await until(() => taker.records.length === world.log.lines.length)
    assert.deepEqual(taker.lines, world.log.lines)
  })

  it('tells of a line that is no record, once, and goes on behind it', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    world.log.fill(2)
    world.log.scribble('{"v":1,"seq":\n')
    world.log.fill(2)
    const first = world.open(nowhere, { connect: () => taker })
    await until(() => isThrough(first))
    await world.stop()
    world.log.fill(1)
    const second = world.open(nowhere, { connect: () => taker })
    await until(() => isThrough(second))
    assert.deepEqual(taker.lines, world.log.lines)
    const [refused, ...more] = await world.refused()
    assert.deepEqual(more, [])
    assert.deepEqual([refused?.['file'], refused?.['from'], refused?.['count']], [world.log.file, null, 1])
    assert.match(String(refused?.['because']), /^the line that ends at byte \d+ is no record$/)
    assert.equal(first.status()[0]?.refused, 1)
  })

  it('takes all whole lines of a segment whose successors do not name it', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    world.log.fill(2)
    world.log.rotate('open')
    world.log.fill(1)
    // As after damage: a segment nobody goes on from, and an empty one.
    const stray = world.log.segments[0]?.replace('-boot', '-bopp') ?? ''
    const [, again = '', other = ''] = world.log.lines
    writeFileSync(join(world.dir, stray), `${again}\n${other.replace('log-1', 'log-0')}\n{"torn`)
    writeFileSync(join(world.dir, stray.replace('-bopp', '-bozz')), '')
    const sinks = world.open(nowhere, { connect: () => taker })
    await until(() => isThrough(sinks))
    assert.deepEqual(
      taker.records.map(({ log, seq }) => `${log}/${seq}`),
      ['log-1/0', 'log-1/1', 'log-1/2', 'log-1/1', 'log-0/2', 'log-1/3', 'log-1/4'],
    )
    // At once only what is of one log and grows: so no number can be there twice.
    assert.deepEqual(taker.batches, [3, 1, 1, 2])
  })

  it('does not spin where the live file is shorter than it should be', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    world.log.fill(3)
    truncateSync(join(world.dir, world.log.file), 0)
    let opened = 0
    const files = { ...nodeFiles, open: (path: string) => nodeFiles.open(path).finally(() => void opened++) }
    const sinks = world.open(nowhere, { connect: () => taker, files, limits: { ...quick, pollMs: 60_000 } })
    await until(() => opened > 0)
    await delay(50)
    assert.deepEqual([taker.lines, sinks.status()[0]?.lagRecords, opened], [[], 4, 1])
  })

  it('says so where a file cannot be read, and reads it when it can', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    let broken = true
    world.log.fill(3)
    const files = {
      ...nodeFiles,
      open: (path: string) => (broken ? Promise.reject(systemError('EIO')) : nodeFiles.open(path)),
    }
    const sinks = world.open(nowhere, { connect: () => taker, files })
    await until(() => world.recorded.length > 0)
    assert.match(sinks.status()[0]?.because ?? '', /gateway's side: EIO/)
    broken = false
    await until(() => isThrough(sinks))
    assert.deepEqual(taker.lines, world.log.lines)
    assert.equal(world.recorded.at(-1)?.kind, 'sink.resumed')
  })
})

describe('the files of a sink', () => {
  it('are a whole cursor at every moment, and no rest of an earlier try stands in the way', async (t) => {
    const world = await SinkWorld.make(t)
    mkdirSync(join(world.dir, 'sinks'))
    writeFileSync(join(world.dir, 'sinks/second.cursor.part'), 'half of')
    world.log.fill(3)
    const sinks = world.open(nowhere, { connect: () => new Taker() })
    await until(() => isThrough(sinks))
    await world.stop()
    const cursor = { v: 1, log: 'log-1', file: world.log.file, seq: world.log.seq }
    assert.deepEqual(JSON.parse(readFileSync(join(world.dir, 'sinks/second.cursor'), 'utf8')), cursor)
  })

  it('may fail to take the cursor: that is told, and stops nothing', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    const files = { ...nodeFiles, rename: () => Promise.reject(systemError('ENOSPC')) }
    const sinks = world.open(nowhere, { connect: () => taker, files })
    world.log.fill(3)
    await until(() => isThrough(sinks) && sinks.status()[0]?.problem !== null)
    assert.match(sinks.status()[0]?.problem ?? '', /^its cursor cannot be written: ENOSPC/)
    world.log.fill(3)
    await until(() => isThrough(sinks))
    assert.deepEqual(taker.lines, world.log.lines)
  })

  it('must take what is set aside: without that the sink does not go on', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    let broken = true
    const files = {
      ...nodeFiles,
      append: (path: string) => (broken ? Promise.reject(systemError('ENOSPC')) : nodeFiles.append(path)),
    }
    taker.answer = (records) =>
      Promise.resolve(
        records.some(({ seq }) => seq === 2) ? { is: 'refused', because: 'no' } : { is: 'taken', rejected: [] },
      )
    world.log.fill(4)
    const sinks = world.open(nowhere, { connect: () => taker, files })
    await until(() => world.recorded.length > 0)
    assert.match(sinks.status()[0]?.because ?? '', /ENOSPC/)
    assert.equal(sinks.status()[0]?.seq, null)
    broken = false
    await until(() => isThrough(sinks))
    assert.deepEqual(
      (await world.refused()).map(({ from, because }) => [from, because]),
      [[2, 'no']],
    )
  })

  it('have a record that is refused, also as the first one after a restart', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    const first = world.open(nowhere, { connect: () => taker })
    await until(() => isThrough(first))
    await world.stop()
    taker.answer = (records) =>
      Promise.resolve(
        records.some(({ seq }) => seq === 1) ? { is: 'refused', because: 'no' } : { is: 'taken', rejected: [] },
      )
    world.log.fill(1)
    const second = world.open(nowhere, { connect: () => taker })
    await until(() => isThrough(second))
    assert.deepEqual(
      (await world.refused()).map(({ from }) => from),
      [1],
    )
  })

  it('begin a new line behind one that a killed process left torn', async (t) => {
    const world = await SinkWorld.make(t)
    mkdirSync(join(world.dir, 'sinks'))
    appendFileSync(join(world.dir, 'sinks/second.refused'), '{"at":"20')
    const taker = new Taker()
    taker.answer = ([record]) =>
      Promise.resolve({ is: 'taken', rejected: [{ from: record?.seq ?? 0, to: 0, count: 1, because: 'old' }] })
    const sinks = world.open(nowhere, { connect: () => taker })
    await until(() => isThrough(sinks))
    const [torn, line, end] = readFileSync(join(world.dir, 'sinks/second.refused'), 'utf8').split('\n')
    assert.deepEqual([torn, end], ['{"at":"20', ''])
    assert.equal(JSON.parse(line ?? '').because, 'old')
  })
})

describe('several sinks', () => {
  it('do not hold one another up', async (t) => {
    const world = await SinkWorld.make(t)
    const takers = { good: new Taker(), hung: new Taker() }
    takers.hung.answer = () => never
    world.log.fill(30)
    const sinks = world.open(nowhere, {
      options: (['hung', 'good'] as const).map((name) => ({ name, required: false, to: nowhere })),
      connect: ({ name }) => (name === 'good' ? takers.good : takers.hung),
      limits: { ...quick, callMs: 60_000, stopMs: 20 },
    })
    await until(() => takers.good.records.length === world.log.lines.length)
    assert.deepEqual(
      sinks.status().map(({ name, state, lagRecords }) => [name, state, lagRecords]),
      [
        ['hung', 'starting', world.log.lines.length],
        ['good', 'up', 0],
      ],
    )
    // None is required: nobody waits.
    assert.equal((await sinks.confirmed({ file: world.log.file, seq: world.log.seq })).ok, true)
    await world.stop()
    assert.deepEqual([takers.good.closed, takers.hung.closed], [true, true])
  })
})

describe('the lag', () => {
  it('is counted in records, and in seconds since the oldest of them', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    let now = '2026-11-21T08:00:31.000Z'
    taker.answer = () => Promise.resolve({ is: 'failed', because: 'down' })
    world.log.fill(4)
    const sinks = world.open(nowhere, { connect: () => taker, clock: () => new Date(now) })
    await until(() => sinks.status()[0]?.state === 'failing')
    assert.deepEqual([sinks.status()[0]?.lagRecords, sinks.status()[0]?.lagSeconds], [5, 30])
    now = '2026-11-21T08:00:00.000Z'
    assert.equal(sinks.status()[0]?.lagSeconds, 0)
    taker.answer = null
    await until(() => isThrough(sinks))
    assert.equal(sinks.status()[0]?.lagSeconds, 0)
  })
})

describe('a stop', () => {
  it('hands over what was written just before', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    const sinks = world.open(nowhere, { connect: () => taker, limits: { ...quick, pollMs: 60_000 } })
    await until(() => isThrough(sinks))
    world.log.fill(25)
    await sinks.stop()
    assert.deepEqual(taker.lines, world.log.lines)
    assert.equal(sinks.status()[0]?.state, 'stopped')
  })

  it('hands over the end of a log that was sealed before, but of no other', async (t) => {
    const world = await SinkWorld.make(t)
    let open = true
    const durable = () => (open ? world.log.durable() : null)
    const limits = { ...quick, pollMs: 60_000 }
    for (const sealed of [false, true]) {
      const taker = new Taker()
      open = true
      const sinks = world.open(nowhere, { connect: () => taker, limits, durable })
      await until(() => isThrough(sinks) && taker.records.length > 0)
      const had = taker.lines.length
      open = false
      world.log.rotate('abandoned')
      world.log.fill(3)
      if (sealed) world.log.append({ kind: 'log.sealed', records: 4, lost: 0 })
      await sinks.stop()
      assert.equal(taker.lines.length - had, sealed ? 5 : 0)
      assert.deepEqual(taker.lines, sealed ? world.log.lines.slice(-taker.lines.length) : world.log.lines.slice(0, had))
    }
  })

  it('gives up a receiver that hangs, and fails whoever still waits', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    let given: AbortSignal | null = null
    taker.answer = (_, signal) => {
      given = signal
      return never
    }
    const limits = { ...quick, callMs: 60_000, stopMs: 20, deadlineMs: 60_000 }
    const sinks = world.open(nowhere, { connect: () => taker, required: true, limits })
    await until(() => given !== null)
    const waiting = sinks.confirmed({ file: world.log.file, seq: 0 })
    await sinks.stop()
    const answer = await waiting
    assert.ok(!answer.ok)
    assert.match(answer.error.reason, /the gateway stops/)
    assert.equal(Reflect.get(Object(given), 'aborted'), true)
  })

  it('does not wait for the next try of one that is down', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    taker.answer = () => Promise.resolve({ is: 'failed', because: 'down', retryAfterMs: 300_000 })
    const sinks = world.open(nowhere, { connect: () => taker, limits: { ...quick, stopMs: 60_000 } })
    await until(() => sinks.status()[0]?.state === 'failing')
    await sinks.stop()
    assert.equal(taker.batches.length, 2)
  })
})

describe('a required sink', () => {
  it('is not waited for at all once it has failed for longer than anybody would wait', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    taker.answer = () => Promise.resolve({ is: 'failed', because: 'down' })
    const limits = { ...quick, deadlineMs: 10 }
    const sinks = world.open(nowhere, { connect: () => taker, required: true, limits })
    const ask = () => sinks.confirmed({ file: world.log.file, seq: 0 })
    await until(async () => {
      const answer = await ask()
      return !answer.ok && answer.error.reason === 'the required audit sink second fails: down'
    })
    taker.answer = null
    await until(async () => (await ask()).ok)
  })

  it('lets a caller go who gives up', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    taker.answer = () => never
    const limits = { ...quick, deadlineMs: 60_000, callMs: 60_000, stopMs: 20 }
    const sinks = world.open(nowhere, { connect: () => taker, required: true, limits })
    const caller = new AbortController()
    const waiting = sinks.confirmed({ file: world.log.file, seq: 0 }, caller.signal)
    caller.abort()
    const answer = await waiting
    assert.ok(!answer.ok && answer.error.reason === 'the caller went away')
    assert.equal((await sinks.confirmed({ file: world.log.file, seq: 0 }, caller.signal)).ok, false)
  })

  it('must be one of several that all have the record', async (t) => {
    const world = await SinkWorld.make(t)
    const bad = new Taker()
    bad.answer = () => Promise.resolve({ is: 'failed', because: 'down' })
    const sinks = world.open(nowhere, {
      options: ['good', 'bad', 'idle'].map((name) => ({ name, required: name !== 'idle', to: nowhere })),
      connect: ({ name }) => (name === 'good' ? new Taker() : bad),
      limits: { ...quick, deadlineMs: 50 },
    })
    const standing = { file: world.log.file, seq: 0 }
    const answer = await sinks.confirmed(standing)
    assert.ok(!answer.ok)
    assert.match(answer.error.reason, /sink bad /)
  })
})

describe('what is recorded', () => {
  it('is a failure that lasts, once, and its end', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    let failures = 0
    taker.answer = () =>
      Promise.resolve(failures++ < 9 ? { is: 'failed', because: 'down' } : { is: 'taken', rejected: [] })
    const sinks = world.open(nowhere, { connect: () => taker })
    await until(() => isThrough(sinks))
    assert.deepEqual(world.recorded, [
      { kind: 'sink.failed', sink: 'second', because: 'down', seq: null },
      { kind: 'sink.resumed', sink: 'second', seq: 0 },
    ])
    assert.deepEqual(
      world.told.map(({ state }) => state),
      ['failing', 'up'],
    )
  })

  it('is nothing for a hiccup', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    let failures = 0
    taker.answer = () =>
      Promise.resolve(failures++ < 1 ? { is: 'failed', because: 'down' } : { is: 'taken', rejected: [] })
    const sinks = world.open(nowhere, { connect: () => taker })
    await until(() => isThrough(sinks))
    assert.deepEqual(world.recorded, [])
  })

  it('may fail to be: the sink goes on', async (t) => {
    const world = await SinkWorld.make(t)
    const taker = new Taker()
    rmSync(join(world.dir, world.log.file))
    world.log.rotate('abandoned')
    const record = () => Promise.reject(new Error('the log is closed'))
    const sinks = openSinks({
      dir: world.dir,
      clock: () => new Date(),
      durable: world.log.durable,
      options: [{ name: 'second', required: false, to: nowhere }],
      connect: () => taker,
      record,
      told: () => {},
      limits: quick,
    })
    await until(() => isThrough(sinks))
    await sinks.stop()
    assert.deepEqual([taker.lines, sinks.status()[0]?.missed], [world.log.lines.slice(1), [{ from: 0, to: 0 }]])
  })
})

describe('the wait between tries', () => {
  it('doubles up to a cap, with jitter, and starts anew after a success', () => {
    const waits = (random: number): readonly number[] => {
      const backoff = new Backoff(500, 30_000, () => random)
      const grown = Array.from({ length: 2_000 }, () => backoff.next())
      backoff.reset()
      return [...grown.slice(0, 8), grown.at(-1) ?? 0, backoff.next()]
    }
    assert.deepEqual(waits(0), [250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000, 250])
    assert.deepEqual(waits(1), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 500])
  })
})
