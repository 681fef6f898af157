import type { Files } from './files.ts'
import { DamagedFile } from './packed.ts'
import { LineSource, plainName, type ReadableFile } from './read-segments.ts'
import { segmentBoot } from './segment-names.ts'
import { recordIn } from './verify-line.ts'
import type { Damage, DamageKind, Remarks } from './verify-report.ts'
import type { SegmentEnd } from './verify-segment.ts'

type Fields = Partial<Record<string, unknown>>

/** The first record of a segment as it stands, whether its chain is right or not; empty where there is none to read. */
export async function firstRecord(files: Files, readable: ReadableFile): Promise<Fields> {
  let lines: LineSource | null = null
  try {
    lines = await LineSource.open(files, readable)
    const line = await lines.next()
    return line?.form === 'whole' ? recordIn(line) : {}
  } catch (error) {
    // It is named when its turn comes.
    if (error instanceof DamagedFile) return {}
    throw error
  } finally {
    await lines?.close()
  }
}

/** What a segment's first record is checked against. */
export interface LinkParts {
  readonly files: Files
  readonly readable: ReadableFile
  /** All segments, those that are deleted too. */
  readonly all: readonly { readonly file: string; readonly readable: ReadableFile | null }[]
  readonly log: string
  /** The segment before, as far as it holds a record. */
  readonly before: SegmentEnd | null
  /** May segments before the first one be missing? */
  readonly partial: boolean
  readonly remarks: Remarks
}

/** Does a segment follow the one before it, as its first record says? */
export async function checkLink(opened: Fields, parts: LinkParts): Promise<Damage | null> {
  const { readable, log, before } = parts
  const damage = (kind: DamageKind, sentence: string, seq = opened['seq'], file = readable.file, line = 1): Damage => ({
    kind,
    file,
    line,
    sentence,
    seq: typeof seq === 'number' ? seq : null,
  })
  if (opened['log'] !== log) return damage('inserted', `this segment is of another log, ${String(opened['log'])}`)
  const named = await checkName(opened, parts)
  if (named !== null) return damage(...named)
  if (before !== null && Number(opened['seq']) <= before.seq && previousOf(opened).file !== plainName(before.file)) {
    return damage('inserted', `this segment's numbers have been used already, up to ${before.seq}`)
  }
  if (opened['previous'] === null) {
    return before === null
      ? null
      : damage('forked', `it says that no segment stands before it, but ${before.file} does`)
  }
  const previous = previousOf(opened)
  if (before === null || previous.file !== plainName(before.file)) {
    if (parts.all.some(({ file }) => plainName(file) === previous.file)) {
      return damage('reordered', `it follows ${String(previous.file)}, which stands elsewhere`)
    }
    if (before === null && parts.partial) return null
    return damage('gap', `the segment before it, ${String(previous.file)}, is missing`)
  }
  const joined = checkJoint(previous, before)
  return joined === null
    ? null
    : damage(joined.kind, joined.sentence, joined.seq, before.file, before.lines + joined.at)
}

async function checkName(opened: Fields, { files, readable, all }: LinkParts): Promise<[DamageKind, string] | null> {
  const boot = String(opened['boot'])
  if (segmentBoot(readable.file) === boot) return null
  const home = all.find(({ file }) => segmentBoot(file) === boot)
  const there = home?.readable ?? null
  const isThere = there !== null && (await firstRecord(files, there))['boot'] === boot
  const where = home === undefined ? 'another file' : home.file
  return [isThere ? 'inserted' : 'reordered', `what is in it belongs into ${where}`]
}

interface Previous {
  readonly file: unknown
  readonly found: unknown
  readonly seq: number
  readonly chain: unknown
  readonly tail: Fields
}

function previousOf({ previous }: Fields): Previous {
  const { file, found, seq, chain, tail }: Fields = Object(previous)
  return { file, found, seq: Number(seq), chain, tail: Object(tail) }
}

interface Joint {
  readonly kind: DamageKind
  readonly sentence: string
  readonly seq: number
  /** Counted from the last line. */
  readonly at: number
}

type Joined = Pick<SegmentEnd, 'seq' | 'watched' | 'tail'>

/** Does the first record of a segment fit the end of the one before it? Says why not, or `null`. */
export function jointProblem(opened: Fields, file: string, before: Joined): string | null {
  const previous = previousOf(opened)
  if (previous.file !== plainName(file)) return `the next segment follows ${String(previous.file)}`
  return checkJoint(previous, before)?.sentence ?? null
}

/** Is the end of the segment before as the next one found it? */
function checkJoint({ found, seq, chain, tail }: Previous, before: Joined): Joint | null {
  const joint = (kind: DamageKind, sentence: string, at: number, first = seq + 1): Joint => {
    return { kind, sentence, seq: first, at }
  }
  if (seq > before.seq) {
    return joint('truncated', `the next segment found record ${seq} at the end of this one`, 1, before.seq + 1)
  }
  // A segment that was given up may hold records that nobody was told are kept.
  if (seq < before.seq && found !== 'abandoned') {
    return joint('inserted', `the next segment found record ${seq} at the end of this one`, seq - before.seq + 1)
  }
  if (before.watched !== chain) {
    return joint('forked', `the next segment found another record ${seq} at the end of this one`, 0, seq)
  }
  if (found === 'abandoned') return null
  if (found === 'torn' && before.tail === null) {
    return joint('truncated', 'the torn tail that the next segment found is missing', 1)
  }
  if (found !== 'torn' && before.tail !== null) {
    return joint('inserted', 'the next segment found no torn tail here', 1)
  }
  if (before.tail !== null && (before.tail.bytes !== tail['bytes'] || before.tail.sha256 !== tail['sha256'])) {
    return joint('edited', 'the torn tail is not the one that the next segment found', 1)
  }
  return null
}
