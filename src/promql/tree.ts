/** What a selector of a freshly parsed tree carries: nothing. */
export type Raw = null

declare const scoped: unique symbol

/**
 * The matchers that a scope put on a selector, as text to print: '' where every series is in scope. Only `scope.ts` makes
 * one, so a selector cannot be forgotten.
 */
export type Scoped = string & { readonly [scoped]: true }

export type ValueType = 'scalar' | 'string' | 'vector' | 'matrix'

export type MatchOp = '=' | '!=' | '=~' | '!~'

/** Where a piece of the tree stands in the user's text: UTF-16 indexes, `end` exclusive. */
export interface Span {
  readonly start: number
  readonly end: number
}

export interface Matcher extends Span {
  readonly label: string
  readonly op: MatchOp
  readonly value: string
}

/**
 * `@` and `offset`, already as canonical text; '' where absent. They hold no selector, so nothing has to look into them.
 */
export interface Timing {
  readonly at: string
  readonly offset: string
}

/** A metric name outside the braces ('' without one), matchers, and for a range selector the text between `[` and `]`. */
export interface Selector<S> extends Span, Timing {
  readonly kind: 'selector'
  readonly name: string
  readonly matchers: readonly Matcher[]
  readonly scope: S
  readonly range: string
  readonly extended: '' | 'anchored' | 'smoothed'
}

export interface Subquery<S> extends Span, Timing {
  readonly kind: 'subquery'
  readonly of: Expr<S>
  readonly range: string
  readonly step: string
}

export interface Call<S> extends Span {
  readonly kind: 'call'
  readonly name: string
  readonly args: readonly Expr<S>[]
}

export interface Grouping {
  readonly word: 'by' | 'without' | 'on' | 'ignoring' | 'group_left' | 'group_right'
  readonly labels: readonly string[]
}

/** The parameter of `topk` and the like is the first of two arguments: it is an expression and may hold selectors. */
export interface Aggregate<S> extends Span {
  readonly kind: 'aggregate'
  readonly op: string
  readonly grouping: Grouping | null
  readonly args: readonly Expr<S>[]
}

/** How a binary operator pairs its sides. `fill` holds canonical text such as `fill (0)`. */
export interface Matching {
  readonly bool: boolean
  readonly on: Grouping | null
  readonly group: Grouping | null
  readonly fill: readonly string[]
}

export interface Binary<S> extends Span {
  readonly kind: 'binary'
  readonly op: string
  readonly matching: Matching
  readonly left: Expr<S>
  readonly right: Expr<S>
}

export interface Unary<S> extends Span {
  readonly kind: 'unary'
  readonly op: '+' | '-'
  readonly of: Expr<S>
}

export interface Paren<S> extends Span {
  readonly kind: 'paren'
  readonly of: Expr<S>
}

export interface NumberLiteral extends Span {
  readonly kind: 'number'
  readonly value: number
}

export interface StringLiteral extends Span {
  readonly kind: 'string'
  readonly value: string
}

/**
 * A PromQL expression. `S` is what its selectors carry: the printer takes only `Expr<Scoped>`, so a walk that leaves one
 * child as it was does not compile.
 */
export type Expr<S> =
  | Selector<S>
  | Subquery<S>
  | Call<S>
  | Aggregate<S>
  | Binary<S>
  | Unary<S>
  | Paren<S>
  | NumberLiteral
  | StringLiteral

/**
 * The left spine of a chain such as `a + b + c`: its first operand and its operators from left to right. A chain may be
 * tens of thousands of operators long, so walks take it in a loop instead of on the stack.
 */
export function leftSpine<S>(top: Binary<S>): { readonly first: Expr<S>; readonly operators: readonly Binary<S>[] } {
  const operators: Binary<S>[] = []
  let node: Expr<S> = top
  while (node.kind === 'binary') {
    operators.push(node)
    node = node.left
  }
  return { first: node, operators: operators.toReversed() }
}
