import type { Result } from '../result.ts'
import type { AuditFailure } from './failure.ts'
import type { Files } from './files.ts'
import { dropFile, placeFile, readHold, type Hold } from './hold.ts'
import type { HoldBegunEntry, HoldEndedEntry } from './record.ts'

interface Parts {
  readonly dir: string
  readonly files: Files
  readonly clock: () => Date
  /** Is the log held by the configuration? */
  readonly configured: boolean
  readonly record: (entry: HoldBegunEntry | HoldEndedEntry) => Promise<Result<unknown, AuditFailure>>
}

/** What was recorded last of a hold, over restarts: its end has to be recorded too. */
const recordedHold = 'legal-hold.recorded'

/** The hold of a log, by a file or by the configuration. */
export class HoldWatch {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async isHeld(): Promise<boolean> {
    const { files, dir, configured } = this.#parts
    return configured || (await readHold(files, dir)) !== null
  }

  /** The hold there is; puts on record that it began, changed or ended. Rejects where the disk fails. */
  async notice(): Promise<{ readonly hold: Hold | null; readonly failure: AuditFailure | null }> {
    const { files, dir, clock, configured, record } = this.#parts
    const recorded = await readHold(files, dir, recordedHold)
    const hold = (await readHold(files, dir)) ?? (configured ? byConfiguration(recorded, clock()) : null)
    if (JSON.stringify(hold) === JSON.stringify(recorded)) return { hold, failure: null }
    const kept = await record(hold === null ? { kind: 'hold.ended' } : { kind: 'hold.begun', ...hold })
    if (!kept.ok) return { hold, failure: kept.error }
    if (hold === null) await dropFile(files, dir, recordedHold)
    else await placeFile(files, dir, recordedHold, `${JSON.stringify(hold)}\n`)
    return { hold, failure: null }
  }
}

function byConfiguration(recorded: Hold | null, now: Date): Hold {
  const by = 'configuration'
  if (recorded?.by === by) return recorded
  return { by, because: 'audit.retention.hold', since: now.toISOString() }
}
