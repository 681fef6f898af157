import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { maxNamespaceLength } from './limits.ts'

/**
 * What a rule is about: `*` is every series, also those without the label; `label=pattern` the series whose label
 * matches; `label=*` those that have the label at all.
 */
export type Resource = { readonly every: 'series' } | { readonly label: string; readonly pattern: string }

/** Kubernetes namespace characters (RFC 1123 label), with `*` for any run of them. */
const namespacePattern = /^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$/

/** Does `pattern` (`*` stands for any run of characters) match the whole of `text`? Linear in the text for one `*`. */
export function matches(pattern: string, text: string): boolean {
  const [head = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return pattern === text
  const tail = rest.pop() ?? ''
  if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false
  let from = head.length
  const end = text.length - tail.length
  for (const part of rest) {
    const at = text.indexOf(part, from)
    if (at < 0 || at + part.length > end) return false
    from = at + part.length
  }
  return true
}

/** Does one of the patterns match, written with `|` between them? */
export const matchesAny = (patterns: string, text: string): boolean =>
  patterns.split('|').some((pattern) => matches(pattern, text))

/** Reads the resource column. Only what cannot be misread is accepted; anything else is an error with the remedy. */
export function parseResource(text: string): Result<Resource, string> {
  if (text === '*') return ok({ every: 'series' })
  const [label, pattern, ...more] = text.split('=')
  if (label !== 'namespace' || pattern === undefined || more.length > 0) {
    return fail(`the resource "${text}" is neither * nor namespace=<name or pattern>`)
  }
  if (!namespacePattern.test(pattern) || pattern.length > maxNamespaceLength) {
    return fail(
      `"${pattern}" is not a namespace name or pattern: a-z, 0-9, - and * only, at most ${maxNamespaceLength} characters`,
    )
  }
  if (pattern.includes('**')) return fail(`"${pattern}" has ** where one * says the same`)
  return ok({ label, pattern })
}

/**
 * Does a rule's resource bear on the one asked for? An allow must cover it; a deny need only overlap with it, so that
 * "every series" is not granted to somebody who is denied some of them.
 */
export function touches(effect: string, rule: string, asked: string): boolean {
  if (rule === '*') return true
  if (asked === '*') return effect === 'deny'
  const [ruleLabel = '', rulePattern = ''] = rule.split('=')
  const [label = '', value = ''] = asked.split('=')
  return ruleLabel === label && matches(rulePattern, value)
}
