import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, it, type TestContext } from 'node:test'
import { nodeFiles } from '../../../src/audit/files.ts'
import { beginHold, endHold } from '../../../src/audit/hold.ts'
import { parseTombstone } from '../../../src/audit/tombstone.ts'
import {
  begin,
  briefly,
  copyOf,
  damageIn,
  day,
  key,
  mortal,
  named,
  openKept,
  openSigned,
  otherKey,
  severalStarts,
  sharedDir,
  testClock,
  verified,
  type Kept,
  type TestClock,
} from './kept-log.ts'
import { decision, linesOf, until } from './support.ts'

const count = 6
let log: string
before(async () => {
  log = await sharedDir()
  await severalStarts(log, testClock(), count)
})

/** The log of six days, a day later. */
async function aDayLater(t: TestContext): Promise<{ dir: string; time: TestClock; segments: readonly string[] }> {
  const dir = await copyOf(t, log)
  const time = testClock()
  time.now = begin + count * day
  return { dir, time, segments: await named(dir, '.ndjson') }
}

/** Opens, sweeps and seals. */
async function swept(kept: Kept): Promise<Kept> {
  await kept.sweep()
  await kept.retention.stop()
  await kept.log.seal()
  return kept
}

async function recordsOf(dir: string, kind: string) {
  const names = await named(dir, '.ndjson')
  return (await Promise.all(names.map((name) => linesOf(join(dir, name))))).flat().filter((line) => line.kind === kind)
}

