import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { parseCheckpointsLine, type Checkpoint } from './checkpoint.ts'
import type { Files } from './files.ts'
import { firstChain } from './line.ts'
import { GrowingTree, leafHash } from './merkle.ts'
import { DamagedFile } from './packed.ts'
import { LineSource, segmentOf, sizesOf, type RawLine, type ReadableFile } from './read-segments.ts'
import type { PreviousSegment } from './record.ts'
import { noteHash, type TombstoneFacts } from './tombstone.ts'
import { follow, recordIn } from './verify-line.ts'
import { firstRecord, jointProblem } from './verify-link.ts'
import { packedDamage } from './verify-packed.ts'

/** The gateway answers requests meanwhile: a hundredth of a second at a time is all that this may take. */
const linesAtOnce = 50

/** What a tombstone says of a segment and of the checkpoints beside it. */
export type Survey = Omit<TombstoneFacts, 'time' | 'because'>

/** A segment that is not fit to be deleted: what is damaged stays, to be looked at. */
export class Unfit extends Error {}

/** What is looked at. */
export interface SurveyParts {
  readonly files: Files
  readonly dir: string
  /** All segments up to the live one, and all checkpoints files. */
  readonly segments: readonly string[]
  readonly checkpoints: readonly string[]
}

/**
 * Reads a segment and its checkpoints to their ends, as somebody who will not see them again. Rejects with `Unfit` where
 * anything about them is not as it should be, or with what the disk says.
 */
export async function survey(parts: SurveyParts, file: string): Promise<Survey> {
  const { files, dir } = parts
  const [readable] = await sizesOf(files, dir, [file])
  if (readable === undefined) throw new Unfit(`${file} is not there`)
  const damage = await packedDamage(files, readable)
  if (damage !== null) throw new Unfit(`${file} is damaged: ${damage.sentence}`)
  const next = await nextOpened(parts, file)
  const beside = await checkpointsOf(parts, segmentOf(file))
  try {
    return { ...(await surveyLines(files, readable, next, beside.covering)), ...beside.facts }
  } catch (error) {
    throw error instanceof DamagedFile ? new Unfit(error.message) : error
  }
}

type Fields = Partial<Record<string, unknown>>

/** The first record of the segment that follows. */
async function nextOpened({ files, dir, segments }: SurveyParts, file: string): Promise<Fields> {
  for (const readable of await sizesOf(files, dir, segments.slice(segments.indexOf(file) + 1))) {
    const record = await firstRecord(files, readable)
    if (record['kind'] === 'log.opened') return record
  }
  throw new Unfit(`nothing that can be read follows ${file}`)
}

interface Beside {
  readonly facts: Pick<Survey, 'checkpoints' | 'changes'>
  /** The checkpoint that covers most of the segment. */
  readonly covering: Checkpoint | null
}

/** The checkpoints that go with a segment, without those that the next file repeats. */
async function checkpointsOf({ files, dir, checkpoints }: SurveyParts, segment: string): Promise<Beside> {
  const own = checkpoints.filter((name) => name.startsWith(`${segment}.`))
  const after = checkpoints.filter((name) => name > `${segment}.~`)
  let [first, last, covering]: [Checkpoint | null, Checkpoint | null, Checkpoint | null] = [null, null, null]
  const changes: string[] = []
  const repeated = await firstNumber(files, dir, after)
  for (const name of [...own, ...after.slice(0, 1)]) {
    for await (const parsed of checkpointsIn(files, dir, name)) {
      if (parsed.kind === 'key') {
        if (own.includes(name) && !changes.includes(parsed.change.signed)) changes.push(parsed.change.signed)
        continue
      }
      const { checkpoint } = parsed
      // Those of a segment stand before those of the next one.
      if (!own.includes(name) && checkpoint.segment > segment) break
      if (checkpoint.segment === segment) covering = checkpoint
      if (!own.includes(name) || checkpoint.number >= repeated) continue
      first ??= checkpoint
      last = checkpoint
    }
  }
  const range = first === null || last === null ? null : { first: first.number, last: last.number, hash: last.hash }
  return { facts: { checkpoints: range, changes }, covering }
}

async function firstNumber(files: Files, dir: string, names: readonly string[]): Promise<number> {
  for (const name of names) {
    for await (const parsed of checkpointsIn(files, dir, name)) {
      if (parsed.kind === 'checkpoint') return parsed.checkpoint.number
    }
  }
  return Infinity
}

