import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { AuditLimits } from '../../../src/audit/limits.ts'
import type { AuditLogOptions } from '../../../src/audit/log.ts'
import { ok } from '../../../src/result.ts'
import { allLines, decision, faulty, kept, openLog, systemError, tempDir, until } from './support.ts'

async function opened(
  t: TestContext,
  limits: Partial<AuditLimits> = {},
  options: Partial<AuditLogOptions> = { mode: 'best-effort' },
) {
  const dir = await tempDir(t)
  const { files, faults } = faulty()
  const log = openLog(t, dir, limits, files, options)
  return { dir, log, faults }
}

describe('best effort', { timeout: 60_000 }, () => {
  it('is not what one gets without asking', async (t) => {
    const { dir, log, faults } = await opened(t, {}, {})
    kept(await log.append(decision('a')))
    assert.equal(log.status().mode, 'required')
    assert.equal((await allLines(dir))[0]?.mode, undefined)
    faults.datasync = () => Promise.reject(systemError('EIO'))
    assert.equal((await log.append(decision('b'))).ok, false)
    assert.equal(log.status().unrecorded, 0)
  })

  it('says so in each segment and in the status, and keeps what it can', async (t) => {
    const { dir, log } = await opened(t)
    kept(await log.append(decision('a')))
    kept(await log.appendRefusal(decision('b')))
    assert.deepEqual([log.status().mode, log.status().unrecorded], ['best-effort', 0])
    await log.seal()
    const lines = await allLines(dir)
    assert.deepEqual([lines[0]?.mode, lines.at(-1)?.lost], ['best-effort', 0])
  })

  it('answers without a receipt where the disk fails, counts it, and the log tells how many are missing', async (t) => {
    const { dir, log, faults } = await opened(t)
    kept(await log.append(decision('a')))
    faults.datasync = () => Promise.reject(systemError('EIO'))
    assert.deepEqual(await log.append(decision('b')), ok(null))
    await until(() => log.status().state === 'failed')
    assert.deepEqual(await log.append(decision('c')), ok(null))
    assert.deepEqual(await log.appendRefusal(decision('d')), ok(null))
    assert.equal(log.status().unrecorded, 3)
    faults.datasync = null
    await until(() => log.status().state === 'open')
    kept(await log.append(decision('e')))
    await log.seal()
    assert.equal((await allLines(dir)).at(-1)?.lost, 3)
    assert.deepEqual(await log.append(decision('f')), ok(null))
    assert.equal(log.status().unrecorded, 4)
  })

  it('answers without a receipt where the disk hangs, after the deadline and then at once', async (t) => {
    const { log, faults } = await opened(t, { deadlineMs: 300 })
    kept(await log.append(decision('a')))
    faults.datasync = () => new Promise(() => undefined)
    assert.deepEqual(await log.append(decision('b')), ok(null))
    assert.equal(log.status().state, 'failed')
    const written = faults.datasyncs
    assert.deepEqual(await log.append(decision('c')), ok(null))
    assert.equal(faults.datasyncs, written)
  })

  it('answers without a receipt where too many wait', async (t) => {
    const { log, faults } = await opened(t, { queueRecords: 1 })
    kept(await log.append(decision('a')))
    const gate = Promise.withResolvers<void>()
    faults.datasync = () => gate.promise
    const inFlight = log.append(decision('b'))
    await new Promise((resolve) => setImmediate(resolve))
    const waiting = log.append(decision('c'))
    assert.deepEqual(await log.append(decision('d')), ok(null))
    gate.resolve()
    kept(await inFlight)
    kept(await waiting)
  })

  it('keeps records above the mark, as long as there is room; then only what shows nothing', async (t) => {
    const disk = { warn: 0.8, refuse: 0.9, reserveBytes: 1_000 }
    const { log, faults } = await opened(t, { diskEveryMs: 5 }, { mode: 'best-effort', disk })
    let room = 100_000
    faults.space = async () => ({ total: 100_000, free: room, available: room })
    await until(() => log.status().disk?.reserved === 1_000)
    room = 5_000
    await until(() => log.status().disk?.state === 'full')
    assert.equal(log.status().state, 'open')
    kept(await log.append(decision('a')))
    faults.write = () => {
      faults.write = null
      return Promise.reject(systemError('ENOSPC'))
    }
    assert.deepEqual(await log.append(decision('b')), ok(null))
    kept(await log.appendRefusal(decision('c')))
    assert.deepEqual(await log.append(decision('d')), ok(null))
    assert.deepEqual([log.status().state, log.status().unrecorded], ['failed', 2])
  })
})
