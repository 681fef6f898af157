import { refuse } from './error.ts'
import type { Limits } from './limits.ts'
import { isLiteral, isPattern, matches, patternToRegex, tidyPattern } from './pattern.ts'
import type { Pattern } from './pattern.ts'
import { listedValues } from './regex.ts'
import type { Matcher, Scoped, Selector } from './tree.ts'

/** Series whose label matches a pattern of `allow` and none of `deny`. */
export interface Alternative {
  readonly label: string
  readonly allow: readonly [Pattern, ...Pattern[]] | readonly Pattern[]
  readonly deny: readonly Pattern[]
}

/**
 * The series that somebody may see: a series is in scope when one of the alternatives holds. `everything` includes series
 * without any of the labels, which no pattern does.
 */
export type Scope =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'everything' }
  | { readonly kind: 'labels'; readonly alternatives: readonly [Alternative, ...Alternative[]] }

/** An alternative made canonical: equal rights give equal grants, whatever the order and overlap of their patterns. */
export interface Grant {
  readonly label: string
  readonly names: ReadonlySet<string>
  readonly globs: readonly Pattern[]
  /** Only beside globs: from plain names the denied ones have been taken away already. */
  readonly deny: readonly Pattern[]
  /** The matchers that say all this: `=~`, then `!~` where something is denied. */
  readonly matchers: readonly Matcher[]
}

const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/
const nowhere = { start: 0, end: 0 }

/** Thrown as a refusal of kind `internal`: the scope is at fault, not the text, and nothing may be sent. */
const refuseScope = (message: string): never => refuse('internal', nowhere, `the scope cannot be used: ${message}`)

/**
 * Checks a scope and makes it canonical.
 *
 * @returns the grants, none where every allowed name is denied again; or `'everything'`
 */
export function compileScope(scope: Scope, limits: Limits): readonly Grant[] | 'everything' {
  if (scope.kind === 'everything') return 'everything'
  if (scope.kind === 'nothing') return []
  const { alternatives } = scope
  const count: number = alternatives.length
  if (count === 0) refuseScope('it has no alternative')
  if (count > limits.alternatives) refuseScope(`it has more than ${limits.alternatives} alternatives`)
  const grants: Grant[] = []
  for (const alternative of alternatives) {
    const grant = compileAlternative(alternative, limits)
    if (grant !== null) addGrant(grants, grant, limits)
  }
  return grants
}

function compileAlternative({ label, allow, deny }: Alternative, limits: Limits): Grant | null {
  // A matcher on the name would collide with the metric's own, and `or` does not tell metrics apart by their name.
  if (!labelName.test(label) || label === '__name__') refuseScope('a label name in it is not valid')
  if (allow.length === 0) refuseScope(`it allows no value of ${label}`)
  for (const pattern of [...allow, ...deny]) {
    if (!isPattern(pattern))
      refuseScope(`a pattern for ${label} is empty or has a character other than A-Z a-z 0-9 . _ : / - *`)
  }
  const denied = canonical(deny)
  const kept = canonical(allow).filter((pattern) => !denied.some((one) => matches(one, pattern)))
  if (kept.length === 0) return null
  return makeGrant(label, kept, denied, limits)
}

function makeGrant(label: string, allow: readonly Pattern[], deny: readonly Pattern[], limits: Limits): Grant {
  const globs = allow.filter((pattern) => pattern.includes('*'))
  const names = new Set(globs.length === 0 ? allow : allow.filter((pattern) => !pattern.includes('*')))
  const effective = globs.length > 0 ? deny : []
  const matchers = [matcher(label, '=~', allow)]
  if (effective.length > 0) matchers.push(matcher(label, '!~', effective))
  if (matchers.some(({ value }) => value.length > limits.injected)) {
    refuse('limit', nowhere, `the scope lists too many values of ${label}; grant a pattern such as team-* instead`)
  }
  return { label, names, globs, deny: effective, matchers }
}

/** Two plain lists for one label are one list; with a deny they are not, since each deny is about its own list. */
function addGrant(grants: Grant[], grant: Grant, limits: Limits): void {
  const index = grants.findIndex((one) => one.label === grant.label && one.deny.length + grant.deny.length === 0)
  const same = grants[index]
  if (same === undefined) grants.push(grant)
  else grants[index] = makeGrant(grant.label, canonical([...patternsOf(same), ...patternsOf(grant)]), [], limits)
}

const patternsOf = ({ names, globs }: Grant): readonly Pattern[] => [...names, ...globs]

/** Sorted, each once, without those that another one covers. */
function canonical(patterns: readonly Pattern[]): readonly Pattern[] {
  const unique = patterns.length < 2 ? patterns.map(tidyPattern) : [...new Set(patterns.map(tidyPattern))].sort()
  const globs = unique.filter((pattern) => pattern.includes('*'))
  if (globs.length === 0) return unique
  return unique.filter((pattern) => !globs.some((glob) => glob !== pattern && matches(glob, pattern)))
}

