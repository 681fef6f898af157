import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { appendFile, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { constants, createZstdCompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { compressSegment } from '../../../src/audit/compress.ts'
import { nodeFiles } from '../../../src/audit/files.ts'
import { DamagedFile, inspectPacked } from '../../../src/audit/packed.ts'
import { findPrevious } from '../../../src/audit/previous.ts'
import { makeProof } from '../../../src/audit/proof.ts'
import { LineSource, segmentFiles, segmentOf, sizesOf } from '../../../src/audit/read-segments.ts'
import { showRecords } from '../../../src/audit/show.ts'
import { briefly, copyOf, damageIn, named, severalStarts, sharedDir, testClock, verified } from './kept-log.ts'
import { tempDir } from './support.ts'

const name = 'audit-20250101T000000000Z-b.ndjson'

/** All lines of a file, as it is read. */
async function linesIn(path: string, from = 0) {
  const lines = await LineSource.open(nodeFiles, { path, size: (await nodeFiles.facts(path)).size }, from)
  try {
    const found = []
    for (let line = await lines.next(); line !== undefined; line = await lines.next()) found.push(line)
    return found.map(({ bytes, ...rest }) => ({ ...rest, text: bytes.toString('latin1') }))
  } finally {
    await lines.close()
  }
}

describe('a compressed segment is read as the plain one', { timeout: 120_000 }, () => {
  it('whatever is in it, and wherever the reader begins', async (t) => {
    const dir = await tempDir(t)
    const line = fc.oneof(
      fc.string(),
      fc.nat(400_000).map((length) => 'long '.repeat(length / 5)),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 5 }), fc.nat(), async (lines, at) => {
        const bytes = Buffer.from(lines.join('\n'))
        if (bytes.length === 0) return
        await writeFile(join(dir, name), bytes)
        const from = at % bytes.length
        const plain = await linesIn(join(dir, name), from)
        const compressed = await compressSegment(nodeFiles, dir, name)
        assert.ok(compressed.ok, JSON.stringify(compressed))
        assert.deepEqual(await linesIn(join(dir, `${name}.zst`), from), plain)
        assert.deepEqual(zstdDecompressSync(await readFile(join(dir, `${name}.zst`))), bytes)
        const [readable] = await sizesOf(nodeFiles, dir, await segmentFiles(nodeFiles, dir))
        assert.deepEqual([readable?.file, readable?.size], [`${name}.zst`, bytes.length])
      }),
      { numRuns: 30 },
    )
  })
  it('by the zstd program too', async (t) => {
    const dir = await tempDir(t)
    if (spawnSync('zstd', ['--version']).status !== 0) return t.skip('there is no zstd program here')
    await writeFile(join(dir, name), 'x\n'.repeat(100_000))
    assert.ok((await compressSegment(nodeFiles, dir, name)).ok)
    const out = execFileSync('zstd', ['-dc', join(dir, `${name}.zst`)], { encoding: 'utf8' })
    assert.equal(out, 'x\n'.repeat(100_000))
  })
  it('under its plain name, by whoever read that name before', async (t) => {
    const dir = await tempDir(t)
    await writeFile(join(dir, name), 'a\nb\n')
    assert.ok((await compressSegment(nodeFiles, dir, name)).ok)
    const [readable] = await sizesOf(nodeFiles, dir, [name])
    assert.deepEqual([readable?.file, readable?.size], [`${name}.zst`, 4])
    const lines = await LineSource.open(nodeFiles, { path: join(dir, name), size: 4 })
    assert.equal((await lines.next())?.bytes.toString(), 'a')
    await lines.close()
  })
  it('once, where both forms are there: the plain one counts', async (t) => {
    const dir = await tempDir(t)
    await writeFile(join(dir, name), 'a\n')
    await writeFile(join(dir, `${name}.zst`), 'anything')
    assert.deepEqual(await segmentFiles(nodeFiles, dir), [name])
    assert.deepEqual([name, `${name}.zst`].map(segmentOf), [
      'audit-20250101T000000000Z-b',
      'audit-20250101T000000000Z-b',
    ])
  })
})

describe('in a log, compressed segments', { timeout: 120_000 }, () => {
  let log: string
  before(async () => {
    log = await sharedDir()
    await severalStarts(log, testClock(), 3)
  })
  const packed = async (t: Parameters<typeof copyOf>[0], count: number) => {
    const dir = await copyOf(t, log)
    for (const file of (await named(dir, '.ndjson')).slice(0, count)) {
      assert.ok((await compressSegment(nodeFiles, dir, file)).ok)
    }
    return dir
  }
  it('verify, show and prove the same', async (t) => {
    const dir = await packed(t, 2)
    assert.deepEqual(await verified(dir), await verified(log))
    const shown = []
    const all = { user: null, namespace: null, since: null, decision: null }
    for await (const { line } of showRecords(dir, all, null)) shown.push(line)
    const texts = await Promise.all((await named(log, '.ndjson')).map((file) => readFile(join(log, file), 'utf8')))
    assert.equal(`${shown.join('\n')}\n`, texts.join(''))
    assert.deepEqual(await makeProof(dir, 'r0', null), await makeProof(log, 'r0', null))
  })
  it('are gone on from by the next start', async (t) => {
    const dir = await packed(t, 3)
    assert.deepEqual(await findPrevious(nodeFiles, dir), await findPrevious(nodeFiles, log))
    const time = testClock()
    time.now += 40 * 86_400_000
    await severalStarts(dir, time, 1)
    assert.equal(await damageIn(dir), null)
  })
  it('are followed on from where the plain one was read', async (t) => {
    const dir = await packed(t, 0)
    const [first = ''] = await named(dir, '.ndjson')
    const seen: string[] = []
    const all = { user: null, namespace: null, since: null, decision: null }
    let rounds = 0
    const wait = async (): Promise<void> => {
      if (rounds++ > 0) throw new Error('enough')
      for (const file of await named(dir, '.ndjson')) assert.ok((await compressSegment(nodeFiles, dir, file)).ok)
    }
    await assert.rejects(async () => {
      for await (const { line } of showRecords(dir, all, wait)) seen.push(line)
    }, /enough/)
    assert.equal(new Set(seen).size, seen.length)
    assert.ok(first !== '' && seen.length > 10)
  })
})