describe('retention', { timeout: 120_000 }, () => {
  it('deletes what is older than it may be, leaves a tombstone and a record of each, and verify passes', async (t) => {
    const { dir, time, segments } = await aDayLater(t)
    const { retention } = await swept(openKept(dir, time, { keepMs: 3.5 * day }))
    const left = await named(dir, '.ndjson')
    assert.deepEqual(left.slice(0, -1), segments.slice(3))
    const gone = segments.slice(0, 3).map((name) => name.replace('.ndjson', ''))
    assert.deepEqual(
      await named(dir, '.tombstone'),
      gone.map((name) => `${name}.tombstone`),
    )
    assert.ok((await named(dir, '.checkpoints')).every((name) => !gone.some((segment) => name.startsWith(segment))))
    const records = await recordsOf(dir, 'segment.deleted')
    assert.equal(records.length, 3)
    const report = await verified(dir)
    assert.equal(briefly(report), 'whole')
    assert.equal(report.deleted?.segments, 3)
    assert.doesNotMatch(report.remarks.map(({ sentence }) => sentence).join(), /not finished/)
    assert.deepEqual([retention.status().deleted, retention.status().blocked], [3, null])
    const tombstone = parseTombstone(await readFile(join(dir, `${gone[0]}.tombstone`), 'utf8'))
    assert.deepEqual([tombstone?.because, tombstone?.first.seq, tombstone?.changes.length], ['age', 0, 1])
  })
  it('deletes the oldest where there is too much, compressed or not, and no more than that', async (t) => {
    const { dir, time, segments } = await aDayLater(t)
    await swept(openKept(dir, time, { compress: true }))
    const sizes = await Promise.all((await named(dir, '.zst')).map(async (name) => (await stat(join(dir, name))).size))
    assert.equal(sizes.length, count - 1)
    const total = openKept(dir, time, {})
    await total.sweep()
    const { bytes } = total.retention.status()
    await total.log.seal()
    // The two newest segments have grown by the next start: room for those, and not for the oldest two.
    await swept(openKept(dir, time, { maxBytes: bytes - (sizes[0] ?? 0) - 1 + 2_000 }))
    const left = [...(await named(dir, '.zst')), ...(await named(dir, '.ndjson'))]
    assert.ok(!left.some((name) => name.startsWith(segments[0] ?? '')))
    assert.equal(briefly(await verified(dir)), 'whole')
    assert.deepEqual(
      (await recordsOf(dir, 'segment.deleted')).map((record) => Object(record).because),
      Array.from({ length: (await named(dir, '.tombstone')).length }, () => 'size'),
    )
  })
  it('never deletes the live segment nor the one before it, nor compresses them', async (t) => {
    const { dir, time, segments } = await aDayLater(t)
    time.now += 1_000 * day
    // As if it had seen the time pass.
    const kept = openKept(dir, time, { keepMs: 1, maxBytes: 1, compress: true })
    await kept.sweep()
    await kept.sweep()
    assert.deepEqual(await named(dir, '.ndjson'), [segments.at(-1), kept.log.status().file])
    assert.deepEqual(await named(dir, '.zst'), [])
    await kept.log.seal()
    assert.equal(briefly(await verified(dir)), 'whole')
  })
  it('goes on over starts: what vouched for a tombstone is deleted in its turn', async (t) => {
    const { dir, time } = await aDayLater(t)
    time.now -= day
    for (let n = 0; n < 8; n++) {
      time.now += 0.9 * day
      await swept(openKept(dir, time, { keepMs: 2.5 * day, compress: n % 2 === 0 }))
      assert.equal(briefly(await verified(dir)), 'whole', `start ${n}`)
    }
    const { deleted, segments } = await verified(dir)
    assert.ok((deleted?.segments ?? 0) >= 8 && segments <= 6, JSON.stringify([deleted, segments]))
    assert.equal(briefly(await verified(dir, null)), 'whole')
  })
  it('deletes nothing without a key, without a checkpoint, or while a segment is wanted, and says why', async (t) => {
    const { dir, time, segments } = await aDayLater(t)
    const blocked = async (parts: Parameters<typeof openKept>[3]): Promise<string> => {
      const kept = openKept(dir, time, { keepMs: day }, parts)
      await kept.sweep()
      await kept.log.seal()
      assert.deepEqual((await named(dir, '.ndjson')).slice(0, count), segments)
      assert.deepEqual(await named(dir, '.tombstone'), [])
      return kept.retention.status().blocked ?? 'nothing'
    }
    assert.match(await blocked({ covered: () => null }), /no checkpoint/)
    assert.match(await blocked({ live: () => null }), /not open/)
    assert.match(await blocked({ wanted: () => 'sink otlp' }), /still needed: sink otlp/)
    assert.match(await blocked({ key: null }), /no signing key/)
  })
  it('waits for the checkpoint that covers the record', async (t) => {
    const { dir, time, segments } = await aDayLater(t)
    const kept = openKept(dir, time, { keepMs: 4.5 * day }, { covered: () => 3 })
    await kept.sweep()
    assert.equal(kept.retention.status().waiting, 2)
    assert.deepEqual((await named(dir, '.ndjson')).slice(0, count), segments)
    await kept.log.seal()
    const { damage, remarks } = await verified(dir)
    assert.equal(damage, null)
    assert.match(remarks.map(({ sentence }) => sentence).join('\n'), /its deletion began, and was not finished/)
  })
  it('leaves a damaged segment where it is, and says so, and goes on with the next', async (t) => {
    const { dir, time, segments } = await aDayLater(t)
    const path = join(dir, segments[1] ?? '')
    await writeFile(path, (await readFile(path, 'utf8')).replace('payments', 'paymentz'))
    const { retention } = await swept(openKept(dir, time, { keepMs: 2.5 * day }))
    assert.deepEqual((await named(dir, '.ndjson')).slice(0, 2), [segments[1], segments[4]])
    assert.match(retention.status().problems.join(), /does not follow the line before it: it is not deleted/)
    assert.equal((await damageIn(dir))?.file, segments[1])
  })
  it('keeps a segment whose record could not be kept', async (t) => {
    const { dir, time, segments } = await aDayLater(t)
    const failure = { code: 'io', reason: 'no disk', remedy: '' } as const
    const results = [
      { ok: false, error: failure },
      { ok: true, value: null },
    ] as const
    for (const result of results) {
      const kept = openKept(dir, time, { keepMs: day }, { record: async () => result })
      await kept.sweep()
      assert.deepEqual((await named(dir, '.ndjson')).slice(0, count), segments)
      await kept.log.seal()
    }
    assert.equal(await damageIn(dir), null)
  })
  it('works with a log whose key changed, and the tombstones keep what both keys signed', async (t) => {
    const { dir, time } = await aDayLater(t)
    const log = openSigned(dir, time, { key: otherKey, previousKey: key })
    await log.append(decision('x'))
    await log.seal()
    time.now += 100 * day
    // The watch sees that the log was left alone for long, and has to wait: so only size counts.
    const parts = { key: otherKey }
    await swept(openKept(dir, time, { maxBytes: 1 }, parts))
    await swept(openKept(dir, time, { maxBytes: 1 }, parts))
    for (const keys of [null, [key], [otherKey]]) {
      const { signedBy, ...report } = await verified(dir, keys)
      assert.equal(briefly({ ...report, signedBy }), 'whole')
      assert.deepEqual(signedBy, [otherKey.id])
    }
  })
  it('runs by itself, and ends when it is told', async (t) => {
    const { dir, time } = await aDayLater(t)
    const kept = openKept(dir, time, { keepMs: 3.5 * day, everyMs: 5 })
    kept.retention.start()
    await until(async () => (await named(dir, '.tombstone')).length === 3)
    await kept.log.append(decision('covers'))
    await until(() => kept.retention.status().deleted === 3)
    await kept.retention.stop()
    await kept.log.seal()
    assert.equal(await damageIn(dir), null)
  })
})

