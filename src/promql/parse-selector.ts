import { refuse } from './error.ts'
import type { Lexer } from './lexer.ts'
import type { Matcher, MatchOp, Raw, Selector } from './tree.ts'

const metricLabel = '__name__'

const isMatchOp = (kind: string): kind is MatchOp => kind === '=' || kind === '=~' || kind === '!=' || kind === '!~'

/**
 * A selector from its optional `{`: `name` has been read already ('' without one).
 *
 * @param start where the name begins, or the brace
 * @param nameEnd where the name ends, or the brace
 */
export function parseSelector(lexer: Lexer, name: string, start: number, nameEnd: number): Selector<Raw> {
  if (lexer.selectors.length >= lexer.limits.selectors) {
    refuse('limit', { start, end: nameEnd }, `more than ${lexer.limits.selectors} selectors in one query; split it`)
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
  // Written out here and wherever a selector is made anew: objects of one shape are the quickest to read.
  const selector: Selector<Raw> = {
    kind: 'selector',
    name,
    matchers,
    scope: null,
    range: '',
    extended: '',
    at: '',
    offset: '',
    start,
    end,
  }
  lexer.selectors.push(selector)
  return selector
}

function parseMatcher(lexer: Lexer, name: string): Matcher {
  const { start, value: label, kind } = lexer
  if (kind !== 'name' && kind !== 'string') lexer.unexpected('a label name or "}"')
  if (kind === 'name' && lexer.hasColon) refuse('syntax', lexer, 'a label name holds no ":"; quote it if it is meant')
  if (kind === 'string' && !label.isWellFormed()) refuse('syntax', lexer, 'a label name must be valid UTF-8')
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
