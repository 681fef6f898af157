/** Why a record could not be kept, and what a person can do about it. */
export interface AuditFailure {
  /**
   * `io`: the system refused an operation; `moved`: the live file is no longer where it was, or not as long as written;
   * `owned`: another gateway holds the directory; `deadline`: the disk did not answer in time; `full`: too many records wait;
   * `disk`: the volume is full, or fuller than it may be; `sealed`: the log is closed.
   */
  readonly code: 'io' | 'moved' | 'owned' | 'deadline' | 'full' | 'disk' | 'sealed'
  readonly reason: string
  readonly remedy: string
}

const remedies: Readonly<Record<string, string>> = {
  ENOSPC: 'free space on that volume, or give the gateway a larger one',
  EDQUOT: "raise the disk quota of the gateway's user, or free space",
  EACCES: "let the gateway's user read, write and list that directory (mode 700, its own)",
  EPERM: "let the gateway's user read, write and list that directory (mode 700, its own)",
  EROFS: 'mount that volume read-write, or configure a directory on one that is',
  ENOTDIR: 'a part of that path is a file: configure a directory',
  EEXIST: 'a part of that path is a file: configure a directory',
  ENOENT: 'the directory went away: mount it again',
  EIO: 'the disk reports errors: look at the kernel log and replace it',
  EMFILE: 'raise the limit of open files (ulimit -n)',
}

const noRoom: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT'])

/** The system's code of an error (`ENOSPC`), or an empty text when it has none. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/** Turns what a file operation threw into a failure that says what was tried and what helps. */
export function ioFailure(doing: string, error: unknown): AuditFailure {
  const reason = `${doing}: ${error instanceof Error ? error.message : String(error)}`
  const remedy = remedies[errorCode(error)] ?? 'check the volume the audit directory is on'
  return { code: noRoom.has(errorCode(error)) ? 'disk' : 'io', reason, remedy }
}
