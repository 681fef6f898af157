/** What the gateway and its log say of themselves. */

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
