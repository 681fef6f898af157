import type { Checkpoint } from './checkpoint.ts'
import { errorCode } from './failure.ts'
import type { Files } from './files.ts'
import { isSignedBy } from './note.ts'
import { segmentBoot } from './segment-names.ts'
import { buriedIn, noteHash, parseTombstone, readSmall, type Tombstone } from './tombstone.ts'
import type { KeyRing } from './verify-keys.ts'
import type { Damage, DamageKind, Remarks } from './verify-report.ts'
import type { SegmentEnd } from './verify-segment.ts'

/** A tombstone, and what the log says of it. */
export interface Grave {
  readonly file: string
  readonly tombstone: Tombstone
  /** Is the segment gone? Else its deletion was not finished, or did not begin. */
  readonly gone: boolean
}

/** A record that says that a segment is deleted. */
export interface DeletionRecord {
  readonly segment: string
  readonly note: string
  /** The key that signed the first checkpoint that covers the record; `undefined`: none covers it. */
  readonly signer: string | null | undefined
}

/** What was deleted, all in all. */
export interface DeletedReport {
  readonly segments: number
  readonly records: number
  /** Times of the first and the last record. */
  readonly from: string
  readonly to: string
}

/** The deleted segments of a log. A tombstone counts when the log itself holds the record of the deletion. */
export class Tombstones {
  readonly #graves = new Map<string, Grave>()
  readonly #damages = new Map<string, Damage>()
  readonly #records = new Map<string, DeletionRecord[]>()
  /** Hashes of notes for which another tombstone vouches, by segment. */
  readonly #vouched = new Map<string, Set<string>>()
  /** Graves whose segment is there, and is another one than they say. */
  readonly #unlike = new Map<string, string>()

  /** Reads the tombstones among the names in a directory. `log` is the id of the log; empty where it is not known. */
  static async read(files: Files, dir: string, names: readonly string[], present: ReadonlySet<string>, log: string) {
    const tombstones = new Tombstones()
    for (const file of names.toSorted()) {
      const segment = buriedIn(file)
      if (segment === null) continue
      const text = await readSmall(files, dir, file).catch((error: unknown) => {
        if (errorCode(error) !== '') throw error
        return ''
      })
      const tombstone = parseTombstone(text)
      const [kind, sentence] = problemOf(tombstone, segment, log)
      if (tombstone === null || kind !== null)
        tombstones.#damages.set(segment, damageIn(file, kind ?? 'edited', sentence))
      else tombstones.#add({ file, tombstone, gone: !present.has(segment) })
    }
    return tombstones
  }

