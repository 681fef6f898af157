/** What the tests that kill a process at random moments have in common. */
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import type { VerifyReport } from '../../src/audit/verify-report.ts'

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** The seed of a run: chosen anew each time, or the one given to do a run again. */
export const seedOf = (given: string | undefined): number => Number(given ?? Math.floor(Math.random() * 1_000_000))

/** A record as it stands in the log, and the text of its line. */
export interface Kept {
  readonly seq: number
  readonly kind: string
  readonly request: string
  readonly decision: string
  readonly line: string
}

/** The whole lines of all segments in order, read without the product's readers: a torn last line is left out. */
export async function* keptRecords(dir: string, only: (segment: string) => boolean = () => true): AsyncGenerator<Kept> {
  const names = (await readdir(dir)).filter((name) => /^audit-.*\.ndjson(?:\.zst)?$/.test(name))
  for (const segment of [...new Set(names.map((name) => name.replace(/\.zst$/, '')))].toSorted().filter(only)) {
    const bytes = names.includes(segment)
      ? await readFile(join(dir, segment))
      : zstdDecompressSync(await readFile(join(dir, `${segment}.zst`)))
    for (let start = 0, end = bytes.indexOf(10); end >= 0; start = end + 1, end = bytes.indexOf(10, start)) {
      const line = bytes.subarray(start, end).toString()
      const { seq, kind, request = '', decision = '' }: Partial<Kept> = JSON.parse(line)
      yield { seq: Number(seq), kind: String(kind), request, decision, line }
    }
  }
}

/** A request of which the first byte of an answer arrived. */
export interface Answered {
  /** As the answer's header names it. */
  readonly id: string
  readonly status: number
  /** A word that only this request has in it. */
  readonly mark: string
}

/** What the log says of a ledger. */
export interface LedgerFindings {
  readonly records: number
  /** Answers without a record of their decision. */
  readonly missing: readonly string[]
  /** Answers whose record is of another request, or says the opposite. */
  readonly contradicted: readonly string[]
  /** Numbers that two records have. */
  readonly twice: readonly number[]
}

const refusals = new Set([401, 403, 404, 405, 422])

/** Compares what clients were answered with what is on record. */
export async function checkLedger(dir: string, ledger: readonly Answered[]): Promise<LedgerFindings> {
  const decisions = new Map<string, Kept>()
  const numbers = new Set<number>()
  const twice: number[] = []
  let records = 0
  for await (const kept of keptRecords(dir)) {
    records += 1
    if (numbers.has(kept.seq)) twice.push(kept.seq)
    numbers.add(kept.seq)
    if (kept.kind === 'decision') decisions.set(kept.request, kept)
  }
  const contradicted = ledger.filter(({ id, status, mark }) => {
    const found = decisions.get(id)
    if (found === undefined) return false
    return !found.line.includes(mark) || found.decision !== (refusals.has(status) ? 'deny' : 'allow')
  })
  return {
    records,
    missing: ledger.filter(({ id }) => !decisions.has(id)).map(({ id }) => id),
    contradicted: contradicted.map(({ id, status }) => `${id} ${status} ${decisions.get(id)?.line}`),
    twice,
  }
}

/** What `verify` may remark of a log whose writer was killed, and nothing else. */
const ofKills = [
  /^line \d+: a torn tail of \d+ bytes, of a record that was never acknowledged$/,
  /^line \d+ is torn: a checkpoint that was being written$/,
  /^line \d+ is no checkpoint: the second place was damaged, or its disk full$/,
  /^checkpoints \d+ to \d+ were not copied$/,
  /^it holds no whole record: the gateway died, or its disk was full, as it was made$/,
  /^the segment is still there: its deletion began, and was not finished$/,
  /^between checkpoints .* the gateway made none: it was stopped, could not write, or its clock was changed$/,
]

/** The remarks that a kill does not explain. */
export const unexplained = ({ remarks }: VerifyReport): readonly string[] =>
  remarks.map(({ sentence }) => sentence).filter((sentence) => !ofKills.some((known) => known.test(sentence)))
