import assert from 'node:assert/strict'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import fc from 'fast-check'
import { nodeFiles } from '../../../src/audit/files.ts'
import { beginHold, endHold, holdFile, readHold } from '../../../src/audit/hold.ts'
import { hold as command } from '../../../src/cli/audit/hold.ts'
import { readGiven, UsageError } from '../../../src/cli/command.ts'
import { mortal } from './kept-log.ts'
import { tempDir } from './support.ts'

const hold = { by: 'counsel', because: 'case 7', since: '2025-01-07T00:00:00.000Z' }

async function run(...words: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const given = readGiven(words, command)
  assert.ok(given.ok, JSON.stringify(given))
  let [out, err] = ['', '']
  const terminal = {
    out: (text: string) => (out += text),
    err: (text: string) => (err += text),
    lines: () => assert.fail('it asks nothing'),
  }
  return { code: await command.run(given.value, terminal), out, err }
}

async function logDir(t: TestContext): Promise<string> {
  const dir = await tempDir(t)
  await writeFile(join(dir, 'audit-20250101T000000000Z-b.ndjson'), '')
  return dir
}

describe('a hold', { timeout: 60_000 }, () => {
  it('is read back as it was begun, and is gone when it ended', async (t) => {
    const dir = await tempDir(t)
    assert.equal(await readHold(nodeFiles, dir), null)
    assert.deepEqual(await beginHold(nodeFiles, dir, hold), { ok: true, value: hold })
    assert.deepEqual(await readHold(nodeFiles, dir), hold)
    assert.equal((await stat(join(dir, holdFile))).mode & 0o777, 0o600)
    assert.ok((await endHold(nodeFiles, dir)).ok)
    assert.ok((await endHold(nodeFiles, dir)).ok)
    assert.equal(await readHold(nodeFiles, dir), null)
  })
  it('that cannot be read is one', async (t) => {
    const dir = await tempDir(t)
    const path = join(dir, holdFile)
    await fc.assert(
      fc.asyncProperty(fc.string(), async (text) => {
        await writeFile(path, text)
        assert.notEqual(await readHold(nodeFiles, dir), null)
      }),
      { numRuns: 50 },
    )
    await writeFile(path, 'x'.repeat(100_000))
    assert.match((await readHold(nodeFiles, dir))?.because ?? '', /more than it can have/)
    const other = await tempDir(t)
    await mkdir(join(other, holdFile))
    assert.match((await readHold(nodeFiles, other))?.because ?? '', /cannot be read/)
  })
  it('is there as a whole or not at all, whenever the writer dies', async (t) => {
    for (let step = 1; step < 10; step++) {
      const dir = await tempDir(t)
      const { ok } = await beginHold(mortal(step).files, dir, hold)
      const found = await readHold(nodeFiles, dir)
      assert.ok(found === null ? !ok : found.because === 'case 7', `step ${step}`)
      assert.ok((await beginHold(nodeFiles, dir, hold)).ok)
    }
  })
})

describe('bailiwick audit hold', { timeout: 60_000 }, () => {
  it('begins a hold, says so, and releases it', async (t) => {
    const dir = await logDir(t)
    assert.match((await run(dir)).out, /^no hold/)
    const begun = await run(dir, '--because', 'case \u001b7', '--by', 'counsel')
    assert.deepEqual([begun.code, begun.err], [0, ''])
    assert.match(begun.out, /^held since \S+Z by counsel: case \ufffd7\n$/)
    assert.equal(Object(JSON.parse(await readFile(join(dir, holdFile), 'utf8'))).because, 'case \u001b7')
    assert.equal((await run(dir)).out, begun.out)
    assert.match((await run(dir, '--release')).out, /^released/)
    assert.match((await run(dir, '--release')).out, /^there was no hold/)
    assert.match((await run(dir, '--because', 'again')).out, /by \S+.*: again/)
  })
  it('holds nothing where there is no log', async (t) => {
    const dir = await tempDir(t)
    for (const place of [dir, join(dir, 'nowhere')]) {
      const { code, err } = await run(place, '--because', 'x')
      assert.equal(code, 1)
      assert.match(err, /no audit log|ENOENT/)
    }
  })
  it('wants words that fit together', async (t) => {
    const dir = await logDir(t)
    for (const words of [[], [dir, '--because', ' '], [dir, '--because', 'x', '--release'], [dir, '--by', 'x']]) {
      await assert.rejects(run(...words), UsageError)
    }
  })
})
