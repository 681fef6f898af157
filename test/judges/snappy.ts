/** Longest text that is unpacked; what Prometheus asks for is far shorter. */
const mostBytes = 16 * 1024 * 1024

/**
 * Unpacks the snappy block format (google/snappy, format_description.txt): a varint with the length, then literals and
 * copies of what was already unpacked.
 * @throws RangeError where the bytes do not follow the format
 */
export function unsnappy(packed: Uint8Array): Uint8Array {
  let at = 0
  const byte = (): number => {
    const value = packed[at++]
    if (value === undefined) throw new RangeError('snappy: the input ends too early')
    return value
  }
  const little = (bytes: number): number => {
    let value = 0
    for (let index = 0; index < bytes; index++) value += byte() * 2 ** (8 * index)
    return value
  }
  const length = Number(varint(byte))
  if (length > mostBytes) throw new RangeError('snappy: too long')
  const out = new Uint8Array(length)
  let to = 0
  const copy = (count: number, back: number): void => {
    if (back < 1 || back > to) throw new RangeError('snappy: a copy from before the beginning')
    // Byte by byte: a copy may reach into what it writes itself.
    for (let index = 0; index < count; index++, to++) out[to] = out[to - back] ?? 0
  }
  while (at < packed.length) {
    const tag = byte()
    const high = tag >> 2
    if ((tag & 3) === 0) {
      const count = 1 + (high < 60 ? high : little(high - 59))
      if (at + count > packed.length) throw new RangeError('snappy: a literal longer than the input')
      if (to + count > length) throw new RangeError('snappy: more output than announced')
      out.set(packed.subarray(at, at + count), to)
      at += count
      to += count
    } else {
      const count = (tag & 3) === 1 ? 4 + (high & 7) : 1 + high
      const back = (tag & 3) === 1 ? (tag >> 5) * 256 + byte() : little((tag & 3) === 2 ? 2 : 4)
      if (to + count > length) throw new RangeError('snappy: more output than announced')
      copy(count, back)
    }
  }
  if (to !== length) throw new RangeError('snappy: less output than announced')
  return out
}

/** The bytes as one snappy literal of at most 60 bytes: valid, and short enough for the one answer that is needed. */
export function snappyLiteral(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0 || bytes.length > 60) throw new RangeError('snappy: 1 to 60 bytes')
  return Uint8Array.of(bytes.length, (bytes.length - 1) << 2, ...bytes)
}

/** A base-128 number, lowest group first, as snappy and protocol buffers write it. */
export function varint(byte: () => number): bigint {
  let value = 0n
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const next = byte()
    value += BigInt(next & 0x7f) << shift
    if (next < 0x80) return value
  }
  throw new RangeError('a varint of more than ten bytes')
}
