import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import { compressSegment } from '../../../src/audit/compress.ts'
import { nodeFiles, type Files } from '../../../src/audit/files.ts'
import { briefly, copyOf, mortal, named, severalStarts, sharedDir, testClock, verified } from './kept-log.ts'
import { systemError } from './support.ts'

describe('compressing a segment', { timeout: 120_000 }, () => {
  let log: string
  before(async () => {
    log = await sharedDir()
    await severalStarts(log, testClock(), 2)
  })
  const first = async (dir: string): Promise<string> => (await named(dir, '.ndjson'))[0] ?? ''

  it('leaves its content in another form, for its owner only', async (t) => {
    const dir = await copyOf(t, log)
    const file = await first(dir)
    const bytes = await readFile(join(dir, file))
    assert.deepEqual(await compressSegment(nodeFiles, dir, file), {
      ok: true,
      value: { plain: bytes.length, packed: (await stat(join(dir, `${file}.zst`))).size },
    })
    assert.deepEqual(zstdDecompressSync(await readFile(join(dir, `${file}.zst`))), bytes)
    assert.equal((await stat(join(dir, `${file}.zst`))).mode & 0o777, 0o600)
    assert.deepEqual(
      (await named(dir, '')).filter((name) => name.startsWith(file)),
      [`${file}.zst`],
    )
  })

  it('is whole after a death at any of its steps, and is done by the next try', async (t) => {
    for (let step = 1; ; step++) {
      const dir = await copyOf(t, log)
      const file = await first(dir)
      const bytes = await readFile(join(dir, file))
      const { files, steps } = mortal(step)
      const { ok } = await compressSegment(files, dir, file)
      const left = (await named(dir, '')).filter((name) => name.startsWith(file))
      assert.equal(briefly(await verified(dir)), 'whole', `after step ${step}: ${left.join(' ')}`)
      if (left.includes(file)) {
        assert.deepEqual(await readFile(join(dir, file)), bytes)
        assert.ok((await compressSegment(nodeFiles, dir, file)).ok)
      }
      assert.deepEqual(zstdDecompressSync(await readFile(join(dir, `${file}.zst`))), bytes)
      assert.equal(briefly(await verified(dir)), 'whole')
      if (ok) {
        assert.ok(steps() > 7, 'it has more steps than these')
        return
      }
    }
  })

  it('keeps the plain one where the copy reads differently, or it was changed meanwhile', async (t) => {
    const dir = await copyOf(t, log)
    const file = await first(dir)
    const bytes = await readFile(join(dir, file))
    const sick: Files = {
      ...nodeFiles,
      open: async (path) => {
        const real = await nodeFiles.open(path)
        const read: typeof real.read = async (into, position) => {
          const count = await real.read(into, position)
          if (path.endsWith('.part') && position === 0 && count > 100) into.fill(0, 60, 61)
          return count
        }
        return { ...real, read }
      },
    }
    let looked = 0
    const growing: Files = {
      ...nodeFiles,
      facts: async (path) => {
        const facts = await nodeFiles.facts(path)
        return path.endsWith('.ndjson') && ++looked === 2 ? { ...facts, size: facts.size + 1 } : facts
      },
    }
    const full: Files = {
      ...nodeFiles,
      create: async (path) => ({
        ...(await nodeFiles.create(path)),
        write: () => Promise.reject(systemError('ENOSPC')),
      }),
    }
    for (const [files, word] of [
      [sick, /stays as it is/],
      [growing, /was changed meanwhile/],
      [full, /ENOSPC/],
    ] as const) {
      const done = await compressSegment(files, dir, file)
      assert.match(done.ok ? '' : done.error.reason, word)
      assert.deepEqual(
        (await named(dir, '')).filter((name) => name.startsWith(file)),
        [file],
      )
      assert.deepEqual(await readFile(join(dir, file)), bytes)
    }
  })

  it('does not believe a compressed form that is there already', async (t) => {
    const dir = await copyOf(t, log)
    const file = await first(dir)
    const bytes = await readFile(join(dir, file))
    for (const name of [`${file}.zst`, `${file}.zst.part`]) await writeFile(join(dir, name), 'something else')
    assert.ok((await compressSegment(nodeFiles, dir, file)).ok)
    assert.deepEqual(zstdDecompressSync(await readFile(join(dir, `${file}.zst`))), bytes)
  })
})