  #add(grave: Grave): void {
    const { segment, vouched } = grave.tombstone
    this.#graves.set(segment, grave)
    if (!grave.gone) return
    for (const { segment, hash } of vouched) {
      this.#vouched.set(segment, (this.#vouched.get(segment) ?? new Set()).add(hash))
    }
  }

  /** Names of the segments that have a tombstone, be it a good one or not. */
  get segments(): readonly string[] {
    return [...this.#graves.keys(), ...this.#damages.keys()]
  }

  /** The tombstone of a segment; `Damage` where it cannot be read as that. */
  of(segment: string): Grave | Damage | undefined {
    return this.#damages.get(segment) ?? this.#graves.get(segment)
  }

  /** A record of the log says that a segment was deleted. */
  recorded(record: DeletionRecord): void {
    this.#records.set(record.segment, [...(this.#records.get(record.segment) ?? []), record])
  }

  /** A segment that has a tombstone is there, and good: is it the one of which the tombstone speaks? */
  compare(end: SegmentEnd, segment: string): void {
    const grave = this.#graves.get(segment)
    if (grave === undefined) return
    const { records, root, last, tail } = grave.tombstone
    const same =
      records === end.lines &&
      root.equals(end.root) &&
      last.seq === end.seq &&
      last.chain === end.chain &&
      tail?.sha256 === end.tail?.sha256
    if (!same) this.#unlike.set(segment, `it does not speak of the segment that is there, which has ${end.lines} lines`)
  }

  /** Is a tombstone what the log says of it? The first one that is not. */
  finish(keys: KeyRing, remarks: Remarks): Damage | null {
    for (const [segment, grave] of this.#graves) {
      const damage = this.#signed(grave, keys) ?? (grave.gone ? this.#known(segment, grave) : null)
      if (damage !== null) return damage
      const unlike = this.#unlike.get(segment)
      if (unlike !== undefined) return damageIn(grave.file, 'forked', unlike)
      if (!grave.gone) remarks.add(grave.file, 'the segment is still there: its deletion began, and was not finished')
    }
    return null
  }

  report(): DeletedReport | null {
    const gone = [...this.#graves.values()].filter(({ gone }) => gone).map(({ tombstone }) => tombstone)
    const [first, last] = [gone[0], gone.at(-1)]
    if (first === undefined || last === undefined) return null
    const records = gone.reduce((sum, { records }) => sum + records, 0)
    return { segments: gone.length, records, from: first.first.ts, to: last.last.ts }
  }

  #signed({ file, tombstone }: Grave, keys: KeyRing): Damage | null {
    const { note } = tombstone
    const [signature] = note.signatures
    if (signature === undefined || note.signatures.length > 1) {
      return damageIn(file, 'key not valid then', 'it does not have one signature')
    }
    const key = keys.known(signature.id)
    if (key !== null) return isSignedBy(note, key) ? null : damageIn(file, 'edited', 'it does not fit its signature')
    if (keys.isNamed(signature.id)) return null
    return damageIn(file, 'key not valid then', `it is signed with the key ${signature.id}, which this log never had`)
  }

  #known(segment: string, { file, tombstone }: Grave): Damage | null {
    const { note, signed } = tombstone
    const records = this.#records.get(segment) ?? []
    const record = records.find((one) => one.note === signed)
    const vouched = this.#vouched.get(segment)
    if (record === undefined) {
      if (vouched?.has(noteHash(signed)) === true) return null
      if (records.length > 0 || vouched !== undefined) {
        return damageIn(file, 'edited', 'it is not the one of which the log holds a record')
      }
      return damageIn(file, 'gap', 'the segment is missing, and the log holds no record that it was deleted')
    }
    if (record.signer === undefined) {
      return damageIn(file, 'gap', 'the segment is missing, and no checkpoint covers the record that it was deleted')
    }
    if (record.signer === note.signatures[0]?.id) return null
    return damageIn(file, 'key not valid then', `the key when it was deleted was ${record.signer ?? 'none'}`)
  }
}

function problemOf(tombstone: Tombstone | null, segment: string, log: string): [DamageKind | null, string] {
  if (tombstone === null) return ['edited', 'it is no tombstone any more']
  if (tombstone.segment !== segment) return ['inserted', `it is the tombstone of ${tombstone.segment}`]
  if (log !== '' && tombstone.log !== log) return ['inserted', `it is of another log, ${tombstone.log}`]
  return [null, '']
}

const damageIn = (file: string, kind: DamageKind, sentence: string): Damage => ({
  kind,
  file,
  line: 1,
  seq: null,
  sentence,
})

/** Is a checkpoint one of the segment that a tombstone speaks of? */
export function fitsGrave({ tombstone }: Grave, { log, size, root, seq, chain }: Checkpoint): boolean {
  if (log !== tombstone.log || size > tombstone.records) return false
  if (size < tombstone.records) return true
  return root.equals(tombstone.root) && seq === tombstone.last.seq && chain === tombstone.last.chain
}

/** A deleted segment as its neighbours see it: its first record, as far as it is known, and its end. */
export function sidesOf({ tombstone }: Grave, watch: number | null) {
  const { log, segment, records, root, first, last, previous, joint, tail } = tombstone
  const file = `${segment}.ndjson`
  const opened: Partial<Record<string, unknown>> = { log, seq: first.seq, previous, boot: segmentBoot(file) }
  const at = joint ?? last
  const end: SegmentEnd = {
    file,
    lines: records,
    seq: last.seq,
    chain: last.chain,
    root,
    sealed: true,
    announced: false,
    covered: records,
    tail,
    watched: watch === at.seq ? at.chain : null,
  }
  return { opened, end }
}

/** The file of a tombstone instead of its segment's, where something is wrong with what it says. */
export const inTombstone = (damage: Damage, { file, tombstone }: Grave): Damage =>
  damage.file === `${tombstone.segment}.ndjson` ? { ...damage, file, line: 1 } : damage
