import { Refusal, refuse } from './error.ts'
import type { Limits } from './limits.ts'
import { parse } from './parser.ts'
import { matches, patternToRegex, tidyPattern } from './pattern.ts'
import { listedValues } from './regex.ts'
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
    if (!alternatives.some((alternative) => binds(alternative, matchers))) {
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

/** Do the first matchers hold a selector within the alternative? */
function binds({ label, allow, deny }: Alternative, [first, second]: readonly Matcher[]): boolean {
  if (first?.label !== label || first.op !== '=~') return false
  const named = listedValues(first.value)
  if (named !== undefined) return named.every((value) => covered(allow, value) && !covered(deny, value))
  const allowed = new Set(allow.map((pattern) => patternToRegex(tidyPattern(pattern))))
  if (!first.value.split('|').every((part) => allowed.has(part))) return false
  if (deny.length === 0) return true
  if (second?.label !== label || second.op !== '!~') return false
  // Equal or wider patterns may stand for the denied ones.
  const denied = second.value.split('|').map(regexToPattern)
  return deny.every((pattern) => covered(denied, tidyPattern(pattern)))
}

const covered = (patterns: readonly string[], value: string): boolean =>
  patterns.some((pattern) => matches(pattern, value))

const regexToPattern = (regex: string): string =>
  regex
    .replaceAll('.+', '*')
    .replaceAll('.*', '*')
    .replaceAll(String.raw`\.`, '.')
