import { aggregations } from './functions.ts'

/** Words with a meaning of their own; they are written in any case. */
export const keywords: readonly string[] =
  'and or unless atan2 by without on ignoring group_left group_right bool offset anchored smoothed start end fill'.split(
    ' ',
  )

const contextual = 'fill_left fill_right step range max_of min_of inf nan'.split(' ')

const known: ReadonlyMap<string, string> = new Map(
  [...keywords, ...contextual, ...aggregations.keys()].map((word) => [word, word]),
)

// Most words of a query are names of metrics and labels: length and first letter tell so for nearly all of them.
const lengths = 16
const possible = new Uint8Array(128 * lengths)
for (const word of known.keys()) {
  for (const first of [word.charCodeAt(0), word.toUpperCase().charCodeAt(0)]) {
    possible[first * lengths + word.length] = 1
  }
}

/** The word in lower case if the language gives it a meaning anywhere, else ''. */
export function knownWord(name: string, hasCapitals: boolean): string {
  const { length } = name
  if (length >= lengths || possible[name.charCodeAt(0) * lengths + length] !== 1) return ''
  return known.get(hasCapitals ? name.toLowerCase() : name) ?? ''
}
