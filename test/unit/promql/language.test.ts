import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseNumber, printDuration } from '../../../src/promql/numbers.ts'
import { parseQuery } from '../../../src/promql/parser.ts'
import { drawError, rewriteQuery } from '../../../src/promql/rewrite.ts'
import type { Reason } from '../../../src/promql/rewrite.ts'
import type { Expr, Raw } from '../../../src/promql/tree.ts'

const everything = { kind: 'everything' } as const

function canonical(text: string): string {
  const result = rewriteQuery(text, everything)
  assert.ok(result.ok, `${text}: ${result.ok ? '' : result.error.message}`)
  return result.value.sent
}

function mistake(text: string) {
  const result = parseQuery(text)
  assert.ok(!result.ok, `${text} was accepted`)
  return result.error
}

const table = (cases: Record<string, string>) => {
  for (const [text, wanted] of Object.entries(cases)) assert.equal(canonical(text), wanted)
}

describe('canonical text', () => {
  it('numbers', () => {
    table({
      '1.': '1',
      '.5': '0.5',
      '5./6.': '5 / 6',
      '0x1F': '31',
      '0X_1f': '31',
      '017': '15',
      '018': '18',
      '1_000.5e1_0': '10005000000000',
      '1e-9': '1e-9',
      '+inF': '+Inf',
      NaN: 'NaN',
      '5m': '300',
      '1y2w3d4h5m6s7ms': '33019506.007',
    })
    const bad = [
      '1e999',
      '1__0',
      '1_',
      '0x',
      '2.5.',
      '5mm',
      '5m1',
      '5m1h',
      '1.5m',
      '300y',
      '0xffffffffffffffff',
      '1e',
      '.',
    ]
    for (const text of bad) assert.equal(mistake(text).reason, 'syntax', text)
    // Too large for an octal integer, and then it is a decimal number.
    assert.equal(parseNumber(`0${'7'.repeat(24)}`), Number('7'.repeat(24)))
  })

  it('durations', () => {
    table({
      'a[300]': 'a{}[5m]',
      'a[90m]': 'a{}[1h30m]',
      'a[8d]': 'a{}[8d]',
      'a[14d]': 'a{}[2w]',
      'a[730d]': 'a{}[2y]',
      'a[1.001]': 'a{}[1s1ms]',
      'a[0.0005]': 'a{}[0.0005]',
      'a[ 5m : 1m ]': 'a{}[5m:1m]',
      'a[5m:]': 'a{}[5m:]',
      'a[STEP()*2+max_of(1m,Range()):step()]': 'a{}[step() * 2s + max_of(1m, range()):step()]',
      'a[-(-(5m))^2]': 'a{}[-(-(5m)) ^ 2s]',
      'a offset -5': 'a{} offset -5s',
      'a offset +-5m': 'a{} offset -5m',
    })
    assert.equal(printDuration(-90.5), '-1m30s500ms')
  })

  it('offset takes one operand unless it begins with a parenthesis', () => {
    table({
      'a offset 5m + 3': 'a{} offset 5m + 3',
      'a offset -(5m) ^ 2': 'a{} offset -(5m) ^ 2',
      'a offset (5m) + 3': 'a{} offset (5m) + 3s',
      'a offset min_of(1, 2) * 3': 'a{} offset min_of(1s, 2s) * 3',
    })
    assert.equal(mistake('a offset (5m) + b').reason, 'syntax')
  })

  it('modifiers, in any order and case', () => {
    table({
      'a OFFSET 5m @ 10': 'a{} @ 10 offset 5m',
      'a[5m] @ END ()': 'a{}[5m] @ end()',
      'a @ -1.5': 'a{} @ -1.5',
      'a @ 1h': 'a{} @ 3600',
      'a anchored [5m]': 'a{}[5m] anchored',
      'a[5m] offset 1m smoothed': 'a{}[5m] smoothed offset 1m',
      '(a)[5m:] @ start() offset 1m': '(a{})[5m:] @ start() offset 1m',
    })
  })

  it('aggregations and matching', () => {
    table({
      'sum(a) by (b, c,)': 'sum by (b, c) (a{})',
      'SUM BY () (a)': 'sum by () (a{})',
      'topk without(x)(3, a)': 'topk without (x) (3, a{})',
      'a * on(x) group_left b': 'a{} * on (x) group_left () b{}',
      'a * on(x) group_left (b) (c)': 'a{} * on (x) group_left (b) (c{})',
      'a == BOOL ignoring () group_right (y) b': 'a{} == bool ignoring () group_right (y) b{}',
      'a + fill_right(-1) fill_left(2s) b': 'a{} + fill_right (-1) fill_left (2) b{}',
      'a atan2 b unless on () c': 'a{} atan2 b{} unless on () c{}',
      'sum by ("a.b", "c", d:e) (a)': 'sum by ("a.b", c, "d:e") (a{})',
    })
    const bad = [
      'a + fill(1) fill_left(2) b',
      'a + fill_left(1) fill_left(2) b',
      'a + group_left(x) b',
      'a - on(b) ignoring(c) d',
    ]
    for (const text of bad) assert.notEqual(mistake(text).reason, 'internal', text)
  })

  it('keeps the order of operands, operators and parentheses', () => {
    table({
      '-a^2*b': '-a{} ^ 2 * b{}',
      '2^-a^b': '2 ^ -a{} ^ b{}',
      '((a))-(b-c)': '((a{})) - (b{} - c{})',
      'timestamp(((a)))': 'timestamp(((a{})))',
    })
  })
})

