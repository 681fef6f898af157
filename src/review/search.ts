import { behind, cursorOf, isBefore, placeOf } from './cursor.ts'
import type { Place } from './cursor.ts'
import type { Database, Row } from './duck.ts'
import { refused } from './failure.ts'
import { Conditions, conditionsOf, during, placesFor } from './filter.ts'
import { Folding } from './fold.ts'
import type { Foldable, Folded } from './fold.ts'
import { reviewLimits } from './limits.ts'
import type { ReviewFilter, ReviewPage, Within } from './review.ts'
import { reviewRow, textOf } from './review-row.ts'
import { outcomesOf, peopleOf, recordsOf, sizeOf, spanOf } from './snapshot.ts'
import type { Snapshot, Span } from './snapshot.ts'

/** What a search is made of. */
export interface Looking {
  readonly db: Database
  readonly snapshot: Snapshot
  readonly filter: ReviewFilter
  readonly within: Within
  readonly signal: AbortSignal
}

interface Found extends Foldable {
  readonly row: Row
}

const wanted = `log, seq, epoch_ms(ts) AS at, kind, request, name, subject, cluster, endpoint, query, decision, reason,
  coalesce(dashboard_title, dashboard) AS dashboard, metrics, rules, scope, fold, status, ms, bytes,
  series`

/** A page of records, newest first. */
export async function search(
  looking: Looking,
  { after, limit }: { readonly after: string | null; readonly limit: number },
): Promise<ReviewPage> {
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > reviewLimits.pageRows) {
    throw refused(`a page of ${limit} rows`, `ask for 1 to ${reviewLimits.pageRows}`)
  }
  const start = after === null ? null : placeOf(after)
  const subjects = await subjectsOf(looking)
  const scan = new Scan(looking, subjects, start, limit)
  const first = await scan.next()
  const folding = new Folding<Found>(await chainsBefore(looking, subjects, start, first))
  let rows: readonly Folded<Found>[] = []
  let found: readonly Found[] | null = first
  for (; found !== null; found = await scan.next()) {
    for (const one of found) folding.add(one)
    rows = folding.settled(scan.reached)
    if (rows.length > limit) break
  }
  if (found === null) rows = folding.settled(-Infinity)
  const ordered = rows.toSorted((one, other) => (isBefore(one.first.place, other.first.place) ? -1 : 1))
  const page = ordered.slice(0, limit)
  const last = ordered.length > limit ? page.at(-1) : undefined
  const outcomes = await outcomesFor(looking, page)
  return {
    rows: page.map(({ first, repeats }) => reviewRow(first.row, outcomes.get(String(first.row['request'])), repeats)),
    next: last === undefined ? null : cursorOf(last.first.place),
  }
}

/** The subjects of people whom a filter names: with them the sorted index is read in few places. */
export async function subjectsOf(looking: Looking): Promise<readonly string[] | null> {
  const { db, snapshot, filter, signal } = looking
  if (filter.person === undefined) return null
  const sql = `SELECT DISTINCT subject FROM (${peopleOf(snapshot)}) WHERE name = $1 AND subject IS NOT NULL LIMIT 1001`
  const found = (await db.query(sql, [filter.person], signal)).map(({ subject }) => String(subject))
  // A name that a thousand people have narrows nothing.
  return found.length > 1_000 ? null : [...new Set([filter.person, ...found])]
}

/** Reads records newest first, a stretch of time after the other: a whole log must not be sorted for its newest rows. */
class Scan {
  readonly #looking: Looking
  readonly #subjects: readonly string[] | null
  readonly #rows: number
  readonly #span: Span | null
  #place: Place | null
  #from: number
  #width: number
  /** Records older than this have not been seen. */
  reached = Infinity

