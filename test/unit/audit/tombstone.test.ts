import assert from 'node:assert/strict'
import { cp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, it, type TestContext } from 'node:test'
import fc from 'fast-check'
import { compressSegment } from '../../../src/audit/compress.ts'
import { nodeFiles } from '../../../src/audit/files.ts'
import { makeProof } from '../../../src/audit/proof.ts'
import { checkpointsFiles, segmentFiles, segmentOf } from '../../../src/audit/read-segments.ts'
import { removeSegment } from '../../../src/audit/retention-files.ts'
import { survey } from '../../../src/audit/retention-survey.ts'
import { parseTombstone, signTombstone, tombstoneName, type Tombstone } from '../../../src/audit/tombstone.ts'
import type { DamageKind } from '../../../src/audit/verify-report.ts'
import { verify as verifyCommand } from '../../../src/cli/audit/verify.ts'
import { readGiven } from '../../../src/cli/command.ts'
import {
  briefly,
  contentOf,
  copyOf,
  key,
  named,
  oneStart,
  openSigned,
  otherKey,
  severalStarts,
  sharedDir,
  testClock,
  verified,
  type TestClock,
} from './kept-log.ts'
import { decision, linesOf, until } from './support.ts'

const count = 4
const day = 86_400_000

/** Writes tombstones of these segments, puts them on record, and deletes the segments, whichever they are. */
async function bury(dir: string, time: TestClock, buried: readonly number[], alsoRemove = true): Promise<void> {
  const log = openSigned(dir, time)
  await log.append(decision('before'))
  const segments = await segmentFiles(nodeFiles, dir)
  const checkpoints = await checkpointsFiles(nodeFiles, dir)
  const names = buried.map((at) => segments[at] ?? '')
  for (const name of names) {
    const facts = await survey({ files: nodeFiles, dir, segments, checkpoints }, name)
    const note = signTombstone({ ...facts, time: time.clock().toISOString(), because: 'age' }, key)
    await writeFile(join(dir, tombstoneName(segmentOf(name))), note)
    const { segment, records, first, last, root } = facts
    const said = { segment, records, first, last, root: root.toString('base64'), because: 'age' as const, note }
    const kept = await log.append({ kind: 'segment.deleted', ...said })
    assert.ok(kept.ok && kept.value !== null)
    await until(() => (log.covered() ?? -1) >= (kept.value?.seq ?? 0))
  }
  await log.seal()
  if (alsoRemove) for (const name of names) await removeSegment(nodeFiles, dir, segmentOf(name))
}

let log: string
/** The same log, of which the first two segments were deleted. */
let buried: string
let time: TestClock
before(async () => {
  log = await sharedDir()
  buried = await sharedDir()
  time = testClock()
  await severalStarts(log, time, count)
  await cp(log, buried, { recursive: true })
  await bury(buried, time, [0, 1])
})

const damaged = async (dir: string): Promise<readonly [DamageKind | undefined, string | undefined]> => {
  const { damage } = await verified(dir)
  return [damage?.kind, damage?.file]
}

const tombstonesIn = async (dir: string): Promise<readonly string[]> => named(dir, '.tombstone')

async function tombstoneIn(dir: string, at = 0): Promise<Tombstone> {
  const name = (await tombstonesIn(dir))[at] ?? ''
  return parseTombstone(await readFile(join(dir, name), 'utf8')) ?? assert.fail('no tombstone')
}

describe('a tombstone', { timeout: 120_000 }, () => {
  it('is read back in its own form only', async () => {
    const { signed, note: _note, ...facts } = await tombstoneIn(buried)
    assert.equal(signTombstone(facts, key), signed)
    const changes = [
      `${signed}\n`,
      signed.trimEnd(),
      signed.replace('records ', 'records 0'),
      signed.replace('because age', 'because of age'),
      signed.replace(/key \S/, 'key _'),
      signed.replace('previous null', 'previous {"a"}'),
      '',
    ]
    for (const changed of changes) assert.equal(parseTombstone(changed), null, changed)
  })
  it('stands for its segment: verify passes, with and without keys, and says what is gone', async () => {
    const [whole, left] = [await verified(log), await verified(buried)]
    assert.equal(briefly(left), 'whole')
    assert.equal(briefly(await verified(buried, null)), 'whole')
    const [first, second] = [await tombstoneIn(buried), await tombstoneIn(buried, 1)]
    assert.deepEqual(left.deleted, {
      segments: 2,
      records: first.records + second.records,
      from: first.first.ts,
      to: second.last.ts,
    })
    assert.equal(left.segments, whole.segments - 1)
    assert.equal(second.first.seq, first.last.seq + 1)
  })
  it('keeps the second place meaningful: its copy still fits', async (t) => {
    const dir = await copyOf(t, log)
    const own = testClock()
    const [fresh, copy] = [join(dir, 'fresh'), join(dir, 'copy')]
    await severalStarts(fresh, own, 3, copy)
    await bury(fresh, own, [0])
    assert.equal(briefly(await verified(fresh, [key], copy)), 'whole')
    const facts = await tombstoneIn(fresh)
    const lie = signTombstone({ ...facts, root: Buffer.alloc(32) }, key)
    await writeFile(join(fresh, (await tombstonesIn(fresh))[0] ?? ''), lie)
    assert.equal((await verified(fresh, [key], copy)).damage?.kind, 'forked')
  })
  it('tells whoever asks for a proof that the record was deleted, and when', async () => {
    const gone = await makeProof(buried, 'r0', null)
    const { segment, time: when } = await tombstoneIn(buried)
    assert.ok(
      !gone.ok && gone.error.includes(`${segment}: `) && gone.error.includes(`deleted ${when} because of its age`),
    )
    assert.equal((await makeProof(buried, 'r3', null)).ok, true)
  })
  it('is told by the command', async () => {
    const given = readGiven([buried], verifyCommand)
    assert.ok(given.ok)
    let said = ''
    const terminal = { out: (text: string) => (said += text), err: assert.fail, lines: assert.fail }
    assert.equal(await verifyCommand.run(given.value, terminal), 0)
    assert.match(said, /^whole\n[^]*\ndeleted, with signed tombstones: 2 segments with \d+ records, of 2025-01-01T/)
  })
  it('of a segment that is not gone yet is a note', async (t) => {
    const dir = await copyOf(t, log)
    await bury(dir, testClockAt(count), [0], false)
    const { damage, remarks } = await verified(dir)
    assert.equal(damage, null)
    assert.match(remarks.map(({ sentence }) => sentence).join('\n'), /still there: its deletion began/)
  })
})

