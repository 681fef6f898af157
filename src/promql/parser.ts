import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { check } from './check.ts'
import { Refusal, refuse } from './error.ts'
import type { PromqlError } from './error.ts'
import { aggregations, functions, refusedFunctions } from './functions.ts'
import { Lexer } from './lexer.ts'
import { defaultLimits } from './limits.ts'
import type { Limits } from './limits.ts'
import { parseAt, parseOffset, parsePositiveDuration, parseScalarLiteral } from './parse-duration.ts'
import { parseGrouping, parseMatching } from './parse-matching.ts'
import { parseSelector } from './parse-selector.ts'
import { nearest } from './suggest.ts'
import type { Expr, Raw, Selector, Span, ValueType } from './tree.ts'

/** A text that was read: its tree, what it yields, and its selectors in the order of the text. */
export interface Parsed {
  readonly expr: Expr<Raw>
  readonly type: ValueType
  readonly selectors: readonly Selector<Raw>[]
}

const power = 6
const precedences: ReadonlyMap<string, number> = new Map([
  ['or', 1],
  ...['and', 'unless'].map((op) => [op, 2] as const),
  ...['==', '!=', '<', '<=', '>', '>=', '</', '>/'].map((op) => [op, 3] as const),
  ...['+', '-'].map((op) => [op, 4] as const),
  ...['*', '/', '%', 'atan2'].map((op) => [op, 5] as const),
  ['^', power],
])

// Words that the grammar takes for themselves wherever a metric name could stand.
const reserved: ReadonlySet<string> = new Set(['atan2', 'bool', 'on', 'ignoring', 'group_left', 'group_right'])

/**
 * Reads a query and checks its types.
 *
 * @returns the tree, or the first mistake in terms of the text
 */
export function parseQuery(text: string, limits: Limits = defaultLimits): Result<Parsed, PromqlError> {
  try {
    const { expr, selectors } = parse(text, limits)
    return ok({ expr, selectors, type: check(expr) })
  } catch (error) {
    if (error instanceof Refusal) return fail(error.problem)
    throw error
  }
}

/** Reads a text without checking types. Throws a {@link Refusal}. */
export function parse(text: string, limits: Limits): { readonly expr: Expr<Raw>; readonly selectors: Selector<Raw>[] } {
  const lexer = new Lexer(text, limits)
  if (lexer.is('end')) refuse('syntax', lexer, 'the query is empty')
  const expr = parseExpr(lexer)
  if (!lexer.is('end')) lexer.unexpected('an operator or the end of the query')
  return { expr, selectors: lexer.selectors }
}

const parseExpr = (lexer: Lexer): Expr<Raw> => parseBinary(lexer, 1)

function parseNested(lexer: Lexer): Expr<Raw> {
  lexer.enter()
  const expr = parseExpr(lexer)
  lexer.leave()
  return expr
}

/** Precedence climbing. Facts: the %left and %right lines of generated_parser.y; only `^` groups to the right. */
function parseBinary(lexer: Lexer, least: number): Expr<Raw> {
  let left = parseUnary(lexer)
  for (;;) {
    const { kind } = lexer
    if (kind === 'end' || kind === ')' || kind === ',') return left
    const op = kind === 'name' ? lexer.word : kind
    const precedence = precedences.get(op)
    if (precedence === undefined || precedence < least) return left
    lexer.next()
    const matching = parseMatching(lexer)
    const right = precedence === power ? parsePower(lexer) : parseBinary(lexer, precedence + 1)
    left = { kind: 'binary', op, matching, left, right, start: left.start, end: right.end }
  }
}

function parsePower(lexer: Lexer): Expr<Raw> {
  lexer.enter()
  const expr = parseBinary(lexer, power)
  lexer.leave()
  return expr
}

/** A sign binds like `*`: `-a ^ b` is `-(a ^ b)`, `-a * b` is `(-a) * b`. */
function parseUnary(lexer: Lexer): Expr<Raw> {
  const { kind, start } = lexer
  if (kind !== '+' && kind !== '-') return parsePostfix(lexer, parsePrimary(lexer))
  lexer.next()
  const of = parsePower(lexer)
  return { kind: 'unary', op: kind, of, start, end: of.end }
}

function parsePrimary(lexer: Lexer): Expr<Raw> {
  const { start, kind, value, number } = lexer
  if (kind === 'name') return parseWord(lexer)
  if (kind === '{') return parseSelector(lexer, '', start, lexer.end)
  if (kind === 'number' || kind === 'duration') {
    lexer.next()
    return { kind: 'number', value: number, start, end: lexer.previousEnd }
  }
  if (kind === 'string') {
    lexer.next()
    return { kind: 'string', value, start, end: lexer.previousEnd }
  }
  if (!lexer.accept('(')) lexer.unexpected('a metric, a function, a number or "("')
  const of = parseNested(lexer)
  lexer.expect(')', 'to close the parenthesis')
  return { kind: 'paren', of, start, end: lexer.previousEnd }
}

function parseWord(lexer: Lexer): Expr<Raw> {
  const { start, end, value, word } = lexer
  if (word === 'inf' || word === 'nan') {
    const number = parseScalarLiteral(lexer, 'a number')
    return { kind: 'number', value: number, start, end }
  }
  if (word !== '' && reserved.has(word))
    lexer.unexpected(`a metric; "${value}" is a keyword, write {__name__="${value}"} to mean a metric`)
  lexer.next()
  if (word !== '' && aggregations.has(word) && (lexer.is('(') || lexer.word === 'by' || lexer.word === 'without')) {
    return parseAggregate(lexer, word, start)
  }
  if (lexer.is('(')) return parseCall(lexer, value, start, end)
  return parseSelector(lexer, value, start, end)
}

