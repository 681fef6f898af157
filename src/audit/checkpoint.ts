import { hash } from 'node:crypto'
import type { CheckKey, SigningKey } from './keys.ts'
import { parseVkey } from './keys.ts'
import { GrowingTree } from './merkle.ts'
import { parseNote, signNote, type Note } from './note.ts'

/** What a checkpoint says of a segment. `docs/audit-verify.md` has its form. */
export interface CheckpointFacts {
  readonly log: string
  /** Name of the segment, without `.ndjson`. */
  readonly segment: string
  /** How many lines it covers, from the first on. */
  readonly size: number
  /** Root of the Merkle tree over them. */
  readonly root: Buffer
  /** Its number among all checkpoints of the log, from 0. */
  readonly number: number
  readonly time: string
  /** Of the last line covered. */
  readonly seq: number
  readonly chain: string
  /** Where that line ends in the file. */
  readonly bytes: number
  /** Hash of the checkpoint before; zeros for the first. */
  readonly previous: string
  /** Milliseconds after which the next one comes, also when nothing happens. */
  readonly idle: number
  /** Milliseconds since the one before, when that is longer than it should be: the gateway says so itself. */
  readonly late?: number
}

/** A checkpoint as it stands in a file. */
export interface Checkpoint extends CheckpointFacts {
  readonly note: Note
  readonly signed: string
  readonly hash: string
  /** Roots of the whole subtrees, from which the next one can go on. */
  readonly tree: readonly Buffer[]
}

/** Another key signs from a checkpoint on. */
export interface KeyChange {
  readonly log: string
  /** `null`: none signed before; a text: the id of a key that was not at hand. */
  readonly old: CheckKey | string | null
  /** `null`: from here on, nothing is signed. */
  readonly next: CheckKey | null
  /** Number of the first checkpoint that the new key signs. */
  readonly from: number
  readonly time: string
  readonly note: Note
  readonly signed: string
}

export const noCheckpoint = '0'.repeat(64)
const originHead = 'bailiwick-audit/'

/** How far two checkpoints may be apart without the word `late` in the second one. */
export const idleLimit = (idleMs: number): number => idleMs * 2 + 5_000

/** The text that is signed. */
function checkpointText(facts: CheckpointFacts): string {
  const { log, segment, size, root, number, time, seq, bytes, chain, previous, idle, late } = facts
  const head = `${originHead}${log}/${segment}\n${size}\n${root.toString('base64')}\n`
  const rest = `number ${number}\ntime ${time}\nseq ${seq}\nbytes ${bytes}\nchain ${chain}\nprevious ${previous}\nidle ${idle}\n`
  return `${head}${rest}${late === undefined ? '' : `late ${late}\n`}`
}

const sha256 = (text: string): string => hash('sha256', text)

/** Signs and encodes a checkpoint: one line of a checkpoints file. */
export function checkpointLine(
  facts: CheckpointFacts,
  tree: readonly Buffer[],
  key: SigningKey | null,
): { readonly line: string; readonly hash: string } {
  const signed = signNote(checkpointText(facts), key === null ? [] : [key])
  return encodeCheckpoint(signed, tree)
}

function encodeCheckpoint(signed: string, tree: readonly Buffer[]) {
  const sum = sha256(signed)
  const line = JSON.stringify({ checkpoint: signed, hash: sum, tree: tree.map((root) => root.toString('hex')) })
  return { line: `${line}\n`, hash: sum }
}

const digits = String.raw`(\d{1,16})`
const form = new RegExp(
  String.raw`^${originHead}([^\s/]+)/([^\s/]+)\n${digits}\n(\S{44})\nnumber ${digits}\ntime (\S+)\nseq ${digits}\n` +
    String.raw`bytes ${digits}\nchain ([0-9a-f]{64})\nprevious ([0-9a-f]{64})\nidle ${digits}\n(?:late ${digits}\n)?$`,
)

