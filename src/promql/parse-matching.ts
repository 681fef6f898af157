import { refuse } from './error.ts'
import type { Lexer } from './lexer.ts'
import { parseFillValue } from './parse-duration.ts'
import type { Grouping, Matching } from './tree.ts'

const noFill: readonly string[] = []
const none: Matching = { bool: false, on: null, group: null, fill: noFill }

const modifiers: ReadonlySet<string> = new Set(['bool', 'on', 'ignoring', 'fill', 'fill_left', 'fill_right'])

// Words that the lexer of Prometheus does not take for a label, even between these parentheses.
const neverLabels: ReadonlySet<string> = new Set(['without', 'inf', 'nan'])

/** The modifiers between an operator and its right side, in their only order: bool, on/ignoring, group, fill. */
export function parseMatching(lexer: Lexer): Matching {
  if (lexer.kind !== 'name') return none
  const { word } = lexer
  if (word === '' || !modifiers.has(word)) return none
  const bool = word === 'bool'
  if (bool) lexer.next()
  const on = parseGrouping(lexer, 'on', 'ignoring')
  const group = on === null ? null : parseGroup(lexer)
  const fill = parseFill(lexer)
  return !bool && on === null && fill.length === 0 ? none : { bool, on, group, fill }
}

/** One of two words and its labels in parentheses, or null. */
export function parseGrouping(lexer: Lexer, one: Grouping['word'], other: Grouping['word']): Grouping | null {
  const found = lexer.word
  const word = found === one ? one : found === other ? other : null
  if (word === null) return null
  lexer.next()
  return { word, labels: parseLabels(lexer, word) }
}

/** Here the labels may be left out. Printed with parentheses always, so that an operand in them is never taken for labels. */
function parseGroup(lexer: Lexer): Grouping | null {
  const { word } = lexer
  if (word !== 'group_left' && word !== 'group_right') return null
  lexer.next()
  return { word, labels: lexer.is('(') ? parseLabels(lexer, word) : [] }
}

function parseLabels(lexer: Lexer, word: string): readonly string[] {
  lexer.expect('(', 'before the labels of ', word)
  const labels: string[] = []
  while (!lexer.is(')')) {
    const quoted = lexer.is('string')
    if (!quoted && !lexer.is('name')) lexer.unexpected('a label name or ")"')
    if (quoted && (lexer.value === '' || !lexer.value.isWellFormed()))
      refuse('syntax', lexer, 'this is not a label name')
    if (!quoted && neverLabels.has(lexer.word)) {
      refuse('syntax', lexer, `"${lexer.value}" is a keyword; as a label write it in quotes`)
    }
    labels.push(lexer.value)
    lexer.next()
    if (!lexer.accept(',') && !lexer.is(')')) lexer.unexpected('"," or ")" after a label')
  }
  lexer.next()
  return labels
}

/** `fill (x)`, or `fill_left (x)` and `fill_right (x)` in any order. They are keywords only before a parenthesis. */
function parseFill(lexer: Lexer): readonly string[] {
  if (!lexer.word.startsWith('fill')) return noFill
  const fill: string[] = []
  let allowed = ['fill', 'fill_left', 'fill_right']
  for (;;) {
    const { word } = lexer
    if (!allowed.includes(word) || !lexer.beforeParen()) return fill
    lexer.next()
    lexer.expect('(', 'after ', word)
    fill.push(`${word} (${parseFillValue(lexer)})`)
    lexer.expect(')', 'after the value of ', word)
    allowed = word === 'fill' ? [] : allowed.filter((one) => one !== 'fill' && one !== word)
  }
}
