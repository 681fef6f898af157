import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Lexer } from '../../../src/promql/lexer.ts'
import { defaultLimits } from '../../../src/promql/limits.ts'
import { parse } from '../../../src/promql/parser.ts'
import { quote } from '../../../src/promql/quoting.ts'
import { rewriteQuery, rewriteSelector } from '../../../src/promql/rewrite.ts'
import type { Alternative, Scope } from '../../../src/promql/rewrite.ts'
import type { Matcher } from '../../../src/promql/tree.ts'

// Queries of every shape of the language, well typed by construction.
const label = fc.constantFrom('namespace', 'dst', 'job', '"na\\u006despace"', '"a b"')
const value = fc.constantFrom(
  '"a"',
  '"b"',
  '"z"',
  "'a|b'",
  '`(a|z)`',
  '".*"',
  '"x.+"',
  '""',
  '"\\xff\\u00e9"',
  '"#\\"}"',
)
const op = fc.constantFrom('=', '!=', '=~', '!~')
const matcher = fc.tuple(label, op, value).map((parts) => parts.join(''))
const blank = fc.constantFrom(' ', '  ', '\n', '\t', ' # comment )}"\n', ' #\r')
const duration = fc.constantFrom('5m', '300', '1h30m', '2 * step()', '(1m + 30)', 'max_of(1m, 5)')
const timing = fc.constantFrom('', ' offset 5m', ' offset -1h', ' @ start()', ' @ 12.5', ' @ end() offset 1m')
const name = fc.constantFrom('up', 'sum', 'by', 'a:b', 'offset', 'x_total', 'fill', 'without')
const between = fc.constantFrom('+', 'or', '== bool', '* on (a) group_left ()', 'unless', '/ fill (0)', '</')

const { vector } = fc.letrec<{ vector: string; scalar: string; range: string; bare: string }>((tie) => ({
  bare: fc
    .tuple(name, fc.array(matcher, { maxLength: 3 }), blank)
    .map(([metric, matchers, space]) => `${metric}${space}{${matchers.join(`,${space}`)}}`),
  range: fc.oneof(
    { maxDepth: 4 },
    fc.tuple(tie('bare'), duration, timing).map(([bare, range, at]) => `${bare}[${range}]${at}`),
    fc.tuple(tie('vector'), duration, timing).map(([inner, range, at]) => `(${inner})[${range}:]${at}`),
  ),
  scalar: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('1', '0x1f', '.5', 'Inf', '5m', 'time()', 'pi()'),
    tie('vector').map((inner) => `scalar(${inner})`),
    fc.tuple(tie('scalar'), tie('scalar')).map(([left, right]) => `(${left}) ^ -(${right})`),
  ),
  vector: fc.oneof(
    { maxDepth: 4 },
    fc.tuple(tie('bare'), timing).map((parts) => parts.join('')),
    tie('range').map((range) => `rate(${range})`),
    tie('range').map((range) => `absent_over_time((${range}))`),
    tie('vector').map((inner) => `absent(${inner})`),
    tie('vector').map((inner) => `timestamp((${inner}))`),
    tie('vector').map((inner) => `-${inner}`),
    fc.tuple(tie('scalar'), tie('range')).map(([scalar, range]) => `quantile_over_time(${scalar}, ${range})`),
    fc.tuple(tie('scalar'), tie('vector')).map(([scalar, inner]) => `topk by (le) (${scalar}, ${inner})`),
    tie('vector').map((inner) => `sum(${inner}) without (a, "b c")`),
    fc.tuple(tie('vector'), between, tie('vector')).map(([left, mark, right]) => `(${left}) ${mark} (${right})`),
    fc.tuple(tie('vector'), tie('scalar')).map(([inner, scalar]) => `clamp_max(${inner}, ${scalar})`),
  ),
}))