/** Reads a signed checkpoint; `null` unless it is exactly in its form. Checks no signature. */
export function parseCheckpoint(signed: string): (CheckpointFacts & { readonly note: Note }) | null {
  const note = parseNote(signed)
  const found = form.exec(note?.text ?? '')
  if (note === null || found === null) return null
  const [, log = '', segment = '', size, root = '', number, time = '', seq, bytes, chain = '', previous = ''] = found
  const [idle, late] = found.slice(11)
  const facts: CheckpointFacts = {
    log,
    segment,
    size: Number(size),
    root: Buffer.from(root, 'base64'),
    number: Number(number),
    time,
    seq: Number(seq),
    bytes: Number(bytes),
    chain,
    previous,
    idle: Number(idle),
    ...(late === undefined ? {} : { late: Number(late) }),
  }
  return checkpointText(facts) === note.text ? { ...facts, note } : null
}

/** What a line of a checkpoints file holds. */
export type CheckpointsLine =
  | { readonly kind: 'checkpoint'; readonly checkpoint: Checkpoint }
  | { readonly kind: 'key'; readonly change: KeyChange }

/** Reads a line (without its newline); `null` unless it is exactly in its form, to the last byte. */
export function parseCheckpointsLine(line: string): CheckpointsLine | null {
  let found: unknown
  try {
    found = JSON.parse(line)
  } catch {
    return null
  }
  const { checkpoint: signed, key, tree }: Partial<Record<string, unknown>> = Object(found)
  if (typeof key === 'string') {
    const change = parseKeyChange(key)
    return change !== null && keyChangeLine(key) === `${line}\n` ? { kind: 'key', change } : null
  }
  if (typeof signed !== 'string' || !Array.isArray(tree)) return null
  const facts = parseCheckpoint(signed)
  if (facts === null) return null
  const roots = tree.map((root) => Buffer.from(String(root), 'hex'))
  const encoded = encodeCheckpoint(signed, roots)
  if (encoded.line !== `${line}\n`) return null
  // The roots are not signed: that they lead to the signed one is what makes them good.
  if (GrowingTree.from(facts.size, roots)?.root().equals(facts.root) !== true) return null
  return { kind: 'checkpoint', checkpoint: { ...facts, signed, hash: encoded.hash, tree: roots } }
}

const keyText = (key: CheckKey | string | null): string =>
  key === null ? 'none' : typeof key === 'string' ? `id:${key}` : key.vkey

function keyChangeText({ log, old, next, from, time }: Omit<KeyChange, 'note' | 'signed'>): string {
  return `${originHead}${log}/key\nold ${keyText(old)}\nnew ${keyText(next)}\nfrom ${from}\ntime ${time}\n`
}

/** Signs a change of keys, with those of the two that are at hand. */
export const signKeyChange = (
  change: Omit<KeyChange, 'note' | 'signed'>,
  keys: readonly (SigningKey | null)[],
): string =>
  signNote(
    keyChangeText(change),
    keys.filter((key) => key !== null),
  )

/** One line of a checkpoints file. */
export const keyChangeLine = (signed: string): string => `${JSON.stringify({ key: signed })}\n`

const changeForm = new RegExp(
  String.raw`^${originHead}([^\s/]+)/key\nold (\S+)\nnew (\S+)\nfrom ${digits}\ntime (\S+)\n$`,
)

/** Reads a change of keys; `null` unless it is exactly in its form. Checks no signature. */
export function parseKeyChange(signed: string): KeyChange | null {
  const note = parseNote(signed)
  const found = changeForm.exec(note?.text ?? '')
  if (note === null || found === null) return null
  const [, log = '', oldText = '', nextText = '', from, time = ''] = found
  const old = oldText === 'none' ? null : oldText.startsWith('id:') ? oldText.slice(3) : parseVkey(oldText)
  const change = { log, old, next: parseVkey(nextText), from: Number(from), time }
  return keyChangeText(change) === note.text ? { ...change, note, signed } : null
}
