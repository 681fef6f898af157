import type { Logger } from '../telemetry/log.ts'

interface Failure {
  readonly reason: string
}

/** The state of the checkpoints, as far as it is told. */
interface Checkpoints {
  readonly signedBy: string | null
  readonly failure: Failure | null
  readonly problems: readonly string[]
  readonly copy: { readonly failure: Failure | null } | null
}

/** Says at the start, for everybody to see, what the checkpoints are worth. */
export function tellStart(
  { key, copyTo }: { readonly key: string | null; readonly copyTo: string | null },
  log: Logger,
) {
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

/** Says that checkpoints fail, or are made again. */
export function tellChange(status: Checkpoints | null, log: Logger): void {
  if (status === null) return
  const { failure, problems, copy } = status
  if (problems.length > 0)
    log.error({ problems }, 'the audit log of an earlier start is damaged: bailiwick audit verify')
  const copyFailure = copy?.failure ?? null
  if (failure !== null) log.error({ failure }, 'no audit checkpoint can be made')
  if (copyFailure !== null)
    log.error({ failure: copyFailure }, 'the audit checkpoints do not get to their second place')
  if (failure === null && copyFailure === null) log.info('audit checkpoints are made')
}

/** For the metrics. */
export function checkpointNumbers(status: (Checkpoints & { readonly last: { readonly at: string } | null }) | null) {
  if (status === null) return null
  const { signedBy, failure, copy, last } = status
  return {
    signed: signedBy !== null,
    failing: failure !== null,
    copyFailing: copy !== null && copy.failure !== null,
    last: last === null ? null : Date.parse(last.at) / 1000,
  }
}
