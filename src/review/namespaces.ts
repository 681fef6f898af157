import { reviewLimits } from './limits.ts'

/** What a record is about, so that everything concerning a namespace can be found. */
export interface About {
  /** Namespaces that a selector, or what was sent, names by a label for namespaces. */
  readonly namespaces: readonly string[]
  /** Patterns for LIKE (escaped by a backslash) of namespaces that it may concern as well: `%` is every one. */
  readonly patterns: readonly string[]
  /** Every word that could be a namespace's name. */
  readonly mentions: readonly string[]
  /** Names of metrics. */
  readonly metrics: readonly string[]
}

type Fields = Partial<Record<string, unknown>>
type Pair = readonly [name: string, value: string]

interface Matcher {
  readonly label: string
  readonly op: string
  readonly value: string
}

interface Found {
  readonly namespaces: Set<string>
  readonly patterns: Set<string>
  readonly mentions: Set<string>
}

// Also dst_namespace, parent_namespace, destination_workload_namespace: whatever the profile calls them.
const isNamespaceLabel = (label: string): boolean => /(^|_|\.)namespace$/.test(label)

/** Parameters that hold a number or a time: no name of anything. */
const measures = new Set(['start', 'end', 'time', 'step', 'timeout', 'limit', 'lookback_delta', 'stats', 'dedup'])
const inQuery = new Set(['query', 'match[]'])

const remembered = new Map<string, About>()
const mostRemembered = 5_000
const longestRemembered = 4_000

/**
 * Reads off a decision what it is about. Where it cannot be told, everything is: a search for a namespace may show too
 * much, but never misses what somebody saw of it. What dashboards ask again and again is remembered.
 *
 * @param selectors those of the record, as JSON
 */
export function aboutDecision(record: Fields, selectors: string): About {
  const { scope, sent, asked, decision, truncated } = record
  const names = listOf(sent).flatMap((one) => pairsOf(Object(one).params).filter(([name]) => !measures.has(name)))
  const words = decision === 'allow' ? [] : pairsOf(asked).filter(([name]) => !measures.has(name))
  const key = JSON.stringify([scope, selectors, listOf(sent).length > 0, names, words, decision, isCut(truncated)])
  const known = remembered.get(key)
  if (known !== undefined) return known
  const about = readAbout(record, names, words)
  if (key.length > longestRemembered) return about
  if (remembered.size >= mostRemembered) remembered.clear()
  remembered.set(key, about)
  return about
}

function readAbout(record: Fields, sent: readonly Pair[], asked: readonly Pair[]): About {
  const found: Found = { namespaces: new Set(), patterns: new Set(), mentions: new Set() }
  const scope = typeof record['scope'] === 'string' ? record['scope'] : ''
  const selectors = listOf(record['selectors']).map(selectorOf)
  takeScope(scope, found)
  for (const { matchers } of selectors) for (const matcher of matchers) takeMatcher(matcher, found)
  for (const pair of sent) takeSent(pair, found)
  // A refused query was not read to its end, so its words count wherever they stand.
  for (const [, value] of asked) takeWords(value, found)
  if (isOpen(record, scope, selectors, sent) || isCut(record['truncated'])) found.patterns.add('%')
  const metrics = selectors.flatMap(({ metric }) => (metric === null ? [] : [metric]))
  if (found.mentions.size > reviewLimits.mentions) {
    found.patterns.add('%')
    found.mentions.clear()
  }
  return {
    namespaces: [...found.namespaces].map(sound),
    patterns: [...found.patterns].map(sound),
    mentions: [...found.mentions],
    metrics: [...new Set(metrics)].map(sound),
  }
}

const sound = (text: string): string => text.toWellFormed().replaceAll('\0', '\u{fffd}')

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const words = /[a-z0-9-]+/g

const takeWords = (text: string, { mentions }: Found): void => {
  for (const [word] of text.matchAll(words)) mentions.add(word)
}

/** Name and value, of a list of pairs. */
export const pairsOf = (value: unknown): readonly Pair[] =>
  listOf(value).flatMap((pair): Pair[] =>
    Array.isArray(pair) && typeof pair[0] === 'string' && typeof pair[1] === 'string' ? [[pair[0], pair[1]]] : [],
  )

