import { chainBytes, chainOf } from './line.ts'
import type { RawLine } from './read-segments.ts'
import type { DamageKind } from './verify-report.ts'

const chainPattern = /^,"chain":"([0-9a-f]{64})"\}$/

/** The chain value at the end of a line; `null` when there is none. */
export const chainIn = (line: RawLine): string | null =>
  line.form === 'whole' ? (chainPattern.exec(line.bytes.subarray(-chainBytes).toString('latin1'))?.[1] ?? null) : null

/** The chain value of a line that follows the given one; `null` when it does not follow. */
export function follow(previous: string, line: RawLine): string | null {
  const chain = chainIn(line)
  return chain !== null && chainOf(previous, line.bytes) === chain ? chain : null
}

/** A line as JSON, or nothing. */
export function recordIn({ bytes }: RawLine): Partial<Record<string, unknown>> {
  try {
    return Object(JSON.parse(bytes.toString('utf8')))
  } catch {
    return {}
  }
}

/** A line that does not follow the one before it, and what stands around it. */
export interface Broken {
  readonly line: RawLine
  readonly before: RawLine | null
  /** Chain value of the line before. */
  readonly previous: string
  /** The number that the line should have. */
  readonly expected: number
  /** The lines behind it. */
  readonly ahead: readonly RawLine[]
}

interface Diagnosis {
  readonly kind: DamageKind
  readonly sentence: string
}

/** Says what happened to a line that breaks the chain. */
export function diagnose(broken: Broken): Diagnosis {
  const { line, before, previous, ahead } = broken
  if (before?.bytes.equals(line.bytes) === true) return { kind: 'inserted', sentence: 'the line before it is repeated' }
  const at = ahead.findIndex((later) => follow(previous, later) !== null)
  return at < 0 ? changedOrMissing(broken) : movedOrAdded(line, previous, ahead.slice(at), at + 1)
}

/** The true next line stands further on: this one was put in, or was taken from behind it. */
function movedOrAdded(line: RawLine, previous: string, rest: readonly RawLine[], count: number): Diagnosis {
  let chain = previous
  for (const [index, later] of rest.entries()) {
    const next = follow(chain, later)
    if (next === null) break
    chain = next
    if (follow(chain, line) === null) continue
    if (rest[index + 1]?.bytes.equals(line.bytes) === true) {
      return { kind: 'inserted', sentence: 'a copy of a later line was put in here' }
    }
    return { kind: 'reordered', sentence: 'it stands before a line that it followed' }
  }
  const lines = count === 1 ? 'a line was' : `${count} lines were`
  return { kind: 'inserted', sentence: `${lines} put in here: what stands behind follows the line before` }
}

function changedOrMissing({ line, before, previous, expected, ahead }: Broken): Diagnosis {
  const edited: Diagnosis = { kind: 'edited', sentence: 'its content is not what its chain value was made of' }
  const { seq, kind } = recordIn(line)
  const chain = chainIn(line)
  if (typeof seq !== 'number' || chain === null || seq === expected) return edited
  // The first line of a segment may have a higher number than expected, and nothing can be missing before it.
  if (before === null && kind === 'log.opened') return edited
  const right = line.bytes.toString('utf8').replace(/"seq":[^,]*/, `"seq":${expected}`)
  if (chainOf(previous, Buffer.from(right)) === chain) return { kind: 'edited', sentence: 'its number was changed' }
  if (seq < expected) return { kind: 'inserted', sentence: `record ${seq} is there again` }
  const [next] = ahead
  if (next !== undefined && recordIn(next)['seq'] === expected + 1) return edited
  const missing = seq - expected === 1 ? `record ${expected} is` : `records ${expected} to ${seq - 1} are`
  return { kind: 'deleted', sentence: `${missing} missing before it` }
}
