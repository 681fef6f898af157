import { refuse } from './error.ts'
import type { Limits } from './limits.ts'
import { parseDuration, parseNumber } from './numbers.ts'
import { unquote } from './quoting.ts'
import { nearest } from './suggest.ts'
import type { Raw, Selector } from './tree.ts'

/** A mark of the language. Each is its own kind of token. */
type Mark =
  | ('(' | ')' | '{' | '}' | '[' | ']' | ',' | ':' | '@' | '+' | '-' | '*' | '/' | '%' | '^')
  | ('=' | '==' | '=~' | '!=' | '!~' | '<' | '<=' | '</' | '>' | '>=' | '>/')

/** A token is a word (`name`), a value, a mark or the end of the text. */
export type Kind = 'end' | 'name' | 'string' | 'number' | 'duration' | Mark

const keywords =
  'and or unless atan2 by without on ignoring group_left group_right bool offset anchored smoothed start end fill'.split(
    ' ',
  )

const space = 1
const digit = 2
const letter = 4
const mark = 8
const shapes = new Uint8Array(128)
// Prometheus knows these four as white space and no others: what a browser or an editor calls a space may not be one.
for (const character of ' \t\n\r') shapes[character.charCodeAt(0)] = space
for (const character of '0123456789') shapes[character.charCodeAt(0)] = digit
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_')
  shapes[character.charCodeAt(0)] = letter
const singles: Mark[] = ['(', ')', '{', '}', '[', ']', ',', ':', '@', '+', '-', '*', '/', '%', '^', '=', '<', '>']
const doubles: ReadonlyMap<string, Mark> = new Map(
  (['==', '=~', '!=', '!~', '<=', '</', '>=', '>/'] as const).map((one) => [one, one]),
)
const marks: (Mark | undefined)[] = Array.from({ length: 128 }, () => undefined)
for (const one of singles) marks[one.charCodeAt(0)] = one
for (const one of [...singles, '!']) shapes[one.charCodeAt(0)] = mark
const colon = 58

// Everything that could belong to a number or a duration; a sign only right after the e of an exponent.
const numeric = /(?:[0-9A-Za-z_.]|(?<=[0-9.][eE])[+-](?=\d))+/y

/**
 * Reads a query token by token. The current token is `kind`, from `start` to `end`, with its `value` (the text of a
 * word, the content of a string) or `number` (also the seconds of a duration).
 *
 * Facts: promql/parser/lex.go. A comment ends at `\n` or `\r`; strings know Go's escapes; words may hold `:`, except
 * between `[` and `]`, where it parts range and step.
 */
export class Lexer {
  readonly text: string
  readonly limits: Limits
  readonly selectors: Selector<Raw>[] = []
  kind: Kind = 'end'
  start = 0
  end = 0
  previousEnd = 0
  value = ''
  number = 0
  private hasCapitals = false
  private inBrackets = false
  private depth = 0

  constructor(text: string, limits: Limits) {
    this.text = text
    this.limits = limits
    if (text.length > limits.length) {
      const span = { start: limits.length, end: limits.length }
      refuse('limit', span, `the query is longer than ${limits.length} characters; ask for less in one query`)
    }
    if (!text.isWellFormed()) this.refuseLoneSurrogate()
    this.next()
  }

  /** The current word in lower case: keywords are written in any case. '' for anything but a word. */
  get word(): string {
    if (this.kind !== 'name') return ''
    return this.hasCapitals ? this.value.toLowerCase() : this.value
  }

  /** Goes to the next token. */
  next(): void {
    this.previousEnd = this.end
    const { text } = this
    const at = this.skipBlank(this.end)
    this.start = at
    if (at >= text.length) {
      this.kind = 'end'
      this.end = at
      return
    }
    const code = text.charCodeAt(at)
    const shape = code < 128 ? (shapes[code] ?? 0) : 0
    if (shape === letter || (code === colon && !this.inBrackets)) return this.readName(at)
    if (shape === mark) return this.readMark(at, code)
    if (shape === digit || (code === 46 && shapes[text.charCodeAt(at + 1)] === digit)) return this.readNumeric(at)
    if (code === 34 || code === 39 || code === 96) return this.readString(at, code)
    this.refuseCharacter(at)
  }

  /** Is this the current token? Asked through a call because TypeScript believes a field stays what it was seen to be. */
  is(kind: Kind): boolean {
    return this.kind === kind
  }

  /** Consumes the mark if it is the current token. */
  accept(kind: Mark): boolean {
    if (this.kind !== kind) return false
    this.next()
    return true
  }

  /** Consumes the mark or refuses, saying what was expected and what for. */
  expect(kind: Mark, purpose: string): void {
    if (!this.accept(kind)) this.unexpected(`"${kind}" ${purpose}`)
  }

