import type { ExportFormat, ReviewFailure, ReviewFilter, ReviewStatus, Within } from './review.ts'

/** How the child begins its work. */
export interface OpenMessage {
  readonly directory: string
  readonly index: string
  /** Somebody else's index, whose parts are read and left as they are. */
  readonly borrow: string | null
  /** Begin without what is in the index. */
  readonly anew: boolean
  readonly memoryBytes: number
  readonly threads: number
}

/** A question, with what it is about. */
export type Question =
  | {
      readonly method: 'search'
      readonly filter: ReviewFilter
      readonly within: Within
      readonly page: { readonly after: string | null; readonly limit: number }
    }
  | { readonly method: 'timeline'; readonly filter: ReviewFilter; readonly within: Within }
  | { readonly method: 'request'; readonly id: string; readonly within: Within }
  | {
      readonly method: 'export'
      readonly filter: ReviewFilter
      readonly within: Within
      readonly format: ExportFormat
    }
  /** The files that the box for SQL reads; they stay until `giveBack`. */
  | { readonly method: 'lend' }
  | { readonly method: 'giveBack'; readonly lease: number }
  /** Looks at every byte of the index; what is not as written is made anew. */
  | { readonly method: 'inspect' }

/** What the gateway says to its child. */
export type ToChild =
  | ({ readonly is: 'open' } & OpenMessage)
  | { readonly is: 'ask'; readonly id: number; readonly question: Question }
  | { readonly is: 'cancel'; readonly id: number }

/** What the child says. */
export type FromChild =
  | { readonly is: 'opened' }
  /** `forGood`: another try would fail as well. */
  | { readonly is: 'failed'; readonly failure: ReviewFailure; readonly forGood: boolean }
  | { readonly is: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly is: 'no'; readonly id: number; readonly failure: ReviewFailure }
  | { readonly is: 'progress'; readonly id: number; readonly records: number }
  | { readonly is: 'status'; readonly status: Omit<ReviewStatus, 'failure'>; readonly problem: string | null }

/** What the box for SQL is given. */
export interface BoxMessage {
  readonly text: string
  /** Parquet files of records, and of outcomes that they lack; the box can read these and nothing else. */
  readonly records: readonly string[]
  readonly outcomes: string | null
  readonly gone: readonly string[]
  readonly memoryBytes: number
  readonly threads: number
}

export type FromBox =
  | {
      readonly is: 'table'
      readonly columns: readonly string[]
      readonly rows: readonly unknown[]
      readonly cut: boolean
    }
  | { readonly is: 'no'; readonly failure: ReviewFailure }
