import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { Refusal, refuse } from './error.ts'
import type { PromqlError } from './error.ts'
import { defaultLimits } from './limits.ts'
import type { Limits } from './limits.ts'
import { parseQuery } from './parser.ts'
import { print } from './print.ts'
import { bind, compileScope, literalName } from './scope.ts'
import type { Scope } from './scope.ts'
import type { Expr, MatchOp, Raw, Scoped, Selector, ValueType } from './tree.ts'
import { carry, scopeExpr } from './union.ts'
import { verify } from './verify.ts'

export { drawError } from './error.ts'
export type { PromqlError, Reason } from './error.ts'
export { defaultLimits } from './limits.ts'
export type { Limits } from './limits.ts'
export type { Alternative, Family, Scope } from './scope.ts'

/**
 * What a selector of the user asked for, for the record. A value may hold bytes that are not UTF-8; each of them stands
 * there as the lone surrogate U+DC00 + byte.
 */
export interface SelectorFacts {
  /** The metric's name where the selector says it literally, else null. */
  readonly metric: string | null
  readonly matchers: readonly { readonly label: string; readonly op: MatchOp; readonly value: string }[]
}

export interface Rewritten {
  /** What may be sent to Prometheus. */
  readonly sent: string
  readonly type: ValueType
  readonly selectors: readonly SelectorFacts[]
  /** What the caller must be told: where the answer is narrower than the question. */
  readonly notes: readonly string[]
}

export interface RewrittenSelector {
  /** The selectors to send, one for each alternative that can answer: never none, which Prometheus reads as "all". */
  readonly sent: readonly [string, ...string[]]
  readonly selectors: readonly SelectorFacts[]
  readonly notes: readonly string[]
}

/**
 * A query with the scope on each of its selectors: read, type checked, scoped, printed, and the printed text read again to
 * see that nothing was missed. A query without selectors (`1+1`) passes whatever the rights are.
 *
 * @returns the first mistake in terms of `text`; `internal` when the scope is unusable or the self-check fails
 */
export function rewriteQuery(
  text: string,
  scope: Scope,
  limits: Limits = defaultLimits,
): Result<Rewritten, PromqlError> {
  const parsed = parseQuery(text, limits)
  if (!parsed.ok) return parsed
  const { expr, type, selectors } = parsed.value
  const scoped = scopeExpr(expr, scope, limits)
  if (!scoped.ok) return scoped
  return settle(() => {
    const sent = print(scoped.value.expr, limits.sent)
    verify(sent, scope, limits)
    return { sent, type, selectors: selectors.map(factsOf), notes: scoped.value.notes }
  })
}

/**
 * A `match[]` selector with the scope on it: one text for each alternative, which Prometheus unites.
 *
 * @returns like {@link rewriteQuery}; also an error where the text is more than an instant vector selector
 */
export function rewriteSelector(
  text: string,
  scope: Scope,
  limits: Limits = defaultLimits,
): Result<RewrittenSelector, PromqlError> {
  const parsed = parseQuery(text, limits)
  if (!parsed.ok) return parsed
  return settle(() => {
    const selector = bareSelector(parsed.value.expr)
    const { scopes, notes } = bind(selector, compileScope(scope, limits), false)
    const [first, ...rest] = scopes
    const send = (scoped: Scoped): string => print(carry(selector, scoped), limits.sent)
    const sent: readonly [string, ...string[]] = [send(first), ...rest.map(send)]
    for (const one of sent) verify(one, scope, limits)
    return { sent, selectors: [factsOf(selector)], notes }
  })
}

const bare: Selector<Raw> = {
  kind: 'selector',
  name: '',
  matchers: [],
  scope: null,
  range: '',
  extended: '',
  at: '',
  offset: '',
  start: 0,
  end: 0,
}

const matchNothing = '{__name__="",__name__!=""}'

/**
 * The scope itself as `match[]` selectors, for endpoints that are called without one: its own alternatives, since no
 * metric is named. For `everything` there is none to
 * add. For a scope without rights it is a selector that matches no series: an empty list would mean all of them.
 *
 * Throws a TypeError for a scope that {@link rewriteQuery} would refuse as `internal`.
 */
export function scopeSelector(scope: Scope): readonly string[] {
  const done = settle(() => {
    const compiled = compileScope(scope, defaultLimits)
    if (compiled.everything) return []
    if (compiled.rights.grants.length === 0) return [matchNothing]
    const { scopes } = bind(bare, compiled, false)
    const sent = scopes.map((scoped) => print(carry(bare, scoped)))
    for (const one of sent) verify(one, scope, defaultLimits)
    return sent
  })
  if (!done.ok) throw new TypeError(done.error.message)
  return done.value
}

function settle<T>(work: () => T): Result<T, PromqlError> {
  try {
    return ok(work())
  } catch (error) {
    if (error instanceof Refusal) return fail(error.problem)
    throw error
  }
}

function bareSelector(expr: Expr<Raw>): Selector<Raw> {
  const bare = expr.kind === 'selector' && `${expr.range}${expr.at}${expr.offset}${expr.extended}` === ''
  if (bare) return expr
  return refuse('type', expr, 'only a plain selector such as up{job="x"} can stand here, without range, offset or @')
}

function factsOf(selector: Selector<Raw>): SelectorFacts {
  const matchers: SelectorFacts['matchers'][number][] = []
  for (const { label, op, value } of selector.matchers) matchers.push({ label, op, value })
  return { metric: literalName(selector), matchers }
}
