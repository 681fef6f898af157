import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { compressSegment } from '../../../src/audit/compress.ts'
import { nodeFiles, type Files } from '../../../src/audit/files.ts'
import { generateKeyPair, readSigningKey } from '../../../src/audit/keys.ts'
import { openAuditLog, type AuditLog } from '../../../src/audit/log.ts'
import { verifyLog } from '../../../src/audit/verify.ts'
import type { VerifyReport } from '../../../src/audit/verify-report.ts'
import { decision, faulty, openLog, segments, startWriter, systemError, tempDir, until } from './support.ts'

const key = readSigningKey(generateKeyPair().privatePem)

function open(t: TestContext, dir: string, files: Files = nodeFiles): AuditLog {
  const checkpoints = { key, previousKey: null, copyTo: null, every: 10, idle: 60_000 }
  const log = openAuditLog({
    dir,
    clock: () => new Date(),
    newId: randomUUID,
    files,
    limits: { retryMs: 5 },
    checkpoints,
  })
  t.after(() => log.seal())
  return log
}

async function check(dir: string, keys: readonly (typeof key)[] | null = [key]): Promise<VerifyReport> {
  const report = await verifyLog({ dir, keys, copy: null, partial: false })
  assert.ok(report.ok, JSON.stringify(report))
  return report.value
}

describe('verify takes for whole', { timeout: 60_000 }, () => {
  it('a segment that was given up, with records that were never acknowledged', async (t) => {
    const dir = await tempDir(t)
    const { files, faults } = faulty()
    const log = open(t, dir, files)
    await log.append(decision('a'))
    await until(() => (log.status().checkpoints?.last ?? null) !== null)
    faults.datasync = () => Promise.reject(systemError('EIO'))
    assert.ok(!(await log.append(decision('b'))).ok)
    faults.datasync = null
    await until(async () => (await log.append(decision('c'))).ok)
    await log.seal()
    const { damage, segments } = await check(dir)
    assert.equal(damage, null)
    assert.ok(segments >= 2)
  })
  it('a torn tail that the next start found, and an empty segment', async (t) => {
    const dir = await tempDir(t)
    const first = openLog(t, dir)
    await first.append(decision('a'))
    await first.seal()
    const path = join(dir, (await segments(dir))[0] ?? '')
    const lines = (await readFile(path, 'utf8')).split('\n').slice(0, 2)
    await writeFile(path, `${lines.join('\n')}\n{"v":1,"seq":2,"ts`)
    await writeFile(join(dir, 'audit-20990101T000000000Z-x.ndjson'), '')
    const second = open(t, dir)
    await second.append(decision('b'))
    await second.seal()
    const { damage, remarks } = await check(dir)
    assert.equal(damage, null)
    assert.match(remarks.map(({ sentence }) => sentence).join('\n'), /a torn tail of 18 bytes[^]*no whole record/)
    await appendFile(path, 'x')
    assert.equal((await check(dir)).damage?.kind, 'edited')
  })
  it('a log of a time before there were checkpoints, and says what it cannot show', async (t) => {
    const dir = await tempDir(t)
    const log = openLog(t, dir)
    await log.append(decision('a'))
    await log.seal()
    const { damage, unknown, uncovered } = await check(dir, null)
    assert.deepEqual([damage, uncovered, unknown.length], [null, 3, 2])
    await open(t, dir).seal()
    assert.equal((await check(dir)).damage, null)
  })
  it('what kill -9 under load leaves, round after round', async (t) => {
    const dir = await tempDir(t)
    for (let round = 1; round <= 4; round++) {
      const writer = startWriter(t, dir)
      await until(() => writer.acknowledged.length > 30 * round)
      await writer.kill()
      assert.equal((await check(dir, null)).damage, null)
    }
  })
  it('a log of which segments are compressed and deleted while it is read', async (t) => {
    const dir = await tempDir(t)
    for (let n = 0; n < 4; n++) {
      const log = open(t, dir)
      await log.append(decision(`${n}`))
      await log.seal()
    }
    const names = await segments(dir)
    const [first = '', second = ''] = names.filter((name) => name.endsWith('.ndjson'))
    let listed = 0
    const files: Files = {
      ...nodeFiles,
      list: async (path) => {
        const found = await nodeFiles.list(path)
        if (++listed === 1) assert.ok((await compressSegment(nodeFiles, dir, second)).ok)
        return found
      },
      open: async (path) => {
        if (path.endsWith(first) && listed === 1) throw systemError('ENOENT')
        return nodeFiles.open(path)
      },
    }
    const report = await verifyLog({ dir, keys: [key], copy: null, partial: false, files })
    assert.ok(report.ok, JSON.stringify(report))
    assert.deepEqual([report.value.damage, listed], [null, 2])
  })
  it('a log that is being written', async (t) => {
    const dir = await tempDir(t)
    const log = open(t, dir)
    await log.append(decision('first'))
    for (let round = 0; round < 20; round++) {
      const kept = Promise.all(Array.from({ length: 20 }, (_, n) => log.append(decision(`${round}-${n}`))))
      assert.equal((await verifyLog({ dir, keys: null, copy: null, partial: false })).ok, true)
      await kept
      assert.equal((await check(dir, null)).damage, null)
    }
  })
})

describe('verify', { timeout: 60_000 }, () => {
  it('says why a log cannot be read', async (t) => {
    const dir = await tempDir(t)
    for (const place of [dir, join(dir, 'nowhere')]) {
      assert.equal((await verifyLog({ dir: place, keys: null, copy: null, partial: false })).ok, false)
    }
  })
  it('tells how far it is, to the end', async (t) => {
    const dir = await tempDir(t)
    const log = open(t, dir)
    await log.append(decision('a'))
    await log.seal()
    const told: number[][] = []
    await verifyLog({ dir, keys: null, copy: null, partial: false, progress: (...both) => told.push(both) })
    assert.equal(told.at(-1)?.[0], told.at(-1)?.[1])
  })
})