  constructor(looking: Looking, subjects: readonly string[] | null, start: Place | null, limit: number) {
    const { snapshot, filter } = looking
    const whole = spanOf(snapshot)
    this.#looking = looking
    this.#subjects = subjects
    this.#rows = limit * 2 + 50
    this.#place = start
    const from = Math.max(whole?.from ?? 0, filter.from ?? 0)
    const to = Math.min(whole?.to ?? 0, filter.to ?? Infinity, (start?.at ?? Infinity) + 1)
    this.#span = from < to ? { from, to } : null
    this.#from = to
    const rows = Math.max(1, sizeOf(snapshot))
    const dense = ((whole?.to ?? 0) - (whole?.from ?? 0)) * ((this.#rows * 4) / rows)
    // The index is sorted by person: there, one look at all times costs less than several.
    this.#width = filter.person === undefined ? Math.max(1_000, Math.ceil(dense)) : Infinity
    if (this.#span !== null) this.#back(this.#span)
  }

  /** The records that come next; null at the end. */
  async next(): Promise<readonly Found[] | null> {
    const span = this.#span
    if (span === null || this.reached === -Infinity) return null
    const found = await this.#read({ from: this.#from, to: span.to })
    const last = found.at(-1)
    if (last !== undefined) this.#place = last.place
    if (last !== undefined && found.length === this.#rows) {
      this.reached = last.place.at
    } else if (this.#from <= span.from) {
      this.reached = -Infinity
    } else {
      this.reached = this.#from
      this.#place = { at: this.#from, log: '', seq: 0 }
      this.#back(span)
    }
    return found
  }

  #back({ from }: Span): void {
    this.#from = Math.max(from, this.#from - this.#width)
    this.#width *= 8
  }

  async #read({ from, to }: Span): Promise<readonly Found[]> {
    const { db, snapshot, filter, within, signal } = this.#looking
    const upTo = Math.min(to, (this.#place?.at ?? Infinity) + 1)
    const where = during(conditionsOf(filter, within, this.#subjects), from, upTo)
    if (this.#place !== null) where.and(...behind(this.#place))
    const order = `ORDER BY ts DESC, log DESC, seq DESC LIMIT ${this.#rows}`
    const sql = `SELECT ${wanted} FROM (${recordsOf(snapshot, { from, to: upTo }, this.#subjects)}) WHERE ${where.sql} ${order}`
    return (await db.query(sql, where.values, signal)).map(foundOf)
  }
}

function foundOf(row: Row): Found {
  const place = { at: Number(row['at']), log: textOf(row['log']) ?? '', seq: Number(row['seq']) }
  const fold = textOf(row['fold'])
  // A refusal is never folded into something allowed.
  const key = fold === null ? null : JSON.stringify([fold, row['decision'], row['reason'], row['kind']])
  return { place, key, row }
}

/** Of the chains that the first records of a page go on with: what is newer than the page. */
async function chainsBefore(
  { db, snapshot, filter, within, signal }: Looking,
  subjects: readonly string[] | null,
  start: Place | null,
  first: readonly Found[] | null,
): Promise<ReadonlyMap<string, { readonly at: number; readonly count: number }>> {
  if (start === null || first === null) return new Map()
  const near = first.filter(({ key, place }) => key !== null && place.at >= start.at - reviewLimits.foldMs)
  const folds = [...new Set(near.map(({ row }) => textOf(row['fold']) ?? ''))]
  if (folds.length === 0) return new Map()
  const span = { from: start.at, to: start.at + 3_600_000 }
  const where = during(conditionsOf(filter, within, subjects), span.from, span.to)
  where.and(`fold IN (${placesFor(folds)})`, ...folds).and(`NOT ${behind(start)[0]}`, ...behind(start).slice(1))
  const sql = `SELECT fold, kind, decision, reason, log, seq, epoch_ms(ts) AS at FROM (${recordsOf(snapshot, span, subjects)})
    WHERE ${where.sql} ORDER BY ts, log, seq LIMIT 20000`
  const chains = new Map<string, { at: number; newest: number; count: number }>()
  for (const { key, place } of (await db.query(sql, where.values, signal)).map(foundOf)) {
    const chain = chains.get(key ?? '')
    if (chain === undefined) chains.set(key ?? '', { at: place.at, newest: place.at, count: 1 })
    else if (place.at - chain.newest <= reviewLimits.foldMs) {
      chain.newest = place.at
      chain.count++
    }
  }
  return chains
}

const isOpen = ({ first }: Folded<Found>): boolean => first.row['status'] === null && first.row['request'] !== null

/** The outcomes that are not joined yet, of the records of a page. */
async function outcomesFor(
  { db, snapshot, signal }: Looking,
  page: readonly Folded<Found>[],
): Promise<ReadonlyMap<string, Row>> {
  const source = outcomesOf(snapshot)
  const open = page.filter(isOpen).map(({ first }) => String(first.row['request']))
  if (source === null || open.length === 0) return new Map()
  const where = new Conditions().and(`request IN (${placesFor(open)})`, ...open)
  const sql = `SELECT request, status, ms, bytes, series FROM (${source}) WHERE ${where.sql} ORDER BY outcome_seq DESC`
  return new Map((await db.query(sql, where.values, signal)).map((row) => [String(row['request']), row]))
}
