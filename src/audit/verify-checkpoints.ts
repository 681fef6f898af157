import {
  idleLimit,
  noCheckpoint,
  parseCheckpointsLine,
  parseKeyChange,
  type Checkpoint,
  type KeyChange,
} from './checkpoint.ts'
import type { Files } from './files.ts'
import { isSignedBy } from './note.ts'
import { LineSource, type RawLine, type ReadableFile } from './read-segments.ts'
import type { KeyRing } from './verify-keys.ts'
import type { Damage, DamageKind, Remarks } from './verify-report.ts'
import type { Grave } from './verify-tombstones.ts'

/** A checkpoint that is good in itself, and where it stands. */
export interface Seen {
  readonly checkpoint: Checkpoint
  readonly file: string
  readonly line: number
}

/** A checkpoints file, or the tombstone of a segment whose checkpoints were deleted with it, good or not. */
export type CheckpointsPiece = ReadableFile | Grave | Damage

interface Parts {
  readonly files: Files
  readonly readables: readonly CheckpointsPiece[]
  readonly keys: KeyRing
  readonly remarks: Remarks
  /** Is it the second place's copy, where lines may be missing or come twice? */
  readonly copy: boolean
  /** The log's own checkpoints, which are read before their copies. */
  readonly local: CheckpointStream | null
  /** May the beginning be missing? */
  readonly partial: boolean
}

const remembered = 10_000
const lookAhead = 100

/** The checkpoints of a log in order, each of them checked in itself and against the one before. */
export class CheckpointStream {
  readonly #parts: Parts
  #fileAt = -1
  #lines: LineSource | null = null
  #line = 0
  /** Did this file so far only repeat what stands before it? */
  #fresh = true
  #next: Seen | null = null
  /** What is wrong with the one after that. Nothing is read behind it. */
  #found: Damage | null = null
  #last: Checkpoint | null = null
  /** The newest one that was taken, or that a tombstone tells of. */
  #end: Pick<Checkpoint, 'number' | 'hash'> | null = null
  /** Hashes by number, of the newest ones. */
  readonly #hashes = new Map<number, string>()
  readonly #changes = new Map<string, KeyChange>()
  #count = 0

  constructor(parts: Parts) {
    this.#parts = parts
  }

  get count(): number {
    return this.#count
  }

  /** The newest one that was taken. */
  get last(): Checkpoint | null {
    return this.#last
  }

  /** Was this statement about keys among the lines so far? */
  hasChange(note: string): boolean {
    return this.#changes.has(note)
  }

  /** Is this very checkpoint among those so far? */
  has({ number, hash }: Checkpoint): boolean {
    return this.#hashes.get(number) === hash || this.#next?.checkpoint.hash === hash
  }

  /** The next checkpoint, which stays until `take`; `null` at the end. */
  async peek(): Promise<Seen | Damage | null> {
    while (this.#next === null && this.#found === null) {
      const piece = await this.#readLine()
      if (piece === null) return null
      if ('kind' in piece) this.#found = piece
      else this.#found = 'tombstone' in piece ? this.#pass(piece) : await this.#see(piece)
    }
    return this.#found ?? this.#next
  }

