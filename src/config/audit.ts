import { createPrivateKey } from 'node:crypto'
import { resolve } from 'node:path'
import { z } from 'zod'
import type { SinkOptions } from '../audit/sinks/sinks.ts'
import type { RetentionOptions } from '../audit/retention.ts'
import { checkRetention, retention, toRetention } from './retention.ts'
import { review, toReview } from './review.ts'
import type { ReviewConfig } from './review.ts'
import type { SecretFiles } from './secrets.ts'
import { checkSinks, sink, toSinks } from './sinks.ts'
import { duration, keep, listOf, nonEmpty, settings, share, size, text } from './values.ts'

const signingKey = text.refine(
  isEd25519,
  'must be an Ed25519 private key in PEM form: bailiwick audit keygen FILE makes one',
)

/** The `audit` section. */
export const audit = settings({
  directory: nonEmpty,
  mode: z.enum(['required', 'best-effort'], { error: 'must be required or best-effort' }).default('required'),
  rotate: settings({ size: size.prefault('256MiB'), every: keep.prefault('24h') }).prefault({}),
  disk: settings({
    warn: share.prefault('70%'),
    refuse: share.prefault('95%'),
    reserve: size.prefault('32MiB'),
  }).prefault({}),
  checkpoints: settings({
    key: signingKey.optional(),
    previousKey: signingKey.optional(),
    copyTo: nonEmpty.optional(),
    every: duration.refine((ms) => ms >= 10, 'must be at least 10ms').prefault('1s'),
    idle: duration.refine((ms) => ms >= 100, 'must be at least 100ms').prefault('60s'),
  }).prefault({}),
  retention,
  review: review.prefault({}),
  sinks: listOf(sink, 'sink').optional(),
})

type AuditSettings = z.output<typeof audit>

/** Where the record is kept, and how checkpoints of it are made. Keys are PEM texts. */
export interface AuditConfig {
  readonly directory: string
  /** `best-effort`: answers may leave without a record. */
  readonly mode: 'required' | 'best-effort'
  /** When a new segment is begun: bytes and milliseconds. */
  readonly rotate: { readonly bytes: number; readonly ms: number }
  /** How full the volume may be, from 0 to 1, and how much of it is kept for the record of refusals, in bytes. */
  readonly disk: { readonly warn: number; readonly refuse: number; readonly reserveBytes: number }
  readonly checkpoints: {
    readonly key: string | null
    readonly previousKey: string | null
    readonly copyTo: string | null
    /** Milliseconds. */
    readonly every: number
    readonly idle: number
  }
  readonly retention: RetentionOptions
  readonly review: ReviewConfig
  /** Where the record goes beside the file. */
  readonly sinks: readonly SinkOptions[]
}

export function toAudit(audit: AuditSettings, base: string, files: SecretFiles): AuditConfig {
  const { mode, rotate, disk, checkpoints, retention: kept, review: read, sinks = [] } = audit
  const { key = null, previousKey = null, copyTo, every, idle } = checkpoints
  const directory = resolve(base, audit.directory)
  return {
    directory,
    mode,
    rotate: { bytes: rotate.size, ms: rotate.every },
    disk: { warn: disk.warn, refuse: disk.refuse, reserveBytes: disk.reserve },
    checkpoints: { key, previousKey, copyTo: copyTo === undefined ? null : resolve(base, copyTo), every, idle },
    retention: toRetention(kept),
    review: toReview(read, base, directory),
    sinks: toSinks(sinks, files),
  }
}

/** What concerns several of the settings. */
export function checkAudit(audit: AuditSettings): readonly string[] {
  const { directory, disk, checkpoints, sinks = [] } = audit
  const { key, previousKey, copyTo, every, idle } = checkpoints
  return [
    ...(previousKey !== undefined && previousKey === key
      ? ['audit.checkpoints.previousKey: is the key itself: leave it out until the key changes']
      : []),
    ...(copyTo !== undefined && resolve(copyTo).startsWith(`${resolve(directory)}/`)
      ? ['audit.checkpoints.copyTo: is within audit.directory: a second place is one that the first cannot take along']
      : []),
    ...(disk.warn >= disk.refuse ? ['audit.disk.warn: must be less than audit.disk.refuse'] : []),
    ...checkRetention(audit.retention, { signed: key !== undefined, rotateBytes: audit.rotate.size }),
    ...checkSinks(sinks),
    ...(idle < every ? ['audit.checkpoints.idle: must not be shorter than audit.checkpoints.every'] : []),
  ]
}

function isEd25519(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyType === 'ed25519'
  } catch {
    return false
  }
}
