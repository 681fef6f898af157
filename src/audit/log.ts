import type { Result } from '../result.ts'
import type { CheckpointOptions, CheckpointStatus } from './checkpoint-options.ts'
import type { DiskOptions, DiskStatus } from './disk.ts'
import type { AuditFailure } from './failure.ts'
import type { Files } from './files.ts'
import { GroupCommitLog } from './group-commit.ts'
import type { AuditLimits } from './limits.ts'
import type { AuditEntry, OutcomeEntry } from './record.ts'
import type { RotationOptions } from './rotation.ts'
import type { Receipt } from './segment.ts'

export type { AuditFailure, Receipt }

/** `best-effort`: what cannot be recorded may be shown all the same. Has to be asked for. */
export type AuditMode = 'required' | 'best-effort'

/** What the operator can know about the log. */
export interface AuditStatus {
  /**
   * `open`: records are kept; `failed`: every `append` is refused at once (in best-effort mode: not kept), while the log
   * tries by itself to open a new segment, or waits for room on its volume.
   */
  readonly state: 'opening' | 'open' | 'failed' | 'sealed'
  readonly mode: AuditMode
  /** Name of the live segment. */
  readonly file: string | null
  readonly queued: number
  /** The newest failure, also after it is mended. */
  readonly lastFailure?: AuditFailure & { readonly at: string }
  /** Times the disk was waited for. */
  readonly commits: number
  /** Records on stable storage. */
  readonly records: number
  /** Notes that are not known to be kept. */
  readonly lost: number
  /** Records that `append` could not keep, and said so with a receipt of `null`: in best-effort mode only. */
  readonly unrecorded: number
  /** How full the volume is; `null` where nobody looks. */
  readonly disk: DiskStatus | null
  /** Only where checkpoints are made. */
  readonly checkpoints?: CheckpointStatus
}

/** The end of what is on stable storage in the live segment. */
export interface Durable {
  /** Name of the segment, without the directory. */
  readonly file: string
  readonly bytes: number
  readonly seq: number
}

/** The durable record of this gateway. */
export interface AuditLog {
  /**
   * Keeps a record of what is going to be shown; settles with a receipt only when it is on stable storage, in the order
   * of the calls. A failure means: do not answer. The record may still be found in the log later (see
   * `docs/audit-record.md`). In best-effort mode there is no failure but a receipt of `null`: not known to be kept. Never rejects.
   */
  append(entry: AuditEntry): Promise<Result<Receipt | null, AuditFailure>>
  /**
   * The same for a record after which nothing is shown: a refusal, a start or an end, a policy, what the gateway itself did.
   * Also let in where the volume is too full for the others.
   */
  appendRefusal(entry: AuditEntry): Promise<Result<Receipt | null, AuditFailure>>
  /** Keeps a record that nobody waits for. One that could not be kept is counted as `lost` in the status. */
  note(entry: OutcomeEntry): void
  status(): AuditStatus
  /** How far the live segment is on stable storage; `null` while there is none. What stands behind it is not known to be kept. */
  durable(): Durable | null
  /** The highest `seq` that a checkpoint on stable storage covers; `null` before the first one. */
  covered(): number | null
  /** Takes no more, waits for what is queued, writes the last record and gives the directory up. Never rejects. */
  seal(): Promise<void>
}

/** What a log needs from its builder. */
export interface AuditLogOptions {
  readonly dir: string
  readonly clock: () => Date
  /** A new unique id, fit for a file name. */
  readonly newId: () => string
  readonly limits?: Partial<AuditLimits>
  /** The file operations; those of the system when not given. */
  readonly files?: Files
  /** `required` when not given. */
  readonly mode?: AuditMode
  /** When a new segment is begun; only after a failure or a start when not given. */
  readonly rotate?: RotationOptions
  /** How full the volume may be; nobody looks, and nothing is kept back, when not given. */
  readonly disk?: DiskOptions
  /** How checkpoints are made; none are when not given. */
  readonly checkpoints?: CheckpointOptions
  /** Called when the status of the checkpoints, or the state of the disk, changes for the worse or the better. */
  readonly told?: () => void
}

/**
 * Opens the log of a directory in the background: records given at once wait for it. A directory that cannot be used is
 * no error here but the state `failed`, tried again until it is mended.
 */
export function openAuditLog(options: AuditLogOptions): AuditLog {
  return new GroupCommitLog(options)
}
