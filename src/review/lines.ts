import type { Files, OpenFile } from '../audit/files.ts'
import { lastLines } from '../audit/previous.ts'
import { LineSource } from '../audit/read-segments.ts'
import type { ReadableFile } from '../audit/read-segments.ts'

const newline = 0x0a
const blockBytes = 64 * 1024
const nearBytes = 256 * 1024

/** The number of a record, read off the beginning of its line. */
export function seqOf(line: Buffer): number | null {
  const [, seq] = /^\{"v":\d+,"seq":(\d+),/.exec(line.subarray(0, 64).toString('latin1')) ?? []
  return seq === undefined ? null : Number(seq)
}

/** Is this the chain value of a segment's last line? Of plain segments only: a compressed one would have to be read whole. */
export async function endsIn(files: Files, { path }: ReadableFile, chain: string): Promise<boolean> {
  if (path.endsWith('.zst') || chain === '') return true
  const opened = await files.open(path)
  try {
    const [last = ''] = await lastLines(opened, 1)
    return last.endsWith(`"chain":"${chain}"}`)
  } finally {
    await opened.close().catch(() => undefined)
  }
}

/** Numbers of records that are read in one go, though others may stand between them. */
const apart = 5_000

/** The lines of records in a segment, by their numbers, which grow; those that are not there are left out. */
export async function* linesOf(
  files: Files,
  source: ReadableFile,
  seqs: readonly number[],
): AsyncGenerator<readonly [seq: number, line: Buffer]> {
  // A compressed segment has to be read from its beginning each time: it is read once.
  const packed = source.path.endsWith('.zst')
  for (const group of packed ? [seqs] : groupsOf(seqs)) {
    yield* scan(files, source, packed ? 0 : await before(files, source, group[0] ?? 0), group)
  }
}

/** Numbers that are near one another. */
function groupsOf(seqs: readonly number[]): readonly (readonly number[])[] {
  const groups: number[][] = []
  for (const seq of seqs) {
    const group = groups.at(-1)
    if (group !== undefined && seq - (group.at(-1) ?? 0) < apart) group.push(seq)
    else groups.push([seq])
  }
  return groups
}

async function* scan(
  files: Files,
  source: ReadableFile,
  from: number,
  seqs: readonly number[],
): AsyncGenerator<readonly [seq: number, line: Buffer]> {
  let at = 0
  const lines = await LineSource.open(files, source, from)
  try {
    for (let line = await lines.next(); line?.form === 'whole'; line = lines.take() ?? (await lines.next())) {
      const seq = seqOf(line.bytes)
      if (seq === null) continue
      while (at < seqs.length && (seqs[at] ?? 0) < seq) at++
      if (at === seqs.length) return
      if (seqs[at] === seq) yield [seq, line.bytes]
    }
  } finally {
    await lines.close()
  }
}

/** A position at which a line begins, and behind which the record stands if it is there. */
async function before(files: Files, { path, size }: ReadableFile, seq: number): Promise<number> {
  // One that was compressed just now is read from its beginning.
  const opened = await files.open(path).catch(() => null)
  if (opened === null) return 0
  try {
    let [low, high] = [0, size]
    while (high - low > nearBytes) {
      const middle = Math.floor((low + high) / 2)
      const line = await lineBehind(opened, middle, high)
      if (line === null || line.seq === null || line.seq >= seq) high = middle
      else low = line.at
    }
    return low
  } finally {
    await opened.close().catch(() => undefined)
  }
}

/** The first line that begins behind a position. */
async function lineBehind(
  opened: OpenFile,
  position: number,
  end: number,
): Promise<{ readonly at: number; readonly seq: number | null } | null> {
  for (let at = position; at < end; at += blockBytes) {
    const block = await read(opened, at, Math.min(blockBytes, end - at))
    const found = block.indexOf(newline)
    if (found < 0) continue
    const start = at + found + 1
    return start >= end ? null : { at: start, seq: seqOf(await read(opened, start, 64)) }
  }
  return null
}

async function read(opened: OpenFile, position: number, count: number): Promise<Buffer> {
  const bytes = Buffer.alloc(count)
  const taken = await opened.read(bytes, position)
  return bytes.subarray(0, taken)
}