const testClockAt = (days: number): TestClock => {
  const at = testClock()
  at.now += days * day
  return at
}

describe('verify names', { timeout: 300_000 }, () => {
  it('a segment that is gone without a tombstone', async (t) => {
    for (const at of [0, 1]) {
      const dir = await copyOf(t, buried)
      await rm(join(dir, (await tombstonesIn(dir))[at] ?? ''))
      const { damage } = await verified(dir)
      assert.ok(['gap', 'deleted', 'truncated'].includes(damage?.kind ?? 'whole'), briefly(await verified(dir)))
    }
    const dir = await copyOf(t, buried)
    const [third = ''] = await named(dir, '.ndjson')
    await rm(join(dir, third))
    assert.equal((await verified(dir)).damage?.kind, 'gap')
  })
  it('a tombstone with any byte changed, or cut off', async (t) => {
    const dir = await copyOf(t, buried)
    const [name = ''] = await tombstonesIn(dir)
    const bytes = await readFile(join(dir, name))
    for (let at = 0; at < bytes.length; at += 3) {
      const flipped = Buffer.from(bytes)
      flipped.writeUInt8((bytes[at] ?? 0) ^ (at % 2 === 0 ? 0x01 : 0x04), at)
      for (const changed of [flipped, bytes.subarray(0, at)]) {
        await writeFile(join(dir, name), changed)
        const { damage } = await verified(dir)
        // By its text alone it is known which log and segment it is of, and which key signed it.
        const kinds = ['edited', ...(at < 140 ? ['inserted'] : at > bytes.length - 110 ? ['key not valid then'] : [])]
        assert.ok(kinds.includes(damage?.kind ?? 'whole'), `byte ${at}: ${damage?.kind} ${damage?.sentence}`)
        assert.equal(damage?.file, name)
      }
    }
  })
  it('a forged one: signed by another key, or by the true one over something else', async (t) => {
    const dir = await copyOf(t, buried)
    const [name = ''] = await tombstonesIn(dir)
    const facts = await tombstoneIn(dir)
    await writeFile(join(dir, name), signTombstone(facts, otherKey))
    assert.deepEqual(await damaged(dir), ['key not valid then', name])
    for (const lie of [{ records: 3 }, { time: '2024-01-01T00:00:00.000Z' }, { root: Buffer.alloc(32) }]) {
      await writeFile(join(dir, name), signTombstone({ ...facts, ...lie }, key))
      assert.deepEqual(await damaged(dir), ['edited', name])
    }
  })
  it('one for a segment that somebody removed: the log holds no record of it', async (t) => {
    const dir = await copyOf(t, log)
    const segments = await segmentFiles(nodeFiles, dir)
    const checkpoints = await checkpointsFiles(nodeFiles, dir)
    const facts = await survey({ files: nodeFiles, dir, segments, checkpoints }, segments[1] ?? '')
    const name = tombstoneName(facts.segment)
    for (const [by, kind] of [
      [key, 'gap'],
      [otherKey, 'key not valid then'],
    ] as const) {
      await writeFile(
        join(dir, name),
        signTombstone({ ...facts, time: '2025-01-05T00:00:00.000Z', because: 'age' }, by),
      )
      await removeSegment(nodeFiles, dir, facts.segment)
      assert.deepEqual(await damaged(dir), [kind, name])
    }
  })
  it('one whose record no checkpoint covers', async (t) => {
    const dir = await copyOf(t, buried)
    const last = (await named(dir, '.ndjson')).at(-1) ?? ''
    const records = await linesOf(join(dir, last))
    const at = records.findIndex(({ kind }) => kind === 'segment.deleted')
    const [beside = ''] = (await named(dir, '.checkpoints')).slice(-1)
    const lines = (await readFile(join(dir, beside), 'utf8')).split(/(?<=\n)/)
    const early = lines.filter(
      (line) => Number(/\\n(\d+)\\n/.exec(line)?.[1] ?? 0) <= at || !line.includes(segmentOf(last)),
    )
    await writeFile(join(dir, beside), early.join(''))
    await writeFile(join(dir, 'owner.lock'), 'in use')
    const { damage } = await verified(dir)
    assert.deepEqual([damage?.kind, damage?.file], ['gap', (await tombstonesIn(dir))[0]], damage?.sentence)
    assert.match(damage?.sentence ?? '', /no checkpoint covers the record/)
  })
  it('one of a segment that is there, with other content', async (t) => {
    const dir = await copyOf(t, log)
    await bury(dir, testClockAt(count), [0], false)
    const [name = ''] = await tombstonesIn(dir)
    const facts = await tombstoneIn(dir)
    await writeFile(join(dir, name), signTombstone({ ...facts, records: 3 }, key))
    assert.deepEqual(await damaged(dir), ['forked', name])
    const [segment = ''] = await named(dir, '.ndjson')
    await writeFile(join(dir, name), facts.signed)
    await writeFile(join(dir, segment), (await readFile(join(dir, segment), 'utf8')).replace('payments', 'paymentz'))
    assert.deepEqual(await damaged(dir), ['edited', segment])
  })
  it('one of another log, or under another name', async (t) => {
    const other = await sharedDir()
    const own = testClock()
    await severalStarts(other, own, 3)
    await bury(other, own, [0])
    const dir = await copyOf(t, buried)
    const [foreign = ''] = await tombstonesIn(other)
    await cp(join(other, foreign), join(dir, foreign))
    assert.deepEqual(await damaged(dir), ['inserted', foreign])
    const second = await copyOf(t, buried)
    const [name = '', next = ''] = await tombstonesIn(second)
    await rename(join(second, name), join(second, `${name}.x`))
    await cp(join(second, next), join(second, name))
    assert.equal((await verified(second)).damage?.kind, 'inserted')
  })
})

