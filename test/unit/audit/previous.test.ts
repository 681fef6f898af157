import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { nodeFiles, type Files } from '../../../src/audit/files.ts'
import { auditLimits } from '../../../src/audit/limits.ts'
import { encodeEntry, firstChain, recordLine } from '../../../src/audit/line.ts'
import { findPrevious, segmentName } from '../../../src/audit/previous.ts'
import {
  decision,
  firstProblem,
  linesOf,
  openLog,
  outcome,
  parseLine,
  segments,
  systemError,
  tempDir,
} from './support.ts'

const name = segmentName(Date.UTC(2025, 0, 1), 'boot')
const future = (day: number): string => segmentName(Date.UTC(2999, 0, day), 'boot')
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

async function sealedLog(t: TestContext): Promise<{ dir: string; path: string; file: string; bytes: Buffer }> {
  const dir = await tempDir(t)
  const log = openLog(t, dir)
  await log.append(decision('a'))
  log.note(outcome('a'))
  await log.seal()
  const [file = ''] = await segments(dir)
  return { dir, file, path: join(dir, file), bytes: await readFile(join(dir, file)) }
}

describe('the segment before', { timeout: 60_000 }, () => {
  it('is read right when cut at every byte', async (t) => {
    const { dir, file, path, bytes } = await sealedLog(t)
    for (let length = bytes.length; length >= 0; length--) {
      await truncate(path, length)
      const { previous, unread, log } = await findPrevious(nodeFiles, dir)
      const whole = bytes.subarray(0, length).lastIndexOf('\n') + 1
      const rest = bytes.subarray(whole, length)
      const tail = { bytes: rest.length, sha256: sha256(rest) }
      if (whole === 0) {
        assert.deepEqual({ previous, log }, { previous: null, log: null })
        assert.deepEqual(unread, [length === 0 ? { file, found: 'empty', bytes: 0 } : { file, found: 'torn', ...tail }])
        continue
      }
      const last = parseLine(bytes.subarray(0, whole).toString().trimEnd().split('\n').at(-1) ?? '')
      const end = { file, seq: last.seq, chain: last.chain }
      const found = whole === bytes.length ? 'sealed' : 'open'
      assert.deepEqual(previous, rest.length > 0 ? { ...end, found: 'torn', tail } : { ...end, found })
      assert.deepEqual({ unread, log }, { unread: [], log: last.log })
    }
  })

  it('is named in the next one with its torn tail, and stays as it is', async (t) => {
    const { dir, path, file, bytes } = await sealedLog(t)
    await truncate(path, bytes.length - 40)
    const torn = await readFile(path)
    const log = openLog(t, dir)
    assert.ok((await log.append(decision('b'))).ok)
    await log.seal()
    assert.deepEqual(await readFile(path), torn)
    const [, after = ''] = await segments(dir)
    assert.equal(firstProblem(await readFile(join(dir, after))), null)
    const [opened] = await linesOf(join(dir, after))
    assert.deepEqual({ file: opened?.previous?.file, found: opened?.previous?.found }, { file, found: 'torn' })
    const rest = torn.subarray(torn.lastIndexOf('\n') + 1)
    assert.deepEqual(opened?.previous?.tail, { bytes: rest.length, sha256: sha256(rest) })
  })

  it('is the newest with a readable end; newer ones are listed, newest first', async (t) => {
    const { dir, file } = await sealedLog(t)
    await writeFile(join(dir, future(1)), 'x'.repeat(10))
    await writeFile(join(dir, future(2)), 'no record\n')
    await writeFile(join(dir, future(3)), '')
    const { previous, unread, newest } = await findPrevious(nodeFiles, dir)
    assert.equal(previous?.file, file)
    assert.deepEqual(unread, [
      { file: future(3), found: 'empty', bytes: 0 },
      { file: future(2), found: 'damaged', bytes: 10 },
      { file: future(1), found: 'torn', bytes: 10, sha256: sha256(Buffer.from('x'.repeat(10))) },
    ])
    assert.equal(newest, Date.UTC(2999, 0, 3))
    const log = openLog(t, dir)
    assert.ok((await log.append(decision('b'))).ok)
    const [opened] = await linesOf(join(dir, (await segments(dir)).at(-1) ?? ''))
    assert.deepEqual(opened?.unread, unread)
  })

  it('may end in a line longer than one read, and be read in pieces', async (t) => {
    const dir = await tempDir(t)
    const head = { seq: 1, ts: '2025-01-01T00:00:00.000Z', log: 'l', boot: 'b' }
    const first = recordLine(head, encodeEntry(decision('a'), auditLimits), firstChain)
    const long = encodeEntry(decision('b', 'é'.repeat(100_000)), auditLimits)
    const second = recordLine({ ...head, seq: 2 }, long, first.chain)
    await writeFile(join(dir, name), `${first.line}${second.line}${'t'.repeat(200_000)}`)
    const pieces: Files = {
      ...nodeFiles,
      open: async (path) => {
        const real = await nodeFiles.open(path)
        return { ...real, read: (into, position) => real.read(into.subarray(0, 10_000), position) }
      },
    }
    const { previous } = await findPrevious(pieces, dir)
    assert.equal(previous?.chain, second.chain)
    assert.deepEqual(previous.tail, { bytes: 200_000, sha256: sha256(Buffer.from('t'.repeat(200_000))) })
  })

  it('is refused as damaged when its last line is JSON but no record', async (t) => {
    const dir = await tempDir(t)
    const good = { log: 'l', seq: 1, kind: 'outcome', chain: '0'.repeat(64) }
    const near = [
      { ...good, seq: 1.5 },
      { ...good, seq: '1' },
      { ...good, log: 1 },
      { ...good, chain: 'x' },
    ]
    for (const bad of [null, [], 'x', ...near]) {
      await writeFile(join(dir, name), `${JSON.stringify(bad)}\n`)
      assert.equal((await findPrevious(nodeFiles, dir)).unread[0]?.found, 'damaged')
    }
    await writeFile(join(dir, name), `${JSON.stringify(good)}\n`)
    assert.equal((await findPrevious(nodeFiles, dir)).previous?.found, 'open')
  })

  it('is passed over when the disk cannot read it', async (t) => {
    const { dir, file } = await sealedLog(t)
    const sick = future(1)
    await writeFile(join(dir, sick), 'x\n')
    const files: Files = {
      ...nodeFiles,
      open: async (path) => {
        const real = await nodeFiles.open(path)
        return path.endsWith(sick) ? { ...real, read: () => Promise.reject(systemError('EIO')) } : real
      },
    }
    const { previous, unread } = await findPrevious(files, dir)
    assert.equal(previous?.file, file)
    assert.deepEqual(unread, [{ file: sick, found: 'unreadable', because: 'Error: EIO: injected' }])
  })

  it('ends while it is read: passed over, no endless loop', async (t) => {
    const { dir } = await sealedLog(t)
    const files: Files = {
      ...nodeFiles,
      open: async (path) => ({ ...(await nodeFiles.open(path)), read: () => Promise.resolve(0) }),
    }
    assert.match((await findPrevious(files, dir)).unread[0]?.because ?? '', /ended at byte/)
  })
})
