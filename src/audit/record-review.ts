import type { Parameter, SessionEvent, Who } from './record-request.ts'

/** What the record says of those who read it. */

/** Somebody looks at the log through the gateway. On stable storage before anything of it is shown. */
export interface AuditReadEntry extends SessionEvent {
  readonly kind: 'audit.read'
  readonly who: Who
  /** What is looked at. */
  readonly what: 'search' | 'record' | 'person' | 'sql' | 'export' | 'reviews'
  /** The filter, the id or the text of the query, as asked. */
  readonly asked: readonly Parameter[]
  readonly because: readonly string[]
  readonly policy: string
}

/** An export of the log ended: by a page, or by a command on the gateway's machine. */
export interface AuditExportedEntry {
  readonly kind: 'audit.exported'
  /** Id of the request that began it. */
  readonly request: string
  readonly format: 'parquet' | 'csv' | 'ndjson'
  readonly records: number
  readonly bytes: number
  /** SHA-256 of the file, in hex. */
  readonly sha256: string
  readonly ended: 'complete' | 'cut' | 'failed'
}

/** A search was saved, for auditors to do again. */
export interface ReviewSavedEntry extends SessionEvent {
  readonly kind: 'review.saved'
  readonly who: Who
  /** Id of the review. */
  readonly review: string
  readonly title: string
  /** The filter of the search. */
  readonly filter: readonly Parameter[]
}

/** Somebody signs that they reviewed what a saved search showed. */
export interface ReviewSignedEntry extends SessionEvent {
  readonly kind: 'review.signed'
  readonly who: Who
  readonly review: string
  /** The time that was reviewed. */
  readonly covers: { readonly from: string; readonly to: string }
  /** What was found then. */
  readonly found: { readonly records: number; readonly refused: number; readonly people: number }
  readonly verdict: 'nothing unusual' | 'followed up'
  readonly note: string
}
