import { readCheckpointOptions } from '../audit/checkpoint-options.ts'
import { openAuditLog } from '../audit/log.ts'
import type { AuditFailure, AuditLog, AuditMode, Receipt } from '../audit/log.ts'
import type { AuditEntry } from '../audit/record.ts'
import { nodeFiles } from '../audit/files.ts'
import { openRetention } from '../audit/retention.ts'
import type { Retention } from '../audit/retention.ts'
import { openSinks } from '../audit/sinks/sinks.ts'
import type { Sinks } from '../audit/sinks/sinks.ts'
import type { Config } from '../config/config.ts'
import { fail } from '../result.ts'
import type { Result } from '../result.ts'
import type { Logger } from '../telemetry/log.ts'
import { announcing } from './announce.ts'
import { mergeLoaded } from './policy.ts'
import { tellChange, tellRetention, tellSink, tellStart } from './tell-record.ts'

/** The record, and what is done with it beside writing it. */
export interface Recording {
  /** Every entry stands behind what was announced before it. */
  readonly audit: AuditLog
  /** Keeps an entry that must stand before all that come after it, such as: another policy decides now. */
  readonly announce: (entry: AuditEntry) => Promise<Result<Receipt | null, AuditFailure>>
  readonly sinks: Sinks
  readonly retention: Retention
  /** Seals the log, and hands over what the sinks do not have yet, as far as it can be in a few seconds. */
  stop(): Promise<void>
}

/** What comes from outside of the program. */
interface World {
  readonly log: Logger
  readonly clock: () => Date
  readonly newId: () => string
}

/** Opens the record of a gateway. */
export function openRecord({ audit: settings }: Config, { log: operational, clock, newId }: World): Recording {
  const { directory: dir, mode, rotate, disk, checkpoints } = settings
  tellStart(settings, operational)
  const signing = readCheckpointOptions(checkpoints)
  const told = (): void => tellChange(log.status(), operational)
  const log = openAuditLog({
    dir,
    clock,
    newId,
    mode,
    rotate,
    disk,
    checkpoints: signing,
    told,
  })
  const retention = openRetention({
    dir,
    files: nodeFiles,
    clock,
    options: settings.retention,
    key: signing.key,
    live: () => log.status().file,
    covered: () => log.covered(),
    record: (entry) => log.appendRefusal(entry),
    wanted: (lastSeq) => lackingSink(sinks, lastSeq),
    told: () => tellRetention(retention.status(), operational),
  })
  retention.start()
  const sinks = openSinks({
    dir,
    clock,
    options: settings.sinks,
    durable: () => log.durable(),
    record: (entry) => log.appendRefusal(entry),
    told: (status) => tellSink(status, operational),
  })
  const { announce, behind } = announcing((entry: AuditEntry) => log.appendRefusal(entry), mergeLoaded)
  const append = behind((entry) => log.append(entry))
  const audit: AuditLog = {
    append: async (entry) => confirmedBy(sinks, mode, await append(entry)),
    appendRefusal: behind((entry) => log.appendRefusal(entry)),
    note: (entry) => log.note(entry),
    status: () => log.status(),
    durable: () => log.durable(),
    covered: () => log.covered(),
    seal: () => log.seal(),
  }
  return {
    audit,
    announce,
    sinks,
    retention,
    async stop() {
      await retention.stop()
      await log.seal()
      await sinks.stop()
    },
  }
}

/** Why a segment that ends with this record must stay: a required sink does not have it. */
function lackingSink(sinks: Sinks, lastSeq: number): string | null {
  const behind = sinks.status().find(({ required, seq }) => required && (seq ?? -1) < lastSeq)
  return behind === undefined ? null : `the sink ${behind.name} does not have it yet`
}

/** Nothing is shown before every required sink has its record as well. */
async function confirmedBy(
  sinks: Sinks,
  mode: AuditMode,
  recorded: Result<Receipt | null, AuditFailure>,
): Promise<Result<Receipt | null, AuditFailure>> {
  if (!recorded.ok || recorded.value === null || mode === 'best-effort') return recorded
  const confirmed = await sinks.confirmed(recorded.value)
  return confirmed.ok ? recorded : fail(confirmed.error)
}
