import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { auditLimits } from '../../src/audit/limits.ts'
import { decision, linesOf, openLog, outcome, soleSegment, tempDir } from '../unit/audit/support.ts'

const page = await readFile(join(import.meta.dirname, '../../docs/audit-record.md'), 'utf8')

function snippet(language: string): string {
  return (
    new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(page)?.[1] ?? assert.fail(`no ${language} block on the page`)
  )
}

async function freshLog(t: TestContext): Promise<{ dir: string; path: string; bytes: Buffer }> {
  const dir = await tempDir(t)
  const log = openLog(t, dir)
  await log.append(decision('a', 'up{x="\\\\ %s ü \u2028 $(true) `true`"}'))
  log.note(outcome('a'))
  await log.append({ kind: 'policy.loaded', policy: 'sha256:2', replaced: null, source: 'rules.csv' })
  await log.append({
    kind: 'policy.rejected',
    policy: null,
    inForce: 'sha256:2',
    source: 'rules.csv',
    problems: ['line 1'],
  })
  await log.append(decision('long', 'x'.repeat(auditLimits.textUnits + 1)))
  await log.seal()
  const path = await soleSegment(dir)
  return { dir, path, bytes: await readFile(path) }
}

const ways = [
  { name: 'sh', command: 'sh', file: 'check.sh', language: 'sh' },
  { name: 'node', command: process.execPath, file: 'check.mjs', language: 'js' },
]

describe('the page about the audit record', { timeout: 60_000 }, () => {
  for (const { name, command, file, language } of ways) {
    it(`has a ${name} script that finds what is wrong with a segment`, async (t) => {
      const { dir, path, bytes } = await freshLog(t)
      const script = join(dir, file)
      await writeFile(script, snippet(language))
      const check = async (changed: Uint8Array): Promise<string> => {
        await writeFile(path, changed)
        const { status, stdout, stderr } = spawnSync(command, [script, path], { encoding: 'utf8' })
        assert.equal(stderr, '')
        return `${status} ${stdout.trim()}`
      }
      const last = (await linesOf(path)).at(-1)
      assert.equal(await check(bytes), `0 7 records, sealed, last chain ${last?.chain}`)
      const lastLine = bytes.subarray(0, -1).lastIndexOf('\n') + 1
      assert.match(await check(bytes.subarray(0, lastLine)), /^0 6 records, not sealed, last chain/)
      assert.equal(await check(bytes.subarray(0, lastLine + 30)), '2 after line 6: a torn tail of 30 bytes')
      const rest = bytes.length - 1 - lastLine
      assert.equal(await check(bytes.subarray(0, -1)), `2 after line 6: a torn tail of ${rest} bytes`)
      const firstLine = bytes.indexOf('\n') + 1
      assert.match(await check(bytes.subarray(firstLine)), /^1 line 1: /)
      assert.match(await check(Buffer.concat([bytes.subarray(0, 9), Buffer.from([0]), bytes.subarray(9)])), /^1 /)
      const places = [0, 1, firstLine - 70, firstLine - 3, firstLine - 2, firstLine - 1, firstLine + 9, lastLine]
      for (const at of [...places, bytes.length - 4]) {
        const flipped = Buffer.from(bytes)
        flipped.writeUInt8((bytes[at] ?? 0) ^ 1, at)
        assert.match(await check(flipped), /^1 /, `byte ${at}`)
      }
    })
  }

  it('names every kind and every field, and the limits as they are', async (t) => {
    const { path } = await freshLog(t)
    const lines = await linesOf(path)
    const words = new Set(lines.flatMap((line) => [line.kind, ...Object.keys(line)]))
    assert.deepEqual(
      [...words].filter((word) => !page.includes(`\`${word}\``)),
      [],
    )
    assert.ok(words.has('truncated') && words.has('policy.rejected'))
    const { textUnits, fieldUnits, queueRecords, queueBytes, deadlineMs } = auditLimits
    for (const limit of [
      textUnits,
      fieldUnits,
      queueRecords,
      `${queueBytes / 1024 / 1024} MiB`,
      `${deadlineMs / 1000} seconds`,
    ])
      assert.match(page, new RegExp(`\\b${limit}\\b`))
  })
})
