import { z } from 'zod'
import type { RetentionOptions } from '../audit/retention.ts'
import { keep, settings, size } from './values.ts'

const yesOrNo = z.boolean({ error: 'must be true or false' })

/** The `audit.retention` section. */
export const retention = settings({
  keep: keep.optional(),
  maxSize: size.optional(),
  compress: yesOrNo.default(true),
  hold: yesOrNo.default(false),
}).prefault({})

type RetentionSettings = z.output<typeof retention>

/** How often somebody looks: a hold is seen, and recorded, within this time. */
const everyMs = 60_000

export const toRetention = ({ keep, maxSize, compress, hold }: RetentionSettings): RetentionOptions => ({
  keepMs: keep ?? null,
  maxBytes: maxSize ?? null,
  compress,
  hold,
  everyMs,
})

/** What does not go together with the rest of the `audit` section. */
export function checkRetention(
  { keep, maxSize }: RetentionSettings,
  { signed, rotateBytes }: { readonly signed: boolean; readonly rotateBytes: number },
): readonly string[] {
  const deletes = keep !== undefined || maxSize !== undefined
  return [
    ...(deletes && !signed
      ? [
          'audit.retention: nothing is deleted without a signed tombstone: set audit.checkpoints.key, or leave keep and maxSize out',
        ]
      : []),
    ...(maxSize !== undefined && maxSize < 4 * rotateBytes
      ? [
          'audit.retention.maxSize: must be at least four times audit.rotate.size: the live segment and the one before it always stay',
        ]
      : []),
  ]
}
