/**
 * The shapes of the audit record, version 1. `docs/audit-record.md` explains each field to an auditor.
 * A reader must skip kinds and fields it does not know: later versions add both, and never change the meaning of one.
 */

/** One request parameter as a name and a value. */
export type Parameter = readonly [name: string, value: string]

/** Who asked, as the identity source that answered for them saw it. */
export interface Who {
  readonly issuer: string
  readonly subject: string
  readonly name: string
  readonly groups: readonly string[]
  readonly via: string
  /** The service on whose hop the request came, where that was proven. */
  readonly actor?: string
  /** The beginning of the SHA-256 of the credential, in hex. */
  readonly credential?: string
  /** When the identity ends, in Unix seconds. */
  readonly expires?: number
}

/** Where a request came from. */
export interface From {
  /** Who connected. */
  readonly peer: string
  /** What a trusted proxy says of the client's address. */
  readonly client?: string
  readonly userAgent?: string
}

/** What was asked, sent and decided. On stable storage before the first byte of the answer leaves. */
export interface DecisionEntry {
  readonly kind: 'decision'
  /** Id of the request; its outcome carries the same one. */
  readonly request: string
  /** When the request arrived: RFC 3339, UTC, milliseconds. */
  readonly received: string
  /** `null`: nobody known. */
  readonly who: Who | null
  readonly from: From
  /** Headers that any client can forge (dashboard, panel, rule): context, never identity. */
  readonly claimed?: Readonly<Record<string, string>>
  readonly cluster: string | null
  readonly method: string
  /** Row of the endpoint table; `null` when the path is in none. */
  readonly endpoint: string | null
  /** The path as asked. */
  readonly path: string
  readonly asked: readonly Parameter[]
  /** The requests that left for Prometheus, exactly; `null` when none did. */
  readonly sent: readonly { readonly path: string; readonly params: readonly Parameter[] }[] | null
  /** The selectors as parsed, so that a reader need not parse the query text. */
  readonly selectors?: readonly unknown[]
  readonly decision: 'allow' | 'deny'
  /** The refusal's code. */
  readonly reason?: string
  /** The rules that carried the decision, as `file:line`. */
  readonly because: readonly string[]
  /** Why those of them that hold for a time only were made. */
  readonly reasons?: readonly string[]
  /** The granted scope as text. */
  readonly scope: string
  /** Digest of the policy in force. */
  readonly policy: string | null
  /** The same for requests that ask the same for the same person, whatever the method: a client's repetitions. 16 hex digits. */
  readonly fold?: string
}

/** How the answer to a decided request ended. Never awaited: a missing outcome means a crash or a full disk. */
export interface OutcomeEntry {
  readonly kind: 'outcome'
  readonly request: string
  readonly status: number
  readonly ms: number
  readonly bytes: number
  readonly ended: 'complete' | 'cut' | 'failed'
  /** Why an answer that was decided on was not given, or not to its end. */
  readonly reason?: string
  /** Who made the answer: Prometheus, or the gateway by itself. */
  readonly servedFrom?: 'upstream' | 'gateway'
  /** The status with which Prometheus answered. */
  readonly upstream?: number
  /** How many series were shown; absent where the answer has none, or was passed on compressed. */
  readonly series?: number
}

/** What the records of logins and logouts have in common. */
interface SessionEvent {
  /** Id of the request, also in its outcome. */
  readonly request: string
  readonly received: string
  readonly from: From
}

/** Somebody logged in with a browser. On stable storage before the session's cookie leaves. */
export interface LoginEntry extends SessionEvent {
  readonly kind: 'login'
  /** `credential` names the session, as it does in the decisions that follow. */
  readonly who: Who
}

/** A login that did not come about. */
export interface LoginFailedEntry extends SessionEvent {
  readonly kind: 'login.failed'
  readonly reason: string
}

/** A session ended before its time: by the person, or by the provider. */
export interface LogoutEntry extends SessionEvent {
  readonly kind: 'logout'
  readonly how: 'local' | 'back-channel'
  /** Whose session, for `local`. */
  readonly who?: Who
  /** What the provider withdrew, for `back-channel`; `sid` as the beginning of its SHA-256. */
  readonly withdrawn?: { readonly issuer: string; readonly subject: string | null; readonly sid: string | null }
}

/** A logout that was not followed. */
export interface LogoutFailedEntry extends SessionEvent {
  readonly kind: 'logout.failed'
  readonly reason: string
}

/** A policy came into force. */
export interface PolicyLoadedEntry {
  readonly kind: 'policy.loaded'
  /** Digest of the policy now in force. */
  readonly policy: string
  /** Digest of the one it replaced; `null` for the first. */
  readonly replaced: string | null
  readonly source: string
}

