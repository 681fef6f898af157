import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openAuditLog } from '../../../src/audit/log.ts'
import {
  decision,
  faulty,
  firstProblem,
  kept,
  linesOf,
  openLog,
  outcome,
  segments,
  soleSegment,
  tempDir,
  until,
} from './support.ts'

describe('the audit log', { timeout: 60_000 }, () => {
  it('keeps concurrent records in the order of the calls, under one unbroken chain', async (t) => {
    const dir = await tempDir(t)
    const log = openLog(t, dir)
    const asked = Array.from({ length: 500 }, (_, n) => `r${n}`)
    const receipts = await Promise.all(
      asked.map(async (request, n) => {
        // In several turns of the event loop, so that several batches form.
        if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
        return { request, receipt: await log.append(decision(request)) }
      }),
    )
    await log.seal()
    const path = await soleSegment(dir)
    assert.equal(firstProblem(await readFile(path)), null)
    const lines = await linesOf(path)
    assert.deepEqual(
      lines.map((line) => line.seq),
      Array.from(lines, (_, n) => n),
    )
    for (const { request, receipt } of receipts) {
      const { seq, chain, file } = kept(receipt)
      assert.deepEqual([lines[seq]?.request, lines[seq]?.chain], [request, chain])
      assert.equal(join(dir, file), path)
    }
  })

  it('keeps the order of calls made in one go', async (t) => {
    const dir = await tempDir(t)
    const log = openLog(t, dir)
    const receipts = await Promise.all(Array.from({ length: 100 }, (_, n) => log.append(decision(`r${n}`))))
    assert.deepEqual(
      receipts.map((receipt) => kept(receipt).seq),
      Array.from({ length: 100 }, (_, n) => n + 1),
    )
    const status = log.status()
    assert.equal(status.records, 101)
    assert.ok(status.commits < 20, `${status.commits} commits`)
  })

  it('acknowledges nothing before the sync is done, and gathers meanwhile', async (t) => {
    const dir = await tempDir(t)
    const { files, faults } = faulty()
    const log = openLog(t, dir, {}, files)
    await log.append(decision('warm'))
    const gate = Promise.withResolvers<void>()
    faults.datasync = async (real) => {
      await gate.promise
      await real.datasync()
    }
    let acknowledged = 0
    const first = log.append(decision('a')).then(() => acknowledged++)
    await until(async () => (await readFile(await soleSegment(dir), 'utf8')).includes('"request":"a"'))
    const others = ['b', 'c', 'd'].map((request) => log.append(decision(request)).then(() => acknowledged++))
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(acknowledged, 0)
    assert.equal(log.status().queued, 3)
    const before = faults.datasyncs
    gate.resolve()
    await Promise.all([first, ...others])
    assert.equal(faults.datasyncs - before, 1)
  })

  it('makes the directory for its owner only, and a file nobody else reads', async (t) => {
    const dir = join(await tempDir(t), 'a', 'b')
    const log = openLog(t, dir)
    assert.ok((await log.append(decision('r'))).ok)
    assert.equal((await stat(dir)).mode & 0o777, 0o700)
    assert.equal((await stat(await soleSegment(dir))).mode & 0o777, 0o600)
    assert.match((await segments(dir))[0] ?? '', /^audit-\d{8}T\d{9}Z-[0-9a-f-]{36}\.ndjson$/)
  })

  it('waits for what is queued when sealed, then refuses', async (t) => {
    const dir = await tempDir(t)
    const log = openLog(t, dir)
    const queued = Array.from({ length: 20 }, (_, n) => log.append(decision(`r${n}`)))
    log.note(outcome('r0'))
    await Promise.all([log.seal(), log.seal()])
    for (const receipt of queued) assert.ok((await receipt).ok)
    const lines = await linesOf(await soleSegment(dir))
    assert.equal(lines.length, 23)
    assert.deepEqual(
      lines.slice(-2).map((line) => line.kind),
      ['outcome', 'log.sealed'],
    )
    assert.equal(lines.at(-1)?.records, 22)
    const late = await log.append(decision('late'))
    assert.equal(!late.ok && late.error.code, 'sealed')
    log.note(outcome('late'))
    const { state, lost, file, records } = log.status()
    assert.deepEqual({ state, lost, file, records }, { state: 'sealed', lost: 1, file: null, records: 23 })
    assert.equal((await linesOf(await soleSegment(dir))).length, 23)
  })

  it('keeps what the caller changes after the call as it was', async (t) => {
    const dir = await tempDir(t)
    const log = openLog(t, dir)
    const asked: [string, string][] = [['query', 'before']]
    const kept = log.append({ ...decision('r'), asked })
    asked[0] = ['query', 'after']
    await kept
    assert.deepEqual((await linesOf(await soleSegment(dir)))[1]?.asked, [['query', 'before']])
  })

  it('continues the log of the boot before it', async (t) => {
    const dir = await tempDir(t)
    const first = openLog(t, dir)
    await first.append(decision('a'))
    await first.seal()
    const [before = ''] = await segments(dir)
    const bytes = await readFile(join(dir, before))
    const second = openLog(t, dir)
    await second.append(decision('b'))
    await second.seal()
    const [, after = ''] = await segments(dir)
    const last = (await linesOf(join(dir, before))).at(-1)
    const opened = (await linesOf(join(dir, after)))[0]
    assert.deepEqual(opened?.previous, { file: before, found: 'sealed', seq: 2, chain: last?.chain })
    assert.equal(opened?.log, last?.log)
    assert.notEqual(opened?.boot, last?.boot)
    assert.equal(opened?.seq, 3)
    assert.deepEqual(await readFile(join(dir, before)), bytes)
  })

  it('names segments in order of creation even when the clock goes back', async (t) => {
    const dir = await tempDir(t)
    for (const time of ['2025-06-01T00:00:00.000Z', '2025-05-01T00:00:00.000Z', '2024-01-01T00:00:00.000Z']) {
      const log = openAuditLog({ dir, clock: () => new Date(time), newId: randomUUID })
      await log.append(decision(time))
      await log.seal()
    }
    const names = await segments(dir)
    assert.deepEqual(
      names.map((name) => name.slice(6, 25)),
      ['20250601T000000000Z', '20250601T000000001Z', '20250601T000000002Z'],
    )
    const opened = await linesOf(join(dir, names[2] ?? ''))
    assert.equal(opened[0]?.previous?.file, names[1])
    assert.equal(opened[0]?.ts, '2024-01-01T00:00:00.000Z')
  })
})

