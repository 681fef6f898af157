const withoutMeta = /^[A-Za-z0-9_:|/-]*$/
const metaCharacters = new Set('\\.+*?()|[]{}^$')

/**
 * The values that a regular expression lists, each once, such as `a|b`, `(a|b)` (as Grafana writes several values) or
 * `a\.b`.
 *
 * @returns `undefined` when it is more than a list of literals; no attempt is made to evaluate RE2 in JavaScript
 */
export function listedValues(regex: string): readonly string[] | undefined {
  const body = regex.startsWith('(') && regex.endsWith(')') ? regex.slice(1, -1) : regex
  if (withoutMeta.test(body)) return body.includes('|') ? [...new Set(body.split('|'))] : [body]
  const values: string[] = []
  let value = ''
  for (let at = 0; at < body.length; at++) {
    const character = body.charAt(at)
    if (character === '|') {
      values.push(value)
      value = ''
    } else if (character === '\\') {
      const escaped = body.charAt(++at)
      if (!metaCharacters.has(escaped) && escaped !== '-') return undefined
      value += escaped
    } else if (metaCharacters.has(character)) return undefined
    else value += character
  }
  values.push(value)
  return [...new Set(values)]
}

/** Whether a regular expression matches the empty text. */
export type Emptiness = 'yes' | 'no' | 'unknown'

// Ordered so that "all parts match empty" is the smallest part and "any alternative does" the largest.
const no = 0
const unknown = 1
const yes = 2

/**
 * Decides without an RE2 engine whether a regular expression matches the empty text, by looking only at what can be left
 * out. Answers 'unknown' where that is not enough (`\b`, `\Q`, broken syntax); callers take it for the stricter case.
 */
export function matchesEmpty(regex: string): Emptiness {
  const groups: Group[] = []
  let group: Group = newGroup()
  let at = 0
  while (at < regex.length) {
    const atom = readAtom(regex, at)
    at = atom.end
    if (atom.is === 'open') {
      groups.push(group)
      group = newGroup()
    } else if (atom.is === 'close') {
      const outer = groups.pop()
      if (outer === undefined) return 'unknown'
      group = follow(outer, total(group))
    } else if (atom.is === 'or') group = { best: total(group), before: yes, last: yes }
    else if (atom.is === 'optional') group.last = yes
    else if (atom.is === 'atom') group = follow(group, atom.empty)
  }
  const answer = groups.length > 0 ? unknown : total(group)
  return answer === yes ? 'yes' : answer === no ? 'no' : 'unknown'
}

/** An open group: the best alternative so far, then of the current one all that came before the last atom, and that atom. */
interface Group {
  best: number
  before: number
  last: number
}

const newGroup = (): Group => ({ best: no, before: yes, last: yes })

const total = ({ best, before, last }: Group): number => Math.max(best, Math.min(before, last))

const follow = ({ best, before, last }: Group, atom: number): Group => ({
  best,
  before: Math.min(before, last),
  last: atom,
})

interface Atom {
  readonly is: 'atom' | 'open' | 'close' | 'or' | 'optional' | 'same'
  readonly empty: number
  readonly end: number
}

const groupStart = /\((?:\?(?:P?<\w+>|[a-zA-Z-]*(:|\))))?/y
const repeat = /\{(\d+)(?:,\d*)?\}\??/y
const characterClass = /\[\^?\]?(?:\[:\^?\w+:\]|\\[^]|[^\]\\])*\]/y
const escape = /\\(?:[pPx]\{[^}]*\}|[^])/y

function readAtom(regex: string, at: number): Atom {
  const character = regex.charAt(at)
  const end = at + 1
  switch (character) {
    case '(':
      return readGroupStart(regex, at)
    case ')':
      return { is: 'close', empty: no, end }
    case '|':
      return { is: 'or', empty: no, end }
    case '*':
    case '?':
      return { is: 'optional', empty: yes, end: lazyEnd(regex, end) }
    case '+':
      return { is: 'same', empty: no, end: lazyEnd(regex, end) }
    case '^':
    case '$':
      return { is: 'atom', empty: yes, end }
    case '{': {
      repeat.lastIndex = at
      const count = repeat.exec(regex)
      if (count === null) return { is: 'atom', empty: no, end }
      return { is: Number(count[1]) === 0 ? 'optional' : 'same', empty: no, end: repeat.lastIndex }
    }
    case '[':
      characterClass.lastIndex = at
      if (!characterClass.test(regex)) return { is: 'atom', empty: unknown, end: regex.length }
      return { is: 'atom', empty: no, end: characterClass.lastIndex }
    case '\\':
      return readEscape(regex, at)
    default:
      return { is: 'atom', empty: no, end }
  }
}

const lazyEnd = (regex: string, end: number): number => (regex.charAt(end) === '?' ? end + 1 : end)

function readGroupStart(regex: string, at: number): Atom {
  if (regex.charAt(at + 1) !== '?') return { is: 'open', empty: yes, end: at + 1 }
  groupStart.lastIndex = at
  const found = groupStart.exec(regex)
  if (found === null) return { is: 'atom', empty: unknown, end: regex.length }
  const flagsOnly = found[1] === ')'
  return { is: flagsOnly ? 'atom' : 'open', empty: yes, end: groupStart.lastIndex }
}

function readEscape(regex: string, at: number): Atom {
  escape.lastIndex = at
  const found = escape.exec(regex)?.[0]
  const letter = regex.charAt(at + 1)
  if (found === undefined || letter === 'Q') return { is: 'atom', empty: unknown, end: regex.length }
  const empty = letter === 'A' || letter === 'z' ? yes : letter === 'b' || letter === 'B' ? unknown : no
  return { is: 'atom', empty, end: escape.lastIndex }
}
