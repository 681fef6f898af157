import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Files } from '../audit/files.ts'
import { segmentOf } from '../audit/read-segments.ts'
import type { ReadableFile } from '../audit/read-segments.ts'
import type { Database, Row, Values } from './duck.ts'
import { filesOf, prefixIn, takeLines } from './intake.ts'
import { reviewLimits } from './limits.ts'
import { syncDir } from './manifest.ts'
import type { Indexed, Part, SideFile } from './manifest.ts'
import { allColumns, firstOutcomes, joinedColumns, outcomeNames, outcomeRows } from './sql-text.ts'
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

const parquet = 'FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480'
const outcomeColumnsText = ['request', ...outcomeNames].join(', ')
const readParts = (paths: readonly string[]): string => `read_parquet(${quotedList(paths)}, hive_partitioning = false)`

/** What a segment adds to the index. */
export interface Built {
  readonly indexed: Indexed
  readonly parts: readonly Part[]
  readonly late: SideFile | null
  /** Undefined: as before. */
  readonly people: SideFile | undefined
}

/** Paths of what there is beside the parts, and the segments that were deleted. */
export interface Before {
  readonly late: string | null
  readonly people: string | null
  readonly gone: readonly string[]
}

/** Makes parts of a segment, one for each day in it. `late`: path of the outcomes that wait already. */
export async function buildSegment(
  shop: Workshop,
  source: ReadableFile,
  { late, people, gone }: Before,
): Promise<Built> {
  const segment = segmentOf(source.file)
  const taken = await takeLines(shop.files, source, { from: 0, segment, prefix: prefixIn(shop.scratch, shop.number()) })
  try {
    if (taken.damage !== null) throw taken.damage
    const parts: Part[] = []
    const batch = shop.number()
    for (const [day, { path }] of taken.days) {
      // Written as it comes first: in a sorted order it is read several times, and JSON is slow to read.
      const plain = await write(shop, `plain-${shop.number()}.parquet`, recordRows([path]), shop.scratch)
      parts.push(...(await sortInto(shop, { day, level: 0, batch, segments: [segment] }, readParts([plain.path]))))
      await rm(plain.path, { force: true })
    }
    const outcomes = taken.outcomes.rows === 0 ? null : outcomeRows([taken.outcomes.path])
    const indexed = { size: source.size, chain: taken.chain, records: taken.records }
    const paths = parts.map(({ file }) => join(shop.index, file))
    const named = paths.length === 0 ? undefined : await writePeople(shop, people, paths)
    const left = await writeLate(shop, { late, gone: [...gone, segment] }, outcomes)
    return { indexed, parts, late: left, people: named }
  } finally {
    for (const file of filesOf(taken)) await rm(file, { force: true })
  }
}

/** Makes parts of several of one day, in which each person's records stand together, with the outcomes that came late. */
export async function mergeParts(
  shop: Workshop,
  parts: readonly Part[],
  late: string | null,
): Promise<readonly Part[]> {
  const source = readParts(parts.map(({ file }) => join(shop.index, file)))
  const segments = [...new Set(parts.flatMap((part) => part.segments))]
  const level = 1 + Math.max(...parts.map((part) => part.level))
  return sortInto(shop, { day: parts[0]?.day ?? '', level, batch: shop.number(), segments }, source, late)
}

type Kind = Pick<Part, 'day' | 'level' | 'batch' | 'segments'>

/** Sorts records into parts that each hold some people's, so that sorting one of them takes little memory. */
async function sortInto(
  shop: Workshop,
  kind: Kind,
  source: string,
  late: string | null = null,
): Promise<readonly Part[]> {
  const counts = await shop.db.query(
    `SELECT subject, count(*) AS rows FROM ${source} GROUP BY subject ORDER BY subject NULLS FIRST`,
    [],
  )
  const parts: Part[] = []
  for (const { least, most } of rangesOf(counts)) {
    const where = least === null ? '(subject IS NULL OR subject <= $1)' : 'subject >= $2 AND subject <= $1'
    const own = `SELECT ${allColumns} FROM ${source} WHERE ${where}`
    const select =
      late === null
        ? own
        : `SELECT ${joinedColumns} FROM (${own}) r
           LEFT JOIN (${firstOutcomes(`SELECT * FROM read_parquet(${quoted(late)})`)}) o ON o.request = r.request`
    const values = least === null ? [most] : [most, least]
    parts.push(await writePart(shop, kind, select, values))
  }
  return parts
}

/** Stretches of people with not too many records; people without a name are in the first. */
function rangesOf(counts: readonly Row[]): readonly { readonly least: string | null; readonly most: string }[] {
  const ranges: { least: string | null; most: string }[] = []
  let rows = Infinity
  for (const count of counts) {
    const subject = typeof count['subject'] === 'string' ? count['subject'] : null
    const range = ranges.at(-1)
    if (range === undefined || rows + Number(count['rows']) > reviewLimits.partRows) {
      ranges.push({ least: ranges.length === 0 ? null : subject, most: subject ?? '' })
      rows = 0
    } else {
      range.most = subject ?? ''
    }
    rows += Number(count['rows'])
  }
  return ranges
}

