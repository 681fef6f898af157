import { setTimeout as delay } from 'node:timers/promises'
import { fail, type Result } from '../result.ts'
import { CheckpointCopy, CheckpointFile, type CopyStatus } from './checkpoint-file.ts'
import { checkpointLine, idleLimit, keyChangeLine, noCheckpoint, signKeyChange, type Checkpoint } from './checkpoint.ts'
import { ioFailure, type AuditFailure } from './failure.ts'
import type { Files } from './files.ts'
import { readSigningKey, type SigningKey } from './keys.ts'
import { findLastCheckpoint, uncoveredSegments, type LastCheckpoint } from './last-checkpoint.ts'
import { isSignedBy } from './note.ts'
import { segmentOf } from './read-segments.ts'
import type { KeyChangedEntry } from './record.ts'
import type { Extent, Segment } from './segment.ts'

/** How checkpoints are made. */
export interface CheckpointOptions {
  /** `null`: they are not signed. */
  readonly key: SigningKey | null
  /** The key that signed before, to vouch for the new one. */
  readonly previousKey: SigningKey | null
  /** A file in a second place that gets a copy of each. */
  readonly copyTo: string | null
  /** Milliseconds between two of them with traffic, and without. */
  readonly every: number
  readonly idle: number
}

/** The same with keys in PEM form; throws when one is none. */
export function readCheckpointOptions({
  key,
  previousKey,
  ...rest
}: Omit<CheckpointOptions, 'key' | 'previousKey'> & {
  readonly key: string | null
  readonly previousKey: string | null
}): CheckpointOptions {
  return { ...rest, key: readKey(key), previousKey: readKey(previousKey) }
}

const readKey = (pem: string | null): SigningKey | null => (pem === null ? null : readSigningKey(pem))

/** What the operator can know about the checkpoints. */
export interface CheckpointStatus {
  /** Id of the key that signs; `null`: they are not signed. */
  readonly signedBy: string | null
  /** The newest one on stable storage. */
  readonly last: { readonly number: number; readonly at: string } | null
  /** Why none is made at the moment. */
  readonly failure: AuditFailure | null
  /** What was found wrong with the log of an earlier start: `bailiwick audit verify` says more. */
  readonly problems: readonly string[]
  readonly copy: CopyStatus | null
}

/** What the checkpointer needs from the log. */
export interface CheckpointerParts {
  readonly dir: string
  readonly files: Files
  readonly clock: () => Date
  readonly options: CheckpointOptions
  /** Keeps a record about the keys. */
  readonly record: (entry: KeyChangedEntry) => Promise<Result<unknown, AuditFailure>>
  /** Called when a failure begins, changes or ends. */
  readonly told: () => void
}

interface Made {
  readonly hash: string
  readonly number: number
  /** Milliseconds since 1970, as the checkpoint says. */
  readonly time: number
  readonly segment: string
  readonly size: number
}

/**
 * Makes checkpoints in a loop of its own: no answer waits for one, and a failure only shows in the status. A checkpoint
 * covers what is on stable storage already.
 */
export class Checkpointer {
  readonly #parts: CheckpointerParts
  readonly #file: CheckpointFile
  readonly #copy: CheckpointCopy | null
  readonly #stopped = new AbortController()
  #loop: Promise<void> | null = null
  #live: Segment | null = null
  /** The first segment of this process. */
  #first: string | null = null
  /** Ends of segments that take nothing more. */
  #ended: Extent[] = []
  #made: Made | null = null
  #recovered = false
  #change: KeyChangedEntry | null = null
  #keySettled = false
  #lastRound = 0
  #newest: CheckpointStatus['last'] = null
  #failure: AuditFailure | null = null
  #problems: string[] = []

  constructor(parts: CheckpointerParts) {
    this.#parts = parts
    this.#file = new CheckpointFile(parts.files, parts.dir)
    const { copyTo } = parts.options
    this.#copy = copyTo === null ? null : new CheckpointCopy(parts.files, copyTo, parts.told)
  }

  /** What the first record of a segment says of the checkpoints. */
  get announced(): { readonly key: string | null; readonly every: number; readonly idle: number } {
    const { key, every, idle } = this.#parts.options
    return { key: key?.id ?? null, every, idle }
  }

  status(): CheckpointStatus {
    const { key } = this.#parts.options
    const copy = this.#copy?.status() ?? null
    return {
      signedBy: key?.id ?? null,
      last: this.#newest,
      failure: this.#failure,
      problems: this.#problems,
      copy,
    }
  }

  /** A segment is written from now on. */
  begin(segment: Segment): void {
    this.#live = segment
    this.#first ??= segment.file
    this.#loop ??= this.#run()
  }

  /** It takes nothing more. */
  leave(): void {
    const extent = this.#live?.extent ?? null
    if (extent !== null) this.#ended.push(extent)
    this.#live = null
  }

