/**
 * Text of a label value in which `*` stands for any run of characters; `*` alone means any non-empty value. Allowed are
 * letters, digits and `. _ : / -`: enough for Kubernetes names, images and authorities, and nothing that a string or a
 * regular expression gives a meaning, but for the dot, which is escaped.
 */
export type Pattern = string

const alphabet = /^[A-Za-z0-9._:/*-]+$/

/** Is it a pattern at all? The empty text is not: it would ask for the series that lack the label. */
export const isPattern = (text: string): boolean => alphabet.test(text)

/** Is it a value that a scope may name, and not a pattern? */
export const isLiteral = (text: string): boolean => alphabet.test(text) && !text.includes('*')

/** `**` says nothing that `*` does not. */
export const tidyPattern = (pattern: Pattern): Pattern =>
  pattern.includes('**') ? pattern.replaceAll(/\*+/g, '*') : pattern

/**
 * Does the pattern match the whole value? With another pattern as the value it tells whether that one is covered, since
 * only a `*` matches a `*`. The empty value is matched by none.
 */
export function matches(pattern: Pattern, value: string): boolean {
  if (value === '') return false
  let from = 0
  let at = 0
  let star = -1
  let resume = 0
  // The usual two pointers with one point to return to: quadratic at worst, and patterns are short.
  while (at < value.length) {
    const wanted = pattern[from]
    if (wanted === '*') {
      star = from++
      resume = at
    } else if (wanted !== undefined && wanted === value[at]) {
      from++
      at++
    } else if (star >= 0) {
      from = star + 1
      at = ++resume
    } else return false
  }
  while (pattern[from] === '*') from++
  return from === pattern.length
}

/**
 * The pattern as RE2: of its alphabet only the dot and the star mean something there. Prometheus 2 compiles without the
 * flag that lets `.` match a line break, so there a value with one matches no `*`, neither in what is allowed nor in what
 * is denied: it stays out of reach.
 */
export function patternToRegex(pattern: Pattern): string {
  if (pattern === '*') return '.+'
  const dotless = pattern.includes('.') ? pattern.replaceAll('.', String.raw`\.`) : pattern
  return dotless.includes('*') ? dotless.replaceAll('*', '.*') : dotless
}
