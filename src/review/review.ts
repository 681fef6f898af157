import type { Result } from '../result.ts'

/** Which records are wanted; what is not given narrows nothing. Texts are compared whole, unless said otherwise. */
export interface ReviewFilter {
  /** Subject or name of the person. */
  readonly person?: string
  readonly group?: string
  /** A namespace that the scope, a selector or what was sent names. */
  readonly namespace?: string
  /** Name of a metric that a selector names. */
  readonly metric?: string
  readonly cluster?: string
  readonly decision?: 'allow' | 'deny'
  readonly kind?: string
  /** Uid or title of the dashboard that the client claims. */
  readonly dashboard?: string
  /** Part of what was asked. */
  readonly text?: string
  /** Unix milliseconds: from this moment on, up to before that one. */
  readonly from?: number
  readonly to?: number
}

/** Whose records somebody may see: those of these clusters; `all`: every record, also those of no cluster. */
export type Within = 'all' | readonly string[]

/** One record in a list: a decision with its outcome, repetitions of a client folded into one; or a record of another kind. */
export interface ReviewRow {
  readonly log: string
  readonly seq: number
  /** RFC 3339, UTC, milliseconds. */
  readonly ts: string
  readonly kind: string
  /** Null where the kind has none. */
  readonly request: string | null
  readonly name: string | null
  readonly subject: string | null
  readonly cluster: string | null
  readonly endpoint: string | null
  /** The query or selectors as asked. */
  readonly asked: string
  readonly decision: 'allow' | 'deny' | null
  readonly reason: string | null
  readonly dashboard: string | null
  /** From the outcome; null where there is none (yet). */
  readonly status: number | null
  readonly ms: number | null
  readonly bytes: number | null
  readonly series: number | null
  /** Metrics that its selectors name, the rules that carried it, and what was granted; empty where it has none. */
  readonly metrics: readonly string[]
  readonly rules: readonly string[]
  readonly scope: string
  /** How many requests it stands for, itself included. */
  readonly repeats: number
}

/** A page of a list, newest first. */
export interface ReviewPage {
  readonly rows: readonly ReviewRow[]
  /** Where the next page goes on; null at the end. An opaque text, fit for a URL. */
  readonly next: string | null
}

/** How much happened in a stretch of time. */
export interface TimelineBucket {
  /** Unix milliseconds. */
  readonly at: number
  readonly allowed: number
  readonly refused: number
  readonly people: number
}

/** Activity over time, and who and what it was about. */
export interface Timeline {
  readonly from: number
  readonly to: number
  /** Milliseconds of a bucket. */
  readonly step: number
  readonly buckets: readonly TimelineBucket[]
  /** The most active ones, at most ten of each. */
  readonly people: readonly Count[]
  readonly namespaces: readonly Count[]
  readonly dashboards: readonly Count[]
}

export interface Count {
  readonly value: string
  readonly requests: number
  readonly refused: number
}

/** A record as it stands in the log. */
export interface FoundRecord {
  readonly log: string
  readonly seq: number
  /** Name of the segment, without its ending. */
  readonly segment: string
  /** The line, without its newline. */
  readonly line: string
}

/** The answer to a query in SQL. */
export interface SqlTable {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | number | boolean | null)[])[]
  /** Were there more rows than are shown? */
  readonly cut: boolean
}

export type ExportFormat = 'parquet' | 'csv' | 'ndjson'

/** A file made for somebody to take home. */
export interface Exported {
  /** A temporary file; whoever asked for it removes it with `done`. */
  readonly path: string
  readonly records: number
  readonly bytes: number
  /** Hex. */
  readonly sha256: string
  done(): Promise<void>
}

/** Why there is no answer, and what helps. */
export interface ReviewFailure {
  /** `unavailable`: the index cannot be used; `refused`: the question is not allowed or not understood; `busy`; `stopped`: it took too long, or nobody waits any more. */
  readonly code: 'unavailable' | 'refused' | 'busy' | 'stopped'
  readonly reason: string
  readonly remedy: string
}

export interface ReviewStatus {
  readonly state: 'starting' | 'ready' | 'failed'
  /** Records in the sorted index. */
  readonly indexed: number
  /** Records that are still read from the segments. */
  readonly waiting: number
  readonly failure: ReviewFailure | null
}

/** Lets auditors read the record. Every method reads only; none of them records that it was asked: its caller does. Never rejects. */
export interface Review {
  search(
    filter: ReviewFilter,
    within: Within,
    page: { readonly after: string | null; readonly limit: number },
    signal: AbortSignal,
  ): Promise<Result<ReviewPage, ReviewFailure>>
  timeline(filter: ReviewFilter, within: Within, signal: AbortSignal): Promise<Result<Timeline, ReviewFailure>>
  /** All records of a request, in order: its decision, its outcome, or what else carries its id. */
  request(id: string, within: Within, signal: AbortSignal): Promise<Result<readonly FoundRecord[], ReviewFailure>>
  /** A single SELECT over the view `records`, in a sandbox. Only for those who may see all. */
  sql(text: string, signal: AbortSignal): Promise<Result<SqlTable, ReviewFailure>>
  export(
    filter: ReviewFilter,
    within: Within,
    format: ExportFormat,
    progress: (records: number) => void,
    signal: AbortSignal,
  ): Promise<Result<Exported, ReviewFailure>>
  status(): ReviewStatus
  stop(): Promise<void>
}
