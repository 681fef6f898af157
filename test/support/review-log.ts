import { appendFile, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeEntry, firstChain, recordLine } from '../../src/audit/line.ts'
import { auditLimits } from '../../src/audit/limits.ts'
import type { AnyEntry, DecisionEntry, OutcomeEntry } from '../../src/audit/record.ts'
import { segmentName } from '../../src/audit/segment-names.ts'
import { loadDuck } from '../../src/review/duck.ts'
import { openReview } from '../../src/review/open.ts'
import type { ReviewOptions } from '../../src/review/open.ts'
import type { Review, ReviewFilter, ReviewRow, Within } from '../../src/review/review.ts'

/** Why the tests that need DuckDB cannot run; false where they can. */
export const noDuck: string | false = await loadDuck().then((duck) =>
  duck.ok ? false : `DuckDB cannot be loaded here (an optional package): ${duck.error}`,
)

/** An entry with the time at which it was written. */
export interface Written {
  readonly at: number
  readonly entry: AnyEntry
}

export const noon = Date.parse('2026-11-20T12:00:00.000Z')

/** A decision of somebody named after their subject, about one namespace, unless said otherwise. */
export function decision(
  request: string,
  given: Partial<DecisionEntry> & { readonly person?: string } = {},
): DecisionEntry {
  const { person = 'ada', ...rest } = given
  return {
    kind: 'decision',
    request,
    received: new Date(noon).toISOString(),
    who: { issuer: 'https://id.example', subject: `u-${person}`, name: person, groups: ['team'], via: 'bearer' },
    from: { peer: '10.0.0.7' },
    cluster: 'east',
    method: 'POST',
    endpoint: '/api/v1/query',
    path: '/api/v1/query',
    asked: [['query', 'up']],
    sent: [{ path: '/api/v1/query', params: [['query', 'up{namespace="shop"}']] }],
    selectors: [{ metric: 'up', matchers: [] }],
    decision: 'allow',
    because: ['rules.csv:1'],
    scope: 'namespace: shop',
    policy: null,
    ...rest,
  }
}

export const outcome = (request: string, status = 200): OutcomeEntry => ({
  ...{ kind: 'outcome', request, status, ms: 4, bytes: 120, ended: 'complete', series: 2 },
})

const [log, boot] = ['0199c1d2-0000-7000-8000-00000000000a', '0199c1d2-0000-7000-8000-00000000000b']

/** A directory with segments that are written by hand, each with a right chain, and what reads them. */
export class ReviewLog {
  readonly root: string
  readonly directory: string
  readonly index: string
  #seq = 1
  #segments = 0
  #live: { path: string; chain: string } | null = null
  readonly #reviews: Review[] = []

  private constructor(root: string) {
    this.root = root
    this.directory = join(root, 'audit')
    this.index = join(root, 'index')
  }

  static async create(): Promise<ReviewLog> {
    const made = new ReviewLog(await mkdtemp(join(tmpdir(), 'bailiwick-review-log-')))
    await mkdir(made.directory)
    return made
  }

  /** A whole segment: opened, filled and sealed. Answers its path. */
  async segment(records: readonly Written[], sealed = true): Promise<string> {
    const path = join(this.directory, segmentName(noon + this.#segments++, boot))
    this.#live = { path, chain: firstChain }
    await this.append([
      { at: noon, entry: { kind: 'log.opened', writer: { pid: 1, host: 'h' }, previous: null, unread: [] } },
    ])
    await this.append(records)
    if (sealed) await this.append([{ at: noon, entry: { kind: 'log.sealed', records: records.length + 1, lost: 0 } }])
    return path
  }

  /** More records at the end of the newest segment. */
  async append(records: readonly Written[]): Promise<void> {
    const live = this.#live
    if (live === null) throw new Error('there is no segment')
    const lines = records.map(({ at, entry }) => {
      const head = { seq: this.#seq++, ts: new Date(at).toISOString(), log, boot }
      const { line, chain } = recordLine(head, encodeEntry(entry, auditLimits), live.chain)
      live.chain = chain
      return line
    })
    await appendFile(live.path, lines.join(''))
  }

  /** All whole lines of the log, in order. */
  async lines(): Promise<readonly string[]> {
    const found: string[] = []
    for (const file of (await readdir(this.directory)).filter((name) => name.endsWith('.ndjson')).toSorted()) {
      const text = await readFile(join(this.directory, file), 'utf8')
      found.push(...text.split('\n').slice(0, -1))
    }
    return found
  }

  open(options: Partial<ReviewOptions> = {}): Review {
    const { directory, index } = this
    const review = openReview({ directory, index, memoryBytes: 512 * 1024 * 1024, threads: 1, ...options })
    this.#reviews.push(review)
    return review
  }

  /** A review whose index holds all that can be in it. */
  async indexed(waiting = 0): Promise<Review> {
    const review = this.open()
    await untilIndexed(review, waiting)
    return review
  }

  async remove(): Promise<void> {
    await Promise.all(this.#reviews.map((review) => review.stop()))
    await rm(this.root, { recursive: true, force: true })
  }
}

export async function untilIndexed(review: Review, waiting = 0): Promise<void> {
  await until(
    () => {
      const status = review.status()
      return status.state === 'ready' && status.indexed > 0 && status.waiting <= waiting
    },
    () => JSON.stringify(review.status()),
  )
}

export async function until(met: () => boolean | Promise<boolean>, state: () => string = () => ''): Promise<void> {
  for (let round = 0; round < 1_200; round++) {
    if (await met()) return
    await sleep(50)
  }
  throw new Error(`it did not come: ${state()}`)
}

export const never = new AbortController().signal

/** All rows of a search, page by page. */
export async function allRows(
  review: Review,
  filter: ReviewFilter = {},
  { within = 'all', limit = 100 }: { readonly within?: Within; readonly limit?: number } = {},
): Promise<readonly ReviewRow[]> {
  const rows: ReviewRow[] = []
  for (let after: string | null = null; ;) {
    const page = await review.search(filter, within, { after, limit }, never)
    if (!page.ok) throw new Error(JSON.stringify(page.error))
    if (page.value.rows.length > limit) throw new Error('a page is too long')
    rows.push(...page.value.rows)
    if (page.value.next === null) return rows
    after = page.value.next
  }
}

/** Rewrites a segment without its last so many bytes. */
export async function cutEnd(path: string, bytes: number): Promise<void> {
  await writeFile(path, (await readFile(path)).subarray(0, -bytes))
}
