import { pino } from 'pino'
import type { DestinationStream, Logger } from 'pino'

export type { Logger } from 'pino'

/** Settings of the operational log. */
export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
}

/**
 * The operational log: JSON lines on standard error, for whoever runs the gateway. It is not the audit record. Callers
 * pass no headers, tokens or parameters to it; should one do so by mistake, these names are blanked.
 */
export function createLog({ level }: LogOptions, destination?: DestinationStream): Logger {
  const secret = ['authorization', 'cookie', 'token', 'password', 'bearerToken']
  return pino(
    {
      level,
      base: { service: 'bailiwick' },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: secret.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
    },
    destination ?? pino.destination({ fd: 2, sync: true }),
  )
}
