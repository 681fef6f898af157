import { hash } from 'node:crypto'
import { join } from 'node:path'
import { parseKeyChange } from './checkpoint.ts'
import type { Files } from './files.ts'
import type { SigningKey } from './keys.ts'
import { parseNote, signNote, type Note } from './note.ts'
import type { PreviousSegment, TornTail } from './record.ts'
import { segmentTime } from './segment-names.ts'

/** Why a segment was deleted: it was older than it may be, or the log larger. */
export type Because = 'age' | 'size'

/** What is left of a deleted segment. `docs/audit-verify.md` has its form. */
export interface TombstoneFacts {
  readonly log: string
  /** Name of the segment, without `.ndjson`. */
  readonly segment: string
  /** How many whole lines it had, and the root of the tree over them. */
  readonly records: number
  readonly root: Buffer
  readonly first: { readonly seq: number; readonly ts: string }
  readonly last: { readonly seq: number; readonly ts: string; readonly chain: string }
  /** What its first record said of the segment before it. */
  readonly previous: PreviousSegment | null
  /** The record up to which the next segment follows it, where that is not the last one: it was given up then. */
  readonly joint: { readonly seq: number; readonly chain: string } | null
  readonly tail: TornTail | null
  /** The checkpoints that went with it; `null`: none. */
  readonly checkpoints: { readonly first: number; readonly last: number; readonly hash: string } | null
  /** Signed changes of keys that stood among them. */
  readonly changes: readonly string[]
  /** Of the tombstones whose records stood in it: the segment, and the hash of the note. */
  readonly vouched: readonly { readonly segment: string; readonly hash: string }[]
  readonly time: string
  readonly because: Because
}

/** A tombstone as it stands in its file. */
export interface Tombstone extends TombstoneFacts {
  readonly note: Note
  readonly signed: string
}

const originHead = 'bailiwick-audit/'

/** The name of the file. */
export const tombstoneName = (segment: string): string => `${segment}.tombstone`

/** The segment whose tombstone has this name; `null` when the file is none. */
export function buriedIn(name: string): string | null {
  const segment = name.replace(/\.tombstone$/, '')
  return segment !== name && segmentTime(`${segment}.ndjson`) !== null ? segment : null
}

/** The hash by which a tombstone vouches for an older one. */
export const noteHash = (signed: string): string => hash('sha256', signed)

function tombstoneText(facts: TombstoneFacts): string {
  const { log, segment, records, root, first, last, previous, joint, tail, checkpoints, changes, vouched } = facts
  const lines = [
    `${originHead}${log}/${segment}/tombstone`,
    `records ${records}`,
    `root ${root.toString('base64')}`,
    `first ${first.seq} ${first.ts}`,
    `last ${last.seq} ${last.ts} ${last.chain}`,
    `previous ${JSON.stringify(previous)}`,
    ...(joint === null ? [] : [`joint ${joint.seq} ${joint.chain}`]),
    ...(tail === null ? [] : [`tail ${tail.bytes} ${tail.sha256}`]),
    ...(checkpoints === null ? [] : [`checkpoints ${checkpoints.first} ${checkpoints.last} ${checkpoints.hash}`]),
    ...changes.map((signed) => `key ${Buffer.from(signed).toString('base64')}`),
    ...vouched.map((one) => `vouched ${one.segment} ${one.hash}`),
    `time ${facts.time}`,
    `because ${facts.because}`,
  ]
  return lines.map((line) => `${line}\n`).join('')
}

/** Signs a tombstone: the content of its file. */
export const signTombstone = (facts: TombstoneFacts, key: SigningKey): string => signNote(tombstoneText(facts), [key])

const digits = String.raw`(\d{1,16})`
const sum = '([0-9a-f]{64})'
const form = new RegExp(
  String.raw`^${originHead}([^\s/]+)/([^\s/]+)/tombstone\nrecords ${digits}\nroot (\S{44})\nfirst ${digits} (\S+)\n` +
    String.raw`last ${digits} (\S+) ${sum}\nprevious (.+)\n(?:joint ${digits} ${sum}\n)?(?:tail ${digits} ${sum}\n)?` +
    String.raw`(?:checkpoints ${digits} ${digits} ${sum}\n)?((?:key \S+\n)*)((?:vouched \S+ [0-9a-f]{64}\n)*)` +
    String.raw`time (\S+)\nbecause (age|size)\n$`,
)

/** Reads a tombstone; `null` unless it is exactly in its form. Checks no signature. */
export function parseTombstone(signed: string): Tombstone | null {
  const note = parseNote(signed)
  const found = form.exec(note?.text ?? '')
  if (note === null || found === null) return null
  const facts = factsOf(found)
  if (facts.changes.some((change) => parseKeyChange(change) === null)) return null
  return tombstoneText(facts) === note.text ? { ...facts, note, signed } : null
}

function factsOf(found: readonly (string | undefined)[]): TombstoneFacts {
  const [, log = '', segment = '', records, root = '', firstSeq, firstTs = '', lastSeq, lastTs = '', chain = ''] = found
  const [previous = '', jointSeq, jointChain, tailBytes, sha256, first, last, end, keys = '', older = ''] =
    found.slice(10)
  const [time = '', because] = found.slice(20)
  return {
    log,
    segment,
    records: Number(records),
    root: Buffer.from(root, 'base64'),
    first: { seq: Number(firstSeq), ts: firstTs },
    last: { seq: Number(lastSeq), ts: lastTs, chain },
    previous: previousIn(previous),
    joint: jointChain === undefined ? null : { seq: Number(jointSeq), chain: jointChain },
    tail: sha256 === undefined ? null : { bytes: Number(tailBytes), sha256 },
    checkpoints: end === undefined ? null : { first: Number(first), last: Number(last), hash: end },
    changes: words(keys).map(([, text = '']) => Buffer.from(text, 'base64').toString('utf8')),
    vouched: words(older).map(([, segment = '', hash = '']) => ({ segment, hash })),
    time,
    because: because === 'age' ? 'age' : 'size',
  }
}

const words = (lines: string): readonly (readonly string[])[] =>
  lines
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' '))

/** `null` also for what is none: written again, the text is another one then. */
function previousIn(text: string): PreviousSegment | null {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const mostBytes = 16 * 1024 * 1024

/** Reads a small file whole. Rejects where it is not small. */
export async function readSmall(files: Files, dir: string, name: string, most = mostBytes): Promise<string> {
  const opened = await files.open(join(dir, name))
  try {
    const { size } = await opened.facts()
    if (size > most) throw new Error(`${name} has ${size} bytes, which is more than it can have`)
    const bytes = Buffer.alloc(size)
    let filled = 0
    while (filled < size) {
      const count = await opened.read(bytes.subarray(filled), filled)
      if (count === 0) break
      filled += count
    }
    return bytes.subarray(0, filled).toString('utf8')
  } finally {
    await opened.close().catch(() => undefined)
  }
}