describe('any part of a log', { timeout: 300_000 }, () => {
  const forms = fc.tuple(...Array.from({ length: count - 1 }, () => fc.constantFrom('plain', 'packed', 'deleted')))

  async function divided(t: TestContext, parts: readonly string[]): Promise<string> {
    const dir = await copyOf(t, log)
    await bury(
      dir,
      testClockAt(count),
      parts.flatMap((form, at) => (form === 'deleted' ? [at] : [])),
    )
    for (const [at, name] of (await named(log, '.ndjson')).entries()) {
      if (parts[at] === 'packed') assert.ok((await compressSegment(nodeFiles, dir, name)).ok)
    }
    return dir
  }

  it('may be compressed or deleted, and it verifies; and any damage to any of it does not', async (t) => {
    const change = fc.record({
      file: fc.nat(),
      at: fc.nat(),
      bit: fc.nat(7),
      how: fc.constantFrom('flip', 'cut', 'remove'),
    })
    await fc.assert(
      fc.asyncProperty(forms, fc.array(change, { minLength: 12, maxLength: 12 }), async (parts, changes) => {
        const dir = await divided(t, parts)
        assert.equal(briefly(await verified(dir)), 'whole')
        const files = [...(await contentOf(dir))].filter(([name]) => name.startsWith('audit-'))
        for (const { file, at, bit, how } of changes) {
          const [name = '', bytes = Buffer.alloc(0)] = files[file % files.length] ?? []
          const place = at % bytes.length
          const changed = Buffer.from(how === 'cut' ? bytes.subarray(0, place) : bytes)
          if (how === 'flip') changed.writeUInt8((bytes[place] ?? 0) ^ (1 << bit), place)
          if (how === 'remove') await rm(join(dir, name))
          else await writeFile(join(dir, name), changed)
          assert.notEqual((await verified(dir)).damage, null, `${how} ${name} at ${place} of ${bytes.length}`)
          await writeFile(join(dir, name), bytes)
        }
      }),
      { numRuns: 15, endOnFailure: true },
    )
  })

  it('that was deleted may be followed by more starts, and by another key', async (t) => {
    const dir = await divided(t, ['deleted', 'packed', 'deleted'])
    await oneStart(dir, testClockAt(count + 2), ['later'])
    assert.equal(briefly(await verified(dir)), 'whole')
    const lost = await copyOf(t, dir)
    const vouched = openSigned(dir, testClockAt(count + 3), { key: otherKey, previousKey: key })
    await vouched.append(decision('with the next key'))
    await vouched.seal()
    for (const keys of [null, [key], [otherKey]]) assert.equal(briefly(await verified(dir, keys)), 'whole')
    await openSigned(lost, testClockAt(count + 3), { key: otherKey }).seal()
    assert.equal(briefly(await verified(lost, [key, otherKey])), 'whole')
  })
})
