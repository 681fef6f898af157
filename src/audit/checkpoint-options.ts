import type { Result } from '../result.ts'
import type { CopyStatus } from './checkpoint-file.ts'
import type { AuditFailure } from './failure.ts'
import type { Files } from './files.ts'
import { readSigningKey, type SigningKey } from './keys.ts'
import type { KeyChangedEntry } from './record.ts'

/** How checkpoints are made. */
export interface CheckpointOptions {
  /** `null`: they are not signed. */
  readonly key: SigningKey | null
  /** The key that signed before, to vouch for the new one. */
  readonly previousKey: SigningKey | null
  /** A file in a second place that gets a copy of each. */
  readonly copyTo: string | null
  /** Milliseconds between two of them with traffic, and without. */
  readonly every: number
  readonly idle: number
}

/** The same with keys in PEM form; throws when one is none. */
export function readCheckpointOptions({
  key,
  previousKey,
  ...rest
}: Omit<CheckpointOptions, 'key' | 'previousKey'> & {
  readonly key: string | null
  readonly previousKey: string | null
}): CheckpointOptions {
  return { ...rest, key: readKey(key), previousKey: readKey(previousKey) }
}

const readKey = (pem: string | null): SigningKey | null => (pem === null ? null : readSigningKey(pem))

/** What the operator can know about the checkpoints. */
export interface CheckpointStatus {
  /** Id of the key that signs; `null`: they are not signed. */
  readonly signedBy: string | null
  /** The newest one on stable storage. */
  readonly last: { readonly number: number; readonly at: string } | null
  /** Why none is made at the moment. */
  readonly failure: AuditFailure | null
  /** What was found wrong with the log of an earlier start: `bailiwick audit verify` says more. */
  readonly problems: readonly string[]
  readonly copy: CopyStatus | null
}

/** What the checkpointer needs from the log. */
export interface CheckpointerParts {
  readonly dir: string
  readonly files: Files
  readonly clock: () => Date
  readonly options: CheckpointOptions
  /** Keeps a record about the keys. */
  readonly record: (entry: KeyChangedEntry) => Promise<Result<unknown, AuditFailure>>
  /** Called when a failure begins, changes or ends. */
  readonly told: () => void
}