const patterns = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'a*', '*', 'x-*', '*b'), { minLength: 1, maxLength: 3 })
const denies = fc.uniqueArray(fc.constantFrom('a', 'x-1', 'ab*', '*c'), { maxLength: 2 })
const alternative = fc
  .tuple(fc.constantFrom('namespace', 'dst'), patterns, denies)
  .map(([label, allow, deny]): Alternative => ({ label, allow, deny }))
const exclusion = fc.record({
  label: fc.constantFrom('namespace', 'dst'),
  patterns: fc.uniqueArray(fc.constantFrom('a', 'b', 'x-*', '*c'), { minLength: 1, maxLength: 2 }),
})
const never = fc.uniqueArray(exclusion, { maxLength: 2, selector: ({ label }) => label })
const scope = fc
  .tuple(alternative, fc.array(alternative, { maxLength: 2 }), never)
  .map(([first, rest, excluded]): Scope => {
    return { kind: 'labels', alternatives: [first, ...rest], ...(excluded.length === 0 ? {} : { never: excluded }) }
  })

const everything: Scope = { kind: 'everything' }

describe('any query', () => {
  it('is printed in one way: printing what was printed changes nothing', () => {
    fc.assert(
      fc.property(vector, (text) => {
        const once = rewriteQuery(text, everything)
        assert.ok(once.ok, once.ok ? '' : `${text}: ${once.error.message}`)
        const twice = rewriteQuery(once.value.sent, everything)
        assert.equal(twice.ok && twice.value.sent, once.value.sent)
        assert.match(once.value.sent, /^[\x20-\x7e]+$/)
      }),
      { numRuns: 1000 },
    )
  })

  it('carries the scope on every selector, and keeps the matchers of the user behind it', () => {
    const plain = ({ label, op, value }: Pick<Matcher, 'label' | 'op' | 'value'>) => JSON.stringify([label, op, value])
    fc.assert(
      fc.property(vector, scope, (text, mine) => {
        const result = rewriteQuery(text, mine)
        if (!result.ok) return assert.match(result.error.reason, /^(?:not_allowed|no_rights|limit)$/)
        assert.ok(mine.kind === 'labels')
        const labels = new Set(mine.alternatives.map((one) => one.label))
        const asked = result.value.selectors.map((one) => one.matchers.map(plain).join())
        const { selectors } = parse(result.value.sent, { ...defaultLimits, length: Infinity, selectors: Infinity })
        assert.ok(selectors.length >= asked.length)
        for (const { matchers } of selectors) {
          const [first] = matchers
          assert.ok(first !== undefined && labels.has(first.label) && first.op === '=~' && first.value !== '')
          const sent = matchers.map(plain).join()
          assert.ok(
            asked.some((one) => sent.endsWith(one)),
            result.value.sent,
          )
        }
      }),
      { numRuns: 1000 },
    )
  })
})

describe('any text', () => {
  it('is answered with a value, and what is accepted reads the same again', () => {
    const marks = [
      '{',
      '}',
      '(',
      ')',
      '[',
      ']',
      '"',
      '`',
      "'",
      '\\',
      '#',
      '\r',
      '\n',
      ',',
      '=',
      '=~',
      '!',
      '~',
      '@',
      '-',
    ]
    const words = ['up', 'or', 'by', '5m', '1', 'offset', '^', 'sum', 'a="b"', ':', '\u00e9', '\ud800', '\ufffd', ' ']
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...marks, ...words), { maxLength: 25 }), (scraps) => {
        const text = scraps.join('')
        const result = rewriteQuery(text, everything)
        if (!result.ok) {
          const { index, length } = result.error
          assert.ok(index >= 0 && length >= 0 && index + length <= text.length, JSON.stringify([text, index, length]))
          return
        }
        const again = rewriteQuery(result.value.sent, everything)
        assert.equal(again.ok && again.value.sent, result.value.sent)
      }),
      { numRuns: 5000 },
    )
  })
})

