import { Refusal } from './error.ts'
import { Lexer } from './lexer.ts'
import { defaultLimits } from './limits.ts'
import { parse } from './parser.ts'
import type { Expr, Raw } from './tree.ts'

/** How much a query asks for. */
export interface Reach {
  readonly selectors: number
  /** The longest stretch of time, in seconds, that a selector reads for one point of the answer. */
  readonly seconds: number
}

/** What `step()` and `range()` stand for, in seconds; zero for a query about one moment. */
export interface Evaluation {
  readonly step: number
  readonly range: number
}

// The text may be one that was scoped, and so longer and deeper than what people may write.
const limits = {
  ...defaultLimits,
  length: defaultLimits.sent,
  depth: 2 * defaultLimits.depth,
  selectors: Number.POSITIVE_INFINITY,
}

/**
 * How far a query reaches: a range such as `[5m]`, and the range of every subquery around it, added up. `offset` and `@`
 * say where such a stretch lies and do not make it longer. What cannot be told is said to be without end.
 */
export function reach(text: string, evaluation: Evaluation): Reach {
  try {
    const { expr, selectors } = parse(text, limits)
    return { selectors: selectors.length, seconds: longest(expr, evaluation) }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { selectors: Number.POSITIVE_INFINITY, seconds: Number.POSITIVE_INFINITY }
  }
}

/** Not by recursion: a chain such as `a + b + c` may be tens of thousands of operators long. */
function longest(top: Expr<Raw>, evaluation: Evaluation): number {
  let most = 0
  const open: { readonly expr: Expr<Raw>; readonly around: number }[] = [{ expr: top, around: 0 }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { expr, around } = next
    switch (expr.kind) {
      case 'number':
      case 'string':
        break
      case 'selector':
        most = Math.max(most, around + secondsOf(expr.range, evaluation))
        break
      case 'subquery':
        open.push({ expr: expr.of, around: around + secondsOf(expr.range, evaluation) })
        break
      case 'paren':
      case 'unary':
        open.push({ expr: expr.of, around })
        break
      case 'call':
      case 'aggregate':
        for (const arg of expr.args) open.push({ expr: arg, around })
        break
      case 'binary':
        open.push({ expr: expr.left, around }, { expr: expr.right, around })
        break
    }
  }
  return most
}

/** Seconds of what stands between brackets. What Prometheus would refuse, such as a negative range, counts as it is large. */
function secondsOf(range: string, evaluation: Evaluation): number {
  if (range === '') return 0
  const seconds = Math.abs(sum(new Lexer(range, limits), evaluation))
  return Number.isNaN(seconds) ? Number.POSITIVE_INFINITY : seconds
}

// A duration expression, as promql/durations.go computes it, with the precedences of PromQL. The text was read before, so
// that its nesting is bounded; how many signs or operators stand in a row is not.

function sum(lexer: Lexer, evaluation: Evaluation): number {
  let value = product(lexer, evaluation)
  while (lexer.is('+') || lexer.is('-')) {
    const plus = lexer.is('+')
    lexer.next()
    const right = product(lexer, evaluation)
    value = plus ? value + right : value - right
  }
  return value
}

function product(lexer: Lexer, evaluation: Evaluation): number {
  let value = power(lexer, evaluation)
  for (;;) {
    const op = lexer.kind
    if (op !== '*' && op !== '/' && op !== '%') return value
    lexer.next()
    const right = power(lexer, evaluation)
    value = op === '*' ? value * right : op === '/' ? value / right : value % right
  }
}

/** Powers group to the right, and a sign before one binds less than it: `-2 ^ 2` is -4. */
function power(lexer: Lexer, evaluation: Evaluation): number {
  const parts: { readonly sign: number; readonly base: number }[] = []
  do {
    let sign = 1
    for (; lexer.is('+') || lexer.is('-'); lexer.next()) if (lexer.is('-')) sign = -sign
    parts.push({ sign, base: operand(lexer, evaluation) })
  } while (lexer.accept('^'))
  return parts.reduceRight((exponent, { sign, base }) => sign * base ** exponent, 1)
}

function operand(lexer: Lexer, evaluation: Evaluation): number {
  const { kind, word, number } = lexer
  lexer.next()
  if (kind === 'number' || kind === 'duration') return number
  if (kind === '(') return argument(lexer, evaluation)
  lexer.next()
  if (word === 'step' || word === 'range') {
    lexer.next()
    return evaluation[word]
  }
  const [first, second] = [argument(lexer, evaluation), argument(lexer, evaluation)]
  return word === 'max_of' ? Math.max(first, second) : Math.min(first, second)
}

/** A value, and the mark behind it. */
function argument(lexer: Lexer, evaluation: Evaluation): number {
  const value = sum(lexer, evaluation)
  lexer.next()
  return value
}
