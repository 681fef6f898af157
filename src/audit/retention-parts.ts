import type { Result } from '../result.ts'
import type { AuditFailure } from './failure.ts'
import type { Files } from './files.ts'
import type { Hold } from './hold.ts'
import type { SigningKey } from './keys.ts'
import type { HoldBegunEntry, HoldEndedEntry, SegmentDeletedEntry } from './record.ts'

/** What is kept, and for how long. */
export interface RetentionOptions {
  /** Milliseconds; `null`: for ever. */
  readonly keepMs: number | null
  /** Bytes of all segments and checkpoints together; `null`: however many. */
  readonly maxBytes: number | null
  readonly compress: boolean
  /** Is the log held by the configuration? */
  readonly hold: boolean
  /** Milliseconds between two rounds. */
  readonly everyMs: number
}

type RetentionEntry = SegmentDeletedEntry | HoldBegunEntry | HoldEndedEntry

/** What retention needs from its builder. */
export interface RetentionParts {
  readonly dir: string
  readonly files: Files
  readonly clock: () => Date
  /** Milliseconds by a clock that is never set; that of the process when not given. */
  readonly uptime?: () => number
  readonly options: RetentionOptions
  /** The key that signs the checkpoints; `null`: they are not signed. */
  readonly key: SigningKey | null
  /** Name of the live segment; `null`: there is none. */
  readonly live: () => string | null
  /** The highest number of a record that a checkpoint on disk covers; `null` before this process made one. */
  readonly covered: () => number | null
  /** Keeps a record; answers its receipt. */
  readonly record: (entry: RetentionEntry) => Promise<Result<unknown, AuditFailure>>
  /** Why a segment must stay a while longer, by its last record's number, such as: a sink does not have it yet. */
  readonly wanted?: (lastSeq: number) => string | null
  /** Called when the status changes for the worse or the better. */
  readonly told: () => void
}

/** What the operator can know about it. */
export interface RetentionStatus {
  readonly hold: Hold | null
  /** Why nothing is deleted, although something may be too old or too much; `null`: it is. */
  readonly blocked: string | null
  readonly failure: AuditFailure | null
  /** Segments that should go and stay, and why: they are damaged. */
  readonly problems: readonly string[]
  readonly segments: number
  readonly compressed: number
  readonly tombstones: number
  /** Bytes of all segments, with their checkpoints. */
  readonly bytes: number
  /** Deletions that are on record and wait for a checkpoint. */
  readonly waiting: number
  /** Segments deleted by this process. */
  readonly deleted: number
}

/** Compresses and deletes what is not written any more. */
export interface Retention {
  start(): void
  status(): RetentionStatus
  /** Ends after what is under way. Never rejects. */
  stop(): Promise<void>
  /** One round, for tests. Never rejects. */
  round(): Promise<void>
}
