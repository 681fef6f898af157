import { Refusal } from './error.ts'
import { excludes, permits } from './grants.ts'
import type { Excluded } from './grants.ts'
import { defaultLimits } from './limits.ts'
import { parseQuery } from './parser.ts'
import { matches } from './pattern.ts'
import { listedValues } from './regex.ts'
import { compileScope, literalName } from './scope.ts'
import type { Compiled, Scope } from './scope.ts'
import type { MatchOp, Raw, Selector } from './tree.ts'

/**
 * Does an expression that somebody else wrote read nothing but series in scope? True only if each of its selectors says so
 * itself, by `=` or a `=~` that only lists names, on a label of the scope. A selector that the scope would narrow
 * (`namespace!=""`, a list that is permitted in part) is not within it, nor is any other regular expression.
 *
 * An expression that reads no series belongs to nobody and is not within; see {@link readsNothing}. Neither is one that
 * cannot be read here. Throws a TypeError for a scope that cannot be used.
 */
export function withinScope(text: string, scope: Scope): boolean {
  if (scope.kind === 'everything') return true
  const compiled = compile(scope)
  const parsed = parseQuery(text)
  if (!parsed.ok) return false
  const { selectors } = parsed.value
  return selectors.length > 0 && selectors.every((selector) => isConfined(selector, compiled))
}

/** Is it an expression without any selector, such as `vector(1)`? */
export function readsNothing(text: string): boolean {
  const parsed = parseQuery(text)
  return parsed.ok && parsed.value.selectors.length === 0
}

/**
 * Would a series with these labels be in scope? Decided by the scope's own alternatives, since no metric is named. Throws a
 * TypeError for a scope that cannot be used.
 */
export function labelsWithin(labels: Readonly<Record<string, string>>, scope: Scope): boolean {
  if (scope.kind === 'everything') return true
  const { grants, never } = compile(scope).rights
  if (never.some(({ label }) => Object.hasOwn(labels, label) && excludes(never, label, labels[label] ?? '')))
    return false
  return grants.some((grant) => {
    // Not by a plain look-up: a label may be called "constructor".
    const value = Object.hasOwn(labels, grant.label) ? labels[grant.label] : undefined
    return value !== undefined && permits(grant, value)
  })
}

/**
 * One matcher is enough, as all of a selector's matchers must hold; each value that it lists must be permitted. Where the
 * scope excludes by another label, the selector must say by that label too that it reads nothing of it.
 */
function isConfined(selector: Selector<Raw>, { rights, families }: Compiled): boolean {
  const name = literalName(selector)
  const family = name === null ? undefined : families.find(({ metrics }) => matches(metrics, name))
  const { grants, never } = family?.rights ?? rights
  return selector.matchers.some(({ label, op, value }) => {
    const own = grants.filter((grant) => grant.label === label)
    const values = valuesOf(op, value)
    const permitted = values?.every((one) => own.some((grant) => permits(grant, one))) ?? false
    return permitted && never.every((one) => one.label === label || avoids(selector, one))
  })
}

/** Does the selector list values of an exclusion's label, and none that is excluded? */
const avoids = ({ matchers }: Selector<Raw>, never: Excluded): boolean =>
  matchers.some(({ label, op, value }) => {
    const values = label === never.label ? valuesOf(op, value) : undefined
    return values?.every((one) => !excludes([never], label, one)) ?? false
  })

/** The values that a matcher lists; undefined where it does not list any. */
function valuesOf(op: MatchOp, value: string): readonly string[] | undefined {
  if (op === '=') return [value]
  return op === '=~' ? listedValues(value) : undefined
}

function compile(scope: Scope): Compiled {
  try {
    return compileScope(scope, defaultLimits)
  } catch (error) {
    if (error instanceof Refusal) throw new TypeError(error.message, { cause: error })
    throw error
  }
}
