import { refuse } from './error.ts'
import type { Lexer } from './lexer.ts'
import { mostSeconds, printDuration, printNumber } from './numbers.ts'

/**
 * A duration expression as canonical text, with its seconds where it is a mere (signed) literal. It holds no selector
 * and Prometheus alone can compute it, so text made from our own tokens says all there is to say.
 */
interface Duration {
  readonly text: string
  readonly seconds: number | undefined
}

const operators: ReadonlySet<string> = new Set(['+', '-', '*', '/', '%', '^'])

/** Range or step between brackets: a duration expression that is not obviously zero or negative. */
export function parsePositiveDuration(lexer: Lexer): string {
  const { start } = lexer
  const { text, seconds } = parseExpression(lexer)
  if (seconds !== undefined && seconds <= 0) {
    refuse('type', { start, end: lexer.previousEnd }, 'a duration here must be greater than 0')
  }
  return text
}

/**
 * What follows `offset`. Facts: in generated_parser.y `offset_duration_expr` ends after one signed operand, so
 * `a offset 5m + 3` adds 3 to the vector; only after a leading parenthesis or a second sign does arithmetic go on.
 */
export function parseOffset(lexer: Lexer): string {
  if (lexer.kind === '(') return parseExpression(lexer).text
  const sign = lexer.kind === '+' || lexer.kind === '-' ? lexer.kind : ''
  if (sign !== '') lexer.next()
  const more = lexer.is('+') || lexer.is('-')
  return signed(sign, more ? parseExpression(lexer) : parseOperand(lexer)).text
}

function parseExpression(lexer: Lexer): Duration {
  let whole = parseSigned(lexer, '')
  while (operators.has(lexer.kind)) {
    const operator = lexer.kind
    lexer.next()
    const right = parseSigned(lexer, operator)
    whole = { text: `${whole.text} ${operator} ${right.text}`, seconds: undefined }
  }
  return whole
}

function parseNested(lexer: Lexer): Duration {
  lexer.enter()
  const inner = parseExpression(lexer)
  lexer.leave()
  return inner
}

function parseSigned(lexer: Lexer, operator: string): Duration {
  const { start } = lexer
  let signs = ''
  while (lexer.kind === '+' || lexer.kind === '-') {
    signs += lexer.kind
    lexer.next()
  }
  const operand = parseOperand(lexer)
  if ((operator === '/' || operator === '%') && operand.seconds === 0 && !lexer.is('^')) {
    refuse('type', { start, end: lexer.previousEnd }, 'division by zero in a duration')
  }
  return signed(signs, operand)
}

function signed(signs: string, operand: Duration): Duration {
  if (signs === '') return operand
  const { seconds } = operand
  if (seconds === undefined) return { text: signs + operand.text, seconds }
  const negative = signs.replaceAll('+', '').length % 2 === 1
  const value = negative ? -seconds : seconds
  return { text: printDuration(value), seconds: value }
}

function parseOperand(lexer: Lexer): Duration {
  const { kind, word } = lexer
  if (kind === 'number' || kind === 'duration') return parseLiteral(lexer)
  if (kind === '(') {
    lexer.next()
    const inner = parseNested(lexer)
    lexer.expect(')', 'to close the duration')
    return { text: `(${inner.text})`, seconds: undefined }
  }
  if (word === 'step' || word === 'range') {
    lexer.next()
    lexer.expect('(', 'after ', word)
    lexer.expect(')', 'after the parenthesis of ', word)
    return { text: `${word}()`, seconds: undefined }
  }
  if (word === 'max_of' || word === 'min_of') return parsePick(lexer, word)
  return lexer.unexpected('a duration such as 5m, step() or range()')
}

function parseLiteral(lexer: Lexer): Duration {
  const { number } = lexer
  if (number > mostSeconds) refuse('type', lexer, 'duration out of range: at most 292 years')
  lexer.next()
  return { text: printDuration(number), seconds: number }
}

function parsePick(lexer: Lexer, name: string): Duration {
  lexer.next()
  lexer.expect('(', 'after ', name)
  const left = parseNested(lexer)
  lexer.expect(',', 'between the two arguments of ', name)
  const right = parseNested(lexer)
  lexer.expect(')', 'after the two arguments of ', name)
  return { text: `${name}(${left.text}, ${right.text})`, seconds: undefined }
}

/** What follows `@`: a time in seconds, `start()` or `end()`. */
export function parseAt(lexer: Lexer): string {
  const { start, word } = lexer
  if (word === 'start' || word === 'end') {
    lexer.next()
    lexer.expect('(', 'after @ ', word)
    lexer.expect(')', 'after the parenthesis of @ ', word)
    return `${word}()`
  }
  const sign = parseSign(lexer)
  const value = parseScalarLiteral(lexer, 'a time in seconds, start() or end() after @')
  if (!(Math.abs(value) < 2 ** 63)) {
    refuse('type', { start, end: lexer.previousEnd }, 'the time after @ is out of bounds: give Unix seconds')
  }
  return printNumber(sign * value)
}

/** The value in `fill (…)`. */
export function parseFillValue(lexer: Lexer): string {
  const sign = parseSign(lexer)
  return printNumber(sign * parseScalarLiteral(lexer, 'a number to fill in'))
}

function parseSign(lexer: Lexer): 1 | -1 {
  const sign = lexer.kind === '-' ? -1 : 1
  if (lexer.kind === '-' || lexer.kind === '+') lexer.next()
  return sign
}

/** A number, a duration (its seconds), `Inf` or `NaN`. */
export function parseScalarLiteral(lexer: Lexer, expected: string): number {
  const { kind, number, word } = lexer
  if (kind !== 'number' && kind !== 'duration' && word !== 'inf' && word !== 'nan') lexer.unexpected(expected)
  lexer.next()
  return word === 'inf' ? Infinity : word === 'nan' ? NaN : number
}
