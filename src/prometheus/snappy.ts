// Snappy's block format, after its format_description.txt: the unpacked length as a varint, then elements. The low two
// bits of an element's first byte say what it is: 0 a literal, 1 to 3 a copy of what was already unpacked.
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'

/** Literals up to this length have it in their first byte; above it, 60 to 63 there announce 1 to 4 bytes of length. */
const shortLiteral = 60

/**
 * Unpacks a block.
 * @param most longest result; a block that announces more is refused before memory is taken for it
 * @returns a sentence where the bytes do not follow the format, or give more or less than they announce
 */
export function unpackSnappy(packed: Uint8Array, most: number): Result<Uint8Array, string> {
  const preamble = readLength(packed)
  if (preamble === null) return fail('it is not a snappy block: its length is missing')
  if (preamble.length > most) return fail(`it is longer than ${most} bytes when unpacked`)
  const unpacked = new Uint8Array(preamble.length)
  let from = preamble.end
  let to = 0
  while (from < packed.length) {
    const { isLiteral, start, count, back } = readElement(packed, from)
    const end = isLiteral ? start + count : start
    if (end > packed.length) return fail('it is not a snappy block: it ends too early')
    if (to + count > unpacked.length) return fail('it is not a snappy block: it holds more than it announces')
    if (isLiteral) unpacked.set(packed.subarray(start, end), to)
    else if (back < 1 || back > to) return fail('it is not a snappy block: a copy reaches before the beginning')
    // Byte by byte: a copy may reach into what it writes itself.
    else for (let index = to; index < to + count; index++) unpacked[index] = unpacked[index - back] ?? 0
    from = end
    to += count
  }
  return to === unpacked.length ? ok(unpacked) : fail('it is not a snappy block: it holds less than it announces')
}

/** The varint at the beginning: 32 bits in at most five bytes. */
function readLength(packed: Uint8Array): { readonly length: number; readonly end: number } | null {
  let length = 0
  for (let at = 0; at < 5; at++) {
    const byte = packed[at]
    if (byte === undefined) return null
    length += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) return length < 2 ** 32 ? { length, end: at + 1 } : null
  }
  return null
}

interface Element {
  readonly isLiteral: boolean
  /** Where the literal's bytes, or the next element, begin. */
  readonly start: number
  /** Bytes that it adds. */
  readonly count: number
  /** How far back a copy begins. */
  readonly back: number
}

/** Bytes beyond the end count as 0; `start` is then beyond the end too, which the caller sees. */
function readElement(packed: Uint8Array, at: number): Element {
  const tag = packed[at] ?? 0
  const kind = tag & 3
  const high = tag >> 2
  if (kind === 0) {
    const extra = Math.max(0, high + 1 - shortLiteral)
    const last = extra === 0 ? high : littleEndian(packed, at + 1, extra)
    return { isLiteral: true, start: at + 1 + extra, count: last + 1, back: 0 }
  }
  if (kind === 1) {
    const back = (tag >> 5) * 256 + (packed[at + 1] ?? 0)
    return { isLiteral: false, start: at + 2, count: 4 + (high & 7), back }
  }
  const size = kind === 2 ? 2 : 4
  return { isLiteral: false, start: at + 1 + size, count: high + 1, back: littleEndian(packed, at + 1, size) }
}

// Without shifts: four bytes would give a negative number.
function littleEndian(bytes: Uint8Array, at: number, size: number): number {
  let value = 0
  for (let index = size - 1; index >= 0; index--) value = value * 256 + (bytes[at + index] ?? 0)
  return value
}

/** The bytes as a block of one literal: valid for every reader, and nothing is searched for repetitions. */
export function packSnappy(bytes: Uint8Array): Uint8Array {
  const head: number[] = []
  let length = bytes.length
  for (; length >= 0x80; length = Math.floor(length / 128)) head.push((length % 128) | 0x80)
  head.push(length)
  if (bytes.length > 0) head.push(...literalTag(bytes.length - 1))
  return Buffer.concat([Uint8Array.from(head), bytes])
}

function literalTag(last: number): number[] {
  if (last < shortLiteral) return [last << 2]
  const size: number[] = []
  for (let rest = last; rest > 0; rest = Math.floor(rest / 256)) size.push(rest % 256)
  return [(shortLiteral - 1 + size.length) << 2, ...size]
}
