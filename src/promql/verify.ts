import { Refusal, refuse } from './error.ts'
import type { Limits } from './limits.ts'
import { parse } from './parser.ts'
import { isLiteral, isPattern, matches, patternToRegex, tidyPattern } from './pattern.ts'
import type { Alternative, Scope } from './scope.ts'
import type { Matcher, Raw, Selector } from './tree.ts'

// A union puts parentheses and one call around a selector, and nests with the calls whose arguments it repeats.
const extraDepth = 64

/**
 * The last look before a text is sent: reads it as Prometheus would and sees to it that every selector begins with
 * matchers that the scope itself allows. It works from the scope as it was given, not from what scoping made of it, so
 * that a mistake there shows here. Throws a refusal of kind `internal`.
 */
export function verify(sent: string, scope: Scope, limits: Limits): void {
  const again: Limits = { ...limits, length: limits.sent, depth: limits.depth + extraDepth, selectors: Infinity }
  const selectors = reread(sent, again)
  if (scope.kind === 'everything') return
  const alternatives = scope.kind === 'labels' ? scope.alternatives : []
  for (const { matchers } of selectors) {
    if (!binds(alternatives, matchers)) {
      refuse('internal', { start: 0, end: 0 }, 'the rewritten query failed its self-check; nothing was sent')
    }
  }
}

function reread(sent: string, limits: Limits): readonly Selector<Raw>[] {
  try {
    return parse(sent, limits).selectors
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const message = `the rewritten query could not be read again; nothing was sent (${error.message})`
    return refuse('internal', { start: 0, end: 0 }, message)
  }
}

/** Do the first matchers hold a selector within the alternatives? Those for one label may have become one list. */
function binds(alternatives: readonly Alternative[], [first, second]: readonly Matcher[]): boolean {
  if (first?.op !== '=~') return false
  const own = alternatives.filter(({ label }) => label === first.label)
  const denied = second?.label === first.label && second.op === '!~' ? second.value.split('|').map(readPattern) : []
  return first.value.split('|').every((part) => {
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
