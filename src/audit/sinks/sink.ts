import type { OtlpOptions } from './otlp.ts'
import type { PostgresOptions } from './postgres.ts'

/** A second place for the record, beside the file. */
export interface SinkOptions {
  /** Fit for a file name: its cursor and what it refused are kept under it. */
  readonly name: string
  /** Does a decision's answer wait until this sink has the record too? */
  readonly required: boolean
  readonly to: OtlpOptions | PostgresOptions
}

/** A record on stable storage, as it is handed over. */
export interface TailRecord {
  readonly log: string
  readonly seq: number
  readonly ts: string
  readonly kind: string
  /** Name of its segment, with the ending `.ndjson` even where that is compressed by now. */
  readonly file: string
  /** The line exactly, without its newline. */
  readonly line: string
  /** How long that is in the file. */
  readonly bytes: number
  readonly fields: Partial<Record<string, unknown>>
}

/** Records that a receiver did not take, among others that it did. */
export interface Rejected {
  /** First and last one that it may be. */
  readonly from: number
  readonly to: number
  readonly count: number
  readonly because: string
}

/**
 * What a receiver says to some records. `taken`: it has them all, but for the `rejected`. `refused`: it is in order but will
 * never take these as they are. `failed`: it could not be asked, or cannot take anything now.
 */
export type Answer =
  | { readonly is: 'taken'; readonly rejected: readonly Rejected[] }
  | { readonly is: 'refused'; readonly because: string }
  | { readonly is: 'failed'; readonly because: string; readonly retryAfterMs?: number }

/** What is at the other end of a sink. */
export interface Receiver {
  /** Hands records of one log over, in order of their numbers. Never rejects; ends soon after the signal. */
  send(records: readonly TailRecord[], signal: AbortSignal): Promise<Answer>
  close(): Promise<void>
}

/** Records that a sink can never have, as they were deleted before it had them. */
export interface Missed {
  readonly from: number
  readonly to: number
}

/** What the operator can know about a sink. */
export interface SinkStatus {
  readonly name: string
  readonly kind: 'otlp' | 'postgres'
  readonly required: boolean
  /** `failing`: it takes nothing at the moment, and is tried again by itself. */
  readonly state: 'starting' | 'up' | 'failing' | 'stopped'
  /** Why it fails. */
  readonly because: string | null
  /** What is wrong beside that: it goes on, but somebody should look. */
  readonly problem: string | null
  /** Last record that it is known to have. */
  readonly seq: number | null
  /** Records on stable storage that it does not have yet: by their numbers, so gaps in these count too. */
  readonly lagRecords: number
  /** Age of the first of those. */
  readonly lagSeconds: number
  /** Since the start: records it took, and those set aside because it refused them. */
  readonly taken: number
  readonly refused: number
  /** Records that were deleted before this sink had them, as far as it was seen since the start. */
  readonly missed: readonly Missed[]
}

/** Every bound of the sinks in one place. Times are milliseconds. */
export interface SinkLimits {
  /** Records and bytes handed over at once; a single record may be larger. */
  readonly batchRecords: number
  readonly batchBytes: number
  /** How often it is looked for new records. */
  readonly pollMs: number
  /** How long one call to a receiver may take. */
  readonly callMs: number
  /** The wait after a first failure, which doubles up to the cap; shorter for a required sink, where answers wait. */
  readonly retryMs: number
  readonly retryCapMs: number
  readonly requiredRetryCapMs: number
  /** The longest wait that a receiver can ask for. */
  readonly retryAfterCapMs: number
  /** How long a decision waits for a required sink. */
  readonly deadlineMs: number
  /** How often the cursor is written at most: what was taken after that is handed over again after a crash. */
  readonly cursorMs: number
  /** Failures in a row before the log has a record of them. */
  readonly failuresToRecord: number
  /** How many records in a row may be refused before it is asked whether the receiver takes anything at all. */
  readonly patience: number
  /** How long `stop` goes on handing over. */
  readonly stopMs: number
}

/** The defaults. A batch stays well below the 20 MiB that OTLP receivers take, also when its quotes are escaped. */
export const sinkLimits: SinkLimits = {
  batchRecords: 200,
  batchBytes: 4 * 1024 * 1024,
  pollMs: 200,
  callMs: 10_000,
  retryMs: 500,
  retryCapMs: 30_000,
  requiredRetryCapMs: 2_000,
  retryAfterCapMs: 300_000,
  deadlineMs: 5_000,
  cursorMs: 1_000,
  failuresToRecord: 3,
  patience: 16,
  stopMs: 2_000,
}
