import { join } from 'node:path'
import type { Files } from '../files.ts'
import { readRecordEnd } from '../line.ts'
import { lastLines } from '../previous.ts'
import { LineSource, segmentOf, sizesOf, type RawLine } from '../read-segments.ts'
import type { TailRecord } from './sink.ts'

type Fields = Partial<Record<string, unknown>>

/** Opens a segment from a position on, up to an end; `null`: all of it. */
export async function openLines(
  files: Files,
  dir: string,
  name: string,
  { from, end }: { readonly from: number; readonly end: number | null },
): Promise<LineSource> {
  if (end !== null) return await LineSource.open(files, { path: join(dir, name), size: end }, from)
  const [whole] = await sizesOf(files, dir, [name])
  if (whole === undefined) throw new Error(`${name} has no size`)
  return await LineSource.open(files, whole, from)
}

/** A line as a record; `null` when it is none. */
export function readRecord(file: string, { bytes }: RawLine): TailRecord | null {
  const line = bytes.toString('utf8')
  let fields: Fields
  try {
    fields = Object(JSON.parse(line))
  } catch {
    return null
  }
  const { log, seq, ts, kind } = fields
  if (typeof log !== 'string' || typeof seq !== 'number' || !Number.isSafeInteger(seq)) return null
  if (typeof ts !== 'string' || Number.isNaN(Date.parse(ts)) || typeof kind !== 'string') return null
  return { log, seq, ts, kind, file, line, bytes: bytes.length + 1, fields }
}

/** The segment before the one that this record opens, and the last record of it that counts. */
export function previousOf({ kind, fields }: TailRecord): { readonly file: string; readonly seq: number } | null {
  const { file, seq }: Fields = kind === 'log.opened' ? Object(fields['previous']) : {}
  return typeof file === 'string' && typeof seq === 'number' ? { file, seq } : null
}

/**
 * The highest number that counts in a segment that takes nothing more: the one that its successor says. Of a segment that
 * was found damaged, no successor says it: then all whole records count, as the log may say more than was shown, never less.
 */
export async function acknowledgedIn(
  files: Files,
  dir: string,
  segment: string,
  later: readonly string[],
): Promise<number> {
  for (const name of later) {
    const first = await firstRecord(files, dir, name)
    if (first === null) continue
    const previous = previousOf(first)
    return previous !== null && segmentOf(previous.file) === segment ? previous.seq : Number.MAX_SAFE_INTEGER
  }
  return Number.MAX_SAFE_INTEGER
}

/** How long a segment is, and its last number, where it was closed in good order; else `null`. */
export async function sealedEnd(
  files: Files,
  dir: string,
  file: string,
): Promise<{ readonly file: string; readonly bytes: number; readonly seq: number } | null> {
  const opened = await files.open(join(dir, file))
  try {
    const { size } = await opened.facts()
    const last = readRecordEnd((await lastLines(opened, 1))[0] ?? '')
    return last?.kind === 'log.sealed' ? { file, bytes: size, seq: last.seq } : null
  } finally {
    await opened.close().catch(() => undefined)
  }
}

async function firstRecord(files: Files, dir: string, name: string): Promise<TailRecord | null> {
  const lines = await openLines(files, dir, name, { from: 0, end: null })
  try {
    const line = await lines.next()
    return line?.form === 'whole' ? readRecord(name, line) : null
  } finally {
    await lines.close()
  }
}
