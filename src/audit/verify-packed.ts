import type { Files } from './files.ts'
import { inspectPacked, isPacked } from './packed.ts'
import type { ReadableFile } from './read-segments.ts'
import type { Damage } from './verify-report.ts'

/** Is a compressed segment, to the last byte, what was written? `null` also for one that is not compressed. */
export async function packedDamage(files: Files, { file, path }: ReadableFile): Promise<Damage | null> {
  if (!isPacked(file)) return null
  const opened = await files.open(path)
  try {
    const found = await inspectPacked(opened)
    return found.ok ? null : { kind: 'damaged', file, line: 1, seq: null, sentence: found.error }
  } finally {
    await opened.close().catch(() => undefined)
  }
}
