import { createHash } from 'node:crypto'
import { Readable, pipeline } from 'node:stream'
import { constants, createZstdDecompress } from 'node:zlib'
import { fail, ok, type Result } from '../result.ts'
import type { OpenFile } from './files.ts'

/** What a compressed segment's name ends in, behind the name of the segment. */
export const packedEnding = '.zst'

/** Is it the name of a compressed file? */
export const isPacked = (file: string): boolean => file.endsWith(packedEnding)

/** A file that is not what this program wrote. The message is fit for a person. */
export class DamagedFile extends Error {
  readonly why: string

  constructor(file: string, why: string) {
    super(`${file} is damaged: ${why}`)
    this.why = why
  }
}

const frameMagic = 0xfd2fb528
/** One of the frames that every decoder skips (RFC 8878 §3.1.2): it holds the SHA-256 of all that stands before it. */
const digestMagic = 0x184d2a5b
const digestBytes = 40
const headerBytes = 18
const largestBlock = 128 * 1024
/** Memory that a decoder may be made to take: what is written here asks for a fourth of it. */
const largestWindowLog = 23

/** The end of a compressed segment: the digest of all the bytes before. */
export function digestFrame(sha256: Buffer): Buffer {
  const head = Buffer.alloc(digestBytes - sha256.length)
  head.writeUInt32LE(digestMagic, 0)
  head.writeUInt32LE(sha256.length, 4)
  return Buffer.concat([head, sha256])
}

/** What a frame says of itself. */
interface FrameHeader {
  /** How many bytes it holds, decompressed. */
  readonly plain: number
  /** Where its first block begins. */
  readonly end: number
}

/** Reads the head of a frame (RFC 8878 §3.1.1.1); `null` unless it is of the kind that is written here. */
function frameHeader(bytes: Buffer): FrameHeader | null {
  if (bytes.length < headerBytes || bytes.readUInt32LE(0) !== frameMagic) return null
  const said = bytes.readUInt8(4)
  const [sizeFlag, single] = [said >> 6, (said & 0x20) !== 0]
  // The lower bits: neither unused nor reserved ones, a checksum, no dictionary.
  if ((said & 0x1f) !== 0x04 || (sizeFlag === 0 && !single)) return null
  if (!single && bytes.readUInt8(5) >> 3 > largestWindowLog - 10) return null
  const at = single ? 5 : 6
  const end = at + 2 ** sizeFlag
  if (sizeFlag === 0) return { plain: bytes.readUInt8(at), end }
  if (sizeFlag === 1) return { plain: bytes.readUInt16LE(at) + 256, end }
  const plain = sizeFlag === 2 ? bytes.readUInt32LE(at) : Number(bytes.readBigUInt64LE(at))
  return Number.isSafeInteger(plain) && (!single || plain <= 2 ** largestWindowLog) ? { plain, end } : null
}

async function bytesAt(opened: OpenFile, position: number, count: number): Promise<Buffer> {
  const bytes = Buffer.alloc(count)
  let filled = 0
  while (filled < count) {
    const read = await opened.read(bytes.subarray(filled), position + filled)
    if (read === 0) break
    filled += read
  }
  return bytes.subarray(0, filled)
}

const noFrame = 'it does not begin as a compressed segment does'

/** How many bytes a compressed file holds, as it says itself; `null` when it is none. */
export async function plainSize(opened: OpenFile): Promise<number | null> {
  return frameHeader(await bytesAt(opened, 0, headerBytes))?.plain ?? null
}

/**
 * Is a compressed file, to the last byte, what was written? One frame, then its digest, then nothing: a decoder would not
 * mind a changed window, a missing checksum, or what stands behind the frame. An error says what is wrong.
 */
