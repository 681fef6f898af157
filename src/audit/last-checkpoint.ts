import { join } from 'node:path'
import { parseCheckpointsLine, type Checkpoint, type KeyChange } from './checkpoint.ts'
import type { Files } from './files.ts'
import { chainOf, firstChain, readRecordEnd } from './line.ts'
import { GrowingTree, leafHash } from './merkle.ts'
import { DamagedFile } from './packed.ts'
import { lastLines } from './previous.ts'
import { LineSource, checkpointsFiles, segmentFiles, segmentOf, sizesOf } from './read-segments.ts'
import type { Extent } from './segment.ts'

/** The newest checkpoint in a directory, and the change of keys after it, if there was one. */
export interface LastCheckpoint {
  readonly checkpoint: Checkpoint | null
  readonly change: KeyChange | null
}

// A key changes once between two checkpoints, or a few times when the gateway was started again and again.
const linesLookedAt = 8

/** Finds where the checkpoints of a directory go on. Rejects when a file cannot be read. */
export async function findLastCheckpoint(files: Files, dir: string): Promise<LastCheckpoint> {
  let change: KeyChange | null = null
  for (const name of (await checkpointsFiles(files, dir)).toReversed()) {
    const opened = await files.open(join(dir, name))
    try {
      for (const line of (await lastLines(opened, linesLookedAt)).toReversed()) {
        const parsed = parseCheckpointsLine(line)
        if (parsed?.kind === 'checkpoint') return { checkpoint: parsed.checkpoint, change }
        if (parsed?.kind === 'key') change ??= parsed.change
      }
    } finally {
      await opened.close().catch(() => undefined)
    }
  }
  return { checkpoint: null, change }
}

/** A segment of an earlier process up to its last whole line, or why it is not fit for a checkpoint. */
type Earlier = { readonly extent: Extent } | { readonly problem: string }

/**
 * The segments from the one of the last checkpoint up to the live one: their last second was never covered. Only what
 * stands behind the checkpoint is read. What was changed before it does not get a new checkpoint's blessing: the tree
 * goes on from the old one's roots, and `verify` finds that the lines do not lead to them.
 */
export async function uncoveredSegments(
  files: Files,
  dir: string,
  last: Checkpoint,
  live: string,
): Promise<readonly Earlier[]> {
  const names = (await segmentFiles(files, dir)).filter((file) => segmentOf(file) >= last.segment && file < live)
  const found: Earlier[] = []
  for (const readable of await sizesOf(files, dir, names)) {
    const from = segmentOf(readable.file) === last.segment ? last : null
    found.push(
      await extentOf(files, readable, from, last.log).catch((error: unknown) => {
        if (error instanceof DamagedFile) return { problem: error.message }
        throw error
      }),
    )
  }
  return found
}

async function extentOf(
  files: Files,
  readable: { readonly file: string; readonly path: string; readonly size: number },
  last: Checkpoint | null,
  log: string,
): Promise<Earlier> {
  const tree = last === null ? new GrowingTree() : GrowingTree.from(last.size, last.tree)
  if (tree === null) return { problem: `the last checkpoint of ${readable.file} is damaged` }
  let [bytes, chain, seq] = [last?.bytes ?? 0, last?.chain ?? firstChain, last?.seq ?? 0]
  const lines = await LineSource.open(files, readable, bytes)
  try {
    for (let line = await lines.next(); line?.form === 'whole'; line = await lines.next()) {
      const record = readRecordEnd(line.bytes.toString('utf8'))
      if (record === null || chainOf(chain, line.bytes) !== record.chain || record.log !== log) {
        return { problem: `${readable.file} is damaged behind byte ${bytes}` }
      }
      ;[bytes, chain, seq] = [line.end, record.chain, record.seq]
      tree.append(leafHash(line.bytes))
    }
  } finally {
    await lines.close()
  }
  return tree.size === 0
    ? { problem: `${readable.file} holds no whole record` }
    : { extent: { log, file: readable.file, tree, bytes, seq, chain } }
}
