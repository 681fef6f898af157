import { join } from 'node:path'
import { fail, ok, type Result } from '../result.ts'
import { ioFailure, type AuditFailure } from './failure.ts'
import type { FileFacts, Files, OpenFile } from './files.ts'
import { firstChain, recordLine } from './line.ts'
import { GrowingTree, leafHashOfText } from './merkle.ts'

/** Where an acknowledged record stands. */
export interface Receipt {
  readonly seq: number
  /** Name of the segment, without the directory. */
  readonly file: string
  readonly chain: string
}

/** How far a segment is on stable storage, with the Merkle tree over its lines up to there. */
export interface Extent {
  /** Id of the log. */
  readonly log: string
  /** Name of the segment, without the directory. */
  readonly file: string
  readonly tree: GrowingTree
  readonly bytes: number
  readonly seq: number
  readonly chain: string
}

/** What a new segment is called and where its numbers go on. */
export interface SegmentPlan {
  readonly dir: string
  readonly file: string
  readonly log: string
  readonly boot: string
  readonly seq: number
  readonly clock: () => Date
}

/** One append-only file. After its first failure it takes nothing more: what a failed fsync left behind is unknown. */
export class Segment {
  readonly file: string
  readonly #plan: SegmentPlan
  readonly #path: string
  readonly #files: Files
  readonly #open: OpenFile
  readonly #born: FileFacts
  #size = 0
  #seq: number
  #durable: Receipt | null = null
  #durableBytes = 0
  readonly #tree = new GrowingTree()

  private constructor(plan: SegmentPlan, files: Files, open: OpenFile, born: FileFacts) {
    this.file = plan.file
    this.#plan = plan
    this.#path = join(plan.dir, plan.file)
    this.#files = files
    this.#open = open
    this.#born = born
    this.#seq = plan.seq
  }

  /**
   * Creates the file with its first record (as `encodeEntry` made it), and makes both and the name durable.
   * Nothing is left behind on failure.
   */
  static async create(plan: SegmentPlan, files: Files, first: string): Promise<Result<Segment, AuditFailure>> {
    const path = join(plan.dir, plan.file)
    let open: OpenFile
    try {
      open = await files.create(path)
    } catch (error) {
      return fail(ioFailure(`creating ${path}`, error))
    }
    try {
      const segment = new Segment(plan, files, open, await open.facts())
      const written = await segment.append([first])
      if (!written.ok) return await discard(files, path, open, written.error)
      await files.syncDir(plan.dir)
      return ok(segment)
    } catch (error) {
      return await discard(files, path, open, ioFailure(`creating ${path}`, error))
    }
  }

  /** The number the record after the last one written gets, acknowledged or not: no number is used twice. */
  get nextSeq(): number {
    return this.#seq
  }

  /** The last record known to be on stable storage; `null` before the first. */
  get durable(): Receipt | null {
    return this.#durable
  }

  /** How many bytes and lines are on stable storage. */
  get bytes(): number {
    return this.#durableBytes
  }

  get lines(): number {
    return this.#tree.size
  }

  /** What a checkpoint can say of it; `null` before the first record is durable. */
  get extent(): Extent | null {
    if (this.#durable === null) return null
    const { file, seq, chain } = this.#durable
    return { log: this.#plan.log, file, tree: this.#tree, bytes: this.#durableBytes, seq, chain }
  }

  /**
   * Writes records, given as `encodeEntry` made them, as one piece and waits for stable storage; answers one receipt for each.
   * A failure leaves open which of them are in the file. Never rejects.
   */
  async append(records: readonly string[]): Promise<Result<readonly Receipt[], AuditFailure>> {
    const receipts: Receipt[] = []
    const lines: string[] = []
    let previous = this.#durable?.chain ?? firstChain
    const { log, boot, clock } = this.#plan
    // Stamped here and not when the record was made: so times in a file never go back unless the clock did.
    const ts = clock().toISOString()
    for (const members of records) {
      const { line, chain } = recordLine({ seq: this.#seq, ts, log, boot }, members, previous)
      lines.push(line)
      receipts.push({ seq: this.#seq++, file: this.file, chain })
      previous = chain
    }
    const committing = this.#commit(Buffer.from(lines.join('')))
    // While the disk works. They count when it is done.
    const leaves = lines.map((line) => leafHashOfText(line.slice(0, -1)))
    const failure = await committing
    if (failure !== null) return fail(failure)
    this.#durable = receipts.at(-1) ?? this.#durable
    this.#durableBytes = this.#size
    for (const leaf of leaves) this.#tree.append(leaf)
    return ok(receipts)
  }

  /** Closes the file. Never rejects: what is acknowledged is durable already. */
  async close(): Promise<void> {
    await this.#open.close().catch(() => undefined)
  }

  async #commit(bytes: Buffer): Promise<AuditFailure | null> {
    try {
      await this.#writeFully(bytes)
      // Both are waited for even when one fails, so that a hung disk is never asked again while a call is out.
      const [synced, named] = await Promise.allSettled([this.#open.datasync(), this.#files.facts(this.#path)])
      if (synced.status === 'rejected') throw synced.reason
      if (named.status === 'rejected') return movedFailure(this.#path, String(named.reason))
      return this.#compare(named.value)
    } catch (error) {
      return ioFailure(`writing ${this.#path}`, error)
    }
  }

  /** write(2) may take fewer bytes than given, without an error: on a full disk that is the only sign before ENOSPC. */
  async #writeFully(bytes: Buffer): Promise<void> {
    for (let offset = 0; offset < bytes.length;) {
      const taken = await this.#open.write(bytes, offset)
      if (taken <= 0) throw new Error('the system took no bytes and gave no reason')
      offset += taken
    }
    this.#size += bytes.length
  }

  /** An unlinked or renamed file takes writes and syncs happily: only its name shows that nobody will find them. */
  #compare(named: FileFacts): AuditFailure | null {
    if (named.inode !== this.#born.inode || named.device !== this.#born.device)
      return movedFailure(this.#path, 'another file has its name')
    if (named.size === this.#size) return null
    return movedFailure(this.#path, `it has ${named.size} bytes, written were ${this.#size}`)
  }
}

/** No record of this file was acknowledged, so it goes: a full disk retried every second would leave a file each time. */
async function discard(
  files: Files,
  path: string,
  open: OpenFile,
  failure: AuditFailure,
): Promise<Result<never, AuditFailure>> {
  await open.close().catch(() => undefined)
  await files.remove(path).catch(() => undefined)
  return fail(failure)
}

function movedFailure(path: string, what: string): AuditFailure {
  const remedy = 'keep log rotation and clean-up jobs away from the audit directory; a new segment is opened by itself'
  return { code: 'moved', reason: `the live audit file ${path} was moved, removed or changed: ${what}`, remedy }
}