describe('retention that dies at any step', { timeout: 300_000 }, () => {
  it('leaves a whole log, and the next start does the rest', async (t) => {
    const small = await sharedDir()
    await severalStarts(small, testClock(), 3)
    for (let step = 1; ; step++) {
      const dir = await copyOf(t, small)
      const time = testClock()
      time.now = begin + 3 * day
      const segment = (await named(dir, '.ndjson'))[0]?.replace('.ndjson', '') ?? ''
      const { files, steps } = mortal(step)
      const dying = openKept(dir, time, { keepMs: 2.5 * day, compress: true }, { files })
      await swept(dying)
      assert.equal(briefly(await verified(dir)), 'whole', `after step ${step}`)
      time.now += 10
      await swept(openKept(dir, time, { keepMs: 2.5 * day, compress: true }))
      assert.equal(briefly(await verified(dir)), 'whole', `after step ${step} and a start`)
      const names = await named(dir, '')
      const left = names.filter((name) => name.startsWith(segment))
      assert.deepEqual(left, [`${segment}.tombstone`], `after step ${step}`)
      assert.equal(names.filter((name) => name.endsWith('.part')).length, 0)
      if (dying.retention.status().failure === null && steps() < step) {
        assert.ok(step > 25, `only ${step} steps`)
        return
      }
    }
  })
})

describe('a clock that leaps', { timeout: 120_000 }, () => {
  const year = 365 * day
  it('while the gateway runs deletes nothing for a week, also after a record and over a start', async (t) => {
    const { dir, time, segments } = await aDayLater(t)
    let leapt = 0
    const uptime = (): number => time.now - begin - leapt
    const kept = openKept(dir, time, { keepMs: 30 * day }, { uptime })
    await kept.sweep()
    assert.equal(kept.retention.status().blocked, null)
    leapt = 10 * year
    time.now += leapt
    await kept.sweep()
    await kept.sweep()
    assert.match(kept.retention.status().blocked ?? '', /unseen: nothing is deleted by age before 2035-/)
    await kept.log.seal()
    const next = await swept(openKept(dir, time, { keepMs: 30 * day }))
    assert.match(next.retention.status().blocked ?? '', /unseen/)
    assert.deepEqual((await named(dir, '.ndjson')).slice(0, count), segments)
    const later = openKept(dir, time, { keepMs: 30 * day })
    for (let n = 0; n < 8; n++) {
      assert.deepEqual(await named(dir, '.tombstone'), [])
      time.now += 0.9 * day
      await later.sweep()
    }
    await later.log.seal()
    assert.equal(later.retention.status().blocked, null)
    assert.ok((await named(dir, '.tombstone')).length > 0)
  })
  it('between two starts deletes nothing either, until it is set right or a week is over', async (t) => {
    const { dir, time, segments } = await aDayLater(t)
    time.now += 2 * year
    const kept = await swept(openKept(dir, time, { keepMs: 30 * day }))
    assert.match(kept.retention.status().blocked ?? '', /2025-01-06T[^ ]* to 2027-/)
    assert.deepEqual((await named(dir, '.ndjson')).slice(0, count), segments)
    time.now -= 2 * year - day
    const right = openKept(dir, time, { keepMs: 3 * day })
    await right.sweep()
    assert.equal(right.retention.status().blocked, null)
    await right.log.seal()
  })
  it('within the last segment of a start that nobody watched is found in its records', async (t) => {
    const { dir, time, segments } = await aDayLater(t)
    const unwatched = openSigned(dir, time)
    await unwatched.append(decision('before'))
    time.now += year
    await unwatched.append(decision('after'))
    await unwatched.seal()
    const { retention } = await swept(openKept(dir, time, { keepMs: 30 * day }))
    assert.match(retention.status().blocked ?? '', /unseen/)
    assert.deepEqual((await named(dir, '.ndjson')).slice(0, count), segments)
  })
  it('does not matter where size decides', async (t) => {
    const { dir, time } = await aDayLater(t)
    time.now += 2 * year
    await swept(openKept(dir, time, { keepMs: 30 * day, maxBytes: 1 }))
    assert.equal((await named(dir, '.tombstone')).length, count - 1)
    assert.equal(await damageIn(dir), null)
  })
  it('that nobody can read what is remembered of counts as one that just was', async (t) => {
    const { dir, time } = await aDayLater(t)
    await writeFile(join(dir, 'retention.leap'), 'x')
    const { retention } = await swept(openKept(dir, time, { keepMs: day }))
    assert.match(retention.status().blocked ?? '', /unseen/)
  })
})

