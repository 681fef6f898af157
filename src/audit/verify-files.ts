import { basename, join } from 'node:path'
import { parseCheckpointsLine } from './checkpoint.ts'
import type { Files } from './files.ts'
import {
  LineSource,
  checkpointsAmong,
  plainName,
  segmentOf,
  segmentsAmong,
  sizesOf,
  type ReadableFile,
} from './read-segments.ts'
import type { CheckpointsPiece } from './verify-checkpoints.ts'
import { Tombstones } from './verify-tombstones.ts'

/** A segment, or what is left of one. */
export interface Entry {
  readonly file: string
  /** `null`: it is deleted. */
  readonly readable: ReadableFile | null
  /** Is there a tombstone? */
  readonly tombstone: boolean
}

/** What a directory holds of a log. */
export interface Found {
  /** Id of the log, as its first checkpoint says; empty where there is none. */
  readonly log: string
  readonly entries: readonly Entry[]
  readonly checkpoints: readonly CheckpointsPiece[]
  readonly tombstones: Tombstones
  readonly copy: ReadableFile | null
  /** Is it in use, or was its gateway killed? */
  readonly locked: boolean
  /** Bytes of all segments. */
  readonly total: number
}

/**
 * Looks up which files there are, and how long each is. First the names: where a segment is gone already, the checkpoint is
 * there that covers the record of that. Then the checkpoints, then the records that they cover, if the log is in use.
 */
export async function filesToVerify(files: Files, dir: string, copy: string | null): Promise<Found> {
  const copied = copy === null ? null : { file: basename(copy), path: copy, size: (await files.facts(copy)).size }
  const names = await files.list(dir)
  const present = new Set(segmentsAmong(names).map(segmentOf))
  const beside = await sizesOf(files, dir, checkpointsAmong(names))
  const log = await logOf(files, beside)
  const tombstones = await Tombstones.read(files, dir, names, present, log)
  const segments = await sizesOf(files, dir, segmentsAmong(names))
  const locked = await files.facts(join(dir, 'owner.lock')).then(
    () => true,
    () => false,
  )
  const buried = new Set(tombstones.segments)
  const gone = [...buried].filter((segment) => !present.has(segment))
  const entries: Entry[] = [
    ...segments.map((readable) => ({ file: readable.file, readable, tombstone: buried.has(segmentOf(readable.file)) })),
    ...gone.map((segment) => ({ file: `${segment}.ndjson`, readable: null, tombstone: true })),
  ].toSorted((one, other) => (plainName(one.file) < plainName(other.file) ? -1 : 1))
  if (entries.length === 0 && beside.length === 0 && copied === null) throw new Error(`there is no audit log in ${dir}`)
  const total = segments.reduce((sum, { size }) => sum + size, 0)
  const checkpoints = piecesOf(beside, gone, tombstones)
  return { log, entries, checkpoints, tombstones, copy: copied, locked, total }
}

/** The checkpoints files in order, with a tombstone in place of those that were, or are to be, deleted with a segment. */
function piecesOf(beside: readonly ReadableFile[], gone: readonly string[], tombstones: Tombstones) {
  const isGone = new Set(gone)
  const pieces: { readonly at: string; readonly piece: CheckpointsPiece }[] = beside
    .filter(({ file }) => !isGone.has(file.replace(/\.\d{3,}\.checkpoints$/, '')))
    .map((piece) => ({ at: piece.file, piece }))
  for (const segment of gone) {
    const piece = tombstones.of(segment)
    if (piece !== undefined) pieces.push({ at: `${segment}.tombstone`, piece })
  }
  return pieces.toSorted((one, other) => (one.at < other.at ? -1 : 1)).map(({ piece }) => piece)
}

async function logOf(files: Files, beside: readonly ReadableFile[]): Promise<string> {
  for (const readable of beside) {
    const lines = await LineSource.open(files, readable)
    try {
      for (let line = await lines.next(); line?.form === 'whole'; line = await lines.next()) {
        const parsed = parseCheckpointsLine(line.bytes.toString('utf8'))
        if (parsed?.kind === 'checkpoint') return parsed.checkpoint.log
      }
    } finally {
      await lines.close()
    }
  }
  return ''
}
