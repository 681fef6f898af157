import { createHash, randomBytes } from 'node:crypto'

import { chmod, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf } from './build.ts'
import { columns } from './columns.ts'
import { csvLine } from './csv.ts'
import type { Values } from './duck.ts'
import { conditionsOf } from './filter.ts'
import { linesOf } from './lines.ts'
import type { Log } from './request.ts'
import type { Exported, ExportFormat } from './review.ts'
import { subjectsOf } from './search.ts'
import type { Looking } from './search.ts'
import { joined, outcomesOf, recordsOf } from './snapshot.ts'
import { allColumns, nameText, quoted } from './sql-text.ts'

/** Where an export goes, and where its lines come from. */
interface Place {
  readonly log: Log
  readonly dir: string
  progress(records: number): void
}

type Made = Omit<Exported, 'done'>

interface Selected {
  readonly sql: string
  readonly values: Values
}

/** Writes what a filter lets through into a file that only this user can read. */
export async function exportRecords(looking: Looking, format: ExportFormat, place: Place): Promise<Made> {
  const path = join(place.dir, `export-${randomBytes(8).toString('hex')}.${format}`)
  const { filter, within, snapshot } = looking
  const subjects = await subjectsOf(looking)
  const where = conditionsOf(filter, within, subjects)
  const span = { from: filter.from ?? -Infinity, to: filter.to ?? Infinity }
  const records = `SELECT * FROM (${recordsOf(snapshot, span, subjects)}) WHERE ${where.sql}`
  const selected = { sql: joined(records, outcomesOf(snapshot)), values: where.values }
  try {
    if (format === 'parquet') return await exportParquet(looking, selected, path, place)
    const lines = format === 'csv' ? csvLines(looking, selected) : recordLines(looking, selected, place)
    return await writeLines(lines, path, format === 'csv' ? 1 : 0, place, looking.signal)
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
}

async function exportParquet({ db, signal }: Looking, selected: Selected, path: string, place: Place): Promise<Made> {
  const { sql, values } = selected
  const [count] = await db.query(`SELECT count(*) AS records FROM (${sql})`, values, signal)
  const records = Number(count?.['records'] ?? 0)
  const copy = `COPY (SELECT ${allColumns} FROM (${sql}) ORDER BY ts, log, seq) TO ${quoted(path)} (FORMAT parquet, COMPRESSION zstd)`
  await db.query(copy, values, signal, (ratio) => place.progress(Math.floor(records * ratio)))
  await chmod(path, 0o600)
  place.progress(records)
  return { path, records, bytes: (await stat(path)).size, sha256: await digestOf(path) }
}

async function* csvLines({ db, signal }: Looking, { sql, values }: Selected): AsyncGenerator<string | Buffer> {
  const entries = Object.entries(columns)
  const read = entries.map(([name, type]) => {
    if (type === 'TIMESTAMP WITH TIME ZONE') return `epoch_ms(${nameText(name)}) AS ${nameText(name)}`
    return type === 'VARCHAR[]' ? `to_json(${nameText(name)})::VARCHAR AS ${nameText(name)}` : nameText(name)
  })
  const select = `SELECT ${read.join(', ')} FROM (SELECT * FROM (${sql}) ORDER BY ts, log, seq)`
  yield csvLine(entries.map(([name]) => name))
  for await (const rows of db.stream(select, values, signal)) {
    for (const row of rows) yield csvLine(entries.map(([name, type]) => cellOf(row[name], type)))
  }
}

function cellOf(value: unknown, type: string): string | number | null {
  if (value === null || value === undefined) return null
  if (type === 'TIMESTAMP WITH TIME ZONE') return new Date(Number(value)).toISOString()
  if (typeof value === 'bigint' || typeof value === 'number') return Number(value)
  return typeof value === 'string' ? value : null
}

/** The lines of records and their outcomes, byte for byte, in the order of the log. */
async function* recordLines(
  { db, signal }: Looking,
  { sql, values }: Selected,
  { log }: Place,
): AsyncGenerator<string | Buffer> {
  const spots = `WITH found AS MATERIALIZED (SELECT segment, seq, outcome_segment, outcome_seq FROM (${sql}))
    SELECT segment, seq FROM found UNION
    SELECT outcome_segment, outcome_seq FROM found WHERE outcome_seq IS NOT NULL`
  const grouped = `SELECT segment, seq FROM (${spots}) ORDER BY segment, seq`
  let [segment, seqs]: [string, number[]] = ['', []]
  for await (const rows of db.stream(grouped, values, signal)) {
    for (const row of rows) {
      if (row['segment'] !== segment) {
        yield* segmentLines(log, segment, seqs)
        segment = String(row['segment'])
        seqs = []
      }
      seqs.push(Number(row['seq']))
    }
  }
  yield* segmentLines(log, segment, seqs)
}

async function* segmentLines(log: Place['log'], segment: string, seqs: readonly number[]): AsyncGenerator<Buffer> {
  if (seqs.length === 0) return
  const source = log.segments.get(segment)
  if (source === undefined) throw new Error(`segment ${segment} was deleted meanwhile`)
  const newline = Buffer.from('\n')
  for await (const [, line] of linesOf(log.files, source, seqs)) yield Buffer.concat([line, newline])
}

const flushBytes = 1024 * 1024

async function writeLines(
  lines: AsyncIterable<string | Buffer>,
  path: string,
  heads: number,
  place: Place,
  signal: AbortSignal,
): Promise<Made> {
  const sum = createHash('sha256')
  const handle = await open(path, 'wx', 0o600)
  let [count, bytes, pending]: [number, number, Buffer[]] = [-heads, 0, []]
  let waiting = 0
  const flush = async (): Promise<void> => {
    const block = Buffer.concat(pending)
    ;[pending, waiting] = [[], 0]
    sum.update(block)
    bytes += block.length
    await handle.writeFile(block)
    place.progress(Math.max(0, count))
  }
  try {
    for await (const line of lines) {
      signal.throwIfAborted()
      const block = typeof line === 'string' ? Buffer.from(line) : line
      pending.push(block)
      waiting += block.length
      count++
      if (waiting > flushBytes) await flush()
    }
    await flush()
  } finally {
    await handle.close()
  }
  return { path, records: count, bytes, sha256: sum.digest('hex') }
}