async function* checkpointsIn(files: Files, dir: string, name: string) {
  const [readable] = await sizesOf(files, dir, [name])
  if (readable === undefined) return
  let seen = 0
  const lines = await LineSource.open(files, readable)
  try {
    for (let line = await lines.next(); line?.form === 'whole'; line = lines.take() ?? (await lines.next())) {
      const parsed = parseCheckpointsLine(line.bytes.toString('utf8'))
      if (parsed === null) throw new Unfit(`${name} is damaged`)
      if (++seen % linesAtOnce === 0) await setImmediate()
      yield parsed
    }
  } finally {
    await lines.close()
  }
}

async function surveyLines(
  files: Files,
  readable: ReadableFile,
  next: Fields,
  covering: Checkpoint | null,
): Promise<Omit<Survey, 'checkpoints' | 'changes'>> {
  const walk = new Walk(readable.file, next, covering)
  const lines = await LineSource.open(files, readable)
  const rest = createHash('sha256')
  let [end, seen] = [0, 0]
  try {
    for (let line = await lines.next(); line !== undefined; line = lines.take() ?? (await lines.next())) {
      end = line.end
      if (++seen % linesAtOnce === 0) await setImmediate()
      if (line.form === 'whole') walk.line(line)
      else rest.update(line.bytes)
    }
  } finally {
    await lines.close()
  }
  return walk.end(end > walk.bytes ? { bytes: end - walk.bytes, sha256: rest.digest('hex') } : null)
}

interface At {
  readonly seq: number
  readonly ts: string
  readonly chain: string
}

/** A segment's lines, one after the other. */
class Walk {
  readonly #file: string
  readonly #next: Fields
  readonly #covering: Checkpoint | null
  readonly #tree = new GrowingTree()
  readonly #vouched: { readonly segment: string; readonly hash: string }[] = []
  #chain = firstChain
  #opened: Fields = {}
  #first: At | null = null
  #last: At | null = null
  #watched: At | null = null
  bytes = 0

  constructor(file: string, next: Fields, covering: Checkpoint | null) {
    this.#file = file
    this.#next = next
    this.#covering = covering
  }

  line(raw: RawLine): void {
    const chain = follow(this.#chain, raw)
    if (chain === null) throw new Unfit(`${this.#file}:${this.#tree.size + 1} does not follow the line before it`)
    const record = recordIn(raw)
    const { seq, ts, kind, segment, note }: Fields = record
    if (typeof seq !== 'number' || typeof ts !== 'string' || /\s/.test(ts)) {
      throw new Unfit(`${this.#file}:${this.#tree.size + 1} is no record`)
    }
    const at = { seq, ts, chain }
    if (this.#first === null) this.#opened = record
    this.#first ??= at
    this.#last = at
    const { seq: watched }: Fields = Object(this.#next['previous'])
    if (seq === watched) this.#watched = at
    if (kind === 'segment.deleted') this.#vouched.push({ segment: String(segment), hash: noteHash(String(note)) })
    this.#chain = chain
    this.bytes = raw.end
    this.#tree.append(leafHash(raw.bytes))
    const { size, root }: { size?: number; root?: Buffer } = this.#covering ?? {}
    if (this.#tree.size === size && root?.equals(this.#tree.root()) !== true) {
      throw new Unfit(`${this.#file} is not what checkpoint ${this.#covering?.number ?? ''} was made of`)
    }
  }

  end(tail: Survey['tail']): Omit<Survey, 'checkpoints' | 'changes'> {
    const [file, first, last, covering, watched] = [this.#file, this.#first, this.#last, this.#covering, this.#watched]
    if (first === null || last === null) throw new Unfit(`${file} holds no whole record`)
    if (covering !== null && covering.size > this.#tree.size) {
      throw new Unfit(`${file} is shorter than checkpoint ${covering.number} says`)
    }
    const problem = jointProblem(this.#next, file, { seq: last.seq, tail, watched: watched?.chain ?? null })
    if (problem !== null) throw new Unfit(`${file}: ${problem}`)
    const { log, previous } = this.#opened
    return {
      log: String(log),
      segment: segmentOf(file),
      records: this.#tree.size,
      root: this.#tree.root(),
      first: { seq: first.seq, ts: first.ts },
      last,
      previous: previousIn(previous),
      joint: watched === null || watched.seq === last.seq ? null : { seq: watched.seq, chain: watched.chain },
      tail,
      vouched: this.#vouched,
    }
  }
}

/** As it stands in the record: only what wrote it reads it again. */
function previousIn(previous: unknown): PreviousSegment | null {
  const found: PreviousSegment | null = typeof previous === 'object' ? Object(previous) : null
  return previous === null ? null : found
}
