import type { Files } from '../audit/files.ts'
import type { ReadableFile } from '../audit/read-segments.ts'
import { conditionsOf } from './filter.ts'
import { linesOf } from './lines.ts'
import { reviewLimits } from './limits.ts'
import { numberOf, textOf } from './review-row.ts'
import type { FoundRecord } from './review.ts'
import type { Looking } from './search.ts'
import { outcomesOf, recordsOf } from './snapshot.ts'

/** The segments by their names without an ending, and what reads them. */
export interface Log {
  readonly files: Files
  readonly segments: ReadonlyMap<string, ReadableFile>
}

/** A record's place in the log. */
export interface Spot {
  readonly log: string
  readonly segment: string
  readonly seq: number
}

const [hour, day] = [3_600_000, 86_400_000]

/** All records of a request that somebody may see, with its outcome if they may see what it is the outcome of. */
export async function recordsOfRequest(
  looking: Omit<Looking, 'filter'>,
  id: string,
  log: Log,
): Promise<readonly FoundRecord[]> {
  const spots = new Map((await spotsOf(looking, id)).map((spot) => [`${spot.segment} ${spot.seq}`, spot]))
  const found: FoundRecord[] = []
  for (const segment of new Set([...spots.values()].map((spot) => spot.segment))) {
    const source = log.segments.get(segment)
    if (source === undefined) continue
    const here = [...spots.values()].filter((spot) => spot.segment === segment)
    const seqs = here.map(({ seq }) => seq).toSorted((one, other) => one - other)
    for await (const [seq, line] of linesOf(log.files, source, seqs)) {
      found.push({ log: here[0]?.log ?? '', seq, segment, line: line.toString('utf8') })
    }
  }
  return found.toSorted((one, other) => one.seq - other.seq)
}

async function spotsOf(looking: Omit<Looking, 'filter'>, id: string): Promise<readonly Spot[]> {
  const { db, snapshot, within, signal } = looking
  const rows = await rowsOf(looking, id)
  const spots = rows.flatMap((row): Spot[] => {
    const log = textOf(row['log']) ?? ''
    const outcome = textOf(row['outcome_segment'])
    const own = { log, segment: textOf(row['segment']) ?? '', seq: Number(row['seq']) }
    return outcome === null ? [own] : [own, { log, segment: outcome, seq: numberOf(row['outcome_seq']) ?? 0 }]
  })
  const source = outcomesOf(snapshot)
  // An outcome names no cluster: it is seen by those who see what it is the outcome of.
  if (source === null || (rows.length === 0 && within !== 'all')) return spots
  const sql = `SELECT outcome_segment, outcome_seq FROM (${source}) WHERE request = $1 LIMIT ${reviewLimits.requestRecords}`
  const outcomes = await db.query(sql, [id], signal)
  const log = spots[0]?.log ?? ''
  return [
    ...spots,
    ...outcomes.map((row) => ({ log, segment: textOf(row['outcome_segment']) ?? '', seq: Number(row['outcome_seq']) })),
  ]
}

async function rowsOf({ db, snapshot, within, signal }: Omit<Looking, 'filter'>, id: string) {
  const look = async (from: number, to: number) => {
    const where = conditionsOf(from === -Infinity ? {} : { from, to }, within, null).and('request = ?', id)
    const sql = `SELECT log, segment, seq, outcome_segment, outcome_seq FROM (${recordsOf(snapshot, { from, to })})
      WHERE ${where.sql} ORDER BY log, seq LIMIT ${reviewLimits.requestRecords}`
    return db.query(sql, where.values, signal)
  }
  // Ids of version 7 begin with their time (RFC 9562): most often a look around it is enough.
  const [, high, low] = /^([0-9a-f]{8})-([0-9a-f]{4})-7/.exec(id) ?? []
  const at = high === undefined || low === undefined ? null : Number.parseInt(high + low, 16)
  const soon = at === null ? [] : await look(at - hour, at + day)
  return soon.length > 0 ? soon : look(-Infinity, Infinity)
}
