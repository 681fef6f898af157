import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import type { PreviousSegment } from '../../src/audit/record.ts'
import { firstProblem, parseLine, segments, startWriter, tempDir, until, type Line } from '../unit/audit/support.ts'

const rounds = 10

/** The lines of a killed writer's segment, and what its successor has to say about it. */
async function killed(dir: string, file: string): Promise<{ lines: Line[]; expected: PreviousSegment }> {
  const bytes = await readFile(join(dir, file))
  // The kernel may give up a write that takes several pages when its process is killed: that tears the last record.
  const whole = bytes.subarray(0, bytes.lastIndexOf('\n') + 1)
  const rest = bytes.subarray(whole.length)
  assert.equal(firstProblem(whole), 'not sealed', file)
  const lines = whole.toString().split('\n').slice(0, -1).map(parseLine)
  const { seq, chain } = lines.at(-1) ?? assert.fail(`no record in ${file}`)
  if (rest.length === 0) return { lines, expected: { file, found: 'open', seq, chain } }
  const tail = { bytes: rest.length, sha256: createHash('sha256').update(rest).digest('hex') }
  return { lines, expected: { file, found: 'torn', seq, chain, tail } }
}

it('nothing acknowledged is missing after kill -9 under load', { timeout: 120_000 }, async (t) => {
  const dir = await tempDir(t)
  const ledger: string[] = []
  for (let round = 0; round < rounds; round++) {
    const writer = startWriter(t, dir)
    // A different moment in each round.
    await until(() => writer.acknowledged.length > 20 + round * 37)
    await writer.kill()
    ledger.push(...writer.acknowledged)
  }
  const names = await segments(dir)
  assert.equal(names.length, rounds)
  const kept = new Set<string | undefined>()
  let before: PreviousSegment | null = null
  for (const name of names) {
    const { lines, expected } = await killed(dir, name)
    assert.deepEqual(lines[0]?.previous, before)
    assert.deepEqual([lines[0]?.seq, lines[0]?.log], [before === null ? 0 : before.seq + 1, lines.at(-1)?.log])
    for (const line of lines) if (line.kind === 'decision') kept.add(line.request)
    before = expected
  }
  assert.ok(ledger.length > rounds * 20)
  assert.deepEqual(
    ledger.filter((request) => !kept.has(request)),
    [],
  )
})
