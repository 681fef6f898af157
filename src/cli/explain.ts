import { profiles, scopeFor } from '../policy/profile.ts'
import { drawError, rewriteQuery } from '../promql/rewrite.ts'
import type { Alternative, PromqlError, Scope, SelectorFacts } from '../promql/rewrite.ts'
import { UsageError } from './command.ts'
import type { Command, Given, Terminal } from './command.ts'

/** Shows what queries become under a scope given on the command line. */
export const explain: Command = {
  help: `Usage: bailiwick explain --scope LABEL=PATTERN[,PATTERN]... [options] EXPRESSION
       bailiwick explain --scope LABEL=PATTERN[,PATTERN]... [options] --ndjson < QUERIES

Shows what a PromQL query becomes when every selector carries a scope, or why it is refused (exit code 1).

Options:
  --scope LABEL=PATTERNS         the series with such a label; * in a pattern is any run of characters, and a lone
                                 "--scope '*'" is every series, so that the query is only printed anew
  --alternative LABEL=PATTERNS   another way in: series that have this label are in scope too; may be repeated
  --deny LABEL=PATTERNS          not these, beside the allowed ones of the same label; may be repeated
  --profile linkerd|istio        the scope is of namespaces; which labels speak for one depends on the metric
  --view own|destination|both    with --profile: their own samples (the default), those about calling them, or both
  --ndjson                       read one JSON string a line, write one JSON object a line:
                                 {"asked","sent","selectors","notes"} or
                                 {"asked","error":{"reason","index","length","message"}}

Examples:
  bailiwick explain --scope namespace=emojivoto 'sum(rate(request_total[5m]))'
  bailiwick explain --scope namespace=books --profile linkerd --view both 'route_response_total'
  bailiwick explain --scope 'namespace=team-*' --deny namespace=team-x --alternative dst_namespace=books up
`,
  options: {
    scope: { type: 'string' },
    alternative: { type: 'string', multiple: true },
    deny: { type: 'string', multiple: true },
    profile: { type: 'string' },
    view: { type: 'string' },
    ndjson: { type: 'boolean' },
  },
  words: 1,
  async run(given, terminal) {
    const scope = scopeOf(given)
    const [expression] = given.words
    if (given.flag('ndjson')) {
      if (expression !== undefined) throw new UsageError('give an expression or --ndjson, not both')
      return explainLines(scope, terminal)
    }
    if (expression === undefined) throw new UsageError('which expression? Give it as one word, in quotes')
    return explainOne(expression, scope, terminal)
  },
}

function explainOne(asked: string, scope: Scope, terminal: Terminal): number {
  const rewritten = rewriteQuery(asked, scope)
  if (!rewritten.ok) {
    terminal.err(`${drawError(asked, rewritten.error)}\n`)
    return 1
  }
  const { sent, type, selectors, notes } = rewritten.value
  terminal.out(`asked  ${asked}\nsent   ${sent}\ntype   ${type}\n`)
  for (const selector of selectors) terminal.out(`reads  ${describe(selector)}\n`)
  for (const note of notes) terminal.out(`note   ${note}\n`)
  return 0
}

async function explainLines(scope: Scope, terminal: Terminal): Promise<number> {
  let code = 0
  for await (const line of terminal.lines()) {
    if (line.trim() === '') continue
    const explained = explainLine(line, scope)
    if ('error' in explained) code = 1
    terminal.out(`${JSON.stringify(explained)}\n`)
  }
  return code
}

type Explained =
  | { asked: string; sent: string; selectors: readonly SelectorFacts[]; notes: readonly string[] }
  | { asked: string; error: Pick<PromqlError, 'index' | 'length' | 'message'> & { reason: string } }

function explainLine(line: string, scope: Scope): Explained {
  const asked = readString(line)
  if (asked === null) {
    const message = 'this line is not a JSON string: write the query in quotes, "up"'
    return { asked: line, error: { reason: 'input', index: 0, length: line.length, message } }
  }
  const rewritten = rewriteQuery(asked, scope)
  if (!rewritten.ok) {
    const { reason, index, length, message } = rewritten.error
    return { asked, error: { reason, index, length, message } }
  }
  const { sent, selectors, notes } = rewritten.value
  return { asked, sent, selectors, notes }
}

function readString(line: string): string | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'string' ? value : null
  } catch {
    return null
  }
}

const describe = ({ metric, matchers }: SelectorFacts): string =>
  `${metric ?? '(any metric)'}${matchers
    .filter(({ label }) => metric === null || label !== '__name__')
    .map(({ label, op, value }) => ` ${label}${op}${JSON.stringify(value)}`)
    .join('')}`

/** The scope that the options describe. */
function scopeOf(given: Given): Scope {
  const first = given.option('scope')
  if (first === undefined)
    throw new UsageError("whose scope? Give --scope, such as --scope namespace=a,b or --scope '*'")
  const further = given.list('alternative')
  const denies = given.list('deny').map(readPatterns)
  if (first === '*') {
    if (further.length + denies.length > 0) throw new UsageError("--scope '*' is every series: nothing goes beside it")
    return { kind: 'everything' }
  }
  const withDenies = ([label, allow]: Labelled): Alternative => ({
    label,
    allow,
    deny: denies.flatMap(([denied, patterns]) => (denied === label ? patterns : [])),
  })
  const alternatives = [first, ...further].map(readPatterns)
  const stray = denies.find(([label]) => alternatives.every(([allowed]) => allowed !== label))
  if (stray !== undefined)
    throw new UsageError(`--deny ${stray[0]}=…: nothing is allowed for ${stray[0]} in the first place`)
  const profile = given.option('profile')
  if (profile !== undefined) return profiled(profile, given.option('view') ?? 'own', alternatives.map(withDenies))
  if (given.option('view') !== undefined) throw new UsageError('--view goes with --profile')
  const [head, ...tail] = alternatives.map(withDenies)
  if (head === undefined) throw new UsageError('whose scope? Give --scope')
  return { kind: 'labels', alternatives: [head, ...tail] }
}

/** The scope of a grant of namespaces, by a profile's labels. */
function profiled(name: string, view: string, grants: readonly Alternative[]): Scope {
  const profile = name === 'linkerd' || name === 'istio' ? profiles[name] : null
  if (profile === null) throw new UsageError(`there is no profile "${name}"; there are linkerd and istio`)
  if (view !== 'own' && view !== 'destination' && view !== 'both') {
    throw new UsageError(`there is no view "${view}"; there are own, destination and both`)
  }
  const [grant, ...more] = grants
  if (grant?.label !== 'namespace' || more.length > 0) {
    throw new UsageError('--profile takes one --scope namespace=…: it knows the labels itself')
  }
  return scopeFor(profile, [{ view, allow: grant.allow, deny: grant.deny }])
}

type Labelled = readonly [label: string, patterns: readonly string[]]

function readPatterns(text: string): Labelled {
  const at = text.indexOf('=')
  const patterns = text.slice(at + 1).split(',')
  if (at < 1 || patterns.includes('')) {
    throw new UsageError(`"${text}" is not LABEL=PATTERN[,PATTERN]..., such as namespace=a,b`)
  }
  return [text.slice(0, at), patterns]
}
