import { basename, join } from 'node:path'
import { fail, ok, type Result } from '../result.ts'
import { nodeFiles, type Files } from './files.ts'
import type { CheckKey } from './keys.ts'
import { checkpointsFiles, segmentFiles, segmentOf, sizesOf, type ReadableFile } from './read-segments.ts'
import { CheckpointStream } from './verify-checkpoints.ts'
import { KeyRing } from './verify-keys.ts'
import { checkLink, firstRecord } from './verify-link.ts'
import { Remarks, type Damage, type VerifyReport } from './verify-report.ts'
import { SegmentCheck, type SegmentEnd } from './verify-segment.ts'

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
  let verifier: Verifier | null = null
  try {
    verifier = await Verifier.open(options)
    const damage = await verifier.run()
    return ok(verifier.report(damage))
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error))
  } finally {
    await verifier?.close()
  }
}

class Verifier {
  readonly #options: VerifyOptions
  readonly #files: Files
  readonly #remarks: Remarks
  readonly #keys: KeyRing
  readonly #copyKeys: KeyRing
  readonly #local: CheckpointStream
  readonly #copy: CheckpointStream | null
  readonly #segments: readonly ReadableFile[]
  readonly #locked: boolean
  #log = ''
  #before: SegmentEnd | null = null
  #records = 0
  #done = 0

  private constructor(
    options: VerifyOptions,
    found: { copy: ReadableFile | null; checkpoints: readonly ReadableFile[]; segments: readonly ReadableFile[] },
    locked: boolean,
  ) {
    const { keys, partial, files = nodeFiles } = options
    this.#options = options
    this.#files = files
    this.#segments = found.segments
    this.#locked = locked
    const remarks = (this.#remarks = new Remarks())
    this.#keys = new KeyRing(keys)
    this.#copyKeys = new KeyRing(keys)
    const readables = found.checkpoints
    this.#local = new CheckpointStream({ files, readables, keys: this.#keys, remarks, copy: false, partial })
    this.#copy =
      found.copy === null
        ? null
        : new CheckpointStream({
            files,
            readables: [found.copy],
            keys: this.#copyKeys,
            remarks,
            copy: true,
            partial,
          })
  }

  /** How long each file is, is looked up first: checkpoints before the records that they cover, if the log is in use. */
  static async open(options: VerifyOptions): Promise<Verifier> {
    const { dir, copy, files = nodeFiles } = options
    const copied = copy === null ? null : { file: basename(copy), path: copy, size: (await files.facts(copy)).size }
    const checkpoints = await sizesOf(files, dir, await checkpointsFiles(files, dir))
    const segments = await sizesOf(files, dir, await segmentFiles(files, dir))
    const locked = await files.facts(join(dir, 'owner.lock')).then(
      () => true,
      () => false,
    )
    if (segments.length === 0 && checkpoints.length === 0 && copied === null) {
      throw new Error(`there is no audit log in ${dir}`)
    }
    return new Verifier(options, { copy: copied, checkpoints, segments }, locked)
  }

  async close(): Promise<void> {
    await this.#local.close()
    await this.#copy?.close()
  }

  get #streams(): readonly CheckpointStream[] {
    return this.#copy === null ? [this.#local] : [this.#local, this.#copy]
  }

  async run(): Promise<Damage | null> {
    const total = this.#segments.reduce((sum, { size }) => sum + size, 0)
    const first = await this.#local.peek()
    if (first !== null && 'checkpoint' in first) this.#log = first.checkpoint.log
    for (const [index, readable] of this.#segments.entries()) {
      const damage = (await this.#missing(readable.file, index === 0)) ?? (await this.#segment(index, readable, total))
      if (damage !== null) return damage
    }
    return (await this.#missing(null, false)) ?? this.#ending() ?? this.#doubt()
  }

  async #segment(index: number, readable: ReadableFile, total: number): Promise<Damage | null> {
    const opened = await firstRecord(this.#files, readable)
    if (this.#log === '' && typeof opened['log'] === 'string') this.#log = opened['log']
    const next = this.#segments[index + 1]
    const watch = await this.#watchedBy(index + 1)
    const { partial } = this.#options
    const before = this.#before
    const check = new SegmentCheck({
      files: this.#files,
      readable,
      streams: this.#streams,
      log: this.#log,
      isLast: next === undefined,
      firstSeq: before === null ? firstSeq(opened, partial) : before.seq + 1,
      watch,
      link: (record) =>
        checkLink(record, {
          files: this.#files,
          readable,
          all: this.#segments,
          log: this.#log,
          before,
          partial,
          remarks: this.#remarks,
        }),
      progress: (bytes) => {
        this.#done += bytes
        this.#options.progress?.(this.#done, total)
      },
    })
    const end = await check.run()
    if ('kind' in end) return end
    this.#records += end.lines
    if (end.lines === 0) {
      this.#remarks.add(end.file, 'it holds no whole record: the gateway died, or its disk was full, as it was made')
      return null
    }
    this.#tellTail(end)
    this.#before = end
    return null
  }

  /** The number of the record that the next segment with a first record says was the last one here. */
  async #watchedBy(from: number): Promise<number | null> {
    for (const readable of this.#segments.slice(from)) {
      const { kind, previous } = await firstRecord(this.#files, readable)
      if (kind === undefined) continue
      const { seq }: { seq?: unknown } = Object(previous)
      return typeof seq === 'number' ? seq : null
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
        if (isFirst && this.#options.partial) {
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
    if (end === null || !end.announced || !end.sealed || end.covered === end.lines || this.#locked) return null
    const sentence = `the last checkpoint is missing: lines ${end.covered + 1} to ${end.lines} of ${end.file} have none`
    return { kind: 'truncated', file: end.file, line: end.covered + 1, seq: null, sentence }
  }

  #doubt(): Damage | null {
    const { keys } = this.#options
    if (keys === null) return null
    const from = this.#keys.doubt ?? this.#copyKeys.doubt
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
    const end = this.#before
    const good = this.#keys.good
    const last = this.#local.last
    const unknown = [
      ...(good.length === 0
        ? ['who made the checkpoints: they are not signed, so the whole log could be made anew']
        : []),
      ...(good.length > 0 && keys === null
        ? ['whose the keys are: they are the ones that the log names itself; give the true one with --key']
        : []),
      ...(copy === null
        ? [
            "whether something is cut off the end, with its checkpoints: give the second place's copy with --checkpoints",
          ]
        : []),
    ]
    return {
      damage,
      remarks: this.#remarks.list(),
      log: this.#log === '' ? null : this.#log,
      signedBy: good,
      segments: this.#segments.length,
      records: this.#records,
      checkpoints: this.#local.count,
      last:
        last === null
          ? null
          : {
              number: last.number,
              time: last.time,
              hash: last.hash,
            },
      uncovered: end === null ? 0 : end.lines - end.covered,
      unknown,
    }
  }
}

/** What number a directory begins with. */
function firstSeq({ previous }: { readonly previous?: unknown }, partial: boolean): number {
  const { seq }: { seq?: unknown } = Object(previous)
  return partial && typeof seq === 'number' ? seq + 1 : 0
}
