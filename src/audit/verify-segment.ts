import { createHash } from 'node:crypto'
import type { Files } from './files.ts'
import { firstChain } from './line.ts'
import { GrowingTree, leafHash } from './merkle.ts'
import { LineSource, segmentOf, type RawLine, type ReadableFile } from './read-segments.ts'
import type { TornTail } from './record.ts'
import type { CheckpointStream, Seen } from './verify-checkpoints.ts'
import { diagnose, follow, recordIn } from './verify-line.ts'
import type { Damage, DamageKind } from './verify-report.ts'
import type { DeletionRecord } from './verify-tombstones.ts'

/** A segment without damage. */
export interface SegmentEnd {
  readonly file: string
  readonly lines: number
  readonly seq: number
  readonly chain: string
  /** Of the tree over its lines. */
  readonly root: Buffer
  readonly sealed: boolean
  /** Does its first record say that checkpoints are made of it? */
  readonly announced: boolean
  /** How many of its lines a checkpoint covers. */
  readonly covered: number
  readonly tail: TornTail | null
  /** Chain value of the record whose number was asked for. */
  readonly watched: string | null
}

/** What a segment is checked against. */
export interface SegmentParts {
  readonly files: Files
  readonly readable: ReadableFile
  readonly streams: readonly CheckpointStream[]
  readonly log: string
  /** The number that its first record should have. */
  readonly firstSeq: number
  /** A number of which the next segment tells the chain value. */
  readonly watch: number | null
  /** Are there newer segments? */
  readonly isLast: boolean
  /** Checks the first record against the segments before. */
  readonly link: (opened: Partial<Record<string, unknown>>) => Promise<Damage | null>
  /** A record says that a segment was deleted. */
  readonly deleted: (record: DeletionRecord) => void
  readonly progress: (bytes: number) => void
}

const lookAhead = 1_000
const progressBytes = 8 * 1024 * 1024

/** Checks one segment, line by line, with the checkpoints that speak of it. */
export class SegmentCheck {
  readonly #parts: SegmentParts
  readonly #segment: string
  readonly #tree = new GrowingTree()
  #before: RawLine | null = null
  #chain = firstChain
  #seq: number
  #bytes = 0
  #sealed = false
  #announced = false
  #boot: unknown = null
  /** How many lines a checkpoint fits, wherever it was kept. */
  #matched = 0
  #covered = 0
  #watched: string | null = null
  #told = 0
  readonly #keyNotes: { readonly note: string; readonly line: number }[] = []
  /** Records of deletions that no checkpoint covers so far. */
  #deletions: { readonly segment: string; readonly note: string; readonly line: number }[] = []
  /** At which size the next checkpoint is due. */
  #due = 0

  constructor(parts: SegmentParts) {
    this.#parts = parts
    this.#segment = segmentOf(parts.readable.file)
    this.#seq = parts.firstSeq - 1
  }

