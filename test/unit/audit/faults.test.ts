import assert from 'node:assert/strict'
import { mkdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { nodeFiles, type Files } from '../../../src/audit/files.ts'
import type { AuditLimits } from '../../../src/audit/limits.ts'
import type { AuditLog } from '../../../src/audit/log.ts'
import type { PreviousSegment } from '../../../src/audit/record.ts'
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
  startWriter,
  systemError,
  tempDir,
  until,
  type Faults,
} from './support.ts'

interface Opened {
  dir: string
  log: AuditLog
  faults: Faults
}

async function opened(t: TestContext, limits: Partial<AuditLimits> = {}): Promise<Opened> {
  const dir = await tempDir(t)
  const { files, faults } = faulty()
  const log = openLog(t, dir, limits, files)
  assert.ok((await log.append(decision('before'))).ok)
  return { dir, log, faults }
}

async function refused(log: AuditLog, request: string): Promise<string> {
  const result = await log.append(decision(request))
  assert.ok(!result.ok, 'the record was acknowledged')
  assert.notEqual(result.error.remedy, '')
  return `${result.error.code} ${result.error.reason}`
}

/** After the fault is gone the log mends itself; answers the segment it opened. */
async function mended(log: AuditLog, dir: string): Promise<{ file: string; previous: PreviousSegment | null }> {
  await until(() => log.status().state === 'open')
  const { file } = kept(await log.append(decision('after')))
  return { file, previous: (await linesOf(join(dir, file)))[0]?.previous ?? null }
}

