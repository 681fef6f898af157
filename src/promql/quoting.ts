import { refuse } from './error.ts'

// A PromQL string is a string of bytes: "\xff" is legal. JavaScript strings hold text, so a byte that is not part of
// valid UTF-8 is kept as the lone surrogate U+DC00 + byte. Text with real lone surrogates is refused before it gets
// here, so the mapping is one to one.
const strayByte = 0xdc00

const simpleEscapes: ReadonlyMap<string, string> = new Map([
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
  ['\\', '\\'],
])

/** Digits after `\x`, `\u` and `\U`. */
const hexDigits: ReadonlyMap<string, number> = new Map([
  ['x', 2],
  ['u', 4],
  ['U', 8],
])

/**
 * The value of a quoted string with escapes (Prometheus `util/strutil/quote.go`: Go's escapes, and single quotes work
 * like double ones).
 *
 * @param text the whole query
 * @param start index after the opening quote
 * @param end index of the closing quote
 * @param quote the quote character: only it may be escaped, not the other one
 */
export function unquote(text: string, start: number, end: number, quote: string): string {
  let value = ''
  let bytes: number[] = []
  let at = start
  while (at < end) {
    const next = text.indexOf('\\', at)
    const stop = next < 0 || next >= end ? end : next
    if (bytes.length > 0 && stop > at) {
      value += decodeBytes(bytes)
      bytes = []
    }
    value += text.slice(at, stop)
    if (stop === end) break
    const kind = text.charAt(stop + 1)
    const simple = kind === quote ? quote : simpleEscapes.get(kind)
    const length = simple === undefined ? numericLength(kind) : 0
    const code = simple === undefined ? readNumeric(text, stop, length) : -1
    // A byte of 0x80 and above may be part of a longer UTF-8 sequence, so it waits for its neighbours.
    if (code >= 0x80 && length <= 3) bytes.push(code)
    else {
      value += decodeBytes(bytes) + (simple ?? String.fromCodePoint(code))
      bytes = []
    }
    at = stop + 2 + (length === 3 ? 2 : length)
  }
  return value + decodeBytes(bytes)
}

/** Digits of a numeric escape; 3 means octal, where the letter after the backslash is the first of them. */
const numericLength = (kind: string): number => (kind >= '0' && kind <= '7' ? 3 : (hexDigits.get(kind) ?? 0))

function readNumeric(text: string, at: number, length: number): number {
  const octal = length === 3
  const base = octal ? 8 : 16
  const from = at + (octal ? 1 : 2)
  let code = length === 0 ? Number.NaN : 0
  for (let index = from; index < from + length; index++) code = code * base + digitAt(text, index, base)
  const tooLarge = code > (octal ? 0xff : 0x10ffff)
  if (Number.isNaN(code) || tooLarge || (code >= 0xd800 && code < 0xe000)) {
    const end = Math.min(Math.max(from + length, at + 2), text.length)
    const message = 'this escape is unknown or no character; write \\\\ for a backslash, or use `backticks`'
    refuse('syntax', { start: at, end }, message)
  }
  return code
}

function digitAt(text: string, index: number, base: number): number {
  const code = text.charCodeAt(index)
  const lower = code | 0x20
  const letter = lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : base
  const digit = code >= 0x30 && code <= 0x39 ? code - 0x30 : letter
  return digit < base ? digit : Number.NaN
}

/** UTF-8 (RFC 3629) to text; bytes that are not UTF-8 stay apart as stray bytes. */
function decodeBytes(bytes: readonly number[]): string {
  if (bytes.length === 0) return ''
  let text = ''
  let at = 0
  while (at < bytes.length) {
    const lead = bytes[at] ?? 0
    const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2
    let code = lead & (0x7f >> length)
    let read = 1
    for (; read < length; read++) {
      const next = bytes[at + read]
      if (next === undefined || next >= 0xc0) break
      code = (code << 6) | (next & 0x3f)
    }
    const least = length === 4 ? 0x10000 : length === 3 ? 0x800 : 0x80
    const surrogate = code >= 0xd800 && code < 0xe000
    const valid = lead >= 0xc2 && lead <= 0xf4 && read === length && code >= least && code <= 0x10ffff && !surrogate
    text += valid ? String.fromCodePoint(code) : String.fromCharCode(strayByte + lead)
    at += valid ? length : 1
  }
  return text
}

const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/
const named: ReadonlyMap<number, string> = new Map([
  [0x22, '\\"'],
  [0x5c, '\\\\'],
  [0x0a, '\\n'],
  [0x0d, '\\r'],
  [0x09, '\\t'],
])

/** The value as a double-quoted PromQL string of printable ASCII: no reader can mistake where it ends. */
export function quote(value: string): string {
  if (plain.test(value)) return `"${value}"`
  let text = ''
  for (const character of value) text += escapeCharacter(character)
  return `"${text}"`
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0
  const name = named.get(code)
  if (name !== undefined) return name
  const hex = code.toString(16)
  if (code < 0x20 || code === 0x7f) return `\\x${hex.padStart(2, '0')}`
  if (code < 0x7f) return character
  if (code >= strayByte + 0x80 && code <= strayByte + 0xff) return `\\x${(code - strayByte).toString(16)}`
  return code > 0xffff ? `\\U${hex.padStart(8, '0')}` : `\\u${hex.padStart(4, '0')}`
}