const matcher = (label: string, op: '=~' | '!~', patterns: readonly Pattern[]): Matcher => {
  return { label, op, value: patterns.map(patternToRegex).join('|'), ...nowhere }
}

/** May a series with this value of the grant's label be seen? */
const permits = ({ names, globs, deny }: Grant, value: string): boolean =>
  (names.has(value) || globs.some((glob) => matches(glob, value))) && !deny.some((pattern) => matches(pattern, value))

/** What one selector gets: matchers for each alternative that is left, at least one. */
export interface Bound {
  readonly scopes: readonly [Scoped, ...Scoped[]]
  readonly notes: readonly string[]
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the one place that may say what a scope puts on a selector
const scoped = (matchers: readonly Matcher[]): Scoped => matchers as Scoped
const unbound: Bound = { scopes: [scoped([])], notes: [] }

/**
 * Decides what to put on a selector.
 *
 * When the selector lists values of a grant's label (`namespace="x"`, `=~"x|y"`), the list and the grant are intersected,
 * so everybody who may see x sends the same text. With several grants, no series of their union is lost:
 * - all listed values permitted by one grant: that grant alone covers every series the selector can match;
 * - some permitted: that grant takes part with those;
 * - none permitted: that grant could only answer with nothing and is left out, the others stay as they are, since a
 *   series with that value may be in scope through another label;
 * - no grant left: the user named what they may not see, which is an error naming it.
 *
 * @param exclusive whether later grants should leave out what earlier ones cover already
 */
export function bind(selector: Selector<unknown>, grants: readonly Grant[] | 'everything', exclusive: boolean): Bound {
  if (grants === 'everything') return unbound
  const [only] = grants
  if (only === undefined) return refuse('no_rights', selector, 'you have no rights to see any series; ask for a grant')
  const parts: Grant[] = []
  const notes: string[] = []
  for (const grant of grants) {
    const listed = listedFor(selector.matchers, grant.label)
    if (listed === undefined) {
      parts.push(grant)
      continue
    }
    const allowed = listed.filter((value) => permits(grant, value))
    if (allowed.length === 0) continue
    const narrowed = narrow(grant, allowed)
    if (allowed.length === listed.length) return { scopes: [scoped(narrowed.matchers)], notes: [] }
    parts.push(narrowed)
    const hidden = listed.filter((value) => value !== '' && !allowed.includes(value))
    if (hidden.length > 0 && grants.length === 1) {
      notes.push(`left out, because you may not see it: ${grant.label} ${list(hidden)}`)
    }
  }
  const [first, ...rest] = parts
  if (first === undefined) {
    refuseNamed(selector, grants)
    // Only the empty value was asked for, the series without the label: our matcher answers that with nothing.
    return { scopes: [scoped(only.matchers)], notes: [] }
  }
  const later = rest.map((grant, index) => [...grant.matchers, ...(exclusive ? notIn(parts.slice(0, index + 1)) : [])])
  return { scopes: [scoped(first.matchers), ...later.map(scoped)], notes }
}

/**
 * "Not in the grants before": `or` drops what both sides have, so this only saves Prometheus work. It cannot be said
 * in one matcher where something is denied, and then it must not be said at all, or the denied part would be lost.
 */
const notIn = (grants: readonly Grant[]): readonly Matcher[] =>
  grants.flatMap(({ deny, matchers: [allow] }) =>
    deny.length > 0 || allow === undefined ? [] : [{ ...allow, op: '!~' }],
  )

function narrow({ label }: Grant, names: readonly string[]): Grant {
  const sorted = [...new Set(names)].sort()
  return { label, names: new Set(sorted), globs: [], deny: [], matchers: [matcher(label, '=~', sorted)] }
}

/**
 * The values that a selector's own matchers list for a label, or undefined where they do not. Values that no scope could
 * name are not taken over into a matcher of ours; the user's own matcher, which is always kept, handles them.
 */
function listedFor(matchers: readonly Matcher[], label: string): readonly string[] | undefined {
  let listed: readonly string[] | undefined
  for (const { label: own, op, value } of matchers) {
    if (own !== label || (op !== '=' && op !== '=~')) continue
    const values = op === '=' ? [value] : listedValues(value)
    if (values === undefined || !values.every((one) => one === '' || isLiteral(one))) continue
    listed = listed === undefined ? values : intersection(listed, values)
  }
  return listed !== undefined && listed.length > 0 ? listed : undefined
}

function intersection(one: readonly string[], other: readonly string[]): readonly string[] {
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
  const unique = [...new Set(values)]
  const shown = unique.slice(0, 5).map((value) => `"${value}"`)
  return shown.join(', ') + (unique.length > 5 ? ` and ${unique.length - 5} more` : '')
}
