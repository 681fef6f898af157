import { rm } from 'node:fs/promises'
import type { Result } from '../result.ts'
import { runBox } from './box.ts'
import { reviewLimits } from './limits.ts'
import { failure, Link } from './link.ts'
import type { Lent } from './lend.ts'
import type { Question } from './protocol.ts'
import type { Exported, FoundRecord, Review, ReviewFailure, ReviewPage, Timeline } from './review.ts'
import { fail, ok } from '../result.ts'

/** What reading the record takes. */
export interface ReviewOptions {
  /** The audit directory. */
  readonly directory: string
  /** Where the index is: it can be removed, and is made again. */
  readonly index: string
  /** What DuckDB may take for searching and indexing together; a query in SQL takes half of it once more. */
  readonly memoryBytes: number
  readonly threads: number
  /** An index that somebody else keeps: its parts are read, and `index` holds only what it lacks. */
  readonly borrow?: string
  /** Make the index anew, whatever is in it. */
  readonly anew?: boolean
  /** Told of what the operator should know. */
  readonly said?: (problem: string) => void
}

/** Opens the record for reading, in a process of its own. Where that cannot be, every answer says why. */
export function openReview(options: ReviewOptions): Review {
  const { directory, index, memoryBytes, threads, borrow = null, anew = false, said = () => {} } = options
  const link = new Link({ directory, index, borrow, anew, memoryBytes, threads }, said)
  const look = async <T>(question: Question, signal: AbortSignal): Promise<Result<T, ReviewFailure>> =>
    typed<T>(await link.ask(question, reviewLimits.searchMs, signal))
  return {
    search: (filter, within, page, signal) => look<ReviewPage>({ method: 'search', filter, within, page }, signal),
    timeline: (filter, within, signal) => look<Timeline>({ method: 'timeline', filter, within }, signal),
    request: (id, within, signal) => look<readonly FoundRecord[]>({ method: 'request', id, within }, signal),
    sql: (text, signal) => askSql(link, options, text, signal),
    async export(filter, within, format, progress, signal) {
      const question: Question = { method: 'export', filter, within, format }
      const made = typed<Omit<Exported, 'done'>>(await link.ask(question, reviewLimits.exportMs, signal, progress))
      if (!made.ok) return made
      const { path } = made.value
      return ok({ ...made.value, done: () => rm(path, { force: true }) })
    },
    status: () => link.status,
    stop: () => link.stop(),
  }
}

/** What the child answers is of our own making. */
const typed = <T>(answer: Result<unknown, ReviewFailure>): Result<T, ReviewFailure> =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the protocol says which answer a question gets.
  answer as Result<T, ReviewFailure>

async function askSql(
  link: Link,
  { memoryBytes, threads }: ReviewOptions,
  text: string,
  signal: AbortSignal,
): ReturnType<Review['sql']> {
  if (text.length > reviewLimits.sqlUnits) {
    return fail(failure('refused', 'the query is too long', `at most ${reviewLimits.sqlUnits} characters`))
  }
  const lent = typed<Lent>(await link.ask({ method: 'lend' }, reviewLimits.searchMs, signal))
  if (!lent.ok) return lent
  const { lease, records, outcomes, gone } = lent.value
  try {
    return await runBox({ text, records, outcomes, gone, memoryBytes: memoryBytes / 2, threads }, signal)
  } finally {
    void link.ask({ method: 'giveBack', lease }, reviewLimits.searchMs, new AbortController().signal)
  }
}
