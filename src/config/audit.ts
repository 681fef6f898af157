import { createPrivateKey } from 'node:crypto'
import { resolve } from 'node:path'
import type { z } from 'zod'
import { duration, nonEmpty, settings, text } from './values.ts'

const signingKey = text.refine(
  isEd25519,
  'must be an Ed25519 private key in PEM form: bailiwick audit keygen FILE makes one',
)

/** The `audit` section. */
export const audit = settings({
  directory: nonEmpty,
  checkpoints: settings({
    key: signingKey.optional(),
    previousKey: signingKey.optional(),
    copyTo: nonEmpty.optional(),
    every: duration.refine((ms) => ms >= 10, 'must be at least 10ms').prefault('1s'),
    idle: duration.refine((ms) => ms >= 100, 'must be at least 100ms').prefault('60s'),
  }).prefault({}),
})

type AuditSettings = z.output<typeof audit>

/** Where the record is kept, and how checkpoints of it are made. Keys are PEM texts. */
export interface AuditConfig {
  readonly directory: string
  readonly checkpoints: {
    readonly key: string | null
    readonly previousKey: string | null
    readonly copyTo: string | null
    /** Milliseconds. */
    readonly every: number
    readonly idle: number
  }
}

export function toAudit({ directory, checkpoints }: AuditSettings, base: string): AuditConfig {
  const { key = null, previousKey = null, copyTo, every, idle } = checkpoints
  return {
    directory: resolve(base, directory),
    checkpoints: { key, previousKey, copyTo: copyTo === undefined ? null : resolve(base, copyTo), every, idle },
  }
}

/** What concerns several of the settings. */
export function checkAudit({ directory, checkpoints }: AuditSettings): readonly string[] {
  const { key, previousKey, copyTo, every, idle } = checkpoints
  return [
    ...(previousKey !== undefined && previousKey === key
      ? ['audit.checkpoints.previousKey: is the key itself: leave it out until the key changes']
      : []),
    ...(copyTo !== undefined && resolve(copyTo).startsWith(`${resolve(directory)}/`)
      ? ['audit.checkpoints.copyTo: is within audit.directory: a second place is one that the first cannot take along']
      : []),
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
