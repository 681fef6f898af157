// Somebody who can write the audit directory changes what it says: verify notices each change, and names it right.
import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { cp, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { TestContext } from 'node:test'
import { checkpointLine, keyChangeLine, parseCheckpointsLine, signKeyChange } from '../../src/audit/checkpoint.ts'
import type { CheckpointFacts } from '../../src/audit/checkpoint.ts'
import { nodeFiles } from '../../src/audit/files.ts'
import type { Files } from '../../src/audit/files.ts'
import { generateKeyPair, readSigningKey } from '../../src/audit/keys.ts'
import type { SigningKey } from '../../src/audit/keys.ts'
import { openAuditLog } from '../../src/audit/log.ts'
import { GrowingTree, leafHash } from '../../src/audit/merkle.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import type { Damage, VerifyReport } from '../../src/audit/verify-report.ts'
import { decision, outcome } from '../unit/audit/support.ts'

const newKey = (): SigningKey => readSigningKey(generateKeyPair().privatePem)
const key = newKey()
const idle = 60_000

/** Two starts, each with a few records and several checkpoints, with a copy of these in a second place. */
interface Log {
  readonly dir: string
  readonly copy: string
  readonly segments: readonly string[]
  readonly checkpoints: readonly string[]
}

async function start(
  dir: string,
  copy: string,
  clock: () => Date,
  signing: SigningKey | null = key,
  requests: readonly string[] = ['a', 'b'],
): Promise<void> {
  const checkpoints = { key: signing, previousKey: null, copyTo: copy, every: 10, idle }
  const log = openAuditLog({ dir, clock, newId: randomUUID, checkpoints })
  for (const request of requests) {
    const { last } = log.status().checkpoints ?? {}
    await log.append(decision(`${request}-${randomUUID()}`))
    log.note(outcome(request))
    while (log.status().checkpoints?.last?.number === last?.number)
      await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await log.seal()
}

async function named(dir: string, ending: string): Promise<readonly string[]> {
  return (await readdir(dir)).filter((name) => name.endsWith(ending)).toSorted()
}

async function logIn(scratch: string, name: string, signing: SigningKey | null = key): Promise<Log> {
  const dir = join(scratch, name)
  const copy = join(scratch, `${name}.copy`)
  await start(dir, copy, () => new Date(), signing)
  await start(dir, copy, () => new Date(), signing)
  return { dir, copy, segments: await named(dir, '.ndjson'), checkpoints: await named(dir, '.checkpoints') }
}

let scratch: string
let log: Log
/** One start, and nothing asked. */
let small: Log
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'bailiwick-tamper-'))
  log = await logIn(scratch, 'log')
  const [dir, copy] = [join(scratch, 'small'), join(scratch, 'small.copy')]
  await start(dir, copy, () => new Date(), key, [])
  small = { dir, copy, segments: await named(dir, '.ndjson'), checkpoints: await named(dir, '.checkpoints') }
})

/** Files to change at every byte of the small log, and at many of the larger one. */
const places = (of: 'segments' | 'checkpoints'): readonly (readonly [of: Log, file: string, step: number])[] => [
  ...small[of].map((file) => [small, file, 1] as const),
  ...log[of].map((file) => [log, file, 23] as const),
]
after(() => rm(scratch, { recursive: true, force: true }))

/** The log in memory, one file of it replaced: there are thousands of changes to try. */
async function inMemory({ dir }: Log): Promise<(file: string, bytes: Buffer) => Promise<Damage>> {
  const names = await readdir(dir)
  const kept = new Map<string, Buffer>()
  for (const name of names) kept.set(join(dir, name), await readFile(join(dir, name)))
  return async (file, replaced) => {
    const bytesOf = (path: string): Buffer => {
      const bytes = path === join(dir, file) ? replaced : kept.get(path)
      if (bytes === undefined) throw new Error('there is no such file')
      return bytes
    }
    const files: Files = {
      ...nodeFiles,
      list: async () => names,
      facts: async (path) => ({ device: 0n, inode: 0n, size: bytesOf(path).length }),
      open: async (path) => ({
        write: assert.fail,
        datasync: assert.fail,
        facts: assert.fail,
        read: async (into, position) => bytesOf(path).copy(into, 0, position),
        close: async () => {},
      }),
    }
    const report = await verifyLog({ dir, keys: [key], copy: null, partial: false, files })
    assert.ok(report.ok, JSON.stringify(report))
    return report.value.damage ?? assert.fail('nothing was noticed')
  }
}

