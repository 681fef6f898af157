import type {
  DiskWatermarkEntry,
  GatewayStartedEntry,
  GatewayStoppedEntry,
  HoldBegunEntry,
  HoldEndedEntry,
  KeyChangedEntry,
  LogOpenedEntry,
  LogSealedEntry,
  SegmentDeletedEntry,
  SinkFailedEntry,
  SinkResumedEntry,
} from './record-log.ts'
import type {
  DecisionEntry,
  LoginEntry,
  LoginFailedEntry,
  LogoutEntry,
  LogoutFailedEntry,
  OutcomeEntry,
  PolicyLoadedEntry,
  PolicyRejectedEntry,
} from './record-request.ts'
import type { AuditExportedEntry, AuditReadEntry, ReviewSavedEntry, ReviewSignedEntry } from './record-review.ts'

export type * from './record-log.ts'
export type * from './record-request.ts'
export type * from './record-review.ts'

/**
 * The shapes of the audit record, version 1. `docs/audit-record.md` explains each field to an auditor.
 * A reader must skip kinds and fields it does not know: later versions add both, and never change the meaning of one.
 */

/** What the rest of the gateway hands in. */
export type AuditEntry =
  | DecisionEntry
  | OutcomeEntry
  | LoginEntry
  | LoginFailedEntry
  | LogoutEntry
  | LogoutFailedEntry
  | PolicyLoadedEntry
  | PolicyRejectedEntry
  | GatewayStartedEntry
  | GatewayStoppedEntry
  | AuditReadEntry
  | AuditExportedEntry
  | ReviewSavedEntry
  | ReviewSignedEntry
  | SegmentDeletedEntry
  | HoldBegunEntry
  | HoldEndedEntry
  | DiskWatermarkEntry
  | SinkFailedEntry
  | SinkResumedEntry

/** What a segment can hold: the above, and what the log says about itself. */
export type AnyEntry = AuditEntry | LogOpenedEntry | KeyChangedEntry | LogSealedEntry

/** What stands before the entry's own fields in every record. */
export interface RecordHead {
  readonly seq: number
  /** When the record was written: RFC 3339, UTC, milliseconds. */
  readonly ts: string
  /** Id of the log: the same for every boot that continues this directory. */
  readonly log: string
  /** Id of the process that wrote the record. */
  readonly boot: string
}