function selectorOf(value: unknown): { readonly metric: string | null; readonly matchers: readonly Matcher[] } {
  const { metric, matchers }: Fields = Object(value)
  return {
    metric: typeof metric === 'string' && metric !== '' ? metric : null,
    matchers: listOf(matchers).map((one) => {
      const { label, op, value }: Fields = Object(one)
      return { label: textOf(label), op: textOf(op), value: textOf(value) }
    }),
  }
}

/** A scope as text, such as `namespace: a, b-* but not b-x; or dst: *.a.svc.*`: each word, and each pattern, of it. */
function takeScope(scope: string, found: Found): void {
  takeWords(scope, found)
  for (const [token] of scope.matchAll(/[^\s,;]*\*[^\s,;]*/g)) {
    if (!token.endsWith(':')) found.patterns.add(likeOfGlob(namespacePart(token)))
  }
}

/** `*.team-*.svc.*` speaks of the namespace in its second place. */
function namespacePart(pattern: string): string {
  const parts = pattern.split('.')
  return parts[2] === 'svc' ? (parts[1] ?? pattern) : pattern
}

const likeOfGlob = (glob: string): string => glob.split('*').map(escapeLike).join('%')
const escapeLike = (text: string): string => text.replaceAll(/[\\%_]/g, (mark) => `\\${mark}`)

function takeMatcher({ label, op, value }: Matcher, found: Found): void {
  takeWords(value, found)
  if (!isNamespaceLabel(label)) return
  if (op === '=' && value !== '') found.namespaces.add(value)
  if (op === '=~') {
    for (const alternative of alternativesOf(value)) {
      if (isName(alternative)) found.namespaces.add(alternative)
      else found.patterns.add(likeOfRegex(alternative))
    }
  }
}

const isName = (text: string): boolean => /^[a-z0-9-]+$/.test(text)

/** The alternatives of a regular expression, where they are plain to see; otherwise it counts as one. */
const alternativesOf = (regex: string): readonly string[] => (/[()[\]\\]/.test(regex) ? [regex] : regex.split('|'))

/** A pattern for LIKE that matches at least what a regular expression does: behind what is not plain to see, everything. */
function likeOfRegex(regex: string): string {
  if (/[()|]/.test(regex)) return '%'
  let like = ''
  let last = ''
  for (let rest = regex; rest !== '';) {
    const [token = ''] = /^(\.[*+]|\\[^a-zA-Z0-9]|[\s\S])/u.exec(rest) ?? []
    rest = rest.slice(token.length)
    if (/^[?*+{]$/.test(token)) return `${like.slice(0, like.length - last.length)}%`
    if (/^[[\]\\^$}]$/.test(token)) return `${like}%`
    last = token.startsWith('.') ? (token === '.' ? '_' : '%') : escapeLike(token.replace(/^\\/, ''))
    like += last
  }
  return like
}

/** What was sent is printed from a tree, so each string in it is whole, and in double quotes. */
function takeSent([name, value]: Pair, found: Found): void {
  if (!inQuery.has(name)) return takeWords(value, found)
  for (const { 0: quoted, index } of value.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"/gs)) {
    // Only so far back: a name can be as long as a query, and this is done for each string in it.
    const before = value.slice(Math.max(0, index - longestLabel), index)
    const [, label = '', op = ''] = /([\w.:]+)"?\s*(=~|!~|!=|=)\s*$/.exec(before) ?? []
    takeMatcher({ label, op, value: unquote(quoted) }, found)
  }
}

const longestLabel = 200

function unquote(quoted: string): string {
  try {
    return String(JSON.parse(quoted))
  } catch {
    return quoted.slice(1, -1)
  }
}

/** With a right to every series, what is not bound to namespaces shows all of them. */
function isOpen(
  { decision, sent }: Fields,
  scope: string,
  selectors: readonly { readonly matchers: readonly Matcher[] }[],
  params: readonly Pair[],
): boolean {
  if (decision !== 'allow' || scope !== 'every series' || listOf(sent).length === 0) return false
  if (selectors.length === 0) return !params.some(([name]) => name === 'query')
  return !selectors.every(({ matchers }) =>
    matchers.some(({ label, op, value }) => isNamespaceLabel(label) && (op === '=' || op === '=~') && value !== ''),
  )
}

/** Was something cut off that would tell? An empty pointer: more than are listed. */
const isCut = (truncated: unknown): boolean =>
  listOf(truncated).some((pointer) => /^(\/(scope|selectors|sent|asked)(\/|$)|$)/.test(String(pointer)))