  /** Refuses the current token. */
  unexpected(expected: string): never {
    const found = this.kind === 'end' ? 'the query ends here' : `unexpected ${this.describe()}`
    const near = this.kind === 'name' ? nearest(this.value, keywords) : undefined
    const hint = near === undefined || near === this.word ? '' : `; did you mean ${near}?`
    return refuse('syntax', this, `${found}; expected ${expected}${hint}`)
  }

  /** Runs one level deeper. */
  nested<T>(read: () => T): T {
    if (++this.depth > this.limits.depth) {
      refuse('limit', this, `the query nests deeper than ${this.limits.depth} levels; split it`)
    }
    const result = read()
    this.depth--
    return result
  }

  /** Is the next token after the current one an opening parenthesis? */
  beforeParen(): boolean {
    return this.text.charAt(this.skipBlank(this.end)) === '('
  }

  private describe(): string {
    const shown = this.text.slice(this.start, Math.min(this.end, this.start + 40))
    return this.kind === 'string' ? `string ${shown}` : `"${shown}"`
  }

  private skipBlank(from: number): number {
    const { text } = this
    let at = from
    while (at < text.length) {
      const code = text.charCodeAt(at)
      if (code === 35) at = endOfLine(text, at)
      else if (code < 128 && shapes[code] === space) at++
      else break
    }
    return at
  }

  private readName(at: number): void {
    const { text } = this
    let end = at
    let capitals = false
    for (; end < text.length; end++) {
      const code = text.charCodeAt(end)
      if (code >= 65 && code <= 90) capitals = true
      const shape = code < 128 ? shapes[code] : 0
      if (shape !== letter && shape !== digit && (code !== colon || this.inBrackets)) break
    }
    this.kind = 'name'
    this.hasCapitals = capitals
    this.end = end
    this.value = text.slice(at, end)
  }

  private readMark(at: number, code: number): void {
    // Only = ! < > begin longer marks, and they sit together in ASCII but for the exclamation mark.
    const two = code === 33 || (code >= 60 && code <= 62) ? doubles.get(this.text.slice(at, at + 2)) : undefined
    const kind = two ?? marks[code]
    this.end = at + (two === undefined ? 1 : 2)
    if (kind === undefined) return refuse('syntax', this, 'unexpected "!"; did you mean != or !~ ?')
    this.kind = kind
    if (kind === '[') {
      if (this.inBrackets) refuse('syntax', this, 'unexpected "[" inside brackets')
      this.inBrackets = true
    } else if (kind === ']') this.inBrackets = false
  }

  private readNumeric(at: number): void {
    numeric.lastIndex = at
    const found = numeric.exec(this.text)?.[0] ?? ''
    this.end = at + found.length
    const value = parseNumber(found)
    const seconds = value ?? parseDuration(found)
    if (seconds === undefined) {
      const shown = found.length > 40 ? `${found.slice(0, 40)}…` : found
      refuse('syntax', this, `"${shown}" is no number and no duration; a duration is written like 1h30m`)
    }
    this.kind = value === undefined ? 'duration' : 'number'
    this.number = seconds
  }

  private readString(at: number, quote: number): void {
    const { text } = this
    let escaped = false
    let end = at + 1
    for (; ; end++) {
      const code = end < text.length ? text.charCodeAt(end) : -1
      if (code === quote) break
      if (code === -1 || (code === 10 && quote !== 96)) {
        refuse('syntax', { start: at, end: at + 1 }, 'this string has no closing quote on its line')
      }
      if (code === 0xfffd) {
        const span = { start: end, end: end + 1 }
        refuse('syntax', span, 'U+FFFD in a string: Prometheus takes it for broken UTF-8; write \\ufffd if you mean it')
      }
      if (code === 92 && quote !== 96) {
        escaped = true
        end++
      }
    }
    this.kind = 'string'
    this.end = end + 1
    this.value = escaped ? unquote(text, at + 1, end, String.fromCharCode(quote)) : text.slice(at + 1, end)
  }

  private refuseCharacter(at: number): never {
    const code = this.text.codePointAt(at) ?? 0
    const name = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
    const span = { start: at, end: at + (code > 0xffff ? 2 : 1) }
    const visible = code > 0x20 && code < 0x7f ? `"${String.fromCharCode(code)}"` : name
    return refuse('syntax', span, `unexpected character ${visible}; outside strings PromQL is plain ASCII`)
  }

  private refuseLoneSurrogate(): never {
    const start = this.text.search(/\p{Surrogate}/u)
    return refuse('syntax', { start, end: start + 1 }, 'half of a UTF-16 pair: the text is not valid Unicode')
  }
}

/** Prometheus ends a comment at either character; a reader that knows only `\n` would miss what follows a `\r`. */
function endOfLine(text: string, from: number): number {
  let at = from
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === 10 || code === 13) return at
    at++
  }
  return at
}
