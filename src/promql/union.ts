import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { Refusal } from './error.ts'
import type { PromqlError } from './error.ts'
import { selectorFunctions } from './functions.ts'
import { defaultLimits } from './limits.ts'
import type { Limits } from './limits.ts'
import { bind, compileScope } from './scope.ts'
import type { Bound, Compiled, Scope } from './scope.ts'
import { leftSpine } from './tree.ts'
import type { Binary, Call, Expr, Matching, Raw, Scoped, Selector } from './tree.ts'

/** A tree in which every selector carries the scope, and what the caller should know about it. */
export interface ScopedQuery {
  readonly expr: Expr<Scoped>
  readonly notes: readonly string[]
}

/**
 * Puts a scope on every selector of a checked tree.
 *
 * PromQL has no "or" inside a selector. A scope with several alternatives becomes a union where the first instant vector
 * comes into being: `m` → `(m{a} or m{b})`, `rate(m[5m])` → `(rate(m{a}[5m]) or rate(m{b}[5m]))`. Both sides keep all
 * labels but the name there, and labels decide which side a series is on, so `or` loses and doubles nothing.
 *
 * @returns `no_rights` or `not_allowed` where a selector asks for what may not be seen, `internal` for a bad scope
 */
export function scopeExpr(
  expr: Expr<Raw>,
  scope: Scope,
  limits: Limits = defaultLimits,
): Result<ScopedQuery, PromqlError> {
  try {
    const walk = new Walk(compileScope(scope, limits))
    return ok({ expr: walk.scope(expr), notes: walk.notes })
  } catch (error) {
    if (error instanceof Refusal) return fail(error.problem)
    throw error
  }
}

const plain: Matching = { bool: false, on: null, group: null, fill: [] }
const onNothing: Matching = { ...plain, on: { word: 'on', labels: [] } }

class Walk {
  /** Each once. */
  readonly notes: string[] = []
  private readonly scopeOfAll: Compiled

  constructor(scope: Compiled) {
    this.scopeOfAll = scope
  }

  scope(expr: Expr<Raw>): Expr<Scoped> {
    switch (expr.kind) {
      case 'number':
      case 'string':
        return expr
      case 'selector':
        return this.selector(expr)
      case 'subquery':
        return { ...expr, of: this.scope(expr.of) }
      case 'paren':
        return { kind: 'paren', of: this.scope(expr.of), start: expr.start, end: expr.end }
      case 'unary':
        return { kind: 'unary', op: expr.op, of: this.scope(expr.of), start: expr.start, end: expr.end }
      case 'aggregate': {
        const { op, grouping, start, end } = expr
        return { kind: 'aggregate', op, grouping, args: this.args(expr.args), start, end }
      }
      case 'call':
        return this.call(expr)
      case 'binary':
        return this.binary(expr)
    }
  }

  private args(args: readonly Expr<Raw>[]): readonly Expr<Scoped>[] {
    const scoped: Expr<Scoped>[] = []
    for (const arg of args) scoped.push(this.scope(arg))
    return scoped
  }

  private bind(selector: Selector<Raw>): Bound {
    const bound = bind(selector, this.scopeOfAll, true)
    for (const note of bound.notes) this.note(note)
    return bound
  }

  private note(note: string): void {
    if (!this.notes.includes(note)) this.notes.push(note)
  }

  private selector(selector: Selector<Raw>): Expr<Scoped> {
    const { scopes, label } = this.bind(selector)
    const [first, ...rest] = scopes
    if (rest.length === 0) return carry(selector, first)
    if (selector.range === '') return join('or', plain, variants(selector, scopes))
    // A range that no function takes: PromQL cannot unite ranges. The caller must know that it was narrowed.
    const advice = 'use a function such as last_over_time() to see all of them'
    this.note(`a range selector on its own was answered for your series by ${label} only; ${advice}`)
    return carry(selector, first)
  }

  /**
   * The one range selector among the arguments, or the selector that `absent` and `timestamp` look at themselves, also
   * through parentheses (the engine unwraps those), takes the whole call into the union.
   */
  private call(call: Call<Raw>): Expr<Scoped> {
    const { name, start, end } = call
    const index = call.args.findIndex((arg) => isOperand(arg, name))
    const operand = call.args[index]
    if (operand === undefined) return { kind: 'call', name, args: this.args(call.args), start, end }
    const args = call.args.map((arg) => (arg === operand ? null : this.scope(arg)))
    const calls = this.operands(operand).map((one): Call<Scoped> => {
      return { kind: 'call', name, args: args.map((arg) => arg ?? one), start, end }
    })
    // Absent in the union means absent in each part. `and on ()` keeps the left labels, which come from the user's matchers.
    const absent = name === 'absent' || name === 'absent_over_time'
    return absent ? join('and', onNothing, calls) : join('or', plain, calls)
  }

  /** The variants of a selector, each in the parentheses that stood around it. */
  private operands(expr: Expr<Raw>): readonly Expr<Scoped>[] {
    if (expr.kind === 'selector') return variants(expr, this.bind(expr).scopes)
    if (expr.kind === 'paren') return this.operands(expr.of).map((of) => ({ ...expr, of }))
    return [this.scope(expr)]
  }

  private binary(top: Binary<Raw>): Expr<Scoped> {
    const { first, operators } = leftSpine(top)
    let left = this.scope(first)
    for (const { op, matching, right, start, end } of operators) {
      left = { kind: 'binary', op, matching, left, right: this.scope(right), start, end }
    }
    return left
  }
}

const variants = (selector: Selector<Raw>, scopes: readonly Scoped[]): readonly Selector<Scoped>[] =>
  scopes.map((scope) => carry(selector, scope))

/** The selector with the scope on it. */
export function carry(selector: Selector<Raw>, scope: Scoped): Selector<Scoped> {
  const { name, matchers, range, extended, at, offset, start, end } = selector
  return { kind: 'selector', name, matchers, scope, range, extended, at, offset, start, end }
}

function isOperand(arg: Expr<Raw>, name: string): boolean {
  let inner = arg
  while (inner.kind === 'paren') inner = inner.of
  return inner.kind === 'selector' && (inner.range !== '' || selectorFunctions.has(name))
}

/** The parts joined by an operator, in parentheses; a single part as it is. */
function join(op: 'or' | 'and', matching: Matching, parts: readonly Expr<Scoped>[]): Expr<Scoped> {
  const joined = parts.reduce((left, right): Expr<Scoped> => {
    return { kind: 'binary', op, matching, left, right, start: left.start, end: left.end }
  })
  if (parts.length === 1) return joined
  return { kind: 'paren', of: joined, start: joined.start, end: joined.end }
}