  async run(): Promise<SegmentEnd | Damage> {
    const lines = await LineSource.open(this.#parts.files, this.#parts.readable)
    try {
      let damage = await this.#matchAll()
      if (damage !== null) return damage
      for (let raw = await lines.next(); raw?.form === 'whole'; raw = lines.take() ?? (await lines.next())) {
        damage = await this.#line(raw, lines)
        if (damage !== null) return damage
      }
      return await this.#end()
    } finally {
      await lines.close()
    }
  }

  async #line(raw: RawLine, lines: LineSource): Promise<Damage | null> {
    const chain = follow(this.#chain, raw)
    if (chain === null) {
      const ahead = await lines.ahead(lookAhead)
      const { kind, sentence } = diagnose({
        line: raw,
        before: this.#before,
        previous: this.#chain,
        expected: this.#seq + 1,
        ahead,
      })
      return this.#damage(kind, this.#tree.size + 1, sentence, recordIn(raw)['seq'])
    }
    const record = recordIn(raw)
    const damage = this.#before === null ? await this.#first(record) : this.#form(record)
    if (damage !== null) return damage
    this.#chain = chain
    this.#seq = Number(record['seq'])
    this.#bytes = raw.end
    this.#before = raw
    this.#sealed = record['kind'] === 'log.sealed'
    if (record['kind'] === 'key.changed') {
      this.#keyNotes.push({ note: String(record['note']), line: this.#tree.size + 1 })
    }
    if (record['kind'] === 'segment.deleted') {
      const [segment, note] = [String(record['segment']), String(record['note'])]
      this.#deletions.push({ segment, note, line: this.#tree.size + 1 })
    }
    if (this.#seq === this.#parts.watch) this.#watched = chain
    this.#tree.append(leafHash(raw.bytes))
    if (this.#bytes - this.#told >= progressBytes) {
      this.#parts.progress(this.#bytes - this.#told)
      this.#told = this.#bytes
    }
    return this.#tree.size >= this.#due ? await this.#matchAll() : null
  }

  async #first(record: Partial<Record<string, unknown>>): Promise<Damage | null> {
    if (record['kind'] !== 'log.opened') return this.#made('inserted', record, 'the first line is no log.opened record')
    this.#boot = record['boot']
    this.#announced = record['checkpoints'] !== undefined
    return await this.#parts.link(record)
  }

  /** What a chain that somebody made anew may hold. */
  #form(record: Partial<Record<string, unknown>>): Damage | null {
    const { seq, log, boot, kind, records } = record
    if (this.#sealed) return this.#made('inserted', record, 'it stands behind the last record, log.sealed')
    if (log !== this.#parts.log || boot !== this.#boot)
      return this.#made('inserted', record, 'it belongs to another log or start')
    if (typeof seq !== 'number' || seq < this.#seq + 1)
      return this.#made('inserted', record, `record ${this.#seq + 1} is due here`)
    if (seq > this.#seq + 1) return this.#made('deleted', record, `records from ${this.#seq + 1} on are missing`)
    if (kind === 'log.opened') return this.#made('inserted', record, 'a segment begins within another')
    if (kind === 'log.sealed' && records !== this.#tree.size) {
      return this.#made('forked', record, `it says that ${String(records)} records stand before it`)
    }
    return null
  }

  #made(kind: DamageKind, { seq }: Partial<Record<string, unknown>>, sentence: string): Damage {
    return this.#damage(kind, this.#tree.size + 1, `${sentence}, in a chain that was made anew`, seq)
  }

  /** Compares the tree with every checkpoint of this size. */
  async #matchAll(): Promise<Damage | null> {
    let due = Infinity
    for (const stream of this.#parts.streams) {
      for (;;) {
        const found = await stream.peek()
        if (found === null) break
        if ('kind' in found) return found
        const { segment, size } = found.checkpoint
        if (segment !== this.#segment) break
        if (size > this.#tree.size) {
          due = Math.min(due, size)
          break
        }
        const damage = stream.vouch() ?? this.#match(found, stream === this.#parts.streams[0])
        if (damage !== null) return damage
        stream.take()
      }
    }
    this.#due = due
    return null
  }

  #match({ checkpoint, file, line }: Seen, isLocal: boolean): Damage | null {
    const { size, root, number, log } = checkpoint
    if (log !== this.#parts.log) {
      return { kind: 'inserted', file, line, seq: null, sentence: `checkpoint ${number} is one of another log` }
    }
    if (size < this.#tree.size) {
      return { kind: 'forked', file, line, seq: null, sentence: `checkpoint ${number} covers less than one before it` }
    }
    if (!root.equals(this.#tree.root())) {
      const lines = `lines ${this.#matched + 1} to ${size}`
      return this.#damage(
        'forked',
        this.#matched + 1,
        `${lines} are not the ones of which checkpoint ${number} (${file}:${line}) was made, though their chain is whole`,
        null,
      )
    }
    if (checkpoint.chain !== this.#chain || checkpoint.seq !== this.#seq || checkpoint.bytes !== this.#bytes) {
      return { kind: 'edited', file, line, seq: null, sentence: `checkpoint ${number} contradicts itself` }
    }
    this.#matched = size
    if (!isLocal) return null
    this.#covered = size
    if (this.#deletions.length > 0) this.#tellDeletions(size, checkpoint.note.signatures[0]?.id ?? null)
    return null
  }

  #tellDeletions(size: number, signer: string | null | undefined): void {
    for (const one of this.#deletions) if (one.line <= size) this.#parts.deleted({ ...one, signer })
    this.#deletions = this.#deletions.filter(({ line }) => line > size)
  }

  async #end(): Promise<SegmentEnd | Damage> {
    const { readable, streams } = this.#parts
    for (const stream of streams) {
      const found = await stream.peek()
      if (found !== null && 'kind' in found) return found
      if (found !== null && found.checkpoint.segment === this.#segment) return this.#short(found, stream)
    }
    const tail = readable.size > this.#bytes ? await this.#tail() : null
    const [local] = streams
    const orphan = this.#keyNotes.find(({ note }) => local?.hasChange(note) === false)
    if (orphan !== undefined) {
      return this.#damage(
        (await local?.peek()) === null ? 'truncated' : 'key not valid then',
        orphan.line,
        'the checkpoints know nothing of this change of keys',
        null,
      )
    }
    if (this.#sealed && tail !== null) {
      return this.#damage('inserted', this.#tree.size + 1, 'it stands behind the last record, log.sealed', null)
    }
    this.#tellDeletions(Infinity, undefined)
    this.#parts.progress(readable.size - this.#told)
    return {
      file: readable.file,
      lines: this.#tree.size,
      seq: this.#seq,
      chain: this.#chain,
      root: this.#tree.root(),
      sealed: this.#sealed,
      announced: this.#announced,
      covered: this.#covered,
      tail,
      watched: this.#watched,
    }
  }

  /** A checkpoint covers more than there is. */
  #short({ checkpoint, file, line }: Seen, stream: CheckpointStream): Damage {
    const { number, size, bytes } = checkpoint
    const said = `checkpoint ${number} (${file}:${line}) covers ${size} lines, here are ${this.#tree.size}`
    if (this.#parts.readable.size >= bytes) return this.#damage('edited', this.#tree.size + 1, said, null)
    const isFork = stream !== this.#parts.streams[0] && !this.#parts.isLast
    return this.#damage(isFork ? 'forked' : 'truncated', this.#tree.size + 1, said, this.#seq + 1)
  }

  async #tail(): Promise<TornTail> {
    const { files, readable } = this.#parts
    const sum = createHash('sha256')
    const rest = await LineSource.open(files, readable, this.#bytes)
    try {
      for (let raw = await rest.next(); raw !== undefined; raw = await rest.next()) sum.update(raw.bytes)
    } finally {
      await rest.close()
    }
    return { bytes: readable.size - this.#bytes, sha256: sum.digest('hex') }
  }

  #damage(kind: DamageKind, line: number, sentence: string, seq: unknown): Damage {
    return { kind, file: this.#parts.readable.file, line, seq: typeof seq === 'number' ? seq : null, sentence }
  }
}