/** A policy was refused; the one before it stays in force. */
export interface PolicyRejectedEntry {
  readonly kind: 'policy.rejected'
  /** Digest of the refused policy; `null` when it could not be read at all. */
  readonly policy: string | null
  /** Digest of the policy that stays in force; `null`: none, everything is refused. */
  readonly inForce: string | null
  readonly source: string
  readonly problems: readonly string[]
}

/** The gateway takes requests from here on. */
export interface GatewayStartedEntry {
  readonly kind: 'gateway.started'
  readonly version: string
  /** Version of Node. */
  readonly node: string
  /** Where clients reach it. */
  readonly url: string
  readonly clusters: readonly string[]
  /** `best-effort`: answers may leave without a record. */
  readonly mode: 'required' | 'best-effort'
}

/** The gateway was told to end: it takes no more requests, and the log is sealed. */
export interface GatewayStoppedEntry {
  readonly kind: 'gateway.stopped'
  /** Requests that did not end in the time they had. */
  readonly unfinished: number
}

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

/** A segment was deleted because it was kept for as long as it should be; what is left is its tombstone. */
export interface SegmentDeletedEntry {
  readonly kind: 'segment.deleted'
  /** Name without its ending. */
  readonly segment: string
  readonly records: number
  readonly first: { readonly seq: number; readonly ts: string }
  readonly last: { readonly seq: number; readonly ts: string; readonly chain: string }
  /** Root of the Merkle tree over its lines, in base64. */
  readonly root: string
  readonly because: 'age' | 'size'
  /** The signed statement as it stands in the tombstone. */
  readonly note: string
}

/** From here on nothing is deleted. */
export interface HoldBegunEntry {
  readonly kind: 'hold.begun'
  readonly by: string
  readonly because: string
  readonly since: string
}

/** What is kept too long may be deleted again. */
export interface HoldEndedEntry {
  readonly kind: 'hold.ended'
}

/** The volume of the log became fuller than a watermark, or less full. */
export interface DiskWatermarkEntry {
  readonly kind: 'disk.watermark'
  /** `low`: said so; `full`: nothing new is answered. */
  readonly state: 'fine' | 'low' | 'full'
  /** How much of the volume is used, from 0 to 1. */
  readonly used: number
}

/** A sink beside the file fails. */
export interface SinkFailedEntry {
  readonly kind: 'sink.failed'
  readonly sink: string
  readonly because: string
  /** Last record that it took. */
  readonly seq: number | null
}

/** It takes records again. */
export interface SinkResumedEntry {
  readonly kind: 'sink.resumed'
  readonly sink: string
  readonly seq: number
}

/** The bytes after the last newline of a segment: a record that was never acknowledged. */
export interface TornTail {
  readonly bytes: number
  readonly sha256: string
}

/** The segment before this one, and the state it was found in. It is never modified. */
export interface PreviousSegment {
  readonly file: string
  /** `abandoned`: this process gave it up after a failure; records after `seq` in it were not acknowledged. */
  readonly found: 'sealed' | 'open' | 'torn' | 'abandoned'
  readonly seq: number
  readonly chain: string
  readonly tail?: TornTail
  /** Why it was abandoned. */
  readonly because?: string
}

/** A newer segment than the previous one that holds no record this log could continue from. */
export interface UnreadSegment {
  readonly file: string
  /** `torn`: no whole line; `damaged`: the last whole line is no record; `unreadable`: could not be read. */
  readonly found: 'empty' | 'torn' | 'damaged' | 'unreadable'
  readonly bytes?: number
  readonly sha256?: string
  readonly because?: string
}

/** First record of every segment. */
export interface LogOpenedEntry {
  readonly kind: 'log.opened'
  readonly writer: { readonly pid: number; readonly host: string }
  readonly previous: PreviousSegment | null
  readonly unread: readonly UnreadSegment[]
  /** Only where it is so: answers may leave without a record. */
  readonly mode?: 'best-effort'
  /** Whether checkpoints are made of this segment: with which key (`null`: unsigned), and how often, in milliseconds. */
  readonly checkpoints?: { readonly key: string | null; readonly every: number; readonly idle: number }
}

/** Another key signs the checkpoints from here on. */
export interface KeyChangedEntry {
  readonly kind: 'key.changed'
  /** Ids of the keys; `null`: none. */
  readonly old: string | null
  readonly new: string | null
  /** Number of the first checkpoint that the new key signs. */
  readonly from: number
  /** The statement as it stands among the checkpoints, signed by both keys where both were at hand. */
  readonly note: string
}

/** Last record of a segment that was closed in good order. */
export interface LogSealedEntry {
  readonly kind: 'log.sealed'
  /** Records in this segment before this one. */
  readonly records: number
  /** Outcomes that this process could not write. */
  readonly lost: number
}

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
