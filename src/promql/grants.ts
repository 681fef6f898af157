import { refuse } from './error.ts'
import type { Limits } from './limits.ts'
import { isPattern, matches, patternToRegex, tidyPattern } from './pattern.ts'
import type { Pattern } from './pattern.ts'
import { isBareLabel } from './print.ts'
import { quote } from './quoting.ts'

/** Series whose label matches a pattern of `allow` and none of `deny`. */
export interface Alternative {
  readonly label: string
  readonly allow: readonly [Pattern, ...Pattern[]] | readonly Pattern[]
  readonly deny: readonly Pattern[]
}

/** Series that nobody may see by this scope, whichever alternative they are in: those whose label matches a pattern. */
export interface Exclusion {
  readonly label: string
  readonly patterns: readonly Pattern[]
}

/** An exclusion made canonical, with the matcher that says it. */
export interface Excluded extends Exclusion {
  readonly text: string
}

/** What is put on a selector for one label, as text to print. */
export interface Clause {
  readonly label: string
  /** `=~`, then `!~` where something is denied. */
  readonly text: string
  /**
   * The matcher for "none of these". It cannot be said in one where something is denied, and then it must not be said at
   * all, or the denied part would be lost: ''.
   */
  readonly except: string
}

/** An alternative made canonical: equal rights give equal grants, whatever the order and overlap of their patterns. */
export interface Grant extends Clause {
  readonly names: ReadonlySet<string>
  readonly globs: readonly Pattern[]
  /** Only beside globs: from plain names the denied ones have been taken away already. */
  readonly deny: readonly Pattern[]
}

/** Thrown as a refusal of kind `internal`: the scope is at fault, not the text, and nothing may be sent. */
export const refuseScope = (message: string): never =>
  refuse('internal', { start: 0, end: 0 }, `the scope cannot be used: ${message}`)

/**
 * Checks alternatives and makes them canonical.
 *
 * @returns the grants, none where every allowed name is denied again
 */
export function compileAlternatives(
  alternatives: readonly Alternative[],
  never: readonly Exclusion[],
  limits: Limits,
): readonly Grant[] {
  if (alternatives.length === 0) refuseScope('it has no alternative')
  if (alternatives.length > limits.alternatives) refuseScope(`it has more than ${limits.alternatives} alternatives`)
  const grants: Grant[] = []
  for (const alternative of alternatives) {
    const more = never.flatMap(({ label, patterns }) => (label === alternative.label ? patterns : []))
    const grant = compileAlternative({ ...alternative, deny: [...alternative.deny, ...more] }, limits)
    if (grant !== null) addGrant(grants, grant, limits)
  }
  return grants
}

/** Checks exclusions, each label once, and makes them canonical. */
export function compileExclusions(never: readonly Exclusion[], limits: Limits): readonly Excluded[] {
  if (never.length > limits.alternatives) refuseScope(`it has more than ${limits.alternatives} exclusions`)
  if (new Set(never.map(({ label }) => label)).size < never.length) refuseScope('it excludes by a label twice')
  return never.map(({ label, patterns }) => {
    if (!isBareLabel(label) || label === '__name__') refuseScope('a label name in it is not valid')
    if (patterns.length === 0 || !patterns.every(isPattern)) refuseScope(`an exclusion by ${label} is not one`)
    const tidy = canonical(patterns)
    const regex = regexOf(tidy)
    if (regex.length > limits.injected) {
      refuse('limit', { start: 0, end: 0 }, `the scope excludes too many values of ${label}; exclude a pattern instead`)
    }
    return { label, patterns: tidy, text: `${label}!~${quote(regex)}` }
  })
}

/** Is a value of this label excluded? */
export const excludes = (never: readonly Exclusion[], label: string, value: string): boolean =>
  never.some((one) => one.label === label && one.patterns.some((pattern) => matches(pattern, value)))

function compileAlternative({ label, allow, deny }: Alternative, limits: Limits): Grant | null {
  // A matcher on the name would collide with the metric's own, and `or` does not tell metrics apart by their name.
  if (!isBareLabel(label) || label === '__name__') refuseScope('a label name in it is not valid')
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
  const allowed = regexOf(allow)
  const denied = regexOf(effective)
  if (Math.max(allowed.length, denied.length) > limits.injected) {
    const message = `the scope lists too many values of ${label}; grant a pattern such as team-* instead`
    refuse('limit', { start: 0, end: 0 }, message)
  }
  const clause = clauseOf(label, allowed)
  const guarded = denied === '' ? clause : { label, text: `${clause.text},${label}!~${quote(denied)}`, except: '' }
  return { ...guarded, names, globs, deny: effective }
}

/** The part of a grant with these names, each once: plain literals that it permits, so nothing of them is denied. */
export const narrow = (label: string, allowed: readonly string[]): Clause =>
  clauseOf(label, regexOf(allowed.toSorted()))

function clauseOf(label: string, regex: string): Clause {
  const quoted = quote(regex)
  return { label, text: `${label}=~${quoted}`, except: `${label}!~${quoted}` }
}

const regexOf = (patterns: readonly Pattern[]): string =>
  patterns.length === 1 ? patternToRegex(patterns[0] ?? '') : patterns.map(patternToRegex).join('|')

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

/** May a series with this value of the grant's label be seen? */
export const permits = ({ names, globs, deny }: Grant, value: string): boolean =>
  (names.has(value) || globs.some((glob) => matches(glob, value))) && !deny.some((pattern) => matches(pattern, value))
