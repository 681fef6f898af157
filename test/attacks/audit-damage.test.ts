// Every damage to a small log with three starts: not signed and killed, signed, and signed with the next key. `verify` notices
// each and says which it is, and where. `npm run conformance` tries every bit and every length.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { checkpointLine, parseCheckpointsLine } from '../../src/audit/checkpoint.ts'
import type { CheckpointFacts } from '../../src/audit/checkpoint.ts'
import { GrowingTree, leafHash } from '../../src/audit/merkle.ts'
import type { Damage } from '../../src/audit/verify-report.ts'
import {
  bytesIn,
  joined,
  linesOf,
  namesIn,
  newHistory,
  newSigningKey,
  verifyArchive,
  withCompressed,
  withFile,
  withFiles,
  writing,
} from '../support/audit-archive.ts'
import type { Archive, History } from '../support/audit-archive.ts'
import { randomNumbers, seedOf } from '../support/crash.ts'

const whole = process.env['JUDGES'] === 'all'
const timeout = whole ? 3_600_000 : 240_000
const seed = seedOf(process.env['SEED'])
const random = randomNumbers(seed)
const [firstKey, secondKey] = [newSigningKey(), newSigningKey()]

let history: History
let log: Archive
/** The same log after its first and after its second start. */
const earlier: Archive[] = []
let segments: readonly string[]
let checkpoints: readonly string[]
before(async () => {
  history = await newHistory()
  await history.start({ key: null }, writing('a', 'b', 'c'), 'killed')
  earlier.push(await history.archive())
  await history.start({ key: firstKey }, writing('d', 'e'))
  earlier.push(await history.archive())
  await history.start({ key: secondKey, previousKey: firstKey }, writing('f', 'g'))
  log = await history.archive()
  segments = namesIn(log, '.ndjson')
  checkpoints = namesIn(log, '.checkpoints')
})
after(() => history.remove())

const trusted = { keys: [firstKey] }
const damageOf = async (changed: Archive, how: { copy?: boolean } = {}): Promise<Damage | null> =>
  (await verifyArchive(changed, { ...trusted, ...how })).damage

/** `edited seg0:3`: files by their number among those of their sort. */
function brief(damage: Damage | null): string {
  if (damage === null) return 'nothing'
  const { kind, file, line } = damage
  const name = segments.includes(file) ? `seg${segments.indexOf(file)}` : `checkpoints${checkpoints.indexOf(file)}`
  return `${kind} ${segments.includes(file) || checkpoints.includes(file) ? name : 'elsewhere'}:${line}`
}
async function assertDamage(changed: Archive, expected: string, what: string, how: { copy?: boolean } = {}) {
  const damage = await damageOf(changed, how)
  assert.equal(brief(damage), expected, `${what} (SEED=${seed}): ${damage?.sentence ?? ''}`)
}
/** One of several names for the same: which line is missed first depends on what else stands there. */
async function assertOneOf(changed: Archive, expected: readonly string[], what: string) {
  const damage = await damageOf(changed)
  assert.ok(expected.includes(brief(damage)), `${what}: ${brief(damage)}: ${damage?.sentence ?? ''}`)
}
const both = (): readonly (readonly [name: string, file: string])[] => [
  ...segments.map((file, index) => [`seg${index}`, file] as const),
  ...checkpoints.map((file, index) => [`checkpoints${index}`, file] as const),
]
const lineAt = (bytes: Buffer, at: number): number => bytes.subarray(0, at).toString('latin1').split('\n').length
/** All places in the first files, which are small, and some in the others; all where time does not matter. */
function* placesIn(name: string, length: number): Generator<number> {
  const step = whole || name.endsWith('0') ? 1 : 13
  for (let at = step === 1 ? 0 : Math.floor(random() * step); at < length; at += step) yield at
}
const flipped = (file: string, at: number, bit: number): Archive => {
  const bytes = Buffer.from(bytesIn(log, file))
  bytes.writeUInt8((bytes[at] ?? 0) ^ (1 << bit), at)
  return withFile(log, file, bytes)
}