  /** A change of keys that has to be recorded before the segment is sealed, if it is not yet. Never rejects. */
  async beforeSeal(): Promise<KeyChangedEntry | null> {
    this.#stopped.abort()
    await this.#loop
    try {
      if (!this.#recovered) await this.#recover(this.#first ?? '')
      if (this.#keySettled || this.#change === null || (await this.#flush()) !== null) return null
    } catch {
      // The last round says why.
      return null
    }
    this.#keySettled = true
    return this.#change
  }

  /** Makes the last one. Never rejects. */
  async finish(): Promise<void> {
    this.#stopped.abort()
    await this.#loop
    await this.#round()
    await this.#file.close()
  }

  /** Waits for the second place. */
  async copied(): Promise<void> {
    await this.#copy?.settled()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      await this.#round()
      await delay(this.#parts.options.every, undefined, { ref: false, signal }).catch(() => undefined)
    }
  }

  /** Makes the checkpoints that are due. */
  async #round(): Promise<void> {
    const before = this.#failure
    try {
      this.#failure = (await this.#flush()) ?? (await this.#makeDue())
    } catch (error) {
      this.#failure = ioFailure(`making an audit checkpoint in ${this.#parts.dir}`, error)
    }
    // Also without anything new: what waits for the second place is tried again.
    this.#copy?.send([])
    if (before?.reason !== this.#failure?.reason) this.#parts.told()
  }

  async #makeDue(): Promise<AuditFailure | null> {
    // The file in which they stand is named after the segment that was live then.
    const file = this.#live?.file ?? this.#ended.at(-1)?.file
    if (file === undefined) return null
    if (!this.#recovered) await this.#recover(this.#first ?? file)
    const failure = await this.#settleKey()
    if (failure !== null) return failure
    for (let extent = this.#ended[0]; extent !== undefined; extent = this.#ended[0]) {
      if (!this.#isCovered(extent)) this.#make(extent)
      this.#ended.shift()
    }
    const extent = this.#live?.extent ?? null
    const idle = performance.now() - this.#lastRound >= this.#parts.options.idle
    if (extent !== null && (idle || !this.#isCovered(extent))) this.#make(extent)
    return await this.#flush(file)
  }

  #isCovered({ file, tree }: Extent): boolean {
    const made = this.#made
    return made !== null && made.segment === segmentOf(file) && made.size === tree.size
  }

  #make({ log, file, tree, seq, chain, bytes }: Extent): void {
    const { clock, options } = this.#parts
    const [now, made, segment] = [clock(), this.#made, segmentOf(file)]
    const since = made === null ? 0 : now.getTime() - made.time
    const number = made === null ? 0 : made.number + 1
    const facts = {
      log,
      segment,
      size: tree.size,
      root: tree.root(),
      number,
      time: now.toISOString(),
      seq,
      chain,
      bytes,
      previous: made?.hash ?? noCheckpoint,
      idle: options.idle,
      ...(since > idleLimit(options.idle) ? { late: since } : {}),
    }
    const { line, hash } = checkpointLine(facts, tree.roots, options.key)
    this.#file.add(line)
    this.#made = { hash, number, time: now.getTime(), segment, size: tree.size }
    this.#lastRound = performance.now()
  }

  async #flush(file = this.#live?.file): Promise<AuditFailure | null> {
    if (file === undefined) return null
    const { written, failure } = await this.#file.flush(file)
    if (written.length > 0) {
      this.#copy?.send(written)
      const made = this.#made
      if (made !== null) this.#newest = { number: made.number, at: new Date(made.time).toISOString() }
    }
    return failure
  }

  /** Goes on where an earlier process ended, and covers the last second that it did not come to. */
  async #recover(first: string): Promise<void> {
    const { dir, files } = this.#parts
    this.#problems = []
    const found = await findLastCheckpoint(files, dir)
    const { checkpoint } = found
    if (checkpoint !== null) {
      const { hash, number, time, segment, size } = checkpoint
      this.#made = { hash, number, time: Date.parse(time), segment, size }
      if (this.#isTrusted(checkpoint)) {
        const earlier = await uncoveredSegments(files, dir, checkpoint, first)
        this.#problems = earlier.flatMap((one) => ('problem' in one ? [one.problem] : []))
        this.#ended.unshift(...earlier.flatMap((one) => ('extent' in one ? [one.extent] : [])))
      } else this.#problems.push(`the signature of checkpoint ${number} is not that of a key at hand`)
    }
    this.#changeKey(found)
    this.#recovered = true
    if (this.#problems.length > 0) this.#parts.told()
  }

  #isTrusted({ note }: Checkpoint): boolean {
    const { key, previousKey } = this.#parts.options
    const [signature] = note.signatures
    if (signature === undefined) return true
    return [key, previousKey].some((one) => one !== null && isSignedBy(note, one))
  }

  /** Where another key signed before: puts the change among the checkpoints. */
  #changeKey({ checkpoint, change }: LastCheckpoint): void {
    const { clock, options } = this.#parts
    const { key, previousKey } = options
    const before = change === null ? (checkpoint?.note.signatures[0]?.id ?? null) : (change.next?.id ?? null)
    if (before === (key?.id ?? null)) return
    const old = previousKey?.id === before ? previousKey : before
    const from = this.#made === null ? 0 : this.#made.number + 1
    const log = this.#live?.extent?.log ?? ''
    const vouching = typeof old === 'string' ? null : old
    const note = signKeyChange({ log, old, next: key, from, time: clock().toISOString() }, [vouching, key])
    this.#file.add(keyChangeLine(note))
    this.#change = { kind: 'key.changed', old: before, new: key?.id ?? null, from, note }
  }

  /** The change of keys is on record before the new key signs anything. */
  async #settleKey(): Promise<AuditFailure | null> {
    if (this.#keySettled) return null
    if (this.#change !== null) {
      const failure = await this.#flush()
      if (failure !== null) return failure
      const recorded: Result<unknown, AuditFailure> =
        this.#live === null ? fail(noSegment) : await this.#parts.record(this.#change)
      if (!recorded.ok) return recorded.error
    }
    this.#keySettled = true
    return null
  }
}

const noSegment: AuditFailure = {
  code: 'sealed',
  reason: 'there is no segment in which the change of keys could be recorded',
  remedy: 'it is tried again with the next one',
}
