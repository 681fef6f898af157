import { errorCode } from '../failure.ts'
import type { Files } from '../files.ts'
import { segmentFiles, segmentOf, type LineSource, type RawLine } from '../read-segments.ts'
import type { Cursor } from './cursor.ts'
import { acknowledgedIn, openLines, previousOf, readRecord, sealedEnd } from './segments.ts'
import type { Missed, TailRecord } from './sink.ts'

/** The end of what is on stable storage. */
export interface DurableEnd {
  /** Name of the live segment. */
  readonly file: string
  readonly bytes: number
  readonly seq: number
}

/** What a tail needs from its builder. */
export interface TailParts {
  readonly dir: string
  readonly files: Files
  /** `null` while there is no live segment. */
  readonly durable: () => DurableEnd | null
  /** Where it begins: behind this record. */
  readonly from: Cursor | null
  readonly missed: (missed: Missed) => void
  /** A line that is no record. */
  readonly damaged: (file: string, before: number) => void
}

/** How far a segment is read. */
interface Place {
  readonly segment: string
  readonly offset: number
  /** Nothing more will come. */
  readonly done: boolean
}

interface OpenSegment {
  readonly file: string
  readonly segment: string
  readonly lines: LineSource
  /** Highest number that counts. */
  readonly limit: number
  /** Read to the end of what is known to be durable, and not yet to its own end. */
  readonly live: boolean
}

/**
 * The records of a directory in order, up to what is on stable storage: of the live segment the bytes that are synced, of an
 * abandoned one the records that its successor says were acknowledged.
 */
export class DurableTail {
  readonly #parts: TailParts
  #ready: TailRecord[] = []
  #readyBytes = 0
  #place: Place | null
  #open: OpenSegment | null = null
  #end: DurableEnd | null = null
  #last: { readonly log: string; readonly seq: number } | null
  #before: TailRecord | null = null
  /** Records of the first segment up to this one were handed over before. */
  #skip: { readonly segment: string; readonly seq: number } | null

  constructor(parts: TailParts) {
    const { from } = parts
    this.#parts = parts
    this.#last = from
    this.#place = from === null ? null : { segment: segmentOf(from.file), offset: 0, done: false }
    this.#skip = from === null ? null : { segment: segmentOf(from.file), seq: from.seq }
  }

  /** The record it began behind, once it was seen. */
  get before(): TailRecord | null {
    return this.#before
  }

  /** Reads on until so much is ready, or all there is. Rejects when something cannot be read; it can be called again. */
  async fill(records: number, bytes: number): Promise<void> {
    while (this.#ready.length < records && this.#readyBytes < bytes) {
      if (!(await this.#read())) return
    }
  }

  /**
   * The log is closed, and so says no more how far it is on stable storage: its last segment says it, if it was sealed. The
   * next process would take its word, too.
   */
  async finish(): Promise<void> {
    const { dir, files, durable } = this.#parts
    if (durable() !== null) return
    const file = (await segmentFiles(files, dir)).at(-1)
    if (file !== undefined) this.#end = (await sealedEnd(files, dir, file)) ?? this.#end
  }

  /** What can be handed over at once: records of one log whose numbers grow. They stay until they are dropped. */
  batch(records: number, bytes: number): readonly TailRecord[] {
    let size = 0
    const end = this.#ready.findIndex((record, index) => {
      const before = this.#ready[index - 1]
      size += record.bytes
      if (before === undefined) return false
      return index === records || size > bytes || record.log !== before.log || record.seq <= before.seq
    })
    return end < 0 ? this.#ready : this.#ready.slice(0, end)
  }

  /** Takes the first ones away. */
  drop(count: number): void {
    for (const record of this.#ready.slice(0, count)) this.#readyBytes -= record.bytes
    this.#ready = this.#ready.slice(count)
  }

  async close(): Promise<void> {
    await this.#open?.lines.close()
    this.#open = null
  }

  /** Takes one line; answers false where there is no more for now. */
  async #read(): Promise<boolean> {
    this.#open ??= await this.#openNext()
    if (this.#open === null) return false
    const line = await this.#open.lines.next()
    if (line?.form === 'whole' && this.#take(this.#open, line)) return true
    const { segment, live } = this.#open
    // A torn end of a segment that takes nothing more was never acknowledged.
    if (!live) this.#place = { segment, offset: 0, done: true }
    await this.close()
    return !live
  }

  /** Answers false behind the last record that counts. */
  #take({ file, segment, limit }: OpenSegment, line: RawLine): boolean {
    const record = readRecord(file, line)
    if (record !== null && record.seq > limit) return false
    this.#place = { segment, offset: line.end, done: false }
    const skipped = this.#skip?.segment === segment ? this.#skip.seq : -1
    // The last one to skip ends the skipping: what is damaged behind it was not told of yet.
    if (record === null ? skipped < 0 : record.seq >= skipped) this.#skip = null
    if (record !== null && record.seq > skipped) this.#add(record)
    if (record?.seq === skipped) this.#before = record
    if (record === null && skipped < 0) this.#parts.damaged(file, line.end)
    return true
  }

  #add(record: TailRecord): void {
    const previous = previousOf(record)
    const had = this.#last?.log === record.log ? this.#last.seq : -1
    if (previous !== null && previous.seq > had) this.#parts.missed({ from: had + 1, to: previous.seq })
    this.#last = record
    this.#ready.push(record)
    this.#readyBytes += record.bytes
  }

  async #openNext(): Promise<OpenSegment | null> {
    // What was on stable storage once stays so, also when its segment was given up since.
    this.#end = this.#parts.durable() ?? this.#end
    const end = this.#end
    if (end === null) return null
    const place = this.#place
    const live = segmentOf(end.file)
    if (place?.segment === live && (place.done || end.bytes <= place.offset)) return null
    const names = (await segmentFiles(this.#parts.files, this.#parts.dir)).filter((name) => segmentOf(name) <= live)
    const name = names.find((one) => isNext(segmentOf(one), place))
    return name === undefined ? null : await this.#openSegment(name, names, end)
  }

  async #openSegment(name: string, names: readonly string[], end: DurableEnd): Promise<OpenSegment | null> {
    const { dir, files } = this.#parts
    const segment = segmentOf(name)
    const live = segment === segmentOf(end.file)
    const from = this.#place?.segment === segment ? this.#place.offset : 0
    const later = names.slice(names.indexOf(name) + 1)
    try {
      const limit = live ? Number.MAX_SAFE_INTEGER : await acknowledgedIn(files, dir, segment, later)
      const lines = await openLines(files, dir, name, { from, end: live ? end.bytes : null })
      return { file: `${segment}.ndjson`, segment, lines, limit, live }
    } catch (error) {
      // Deleted or compressed in this moment: the next look into the directory shows which.
      if (errorCode(error) === 'ENOENT') return null
      throw error
    }
  }
}

const isNext = (segment: string, place: Place | null): boolean =>
  place === null || segment > place.segment || (segment === place.segment && !place.done)