describe('a log that nobody changed', () => {
  it('is whole with either key, and with the copy; all of it is covered', async () => {
    for (const keys of [[firstKey], [secondKey], [firstKey, secondKey], null]) {
      for (const copy of [false, true]) {
        const { damage, uncovered, signedBy, records } = await verifyArchive(log, { keys, copy })
        assert.deepEqual([damage, uncovered, records], [null, 0, 14])
        assert.deepEqual(signedBy.toSorted(), [firstKey.id, secondKey.id].toSorted())
      }
    }
  })
  it('has what the tests below change', () => {
    assert.deepEqual([segments.length, checkpoints.length], [3, 3])
    assert.doesNotMatch(bytesIn(log, segments[0] ?? '').toString(), /\n$/)
    assert.match(bytesIn(log, checkpoints[1] ?? '').toString(), /^\{"key":/)
    assert.match(bytesIn(log, checkpoints[2] ?? '').toString(), /^\{"key":/)
  })
})

describe('every byte', { timeout }, () => {
  it('with a bit of it turned is an edit of its line', async () => {
    for (const [name, file] of both()) {
      const bytes = bytesIn(log, file)
      for (const at of placesIn(name, bytes.length)) {
        const bits = whole ? [0, 1, 2, 3, 4, 5, 6, 7] : [Math.floor(random() * 8)]
        for (const bit of bits) {
          await assertDamage(flipped(file, at, bit), `edited ${name}:${lineAt(bytes, at)}`, `byte ${at}, bit ${bit}`)
        }
      }
    }
  })
  it('of one record and of one checkpoint, every bit of it', async () => {
    for (const [name, file, line] of [
      ['seg0', segments[0] ?? '', 2],
      ['checkpoints0', checkpoints[0] ?? '', 1],
    ] as const) {
      const lines = linesOf(bytesIn(log, file))
      const start = lines.slice(0, line - 1).join('').length
      for (let at = start; at < start + (lines[line - 1] ?? '').length; at += 1) {
        for (let bit = 0; bit < 8; bit += 1) {
          await assertDamage(flipped(file, at, bit), `edited ${name}:${line}`, `byte ${at}, bit ${bit}`)
        }
      }
    }
  })
  it('in the second place does no harm to the log, or is told as what it is', async () => {
    for (let at = Math.floor(random() * 37); at < log.copy.length; at += 37) {
      const bytes = Buffer.from(log.copy)
      bytes.writeUInt8((bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8)), at)
      const { damage, remarks } = await verifyArchive({ ...log, copy: bytes }, { keys: [secondKey], copy: true })
      assert.ok(damage !== null || remarks.length > 1, `byte ${at}`)
      if (damage !== null) assert.ok(['edited', 'key not valid then'].includes(damage.kind), damage.kind)
    }
  })
})

describe('every line of a segment', { timeout: 120_000 }, () => {
  for (const index of [0, 1, 2]) {
    const change = async (
      how: (lines: readonly string[], records: number) => Iterable<readonly [string, readonly string[], string]>,
    ): Promise<void> => {
      const file = segments[index] ?? ''
      const lines = linesOf(bytesIn(log, file))
      const records = lines.filter((line) => line.endsWith('\n')).length
      for (const [what, changed, expected] of how(lines, records)) {
        await assertDamage(withFile(log, file, joined(changed)), expected.replace('@', `seg${index}`), what)
      }
    }
    it(`that is deleted is missed where it was (segment ${index})`, () =>
      change(function* (lines, records) {
        for (const at of lines.keys()) {
          const kind = at >= records - 1 ? 'truncated' : 'deleted'
          yield [`line ${at + 1}`, lines.toSpliced(at, 1), `${kind} @:${at + 1}`]
        }
      }))
    it(`that is put in again, wherever, does not belong there (segment ${index})`, () =>
      change(function* (lines, records) {
        for (let from = 0; from < records; from += 1) {
          for (let to = 0; to <= records; to += 1) {
            const at = to === from || to === from + 1 ? from + 2 : to + 1
            yield [`line ${from + 1} at ${to}`, lines.toSpliced(to, 0, lines[from] ?? ''), `inserted @:${at}`]
          }
        }
      }))
    it(`that stands elsewhere is out of order (segment ${index})`, () =>
      change(function* (lines, records) {
        for (let from = 0; from < records; from += 1) {
          for (let to = 0; to < records; to += 1) {
            if (from === to) continue
            const moved = lines.toSpliced(from, 1).toSpliced(to, 0, lines[from] ?? '')
            yield [`line ${from + 1} to ${to}`, moved, `reordered @:${Math.min(from, to) + 1}`]
          }
        }
      }))
  }
})

describe('every line among the checkpoints', { timeout: 120_000 }, () => {
  const isKey = (line = ''): boolean => line.startsWith('{"key"')
  for (const index of [0, 1, 2]) {
    const load = (): { file: string; lines: readonly string[]; name: string } => {
      const file = checkpoints[index] ?? ''
      return { file, lines: linesOf(bytesIn(log, file)), name: `checkpoints${index}` }
    }
    it(`that is deleted is missed (file ${index})`, async () => {
      const { file, lines, name } = load()
      for (const at of lines.keys()) {
        const changed = withFile(log, file, joined(lines.toSpliced(at, 1)))
        if (isKey(lines[at])) await assertDamage(changed, `key not valid then ${name}:${at + 1}`, `line ${at + 1}`)
        else if (at < lines.length - 1) await assertDamage(changed, `deleted ${name}:${at + 1}`, `line ${at + 1}`)
        else await assertMissingEnd(changed, index)
      }
    })
    it(`that is there again is noticed; a statement about keys says nothing new (file ${index})`, async () => {
      const { file, lines, name } = load()
      for (const from of lines.keys()) {
        for (let to = 0; to <= lines.length; to += 1) {
          const changed = withFile(log, file, joined(lines.toSpliced(to, 0, lines[from] ?? '')))
          const what = `line ${from + 1} at ${to}`
          if (isKey(lines[from]))
            await assertOneOf(changed, ['nothing', `inserted ${name}:${to + 1}`, `inserted ${name}:2`], what)
          else if (isKey(lines[to]) && from === 1)
            await assertDamage(changed, `key not valid then ${name}:${to + 1}`, what)
          else if (to < from) await assertDamage(changed, `reordered ${name}:${to + 1}`, what)
          else await assertDamage(changed, `inserted ${name}:${to <= from + 1 ? from + 2 : to + 1}`, what)
        }
      }
    })
    it(`that stands elsewhere is out of order (file ${index})`, async () => {
      const { file, lines, name } = load()
      for (const from of lines.keys()) {
        for (const to of lines.keys()) {
          if (from === to) continue
          const changed = withFile(log, file, joined(lines.toSpliced(from, 1).toSpliced(to, 0, lines[from] ?? '')))
          const first = Math.min(from, to)
          // Before the statement about its key, a checkpoint is signed with one that nobody knows.
          const early = isKey(lines[first]) && (isKey(lines[from]) || from === 1)
          const kind = early ? 'key not valid then' : 'reordered'
          await assertDamage(changed, `${kind} ${name}:${first + 1}`, `line ${from + 1} to ${to}`)
        }
      }
    })
  }
})

/** The last checkpoints of a file are gone: the next file begins too late, or the log ends uncovered. */
async function assertMissingEnd(changed: Archive, index: number): Promise<void> {
  const damage = await damageOf(changed)
  const kinds = index === 2 ? ['truncated'] : ['truncated', 'deleted']
  assert.ok(kinds.includes(damage?.kind ?? ''), `${damage?.kind}: ${damage?.sentence}`)
  assert.equal(damage?.file, index === 2 ? segments[2] : checkpoints[index + 1])
}

describe('every length to which a file is cut', { timeout }, () => {
  for (const index of [0, 1, 2]) {
    it(`is noticed where the end is missing (segment ${index})`, async () => {
      const bytes = bytesIn(log, segments[index] ?? '')
      const torn = bytes.lastIndexOf('\n') + 1
      for (const length of placesIn(`seg${index}`, bytes.length)) {
        const changed = withFile(log, segments[index] ?? '', bytes.subarray(0, length))
        const place = `seg${index}:${lineAt(bytes, length)}`
        // A torn tail that is shorter than the one that the next start found may be another one as well.
        const kinds = length > torn ? [`edited ${place}`, `truncated ${place}`] : [`truncated ${place}`]
        await assertOneOf(changed, kinds, `${length} bytes`)
      }
    })
    it(`is noticed where the end is missing (checkpoints ${index})`, async () => {
      const bytes = bytesIn(log, checkpoints[index] ?? '')
      for (const length of placesIn(`checkpoints${index}`, bytes.length)) {
        await assertMissingEnd(withFile(log, checkpoints[index] ?? '', bytes.subarray(0, length)), index)
      }
    })
  }
})

describe('a whole file', () => {
  it('that is gone, or empty, is missed', async () => {
    for (const [index, kind] of ['gap', 'gap', 'truncated'].entries()) {
      await assertDamage(withFile(log, segments[index] ?? '', null), `${kind} seg${index}:1`, `segment ${index}`)
      const empty = withFile(log, segments[index] ?? '', Buffer.alloc(0))
      await assertDamage(empty, `truncated seg${index}:1`, `segment ${index}, empty`)
      for (const bytes of [null, Buffer.alloc(0)]) {
        const { kind: found } = (await damageOf(withFile(log, checkpoints[index] ?? '', bytes))) ?? {}
        assert.ok(['deleted', 'truncated'].includes(found ?? ''), `checkpoints ${index}: ${found}`)
      }
    }
  })
  it('that is gone with its checkpoints is missed, the newest with the help of the second place', async () => {
    for (const index of [0, 1]) {
      const changed = withFiles(log, { [segments[index] ?? '']: null, [checkpoints[index] ?? '']: null })
      const damage = await damageOf(changed)
      assert.ok(['gap', 'deleted'].includes(damage?.kind ?? ''), `${damage?.kind}: ${damage?.sentence}`)
    }
    const newest = withFiles(log, { [segments[2] ?? '']: null, [checkpoints[2] ?? '']: null })
    assert.equal(await damageOf(newest), null)
    await assertDamage(newest, 'truncated seg2:1', 'the newest', { copy: true })
  })
  it('of all segments, or of all checkpoints, is missed', async () => {
    const without = (names: readonly string[]): Archive =>
      withFiles(log, Object.fromEntries(names.map((name) => [name, null])))
    assert.equal((await damageOf(without(segments)))?.kind, 'truncated')
    assert.equal((await damageOf(without(checkpoints)))?.kind, 'truncated')
  })
  it('under the name of another, or two that changed places, is out of order', async () => {
    for (const [one, other] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ] as const) {
      const [first, second] = [segments[one] ?? '', segments[other] ?? '']
      const swapped = withFiles(log, { [first]: bytesIn(log, second), [second]: bytesIn(log, first) })
      await assertDamage(swapped, `reordered seg${one}:1`, `segments ${one} and ${other}`)
      const [left, right] = [checkpoints[one] ?? '', checkpoints[other] ?? '']
      const marks = withFiles(log, { [left]: bytesIn(log, right), [right]: bytesIn(log, left) })
      const damage = await damageOf(marks)
      assert.ok(['deleted', 'reordered'].includes(damage?.kind ?? ''), `${damage?.kind}: ${damage?.sentence}`)
      assert.equal(damage?.file, left)
    }
  })
  it('that has another name is missed, wherever the new name sorts', async () => {
    for (const [index, file] of segments.entries()) {
      for (const name of [
        file.replace(/audit-\d{8}/, 'audit-20990101'),
        file.replace(/audit-\d{8}/, 'audit-20000101'),
        `x-${file}`,
      ]) {
        const { kind } = (await damageOf(withFiles(log, { [file]: null, [name]: bytesIn(log, file) }))) ?? {}
        assert.ok(['gap', 'reordered', 'truncated'].includes(kind ?? ''), `segment ${index} as ${name}: ${kind}`)
      }
    }
  })
  it('that is there twice does not belong', async () => {
    for (const file of [...segments, ...checkpoints]) {
      const late = file.replace(/audit-\d{8}/, 'audit-20990101')
      const damage = await damageOf(withFile(log, late, bytesIn(log, file)))
      // A checkpoints file that only repeats others is what the gateway itself leaves after a failed write, and says nothing.
      if (damage === null && file.endsWith('.checkpoints')) continue
      assert.deepEqual([damage?.kind, damage?.file], ['inserted', late], damage?.sentence)
      const soon = file.replace(/audit-\d{8}/, 'audit-20000101')
      const { kind } = (await damageOf(withFile(log, soon, bytesIn(log, file)))) ?? {}
      assert.ok(['inserted', 'reordered', 'deleted'].includes(kind ?? ''), `${soon}: ${kind}`)
    }
  })
  it('of another log of the same key does not belong, added or put over one', async () => {
    const other = await newHistory()
    try {
      await other.start({ key: firstKey }, writing('x'))
      await other.start({ key: firstKey }, writing('y'))
      const foreign = await other.archive()
      const names = namesIn(foreign, '.ndjson')
      for (const file of foreign.files.keys()) {
        const damage = await damageOf(withFile(log, file, bytesIn(foreign, file)))
        assert.ok(['inserted', 'forked'].includes(damage?.kind ?? ''), `${file}: ${damage?.kind}`)
        assert.equal(damage?.file, file)
      }
      for (const file of segments) {
        const over = withFile(log, file, bytesIn(foreign, names[0] ?? ''))
        assert.deepEqual(brief(await damageOf(over)), `inserted seg${segments.indexOf(file)}:1`)
      }
      for (const file of checkpoints) {
        const over = withFile(log, file, bytesIn(foreign, names[0]?.replace('.ndjson', '.000.checkpoints') ?? ''))
        assert.equal((await damageOf(over))?.kind, 'inserted')
      }
    } finally {
      await other.remove()
    }
  })
})

