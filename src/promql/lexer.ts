import { refuse } from './error.ts'
import type { Limits } from './limits.ts'
import { beginnings, markAt } from './marks.ts'
import type { Mark } from './marks.ts'
import { parseDuration, parseNumber } from './numbers.ts'
import { unquote } from './quoting.ts'
import { nearest } from './suggest.ts'
import type { Raw, Selector } from './tree.ts'
import { keywords, knownWord } from './words.ts'

/** A token is a word (`name`), a value, a mark or the end of the text. */
export type Kind = 'end' | 'name' | 'string' | 'number' | 'duration' | Mark

/** White space, or the hash sign that begins a comment. */
const blank = 1
const digit = 2
const letter = 4
const mark = 8
const capital = 16
const colon = 32
/** What a string may end at or must not hold. */
const stop = 64
// As long as there are UTF-16 units, so that no look-up has to ask whether it is within the table. Here and not in a file
// of its own, because a look-up in another module's table costs a tenth of the parsing.
const shapes = new Uint8Array(0x10000)
// Prometheus knows the first four as white space and no others: what an editor calls a space may not be one.
for (const character of ' \t\n\r#') shapes[character.charCodeAt(0)] = blank
for (const character of '0123456789') shapes[character.charCodeAt(0)] = digit
for (const character of 'abcdefghijklmnopqrstuvwxyz_') shapes[character.charCodeAt(0)] = letter
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ') shapes[character.charCodeAt(0)] = letter | capital
for (const one of beginnings) shapes[one.charCodeAt(0)] = mark
shapes[':'.charCodeAt(0)] = mark | colon
for (const character of '"\'`\\\n\ufffd')
  shapes[character.charCodeAt(0)] = (shapes[character.charCodeAt(0)] ?? 0) | stop

/** What a character is; nothing at all beyond the end and beyond ASCII. */
const shapeAt = (text: string, at: number): number => (at < text.length ? (shapes[text.charCodeAt(at)] ?? 0) : 0)

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
  /** What the characters of the current word are. */
  private seen = 0
  /** What a word may hold: its colons part range and step between brackets. */
  private wordShapes = letter | digit | colon
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

  /** The current word in lower case if the language gives it a meaning: keywords are written in any case. Else ''. */
  get word(): string {
    return this.kind === 'name' ? knownWord(this.value, (this.seen & capital) !== 0) : ''
  }

  /** Has the current word a colon in it? */
  get hasColon(): boolean {
    return (this.seen & colon) !== 0
  }

  /** Goes to the next token. */
  next(): void {
    const { text } = this
    let at = this.end
    this.previousEnd = at
    let code = at < text.length ? text.charCodeAt(at) : 0
    let shape = shapes[code] ?? 0
    if ((shape & blank) !== 0) {
      at = skipBlank(text, at)
      code = at < text.length ? text.charCodeAt(at) : 0
      shape = shapes[code] ?? 0
    }
    this.start = at
    if (at >= text.length) {
      this.kind = 'end'
      this.end = at
      return
    }
    if ((shape & (letter | colon) & this.wordShapes) !== 0) return this.readName(at)
    if ((shape & mark) !== 0) return this.readMark(at)
    if (shape === digit || (code === 46 && shapeAt(text, at + 1) === digit)) return this.readNumeric(at)
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

  /** Consumes the mark or refuses, saying what was expected and what for: the purpose and the name it is about. */
  expect(kind: Mark, purpose: string, name = ''): void {
    if (!this.accept(kind)) this.unexpected(`"${kind}" ${purpose}${name}`)
  }

  /** Refuses the current token. */
  unexpected(expected: string): never {
    const found = this.kind === 'end' ? 'the query ends here' : `unexpected ${this.describe()}`
    const near = this.kind === 'name' ? nearest(this.value, keywords) : undefined
    const hint = near === undefined || near === this.word ? '' : `; did you mean ${near}?`
    return refuse('syntax', this, `${found}; expected ${expected}${hint}`)
  }

  /** Goes one level deeper; {@link leave} comes back. */
  enter(): void {
    if (++this.depth > this.limits.depth) {
      refuse('limit', this, `the query nests deeper than ${this.limits.depth} levels; split it`)
    }
  }

  leave(): void {
    this.depth--
  }

  /** Is the next token after the current one an opening parenthesis? */
  beforeParen(): boolean {
    return this.text.charAt(skipBlank(this.text, this.end)) === '('
  }

  private describe(): string {
    const shown = this.text.slice(this.start, Math.min(this.end, this.start + 40))
    return this.kind === 'string' ? `string ${shown}` : `"${shown}"`
  }

  private readName(at: number): void {
    const { text, wordShapes } = this
    let end = at
    let seen = 0
    for (; end < text.length; end++) {
      const shape = shapes[text.charCodeAt(end)] ?? 0
      if ((shape & wordShapes) === 0) break
      seen |= shape
    }
    this.kind = 'name'
    this.seen = seen
    this.end = end
    this.value = text.slice(at, end)
  }

  private readMark(at: number): void {
    const kind = markAt(this.text, at)
    this.end = at + (kind?.length ?? 1)
    if (kind === undefined) return refuse('syntax', this, 'unexpected "!"; did you mean != or !~ ?')
    this.kind = kind
    if (kind === '[') {
      if ((this.wordShapes & colon) === 0) refuse('syntax', this, 'unexpected "[" inside brackets')
      this.wordShapes = letter | digit
    } else if (kind === ']') this.wordShapes = letter | digit | colon
  }

  private readNumeric(at: number): void {
    const { text } = this
    const end = endOfNumeric(text, at)
    const found = text.slice(at, end)
    this.end = end
    const seconds = parseDuration(found)
    const value = seconds === undefined ? parseNumber(found) : undefined
    if (seconds === undefined && value === undefined) {
      const shown = found.length > 40 ? `${found.slice(0, 40)}…` : found
      refuse('syntax', this, `"${shown}" is no number and no duration; a duration is written like 1h30m`)
    }
    this.kind = value === undefined ? 'duration' : 'number'
    this.number = value ?? seconds ?? Number.NaN
  }

  private readString(at: number, quote: number): void {
    const { text } = this
    let escaped = false
    let end = at + 1
    for (; ; end++) {
      const code = end < text.length ? text.charCodeAt(end) : -1
      if (code >= 0 && ((shapes[code] ?? 0) & stop) === 0) continue
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

function skipBlank(text: string, from: number): number {
  let at = from
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (((shapes[code] ?? 0) & blank) === 0) return at
    at = code === 35 ? endOfLine(text, at) : at + 1
  }
  return at
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

/** The end of all that could belong to a number or a duration; a sign only between the e of an exponent and a digit. */
function endOfNumeric(text: string, from: number): number {
  let at = from
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (((shapes[code] ?? 0) & (letter | digit)) !== 0 || code === 46) at++
    else if ((code === 43 || code === 45) && isExponent(text, at) && shapeAt(text, at + 1) === digit) at++
    else break
  }
  return at
}

/** Is there an e after a digit or a dot before the sign? */
function isExponent(text: string, sign: number): boolean {
  const before = text.charCodeAt(sign - 2)
  return (text.charCodeAt(sign - 1) | 0x20) === 101 && (shapes[before] === digit || before === 46)
}