describe('any string', () => {
  const read = (text: string): string => new Lexer(text, defaultLimits).value

  it('is quoted so that it is read back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        fc.pre(text.isWellFormed())
        assert.equal(read(quote(text)), text)
      }),
      { numRuns: 1000 },
    )
  })

  it('of bytes stays these bytes, whichever escapes wrote them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        const hex = `"${[...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}"`
        const octal = `"${[...bytes].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')}"`
        assert.equal(read(octal), read(hex))
        assert.equal(read(quote(read(hex))), read(hex))
        // Node's decoder is the oracle wherever the bytes are text.
        const text = Buffer.from(bytes).toString('utf8')
        if (Buffer.from(text).equals(Buffer.from(bytes))) assert.equal(read(hex), text)
        else assert.equal(read(hex).isWellFormed(), false)
      }),
      { numRuns: 2000 },
    )
  })

  it('of UTF-8 escapes is the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 6 }), (text) => {
        fc.pre(text.isWellFormed())
        const escaped = [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
        assert.equal(read(`'${escaped}'`), text)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('any scope shows exactly its own series', () => {
  const values = ['', 'a', 'b', 'c', 'ab', 'abc', 'x-1', 'x-2', 'z']
  const universe = values.flatMap((namespace) => values.map((dst) => ({ namespace, dst })))
  type Series = (typeof universe)[number]
  type Plain = Pick<Matcher, 'label' | 'op' | 'value'>

  const holds = (series: Series, { label, op, value }: Plain): boolean => {
    const own = label === 'namespace' ? series.namespace : label === 'dst' ? series.dst : ''
    const equal = op === '=' || op === '!=' ? own === value : new RegExp(`^(?:${value})$`, 's').test(own)
    return op.startsWith('!') ? !equal : equal
  }
  const like = (pattern: string, text: string): boolean =>
    text !== '' && new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(text)
  const visible = (series: Series, mine: Scope): boolean =>
    mine.kind === 'labels' &&
    !(mine.never ?? []).some(({ label, patterns: excluded }) => {
      const own = label === 'namespace' ? series.namespace : series.dst
      return excluded.some((one) => like(one, own))
    }) &&
    mine.alternatives.some(({ label, allow, deny }) => {
      const own = label === 'namespace' ? series.namespace : series.dst
      return allow.some((one) => like(one, own)) && !deny.some((one) => like(one, own))
    })

  const own = fc.record({
    label: fc.constantFrom('namespace', 'dst'),
    op: fc.constantFrom('=' as const, '!=' as const, '=~' as const, '!~' as const),
    value: fc.constantFrom('', 'a', 'b', 'z', 'x-1', 'a|b', '(a|z)', 'a|', '.*', '.+', 'x-.*', 'ab|abc|z', 'a|a'),
  })

  it('through match[] and through a query', () => {
    fc.assert(
      fc.property(fc.array(own, { maxLength: 3 }), scope, (matchers, mine) => {
        const text = `m{${matchers.map(({ label, op, value }) => `${label}${op}${quote(value)}`).join(',')}}`
        const wanted = universe.filter((one) => visible(one, mine) && matchers.every((matcher) => holds(one, matcher)))
        const selector = rewriteSelector(text, mine)
        const query = rewriteQuery(text, mine)
        if (!selector.ok || !query.ok) {
          // What is refused must not have had an answer.
          assert.ok(!selector.ok && !query.ok)
          assert.match(query.error.reason, /^(?:not_allowed|no_rights)$/)
          assert.deepEqual(wanted, [])
          return
        }
        for (const texts of [selector.value.sent, [query.value.sent]]) {
          const sent = texts.flatMap((one) => parse(one, defaultLimits).selectors)
          const got = universe.filter((one) =>
            sent.some((each) => each.matchers.every((matcher) => holds(one, matcher))),
          )
          assert.deepEqual(got, wanted, texts.join(' '))
        }
      }),
      { numRuns: 3000 },
    )
  })
})