describe('a compressed segment', { timeout }, () => {
  let packed: Archive
  let name: string
  before(async () => {
    name = `${segments[1]}.zst`
    packed = await withCompressed(log, segments[1] ?? '')
  })
  const assertDamaged = async (bytes: Buffer, what: string): Promise<void> => {
    const damage = await damageOf(withFile(packed, name, bytes))
    assert.deepEqual([damage?.kind, damage?.file, damage?.line], ['damaged', name, 1], `${what}: ${damage?.sentence}`)
  }

  it('is as good as the plain one', async () => {
    assert.equal(await damageOf(packed), null)
  })
  it('of which a bit is turned is damaged', async () => {
    const bytes = bytesIn(packed, name)
    for (const at of placesIn('packed', bytes.length)) {
      for (const bit of whole ? [0, 1, 2, 3, 4, 5, 6, 7] : [Math.floor(random() * 8)]) {
        const turned = Buffer.from(bytes)
        turned.writeUInt8((bytes[at] ?? 0) ^ (1 << bit), at)
        await assertDamaged(turned, `byte ${at}, bit ${bit}`)
      }
    }
  })
  it('that is cut off, or longer, is damaged', async () => {
    const bytes = bytesIn(packed, name)
    for (const length of placesIn('packed', bytes.length)) await assertDamaged(bytes.subarray(0, length), `${length}`)
    for (const more of [Buffer.from([0]), bytes])
      await assertDamaged(Buffer.concat([bytes, more]), `${more.length} more`)
  })
  it('with another one in it is out of order, and one that is gone is missed', async () => {
    const other = bytesIn(await withCompressed(log, segments[2] ?? ''), `${segments[2]}.zst`)
    const { kind, file } = (await damageOf(withFile(packed, name, other))) ?? {}
    assert.ok(['inserted', 'reordered'].includes(kind ?? ''), kind)
    assert.equal(file, name)
    assert.equal((await damageOf(withFile(packed, name, null)))?.kind, 'gap')
  })
})