  take(): void {
    if (this.#next === null) return
    this.#last = this.#next.checkpoint
    this.#follow(this.#last)
    this.#count++
    this.#next = null
  }

  /**
   * Was the next one's key valid? Of the second place this is asked here and not when it is read: where lines are missing it is
   * ahead of the log's own checkpoints. What is among those was checked there, and the change of keys may not have been copied.
   */
  vouch(): Damage | null {
    const { copy, keys, local } = this.#parts
    if (!copy || this.#next === null) return null
    const isThere = local?.has(this.#next.checkpoint) === true
    if (isThere) keys.skip()
    const problem = isThere ? null : keys.check(this.#next.checkpoint)
    return problem === null ? null : this.#damage(problem.kind, problem.sentence)
  }

  #follow(end: Pick<Checkpoint, 'number' | 'hash'>): void {
    this.#end = end
    this.#hashes.set(end.number, end.hash)
    if (this.#hashes.size > remembered) this.#hashes.delete(end.number - remembered)
  }

  async close(): Promise<void> {
    await this.#lines?.close()
  }

  get #file(): string {
    return this.#parts.readables[this.#fileAt]?.file ?? ''
  }

  async #readLine(): Promise<RawLine | Grave | Damage | null> {
    for (;;) {
      const line = await this.#lines?.next()
      if (line !== undefined) {
        this.#line++
        return line
      }
      await this.#lines?.close()
      this.#lines = null
      const piece = this.#parts.readables[this.#fileAt + 1]
      if (piece === undefined) return null
      this.#fileAt++
      this.#line = 0
      if (!('path' in piece)) return piece
      this.#fresh = true
      this.#lines = await LineSource.open(this.#parts.files, piece)
    }
  }

  /** Goes on behind the checkpoints that were deleted with a segment. */
  #pass({ tombstone }: Grave): Damage | null {
    const { keys, partial } = this.#parts
    this.#line = 1
    for (const signed of tombstone.changes) {
      const change = parseKeyChange(signed)
      if (change === null || this.#changes.has(signed)) continue
      const problem = keys.change(change)
      if (problem !== null) return this.#damage(problem.kind, problem.sentence)
      this.#changes.set(signed, change)
    }
    const { note, checkpoints } = tombstone
    const key = keys.known(note.signatures[0]?.id ?? '')
    if (key !== null && !isSignedBy(note, key)) return this.#damage('edited', 'it does not fit its signature')
    if (checkpoints === null) return null
    const { first, last, hash } = checkpoints
    const expected = this.#expected
    if (first > expected && !(partial && this.#end === null)) {
      return this.#damage(
        'deleted',
        `checkpoints ${expected} to ${first - 1} are missing before those of a deleted segment`,
      )
    }
    if (last < expected - 1) return this.#damage('inserted', `checkpoint ${last} of a deleted segment comes too late`)
    if (last >= expected) this.#follow({ number: last, hash })
    return null
  }

  get #expected(): number {
    return this.#end === null ? 0 : this.#end.number + 1
  }

  async #see(raw: RawLine): Promise<Damage | null> {
    const { copy, remarks } = this.#parts
    const text = raw.bytes.toString('utf8')
    const parsed = raw.form === 'whole' ? parseCheckpointsLine(text) : null
    if (parsed === null) {
      if (copy && text === '') return null
      if (raw.form === 'torn' && parseCheckpointsLine(text.slice(0, -1)) === null) {
        remarks.add(this.#file, `line ${this.#line} is torn: a checkpoint that was being written`)
        return null
      }
      if (!copy) return this.#damage('edited', `line ${this.#line} is no checkpoint any more`)
      remarks.add(this.#file, `line ${this.#line} is no checkpoint: the second place was damaged, or its disk full`)
      return null
    }
    if (parsed.kind === 'key') return this.#seeChange(parsed.change)
    const { checkpoint } = parsed
    if (this.#isRepeated(checkpoint)) return null
    const damage = (await this.#checkOrder(checkpoint)) ?? this.#checkTime(checkpoint)
    if (damage !== null) return damage
    const problem = copy ? null : this.#parts.keys.check(checkpoint)
    if (problem !== null) return this.#damage(problem.kind, problem.sentence)
    this.#next = { checkpoint, file: this.#file, line: this.#line }
    return null
  }

  #seeChange(change: KeyChange): Damage | null {
    if (this.#changes.has(change.signed)) return null
    if (change.next !== null && !isSignedBy(change.note, change.next)) {
      return this.#damage('edited', `the change of keys at checkpoint ${change.from} does not fit its signature`)
    }
    const expected = this.#expected
    const { copy, partial, keys } = this.#parts
    if (change.from !== expected && !copy && !(partial && this.#end === null)) {
      return this.#damage(
        change.from < expected ? 'inserted' : 'deleted',
        `the change of keys at checkpoint ${change.from} comes where checkpoint ${expected} is due`,
      )
    }
    if (copy && change.from !== expected) keys.skip()
    const problem = keys.change(change)
    if (problem !== null) return this.#damage(problem.kind, problem.sentence)
    this.#changes.set(change.signed, change)
    return null
  }

  /** After a failed write the gateway writes the same lines again, to a new file or to the second place. */
  #isRepeated({ number, hash }: Checkpoint): boolean {
    if (this.#hashes.get(number) !== hash) this.#fresh = false
    return this.#hashes.get(number) === hash && (this.#parts.copy || this.#fresh)
  }

  async #checkOrder(checkpoint: Checkpoint): Promise<Damage | null> {
    const { number, previous } = checkpoint
    const { copy, partial, keys, remarks } = this.#parts
    const last = this.#end
    const expected = this.#expected
    if (number === expected) {
      if (previous === (last?.hash ?? noCheckpoint)) return null
      return this.#damage('forked', `checkpoint ${number} does not follow the one before it`)
    }
    if (number < expected) {
      if (this.#hashes.get(number) === checkpoint.hash) {
        return this.#damage('inserted', `checkpoint ${number} is there again`)
      }
      return this.#damage('forked', `there is another checkpoint ${number}`)
    }
    if (copy) {
      if (last !== null) remarks.add(this.#file, `checkpoints ${expected} to ${number - 1} were not copied`)
      keys.skip()
      return null
    }
    if (last === null && partial) return null
    return this.#missing(checkpoint, expected)
  }

  async #missing({ number, segment, size }: Checkpoint, expected: number): Promise<Damage> {
    const last = this.#last
    const ahead = (await this.#lines?.ahead(lookAhead)) ?? []
    const later = ahead.some((line) => {
      const parsed = parseCheckpointsLine(line.bytes.toString('utf8'))
      return parsed?.kind === 'checkpoint' && parsed.checkpoint.number === expected
    })
    if (later) return this.#damage('reordered', `checkpoint ${number} stands before checkpoint ${expected}`)
    const which = number - 1 === expected ? `checkpoint ${expected} is` : `checkpoints ${expected} to ${number - 1} are`
    if (last !== null && last.segment === segment && last.size === size) {
      return this.#damage('idle checkpoint missing', `${which} missing, from a time without traffic`)
    }
    if (this.#line === 1 && this.#fileAt > 0) {
      return this.#damage('truncated', `${which} missing at the end of the file before this one`)
    }
    return this.#damage('deleted', `${which} missing`)
  }

  #checkTime(checkpoint: Checkpoint): Damage | null {
    const last = this.#last
    if (last === null || checkpoint.number !== last.number + 1) return null
    const apart = Date.parse(checkpoint.time) - Date.parse(last.time)
    const { remarks } = this.#parts
    if (apart < 0) remarks.add(this.#file, `the clock was set back before checkpoint ${checkpoint.number}`)
    if (apart <= idleLimit(last.idle)) return null
    const between = `between checkpoints ${last.number} (${last.time}) and ${checkpoint.number} (${checkpoint.time})`
    if (checkpoint.late === undefined) {
      return this.#damage('idle checkpoint missing', `${between} there is a silence that nothing explains`)
    }
    remarks.add(
      this.#file,
      `${between} the gateway made none: it was stopped, could not write, or its clock was changed`,
    )
    return null
  }

  #damage(kind: DamageKind, sentence: string): Damage {
    return { kind, file: this.#file, line: this.#line, seq: null, sentence }
  }
}