describe('a disk that misbehaves', { timeout: 60_000 }, () => {
  it('takes a few bytes at a time: the record is whole all the same', async (t) => {
    const { dir, log, faults } = await opened(t)
    faults.write = (real, bytes, offset) => real.write(bytes.subarray(0, Math.min(bytes.length, offset + 7)), offset)
    const receipts = await Promise.all(['a', 'b'].map((request) => log.append(decision(request))))
    assert.ok(receipts.every((receipt) => receipt.ok))
    await log.seal()
    assert.equal(firstProblem(await readFile(await soleSegment(dir))), null)
  })

  it('is full in the middle of a record: refused, abandoned untouched, and a new segment says so', async (t) => {
    const { dir, log, faults } = await opened(t)
    const old = await soleSegment(dir)
    faults.create = () => Promise.reject(systemError('ENOSPC'))
    faults.write = (real, bytes, offset) =>
      offset === 0 ? real.write(bytes.subarray(0, 100), 0) : Promise.reject(systemError('ENOSPC'))
    assert.match(await refused(log, 'lost'), /^disk .*ENOSPC/)
    const left = await readFile(old)
    assert.equal(log.status().state, 'failed')
    assert.match(log.status().lastFailure?.remedy ?? '', /free space/)
    assert.match(await refused(log, 'failed fast'), /ENOSPC/)
    faults.create = null
    faults.write = null
    const { previous } = await mended(log, dir)
    assert.deepEqual({ found: previous?.found, seq: previous?.seq }, { found: 'abandoned', seq: 1 })
    assert.equal(previous?.chain, (await linesOf(old)).at(-1)?.chain)
    assert.match(previous?.because ?? '', /ENOSPC/)
    assert.deepEqual(await readFile(old), left)
    const texts = await Promise.all((await segments(dir)).map((name) => readFile(join(dir, name), 'utf8')))
    assert.ok(!texts.join('').includes('failed fast'))
  })

  it('takes no bytes and gives no error: refused', async (t) => {
    const { log, faults } = await opened(t)
    faults.write = () => Promise.resolve(0)
    assert.match(await refused(log, 'r'), /^io .*took no bytes/)
  })

  it('stays full: no file is left for each try', async (t) => {
    const { dir, log, faults } = await opened(t, { retryMs: 1 })
    let tries = 0
    faults.write = () => {
      tries++
      return Promise.reject(systemError('ENOSPC'))
    }
    await refused(log, 'r')
    await until(() => tries > 5)
    await log.seal()
    assert.equal((await segments(dir)).length, 1)
  })

  it('fails a write: refused, abandoned untouched, and a new segment says so', async (t) => {
    const { dir, log, faults } = await opened(t)
    faults.write = () => Promise.reject(systemError('EIO'))
    const left = await readFile(await soleSegment(dir))
    assert.match(await refused(log, 'r'), /^io .*EIO/)
    faults.write = null
    const { previous } = await mended(log, dir)
    assert.deepEqual([previous?.found, previous?.seq], ['abandoned', 1])
    assert.deepEqual(await readFile(await soleSegment(dir)), left)
  })

  it('fails a sync: the pages of that file are not synced again, as a second call would find nothing wrong', async (t) => {
    const dir = await tempDir(t)
    const calls: string[] = []
    let failing: string | null = null
    const files: Files = {
      ...nodeFiles,
      create: async (path) => {
        const real = await nodeFiles.create(path)
        const datasync = async (): Promise<void> => {
          calls.push(path)
          // The kernel reports a failed write-back once, and takes the pages for clean after that.
          if (path === failing && calls.filter((one) => one === path).length === 3) throw systemError('EIO')
          await real.datasync()
        }
        return path.endsWith('.ndjson') ? { ...real, datasync } : real
      },
    }
    const log = openLog(t, dir, {}, files)
    const first = kept(await log.append(decision('before')))
    failing = join(dir, first.file)
    assert.match(await refused(log, 'lost'), /^io .*EIO/)
    await mended(log, dir)
    await log.seal()
    assert.equal(calls.filter((one) => one === failing).length, 3)
  })

  it('fails once: what shows nothing is written to the next segment, and answered', async (t) => {
    const { dir, log, faults } = await opened(t)
    faults.datasync = () => {
      faults.datasync = null
      return Promise.reject(systemError('EIO'))
    }
    const shown = refused(log, 'shown')
    const said = log.appendRefusal({ ...decision('refusal'), decision: 'deny', sent: null })
    log.note(outcome('note'))
    assert.match(await shown, /EIO/)
    const { file, seq } = kept(await said)
    assert.notEqual(file, (await segments(dir))[0])
    const lines = await linesOf(join(dir, file))
    assert.deepEqual([lines[1]?.seq, lines[1]?.request, lines[2]?.request], [seq, 'refusal', 'note'])
    assert.equal(log.status().lost, 0)
  })

  it('fails again and again: what shows nothing gets no third try', async (t) => {
    const { log, faults } = await opened(t)
    faults.datasync = () => Promise.reject(systemError('EIO'))
    const said = await log.appendRefusal(decision('refusal'))
    assert.equal(!said.ok && said.error.code, 'io')
  })

  it('fails a sync: never asked again about the same file, no number used twice', async (t) => {
    const { dir, log, faults } = await opened(t)
    faults.datasync = () => Promise.reject(systemError('EIO'))
    const calls = ['a', 'b', 'c'].map((request) => refused(log, request))
    for (const reason of await Promise.all(calls)) assert.match(reason, /^io .*EIO/)
    const afterFailure = await readFile(await soleSegment(dir))
    faults.datasync = null
    const { file, previous } = await mended(log, dir)
    assert.equal(previous?.found, 'abandoned')
    const old = await linesOf(await soleSegment(dir))
    assert.equal(old.find((line) => line.chain === previous.chain)?.request, 'before')
    assert.deepEqual(await readFile(await soleSegment(dir)), afterFailure)
    const numbers = [...old, ...(await linesOf(join(dir, file)))].map((line) => line.seq)
    assert.equal(new Set(numbers).size, numbers.length)
  })

  it('cannot make the name durable: nothing is acknowledged', async (t) => {
    const dir = await tempDir(t)
    const { files, faults } = faulty()
    faults.syncDir = () => Promise.reject(systemError('EIO'))
    const log = openLog(t, dir, {}, files)
    assert.match(await refused(log, 'r'), /^io .*EIO/)
    faults.syncDir = null
    assert.equal((await mended(log, dir)).previous, null)
    assert.equal((await segments(dir)).length, 1)
  })

  it('hangs: every caller is answered, the disk is not asked again, and what lands late keeps the chain', async (t) => {
    const { dir, log, faults } = await opened(t, { deadlineMs: 1_500 })
    const gate = Promise.withResolvers<void>()
    faults.datasync = async (real) => {
      await gate.promise
      await real.datasync()
    }
    const first = refused(log, 'written')
    await until(async () => (await readFile(await soleSegment(dir), 'utf8')).includes('"written"'))
    const second = refused(log, 'still queued')
    log.note(outcome('patient'))
    assert.match(await first, /^deadline /)
    assert.match(await second, /^deadline /)
    assert.equal(log.status().state, 'failed')
    assert.equal(log.status().lastFailure?.code, 'deadline')
    const before = faults.datasyncs
    assert.match(await refused(log, 'failed fast'), /^deadline /)
    assert.equal(faults.datasyncs, before)
    gate.resolve()
    await until(() => log.status().state === 'open')
    assert.ok((await log.append(decision('after'))).ok)
    await log.seal()
    const path = await soleSegment(dir)
    assert.equal(firstProblem(await readFile(path)), null)
    const kept = (await linesOf(path)).map((line) => line.request)
    assert.deepEqual(kept, [undefined, 'before', 'written', 'patient', 'after', undefined])
  })

  it('hangs for ever: seal ends', async (t) => {
    const { log, faults } = await opened(t, { deadlineMs: 1_500 })
    faults.datasync = () => new Promise(() => undefined)
    const waiting = refused(log, 'r')
    await log.seal()
    assert.match(await waiting, /^deadline /)
    assert.notEqual(log.status().state, 'sealed')
  })

  it('hangs while the log is opened: callers are answered', async (t) => {
    const dir = await tempDir(t)
    const { files, faults } = faulty()
    faults.makeDir = () => new Promise(() => undefined)
    const log = openLog(t, dir, { deadlineMs: 1_500 }, files)
    assert.match(await refused(log, 'r'), /^deadline /)
    assert.equal(log.status().state, 'failed')
  })

  it('is slow: no more than the queue holds may wait', async (t) => {
    const { log, faults } = await opened(t, { queueRecords: 3 })
    const gate = Promise.withResolvers<void>()
    faults.datasync = () => gate.promise
    const inFlight = log.append(decision('in flight'))
    await new Promise((resolve) => setImmediate(resolve))
    const waiting = ['a', 'b', 'c'].map((request) => log.append(decision(request)))
    assert.match(await refused(log, 'd'), /^full /)
    log.note(outcome('d'))
    assert.equal(log.status().lost, 1)
    assert.equal(log.status().state, 'open')
    gate.resolve()
    for (const receipt of [inFlight, ...waiting]) assert.ok((await receipt).ok)
    assert.ok((await log.append(decision('e'))).ok)
  })

  it('is slow: no more bytes than the queue holds may wait', async (t) => {
    const { log, faults } = await opened(t, { queueBytes: 3_000 })
    const gate = Promise.withResolvers<void>()
    faults.datasync = () => gate.promise
    const inFlight = log.append(decision('in flight'))
    await new Promise((resolve) => setImmediate(resolve))
    const small = log.append(decision('small'))
    assert.match(await refused(log, 'x'.repeat(3_000)), /^full /)
    gate.resolve()
    assert.ok((await inFlight).ok && (await small).ok)
  })

  it('fails: notes are counted as lost', async (t) => {
    const { log, faults } = await opened(t)
    faults.datasync = () => Promise.reject(systemError('EIO'))
    faults.create = () => Promise.reject(systemError('EIO'))
    log.note(outcome('in flight'))
    await until(() => log.status().state === 'failed')
    log.note(outcome('later'))
    await until(() => log.status().lost === 2)
  })
})

