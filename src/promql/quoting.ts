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

const byteEscapes: readonly string[] = Array.from({ length: 256 }, (_, code) => {
  return `\\x${code.toString(16).padStart(2, '0')}`
})
/** How the ASCII characters that do not stand for themselves between double quotes are written. */
const asciiEscapes: readonly string[] = byteEscapes.slice(0, 128).map((hex, code) => {
  const named = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }[String.fromCharCode(code)]
  return named ?? hex
})

/** The value as a double-quoted PromQL string of printable ASCII: no reader can mistake where it ends. */
export function quote(value: string): string {
  let text = '"'
  let from = 0
  for (let at = 0; at < value.length; at++) {
    const unit = value.charCodeAt(at)
    if (unit >= 0x20 && unit < 0x7f && unit !== 0x22 && unit !== 0x5c) continue
    const code = unit < 128 ? unit : (value.codePointAt(at) ?? unit)
    const escaped = unit < 128 ? (asciiEscapes[unit] ?? '') : escapeCharacter(code)
    text += value.slice(from, at) + escaped
    if (code > 0xffff) at++
    from = at + 1
  }
  return from === 0 ? `"${value}"` : `${text}${value.slice(from)}"`
}

function escapeCharacter(code: number): string {
  const stray = code >= strayByte + 0x80 && code <= strayByte + 0xff
  if (stray) return byteEscapes[code - strayByte] ?? ''
  const hex = code.toString(16)
  return code > 0xffff ? `\\U${hex.padStart(8, '0')}` : `\\u${hex.padStart(4, '0')}`
}
