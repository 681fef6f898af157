import { Refusal, refuse } from './error.ts'
import type { Limits } from './limits.ts'
import { parse } from './parser.ts'
import { isLiteral, isPattern, matches, patternToRegex, tidyPattern } from './pattern.ts'
import type { Alternative, Exclusion, Scope } from './scope.ts'
import type { Matcher, Raw, Selector } from './tree.ts'

// A union puts parentheses and one call around a selector, and nests with the calls whose arguments it repeats.
const extraDepth = 64

/**
 * The last look before a text is sent: reads it as Prometheus would and sees to it that every selector begins with
 * matchers that the scope itself allows for its metric. It works from the scope as it was given, not from what scoping
 * made of it, so that a mistake there shows here. Throws a refusal of kind `internal`.
 */
export function verify(sent: string, scope: Scope, limits: Limits): void {
  const selectors = reread(sent, limits)
  if (scope.kind === 'everything') return
  const checker = checkerOf(scope)
  for (const selector of selectors) {
    if (!checker.allows(selector)) {
      refuse('internal', { start: 0, end: 0 }, 'the rewritten query failed its self-check; nothing was sent')
    }
  }
}

function reread(sent: string, limits: Limits): readonly Selector<Raw>[] {
  try {
    return parse(sent, { ...limits, length: limits.sent, depth: limits.depth + extraDepth, selectors: Infinity })
      .selectors
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const message = `the rewritten query could not be read again; nothing was sent (${error.message})`
    return refuse('internal', { start: 0, end: 0 }, message)
  }
}

const checkers = new WeakMap<Scope, Checker>()

function checkerOf(scope: Scope): Checker {
  const known = checkers.get(scope)
  if (known !== undefined) return known
  const made = new Checker(scope)
  checkers.set(scope, made)
  return made
}

// What was found to be allowed is remembered, since most selectors say the same. Bounded, as users have a say in it.
const mostRemembered = 8
const longestRemembered = 4096

/** First matchers that were found to be allowed. */
interface Allowed {
  readonly label: string
  readonly value: string
  readonly deny: string
  readonly alternatives: readonly Alternative[]
}

/** Judges selectors by a scope. */
class Checker {
  private readonly ofScope: readonly Alternative[]
  private readonly families: readonly { readonly metrics: string; readonly alternatives: readonly Alternative[] }[]
  private readonly never: readonly Exclusion[]
  private readonly remembered: Allowed[] = []
  private oldest = 0

  constructor(scope: Scope) {
    this.ofScope = scope.kind === 'labels' ? scope.alternatives : []
    this.families = scope.kind === 'labels' ? (scope.families ?? []) : []
    this.never = scope.kind === 'labels' ? (scope.never ?? []) : []
  }

  allows(selector: Selector<Raw>): boolean {
    const [first, second] = selector.matchers
    if (first?.op !== '=~' || !this.never.every((one) => keepsOut(selector, one, first))) return false
    const deny = second?.label === first.label && second.op === '!~' ? second.value : ''
    const alternatives = this.alternativesFor(selector)
    const { label, value } = first
    for (const known of this.remembered) {
      const same = known.value === value && known.label === label && known.deny === deny
      if (same && known.alternatives === alternatives) return true
    }
    if (!binds(alternatives, first, deny)) return false
    if (value.length + deny.length <= longestRemembered) {
      this.remembered[this.oldest] = { label, value, deny, alternatives }
      this.oldest = (this.oldest + 1) % mostRemembered
    }
    return true
  }

  /** Those of the family that the metric's name belongs to, if the text says one name and no other. */
  private alternativesFor({ name, matchers }: Selector<Raw>): readonly Alternative[] {
    if (this.families.length === 0) return this.ofScope
    const names = matchers.filter(({ label, op }) => label === '__name__' && op === '=').map(({ value }) => value)
    if (name !== '') names.push(name)
    const [metric = ''] = names
    if (!names.every((one) => one === metric)) return this.ofScope
    return this.families.find(({ metrics }) => matches(metrics, metric))?.alternatives ?? this.ofScope
  }
}

/** Does a selector say that it reads nothing of an exclusion, by a list of names or by a matcher of ours against it? */
function keepsOut({ matchers }: Selector<Raw>, { label, patterns }: Exclusion, first: Matcher): boolean {
  const parts = first.label === label ? first.value.split('|').map(readPattern) : []
  if (parts.length > 0 && parts.every((part) => isLiteral(part) && !covers(patterns, part))) return true
  return matchers.some((matcher) => {
    if (matcher.label !== label || matcher.op !== '!~') return false
    const denied = matcher.value.split('|').map(readPattern)
    return patterns.every((pattern) => covers(denied, pattern))
  })
}

/** Do the first matchers hold a selector within the alternatives? Those for one label may have become one list. */
function binds(alternatives: readonly Alternative[], { label, value }: Matcher, deny: string): boolean {
  const own = alternatives.filter((one) => one.label === label)
  const denied = deny === '' ? [] : deny.split('|').map(readPattern)
  return [...new Set(value.split('|'))].every((part) => {
    const pattern = readPattern(part)
    if (pattern === '') return false
    return own.some(({ allow, deny }) => {
      if (!covers(allow, pattern)) return false
      // A name is within the deny or not; of a pattern the denied part must be taken away by the second matcher.
      return isLiteral(pattern) ? !covers(deny, pattern) : deny.every((one) => covers(denied, one))
    })
  })
}

const covers = (patterns: readonly string[], pattern: string): boolean =>
  patterns.some((one) => matches(one, tidyPattern(pattern)))

/** The pattern that a part of our regular expression was made of; '' where none could have been. */
function readPattern(regex: string): string {
  const pattern = regex
    .replaceAll('.+', '*')
    .replaceAll('.*', '*')
    .replaceAll(String.raw`\.`, '.')
  return isPattern(pattern) && patternToRegex(pattern) === regex ? pattern : ''
}
