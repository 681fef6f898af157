import assert from 'node:assert/strict'
import { readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { DiskOptions } from '../../../src/audit/disk.ts'
import { nodeFiles, type Files } from '../../../src/audit/files.ts'
import { generateKeyPair, readSigningKey } from '../../../src/audit/keys.ts'
import type { AuditLog, AuditLogOptions } from '../../../src/audit/log.ts'
import { verifyLog } from '../../../src/audit/verify.ts'
import {
  allLines,
  decision,
  faulty,
  kept,
  linesOf,
  openLog,
  outcome,
  segments,
  smallVolume,
  systemError,
  tempDir,
  until,
} from './support.ts'

const key = readSigningKey(generateKeyPair().privatePem)
const checkpoints = { key, previousKey: null, copyTo: null, every: 10, idle: 60_000 }
const marks: DiskOptions = { warn: 0.8, refuse: 0.9, reserveBytes: 0 }
const often = { diskEveryMs: 5 }
const refusal = (request: string) => ({ ...decision(request), decision: 'deny' as const, sent: null })

/** A log on a volume that is as full as the test says. */
async function watched(t: TestContext, disk = marks, options: Partial<AuditLogOptions> = {}, first = 0.1) {
  const dir = await tempDir(t)
  const { files, faults } = faulty()
  let looks = 0
  const fill = async (used: number): Promise<void> => {
    faults.space = async () => {
      looks++
      return { total: 1_000_000, free: (1 - used) * 1_000_000, available: (1 - used) * 1_000_000 }
    }
    const before = looks
    await until(() => looks > before + 1)
  }
  const room = (1 - first) * 1_000_000
  faults.space = async () => ({ total: 1_000_000, free: room, available: room })
  const log = openLog(t, dir, often, files, { disk, ...options })
  return { dir, log, faults, fill }
}

const changes = async (dir: string) =>
  (await allLines(dir)).filter(({ kind }) => kind === 'disk.watermark').map(({ state, used }) => [state, used])

describe('a volume that gets full', { timeout: 60_000 }, () => {
  it('is told of above the first mark: everything is kept still', async (t) => {
    let told = 0
    const { dir, log, fill } = await watched(t, marks, { told: () => told++ })
    kept(await log.append(decision('a')))
    assert.equal(told, 0)
    await fill(0.85)
    assert.deepEqual(log.status().disk, { state: 'low', used: 0.85, reserved: 0 })
    assert.equal(told, 1)
    assert.equal(log.status().state, 'open')
    kept(await log.append(decision('b')))
    await fill(0.5)
    await log.seal()
    assert.deepEqual(await changes(dir), [
      ['low', 0.85],
      ['fine', 0.5],
    ])
  })

  it('takes nothing above the second mark but what shows nothing', async (t) => {
    const { dir, log, fill } = await watched(t)
    kept(await log.append(decision('a')))
    await fill(0.95)
    const refused = await log.append(decision('b'))
    assert.ok(!refused.ok && refused.error.code === 'disk')
    assert.match(refused.error.reason, /95 % full, more than 90 %/)
    assert.notEqual(refused.error.remedy, '')
    assert.deepEqual([log.status().state, log.status().lastFailure?.code], ['failed', 'disk'])
    kept(await log.appendRefusal(refusal('c')))
    log.note(outcome('c'))
    await fill(0.5)
    assert.equal(log.status().state, 'open')
    kept(await log.append(decision('d')))
    await log.seal()
    assert.deepEqual(
      (await allLines(dir)).map(({ kind, request, state }) => request ?? state ?? kind),
      ['log.opened', 'a', 'full', 'c', 'c', 'fine', 'd', 'log.sealed'],
    )
    assert.equal(log.status().lost, 0)
  })

  it('has to be a little emptier than a mark before it counts as below it', async (t) => {
    const { dir, log, fill } = await watched(t)
    kept(await log.append(decision('a')))
    for (const used of [0.9, 0.901, 0.899, 0.9, 0.889, 0.8, 0.795, 0.789, 0.8, 0.801]) await fill(used)
    await log.seal()
    assert.deepEqual(await changes(dir), [
      ['low', 0.9],
      ['full', 0.901],
      ['low', 0.889],
      ['fine', 0.789],
      ['low', 0.801],
    ])
  })

  it('that does not answer how full it is holds callers up no longer than the deadline', async (t) => {
    const dir = await tempDir(t)
    const { files, faults } = faulty()
    const gate = Promise.withResolvers<void>()
    faults.space = async () => {
      await gate.promise
      return { total: 10, free: 9, available: 9 }
    }
    const log = openLog(t, dir, { deadlineMs: 300 }, files, { disk: marks })
    const refused = await log.append(decision('a'))
    assert.equal(!refused.ok && refused.error.code, 'deadline')
    assert.equal(log.status().disk, null)
    gate.resolve()
    await until(async () => (await log.append(decision('b'))).ok)
  })

  it('that cannot be asked is as full as it was', async (t) => {
    const { log, fill, faults } = await watched(t)
    kept(await log.append(decision('a')))
    await fill(0.95)
    let asked = 0
    faults.space = () => {
      asked++
      return Promise.reject(systemError('EIO'))
    }
    await until(() => asked > 2)
    assert.equal(log.status().disk?.state, 'full')
    kept(await log.appendRefusal(refusal('b')))
  })

  it('is nobody to look at without marks', async (t) => {
    const dir = await tempDir(t)
    const { files, faults } = faulty()
    faults.space = () => assert.fail('it was looked at')
    const log = openLog(t, dir, often, files)
    kept(await log.append(decision('a')))
    kept(await log.append(decision('b')))
    assert.equal(log.status().disk, null)
    await assert.rejects(stat(join(dir, 'reserve')), /ENOENT/)
  })
})

const reserveBytes = 3 * 1024 * 1024 + 5

describe('the reserved file', { timeout: 60_000 }, () => {
  const disk = { warn: 0.99, refuse: 0.999, reserveBytes }
  const whole = (log: AuditLog) => until(() => log.status().disk?.reserved === reserveBytes)
  const inode = async (dir: string) => (await stat(join(dir, 'reserve'))).ino

  it('takes real room of the volume, and nobody else reads it', async (t) => {
    const dir = await tempDir(t)
    const log = openLog(t, dir, often, nodeFiles, { disk })
    await whole(log)
    const { size, blocks, mode } = await stat(join(dir, 'reserve'))
    assert.equal(size, reserveBytes)
    assert.ok(blocks * 512 >= size, `${blocks} blocks`)
    assert.equal(mode & 0o777, 0o600)
  })

  it('is that of the process before where it is whole, and made anew where not', async (t) => {
    const dir = await tempDir(t)
    const start = async () => {
      const log = openLog(t, dir, often, nodeFiles, { disk })
      await whole(log)
      await log.seal()
      return inode(dir)
    }
    const first = await start()
    assert.equal(await start(), first)
    const path = join(dir, 'reserve')
    // As a process leaves it that is killed on the way, and as somebody leaves it who saves room.
    for (const spoil of [
      () => truncate(path, 1_000),
      () => truncate(path, 0).then(() => truncate(path, reserveBytes)),
    ]) {
      await spoil()
      await start()
      assert.ok((await stat(path)).blocks * 512 >= reserveBytes)
    }
  })

  it('is not made where that would be what fills the volume', async (t) => {
    const { dir, log, fill } = await watched(t, { ...marks, reserveBytes: 400_000 }, {}, 0.3)
    kept(await log.append(decision('a')))
    await fill(0.3)
    assert.equal(log.status().disk?.reserved, 0)
    await assert.rejects(stat(join(dir, 'reserve')), /ENOENT/)
    await fill(0.1)
    await until(() => log.status().disk?.reserved === 400_000)
  })

  it('that cannot be made leaves nothing behind, is tried again, and holds nothing up', async (t) => {
    const dir = await tempDir(t)
    let tries = 0
    const files: Files = {
      ...nodeFiles,
      create: async (path) => {
        const real = await nodeFiles.create(path)
        if (!path.endsWith('/reserve')) return real
        tries++
        return { ...real, datasync: () => Promise.reject(systemError('EIO')) }
      },
    }
    const log = openLog(t, dir, { diskEveryMs: 50 }, files, { disk })
    await until(() => tries === 3)
    await until(() =>
      stat(join(dir, 'reserve')).then(
        () => false,
        () => true,
      ),
    )
    kept(await log.append(decision('a')))
    assert.deepEqual([log.status().disk?.reserved, log.status().state], [0, 'open'])
  })
})

describe('a volume without any room', { timeout: 60_000 }, () => {
  // Without marks that could be passed before: a write has to find it out.
  const disk = { warn: 1, refuse: 1, reserveBytes: 256 * 1024 }
  const reserved = (log: AuditLog) => until(() => log.status().disk?.reserved === disk.reserveBytes)
  /** Takes all that is left, by a file of somebody else. */
  async function fillUp(volume: string): Promise<void> {
    for (const bytes of [65_536, 4_096]) {
      const flag = 'a'
      for (;;) {
        const failure = await writeFile(join(volume, 'filler'), Buffer.alloc(bytes, 1), { flag }).catch(String)
        if (failure !== undefined) break
      }
    }
  }
  /** Appends until it is refused; answers what was acknowledged. */
  async function appendAll(log: AuditLog, query: string): Promise<string[]> {
    const acknowledged: string[] = []
    for (let n = 0; ; n++) {
      const result = await log.append(decision(`r${n}`, query))
      if (!result.ok) {
        assert.equal(result.error.code, 'disk')
        return acknowledged
      }
      acknowledged.push(`r${n}`)
    }
  }
  const requests = async (dir: string) => (await allLines(dir)).flatMap(({ request }) => request ?? [])

  it('records refusals out of what was kept back, and goes on when there is room again', async (t) => {
    const volume = await smallVolume(t, 2 * 1024 * 1024)
    if (volume === null) return
    const dir = join(volume, 'log')
    const log = openLog(t, dir, often, nodeFiles, { disk, checkpoints })
    await reserved(log)
    kept(await log.append(decision('before')))
    await fillUp(volume)
    const acknowledged = await appendAll(log, 'x'.repeat(10_000))
    // Whoever was just refused says so at once, and finds the log open for it.
    const refusals = Array.from({ length: 20 }, (_, n) => log.appendRefusal(refusal(`refused-${n}`)))
    for (const result of await Promise.all(refusals)) kept(result)
    const { state, disk: seen, lastFailure } = log.status()
    assert.deepEqual([state, seen?.state, seen?.reserved, lastFailure?.code], ['failed', 'full', 0, 'disk'])
    assert.match(lastFailure?.reason ?? '', /ENOSPC/)
    const again = await log.append(decision('again'))
    assert.equal(!again.ok && again.error.code, 'disk')
    await rm(join(volume, 'filler'))
    await until(() => log.status().state === 'open')
    await reserved(log)
    kept(await log.append(decision('after')))
    await log.seal()
    const found = await requests(dir)
    for (const request of ['before', ...acknowledged, 'refused-0', 'refused-19', 'after']) {
      assert.ok(found.includes(request), request)
    }
    const states = (await changes(dir)).map(([one]) => one)
    assert.deepEqual([states[0], states.at(-1)], ['full', 'fine'])
    const report = await verifyLog({ dir, keys: [key], copy: null, partial: false })
    assert.equal(report.ok && report.value.damage, null)
  })

  it('takes a part of a record without an error: it is not acknowledged, and its segment given up as it is', async (t) => {
    const volume = await smallVolume(t, 2 * 1024 * 1024)
    if (volume === null) return
    const short: number[] = []
    const files: Files = {
      ...nodeFiles,
      create: async (path) => {
        const real = await nodeFiles.create(path)
        const write = async (bytes: Uint8Array, offset: number) => {
          const taken = await real.write(bytes, offset)
          if (offset + taken < bytes.length) short.push(taken)
          return taken
        }
        return path.endsWith('.ndjson') ? { ...real, write } : real
      },
    }
    const dir = join(volume, 'log')
    const log = openLog(t, dir, often, files, { disk })
    await reserved(log)
    const { file } = kept(await log.append(decision('before')))
    await fillUp(volume)
    const acknowledged = await appendAll(log, 'x'.repeat(100_000))
    assert.ok(short.length > 0, 'the volume took each record whole, or refused it')
    const { file: next } = kept(await log.appendRefusal(refusal('refused')))
    assert.notEqual((await readFile(join(dir, file))).at(-1), 0x0a)
    assert.deepEqual(
      (await linesOf(join(dir, file))).flatMap(({ request }) => request ?? []),
      ['before', ...acknowledged],
    )
    const previous = (await linesOf(join(dir, next)))[0]?.previous
    assert.deepEqual([previous?.file, previous?.found], [file, 'abandoned'])
  })

  it('as the gateway starts: refusals are recorded out of what the process before kept back', async (t) => {
    const volume = await smallVolume(t, 2 * 1024 * 1024)
    if (volume === null) return
    const dir = join(volume, 'log')
    const first = openLog(t, dir, often, nodeFiles, { disk })
    await reserved(first)
    await first.seal()
    await fillUp(volume)
    const log = openLog(t, dir, often, nodeFiles, { disk })
    const [answer, said] = await Promise.all([log.append(decision('a')), log.appendRefusal(refusal('b'))])
    assert.equal(!answer.ok && answer.error.code, 'disk')
    kept(said)
    assert.equal(log.status().state, 'failed')
    await rm(join(volume, 'filler'))
    await until(() => log.status().state === 'open')
    kept(await log.append(decision('c')))
  })

  it('and nothing kept back: nothing is acknowledged, nothing is left of each try, and it mends itself', async (t) => {
    const volume = await smallVolume(t, 1024 * 1024)
    if (volume === null) return
    const dir = join(volume, 'log')
    const log = openLog(t, dir)
    kept(await log.append(decision('before')))
    await fillUp(volume)
    const acknowledged = await appendAll(log, 'x'.repeat(1_000))
    const refused = await log.appendRefusal(refusal('refused'))
    assert.ok(!refused.ok)
    assert.equal((await segments(dir)).length, 1)
    await rm(join(volume, 'filler'))
    await until(() => log.status().state === 'open')
    kept(await log.append(decision('after')))
    const found = await requests(dir)
    for (const request of ['before', ...acknowledged, 'after']) assert.ok(found.includes(request), request)
  })
})
