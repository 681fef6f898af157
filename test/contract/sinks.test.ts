// What holds for every sink, on the real thing: what it is given, in which order, and what happens when it fails.
import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { allTargets } from '../support/sink-targets.ts'
import { isThrough, SinkWorld } from '../support/sink-world.ts'
import { decision, linesOf, parseLine, segments, tempDir, until } from '../unit/audit/support.ts'

/** The lines without those that came before. */
const firsts = (lines: readonly string[]): readonly string[] => [...new Set(lines)]

for (const target of await allTargets()) {
  describe(target.name, { skip: target.missing ?? false }, () => {
    before(() => target.start())
    after(() => target.remove())

    it('gets every record once and in order, over several segments and while they are written', async (t) => {
      const world = await SinkWorld.make(t)
      world.log.fill(25)
      world.log.rotate()
      world.log.fill(5)
      const sinks = world.open(await target.fresh())
      await until(() => isThrough(sinks))
      world.log.fill(3)
      world.log.rotate()
      world.log.fill(12)
      await until(() => isThrough(sinks))
      assert.deepEqual(await target.arrived(), world.log.lines)
      assert.deepEqual([sinks.status()[0]?.taken, sinks.status()[0]?.refused], [world.log.lines.length, 0])
      assert.deepEqual(world.recorded, [])
    })

    it('may be down at the start, and for long: the backlog comes when it is up', async (t) => {
      const world = await SinkWorld.make(t)
      const to = await target.fresh()
      world.log.fill(1)
      await target.down()
      const sinks = world.open(to)
      await until(() => world.recorded.length > 0)
      const [status] = sinks.status()
      assert.equal(status?.state, 'failing')
      assert.notEqual(status.because, '')
      assert.equal(status.seq, null)
      world.log.fill(60)
      assert.equal(sinks.status()[0]?.lagRecords, world.log.lines.length)
      await target.up()
      await until(() => isThrough(sinks))
      assert.deepEqual(firsts(await target.arrived()), world.log.lines)
      assert.deepEqual(
        world.recorded.map(({ kind, sink }) => [kind, sink]),
        [
          ['sink.failed', 'second'],
          ['sink.resumed', 'second'],
        ],
      )
    })

    it('may go down in the middle: nothing is lost', async (t) => {
      const world = await SinkWorld.make(t)
      const sinks = world.open(await target.fresh())
      world.log.fill(15)
      await until(() => isThrough(sinks))
      await target.down()
      world.log.fill(25)
      await until(() => sinks.status()[0]?.state === 'failing')
      await target.up()
      await until(() => isThrough(sinks))
      assert.deepEqual(firsts(await target.arrived()), world.log.lines)
    })

    it('may hang: it is given up, and asked again', async (t) => {
      const world = await SinkWorld.make(t)
      const sinks = world.open(await target.fresh())
      world.log.fill(3)
      await until(() => isThrough(sinks))
      const answerAgain = await target.hang()
      world.log.fill(15)
      await until(() => sinks.status()[0]?.state === 'failing')
      await answerAgain()
      await until(() => isThrough(sinks))
      assert.deepEqual(firsts(await target.arrived()), world.log.lines)
    })

    it('may refuse single records for good: they are set aside, never silently, and the rest goes on', async (t) => {
      const world = await SinkWorld.make(t)
      const sinks = world.open(await target.fresh())
      await target.refuse(['r-7', 'r-8', 'r-21'])
      world.log.fill(30)
      await until(() => isThrough(sinks))
      const expected = world.log.lines.filter((_, seq) => ![7, 8, 21].includes(seq))
      assert.deepEqual(firsts(await target.arrived()), expected)
      const refused = await world.refused()
      assert.deepEqual(
        refused.map(({ from, to, count, log, file }) => [from, to, count, log, file]),
        [7, 8, 21].map((seq) => [seq, seq, 1, 'log-1', world.log.file]),
      )
      // A collector says that it is the one behind it that answered 400.
      for (const { because } of refused) assert.match(String(because), /liking|400/)
      const [status] = sinks.status()
      assert.deepEqual([status?.refused, status?.taken], [3, 28])
      assert.match(String(status?.problem), /second\.refused/)
    })

    it('may refuse everything, as with a wrong address: then nothing is set aside', async (t) => {
      const world = await SinkWorld.make(t)
      const sinks = world.open(await target.fresh())
      world.log.fill(4)
      await until(() => isThrough(sinks))
      await target.refuse(null)
      world.log.fill(30)
      await until(() => world.recorded.length > 0)
      assert.match(sinks.status()[0]?.because ?? '', /^it refuses every record/)
      await target.refuse([])
      await until(() => isThrough(sinks))
      assert.deepEqual(firsts(await target.arrived()), world.log.lines)
      assert.deepEqual(await world.refused(), [])
    })

    it('goes on at its cursor after a restart', async (t) => {
      const world = await SinkWorld.make(t)
      const to = await target.fresh()
      world.log.fill(13)
      const first = world.open(to)
      await until(() => isThrough(first))
      await world.stop()
      assert.equal(first.status()[0]?.state, 'stopped')
      world.log.fill(3)
      world.log.rotate('open')
      world.log.fill(4)
      const second = world.open(to)
      await until(() => isThrough(second))
      assert.deepEqual(await target.arrived(), world.log.lines)
    })

    it('gets everything again where the cursor is damaged, and everything where there is none', async (t) => {
      const world = await SinkWorld.make(t)
      const to = await target.fresh()
      world.log.fill(13)
      for (const damage of ['{"v":1,"log":"log-1","file":"audit-2026', '{"v":2}', '']) {
        const sinks = world.open(to)
        await until(() => isThrough(sinks))
        await world.stop()
        writeFileSync(join(world.dir, 'sinks/second.cursor'), damage)
      }
      const sinks = world.open(to)
      world.log.fill(2)
      await until(() => isThrough(sinks))
      assert.match(sinks.status()[0]?.problem ?? '', /cursor is damaged/)
      assert.deepEqual(firsts(await target.arrived()), world.log.lines)
    })

    it('never gets what is not on stable storage, or was never acknowledged', async (t) => {
      const world = await SinkWorld.make(t)
      const sinks = world.open(await target.fresh())
      world.log.fill(3)
      world.log.writeOnly(decision('never-acknowledged'))
      world.log.scribble('{"v":1,"seq":')
      await until(() => isThrough(sinks))
      assert.deepEqual(await target.arrived(), world.log.lines)
      world.log.rotate('abandoned')
      world.log.fill(3)
      await until(() => isThrough(sinks))
      assert.deepEqual(await target.arrived(), world.log.lines)
    })

    it('goes on behind a segment that was deleted too early, and says what it never got', async (t) => {
      const world = await SinkWorld.make(t)
      const to = await target.fresh()
      world.log.fill(5)
      const first = world.open(to)
      await until(() => isThrough(first))
      await world.stop()
      world.log.fill(3)
      const had = world.log.lines.slice(0, 6)
      for (const count of [7, 2]) {
        world.log.rotate()
        world.log.fill(count)
      }
      const kept = world.log.lines.slice(-3)
      for (const file of world.log.segments.slice(0, 2)) rmSync(join(world.dir, file))
      const second = world.open(to)
      await until(() => isThrough(second))
      assert.deepEqual(await target.arrived(), [...had, ...kept])
      const gap = { from: 6, to: world.log.seq - kept.length }
      assert.deepEqual(second.status()[0]?.missed, [gap])
      const because = `records ${gap.from} to ${gap.to} were deleted before it had them`
      assert.equal(second.status()[0]?.problem, because)
      assert.deepEqual(world.recorded, [
        { kind: 'sink.failed', sink: 'second', because, seq: 5 },
        { kind: 'sink.resumed', sink: 'second', seq: world.log.seq },
      ])
    })

    it('gets every acknowledged record, whenever the gateway is killed', async (t) => {
      const dir = await tempDir(t)
      const to = JSON.stringify(await target.fresh())
      const child = (mode: 'write' | 'drain'): ChildProcess =>
        fork(join(import.meta.dirname, '../support/sink-child.ts'), [dir, mode, to])
      const acknowledged: string[] = []
      for (let round = 0; round < 4; round++) {
        const writer = child('write')
        const before = acknowledged.length
        writer.on('message', (request) => void (typeof request === 'string' && acknowledged.push(request)))
        // A different moment in each round.
        await until(() => acknowledged.length - before > 40 + round * 57)
        writer.kill('SIGKILL')
        await once(writer, 'close')
      }
      const [code] = await once(child('drain'), 'close')
      assert.equal(code, 0)
      const lines = await Promise.all((await segments(dir)).map((name) => linesOf(join(dir, name))))
      const written = new Set(lines.flat().map(({ chain }) => chain))
      const arrived = firsts(await target.arrived()).map(parseLine)
      const requests = new Set(arrived.map(({ request }) => request))
      assert.deepEqual(
        acknowledged.filter((request) => !requests.has(request)),
        [],
      )
      assert.ok(arrived.every(({ chain }) => written.has(chain)))
      const seqs = arrived.map(({ seq }) => seq)
      assert.deepEqual(
        seqs,
        seqs.toSorted((one, other) => one - other),
      )
      assert.ok(lines.length > 4, 'a rotation in the middle')
    })

    describe('required', () => {
      it('confirms a record that it has', async (t) => {
        const world = await SinkWorld.make(t)
        const sinks = world.open(await target.fresh(), { required: true })
        world.log.fill(8)
        const standing = { file: world.log.file, seq: world.log.seq }
        assert.deepEqual(await sinks.confirmed(standing), { ok: true, value: undefined })
        assert.deepEqual(await target.arrived(), world.log.lines)
      })

      it('fails within its deadline while it is down or hangs, and confirms again behind that', async (t) => {
        const world = await SinkWorld.make(t)
        const sinks = world.open(await target.fresh(), { required: true, limits: { deadlineMs: 100 } })
        const ask = () => sinks.confirmed({ file: world.log.file, seq: world.log.seq })
        world.log.fill(1)
        await until(() => isThrough(sinks))
        assert.equal((await ask()).ok, true)
        await target.down()
        world.log.fill(1)
        const down = await ask()
        assert.ok(!down.ok && down.error.code === 'deadline')
        await target.up()
        await until(async () => (await ask()).ok)
        const answerAgain = await target.hang()
        world.log.fill(1)
        const hung = await ask()
        assert.ok(!hung.ok && hung.error.code === 'deadline')
        await answerAgain()
        await until(async () => (await ask()).ok)
        assert.deepEqual(firsts(await target.arrived()), world.log.lines)
      })

      it('does not confirm a record that it refused', async (t) => {
        const world = await SinkWorld.make(t)
        const sinks = world.open(await target.fresh(), { required: true })
        await target.refuse(['r-2'])
        world.log.fill(3)
        const { file } = world.log
        const answers = await Promise.all([1, 2, 3].map((seq) => sinks.confirmed({ file, seq })))
        assert.deepEqual(
          answers.map(({ ok }) => ok),
          [true, false, true],
        )
        // Also asked for later.
        assert.equal((await sinks.confirmed({ file, seq: 2 })).ok, false)
      })

      it('does not count a number of an earlier segment', async (t) => {
        const world = await SinkWorld.make(t)
        const sinks = world.open(await target.fresh(), { required: true, limits: { deadlineMs: 50 } })
        world.log.fill(9)
        await until(() => isThrough(sinks))
        assert.equal((await sinks.confirmed({ file: world.log.file, seq: 9 })).ok, true)
        // As of a log that was begun anew in the same directory.
        const later = await sinks.confirmed({ file: 'audit-20991231T000000000Z-b.ndjson', seq: 1 })
        assert.ok(!later.ok && later.error.code === 'deadline')
      })
    })
  })
}
