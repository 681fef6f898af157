import type { DeletedReport } from './verify-tombstones.ts'

/** What can be wrong with a log. */
export type DamageKind =
  | 'edited'
  | 'deleted'
  | 'inserted'
  | 'reordered'
  | 'truncated'
  | 'damaged'
  | 'forked'
  | 'gap'
  | 'key not valid then'
  | 'idle checkpoint missing'

/** The first thing that is wrong with a log. */
export interface Damage {
  readonly kind: DamageKind
  readonly file: string
  /** Number of the line in it, from 1; one behind the last line where something is missing there. */
  readonly line: number
  /** Number of the record, where it is known. */
  readonly seq: number | null
  readonly sentence: string
}

/** Something that an auditor should know, and that is no damage. */
export interface Remark {
  readonly file: string
  readonly sentence: string
}

/** What was looked at, and what came of it. */
export interface VerifyReport {
  readonly damage: Damage | null
  readonly remarks: readonly Remark[]
  readonly log: string | null
  readonly segments: number
  readonly records: number
  readonly checkpoints: number
  /** What was deleted in good order, with tombstones; `null`: nothing. */
  readonly deleted: DeletedReport | null
  /** Ids of the keys whose signatures were checked and are good. */
  readonly signedBy: readonly string[]
  /** The newest checkpoint that fits. */
  readonly last: { readonly number: number; readonly time: string; readonly hash: string } | null
  /** Records behind it: no signature covers them yet. */
  readonly uncovered: number
  /** What these files cannot show. */
  readonly unknown: readonly string[]
}

// A log in trouble may have a remark for each of its days: some of them say it all.
const mostRemarks = 200

/** Gathers remarks, not without end. */
export class Remarks {
  readonly #list: Remark[] = []
  #more = 0

  add(file: string, sentence: string): void {
    if (this.#list.length < mostRemarks) this.#list.push({ file, sentence })
    else this.#more++
  }

  list(): readonly Remark[] {
    return this.#more === 0 ? this.#list : [...this.#list, { file: '', sentence: `and ${this.#more} more remarks` }]
  }
}

/** What the files that were checked cannot show. */
export function unknownOf(given: { signed: boolean; keyGiven: boolean; copyGiven: boolean }): readonly string[] {
  const { signed, keyGiven, copyGiven } = given
  return [
    ...(signed ? [] : ['who made the checkpoints: they are not signed, so the whole log could be made anew']),
    ...(signed && !keyGiven
      ? ['whose the keys are: they are the ones that the log names itself; give the true one with --key']
      : []),
    ...(copyGiven
      ? []
      : [
          "whether something is cut off the end, with its checkpoints: give the second place's copy with --checkpoints",
        ]),
  ]
}
