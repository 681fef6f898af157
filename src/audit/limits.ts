/** Every bound of this room in one place. Times are milliseconds, text is counted in UTF-16 code units. */
export interface AuditLimits {
  /** Records that may wait for the disk before `append` answers `full`. */
  readonly queueRecords: number
  /** Bytes of encoded records that may wait for the disk before `append` answers `full`. */
  readonly queueBytes: number
  /** How long one `append` may wait for stable storage, and how long `seal` may take. */
  readonly deadlineMs: number
  /** The shortest time between two tries to open a segment. */
  readonly retryMs: number
  /** How often the log looks how full its volume is. */
  readonly diskEveryMs: number
  /** The longest string kept whole; the rest is cut and its place listed in `truncated`. */
  readonly textUnits: number
  /** What one top-level field may hold in all, so that a hostile `asked` can never crowd out `decision`. */
  readonly fieldUnits: number
}

/** The defaults. `textUnits` is above the longest query the gateway parses: what is answered is recorded whole. */
export const auditLimits: AuditLimits = {
  queueRecords: 10_000,
  queueBytes: 32 * 1024 * 1024,
  deadlineMs: 5_000,
  retryMs: 1_000,
  diskEveryMs: 5_000,
  textUnits: 128 * 1024,
  fieldUnits: 512 * 1024,
}
