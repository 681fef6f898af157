import type { CheckpointerParts } from './checkpoint-options.ts'
import { signKeyChange, type Checkpoint } from './checkpoint.ts'
import type { SigningKey } from './keys.ts'
import { findLastCheckpoint, uncoveredSegments, type LastCheckpoint } from './last-checkpoint.ts'
import { isSignedBy } from './note.ts'
import type { KeyChangedEntry } from './record.ts'
import type { Extent } from './segment.ts'

/** What the next checkpoint goes on from. */
export interface Made {
  readonly hash: string
  readonly number: number
  /** Milliseconds since 1970, as the checkpoint says. */
  readonly time: number
  readonly segment: string
  readonly size: number
  /** Of the last line it covers. */
  readonly seq: number
}

/** How an earlier process left the checkpoints. */
export interface Recovered {
  readonly made: Made | null
  /** Ends of its segments that no checkpoint covers. */
  readonly ended: readonly Extent[]
  /** Why others of its segments cannot get one. */
  readonly problems: readonly string[]
  /** Signed, where another key signs from now on. */
  readonly change: KeyChangedEntry | null
}

type Parts = Pick<CheckpointerParts, 'dir' | 'files' | 'clock' | 'options'>

/** Looks at what stands before `first`, the first segment of this process. Rejects when it cannot be read. */
export async function recoverCheckpoints(parts: Parts, first: string, log: string): Promise<Recovered> {
  const { dir, files } = parts
  const found = await findLastCheckpoint(files, dir)
  const { checkpoint } = found
  if (checkpoint === null) return { made: null, ended: [], problems: [], change: changeOfKeys(parts, found, log) }
  const { hash, number, time, segment, size, seq } = checkpoint
  const made: Made = { hash, number, time: Date.parse(time), segment, size, seq }
  const change = changeOfKeys(parts, found, log)
  if (!isTrusted(checkpoint, parts)) {
    return { made, ended: [], problems: [`the signature of checkpoint ${number} is not that of a key at hand`], change }
  }
  const earlier = await uncoveredSegments(files, dir, checkpoint, first)
  return {
    made,
    ended: earlier.flatMap((one) => ('extent' in one ? [one.extent] : [])),
    problems: earlier.flatMap((one) => ('problem' in one ? [one.problem] : [])),
    change,
  }
}

function isTrusted({ note }: Checkpoint, { options: { key, previousKey } }: Parts): boolean {
  const [signature] = note.signatures
  if (signature === undefined) return true
  return [key, previousKey].some((one) => one !== null && isSignedBy(note, one))
}

function changeOfKeys(
  { clock, options }: Parts,
  { checkpoint, change }: LastCheckpoint,
  log: string,
): KeyChangedEntry | null {
  const { key, previousKey } = options
  const before = change === null ? (checkpoint?.note.signatures[0]?.id ?? null) : (change.next?.id ?? null)
  if (before === (key?.id ?? null)) return null
  const old: SigningKey | string | null = previousKey?.id === before ? previousKey : before
  const from = checkpoint === null ? 0 : checkpoint.number + 1
  const vouching = typeof old === 'string' ? null : old
  const note = signKeyChange({ log, old, next: key, from, time: clock().toISOString() }, [vouching, key])
  return { kind: 'key.changed', old: before, new: key?.id ?? null, from, note }
}
