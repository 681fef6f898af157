import type { FoundEndpoint } from '../prometheus/endpoints.ts'

/** Counts the series of an answer while it passes. */
export interface SeriesCounter {
  see(chunk: Buffer): void
  /** How many there were; null where that cannot be told. */
  count(): number | null
}

/**
 * What each series of an answer begins with. Inside a string these bytes cannot stand, since its quotes would be escaped;
 * and no label's value is an object.
 */
const beginnings: Readonly<Record<string, string>> = {
  '/api/v1/query': '"metric":{',
  '/api/v1/query_range': '"metric":{',
  '/api/v1/query_exemplars': '"seriesLabels":{',
}

/** How Prometheus, and what speaks like it, begins: without spaces. Else the beginnings above prove nothing. */
const compact = '{"status":"'

/** A counter for the answers of an endpoint; null where they hold no series, or are not to be read in passing. */
export function seriesCounter(found: FoundEndpoint | null): SeriesCounter | null {
  const mark = beginnings[found?.name ?? '']
  if (mark === undefined) return null
  let rest: Buffer = Buffer.alloc(0)
  let head: Buffer = Buffer.alloc(0)
  let series = 0
  return {
    see(chunk) {
      if (head.length < compact.length) head = Buffer.concat([head, chunk.subarray(0, compact.length)])
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      let from = 0
      for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, from)) {
        series++
        from = at + mark.length
      }
      rest = bytes.subarray(Math.max(from, bytes.length - mark.length + 1))
    },
    count: () => (head.toString('latin1').startsWith(compact) ? series : null),
  }
}
