import { fail, ok, type Result } from '../result.ts'
import { errorCode } from './failure.ts'
import { nodeFiles, type Files } from './files.ts'
import type { CheckKey } from './keys.ts'
import { DamagedFile } from './packed.ts'
import { segmentOf } from './read-segments.ts'
import { CheckpointStream } from './verify-checkpoints.ts'
import { filesToVerify, type Entry, type Found } from './verify-files.ts'
import { KeyRing } from './verify-keys.ts'
import { checkLink, firstRecord } from './verify-link.ts'
import { packedDamage } from './verify-packed.ts'
import { Remarks, unknownOf, type Damage, type VerifyReport } from './verify-report.ts'
import { SegmentCheck, type SegmentEnd } from './verify-segment.ts'
import { fitsGrave, inTombstone, sidesOf, type Grave } from './verify-tombstones.ts'

/** What is checked, and with what. */
export interface VerifyOptions {
  readonly dir: string
  /** The keys to trust; `null`: those that the log names itself. */
  readonly keys: readonly CheckKey[] | null
  /** The second place's copy of the checkpoints. */
  readonly copy: string | null
  /** Are older segments known to be elsewhere? */
  readonly partial: boolean
  readonly files?: Files
  readonly progress?: (done: number, total: number) => void
}

/** Checks a whole log, a line in memory at a time. An error is a reason why it could not be read. */
export async function verifyLog(options: VerifyOptions): Promise<Result<VerifyReport, string>> {
  for (let tries = 1; ; tries++) {
    let verifier: Verifier | null = null
    try {
      verifier = await Verifier.open(options)
      return ok(verifier.report(await verifier.run()))
    } catch (error) {
      // The gateway deletes what is old while it is read: what is there now is looked at anew.
      if (errorCode(error) === 'ENOENT' && tries < mostTries) continue
      return fail(error instanceof Error ? error.message : String(error))
    } finally {
      await verifier?.close()
    }
  }
}

const mostTries = 3

class Verifier {
  readonly #options: VerifyOptions
  readonly #files: Files
  readonly #found: Found
  readonly #remarks = new Remarks()
  readonly #keys: KeyRing
  readonly #local: CheckpointStream
  readonly #copy: CheckpointStream | null
  #log = ''
  #before: SegmentEnd | null = null
  #records = 0
  #done = 0

