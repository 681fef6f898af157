import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Files } from '../audit/files.ts'
import { segmentOf } from '../audit/read-segments.ts'
import type { ReadableFile } from '../audit/read-segments.ts'
import type { Database } from './duck.ts'
import { filesOf, prefixIn, takeLines } from './intake.ts'
import { syncDir } from './manifest.ts'
import type { Indexed, Late, Part } from './manifest.ts'
import { allColumns, firstOutcomes, joinedColumns, noOutcome, outcomeNames, outcomeRows, ownColumns } from './sql-text.ts'
import { quoted, quotedList, recordRows } from './sql-text.ts'

/** Where the index is made. */
export interface Workshop {
  readonly db: Database
  readonly files: Files
  /** The index's directory, and one in it for what is not ready. */
  readonly index: string
  readonly scratch: string
  /** A number that no file of this index has. */
  readonly number: () => number
}

const sorted = 'ORDER BY subject NULLS FIRST, ts, log, seq'
const parquet = 'FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480'
const outcomeColumnsText = ['request', ...outcomeNames].join(', ')
const readParts = (paths: readonly string[]): string => `read_parquet(${quotedList(paths)}, hive_partitioning = false)`

/** What a segment adds to the index. */
export interface Built {
  readonly indexed: Indexed
  readonly parts: readonly Part[]
  readonly late: Late | null
}

/** Makes parts of a segment, one for each day in it. `late`: path of the outcomes that wait already. */
export async function buildSegment(
  shop: Workshop,
  source: ReadableFile,
  { late, gone }: { readonly late: string | null; readonly gone: readonly string[] },
): Promise<Built> {
  const segment = segmentOf(source.file)
  const taken = await takeLines(shop.files, source, { from: 0, segment, prefix: prefixIn(shop.scratch, shop.number()) })
  try {
    if (taken.damage !== null) throw taken.damage
    const outcomes = taken.outcomes.rows === 0 ? null : firstOutcomes(outcomeRows([taken.outcomes.path]))
    const parts: Part[] = []
    for (const [day, { path, rows, from, to }] of taken.days) {
      const own = recordRows([path])
      const select =
        outcomes === null
          ? `SELECT ${ownColumns}, ${noOutcome} FROM (${own})`
          : `SELECT ${joinedColumns} FROM (SELECT ${ownColumns}, ${noOutcome} FROM (${own})) r
             LEFT JOIN (${outcomes}) o ON o.request = r.request`
      parts.push({ ...(await writePart(shop, day, 0, select)), rows, from, to, segments: [segment] })
    }
    const indexed = { size: source.size, chain: taken.chain, records: taken.records }
    const paths = [...taken.days.values()].map(({ path }) => path)
    return { indexed, parts, late: await writeLate(shop, { late, gone: [...gone, segment] }, outcomes, paths) }
  } finally {
    for (const file of filesOf(taken)) await rm(file, { force: true })
  }
}

/** Makes one part of several of one day, with the outcomes that came late. */
export async function mergeParts(shop: Workshop, parts: readonly Part[], late: string | null): Promise<Part> {
  const source = `SELECT ${allColumns} FROM ${readParts(parts.map(({ file }) => join(shop.index, file)))}`
  const select =
    late === null
      ? source
      : `SELECT ${joinedColumns} FROM (${source}) r
         LEFT JOIN (${firstOutcomes(`SELECT * FROM read_parquet(${quoted(late)})`)}) o ON o.request = r.request`
  const [first] = parts
  return {
    ...(await writePart(shop, first?.day ?? '', 1 + Math.max(...parts.map(({ level }) => level)), select)),
    rows: parts.reduce((sum, { rows }) => sum + rows, 0),
    from: Math.min(...parts.map(({ from }) => from)),
    to: Math.max(...parts.map(({ to }) => to)),
    segments: [...new Set(parts.flatMap(({ segments }) => segments))],
  }
}

/** Makes a part without the records of segments that were deleted; null where nothing is left. */
export async function stripPart(shop: Workshop, part: Part, gone: ReadonlySet<string>): Promise<Part | null> {
  const segments = part.segments.filter((segment) => !gone.has(segment))
  if (segments.length === 0) return null
  const path = join(shop.index, part.file)
  const select = `SELECT ${allColumns} FROM ${readParts([path])} WHERE list_contains(${quotedList(segments)}, segment)`
  const written = await writePart(shop, part.day, part.level, select)
  const [row] = await shop.db.query(`SELECT count(*) AS rows FROM ${readParts([join(shop.index, written.file)])}`, [])
  return { ...part, ...written, rows: Number(row?.['rows'] ?? 0), segments }
}

/**
 * The outcomes whose decisions are in older segments, with what was kept of such already. They stay when a part has joined
 * them: a part that is made anew needs them again.
 */
async function writeLate(
  shop: Workshop,
  { late, gone }: { readonly late: string | null; readonly gone: readonly string[] },
  outcomes: string | null,
  records: readonly string[],
): Promise<Late | null> {
  const own = records.length === 0 ? '' : `WHERE request NOT IN (SELECT request FROM (${recordRows(records)}) WHERE request IS NOT NULL)`
  const kept = `WHERE NOT list_contains(${quotedList(gone)}, outcome_segment)`
  const sources = [
    ...(late === null ? [] : [`SELECT ${outcomeColumnsText} FROM read_parquet(${quoted(late)}) ${kept}`]),
    ...(outcomes === null ? [] : [`SELECT ${outcomeColumnsText} FROM (${outcomes}) ${own}`]),
  ]
  return sources.length === 0 ? null : writeOutcomes(shop, sources.join(' UNION ALL '))
}

async function writeOutcomes(shop: Workshop, select: string): Promise<Late | null> {
  const file = `late-${numberText(shop.number())}.parquet`
  const written = await write(shop, file, `${select} ORDER BY request, outcome_seq`)
  if (written.rows > 0) return { file, bytes: written.bytes, sha256: written.sha256 }
  await rm(join(shop.index, file), { force: true })
  return null
}

async function writePart(shop: Workshop, day: string, level: number, select: string) {
  const dir = `day=${day}`
  await mkdir(join(shop.index, dir), { recursive: true, mode: 0o700 })
  const file = `${dir}/part-${numberText(shop.number())}.parquet`
  const { bytes, sha256 } = await write(shop, file, `SELECT ${allColumns} FROM (${select}) ${sorted}`)
  return { file, day, level, bytes, sha256 }
}

const numberText = (number: number): string => String(number).padStart(6, '0')

/** Written aside and synced before it has its name. */
async function write(shop: Workshop, file: string, select: string) {
  const aside = join(shop.scratch, `${file.replace('/', '-')}.part`)
  const path = join(shop.index, file)
  try {
    const [done] = await shop.db.query(`COPY (${select}) TO ${quoted(aside)} (${parquet})`, [])
    const handle = await open(aside, 'r+')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
    const sha256 = await digestOf(aside)
    await rename(aside, path)
    await syncDir(dirname(path))
    await syncDir(shop.index)
    return { rows: Number(done?.['Count'] ?? 0), bytes: (await stat(path)).size, sha256 }
  } catch (error) {
    await rm(aside, { force: true })
    throw error
  }
}

/** SHA-256 of a file, in hex. */
export async function digestOf(path: string): Promise<string> {
  const sum = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) sum.update(chunk)
  return sum.digest('hex')
}
