import { setTimeout as sleep } from 'node:timers/promises'
import type { Review, ReviewStatus } from '../../review/review.ts'
import type { Terminal } from '../command.ts'
import { UsageError } from '../command.ts'

/** Speaks up now and then: what is made takes minutes where the log is large. */
export function showProgress(terminal: Terminal): (text: string) => void {
  // Where nobody watches, progress is only noise in a file.
  if (!process.stderr.isTTY) return () => {}
  let next = performance.now() + 1_000
  return (text) => {
    if (performance.now() < next) return
    next = performance.now() + 1_000
    terminal.err(`${text}\n`)
  }
}

/** Waits until all that can be searched can be searched; with `whole`, until nothing is left to be indexed. */
export async function settled(review: Review, whole: boolean, progress: (text: string) => void): Promise<ReviewStatus> {
  for (let quiet = 0, last = -1; ; await sleep(100)) {
    const status = review.status()
    if (status.failure !== null) return status
    progress(`${status.indexed} records in the index, ${status.waiting} to come`)
    if (status.state !== 'ready') continue
    if (!whole) return status
    // A segment that was not closed in good order, the newest, is never indexed: it stays as it is.
    quiet = status.waiting === last ? quiet + 1 : 0
    last = status.waiting
    if (status.waiting === 0 || quiet > 50) return status
  }
}

/** A time such as 2026-11-20T03:00:00Z, or a duration back from now such as 15m, 2h or 7d, in Unix milliseconds. */
export function momentOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  if (count !== undefined) {
    const length = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit ?? ''] ?? 0
    return Date.now() - Number(count) * length
  }
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) {
    throw new UsageError(`${option} is a time such as 2026-11-20T03:00:00Z, or a duration such as 15m`)
  }
  return time
}
