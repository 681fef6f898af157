import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { parseCheckpointsLine } from '../../../src/audit/checkpoint.ts'
import { nodeFiles } from '../../../src/audit/files.ts'
import { generateKeyPair, readSigningKey } from '../../../src/audit/keys.ts'
import { verifyLog } from '../../../src/audit/verify.ts'
import {
  allLines,
  decision,
  faulty,
  firstProblem,
  kept,
  linesOf,
  openLog,
  segments,
  systemError,
  tempDir,
  until,
} from './support.ts'

const key = readSigningKey(generateKeyPair().privatePem)
const checkpoints = { key, previousKey: null, copyTo: null, every: 10, idle: 60_000 }
const large = { bytes: 2 ** 40, ms: 2 ** 40 }

const numbered = (dir: string) => allLines(dir).then((lines) => lines.map(({ seq }) => seq))
const inOrder = (count: number): number[] => Array.from({ length: count }, (_, n) => n)
const plain = async (dir: string) => (await segments(dir)).filter((name) => name.endsWith('.ndjson'))

describe('rotation', { timeout: 60_000 }, () => {
  it('by size, under load: every record is where its receipt says, and the segments follow without a gap', async (t) => {
    const dir = await tempDir(t)
    const log = openLog(t, dir, {}, nodeFiles, { rotate: { ...large, bytes: 20_000 } })
    const callers = inOrder(16).map(async (caller) => {
      const mine = []
      for (const n of inOrder(20)) {
        const request = `${caller}-${n}`
        mine.push({ request, ...kept(await log.append(decision(request))) })
      }
      return mine
    })
    const receipts = (await Promise.all(callers)).flat()
    await log.seal()
    const names = await plain(dir)
    assert.ok(names.length > 5, `${names.length} segments`)
    const lines = await allLines(dir)
    assert.deepEqual(await numbered(dir), inOrder(lines.length))
    for (const { request, seq, chain, file } of receipts) {
      const line = (await linesOf(join(dir, file))).find((one) => one.seq === seq)
      assert.deepEqual([line?.request, line?.chain], [request, chain])
    }
    for (const [index, name] of names.entries()) {
      assert.equal(firstProblem(await readFile(join(dir, name))), null)
      const { previous } = (await linesOf(join(dir, name)))[0] ?? {}
      const before = names[index - 1]
      const last = before === undefined ? undefined : (await linesOf(join(dir, before))).at(-1)
      const expected = last === undefined ? null : { file: before, found: 'sealed', seq: last.seq, chain: last.chain }
      assert.deepEqual(previous, expected)
    }
  })

  it('by age, also when nothing comes: but never of a segment that holds its first record only', async (t) => {
    const dir = await tempDir(t)
    const log = openLog(t, dir, {}, nodeFiles, { rotate: { ...large, ms: 20 } })
    const { file } = kept(await log.append(decision('a')))
    await until(() => log.status().file !== file && log.status().state === 'open')
    await delay(100)
    assert.equal((await plain(dir)).length, 2)
    await log.append(decision('b'))
    await until(async () => (await plain(dir)).length === 3)
  })

  it('lets an append wait until the next segment is there', async (t) => {
    const dir = await tempDir(t)
    const gate = Promise.withResolvers<void>()
    let created = 0
    const files = {
      ...nodeFiles,
      create: async (path: string) => {
        if (path.endsWith('.ndjson') && ++created === 2) await gate.promise
        return nodeFiles.create(path)
      },
    }
    const log = openLog(t, dir, {}, files, { rotate: { ...large, bytes: 10 } })
    const { file } = kept(await log.append(decision('a')))
    await until(() => created === 2)
    assert.equal(log.status().state, 'open')
    assert.deepEqual(log.durable(), { file, bytes: (await readFile(join(dir, file))).length, seq: 2 })
    let settled = false
    const waiting = log.append(decision('b')).finally(() => (settled = true))
    await delay(20)
    assert.equal(settled, false)
    gate.resolve()
    const receipt = kept(await waiting)
    assert.equal(receipt.seq, 4)
    assert.notEqual(receipt.file, file)
  })

  it('fails like any other opening: what waits is refused, and the next segment follows the sealed one', async (t) => {
    const dir = await tempDir(t)
    const { files, faults } = faulty()
    const log = openLog(t, dir, {}, files, { rotate: { ...large, bytes: 10 } })
    await until(() => log.status().state === 'open')
    faults.create = () => Promise.reject(systemError('EIO'))
    kept(await log.append(decision('a')))
    await until(() => log.status().state === 'failed')
    const refused = await log.append(decision('b'))
    assert.equal(!refused.ok && refused.error.code, 'io')
    assert.equal(log.durable(), null)
    faults.create = null
    await until(() => log.status().state === 'open')
    kept(await log.append(decision('c')))
    await log.seal()
    assert.deepEqual(await numbered(dir), inOrder((await allLines(dir)).length))
    const [, second = ''] = await plain(dir)
    assert.equal((await linesOf(join(dir, second)))[0]?.previous?.found, 'sealed')
  })

  it('whose last record cannot be written gives the segment up', async (t) => {
    const dir = await tempDir(t)
    const { files, faults } = faulty()
    const log = openLog(t, dir, {}, files, { rotate: { ...large, bytes: 10 } })
    await until(() => log.status().state === 'open')
    const before = faults.datasyncs
    faults.datasync = (real) => (faults.datasyncs === before + 2 ? Promise.reject(systemError('EIO')) : real.datasync())
    const { file, seq } = kept(await log.append(decision('a')))
    await until(() => log.status().file !== file && log.status().state === 'open')
    const [, second = ''] = await plain(dir)
    const { previous, seq: next } = (await linesOf(join(dir, second)))[0] ?? {}
    assert.deepEqual([previous?.found, previous?.seq, next], ['abandoned', seq, seq + 2])
  })

  it('under way when the end is asked for: what waited is written before it', async (t) => {
    const dir = await tempDir(t)
    const { files, faults } = faulty()
    const log = openLog(t, dir, {}, files, { rotate: { ...large, bytes: 10 } })
    await until(() => log.status().state === 'open')
    const gate = Promise.withResolvers<void>()
    const before = faults.datasyncs
    faults.datasync = async (real) => {
      if (faults.datasyncs === before + 2) await gate.promise
      await real.datasync()
    }
    kept(await log.append(decision('a')))
    await until(() => faults.datasyncs === before + 2)
    const waiting = log.append(decision('b'))
    const sealed = log.seal()
    gate.resolve()
    kept(await waiting)
    await sealed
    assert.equal(log.status().state, 'sealed')
    assert.deepEqual(
      (await allLines(dir)).map(({ kind }) => kind),
      ['log.opened', 'decision', 'log.sealed', 'log.opened', 'decision', 'log.sealed'],
    )
  })

  it('leaves each sealed segment with a checkpoint of all its lines beside it', async (t) => {
    const dir = await tempDir(t)
    const log = openLog(t, dir, {}, nodeFiles, { rotate: { ...large, bytes: 5_000 }, checkpoints })
    for (const n of inOrder(40)) {
      kept(await log.append(decision(`r${n}`)))
      if (n % 10 === 0) await until(() => (log.covered() ?? -1) > n)
    }
    await log.seal()
    for (const name of await plain(dir)) {
      const beside = (await segments(dir)).filter((other) => other.startsWith(`${name.slice(0, -7)}.`))
      const texts = await Promise.all(
        beside.filter((other) => other !== name).map((other) => readFile(join(dir, other), 'utf8')),
      )
      const found = texts.join('').split('\n').slice(0, -1).map(parseCheckpointsLine)
      const sizes = found.map((line) => (line?.kind === 'checkpoint' ? line.checkpoint.size : 0))
      assert.equal(sizes.at(-1), (await linesOf(join(dir, name))).length, name)
    }
    assert.equal(log.covered(), (await allLines(dir)).at(-1)?.seq)
    const report = await verifyLog({ dir, keys: [key], copy: null, partial: false })
    assert.deepEqual(report.ok && [report.value.damage, report.value.uncovered], [null, 0])
  })

  it('under a clock that is set forth and back: names sort, times go back, and the log is whole', async (t) => {
    const dir = await tempDir(t)
    let now = Date.parse('2025-06-01T00:00:00.000Z')
    const clock = (): Date => new Date(now)
    const log = openLog(t, dir, {}, nodeFiles, { clock, rotate: { ...large, bytes: 10 }, checkpoints })
    const files: string[] = []
    for (const days of [0, 1, -2, 0, -1]) {
      now += days * 86_400_000
      files.push(kept(await log.append(decision('r'))).file)
    }
    await log.seal()
    assert.deepEqual(files, files.toSorted())
    assert.equal(new Set(files).size, files.length)
    const times = (await allLines(dir)).filter(({ kind }) => kind === 'decision').map(({ ts }) => ts.slice(0, 10))
    assert.deepEqual(times, ['2025-06-01', '2025-06-02', '2025-05-31', '2025-05-31', '2025-05-30'])
    const report = await verifyLog({ dir, keys: [key], copy: null, partial: false })
    assert.equal(report.ok && report.value.damage, null)
  })
})
