import { readCheckpointOptions } from '../audit/checkpoint-options.ts'
import type { AuditLog } from '../audit/log.ts'
import type { Config } from '../config/config.ts'
import type { Reviewing } from '../pages/answer.ts'
import { openReview } from '../review/open.ts'
import type { Logger } from '../telemetry/log.ts'

/** What the pages about the record are made of; null where nobody logs in with a browser. */
export function openReviewing({ audit, login }: Config, record: AuditLog, log: Logger): Reviewing | null {
  if (login === null) return null
  const { directory, review, checkpoints } = audit
  const { key, previousKey } = readCheckpointOptions(checkpoints)
  return {
    review: openReview({ directory, ...review, said: (problem) => log.warn({ problem }, 'reading the audit record') }),
    dir: directory,
    keys: [key, previousKey].filter((one) => one !== null),
    append: (entry) => record.append(entry),
  }
}
