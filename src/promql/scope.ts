import { refuse } from './error.ts'
import { compileAlternatives, compileExclusions, narrow, permits, refuseScope } from './grants.ts'
import type { Alternative, Clause, Excluded, Exclusion, Grant } from './grants.ts'
import type { Limits } from './limits.ts'
import { isLiteral, isPattern, matches } from './pattern.ts'
import type { Pattern } from './pattern.ts'
import { listedValues } from './regex.ts'
import type { Matcher, Scoped, Selector } from './tree.ts'

export type { Alternative, Exclusion } from './grants.ts'

/** Metrics whose samples say by other labels whose they are: `metrics` is about the metric's name, such as `route_*`. */
export interface Family {
  readonly metrics: Pattern
  readonly alternatives: readonly [Alternative, ...Alternative[]]
}

/**
 * The series that somebody may see: a series is in scope when one of the alternatives holds. `everything` includes series
 * without any of the labels, which no pattern does. A scope is a value: what was made of it is kept for as long as the
 * object lives, so it must not be changed once it was used.
 *
 * The first family that matches the name of a selector's metric decides that selector's alternatives. Without a family,
 * or without a literal name (`{__name__=~"…"}`, no name, two names), the scope's own alternatives do: they are a right
 * by themselves, whichever metrics they meet, and a series that lacks their labels is not shown. So whoever hides the
 * name sees no more for it, if the families keep to one rule: they add labels, and leave out only such labels of the
 * default as their metrics do not have.
 *
 * `never` goes above all of that: a series with such a label value is in no scope, whatever alternative holds.
 */
export type Scope =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'everything' }
  | {
      readonly kind: 'labels'
      readonly alternatives: readonly [Alternative, ...Alternative[]]
      readonly families?: readonly Family[]
      readonly never?: readonly Exclusion[]
    }

/** What one selector gets: matchers for each alternative that is left, at least one. */
export interface Bound {
  readonly scopes: readonly [Scoped, ...Scoped[]]
  /** The label of the first of them, '' where every series is in scope. */
  readonly label: string
  readonly notes: readonly string[]
}

/** Alternatives made canonical, with what a selector gets that says nothing about their labels. */
interface Rights {
  readonly grants: readonly Grant[]
  readonly never: readonly Excluded[]
  /** In a query and in `match[]`; null where there are no grants. */
  readonly united: Bound | null
  readonly listed: Bound | null
}

/** A scope made canonical. */
export interface Compiled {
  readonly everything: boolean
  readonly rights: Rights
  readonly families: readonly { readonly metrics: Pattern; readonly rights: Rights }[]
}

const compiled = new WeakMap<Scope, Compiled & ScopeLimits>()

type ScopeLimits = Pick<Limits, 'alternatives' | 'injected'>

/** Checks a scope and makes it canonical, once for each scope object as long as the limits that bear on it are the same. */
export function compileScope(scope: Scope, limits: Limits): Compiled {
  const { alternatives, injected } = limits
  const known = compiled.get(scope)
  if (known?.alternatives === alternatives && known.injected === injected) return known
  const made = { ...compile(scope, limits), alternatives, injected }
  compiled.set(scope, made)
  return made
}

const none: Rights = { grants: [], never: [], united: null, listed: null }

