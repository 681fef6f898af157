import { refuse } from './error.ts'
import { defaultLimits } from './limits.ts'
import { printNumber } from './numbers.ts'
import { quote } from './quoting.ts'
import { leftSpine } from './tree.ts'
import type { Binary, Expr, Grouping, Matcher, Matching, Scoped, Selector, Timing } from './tree.ts'

/** Can the label be written without quotes: `[a-zA-Z_][a-zA-Z0-9_]*`? */
export function isBareLabel(label: string): boolean {
  for (let at = 0; at < label.length; at++) {
    const code = label.charCodeAt(at)
    const lower = code | 0x20
    const digit = code >= 0x30 && code <= 0x39
    if ((lower < 0x61 || lower > 0x7a) && code !== 0x5f && (!digit || at === 0)) return false
  }
  return label !== ''
}

// Prometheus reads these as keywords even where a label is expected.
const neverBare: ReadonlySet<string> = new Set(['without', 'inf', 'nan'])

/**
 * The tree as text, one way of writing for each tree: printable ASCII, no comments, every string quoted anew, the scope
 * first in the braces. Braces follow every metric name, so that a later Prometheus cannot take the name for a keyword.
 * Operands, operators and parentheses keep the order of the user's text: even if our idea of precedence were wrong, what
 * the text means could not change.
 *
 * @param most longest text; beyond it a refusal is thrown
 */
export function print(expr: Expr<Scoped>, most: number = defaultLimits.sent): string {
  const printer = new Printer(most)
  printer.expr(expr)
  return printer.text
}

class Printer {
  text = ''
  private readonly most: number

  constructor(most: number) {
    this.most = most
  }

  expr(expr: Expr<Scoped>): void {
    switch (expr.kind) {
      case 'number':
        this.text += printNumber(expr.value)
        return
      case 'string':
        this.text += quote(expr.value)
        return
      case 'selector':
        return this.selector(expr)
      case 'subquery':
        this.expr(expr.of)
        this.text += `[${expr.range}:${expr.step}]${timing(expr)}`
        return
      case 'paren':
        this.text += '('
        this.expr(expr.of)
        this.text += ')'
        return
      case 'unary':
        this.text += expr.op
        this.expr(expr.of)
        return
      case 'call':
        this.text += expr.name
        return this.args(expr.args)
      case 'aggregate':
        this.text += expr.grouping === null ? expr.op : `${expr.op} ${grouping(expr.grouping)} `
        return this.args(expr.args)
      case 'binary':
        return this.binary(expr)
    }
  }

  private args(args: readonly Expr<Scoped>[]): void {
    let mark = '('
    for (const arg of args) {
      this.text += mark
      this.expr(arg)
      mark = ', '
    }
    this.text += args.length === 0 ? '()' : ')'
  }

  private binary(top: Binary<Scoped>): void {
    const { first, operators } = leftSpine(top)
    this.expr(first)
    for (const { op, matching, right } of operators) {
      this.text += ` ${op}${printMatching(matching)} `
      this.expr(right)
    }
  }

  private selector(selector: Selector<Scoped>): void {
    const { name, scope, matchers, range, extended } = selector
    let text = this.text + name + '{' + scope
    let mark = scope.length === 0 ? '' : ','
    for (const matcher of matchers) {
      text += mark + printMatcher(matcher)
      mark = ','
    }
    text += range === '' ? '}' : `}[${range}]`
    if (extended !== '') text += ` ${extended}`
    this.text = text + timing(selector)
    if (this.text.length > this.most) {
      refuse(
        'limit',
        selector,
        `with your scope on it the query grows beyond ${this.most} characters; ask for less in one query`,
      )
    }
  }
}

const timing = ({ at, offset }: Timing): string =>
  (at === '' ? '' : ` @ ${at}`) + (offset === '' ? '' : ` offset ${offset}`)

const printMatcher = ({ label, op, value }: Matcher): string =>
  `${isBareLabel(label) ? label : quote(label)}${op}${quote(value)}`

const groupingLabel = (label: string): string =>
  isBareLabel(label) && !neverBare.has(label.toLowerCase()) ? label : quote(label)

const grouping = ({ word, labels }: Grouping): string => `${word} (${labels.map(groupingLabel).join(', ')})`

function printMatching({ bool, on, group, fill }: Matching): string {
  if (!bool && on === null && fill.length === 0) return ''
  let text = bool ? ' bool' : ''
  if (on !== null) text += ` ${grouping(on)}`
  if (group !== null) text += ` ${grouping(group)}`
  for (const one of fill) text += ` ${one}`
  return text
}
