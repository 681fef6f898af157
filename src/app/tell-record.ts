import type { AuditStatus } from '../audit/log.ts'
import type { RetentionOptions, RetentionStatus } from '../audit/retention.ts'
import type { SinkStatus } from '../audit/sinks/sinks.ts'
import type { Config } from '../config/config.ts'
import type { ReviewStatus } from '../review/review.ts'
import type { Logger } from '../telemetry/log.ts'

/** Says at the start, for everybody to see, what the record is worth. */
export function tellStart({ mode, checkpoints: { key, copyTo } }: Config['audit'], log: Logger): void {
  if (mode === 'best-effort') {
    log.warn(
      { remedy: 'audit.mode: required' },
      'the audit record is BEST EFFORT, as asked: an answer may leave although nothing of it is on record',
    )
  }
  if (key === null) {
    log.warn(
      { remedy: 'audit.checkpoints.key_file: see bailiwick audit keygen' },
      'the audit checkpoints are NOT SIGNED: whoever can write the audit directory can make the whole log anew, unseen',
    )
  }
  if (copyTo === null) {
    log.info(
      'the audit checkpoints have no second place (audit.checkpoints.copyTo): what is cut off the end goes unseen',
    )
  }
}

/** Says that checkpoints fail, or are made again, and how full the volume is. */
export function tellChange({ checkpoints, disk }: AuditStatus, log: Logger): void {
  if (disk !== null && disk.state !== 'fine') {
    const remedy =
      'free space on the volume of audit.directory, keep the record for less long (audit.retention.keep), or enlarge it'
    if (disk.state === 'full') log.error({ disk, remedy }, 'the audit volume is full: nothing new is answered')
    else log.warn({ disk, remedy }, 'the audit volume fills up')
  }
  if (checkpoints === undefined) return
  const { failure, problems, copy } = checkpoints
  if (problems.length > 0)
    log.error({ problems }, 'the audit log of an earlier start is damaged: bailiwick audit verify')
  const copyFailure = copy?.failure ?? null
  if (failure !== null) log.error({ failure }, 'no audit checkpoint can be made')
  if (copyFailure !== null)
    log.error({ failure: copyFailure }, 'the audit checkpoints do not get to their second place')
  if (failure === null && copyFailure === null) log.info('audit checkpoints are made')
}

/** Says that a sink takes nothing, or takes records again. */
export function tellSink({ name, required, state, because, problem, lagRecords }: SinkStatus, log: Logger): void {
  if (problem !== null) log.error({ sink: name, problem }, 'an audit sink lacks records')
  if (state === 'failing' && required)
    log.error({ sink: name, because }, 'a required audit sink takes nothing: nothing is answered')
  else if (state === 'failing')
    log.warn({ sink: name, because, lagRecords }, 'an audit sink takes nothing: it is tried again')
  else log.info({ sink: name, state, lagRecords }, 'an audit sink')
}

/** Says what keeps segments from being compressed or deleted, or that nothing does any more. */
export function tellRetention(
  { hold, blocked, failure, problems, deleted }: RetentionStatus,
  { keepMs, maxBytes }: RetentionOptions,
  log: Logger,
): void {
  const deletes = keepMs !== null || maxBytes !== null
  if (problems.length > 0) log.error({ problems }, 'damaged audit segments are not deleted: bailiwick audit verify')
  if (failure !== null) log.error({ failure }, 'audit segments cannot be compressed or deleted')
  else if (hold !== null) log.info({ hold }, 'a legal hold: no audit segment is deleted')
  else if (blocked !== null && deletes) log.warn({ blocked }, 'no audit segment is deleted for now')
  else if (deletes) log.info({ deleted }, 'audit segments are kept as long as they should be')
}

/** For the metrics. */
export function numbersOf({ state, mode, queued, records, unrecorded, disk, checkpoints }: AuditStatus) {
  return {
    open: state === 'open',
    bestEffort: mode === 'best-effort',
    queued,
    records,
    unrecorded,
    diskUsed: disk?.used ?? null,
    checkpoints:
      checkpoints === undefined
        ? null
        : {
            signed: checkpoints.signedBy !== null,
            failing: checkpoints.failure !== null,
            copyFailing: checkpoints.copy !== null && checkpoints.copy.failure !== null,
            last: checkpoints.last === null ? null : Date.parse(checkpoints.last.at) / 1000,
          },
  }
}

/** The same of a sink. */
export const sinkNumbers = ({ missed, ...sink }: SinkStatus) => ({
  ...sink,
  up: sink.state === 'up',
  missed: missed.reduce((sum, { from, to }) => sum + to - from + 1, 0),
})

/** The same of the segments. */
export const segmentNumbers = ({ segments, hold, blocked, failure, problems, ...rest }: RetentionStatus) => ({
  ...rest,
  count: segments,
  held: hold !== null,
  blocked: blocked !== null,
  failing: failure !== null || problems.length > 0,
})

/** The same of searching it. */
export const reviewNumbers = ({ state, indexed, waiting }: ReviewStatus) => ({
  ready: state === 'ready',
  indexed,
  waiting,
})