function compile(scope: Scope, limits: Limits): Compiled {
  if (scope.kind !== 'labels') return { everything: scope.kind === 'everything', rights: none, families: [] }
  const never = compileExclusions(scope.never ?? [], limits)
  const makeRights = (alternatives: readonly Alternative[]): Rights => {
    const grants = compileAlternatives(alternatives, never, limits)
    return { grants, never, united: unite(grants, never, true, []), listed: unite(grants, never, false, []) }
  }
  const families = (scope.families ?? []).map(({ metrics, alternatives }) => {
    if (!isPattern(metrics)) refuseScope('it has a family whose metrics are not a pattern')
    return { metrics, rights: makeRights(alternatives) }
  })
  return { everything: false, rights: makeRights(scope.alternatives), families }
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one place that may say what a scope puts on a selector
const scoped = (text: string): Scoped => text as Scoped
const unbound: Bound = { scopes: [scoped('')], label: '', notes: [] }

/** @param exclusive whether later parts leave out what earlier ones cover: `or` drops it anyway, this saves the work */
function unite(
  parts: readonly Clause[],
  never: readonly Excluded[],
  exclusive: boolean,
  notes: readonly string[],
): Bound | null {
  const [first, ...rest] = parts
  if (first === undefined) return null
  const later = rest.map((part, index) => {
    const guards = exclusive ? parts.slice(0, index + 1).map(({ except }) => except) : []
    return scoped([dress(part, never), ...guards.filter((guard) => guard !== '')].join(','))
  })
  return { scopes: [scoped(dress(first, never)), ...later], label: first.label, notes }
}

/** A clause with the exclusions behind it; those by its own label are in it already. */
const dress = ({ label, text }: Clause, never: readonly Excluded[]): string =>
  never.length === 0 ? text : [text, ...never.filter((one) => one.label !== label).map((one) => one.text)].join(',')

/**
 * The metric's name where a selector says it literally. Two different names, which no series has, are none: neither may
 * choose the family.
 */
export function literalName({ name, matchers }: Selector<unknown>): string | null {
  if (name !== '') return name
  let literal: string | null = null
  for (const { label, op, value } of matchers) {
    if (label !== '__name__' || op !== '=') continue
    if (value === '' || (literal !== null && literal !== value)) return null
    literal = value
  }
  return literal
}

function rightsFor({ rights, families }: Compiled, selector: Selector<unknown>): Rights {
  if (families.length === 0) return rights
  const name = literalName(selector)
  if (name === null) return rights
  for (const family of families) if (matches(family.metrics, name)) return family.rights
  return rights
}

/**
 * Decides what to put on a selector.
 *
 * Values that the selector itself lists for a grant's label (`namespace="x"`, `=~"x|y"`) and the grant are intersected,
 * so everybody who may see x sends the same text. With several grants, no series of their union is lost:
 * - all listed values permitted by one grant: that grant alone covers every series the selector can match;
 * - some permitted: that grant takes part with those;
 * - none permitted: that grant could only answer with nothing and is left out, the others stay as they are, since a
 *   series with that value may be in scope through another label;
 * - no grant left: the user named what they may not see, which is an error naming it.
 *
 * @param exclusive whether later grants should leave out what earlier ones cover already
 */
export function bind(selector: Selector<unknown>, scope: Compiled, exclusive: boolean): Bound {
  if (scope.everything) return unbound
  const rights = rightsFor(scope, selector)
  const { grants, united, listed } = rights
  const whole = exclusive ? united : listed
  if (whole === null) return refuse('no_rights', selector, 'you have no rights to see any series; ask for a grant')
  return mentions(selector.matchers, grants) ? bindListed(selector, rights, exclusive, whole) : whole
}

function mentions(matchers: readonly Matcher[], grants: readonly Grant[]): boolean {
  for (const { label } of matchers) for (const grant of grants) if (grant.label === label) return true
  return false
}

function bindListed(selector: Selector<unknown>, { grants, never }: Rights, exclusive: boolean, whole: Bound): Bound {
  const parts: Clause[] = []
  const notes: string[] = []
  for (const grant of grants) {
    const listed = listedFor(selector.matchers, grant.label)
    if (listed === undefined) {
      parts.push(grant)
      continue
    }
    const allowed = listed.filter((value) => permits(grant, value))
    if (allowed.length === 0) continue
    const narrowed = narrow(grant.label, allowed)
    if (allowed.length === listed.length) {
      return { scopes: [scoped(dress(narrowed, never))], label: grant.label, notes: [] }
    }
    parts.push(narrowed)
    const kept = new Set(allowed)
    const hidden = listed.filter((value) => value !== '' && !kept.has(value))
    if (hidden.length > 0 && grants.length === 1) {
      notes.push(`left out, because you may not see it: ${grant.label} ${list(hidden)}`)
    }
  }
  const bound = unite(parts, never, exclusive, notes)
  if (bound !== null) return bound
  refuseNamed(selector, grants)
  // Only the empty value was asked for, the series without the label: our matcher answers that with nothing.
  return { ...whole, scopes: [whole.scopes[0]] }
}

/**
 * The values that a selector's own matchers list for a label, each once, or undefined where they do not. Values that no scope could
 * name are not taken over into a matcher of ours; the user's own matcher, which is always kept, handles them.
 */
function listedFor(matchers: readonly Matcher[], label: string): readonly string[] | undefined {
  let listed: readonly string[] | undefined
  for (const { label: own, op, value } of matchers) {
    if (own !== label || (op !== '=' && op !== '=~')) continue
    const values = op === '=' ? [value] : listedValues(value)
    if (values === undefined || !values.every(isNameable)) continue
    listed = listed === undefined ? values : intersection(listed, values)
  }
  return listed !== undefined && listed.length > 0 ? listed : undefined
}

const isNameable = (value: string): boolean => value === '' || isLiteral(value)

function intersection(one: readonly string[], other: readonly string[]): readonly string[] {
  const [only] = one
  if (one.length === 1 && other.length === 1 && only === other[0]) return one
  const both = new Set(one)
  return other.filter((value) => both.has(value))
}

function refuseNamed(selector: Selector<unknown>, grants: readonly Grant[]): void {
  for (const { label } of grants) {
    const named = (listedFor(selector.matchers, label) ?? []).filter((value) => value !== '')
    const span = selector.matchers.find((one) => one.label === label && (one.op === '=' || one.op === '=~')) ?? selector
    if (named.length > 0) {
      refuse(
        'not_allowed',
        span,
        `you may not see ${label} ${list(named)}; name one you may see, or leave ${label} out`,
      )
    }
  }
}

function list(values: readonly string[]): string {
  const shown = values.slice(0, 5).map((value) => `"${value}"`)
  return shown.join(', ') + (values.length > 5 ? ` and ${values.length - 5} more` : '')
}