describe('precedence', () => {
  const show = (expr: Expr<Raw>): string => {
    if (expr.kind === 'binary') return `(${show(expr.left)}${expr.op}${show(expr.right)})`
    if (expr.kind === 'unary') return `(${expr.op}${show(expr.of)})`
    return expr.kind === 'selector' ? expr.name : expr.kind
  }
  const shape = (text: string): string => {
    const parsed = parseQuery(text)
    assert.ok(parsed.ok, text)
    return show(parsed.value.expr)
  }

  it('is that of Prometheus', () => {
    assert.equal(shape('a or b and c == d + e * f ^ g'), '(aor(band(c==(d+(e*(f^g))))))')
    assert.equal(shape('a - b - c'), '((a-b)-c)')
    assert.equal(shape('a ^ b ^ c'), '(a^(b^c))')
    assert.equal(shape('-a ^ b'), '(-(a^b))')
    assert.equal(shape('-a * b'), '((-a)*b)')
    assert.equal(shape('a ^ -b * c'), '((a^(-b))*c)')
    assert.equal(shape('a unless b or c and d'), '((aunlessb)or(candd))')
    assert.equal(shape('a atan2 b % c'), '((aatan2b)%c)')
    assert.equal(shape('a < b == c'), '((a<b)==c)')
  })

  it('binds offset and @ to the operand before them', () => {
    const parsed = parseQuery('a + b offset 5m')
    assert.ok(parsed.ok && parsed.value.expr.kind === 'binary' && parsed.value.expr.right.kind === 'selector')
    assert.equal(parsed.value.expr.right.offset, '5m')
  })
})

