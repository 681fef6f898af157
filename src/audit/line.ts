import { hash } from 'node:crypto'
import { cutEntry } from './cut.ts'
import type { AuditLimits } from './limits.ts'
import type { AnyEntry, RecordHead } from './record.ts'

/** What stands for "the record before" in the first record of a segment. */
export const firstChain = '0'.repeat(64)

// JSON leaves these as they are, but some readers break lines at them (NEL, U+2028, U+2029), terminals obey them (DEL, C1)
// and bidirectional marks make a query look like another one.
const deceptive = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/**
 * Encodes an entry's own fields as JSON members, without the braces, cut to the limits (`truncated` names what was cut).
 * The text is one line: JSON escapes control characters and lone surrogates (ECMA-262, well-formed JSON.stringify).
 */
export function encodeEntry(entry: AnyEntry, limits: Pick<AuditLimits, 'textUnits' | 'fieldUnits'>): string {
  const { fields, truncated } = cutEntry(entry, limits)
  const json = JSON.stringify(truncated.length === 0 ? fields : { ...fields, truncated })
  return json.slice(1, -1).replace(deceptive, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/**
 * Joins head, members and chain into the line that goes to disk.
 * The chain value is sha256, in hex, over the previous chain value, a newline, and the line's bytes before `,"chain"`.
 */
export function recordLine(head: RecordHead, members: string, previous: string): { line: string; chain: string } {
  const ids = `"log":${JSON.stringify(head.log)},"boot":${JSON.stringify(head.boot)}`
  const body = `{"v":1,"seq":${head.seq},"ts":"${head.ts}",${ids},${members}`
  const chain = hash('sha256', `${previous}\n${body}`)
  return { line: `${body},"chain":"${chain}"}\n`, chain }
}

/** How many bytes `,"chain":"…"}` takes at the end of a line. */
export const chainBytes = 76

/** What a line's chain value must be, given the one before; the line is without its newline. */
export const chainOf = (previous: string, line: Uint8Array): string =>
  hash('sha256', Buffer.concat([Buffer.from(`${previous}\n`), line.subarray(0, -chainBytes)]))

/** What is needed of a segment's last record to continue after it. */
export interface RecordEnd {
  readonly log: string
  readonly seq: number
  readonly chain: string
  readonly kind: string
}

/** Reads a line back as far as a successor needs it; `null` when it is no record. Checks no chain. */
export function readRecordEnd(line: string): RecordEnd | null {
  let found: unknown
  try {
    found = JSON.parse(line)
  } catch {
    return null
  }
  if (typeof found !== 'object' || found === null) return null
  const { log, seq, chain, kind } = found as Partial<Record<keyof RecordEnd, unknown>>
  if (typeof log !== 'string' || typeof kind !== 'string' || typeof seq !== 'number' || !Number.isSafeInteger(seq))
    return null
  if (typeof chain !== 'string' || !/^[0-9a-f]{64}$/.test(chain)) return null
  return { log, seq, chain, kind }
}
