import { refuse } from './error.ts'
import type { Lexer } from './lexer.ts'
import type { Matcher, MatchOp, Raw, Selector, Span } from './tree.ts'

const matchOps: ReadonlySet<string> = new Set<MatchOp>(['=', '!=', '=~', '!~'])
const metricLabel = '__name__'

const isMatchOp = (kind: string): kind is MatchOp => matchOps.has(kind)

/**
 * A selector from its optional `{`: `name` has been read already ('' without one).
 *
 * @param span where the name stands, or where the brace stands
 */
export function parseSelector(lexer: Lexer, name: string, span: Span): Selector<Raw> {
  const { start } = span
  if (lexer.selectors.length >= lexer.limits.selectors) {
    refuse('limit', span, `more than ${lexer.limits.selectors} selectors in one query; split it`)
  }
  const matchers: Matcher[] = []
  if (lexer.accept('{')) {
    while (!lexer.is('}')) {
      matchers.push(parseMatcher(lexer, name))
      if (!lexer.accept(',') && !lexer.is('}')) lexer.unexpected('"," or "}" after a label matcher')
    }
    lexer.next()
  }
  const end = lexer.previousEnd
  const base = { kind: 'selector', name, matchers, scope: null, range: '', extended: '', at: '', offset: '' } as const
  const selector = { ...base, start, end }
  lexer.selectors.push(selector)
  return selector
}

function parseMatcher(lexer: Lexer, name: string): Matcher {
  const { start, value: label, kind } = lexer
  if (kind !== 'name' && kind !== 'string') lexer.unexpected('a label name or "}"')
  if (kind === 'name' && label.includes(':'))
    refuse('syntax', lexer, 'a label name holds no ":"; quote it if it is meant')
  if (!label.isWellFormed()) refuse('syntax', lexer, 'a label name must be valid UTF-8')
  lexer.next()
  const op = lexer.kind
  if (!isMatchOp(op)) {
    // {"metric"} names the metric; it means the same as {__name__="metric"}, which every Prometheus reads.
    if (kind !== 'string') lexer.unexpected('one of =, !=, =~, !~ after the label name')
    const metric = { label: metricLabel, op: '=', value: label, start, end: lexer.previousEnd } as const
    return checkMetricOnce(name, metric)
  }
  lexer.next()
  if (lexer.kind !== 'string') lexer.unexpected('a quoted string to compare the label with')
  const { value } = lexer
  lexer.next()
  return checkMetricOnce(name, { label, op, value, start, end: lexer.previousEnd })
}

function checkMetricOnce(name: string, matcher: Matcher): Matcher {
  if (name !== '' && matcher.label === metricLabel) {
    refuse('type', matcher, `the metric name is set twice: "${name}" and again in the braces; keep one of them`)
  }
  return matcher
}
