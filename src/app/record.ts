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
export function openRecord({ audit: settings }: Config, world: World): Recording {
  tellStart(settings, world.log)
  const signing = readCheckpointOptions(settings.checkpoints)
  const log = openLog(settings, signing, world)
  const beside = openBeside(settings, signing, log, world)
  const { announce, behind } = announcing((entry: AuditEntry) => log.appendRefusal(entry), mergeLoaded)
  const append = behind((entry) => log.append(entry))
  const audit: AuditLog = {
    append: async (entry) => confirmedBy(beside.sinks, settings.mode, await append(entry)),
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
    ...beside,
    async stop() {
      await beside.retention.stop()
      await log.seal()
      await beside.sinks.stop()
    },
  }
}

type Signing = ReturnType<typeof readCheckpointOptions>

function openLog(settings: Config['audit'], checkpoints: Signing, { clock, newId, log: operational }: World): AuditLog {
  const { directory: dir, mode, rotate, disk } = settings
  const told = (): void => tellChange(log.status(), operational)
  const log: AuditLog = openAuditLog({ dir, clock, newId, mode, rotate, disk, checkpoints, told })
  return log
}

/** What looks after the segments, and what hands their records over. */
function openBeside(
  { directory: dir, retention: kept, sinks: wanted }: Config['audit'],
  { key }: Signing,
  log: AuditLog,
  { clock, log: operational }: World,
): Pick<Recording, 'retention' | 'sinks'> {
  const record = (entry: AuditEntry): ReturnType<AuditLog['appendRefusal']> => log.appendRefusal(entry)
  const sinks = openSinks({
    dir,
    clock,
    options: wanted,
    durable: () => log.durable(),
    record,
    told: (status) => tellSink(status, operational),
  })
  const retention = openRetention({
    dir,
    files: nodeFiles,
    clock,
    options: kept,
    key,
    live: () => log.status().file,
    covered: () => log.covered(),
    record,
    wanted: (lastSeq) => lackingSink(sinks, lastSeq),
    told: () => tellRetention(retention.status(), kept, operational),
  })
  retention.start()
  return { sinks, retention }
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