describe('a live file that somebody touches', { timeout: 60_000 }, () => {
  const touches: Record<string, (path: string) => Promise<void>> = {
    removed: (path) => rm(path),
    renamed: (path) => rename(path, `${path}.1`),
    replaced: async (path) => {
      await rename(path, `${path}.1`)
      await writeFile(path, '')
    },
    truncated: (path) => truncate(path, 10),
    'appended to': (path) => writeFile(path, 'x\n', { flag: 'a' }),
  }
  for (const [what, touch] of Object.entries(touches)) {
    it(`is ${what}: refused, and a new segment names what is missing`, async (t) => {
      const { dir, log } = await opened(t)
      const [old = ''] = await segments(dir)
      await touch(join(dir, old))
      assert.match(await refused(log, 'r'), /^moved /)
      const { file, previous } = await mended(log, dir)
      assert.notEqual(file, old)
      assert.deepEqual({ file: previous?.file, found: previous?.found }, { file: old, found: 'abandoned' })
      await log.seal()
      assert.equal(firstProblem(await readFile(join(dir, file))), null)
    })
  }

  it('has a double of the same length in its place: refused', async (t) => {
    const { log, faults } = await opened(t)
    faults.facts = async (path) => ({ ...(await nodeFiles.facts(path)), inode: 1n })
    assert.match(await refused(log, 'r'), /^moved .*another file/)
  })

  it('goes with its whole directory: refused, then made anew', async (t) => {
    const dir = join(await tempDir(t), 'log')
    const log = openLog(t, dir)
    assert.ok((await log.append(decision('before'))).ok)
    await rm(dir, { recursive: true })
    assert.match(await refused(log, 'r'), /^moved /)
    assert.equal((await mended(log, dir)).previous?.found, 'abandoned')
  })
})