describe('types', () => {
  const types: [string, string][] = [
    ['1', 'scalar'],
    ['"x"', 'string'],
    ['a', 'vector'],
    ['a[5m]', 'matrix'],
    ['(a[5m])', 'matrix'],
    ['a[5m:]', 'matrix'],
    ['1 + 2', 'scalar'],
    ['1 + a', 'vector'],
    ['scalar(a) * 2', 'scalar'],
    ['1 > bool 2', 'scalar'],
    ['-time()', 'scalar'],
    ['1 + on () 2', 'scalar'],
  ]
  for (const [text, wanted] of types) {
    it(`${text} is a ${wanted}`, () => {
      const result = rewriteQuery(text, everything)
      assert.equal(result.ok && result.value.type, wanted)
    })
  }

  const wrong: Record<string, RegExp> = {
    'rate(a)': /expected a range vector as argument 1 of rate\(\), got an instant vector; add a range/,
    'sum(a[5m])': /expected an instant vector in sum, got a range vector/,
    'floor()': /takes 1 argument, got 0/,
    'round(a, 1, 2)': /takes 1 to 2 arguments, got 3/,
    'label_join(a, "b")': /takes at least 3 arguments/,
    'histogram_quantiles(a, "q")': /takes 3 to 12/,
    'label_replace(a, "b", "c", "d", e)': /expected a string as argument 5/,
    'topk(a, b)': /expected a scalar as parameter of topk/,
    'topk(a)': /topk takes 2 arguments, got 1: topk\(scalar, vector\)/,
    'count_values(1, a)': /expected a string as parameter/,
    'sum(1, a)': /sum takes 1 argument/,
    '-"x"': /after the sign/,
    '"a" + 1': /on the left of \+/,
    'a + a[5m]': /on the right of \+/,
    '1 > 2': /must be written > bool/,
    'a + bool b': /bool can only/,
    'a and 1': /two instant vectors/,
    'a == on(b) 1': /on \(…\) only works/,
    'a + fill(1) 2': /fill \(…\) only works/,
    'a or fill(1) b': /cannot be used with fill/,
    'a and on(b) group_left(c) d': /cannot be used with group_left/,
    'a * on(b) group_left(b) d': /cannot be in on/,
    '1[5m:]': /in a subquery/,
    '(a + b)[5m]': /a range can only follow a selector/,
    'a[5m:][5m:]': /a subquery cannot be taken of a range/,
    'a[5m][5m]': /a range can only follow/,
    'a offset 5m [5m]': /the range comes first/,
    'a offset 1m offset 2m': /only once/,
    'a @ 1 @ 2': /only once/,
    'rate(a[5m]) offset 5m': /must follow a selector/,
    'a[5m:] smoothed': /must follow a selector/,
    'a anchored smoothed': /cannot be used together/,
    'a[0]': /greater than 0/,
    'a[-5m]': /greater than 0/,
    'a[1/0]': /division by zero/,
    'a offset 1e11': /out of range/,
    'a @ Inf': /out of bounds/,
    'a{__name__="b"}': /set twice/,
  }
  for (const [text, message] of Object.entries(wrong)) {
    it(`refuses ${text}`, () => {
      const error = mistake(text)
      assert.equal(error.reason, 'type', error.message)
      assert.match(error.message, message)
    })
  }
})

describe('explaining a mistake', () => {
  it('points at the spot in the text of the user', () => {
    const text = 'sum by (pod) (rate(up[5m]))\n  / on (pod) raet(up[5m])'
    assert.equal(
      drawError(text, mistake(text)),
      'unknown function "raet"; did you mean rate?\n    / on (pod) raet(up[5m])\n               ^^^^',
    )
  })

  it('cuts a long line around the spot and shows nothing that moves the cursor', () => {
    const text = `${'x'.repeat(500)}\t+ \u001b[31m ${'y'.repeat(500)}`
    const lines = drawError(text, mistake(text)).split('\n')
    assert.equal(lines.length, 3)
    for (const line of lines) assert.ok(line.length < 140, line)
    // oxlint-disable-next-line eslint/no-control-regex -- the point of the test
    assert.doesNotMatch(lines.join(''), /[\u0000-\u001f]/)
    assert.equal(lines[1]?.[(lines[2] ?? '').indexOf('^')], '·')
  })

  it('marks the end of the text where something is missing', () => {
    assert.equal(drawError('sum(up', mistake('sum(up')).split('\n')[2], '        ^')
    assert.equal(drawError('', mistake('')), 'the query is empty\n  \n  ^')
  })

  const hints: Record<string, [Reason, RegExp]> = {
    'sum(up) bye (pod)': ['syntax', /did you mean by\?/],
    'up adn down': ['syntax', /did you mean and\?/],
    'histogram_quantil(1, up)': ['unknown_name', /did you mean histogram_quantile\?/],
    'Rate(up[5m])': ['unknown_name', /did you mean rate\?/],
    'sun(up)': ['unknown_name', /did you mean sum\?/],
    'cont(up)': ['unknown_name', /did you mean count\?/],
    'rte(up[5m])': ['unknown_name', /did you mean rate\?/],
    'zzzzzzzz(up)': ['unknown_name', /^unknown function "zzzzzzzz"$/],
    'up b': ['syntax', /end of the query$/],
    'up ! down': ['syntax', /did you mean !=/],
    'on + up': ['syntax', /\{__name__="on"\}/],
    'up\u00a0': ['syntax', /U\+00A0/],
    'info(up)': ['unsupported', /group_left/],
  }
  for (const [text, [reason, message]] of Object.entries(hints)) {
    it(`has a remedy for ${text}`, () => {
      const error = mistake(text)
      assert.equal(error.reason, reason)
      assert.match(error.message, message)
    })
  }
})