/** A copy of the log that a test may change. */
async function victim(t: TestContext, original: Log = log): Promise<Log> {
  const dir = await mkdtemp(join(scratch, 'victim-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  await cp(original.dir, join(dir, 'log'), { recursive: true })
  await cp(original.copy, join(dir, 'copy'))
  return { ...original, dir: join(dir, 'log'), copy: join(dir, 'copy') }
}

interface Given {
  readonly keys?: readonly SigningKey[] | null
  readonly copy?: string | null
  readonly partial?: boolean
}

async function check({ dir }: Log, { keys = [key], copy = null, partial = false }: Given = {}): Promise<VerifyReport> {
  const report = await verifyLog({ dir, keys, copy, partial })
  assert.ok(report.ok, JSON.stringify(report))
  return report.value
}

async function damaged(log: Log, given: Given = {}): Promise<Damage> {
  const { damage } = await check(log, given)
  assert.ok(damage !== null, 'nothing was noticed')
  return damage
}

const linesIn = async (path: string): Promise<readonly string[]> =>
  (await readFile(path, 'utf8'))
    .split('\n')
    .slice(0, -1)
    .map((line) => `${line}\n`)

/** Checks every way in which a file's lines may be changed. */
async function eachWay(
  victim: Log,
  path: string,
  change: (lines: readonly string[], at: number) => readonly string[] | null,
  expected: (damage: Damage, at: number, lines: readonly string[]) => void,
): Promise<void> {
  const lines = await linesIn(path)
  for (const at of lines.keys()) {
    const changed = change(lines, at)
    if (changed === null) continue
    await writeFile(path, changed.join(''))
    expected(await damaged(victim), at, lines)
  }
  await writeFile(path, lines.join(''))
}

describe('a log that nobody changed', () => {
  it('is whole: with keys, without, and with the copy', async () => {
    for (const given of [{}, { keys: null }, { copy: log.copy }]) {
      const { damage, remarks, uncovered, signedBy } = await check(log, given)
      assert.deepEqual(
        { damage, remarks, uncovered, signedBy },
        { damage: null, remarks: [], uncovered: 0, signedBy: [key.id] },
      )
    }
    const { segments, records, checkpoints } = await check(log)
    assert.deepEqual([segments, records], [2, 13])
    assert.ok(checkpoints >= 6)
  })
})

describe('in a segment', () => {
  it('every byte that is flipped is an edit of its line', { timeout: 120_000 }, async () => {
    for (const [of, file, step] of places('segments')) {
      const damagedBy = await inMemory(of)
      const bytes = await readFile(join(of.dir, file))
      for (let at = 0; at < bytes.length; at += step) {
        const line = bytes.subarray(0, at).toString('latin1').split('\n').length
        const flipped = Buffer.from(bytes)
        flipped.writeUInt8((bytes[at] ?? 0) ^ (at % 2 === 0 ? 0x01 : 0x04), at)
        const damage = await damagedBy(file, flipped)
        assert.deepEqual(
          [damage.kind, damage.file, damage.line],
          ['edited', file, line],
          `byte ${at}: ${damage.sentence}`,
        )
      }
    }
  })
  it('every line that is deleted is missed where it was', async (t) => {
    const changed = await victim(t)
    for (const file of log.segments) {
      const remove = (lines: readonly string[], at: number): readonly string[] => lines.toSpliced(at, 1)
      await eachWay(changed, join(changed.dir, file), remove, (damage, at, lines) => {
        const kind = at === lines.length - 1 ? 'truncated' : 'deleted'
        assert.deepEqual([damage.kind, damage.file, damage.line], [kind, file, at + 1], damage.sentence)
      })
    }
  })
  it('every line that is there twice is noticed', async (t) => {
    const changed = await victim(t)
    for (const file of log.segments) {
      const double = (lines: readonly string[], at: number): readonly string[] =>
        lines.toSpliced(at, 0, lines[at] ?? '')
      await eachWay(changed, join(changed.dir, file), double, (damage, at) => {
        assert.deepEqual([damage.kind, damage.line], ['inserted', at + 2], damage.sentence)
      })
      const repeatFirst = (lines: readonly string[], at: number): readonly string[] =>
        lines.toSpliced(at + 1, 0, lines[1] ?? '')
      await eachWay(changed, join(changed.dir, file), repeatFirst, (damage, at) => {
        assert.equal(damage.kind, 'inserted', `${at}: ${damage.sentence}`)
      })
    }
  })
  it('every two lines that change places are named as that', async (t) => {
    const changed = await victim(t)
    const swap = (lines: readonly string[], at: number): readonly string[] | null =>
      at === 0 ? null : lines.toSpliced(at - 1, 2, lines[at] ?? '', lines[at - 1] ?? '')
    await eachWay(changed, join(changed.dir, log.segments[0] ?? ''), swap, (damage, at) => {
      assert.deepEqual([damage.kind, damage.line], ['reordered', at], damage.sentence)
    })
    const move = (lines: readonly string[], at: number): readonly string[] | null =>
      at < 3 ? null : lines.toSpliced(at, 1).toSpliced(1, 0, lines[at] ?? '')
    await eachWay(changed, join(changed.dir, log.segments[0] ?? ''), move, (damage) => {
      assert.deepEqual([damage.kind, damage.line], ['reordered', 2], damage.sentence)
    })
  })
  it('a line that somebody made is named at its place', async (t) => {
    const changed = await victim(t)
    const invent = (lines: readonly string[], at: number): readonly string[] =>
      lines.toSpliced(at, 0, (lines[at] ?? '').replace('"kind"', '"kink"'))
    await eachWay(changed, join(changed.dir, log.segments[1] ?? ''), invent, (damage, at) => {
      assert.deepEqual([damage.kind, damage.line], ['inserted', at + 1], damage.sentence)
    })
  })
  it('every point at which it is cut off is noticed', { timeout: 120_000 }, async () => {
    for (const [of, file, step] of places('segments')) {
      const damagedBy = await inMemory(of)
      const bytes = await readFile(join(of.dir, file))
      for (let length = 0; length < bytes.length; length += step) {
        const damage = await damagedBy(file, bytes.subarray(0, length))
        const line = bytes.subarray(0, length).toString('latin1').split('\n').length
        assert.deepEqual(
          [damage.kind, damage.file, damage.line],
          ['truncated', file, line],
          `${length}: ${damage.sentence}`,
        )
      }
    }
  })
})

describe('among the checkpoints', () => {
  it('every byte that is flipped is noticed', { timeout: 120_000 }, async () => {
    for (const [of, file, step] of places('checkpoints')) {
      const damagedBy = await inMemory(of)
      const bytes = await readFile(join(of.dir, file))
      for (let at = 0; at < bytes.length; at += step) {
        const flipped = Buffer.from(bytes)
        flipped.writeUInt8((bytes[at] ?? 0) ^ 0x01, at)
        const damage = await damagedBy(file, flipped)
        assert.deepEqual([damage.kind, damage.file], ['edited', file], `byte ${at}: ${damage.sentence}`)
      }
    }
  })
  it('every one that is deleted, doubled or moved is noticed', async (t) => {
    const changed = await victim(t)
    const path = join(changed.dir, log.checkpoints[0] ?? '')
    const isKey = (line = ''): boolean => line.startsWith('{"key"')
    await eachWay(
      changed,
      path,
      (lines, at) => lines.toSpliced(at, 1),
      ({ kind, sentence }, at, lines) => {
        const expected = isKey(lines[at]) ? 'key not valid then' : at === lines.length - 1 ? 'truncated' : 'deleted'
        assert.equal(kind, expected, sentence)
      },
    )
    const double = (lines: readonly string[], at: number): readonly string[] | null =>
      isKey(lines[at]) ? null : lines.toSpliced(at, 0, lines[at] ?? '')
    await eachWay(changed, path, double, ({ kind, line }, at) => assert.deepEqual([kind, line], ['inserted', at + 2]))
    const swap = (lines: readonly string[], at: number): readonly string[] | null =>
      at < 2 ? null : lines.toSpliced(at - 1, 2, lines[at] ?? '', lines[at - 1] ?? '')
    await eachWay(changed, path, swap, ({ kind, line }, at) => assert.deepEqual([kind, line], ['reordered', at]))
  })
  it('every point at which they are cut off is noticed', { timeout: 120_000 }, async () => {
    for (const [of, file, step] of places('checkpoints')) {
      const damagedBy = await inMemory(of)
      const bytes = await readFile(join(of.dir, file))
      for (let length = 0; length < bytes.length; length += step) {
        const { kind, sentence } = await damagedBy(file, bytes.subarray(0, length))
        assert.equal(kind, 'truncated', `${file} ${length}: ${sentence}`)
      }
    }
  })
  it('one that was signed again with another key was not valid then', async (t) => {
    const changed = await victim(t)
    const other = newKey()
    await eachWay(
      changed,
      join(changed.dir, log.checkpoints[1] ?? ''),
      (lines, at) => resigned(lines, at, other),
      ({ kind }) => {
        assert.equal(kind, 'key not valid then')
      },
    )
    await eachWay(
      changed,
      join(changed.dir, log.checkpoints[1] ?? ''),
      (lines, at) => resigned(lines, at, null),
      ({ kind }) => {
        assert.equal(kind, 'key not valid then')
      },
    )
  })
  it('one of a time without traffic that is missing is named as that, also where the others are signed again', async (t) => {
    const dir = await mkdtemp(join(scratch, 'idle-'))
    t.after(() => rm(dir, { recursive: true, force: true }))
    const quiet = openAuditLog({
      ...{ dir: join(dir, 'log'), clock: () => new Date(), newId: randomUUID },
      checkpoints: { key, previousKey: null, copyTo: null, every: 10, idle: 20 },
    })
    await quiet.append(decision('a'))
    while ((quiet.status().checkpoints?.last?.number ?? 0) < 6) await new Promise((resolve) => setTimeout(resolve, 5))
    await quiet.seal()
    const [file = ''] = await named(join(dir, 'log'), '.checkpoints')
    const path = join(dir, 'log', file)
    const lines = await linesIn(path)
    const changed = { ...log, dir: join(dir, 'log') }
    assert.equal((await check(changed)).damage, null)
    await writeFile(path, lines.toSpliced(5, 1).join(''))
    assert.equal((await damaged(changed)).kind, 'idle checkpoint missing')
    // Whoever has the key can close the gap in the numbers, but not the one in time.
    const later = lines.slice(5).map((line) => factsIn(line))
    const hour = 3_600_000
    const moved = rebuilt(
      lines.slice(0, 5),
      later.map((facts) => ({ ...facts, time: new Date(Date.parse(facts.time) + hour).toISOString() })),
      key,
    )
    await writeFile(path, moved.join(''))
    assert.equal((await damaged(changed)).kind, 'idle checkpoint missing')
  })
})

const factsIn = (line: string): CheckpointFacts => {
  const parsed = parseCheckpointsLine(line.slice(0, -1))
  assert.ok(parsed?.kind === 'checkpoint', line)
  return parsed.checkpoint
}
const treeIn = (line: string): readonly Buffer[] => {
  const parsed = parseCheckpointsLine(line.slice(0, -1))
  assert.ok(parsed?.kind === 'checkpoint', line)
  return parsed.checkpoint.tree
}

function resigned(lines: readonly string[], at: number, by: SigningKey | null): readonly string[] {
  const line = lines[at] ?? ''
  return lines.toSpliced(at, 1, checkpointLine(factsIn(line), treeIn(line), by).line)
}

/** Signs checkpoints that follow the lines, each with the hash of the one before. */
function rebuilt(
  lines: readonly string[],
  facts: readonly CheckpointFacts[],
  by: SigningKey | null,
): readonly string[] {
  const all = [...lines]
  const last = parseCheckpointsLine((all.at(-1) ?? '').slice(0, -1))
  let previous = last?.kind === 'checkpoint' ? last.checkpoint.hash : '0'.repeat(64)
  const tree = last?.kind === 'checkpoint' ? last.checkpoint.tree : []
  for (const one of facts) {
    const made = checkpointLine({ ...one, previous }, tree, by)
    all.push(made.line)
    previous = made.hash
  }
  return all
}

/** Changes a segment and makes its chain anew, as anybody can who knows how it is made. */
async function forge(path: string, change: (line: string, at: number) => string | null): Promise<readonly string[]> {
  let chain = '0'.repeat(64)
  const forged: string[] = []
  for (const [at, line] of (await linesIn(path)).entries()) {
    const body = change(line.slice(0, -77), at)
    if (body === null) continue
    chain = createHash('sha256').update(`${chain}\n${body}`).digest('hex')
    forged.push(`${body},"chain":"${chain}"}\n`)
  }
  await writeFile(path, forged.join(''))
  return forged
}

describe('a chain that was made anew, without the key,', () => {
  it('is a fork where a checkpoint says something else', async (t) => {
    for (const at of [1, 2, 4]) {
      const changed = await victim(t)
      const file = log.segments[1] ?? ''
      await forge(join(changed.dir, file), (body, line) =>
        line === at ? body.replace('"host":', '"hosT":').replace('"request":"', '"request":"x') : body,
      )
      const damage = await damaged(changed)
      assert.deepEqual([damage.kind, damage.file], ['forked', file], damage.sentence)
      assert.ok(damage.line <= at + 1)
    }
  })
  it('is a deletion where numbers are missing, and a fork where they were made anew too', async (t) => {
    const first = await victim(t)
    await forge(join(first.dir, log.segments[1] ?? ''), (body, at) => (at === 2 ? null : body))
    assert.equal((await damaged(first)).kind, 'deleted')
    const second = await victim(t)
    let seq = 0
    await forge(join(second.dir, log.segments[0] ?? ''), (body, at) =>
      at === 2
        ? null
        : body
            .replace(/"seq":\d+/, `"seq":${seq++}`)
            .replace(/"records":(\d+)/, (_, count) => `"records":${Number(count) - 1}`),
    )
    assert.equal((await damaged(second)).kind, 'forked')
  })
  it('does not pass with checkpoints that are not signed, or signed by another', async (t) => {
    for (const by of [null, newKey()]) {
      const changed = await victim(t)
      const file = log.segments[1] ?? ''
      const path = join(changed.dir, log.checkpoints[1] ?? '')
      const lines = await forge(join(changed.dir, file), (body) => body.replace('payments', 'pAyments'))
      const before = await linesIn(path)
      const original = factsIn(before.at(-1) ?? '')
      const tree = new GrowingTree()
      for (const line of lines) tree.append(leafHash(Buffer.from(line.slice(0, -1))))
      const [, chain = ''] = /"chain":"(\w+)"\}\n$/.exec(lines.at(-1) ?? '') ?? []
      const facts = {
        ...original,
        root: tree.root(),
        chain,
        number: factsIn(before[0] ?? '').number,
        previous: factsIn(before[0] ?? '').previous,
      }
      await writeFile(path, checkpointLine(facts, tree.roots, by).line)
      assert.equal((await damaged(changed)).kind, 'key not valid then')
    }
  })
  it('of a whole log that somebody else signed does not pass with the true key, and says without one what is not shown', async () => {
    const other = newKey()
    const imposed = await logIn(scratch, `other-${randomUUID()}`, other)
    assert.equal((await damaged(imposed)).kind, 'key not valid then')
    const { damage, unknown } = await check(imposed, { keys: null })
    assert.equal(damage, null)
    assert.match(unknown.join('\n'), /whose the keys are/)
  })
  it('of a whole log without signatures does not pass with a key, and says without one what is not shown', async () => {
    const bare = await logIn(scratch, `bare-${randomUUID()}`, null)
    assert.equal((await damaged(bare)).kind, 'key not valid then')
    const { damage, unknown, signedBy } = await check(bare, { keys: null })
    assert.deepEqual([damage, signedBy], [null, []])
    assert.match(unknown.join('\n'), /not signed, so the whole log could be made anew/)
  })
  it('does not get a new key by saying so itself', async (t) => {
    const changed = await victim(t)
    const path = join(changed.dir, log.checkpoints[1] ?? '')
    const lines = await linesIn(path)
    const last = factsIn(lines.at(-1) ?? '')
    const mine = newKey()
    const change = { log: last.log, old: key, next: mine, from: last.number, time: last.time }
    for (const old of [key, key.id, null]) {
      const note = signKeyChange({ ...change, old }, [mine])
      await writeFile(
        path,
        [...lines.slice(0, -1), keyChangeLine(note), ...resigned(lines, lines.length - 1, mine).slice(-1)].join(''),
      )
      assert.ok(['key not valid then', 'edited'].includes((await damaged(changed)).kind))
    }
  })
})

describe('of the segments', () => {
  it('one that is missing is a gap, or the end cut off', async (t) => {
    const first = await victim(t)
    await rm(join(first.dir, log.segments[0] ?? ''))
    assert.equal((await damaged(first)).kind, 'gap')
    assert.equal((await check(first, { partial: true })).damage, null)
    const last = await victim(t)
    await rm(join(last.dir, log.segments[1] ?? ''))
    const damage = await damaged(last)
    assert.deepEqual([damage.kind, damage.file], ['truncated', log.segments[1]])
  })
  it('two that change places are named as that', async (t) => {
    const changed = await victim(t)
    const [first = '', second = ''] = log.segments.map((file) => join(changed.dir, file))
    await rename(first, `${first}.x`)
    await rename(second, first)
    await rename(`${first}.x`, second)
    assert.equal((await damaged(changed)).kind, 'reordered')
  })
  it('one of another log, or there a second time, does not belong', async (t) => {
    const other = await logIn(scratch, `foreign-${randomUUID()}`)
    for (const file of other.segments) {
      const changed = await victim(t)
      await cp(join(other.dir, file), join(changed.dir, file))
      assert.equal((await damaged(changed)).kind, 'inserted')
    }
    const changed = await victim(t)
    const [first = ''] = log.segments
    await cp(join(changed.dir, first), join(changed.dir, first.replace(/T\d{9}Z/, 'T235959999Z')))
    assert.equal((await damaged(changed)).kind, 'inserted')
    const renamed = await victim(t)
    const name = `audit-20990101T000000000Z-${randomUUID()}.ndjson`
    await cp(join(renamed.dir, first), join(renamed.dir, name))
    assert.equal((await damaged(renamed)).kind, 'inserted')
  })
})

describe('the end', () => {
  /** Takes the newest records away, and every checkpoint that covers them. */
  async function rollBack(changed: Log, keep: number): Promise<void> {
    const [, segment = ''] = changed.segments
    const [, checkpoints = ''] = changed.checkpoints
    const lines = await linesIn(join(changed.dir, segment))
    const left = (await linesIn(join(changed.dir, checkpoints))).filter((line) => factsIn(line).size <= keep)
    const size = Math.max(0, ...left.map((line) => factsIn(line).size))
    await writeFile(join(changed.dir, segment), lines.slice(0, size).join(''))
    await writeFile(join(changed.dir, checkpoints), left.join(''))
  }

  it('that is cut off with its checkpoints is noticed by the copy in the second place, and only there', async (t) => {
    const changed = await victim(t)
    await rollBack(changed, 4)
    const { damage, unknown } = await check(changed)
    assert.equal(damage, null)
    assert.match(unknown.join('\n'), /cut off the end/)
    assert.equal((await damaged(changed, { copy: changed.copy })).kind, 'truncated')
  })
  it('whole start and all, too', async (t) => {
    const changed = await victim(t)
    await rm(join(changed.dir, log.segments[1] ?? ''))
    await rm(join(changed.dir, log.checkpoints[1] ?? ''))
    assert.equal((await check(changed)).damage, null)
    const damage = await damaged(changed, { copy: changed.copy })
    assert.deepEqual([damage.kind, damage.file], ['truncated', log.segments[1]])
  })
  it('to which a gateway wrote on after it was set back is a fork', async (t) => {
    const changed = await victim(t)
    await rollBack(changed, 4)
    await start(changed.dir, join(changed.dir, '..', 'other-copy'), () => new Date())
    assert.equal((await check(changed)).damage, null)
    assert.equal((await damaged(changed, { copy: changed.copy })).kind, 'forked')
    await start(changed.dir, changed.copy, () => new Date())
    assert.equal((await damaged(changed, { copy: changed.copy })).kind, 'forked')
  })
})

describe('a clock', () => {
  it('that was set back or forward is told, and is no damage', async (t) => {
    const dir = await mkdtemp(join(scratch, 'clock-'))
    t.after(() => rm(dir, { recursive: true, force: true }))
    let step = 0
    const times = [0, 7_200_000, -3_600_000]
    const clock = (): Date => new Date(Date.now() + (times[step] ?? 0))
    const copy = join(dir, 'copy')
    for (; step < times.length; step++) await start(join(dir, 'log'), copy, clock)
    const { damage, remarks } = await check({ ...log, dir: join(dir, 'log') }, { copy })
    assert.equal(damage, null)
    const told = remarks.map(({ sentence }) => sentence).join('\n')
    assert.match(told, /its clock was changed/)
    assert.match(told, /clock was set back/)
  })
})
