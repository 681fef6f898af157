// The wire format of protocol buffers, as far as a remote-read request needs it: varints and length-delimited fields.
// A reader of the format would keep or drop unknown fields and take the last of several values. This one refuses both:
// what is not understood must not be passed on, and must not be lost without a word either.

/** Thrown where bytes are not the message that a table describes. */
export class Malformed extends Error {}

/** What a message may hold under one field number. */
export interface FieldRule {
  readonly name: string
  /** `number`: a varint. `bytes`: text or a message. */
  readonly is: 'number' | 'bytes'
  /** How often it may be there, 1 where not said. More than one number may come packed, too. */
  readonly most?: number
}

/** The fields of one kind of message, by number. */
export type FieldTable = Readonly<Record<number, FieldRule>>

/** The fields of one message, checked against its table. */
export class Message {
  private readonly table: FieldTable
  private readonly found = new Map<number, { readonly numbers: bigint[]; readonly bytes: Uint8Array[] }>()

  /** @throws Malformed */
  constructor(bytes: Uint8Array, table: FieldTable) {
    this.table = table
    const reader = new Reader(bytes)
    while (!reader.done()) {
      // Exact where it matters: below 2^32.
      const tag = Number(reader.varint())
      const field = Math.floor(tag / 8)
      const rule = tag < 2 ** 32 ? table[field] : undefined
      if (rule === undefined) throw new Malformed(`it has a field ${field}, which is unknown there`)
      this.read(reader, field, tag % 8, rule)
    }
  }

  private read(reader: Reader, field: number, wire: number, { name, is, most = 1 }: FieldRule): void {
    let place = this.found.get(field)
    if (place === undefined) this.found.set(field, (place = { numbers: [], bytes: [] }))
    const { numbers, bytes } = place
    // An empty packed field would count as nothing, however often it is there: it is read as a number, which it lacks.
    const packed = is === 'number' && wire === 2 && most > 1 ? new Reader(reader.bytes()) : null
    do {
      if (numbers.length + bytes.length >= most) throw new Malformed(tooMany(name, most))
      if (packed !== null) numbers.push(packed.varint())
      else if (is === 'number' && wire === 0) numbers.push(reader.varint())
      else if (is === 'bytes' && wire === 2) bytes.push(reader.bytes())
      else throw new Malformed(`${name} comes in the wrong form`)
    } while (packed?.done() === false)
  }

  /** All numbers of a field, as unsigned 64 bits. */
  numbers(field: number): readonly bigint[] {
    return this.found.get(field)?.numbers ?? []
  }

  /** The number of a field as an int64; 0 where absent. */
  int64(field: number): bigint {
    return BigInt.asIntN(64, this.numbers(field)[0] ?? 0n)
  }

  /** All values of a field that holds texts or messages. */
  all(field: number): readonly Uint8Array[] {
    return this.found.get(field)?.bytes ?? []
  }

  /** All texts of a field. @throws Malformed where one is not UTF-8 */
  texts(field: number): readonly string[] {
    return this.all(field).map((bytes) => {
      try {
        return utf8.decode(bytes)
      } catch {
        throw new Malformed(`${this.table[field]?.name ?? ''} is not UTF-8`)
      }
    })
  }

  /** The text of a field; '' where absent. @throws Malformed where it is not UTF-8 */
  text(field: number): string {
    return this.texts(field)[0] ?? ''
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const tooMany = (name: string, most: number): string =>
  `${name} is there more than ${most === 1 ? 'once' : `${most} times`}`

class Reader {
  private readonly from: Uint8Array
  private at = 0

  constructor(from: Uint8Array) {
    this.from = from
  }

  done(): boolean {
    return this.at >= this.from.length
  }

  /** 64 bits in at most ten bytes. */
  varint(): bigint {
    const first = this.from[this.at]
    if (first !== undefined && first < 0x80) {
      this.at++
      return BigInt(first)
    }
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.from[this.at++]
      if (byte === undefined) throw new Malformed('it ends too early')
      value |= BigInt(byte & 0x7f) << shift
      if (byte >= 0x80) continue
      if (value >= 2n ** 64n) break
      return value
    }
    throw new Malformed('it has a number of more than 64 bits')
  }

  /** A view, not a copy: nothing is allocated by a length that the bytes claim. */
  bytes(): Uint8Array {
    const length = this.varint()
    if (length > BigInt(this.from.length - this.at)) throw new Malformed('it ends too early')
    const start = this.at
    this.at += Number(length)
    return this.from.subarray(start, this.at)
  }
}

// Field numbers are below 16, so a tag is one byte.

/** A varint field; nothing where the value is 0, which is what absent means. */
export const numberField = (field: number, value: bigint): readonly Uint8Array[] =>
  value === 0n ? [] : [Uint8Array.of(field << 3, ...varint(value))]

/** A field of text or a message; written also where it is empty. */
export const bytesField = (field: number, bytes: Uint8Array): readonly Uint8Array[] => [
  bytes.length < 0x80
    ? Uint8Array.of((field << 3) | 2, bytes.length)
    : Uint8Array.of((field << 3) | 2, ...varint(BigInt(bytes.length))),
  bytes,
]

/** A text field; nothing where it is empty. */
export const textField = (field: number, text: string): readonly Uint8Array[] =>
  text === '' ? [] : bytesField(field, Buffer.from(text))

/** Several numbers in one field; nothing where there are none. */
export const packedField = (field: number, values: readonly bigint[]): readonly Uint8Array[] =>
  values.length === 0 ? [] : bytesField(field, Uint8Array.from(values.flatMap(varint)))

function varint(value: bigint): number[] {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return bytes
}