  private constructor(options: VerifyOptions, found: Found) {
    const { keys, partial, files = nodeFiles } = options
    this.#options = options
    this.#files = files
    this.#found = found
    this.#log = found.log
    const remarks = this.#remarks
    this.#keys = new KeyRing(keys)
    const readables = found.checkpoints
    this.#local = new CheckpointStream({
      files,
      readables,
      keys: this.#keys,
      remarks,
      copy: false,
      local: null,
      partial,
    })
    const copied = found.copy === null ? null : { files, readables: [found.copy], keys: new KeyRing(keys), remarks }
    this.#copy = copied === null ? null : new CheckpointStream({ ...copied, copy: true, local: this.#local, partial })
  }

  static async open(options: VerifyOptions): Promise<Verifier> {
    const { dir, copy, files = nodeFiles } = options
    return new Verifier(options, await filesToVerify(files, dir, copy))
  }

  async close(): Promise<void> {
    await this.#local.close()
    await this.#copy?.close()
  }

  get #streams(): readonly CheckpointStream[] {
    return this.#copy === null ? [this.#local] : [this.#local, this.#copy]
  }

  async run(): Promise<Damage | null> {
    const first = await this.#local.peek()
    if (first !== null && 'checkpoint' in first) this.#log = first.checkpoint.log
    for (const [index, entry] of this.#found.entries.entries()) {
      const damage = (await this.#missing(entry.file, index === 0)) ?? (await this.#entry(index, entry))
      if (damage !== null) return damage
    }
    const missing = await this.#missing(null, false)
    return missing ?? this.#found.tombstones.finish(this.#keys, this.#remarks) ?? this.#ending() ?? this.#doubt()
  }

  async #entry(index: number, entry: Entry): Promise<Damage | null> {
    if (entry.readable === null) {
      const grave = this.#found.tombstones.of(segmentOf(entry.file))
      if (grave === undefined || 'kind' in grave) return grave ?? null
      return await this.#deleted(index, entry, grave)
    }
    try {
      return await this.#segment(index, entry, entry.readable)
    } catch (error) {
      if (!(error instanceof DamagedFile)) throw error
      return { kind: 'damaged', file: entry.file, line: 1, seq: null, sentence: error.why }
    }
  }

  async #segment(index: number, { file, tombstone }: Entry, readable: NonNullable<Entry['readable']>) {
    const packed = await packedDamage(this.#files, readable)
    if (packed !== null) return packed
    const opened = await firstRecord(this.#files, readable)
    if (this.#log === '' && typeof opened['log'] === 'string') this.#log = opened['log']
    const { partial } = this.#options
    const before = this.#before
    const check = new SegmentCheck({
      files: this.#files,
      readable,
      streams: this.#streams,
      log: this.#log,
      isLast: this.#found.entries[index + 1] === undefined,
      firstSeq: before === null ? firstSeq(opened, partial) : before.seq + 1,
      watch: await this.#watchedBy(index + 1),
      link: (record) => this.#link(record, readable),
      deleted: (record) => this.#found.tombstones.recorded(record),
      progress: (bytes) => {
        this.#done += bytes
        this.#options.progress?.(this.#done, this.#found.total)
      },
    })
    const end = await check.run()
    if ('kind' in end) return end
    this.#records += end.lines
    const bad = tombstone ? this.#found.tombstones.of(segmentOf(file)) : undefined
    if (bad !== undefined && 'kind' in bad) return bad
    this.#found.tombstones.compare(end, segmentOf(file))
    if (end.lines === 0) {
      this.#remarks.add(end.file, 'it holds no whole record: the gateway died, or its disk was full, as it was made')
      return null
    }
    this.#tellTail(end)
    this.#before = end
    return null
  }

  /** A deleted segment stands between its neighbours as its tombstone says. */
  async #deleted(index: number, { file }: Entry, grave: Grave): Promise<Damage | null> {
    const { opened, end } = sidesOf(grave, await this.#watchedBy(index + 1))
    const damage = await this.#link(opened, { file, path: '', size: 0 })
    if (damage !== null) return inTombstone(damage, grave)
    this.#before = end
    return null
  }

  #link(record: Partial<Record<string, unknown>>, readable: NonNullable<Entry['readable']>): Promise<Damage | null> {
    const { partial } = this.#options
    const [all, log, before, remarks] = [this.#found.entries, this.#log, this.#before, this.#remarks]
    return checkLink(record, { files: this.#files, readable, all, log, before, partial, remarks })
  }

  /** The number of the record that the next segment with a first record says was the last one here. */
  async #watchedBy(from: number): Promise<number | null> {
    for (const { file, readable } of this.#found.entries.slice(from)) {
      const grave = readable === null ? this.#found.tombstones.of(segmentOf(file)) : undefined
      if (grave !== undefined && 'tombstone' in grave) return seqIn(grave.tombstone)
      const record = readable === null ? {} : await firstRecord(this.#files, readable)
      if (record['kind'] !== undefined) return seqIn(record)
    }
    return null
  }

  #tellTail({ file, lines, tail }: SegmentEnd): void {
    if (tail === null) return
    const text = `line ${lines + 1}: a torn tail of ${tail.bytes} bytes, of a record that was never acknowledged`
    this.#remarks.add(file, text)
  }

  /** Checkpoints of segments that are not there: older than this one, or any at all. */
  async #missing(file: string | null, isFirst: boolean): Promise<Damage | null> {
    for (const stream of this.#streams) {
      for (;;) {
        const found = await stream.peek()
        if (found === null) break
        if ('kind' in found) return found
        const { segment, number, log } = found.checkpoint
        if (file !== null && segment >= segmentOf(file)) break
        const grave = this.#found.tombstones.of(segment)
        const isDeleted = grave !== undefined && 'tombstone' in grave && grave.gone
        if (isDeleted && !fitsGrave(grave, found.checkpoint)) {
          const sentence = `it does not speak of the segment of which checkpoint ${number} (${found.file}:${found.line}) was made`
          return { kind: 'forked', file: grave.file, line: 1, seq: null, sentence }
        }
        if (isDeleted || (isFirst && this.#options.partial)) {
          stream.take()
          continue
        }
        if (log !== this.#log && this.#log !== '') {
          const sentence = `checkpoint ${number} is one of another log`
          return { kind: 'inserted', file: found.file, line: found.line, seq: null, sentence }
        }
        const sentence = `the segment is missing of which checkpoint ${number} (${found.file}:${found.line}) was made`
        const kind = file === null ? 'truncated' : 'gap'
        return { kind, file: `${segment}.ndjson`, line: 1, seq: null, sentence }
      }
    }
    return null
  }

  /** A log that was closed in good order ends in a checkpoint. */
  #ending(): Damage | null {
    const end = this.#before
    if (end === null || !end.announced || !end.sealed || end.covered === end.lines || this.#found.locked) return null
    const sentence = `the last checkpoint is missing: lines ${end.covered + 1} to ${end.lines} of ${end.file} have none`
    return { kind: 'truncated', file: end.file, line: end.covered + 1, seq: null, sentence }
  }

  #doubt(): Damage | null {
    const { keys } = this.#options
    if (keys === null) return null
    // Of the second place only what the log lacks was looked at, and that is damage already.
    const from = this.#keys.doubt
    const place = { kind: 'key not valid then' as const, file: this.#options.dir, line: 1, seq: null }
    if (from !== null) {
      return {
        ...place,
        sentence: `from checkpoint ${from} on another key signs than the given one, which vouches for none`,
      }
    }
    if (this.#keys.good.length > 0) return null
    return { ...place, sentence: 'no checkpoint is signed with the given key' }
  }

  report(damage: Damage | null): VerifyReport {
    const { keys, copy } = this.#options
    const { entries, tombstones } = this.#found
    const [end, last, good] = [this.#before, this.#local.last, this.#keys.good]
    return {
      damage,
      remarks: this.#remarks.list(),
      log: this.#log === '' ? null : this.#log,
      signedBy: good,
      segments: entries.filter(({ readable }) => readable !== null).length,
      records: this.#records,
      checkpoints: this.#local.count,
      deleted: tombstones.report(),
      last: last === null ? null : { number: last.number, time: last.time, hash: last.hash },
      uncovered: end === null ? 0 : end.lines - end.covered,
      unknown: unknownOf({ signed: good.length > 0, keyGiven: keys !== null, copyGiven: copy !== null }),
    }
  }
}

/** What number a directory begins with. */
const firstSeq = (opened: { readonly previous?: unknown }, partial: boolean): number =>
  partial ? (seqIn(opened) ?? -1) + 1 : 0

function seqIn({ previous }: { readonly previous?: unknown }): number | null {
  const { seq }: { seq?: unknown } = Object(previous)
  return typeof seq === 'number' ? seq : null
}