describe('a chain that was made anew from one record on', () => {
  /** A checkpoint as it would have been made of these lines. */
  function remade(facts: CheckpointFacts, bytes: Buffer): { readonly line: string; readonly hash: string } {
    const tree = new GrowingTree()
    const lines = linesOf(bytes).slice(0, facts.size)
    for (const text of lines) tree.append(leafHash(Buffer.from(text.slice(0, -1), 'latin1')))
    const chain = /"chain":"(\w+)"\}\n$/.exec(lines.at(-1) ?? '')?.[1] ?? ''
    return checkpointLine({ ...facts, root: tree.root(), chain }, tree.roots, null)
  }
  const forged = (file: string, line: number): Buffer => {
    const lines = linesOf(bytesIn(log, file))
    let chain = '0'.repeat(64)
    return joined(
      lines.map((text, at) => {
        if (!text.endsWith('\n')) return text
        const body = at === line ? text.slice(0, -77).replace(/"ts":"2/, '"ts":"1') : text.slice(0, -77)
        chain = createHash('sha256').update(`${chain}\n`).update(Buffer.from(body, 'latin1')).digest('hex')
        return `${body},"chain":"${chain}"}\n`
      }),
    )
  }
  it('is another history from there on, or from the checkpoint before', async () => {
    for (const [index, file] of segments.entries()) {
      const lines = linesOf(bytesIn(log, file)).filter((text) => text.endsWith('\n'))
      for (const line of lines.keys()) {
        const damage = await damageOf(withFile(log, file, forged(file, line)))
        assert.deepEqual([damage?.kind, damage?.file], ['forked', file], `segment ${index}, line ${line + 1}`)
        assert.ok((damage?.line ?? 99) <= line + 1)
      }
    }
  })
  it('is one as well where checkpoints that nobody signed are made anew with it', async () => {
    const [file = ''] = segments
    const [marks = ''] = checkpoints
    const changed = forged(file, 1)
    let previous = '0'.repeat(64)
    const lines = linesOf(bytesIn(log, marks)).map((text) => {
      const parsed = parseCheckpointsLine(text.slice(0, -1))
      assert.ok(parsed?.kind === 'checkpoint')
      const made = remade({ ...parsed.checkpoint, previous }, changed)
      previous = made.hash
      return made.line
    })
    const damage = await damageOf(withFiles(log, { [file]: changed, [marks]: Buffer.from(lines.join('')) }))
    assert.equal(damage?.kind, 'forked', damage?.sentence)
  })
})