/** Makes a part without the records of segments that were deleted; null where nothing is left. */
export async function stripPart(shop: Workshop, part: Part, gone: ReadonlySet<string>): Promise<Part | null> {
  const segments = part.segments.filter((segment) => !gone.has(segment))
  if (segments.length === 0) return null
  const source = readParts([join(shop.index, part.file)])
  const left = `list_contains(${quotedList(segments)}, segment)`
  const select = `SELECT ${allColumns} FROM ${source} WHERE ${left}`
  const [count] = await shop.db.query(`SELECT count(*) AS rows FROM (${select})`, [])
  return Number(count?.['rows']) === 0 ? null : writePart(shop, { ...part, segments }, select, [])
}

/**
 * The outcomes whose decisions are in older segments, with what was kept of such already. They stay when a part has joined
 * them: a part that is made anew needs them again.
 */
async function writeLate(
  shop: Workshop,
  { late, gone }: { readonly late: string | null; readonly gone: readonly string[] },
  outcomes: string | null,
): Promise<SideFile | null> {
  const kept = `WHERE NOT list_contains(${quotedList(gone)}, outcome_segment)`
  const sources = [
    ...(late === null ? [] : [`SELECT ${outcomeColumnsText} FROM read_parquet(${quoted(late)}) ${kept}`]),
    ...(outcomes === null ? [] : [`SELECT ${outcomeColumnsText} FROM (${outcomes})`]),
  ]
  return sources.length === 0 ? null : writeOutcomes(shop, sources.join(' UNION ALL '))
}

/** Who had which name: those of before, and those of new parts. They stay when their records go; they are then in vain. */
async function writePeople(shop: Workshop, before: string | null, parts: readonly string[]): Promise<SideFile> {
  const sources = [parts, ...(before === null ? [] : [[before]])].map(
    (paths) => `SELECT subject, name FROM ${readParts(paths)}`,
  )
  const select = `SELECT DISTINCT subject, name FROM (${sources.join(' UNION ALL ')}) WHERE subject IS NOT NULL`
  const file = `people-${numberText(shop.number())}.parquet`
  const { bytes, sha256 } = await write(shop, file, `${select} ORDER BY name, subject`, shop.index)
  return { file, bytes, sha256 }
}

async function writeOutcomes(shop: Workshop, select: string): Promise<SideFile | null> {
  const file = `late-${numberText(shop.number())}.parquet`
  const { rows, bytes, sha256 } = await write(shop, file, `${select} ORDER BY request, outcome_seq`, shop.index)
  if (rows > 0) return { file, bytes, sha256 }
  await rm(join(shop.index, file), { force: true })
  return null
}

async function writePart(shop: Workshop, kind: Kind, select: string, values: Values): Promise<Part> {
  const { day, level, batch, segments } = kind
  const dir = `day=${day}`
  await mkdir(join(shop.index, dir), { recursive: true, mode: 0o700 })
  const file = `${dir}/part-${numberText(shop.number())}.parquet`
  const sorted = `SELECT ${allColumns} FROM (${select}) ORDER BY subject NULLS FIRST, ts, log, seq`
  const { path, rows, bytes, sha256 } = await write(shop, file, sorted, shop.index, values)
  const facts = 'epoch_ms(min(ts)) AS "from", epoch_ms(max(ts)) AS "to", min(subject) AS least, max(subject) AS most'
  const [found = {}] = await shop.db.query(`SELECT ${facts} FROM ${readParts([path])}`, [])
  const [least, most] = [found['least'], found['most']].map((one) => (typeof one === 'string' ? one : null))
  const span = { from: Number(found['from']), to: Number(found['to']), least: least ?? null, most: most ?? null }
  return { file, day, level, batch, segments, rows, bytes, sha256, ...span }
}

const numberText = (number: number): string => String(number).padStart(6, '0')

/** Written aside and synced before it has its name. */
async function write(shop: Workshop, file: string, select: string, into: string, values: Values = []) {
  const aside = join(shop.scratch, `${file.replace('/', '-')}.part`)
  const path = join(into, file)
  try {
    const [done] = await shop.db.query(`COPY (${select}) TO ${quoted(aside)} (${parquet})`, values)
    const rows = Number(done?.['Count'] ?? 0)
    const { size: bytes } = await stat(aside)
    if (into === shop.scratch) {
      await rename(aside, path)
      return { path, rows, bytes, sha256: '' }
    }
    await syncFile(aside)
    const sha256 = await digestOf(aside)
    await rename(aside, path)
    await syncDir(dirname(path))
    await syncDir(into)
    return { path, rows, bytes, sha256 }
  } catch (error) {
    await rm(aside, { force: true })
    throw error
  }
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r+')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** SHA-256 of a file, in hex. */
export async function digestOf(path: string): Promise<string> {
  const sum = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) sum.update(chunk)
  return sum.digest('hex')
}