describe('a legal hold', { timeout: 120_000 }, () => {
  const hold = { by: 'counsel', because: 'case 7', since: '2025-01-07T00:00:00.000Z' }
  it('keeps all, compresses on, and is on record when it begins and when it ends', async (t) => {
    const { dir, time, segments } = await aDayLater(t)
    await beginHold(nodeFiles, dir, hold)
    const held = await swept(openKept(dir, time, { keepMs: day, compress: true }))
    assert.deepEqual(held.retention.status().hold, hold)
    assert.match(held.retention.status().blocked ?? '', /held, by counsel: case 7/)
    assert.equal((await named(dir, '.zst')).length, count - 1)
    await swept(openKept(dir, time, { keepMs: day }))
    await endHold(nodeFiles, dir)
    const free = await swept(openKept(dir, time, { keepMs: day }))
    assert.equal(free.retention.status().hold, null)
    assert.deepEqual(
      (await recordsOf(dir, 'hold.begun')).map((record) => Object(record).because),
      ['case 7'],
    )
    assert.equal((await recordsOf(dir, 'hold.ended')).length, 1)
    assert.ok(!(await named(dir, '.zst')).includes(`${segments[0]}.zst`))
    assert.equal(await damageIn(dir), null)
  })
  it('that begins at the last moment is obeyed', async (t) => {
    const { dir, time, segments } = await aDayLater(t)
    const kept = openKept(dir, time, { keepMs: day })
    await until(() => kept.log.covered() !== null)
    await kept.retention.round()
    assert.ok(kept.retention.status().waiting > 0)
    await beginHold(nodeFiles, dir, hold)
    await kept.sweep()
    assert.deepEqual((await named(dir, '.ndjson')).slice(0, count), segments)
    await endHold(nodeFiles, dir)
    await kept.sweep()
    assert.ok((await named(dir, '.ndjson')).length < count)
    await kept.log.seal()
    assert.equal(await damageIn(dir), null)
  })
  it('counts also where its file cannot be read, or where the configuration says so', async (t) => {
    const { dir, time, segments } = await aDayLater(t)
    const configured = await swept(openKept(dir, time, { keepMs: day, hold: true }))
    assert.equal(configured.retention.status().hold?.by, 'configuration')
    await writeFile(join(dir, 'legal-hold.json'), '{"by":')
    const unread = await swept(openKept(dir, time, { keepMs: day }))
    assert.match(unread.retention.status().blocked ?? '', /legal-hold\.json cannot be read/)
    assert.deepEqual((await named(dir, '.ndjson')).slice(0, count), segments)
  })
})