export async function inspectPacked(opened: OpenFile): Promise<Result<{ readonly plain: number }, string>> {
  const { size } = await opened.facts()
  const start = await bytesAt(opened, 0, headerBytes)
  const header = frameHeader(start)
  if (header === null) return fail(noFrame)
  const sum = createHash('sha256').update(start.subarray(0, header.end))
  let at = header.end
  for (let last = false; !last;) {
    const block = await bytesAt(opened, at, 3 + largestBlock)
    const said = block.length < 3 ? 0 : block.readUIntLE(0, 3)
    const [kind, length] = [(said >> 1) & 3, said >> 3]
    const taken = 3 + (kind === 1 ? 1 : length)
    if (kind === 3 || length > largestBlock || block.length < Math.max(taken, 3)) {
      return fail(`it is cut off, or its bytes from ${at} on are not what was written`)
    }
    last = (said & 1) === 1
    sum.update(block.subarray(0, taken))
    at += taken
  }
  const end = await bytesAt(opened, at, 4 + digestBytes)
  sum.update(end.subarray(0, 4))
  if (end.length < 4 + digestBytes) return fail('it is cut off')
  if (!end.subarray(4).equals(digestFrame(sum.digest()))) return fail('its bytes are not the ones of its digest')
  const behind = size - at - end.length
  return behind === 0 ? ok({ plain: header.plain }) : fail(`${behind} bytes stand behind its end`)
}

/** The bytes of a file in order, a chunk in memory at a time. */
export interface ByteSource {
  /** The bytes that come next; `null` at the end. */
  read(): Promise<Buffer | null>
  close(): Promise<void>
}

const chunkBytes = 256 * 1024

/** The content of a compressed file. Rejects with `DamagedFile` where it is not what was written. */
export class PackedSource implements ByteSource {
  readonly #file: string
  readonly #opened: OpenFile
  readonly #plain: number
  readonly #chunks: AsyncIterator<Buffer>
  #seen = 0
  #skip: number

  private constructor(file: string, opened: OpenFile, sizes: { plain: number; packed: number }, from: number) {
    this.#file = file
    this.#opened = opened
    this.#plain = sizes.plain
    this.#skip = from
    const decoder = createZstdDecompress({
      chunkSize: chunkBytes,
      params: { [constants.ZSTD_d_windowLogMax]: largestWindowLog },
    })
    // What fails is told by the reader of the last one.
    pipeline(Readable.from(frameChunks(opened, sizes.packed)), decoder, () => {})
    this.#chunks = decoder[Symbol.asyncIterator]()
  }

  /** Takes the open file over, also where it rejects. */
  static async open(file: string, opened: OpenFile, from: number): Promise<PackedSource> {
    try {
      const packed = (await opened.facts()).size - digestBytes
      const plain = await plainSize(opened)
      if (plain === null) throw new DamagedFile(file, noFrame)
      const end = await bytesAt(opened, Math.max(0, packed), 4)
      if (end.length < 4 || end.readUInt32LE(0) !== digestMagic) {
        throw new DamagedFile(file, 'it is cut off, or something stands behind its end')
      }
      return new PackedSource(file, opened, { plain, packed }, from)
    } catch (error) {
      await opened.close().catch(() => undefined)
      throw error
    }
  }

  async read(): Promise<Buffer | null> {
    for (;;) {
      const chunk = await this.#next()
      if (chunk === null) return null
      const skipped = Math.min(this.#skip, chunk.length)
      this.#skip -= skipped
      if (skipped < chunk.length) return chunk.subarray(skipped)
    }
  }

  async close(): Promise<void> {
    await this.#chunks.return?.().catch(() => undefined)
    await this.#opened.close().catch(() => undefined)
  }

  async #next(): Promise<Buffer | null> {
    const next = await this.#chunks.next().catch((error: unknown) => {
      const { code }: { code?: unknown } = Object(error)
      if (!/^Z(STD)?_/.test(String(code))) throw error
      throw new DamagedFile(this.#file, `behind byte ${this.#seen} of its content it cannot be decompressed`)
    })
    if (next.done !== true) this.#seen += next.value.length
    if (this.#seen > this.#plain || (next.done === true && this.#seen < this.#plain)) {
      throw new DamagedFile(this.#file, `it does not hold the ${this.#plain} bytes of which it speaks`)
    }
    return next.done === true ? null : next.value
  }
}

async function* frameChunks(opened: OpenFile, end: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < end;) {
    const chunk = await bytesAt(opened, at, Math.min(chunkBytes, end - at))
    if (chunk.length === 0) return
    yield chunk
    at += chunk.length
  }
}