function parseAggregate(lexer: Lexer, op: string, start: number): Expr<Raw> {
  let grouping = parseGrouping(lexer, 'by', 'without')
  const args = parseArgs(lexer, op)
  grouping ??= parseGrouping(lexer, 'by', 'without')
  return { kind: 'aggregate', op, grouping, args, start, end: lexer.previousEnd }
}

function parseCall(lexer: Lexer, name: string, start: number, end: number): Expr<Raw> {
  if (!functions.has(name)) refuseFunction(name, { start, end })
  const args = parseArgs(lexer, name)
  return { kind: 'call', name, args, start, end: lexer.previousEnd }
}

function refuseFunction(name: string, span: Span): never {
  const policy = refusedFunctions.get(name)
  if (policy !== undefined) refuse('unsupported', span, policy)
  // Aggregations first: of two equally near names, sum and sin for sun, they are the likelier.
  const near = nearest(name, [...aggregations.keys(), ...functions.keys()])
  const shown = name.length > 40 ? `${name.slice(0, 40)}…` : name
  const hint = near === undefined ? '' : `; did you mean ${near}?`
  return refuse('unknown_name', span, `unknown function "${shown}"${hint}`)
}

function parseArgs(lexer: Lexer, name: string): readonly Expr<Raw>[] {
  lexer.expect('(', 'after ', name)
  const args: Expr<Raw>[] = []
  if (!lexer.is(')')) {
    args.push(parseNested(lexer))
    while (lexer.accept(',')) args.push(parseNested(lexer))
  }
  lexer.expect(')', 'after the arguments of ', name)
  return args
}

/** Ranges, `offset`, `@` and the like bind to the operand right before them, in any order. */
function parsePostfix(lexer: Lexer, operand: Expr<Raw>): Expr<Raw> {
  let expr = operand
  for (;;) {
    const { kind } = lexer
    if (kind !== '[' && kind !== '@' && kind !== 'name') return expr
    const what = kind === 'name' ? lexer.word : kind
    switch (what) {
      case '[':
        expr = parseBrackets(lexer, expr)
        break
      case '@':
      case 'offset':
        expr = parseTiming(lexer, expr, what)
        break
      case 'anchored':
      case 'smoothed':
        expr = parseExtended(lexer, expr, what)
        break
      default:
        return expr
    }
  }
}

function parseTiming(lexer: Lexer, expr: Expr<Raw>, what: '@' | 'offset'): Expr<Raw> {
  if (expr.kind !== 'selector' && expr.kind !== 'subquery') {
    refuse('type', lexer, `${what} must follow a selector or a subquery; put it right after the metric inside`)
  }
  if ((what === '@' ? expr.at : expr.offset) !== '') refuse('type', lexer, `${what} may be given only once`)
  lexer.next()
  const at = what === '@' ? parseAt(lexer) : expr.at
  const offset = what === 'offset' ? parseOffset(lexer) : expr.offset
  if (expr.kind === 'subquery') return { ...expr, at, offset, end: lexer.previousEnd }
  return extend(lexer, expr, expr.range, expr.extended, at, offset)
}

function parseExtended(lexer: Lexer, expr: Expr<Raw>, extended: 'anchored' | 'smoothed'): Expr<Raw> {
  if (expr.kind !== 'selector') refuse('type', lexer, `${extended} must follow a selector`)
  if (expr.extended !== '' && expr.extended !== extended) {
    refuse('type', lexer, 'anchored and smoothed cannot be used together')
  }
  lexer.next()
  return extend(lexer, expr, expr.range, extended, expr.at, expr.offset)
}

function parseBrackets(lexer: Lexer, expr: Expr<Raw>): Expr<Raw> {
  const { start } = lexer
  lexer.next()
  const range = parsePositiveDuration(lexer)
  if (lexer.accept(':')) {
    const step = lexer.is(']') ? '' : parsePositiveDuration(lexer)
    lexer.expect(']', 'to close the subquery')
    // Refused here and not by the type check: a chain of subqueries would be a tree as deep as the text is long.
    if (expr.kind === 'subquery')
      refuse('type', { start, end: lexer.previousEnd }, 'a subquery cannot be taken of a range')
    return { kind: 'subquery', of: expr, range, step, at: '', offset: '', start: expr.start, end: lexer.previousEnd }
  }
  lexer.expect(']', 'to close the range, or ":" to make it a subquery')
  if (expr.kind !== 'selector' || expr.range !== '') {
    refuse(
      'type',
      { start, end: lexer.previousEnd },
      'a range can only follow a selector; for a range over an expression write a subquery like [5m:1m]',
    )
  }
  if (expr.at !== '' || expr.offset !== '') {
    refuse('type', { start, end: lexer.previousEnd }, 'the range comes first, @ and offset after it')
  }
  return extend(lexer, expr, range, expr.extended, expr.at, expr.offset)
}

/** The selector with more on it. It was the last one read, so it also takes its place in the list of selectors. */
function extend(
  lexer: Lexer,
  { name, matchers, scope, start }: Selector<Raw>,
  range: string,
  extended: Selector<Raw>['extended'],
  at: string,
  offset: string,
): Selector<Raw> {
  const end = lexer.previousEnd
  const more: Selector<Raw> = { kind: 'selector', name, matchers, scope, range, extended, at, offset, start, end }
  lexer.selectors[lexer.selectors.length - 1] = more
  return more
}
