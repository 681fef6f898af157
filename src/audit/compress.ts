import { createHash } from 'node:crypto'
import { basename, join } from 'node:path'
import { Readable, pipeline } from 'node:stream'
import { constants, createZstdCompress } from 'node:zlib'
import { fail, ok, type Result } from '../result.ts'
import { ioFailure, type AuditFailure } from './failure.ts'
import type { Files, OpenFile } from './files.ts'
import { DamagedFile, digestFrame, inspectPacked, packedEnding, PackedSource } from './packed.ts'

/** What a compressed segment is called until it is known to be good. */
export const partEnding = '.part'

const chunkBytes = 256 * 1024
// With level 3 a decoder needs 2 MiB; more is not worth its time for text like this.
const level = 3

/** How large a segment was, and is. */
export interface Compressed {
  readonly plain: number
  readonly packed: number
}

/**
 * Compresses a segment that nobody writes any more. At each moment one form of it is whole and has its name: it is written
 * aside, read back and compared, renamed, and only then the plain one goes. Never rejects.
 */
export async function compressSegment(
  files: Files,
  dir: string,
  file: string,
): Promise<Result<Compressed, AuditFailure>> {
  const path = join(dir, file)
  const packed = `${path}${packedEnding}`
  const part = `${packed}${partEnding}`
  try {
    // From an attempt that was cut short.
    await removeIfThere(files, dir, basename(part))
    const before = await files.facts(path)
    const written = await writePacked(files, path, part, before.size)
    const problem = await checkPacked(files, part, written)
    const now = await files.facts(path)
    const same = now.inode === before.inode && now.device === before.device && now.size === before.size
    if (problem !== null || !same) {
      await files.remove(part)
      return fail(unlike(path, problem ?? 'it was changed meanwhile'))
    }
    const { size } = await files.facts(part)
    await files.rename(part, packed)
    await files.syncDir(dir)
    await files.remove(path)
    await files.syncDir(dir)
    return ok({ plain: before.size, packed: size })
  } catch (error) {
    // A part of a file on a full disk would keep it full.
    await files.remove(part).catch(() => undefined)
    return fail(ioFailure(`compressing ${path}`, error))
  }
}

/** Removes a file if it is there; answers whether it was. */
export async function removeIfThere(files: Files, dir: string, name: string): Promise<boolean> {
  if (!(await files.list(dir)).includes(name)) return false
  await files.remove(join(dir, name))
  return true
}

const unlike = (path: string, what: string): AuditFailure => ({
  code: 'io',
  reason: `compressing ${path}: ${what}; the segment stays as it is`,
  remedy: 'check the volume and the memory of this machine: what was written is not what is read',
})

interface Content {
  readonly bytes: number
  readonly sha256: string
}

/** Writes a compressed copy with its digest behind it; answers what went in. */
async function writePacked(files: Files, path: string, part: string, size: number): Promise<Content> {
  const plain = await files.open(path)
  const content = { bytes: 0, sum: createHash('sha256') }
  const encoder = createZstdCompress({
    chunkSize: chunkBytes,
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
    pledgedSrcSize: size,
  })
  try {
    // What fails is told by whoever reads the encoder.
    pipeline(Readable.from(chunksOf(plain, size, content)), encoder, () => {})
    const out = await files.create(part)
    try {
      const sum = createHash('sha256')
      for await (const chunk of encoder as AsyncIterable<Buffer>) {
        sum.update(chunk)
        await writeAll(out, chunk)
      }
      await writeAll(out, digestFrame(sum.digest()))
      await out.datasync()
    } finally {
      await out.close().catch(() => undefined)
    }
  } finally {
    encoder.destroy()
    await plain.close().catch(() => undefined)
  }
  return { bytes: content.bytes, sha256: content.sum.digest('hex') }
}

async function* chunksOf(
  plain: OpenFile,
  size: number,
  content: { bytes: number; readonly sum: ReturnType<typeof createHash> },
): AsyncGenerator<Buffer> {
  while (content.bytes < size) {
    const chunk = Buffer.alloc(Math.min(chunkBytes, size - content.bytes))
    const count = await plain.read(chunk, content.bytes)
    if (count === 0) throw new Error(`the file ended at byte ${content.bytes} while it was read`)
    content.sum.update(chunk.subarray(0, count))
    content.bytes += count
    yield chunk.subarray(0, count)
  }
}

async function writeAll(out: OpenFile, bytes: Buffer): Promise<void> {
  for (let offset = 0; offset < bytes.length;) {
    const taken = await out.write(bytes, offset)
    if (taken <= 0) throw new Error('the system took no bytes and gave no reason')
    offset += taken
  }
}

/** Reads a compressed copy back; answers what is wrong with it, or `null`. */
async function checkPacked(files: Files, part: string, content: Content): Promise<string | null> {
  const inspected = await files.open(part)
  try {
    const found = await inspectPacked(inspected)
    if (!found.ok) return found.error
  } finally {
    await inspected.close().catch(() => undefined)
  }
  const source = await PackedSource.open(basename(part), await files.open(part), 0)
  try {
    const sum = createHash('sha256')
    for (let chunk = await source.read(); chunk !== null; chunk = await source.read()) sum.update(chunk)
    return sum.digest('hex') === content.sha256 ? null : 'its compressed copy reads differently'
  } catch (error) {
    if (error instanceof DamagedFile) return error.message
    throw error
  } finally {
    await source.close()
  }
}
