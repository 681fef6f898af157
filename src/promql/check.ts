import { refuse } from './error.ts'
import { aggregations, functions } from './functions.ts'
import { matchesEmpty } from './regex.ts'
import { leftSpine } from './tree.ts'
import type { Aggregate, Binary, Call, Expr, Matcher, Raw, Selector, Span, ValueType } from './tree.ts'

const names: Readonly<Record<ValueType, string>> = {
  scalar: 'scalar',
  string: 'string',
  vector: 'instant vector',
  matrix: 'range vector',
}

const comparisons: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>='])
const setOperators: ReadonlySet<string> = new Set(['and', 'or', 'unless'])

/**
 * The type of an expression, checked the way Prometheus does (`checkAST` in promql/parser/parse.go), so that a mistake is
 * explained in the user's own text instead of in the text we would have sent. Throws a refusal.
 */
export function check(expr: Expr<Raw>): ValueType {
  switch (expr.kind) {
    case 'number':
      return 'scalar'
    case 'string':
      return 'string'
    case 'selector':
      return checkSelector(expr)
    case 'subquery': {
      const type = check(expr.of)
      if (type !== 'vector') mismatch(expr.of, 'in a subquery', 'vector', type)
      return 'matrix'
    }
    case 'paren':
      return check(expr.of)
    case 'unary': {
      const type = check(expr.of)
      if (type !== 'scalar' && type !== 'vector') mismatch(expr.of, `after the sign "${expr.op}"`, 'scalar', type)
      return type
    }
    case 'call':
      return checkCall(expr)
    case 'aggregate':
      return checkAggregate(expr)
    case 'binary':
      return checkBinary(expr)
  }
}

function mismatch(span: Span, where: string, wanted: ValueType, got: ValueType): never {
  return refuse('type', span, `expected ${article(wanted)} ${where}, got ${article(got)}${remedy(wanted, got)}`)
}

const article = (type: ValueType): string => (type === 'vector' ? `an ${names[type]}` : `a ${names[type]}`)

function remedy(wanted: ValueType, got: ValueType): string {
  if (wanted === 'matrix' && got === 'vector') return '; add a range such as [5m]'
  if (wanted === 'vector' && got === 'matrix') return '; leave out the range, or use a function such as rate()'
  if (wanted === 'scalar' && got === 'vector') return '; scalar() makes one of a vector with one element'
  if (wanted === 'vector' && got === 'scalar') return '; vector() makes one'
  return wanted === 'string' ? '; write a quoted text' : ''
}

function checkSelector(selector: Selector<Raw>): ValueType {
  const bound = selector.name !== '' || selector.matchers.some(excludesEmpty)
  if (!bound) {
    refuse(
      'type',
      selector,
      'a selector must name a metric or have a matcher that does not match the empty text, such as job="x" or job=~".+"',
    )
  }
  return selector.range === '' ? 'vector' : 'matrix'
}

/**
 * Prometheus demands one such matcher so that nobody selects everything by a typo. Ours would satisfy it, so the user's
 * own matchers are judged without it. A regular expression that cannot be judged here does not count: that refuses a
 * rare selector with a remedy, where the other choice would let "everything in my scope" through by accident.
 */
function excludesEmpty({ op, value }: Matcher): boolean {
  switch (op) {
    case '=':
      return value !== ''
    case '!=':
      return value === ''
    case '=~':
      return matchesEmpty(value) === 'no'
    case '!~':
      return matchesEmpty(value) === 'yes'
  }
}

function checkCall(call: Call<Raw>): ValueType {
  const { name, args } = call
  const signature = functions.get(name)
  if (signature === undefined) return refuse('unknown_name', call, `unknown function "${name}"`)
  const { least, most } = signature
  if (args.length < least || args.length > most) {
    const wanted = most === least ? `${least}` : most === Infinity ? `at least ${least}` : `${least} to ${most}`
    refuse('type', call, `${name}() takes ${wanted} argument${wanted === '1' ? '' : 's'}, got ${args.length}`)
  }
  let index = 0
  let wanted: ValueType = 'scalar'
  for (const arg of args) {
    wanted = signature.args[index++] ?? wanted
    const got = check(arg)
    if (got !== wanted) mismatch(arg, `as argument ${index} of ${name}()`, wanted, got)
  }
  return signature.returns
}

function checkAggregate(aggregate: Aggregate<Raw>): ValueType {
  const { op, args } = aggregate
  const parameter = aggregations.get(op) ?? null
  const wanted = parameter === null ? 1 : 2
  if (args.length !== wanted) {
    const form = parameter === null ? `${op}(vector)` : `${op}(${parameter}, vector)`
    refuse('type', aggregate, `${op} takes ${wanted} argument${wanted > 1 ? 's' : ''}, got ${args.length}: ${form}`)
  }
  let left = wanted
  for (const arg of args) {
    const got = check(arg)
    const isParameter = left-- > 1
    const needed = (isParameter ? parameter : null) ?? 'vector'
    if (got !== needed) mismatch(arg, isParameter ? `as parameter of ${op}` : `in ${op}`, needed, got)
  }
  return 'vector'
}

function checkBinary(top: Binary<Raw>): ValueType {
  const { first, operators } = leftSpine(top)
  let type = check(first)
  for (const operator of operators) type = checkOperator(operator, type, check(operator.right))
  return type
}

function checkOperator(node: Binary<Raw>, left: ValueType, right: ValueType): ValueType {
  const { op, matching } = node
  if (matching.bool && !comparisons.has(op))
    refuse('type', node, `bool can only be used with a comparison, not with ${op}`)
  if (left !== 'scalar' && left !== 'vector') mismatch(node.left, `on the left of ${op}`, 'vector', left)
  if (right !== 'scalar' && right !== 'vector') mismatch(node.right, `on the right of ${op}`, 'vector', right)
  checkLabels(node)
  if (left === 'scalar' || right === 'scalar') return checkWithScalar(node, left === right ? 'scalar' : 'vector')
  if (setOperators.has(op)) {
    const { group, fill } = matching
    if (group !== null) refuse('type', node, `${op} cannot be used with ${group.word}`)
    if (fill.length > 0) refuse('type', node, `${op} cannot be used with fill (…)`)
  }
  return 'vector'
}

function checkLabels(node: Binary<Raw>): void {
  const { on, group } = node.matching
  if (on?.word !== 'on' || group === null) return
  const matched = new Set(on.labels)
  const both = group.labels.find((label) => matched.has(label))
  if (both === undefined) return
  refuse('type', node, `the label ${both} cannot be in on (…) and in ${group.word} (…) at once`)
}

function checkWithScalar(node: Binary<Raw>, type: 'scalar' | 'vector'): ValueType {
  const { op, matching } = node
  const { bool, on, fill } = matching
  if (type === 'scalar' && !bool && comparisons.has(op)) {
    refuse('type', node, `a comparison between two scalars must be written ${op} bool`)
  }
  if (setOperators.has(op)) refuse('type', node, `${op} works on two instant vectors; vector() makes one of a scalar`)
  if (on !== null && on.labels.length > 0) {
    refuse('type', node, `${on.word} (…) only works between two instant vectors`)
  }
  if (fill.length > 0) refuse('type', node, 'fill (…) only works between two instant vectors')
  return type
}
