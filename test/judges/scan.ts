/** A selector as it stands in a printed text: its matchers, such as `job=~"a|b"`, in order. */
export interface Found {
  readonly name: string
  readonly matchers: readonly string[]
}

const token = /\s+|"(?:[^"\\]|\\.)*"|[a-zA-Z_:][a-zA-Z0-9_:]*|[0-9.][0-9a-zA-Z_.]*|=~|!=|!~|==|<=|>=|<\/|>\/|[^\s"]/gy
const labelled: ReadonlySet<string> = new Set('by without on ignoring group_left group_right'.split(' '))
const bare: ReadonlySet<string> = new Set(
  'and or unless atan2 bool offset inf nan anchored smoothed by without on ignoring group_left group_right'.split(' '),
)

/**
 * Finds the selectors of a text that a printer wrote: strings in double quotes only, no comments, and braces right after
 * a metric's name. It shares nothing with the product's reader, and it knows less: any word that is not followed by a
 * parenthesis and is no keyword is a metric without braces, so without a scope.
 * @throws Error where the text is not of that kind
 */
export function scan(text: string): readonly Found[] {
  const tokens = tokensOf(text)
  const found: Found[] = []
  let at = 0
  const visible = (from: number): number => (tokens[from]?.trim() === '' ? from + 1 : from)
  const skipTo = (end: string): void => {
    while (tokens[at] !== end) if (++at > tokens.length) throw new Error(`no ${end}`)
    at++
  }
  while (at < tokens.length) {
    const one = tokens[at] ?? ''
    if (one === '[') skipTo(']')
    else if (one === '{') {
      at++
      found.push({ name: '', matchers: matchers() })
    } else if (!/^[a-zA-Z_:]/.test(one)) at++
    else if (tokens[at + 1] === '{') {
      at += 2
      found.push({ name: one, matchers: matchers() })
    } else word(one)
  }
  return found

  function word(one: string): void {
    const next = visible(at + 1)
    const lower = one.toLowerCase()
    if (tokens[next] === '(') {
      at = next
      if (labelled.has(lower)) skipTo(')')
      return
    }
    const aggregates = ['by', 'without'].includes(tokens[next] ?? '') && tokens[visible(next + 1)] === '('
    if (!bare.has(lower) && !aggregates) found.push({ name: one, matchers: [] })
    at++
  }

  function matchers(): readonly string[] {
    const all: string[] = []
    let current = ''
    for (; tokens[at] !== '}'; at++) {
      const one = tokens[at]
      if (one === undefined) throw new Error('a brace is not closed')
      if (one === ',') {
        all.push(current)
        current = ''
      } else current += one.trim() === '' ? '' : one
    }
    at++
    return current === '' ? all : [...all, current]
  }
}

function tokensOf(text: string): readonly string[] {
  const tokens: readonly string[] = text.match(token) ?? []
  const length = tokens.reduce((sum, one) => sum + one.length, 0)
  if (length !== text.length) throw new Error(`not a printed text: ${text.slice(length, length + 40)}`)
  if (tokens.includes('"') || tokens.includes("'") || tokens.includes('`') || tokens.includes('#')) {
    throw new Error('not a printed text: a quote or a comment that a printer does not write')
  }
  return tokens
}

/**
 * Are two prints the same but for layout, the lines and spaces outside of strings? With `durations`, a duration is its
 * seconds, as it is for a Prometheus 3 wherever it may stand. Its printer can lose a millisecond of one that it writes in
 * units (3.14 prints `543s21ms` as `9m3s20ms` and evaluates it to 543.021), so that much is let pass, and only there.
 */
export function samePrint(one: string, other: string, durations: boolean): boolean {
  if (one === other) return true
  const [left, right] = [plain(one, durations), plain(other, durations)]
  if (left.text !== right.text || left.numbers.length !== right.numbers.length) return false
  return left.numbers.every((number, index) => {
    const theirs = right.numbers[index]
    if (theirs === undefined) return false
    if (number.text === theirs.text || number.seconds === theirs.seconds) return true
    return (number.units || theirs.units) && Math.abs(number.seconds - theirs.seconds) <= 0.001_000_1
  })
}

interface Numeral {
  readonly text: string
  readonly seconds: number
  /** Written in units, such as `1h30m`. */
  readonly units: boolean
}

/** The text without its layout; with `durations` each number has become a `#` and stands in a list of its own. */
function plain(text: string, durations: boolean): { readonly text: string; readonly numbers: readonly Numeral[] } {
  const numbers: Numeral[] = []
  let out = ''
  let inBrackets = false
  for (const one of tokensOf(text)) {
    if (one.trim() === '') {
      if (/[\w#]$/.test(out)) out += ' '
      continue
    }
    inBrackets = one === '[' || (inBrackets && one !== ']')
    if (out.endsWith(' ') && !/^\w/.test(one)) out = out.slice(0, -1)
    // In a subquery the colon and its step look like one word.
    const [, colon = '', rest = one] = inBrackets ? (/^(:?)(.*)$/.exec(one) ?? []) : []
    const isNumber = durations && /^[0-9.]/.test(rest)
    if (isNumber) numbers.push(numeral(rest))
    out += colon + (isNumber ? '#' : rest)
  }
  return { text: out, numbers }
}

const units: Readonly<Record<string, number>> = {
  y: 31_536_000,
  w: 604_800,
  d: 86_400,
  h: 3600,
  m: 60,
  s: 1,
  ms: 0.001,
}

function numeral(text: string): Numeral {
  if (!/^(?:\d+(?:ms|[ywdhms]))+$/.test(text)) return { text, seconds: Number(text), units: false }
  const parts = [...text.matchAll(/(\d+)(ms|[ywdhms])/g)]
  const seconds = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? 0), 0)
  return { text, seconds, units: true }
}
