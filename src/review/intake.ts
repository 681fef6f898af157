import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Files } from '../audit/files.ts'
import { LineSource } from '../audit/read-segments.ts'
import type { ReadableFile } from '../audit/read-segments.ts'
import { chainIn } from '../audit/verify-line.ts'
import { Pairing } from './pairing.ts'
import { readLine } from './row.ts'

/** Rows on their way into a table, as JSON in a file of their own. */
export interface RowFile {
  readonly path: string
  readonly rows: number
  /** Times of the earliest and the latest, Unix milliseconds. */
  readonly from: number
  readonly to: number
}

/** What stretch of a segment was read, and where its rows are. */
export interface Intake {
  /** Records by UTC day, with their outcomes where these came soon. */
  readonly days: ReadonlyMap<string, RowFile>
  /** Outcomes whose records are not here. */
  readonly outcomes: RowFile
  /** Where in the segment's content the last whole line ends. */
  readonly position: number
  readonly records: number
  /** Of the last whole line. */
  readonly chain: string
  /** Is the last one the record that closes a segment? */
  readonly sealed: boolean
  /** Why nothing more could be read, where that is so; null at the end. */
  readonly damage: unknown
}

const flushUnits = 1024 * 1024

/** Collects rows, and writes them when there are many. */
class RowWriter {
  readonly path: string
  rows = 0
  from = Number.MAX_SAFE_INTEGER
  to = 0
  #text = ''

  constructor(path: string) {
    this.path = path
  }

  add(row: object, ts: number): void {
    this.#text += `${JSON.stringify(row)}\n`
    this.rows++
    this.from = Math.min(this.from, ts)
    this.to = Math.max(this.to, ts)
  }

  get full(): boolean {
    return this.#text.length > flushUnits
  }

  async flush(): Promise<void> {
    const text = this.#text
    this.#text = ''
    if (text !== '') await appendFile(this.path, text, { mode: 0o600 })
  }
}

/** How far a segment was read. */
type End = { -readonly [Name in Exclude<keyof Intake, 'days' | 'outcomes'>]: Intake[Name] }

const dayMs = 86_400_000

/**
 * Reads a segment's whole lines from a position on, and writes their rows below `scratch`, in files whose names begin with
 * `prefix`. What is no record is passed over: telling that is the task of `bailiwick audit verify`.
 */
export async function takeLines(
  files: Files,
  source: ReadableFile,
  { from, segment, prefix }: { readonly from: number; readonly segment: string; readonly prefix: string },
): Promise<Intake> {
  const days = new Map<number, RowWriter>()
  const outcomes = new RowWriter(`${prefix}outcomes.ndjson`)
  const write = (row: object, ts: number): void => writerOf(days, prefix, ts).add(row, ts)
  const pairing = new Pairing(write, (row) => outcomes.add(row, 0))
  const end: End = { position: from, records: 0, chain: '', sealed: false, damage: null }
  const lines = await LineSource.open(files, source, from)
  try {
    for (let line = await lines.next(); line !== undefined; line = lines.take() ?? (await lines.next())) {
      if (line.form !== 'whole') break
      end.position = line.end
      end.records++
      end.chain = chainIn(line) ?? ''
      const read = readLine(line, segment)
      end.sealed = read?.is === 'record' && read.row.kind === 'log.sealed'
      if (read === null) continue
      if (read.is === 'outcome') pairing.outcome(read.row)
      else pairing.record(read.row, read.ts)
      for (const writer of days.values()) if (writer.full) await writer.flush()
    }
  } catch (error) {
    end.damage = error
  } finally {
    await lines.close()
  }
  pairing.end()
  for (const writer of [outcomes, ...days.values()]) await writer.flush()
  return { days: new Map([...days].map(([day, writer]) => [dayText(day), writer])), outcomes, ...end }
}

const dayText = (day: number): string => new Date(day * dayMs).toISOString().slice(0, 10)

function writerOf(days: Map<number, RowWriter>, prefix: string, ts: number): RowWriter {
  const day = Math.floor(ts / dayMs)
  const known = days.get(day)
  if (known !== undefined) return known
  const made = new RowWriter(`${prefix}${dayText(day)}.ndjson`)
  days.set(day, made)
  return made
}

/** The files of an intake that there are. */
export const filesOf = ({ days, outcomes }: Intake): readonly string[] =>
  [outcomes, ...days.values()].filter(({ rows }) => rows > 0).map(({ path }) => path)

/** A new prefix in a directory. */
export const prefixIn = (scratch: string, number: number): string => join(scratch, `rows-${number}-`)
