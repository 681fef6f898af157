import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isPattern, matches, patternToRegex } from '../../../src/promql/pattern.ts'
import { listedValues, matchesEmpty } from '../../../src/promql/regex.ts'

describe('matchesEmpty', () => {
  const known: Record<string, string> = {
    '': 'yes',
    a: 'no',
    '.*': 'yes',
    '.+': 'no',
    'a?': 'yes',
    'a|': 'yes',
    '(a|b)': 'no',
    '(?:a*|b)': 'yes',
    'a*b*': 'yes',
    'a*b': 'no',
    '(ab)?': 'yes',
    '(a?)+': 'yes',
    'a+?': 'no',
    'a{0,3}': 'yes',
    'a{2}': 'no',
    'a{,2}': 'no',
    '[ab]*': 'yes',
    '[]a]': 'no',
    '[^\\]]+': 'no',
    '[[:alpha:]]': 'no',
    '\\d*': 'yes',
    '\\x{0}': 'no',
    '\\p{Greek}': 'no',
    '^$': 'yes',
    '(?i)': 'yes',
    '(?i)a': 'no',
    '(?i:a)?': 'yes',
    '(?P<n>a)': 'no',
    '\\A\\z': 'yes',
    '\\b': 'unknown',
    '\\Qa\\E': 'unknown',
    '(': 'unknown',
    ')': 'unknown',
    '[a': 'unknown',
    '(?<': 'unknown',
  }
  for (const [regex, wanted] of Object.entries(known)) {
    it(`${JSON.stringify(regex)}: ${wanted}`, () => assert.equal(matchesEmpty(regex), wanted))
  }

  it('never contradicts an engine', () => {
    const pieces = ['a', '.', '[ab]', '\\d', '(a)', '(a|)', '(?:b*)', '^', '$', '|', '*', '+', '?', '{0}', '{1,2}']
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 8 }), (parts) => {
        const regex = parts.join('')
        let engine: RegExp
        try {
          engine = new RegExp(`^(?:${regex})$`, 'u')
        } catch {
          return
        }
        const answer = matchesEmpty(regex)
        if (answer !== 'unknown') assert.equal(answer === 'yes', engine.test(''), regex)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('listedValues', () => {
  it('reads lists of literals and nothing else', () => {
    assert.deepEqual(listedValues('a'), ['a'])
    assert.deepEqual(listedValues('a|b-c|'), ['a', 'b-c', ''])
    assert.deepEqual(listedValues('(a|b)'), ['a', 'b'])
    assert.deepEqual(listedValues('a\\.b|c\\-d'), ['a.b', 'c-d'])
    assert.deepEqual(listedValues(''), [''])
    const more = ['a.b', 'a*', '(a)|(b)', '((a))', '(?:a)', '\\d', '\\', 'a\\', '[a]', '^a', 'a$', 'a{1}', '(a', 'a)']
    for (const regex of more) assert.equal(listedValues(regex), undefined, regex)
  })

  it('agrees with an engine about every listed value', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '.', '-', '|', '\\', '(', ')'), maxLength: 6 })
    fc.assert(
      fc.property(text, text, (regex, other) => {
        const listed = listedValues(regex)
        if (listed === undefined) return
        const engine = new RegExp(`^(?:${regex})$`)
        for (const one of listed) assert.match(one, engine)
        assert.equal(engine.test(other), listed.includes(other))
      }),
      { numRuns: 3000 },
    )
  })
})

describe('patterns', () => {
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '-', '*'), minLength: 1, maxLength: 6 })
  const value = fc.string({ unit: fc.constantFrom('a', 'b', '.', '-', 'c'), maxLength: 8 })

  it('mean to us what they mean to Prometheus', () => {
    fc.assert(
      fc.property(pattern, value, (one, text) => {
        const tidy = one.replaceAll(/\*+/g, '*')
        assert.equal(matches(tidy, text), new RegExp(`^(?:${patternToRegex(tidy)})$`).test(text))
      }),
      { numRuns: 5000 },
    )
  })

  it('cover another pattern only if they match all that it matches', () => {
    fc.assert(
      fc.property(pattern, pattern, value, (wide, narrow, text) => {
        if (matches(wide, narrow) && matches(narrow, text)) assert.ok(matches(wide, text), `${wide} ${narrow} ${text}`)
      }),
      { numRuns: 5000 },
    )
  })

  it('are never empty', () => {
    assert.equal(isPattern(''), false)
    assert.equal(matches('*', ''), false)
    assert.equal(matches('', ''), false)
  })

  it('stay quick on a hostile value', () => {
    assert.equal(matches('*a*a*a*a*b', 'a'.repeat(20_000)), false)
  })
})