describe('a compressed segment that is damaged', { timeout: 300_000 }, () => {
  let log: string
  let file: string
  let bytes: Buffer
  before(async () => {
    log = await sharedDir()
    await severalStarts(log, testClock(), 2)
    const [first = ''] = await named(log, '.ndjson')
    assert.ok((await compressSegment(nodeFiles, log, first)).ok)
    file = `${first}.zst`
    bytes = await readFile(join(log, file))
  })
  const found = async (changed: Buffer): Promise<string> => {
    await writeFile(join(log, file), changed)
    const report = await verified(log)
    await writeFile(join(log, file), bytes)
    return `${report.damage?.kind ?? 'whole'} ${report.damage?.file ?? ''}`
  }
  /** Each is looked at; some of them with all else that stands in the log. */
  const noticed = async (changed: Buffer, at: number): Promise<void> => {
    if (at % 16 === 0) return assert.equal(await found(changed), `damaged ${file}`, `at ${at}`)
    const read = async (into: Uint8Array, position: number): Promise<number> => changed.copy(into, 0, position)
    const opened = await nodeFiles.open(join(log, file))
    await opened.close()
    const facts = async () => ({ ...(await nodeFiles.facts(join(log, file))), size: changed.length })
    assert.equal((await inspectPacked({ ...opened, read, facts })).ok, false, `at ${at}`)
  }
  it('at any byte is found, and named', async () => {
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes)
      flipped.writeUInt8((bytes[at] ?? 0) ^ (1 << (at % 8)), at)
      await noticed(flipped, at)
    }
  })
  it('cut off at any byte is found, and named', async () => {
    for (let length = 0; length < bytes.length; length++) {
      await noticed(bytes.subarray(0, length), length)
    }
  })
  it('with anything behind its end, a second frame too, is found, and named', async () => {
    const frame = zstdCompressSync(Buffer.from(''), { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
    const digest = bytes.subarray(-40)
    for (const behind of [Buffer.from('x'), Buffer.alloc(1), frame, bytes, digest]) {
      assert.equal(await found(Buffer.concat([bytes, behind])), `damaged ${file}`)
      assert.equal(await found(Buffer.concat([bytes.subarray(0, -40), behind, digest])), `damaged ${file}`)
    }
    assert.equal(await found(bytes), 'whole ')
  })
  it('is shown and proven up to there, with a clear word', async () => {
    await truncate(join(log, file), bytes.length - 60)
    const all = { user: null, namespace: null, since: null, decision: null }
    await assert.rejects(
      async () => {
        for await (const _ of showRecords(log, all, null)) continue
      },
      (error) => error instanceof DamagedFile && error.message.startsWith(`${file} is damaged: `),
    )
    const proof = await makeProof(log, 'r0', null)
    assert.match(proof.ok ? '' : proof.error, /is damaged: /)
    await writeFile(join(log, file), bytes)
  })
  it('whose content was edited is an edit of that line', async () => {
    const edited = zstdDecompressSync(bytes).toString().replace('"payments"', '"paymentz"')
    await writeFile(join(log, file.slice(0, -4)), edited)
    assert.ok((await compressSegment(nodeFiles, log, file.slice(0, -4))).ok)
    assert.match(briefly(await verified(log)), /^edited audit-.*\.zst: its content/)
    await writeFile(join(log, file), bytes)
  })
})

describe('a hostile compressed segment', { timeout: 60_000 }, () => {
  const packed = async (content: Buffer, options: ConstructorParameters<typeof Object>[0]): Promise<Buffer> => {
    const encoder = createZstdCompress(options)
    encoder.end(content)
    return Buffer.concat(await encoder.toArray())
  }
  it('that grows without end, or asks for much memory, is refused', async (t) => {
    const dir = await tempDir(t)
    const path = join(dir, `${name}.zst`)
    const bomb = Buffer.alloc(64 * 1024 * 1024)
    const params = { [constants.ZSTD_c_checksumFlag]: 1 }
    const large = { ...params, [constants.ZSTD_c_windowLog]: 26 }
    for (const options of [{ params }, { params: large, pledgedSrcSize: bomb.length }]) {
      await writeFile(path, await packed(bomb, options))
      await assert.rejects(linesIn(path), DamagedFile)
    }
    await writeFile(path, 'not at all')
    await appendFile(path, Buffer.alloc(100))
    await assert.rejects(linesIn(path), DamagedFile)
  })
  it('never ends in anything but lines or a word about damage', async (t) => {
    const dir = await tempDir(t)
    const path = join(dir, `${name}.zst`)
    await writeFile(join(dir, name), '{"v":1}\n'.repeat(500))
    assert.ok((await compressSegment(nodeFiles, dir, name)).ok)
    const good = await readFile(path)
    const change = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(change, async (changes) => {
        const bytes = Buffer.from(good)
        for (const [at, byte] of changes) bytes.writeUInt8(byte, at)
        await writeFile(path, bytes)
        await linesIn(path).catch((error: unknown) => assert.ok(error instanceof DamagedFile, String(error)))
      }),
      { numRuns: 300 },
    )
  })
})