const broken = (lines: string[]): boolean => firstProblem(Buffer.from(`${lines.join('\n')}\n`)) !== null

describe('the chain', { timeout: 60_000 }, () => {
  it('shows every flipped bit pattern of every byte', async (t) => {
    const dir = await tempDir(t)
    const log = openLog(t, dir)
    await log.append(decision('a'))
    log.note(outcome('a'))
    await log.seal()
    const bytes = await readFile(await soleSegment(dir))
    assert.equal(firstProblem(bytes), null)
    for (let at = 0; at < bytes.length; at++) {
      for (const flip of [0x01, 0x20, 0xff]) {
        const copy = Buffer.from(bytes)
        copy.writeUInt8((bytes[at] ?? 0) ^ flip, at)
        assert.notEqual(firstProblem(copy), null, `byte ${at} ^ ${flip}`)
      }
    }
  })

  it('shows a line taken out, doubled, moved or cut off the end', async (t) => {
    const dir = await tempDir(t)
    const log = openLog(t, dir)
    await Promise.all(['a', 'b', 'c'].map((request) => log.append(decision(request))))
    await log.seal()
    const lines = (await readFile(await soleSegment(dir), 'utf8')).split('\n').slice(0, -1)
    assert.ok(!broken(lines))
    for (const [at, line] of lines.entries()) {
      assert.ok(broken(lines.toSpliced(at, 1)), `without line ${at}`)
      assert.ok(broken(lines.toSpliced(at, 0, line)), `line ${at} twice`)
      if (at > 0) assert.ok(broken(lines.toSpliced(at - 1, 2, line, lines[at - 1] ?? '')), `line ${at} moved up`)
    }
  })
})
