/** An audit directory as a gateway makes it, of which a test decides what is on stable storage. */
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { auditLimits } from '../../src/audit/limits.ts'
import { encodeEntry, firstChain, recordLine } from '../../src/audit/line.ts'
import { segmentName } from '../../src/audit/previous.ts'
import type { AnyEntry, PreviousSegment } from '../../src/audit/record.ts'
import type { DurableEnd } from '../../src/audit/sinks/tail.ts'
import { decision } from '../unit/audit/support.ts'

export class TestLog {
  readonly dir: string
  readonly id: string
  /** The lines that count, in order. */
  readonly lines: string[] = []
  /** Names of the segments. */
  readonly segments: string[] = []
  #seq = 0
  #chain = firstChain
  #bytes = 0
  #durable: DurableEnd | null = null
  #time = Date.parse('2026-11-21T08:00:00.000Z')

  constructor(dir: string, id = 'log-1') {
    this.dir = dir
    this.id = id
    this.#open(null)
  }

  readonly durable = (): DurableEnd | null => this.#durable

  get seq(): number {
    return this.#seq - 1
  }

  get file(): string {
    return this.segments.at(-1) ?? ''
  }

  /** Keeps records; they are on stable storage. */
  append(...entries: readonly AnyEntry[]): void {
    for (const entry of entries) this.lines.push(this.#write(entry))
    this.#durable = { file: this.file, bytes: this.#bytes, seq: this.#seq - 1 }
  }

  /** Keeps so many decisions; their requests are `r-<seq>`. */
  fill(count: number): void {
    for (let n = 0; n < count; n++) this.append(decision(`r-${this.#seq}`))
  }

  /** Writes a record that is not known to be on stable storage. Answers its line. */
  writeOnly(entry: AnyEntry): string {
    return this.#write(entry)
  }

  /** Writes bytes that are no record. */
  scribble(text: string): void {
    appendFileSync(join(this.dir, this.file), text)
    this.#bytes += Buffer.byteLength(text)
    if (text.endsWith('\n')) this.#durable = { file: this.file, bytes: this.#bytes, seq: this.#seq - 1 }
  }

  /** Goes on in a new segment. What was only written to this one was never acknowledged. */
  rotate(found: PreviousSegment['found'] = 'sealed'): void {
    if (found === 'sealed') this.append({ kind: 'log.sealed', records: 1, lost: 0 })
    const seq = this.#durable?.seq ?? 0
    this.#open({ file: this.file, found, seq, chain: this.#chain })
  }

  #open(previous: PreviousSegment | null): void {
    this.#time += 1_000
    this.segments.push(segmentName(this.#time, 'boot'))
    writeFileSync(join(this.dir, this.file), '')
    ;[this.#bytes, this.#chain] = [0, firstChain]
    this.append({ kind: 'log.opened', writer: { pid: 1, host: 'h' }, previous, unread: [] })
  }

  #write(entry: AnyEntry): string {
    const ts = new Date(this.#time).toISOString()
    const head = { seq: this.#seq++, ts, log: this.id, boot: 'boot' }
    const { line, chain } = recordLine(head, encodeEntry(entry, auditLimits), this.#chain)
    appendFileSync(join(this.dir, this.file), line)
    this.#chain = chain
    this.#bytes += Buffer.byteLength(line)
    return line.slice(0, -1)
  }
}
