import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { maxNamespaceLength, maxValueLength } from './limits.ts'

/**
 * What a rule is about: `*` is every series, also those without the label; `label=pattern` the series whose label
 * matches; `label=*` those that have the label at all.
 */
export type Resource = { readonly every: 'series' } | { readonly label: string; readonly pattern: string }

/** Kubernetes namespace characters (RFC 1123 label), with `*` for any run of them. */
const namespacePattern = /^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$/

/** Does `pattern` (`*` stands for any run of characters) match the whole of `text`? Linear in the text for one `*`. */
export function matches(pattern: string, text: string): boolean {
  // Most patterns are plain names, and a policy compares many.
  if (!pattern.includes('*')) return pattern === text
  const [head = '', ...rest] = pattern.split('*')
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

/** Characters of Kubernetes names, images and addresses, none of which means anything to a regular expression but the dot. */
const valuePattern = /^[A-Za-z0-9._:/*-]+$/

/** Reads the resource column. Only what cannot be misread is accepted; anything else is an error with the remedy. */
export function parseResource(text: string): Result<Resource, string> {
  if (text === '*') return ok({ every: 'series' })
  const [label = '', pattern, ...more] = text.split('=')
  if (!/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(label) || pattern === undefined || more.length > 0) {
    return fail(`the resource "${text}" is neither * nor <label>=<value or pattern>, such as namespace=payments`)
  }
  const [form, most, characters] =
    label === 'namespace'
      ? ([namespacePattern, maxNamespaceLength, 'a-z, 0-9, - and *'] as const)
      : ([valuePattern, maxValueLength, 'letters, digits and . _ : / - *'] as const)
  if (!form.test(pattern) || pattern.length > most) {
    const what = label === 'namespace' ? 'a namespace name' : `a value of ${label}`
    return fail(`"${pattern}" is not ${what} or a pattern: ${characters} only, at most ${most} characters`)
  }
  if (pattern.includes('**')) return fail(`"${pattern}" has ** where one * says the same`)
  return ok({ label, pattern })
}

/** Does a row's view bear on the side asked about? */
export const covers = (view: string, side: string): boolean => view === 'both' || side === 'both' || view === side

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
