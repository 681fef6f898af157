import { varint } from './snappy.ts'

/** What storage is asked for: one select of one selector. `matchers` read like PromQL without quotes: `job=~a|b`. */
export interface Select {
  readonly matchers: readonly string[]
  /** Milliseconds since 1970. */
  readonly start: number
  readonly end: number
}

const operators = ['=', '!=', '=~', '!~'] as const

/**
 * Reads the queries of a remote-read request (Prometheus's prompb/remote.proto and types.proto): request field 1 is a
 * query; its fields 1 and 2 the times and 3 a matcher; the matcher's fields are operator, label and value.
 * @throws RangeError where the bytes are not such a message
 */
export const readRequest = (bytes: Uint8Array): readonly Select[] =>
  fieldsOf(bytes)
    .filter(({ field }) => field === 1)
    .map(({ bytes }) => select(bytes))

function select(bytes: Uint8Array): Select {
  const fields = fieldsOf(bytes)
  const numberAt = (field: number): number => fields.find((one) => one.field === field)?.number ?? 0
  const matchers = fields.filter(({ field }) => field === 3).map((one) => matcher(one.bytes))
  return { matchers, start: numberAt(1), end: numberAt(2) }
}

function matcher(bytes: Uint8Array): string {
  const fields = fieldsOf(bytes)
  const textAt = (field: number): string => text(fields.find((one) => one.field === field)?.bytes ?? new Uint8Array())
  const operator = operators[fields.find(({ field }) => field === 1)?.number ?? 0]
  if (operator === undefined) throw new RangeError('a matcher with an unknown operator')
  return `${textAt(2)}${operator}${textAt(3)}`
}

// One character for each byte where it is not UTF-8, so that different bytes stay different.
function text(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return `latin1:${Buffer.from(bytes).toString('latin1')}`
  }
}

interface Field {
  readonly field: number
  readonly number: number
  readonly bytes: Uint8Array
}

/** The fields of a protocol buffer message in order: varints and length-delimited ones read, fixed ones skipped. */
function fieldsOf(bytes: Uint8Array): readonly Field[] {
  const fields: Field[] = []
  let at = 0
  const byte = (): number => {
    const value = bytes[at++]
    if (value === undefined) throw new RangeError('a message that ends too early')
    return value
  }
  while (at < bytes.length) {
    const key = Number(varint(byte))
    const field = Math.floor(key / 8)
    const wire = key % 8
    if (wire === 0) fields.push({ field, number: Number(BigInt.asIntN(64, varint(byte))), bytes: new Uint8Array() })
    else if (wire === 2) {
      const length = Number(varint(byte))
      if (at + length > bytes.length) throw new RangeError('a field longer than its message')
      fields.push({ field, number: 0, bytes: bytes.subarray(at, at + length) })
      at += length
    } else if (wire === 1 || wire === 5) at += wire === 1 ? 8 : 4
    else throw new RangeError(`wire type ${wire}`)
  }
  if (at !== bytes.length) throw new RangeError('a message that ends too early')
  return fields
}
