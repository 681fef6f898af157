import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Files, OpenFile } from './files.ts'
import { readRecordEnd, type RecordEnd } from './line.ts'
import { isPacked } from './packed.ts'
import { LineSource, plainName, segmentFiles } from './read-segments.ts'
import type { PreviousSegment, TornTail, UnreadSegment } from './record.ts'
import { segmentTime } from './segment-names.ts'

export { segmentName } from './segment-names.ts'

const newline = 0x0a
const chunkBytes = 64 * 1024

/** Where a log in this directory goes on. */
export interface Continuation {
  /** Id of the log that is continued; `null` in a directory without one. */
  readonly log: string | null
  readonly previous: PreviousSegment | null
  readonly unread: readonly UnreadSegment[]
  /** The time in the newest segment's name, as milliseconds since 1970; 0 when there is none. */
  readonly newest: number
}

/**
 * Finds the newest segment that ends in a readable record, and lists the newer ones that do not. Only reads.
 * Rejects when the directory cannot be listed; a segment that cannot be read is reported in `unread`.
 */
export async function findPrevious(files: Files, dir: string): Promise<Continuation> {
  const names = await segmentFiles(files, dir)
  const newest = segmentTime(names.at(-1) ?? '') ?? 0
  const unread: UnreadSegment[] = []
  for (const name of names.toReversed()) {
    const file = plainName(name)
    const end = await segmentEnd(files, join(dir, name))
    if ('record' in end) {
      const { log, seq, chain, kind } = end.record
      if (end.tail !== null)
        return { log, previous: { file, found: 'torn', seq, chain, tail: end.tail }, unread, newest }
      return { log, previous: { file, found: kind === 'log.sealed' ? 'sealed' : 'open', seq, chain }, unread, newest }
    }
    unread.push({ file, ...end })
  }
  return { log: null, previous: null, unread, newest }
}

type SegmentEnd = { readonly record: RecordEnd; readonly tail: TornTail | null } | Omit<UnreadSegment, 'file'>

async function segmentEnd(files: Files, path: string): Promise<SegmentEnd> {
  if (isPacked(path)) {
    return await packedEnd(files, path).catch((error: unknown) => ({ found: 'unreadable', because: String(error) }))
  }
  let opened: OpenFile
  try {
    opened = await files.open(path)
  } catch (error) {
    return { found: 'unreadable', because: String(error) }
  }
  try {
    return await lastRecord(opened)
  } catch (error) {
    return { found: 'unreadable', because: String(error) }
  } finally {
    // Nothing was written through it: a failing close loses nothing.
    await opened.close().catch(() => undefined)
  }
}

/** A compressed one cannot be read from behind. That is rare: the newest segments are not compressed. */
async function packedEnd(files: Files, path: string): Promise<SegmentEnd> {
  const lines = await LineSource.open(files, { path, size: 0 })
  const rest = createHash('sha256')
  let [last, whole, bytes]: [string | null, number, number] = [null, 0, 0]
  try {
    for (let line = await lines.next(); line !== undefined; line = await lines.next()) {
      bytes = line.end
      if (line.form !== 'whole') rest.update(line.bytes)
      else [last, whole] = [line.bytes.toString('utf8'), line.end]
    }
  } finally {
    await lines.close()
  }
  const tail = whole < bytes ? { bytes: bytes - whole, sha256: rest.digest('hex') } : null
  if (last === null) return tail === null ? { found: 'empty', bytes } : { found: 'torn', ...tail }
  const record = readRecordEnd(last)
  return record === null ? { found: 'damaged', bytes } : { record, tail }
}

async function lastRecord(opened: OpenFile): Promise<SegmentEnd> {
  const { size } = await opened.facts()
  if (size === 0) return { found: 'empty', bytes: 0 }
  const lineEnd = await newlineBefore(opened, size)
  const tail = lineEnd + 1 < size ? await digest(opened, lineEnd + 1, size) : null
  if (lineEnd < 0) return { found: 'torn', ...tail }
  const lineStart = (await newlineBefore(opened, lineEnd)) + 1
  const record = readRecordEnd((await bytesOf(opened, lineStart, lineEnd)).toString('utf8'))
  return record === null ? { found: 'damaged', bytes: size } : { record, tail }
}

/** The last whole lines of a file, at most so many, without their newlines. */
export async function lastLines(opened: OpenFile, count: number): Promise<readonly string[]> {
  const lines: string[] = []
  let end = await newlineBefore(opened, (await opened.facts()).size)
  while (end >= 0 && lines.length < count) {
    const before = await newlineBefore(opened, end)
    lines.unshift((await bytesOf(opened, before + 1, end)).toString('utf8'))
    end = before
  }
  return lines
}

/** Position of the last newline before `end`; -1 when there is none. Reads backwards: a segment can be very large. */
async function newlineBefore(opened: OpenFile, end: number): Promise<number> {
  for (let stop = end; stop > 0;) {
    const start = Math.max(0, stop - chunkBytes)
    const found = (await bytesOf(opened, start, stop)).lastIndexOf(newline)
    if (found >= 0) return start + found
    stop = start
  }
  return -1
}

async function digest(opened: OpenFile, start: number, end: number): Promise<TornTail> {
  const sum = createHash('sha256')
  for (let at = start; at < end; at += chunkBytes) sum.update(await bytesOf(opened, at, Math.min(end, at + chunkBytes)))
  return { bytes: end - start, sha256: sum.digest('hex') }
}

async function bytesOf(opened: OpenFile, start: number, end: number): Promise<Buffer> {
  const bytes = Buffer.alloc(end - start)
  for (let filled = 0; filled < bytes.length;) {
    const count = await opened.read(bytes.subarray(filled), start + filled)
    if (count === 0) throw new Error(`the file ended at byte ${start + filled} while it was read`)
    filled += count
  }
  return bytes
}