describe('an older copy of the whole directory', () => {
  it('in the place of the newer one is missed by the second place, and by nobody else', async () => {
    for (const [index, old] of earlier.entries()) {
      const back = { files: old.files, copy: log.copy }
      const { damage, unknown } = await verifyArchive(back, { keys: index === 0 ? null : [firstKey] })
      assert.equal(damage, null)
      assert.match(unknown.join('\n'), /cut off the end/)
      const missed = await damageOf(back, { copy: true })
      assert.equal(missed?.kind, 'truncated', missed?.sentence)
      assert.equal(missed?.file, segments[index + 1] ?? '', missed?.sentence)
    }
  })
  it('on which a gateway went on is another history', async () => {
    const again = await newHistory()
    try {
      await again.put(earlier[1] ?? assert.fail())
      await again.start({ key: secondKey, previousKey: firstKey }, writing('other'))
      const other = await again.archive()
      assert.equal(await damageOf({ files: other.files, copy: other.copy }), null)
      const damage = await damageOf({ files: other.files, copy: log.copy }, { copy: true })
      // The start that the second place knows of is not there, and another one stands in its place.
      assert.ok(['forked', 'gap'].includes(damage?.kind ?? ''), damage?.sentence)
      assert.equal(damage?.file, segments[2])
    } finally {
      await again.remove()
    }
  })
})