describe('a directory that cannot be used', { timeout: 60_000 }, () => {
  it('lies under a regular file: failed with a remedy, open when that is mended', async (t) => {
    const base = join(await tempDir(t), 'file')
    await writeFile(base, 'not a directory')
    const log = openLog(t, join(base, 'log'))
    assert.match(await refused(log, 'r'), /^io .*ENOTDIR/)
    assert.match(log.status().lastFailure?.remedy ?? '', /is a file/)
    assert.equal(log.status().file, null)
    await rm(base)
    assert.equal((await mended(log, join(base, 'log'))).previous, null)
  })

  it('is a regular file itself', async (t) => {
    const path = join(await tempDir(t), 'log')
    await writeFile(path, '')
    assert.match(await refused(openLog(t, path), 'r'), /^io .*EEXIST/)
  })

  it('may not be written: failed with a remedy, open when that is mended', async (t) => {
    const dir = await tempDir(t)
    const { files, faults } = faulty()
    faults.create = () => Promise.reject(systemError('EACCES'))
    const log = openLog(t, dir, {}, files)
    assert.match(await refused(log, 'r'), /^io .*EACCES/)
    assert.match(log.status().lastFailure?.remedy ?? '', /write/)
    faults.create = null
    await mended(log, dir)
  })

  it('may not be made: sealing ends all the same', async (t) => {
    const { files, faults } = faulty()
    faults.makeDir = () => Promise.reject(systemError('EROFS'))
    const log = openLog(t, '/nowhere', { retryMs: 60_000 }, files)
    assert.match(await refused(log, 'r'), /EROFS/)
    await log.seal()
    assert.equal(log.status().state, 'failed')
  })

  it('holds files of others: left alone', async (t) => {
    const dir = await tempDir(t)
    await writeFile(join(dir, 'audit-99999999T999999999Z-x.ndjson'), 'no time')
    await mkdir(join(dir, 'audit-20250101T000000000Z-directory.ndjson'))
    const log = openLog(t, dir)
    assert.ok((await log.append(decision('r'))).ok)
    const name = log.status().file ?? ''
    const unread = (await linesOf(join(dir, name)))[0]?.unread
    assert.deepEqual(
      unread?.map(({ file, found }) => ({ file, found })),
      [{ file: 'audit-20250101T000000000Z-directory.ndjson', found: 'unreadable' }],
    )
    assert.equal(await readFile(join(dir, 'audit-99999999T999999999Z-x.ndjson'), 'utf8'), 'no time')
  })
})

describe('two writers', { timeout: 60_000 }, () => {
  it('that start in one directory at once: one writes, the other nothing, and the log has one history', async (t) => {
    const dir = await tempDir(t)
    // The one that is refused says so and ends.
    const writers = [startWriter(t, dir, 'ignore'), startWriter(t, dir, 'ignore')]
    await until(() => writers.some(({ acknowledged }) => acknowledged.length > 200))
    await Promise.all(writers.map((writer) => writer.kill()))
    assert.equal(writers.filter(({ acknowledged }) => acknowledged.length > 0).length, 1)
    const names = await segments(dir)
    assert.equal(names.length, 1)
    const lines = await linesOf(join(dir, names[0] ?? ''))
    assert.equal(new Set(lines.map(({ boot }) => boot)).size, 1)
    const found = new Set(lines.map(({ request }) => request))
    for (const request of writers.flatMap(({ acknowledged }) => acknowledged)) assert.ok(found.has(request), request)
  })
})
