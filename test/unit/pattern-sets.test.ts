// Answers about all names that patterns stand for, compared with trying every short name.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { findName, labelNames, namesByMatch, valueNames } from '../../src/policy/pattern-sets.ts'
import { matches } from '../../src/policy/patterns.ts'

/** Every name of up to five of these letters. The patterns hold `a` and `b` only: `x` stands for all other letters. */
const letters = ['a', 'b', 'x', '-']
const lengths = [1, 2, 3, 4, 5]
const every = lengths.flatMap((length) => namesOf(length)).filter((name) => !/^-|-$/.test(name))
function namesOf(length: number): readonly string[] {
  return length === 0 ? [''] : namesOf(length - 1).flatMap((name) => letters.map((letter) => name + letter))
}
const pattern = fc
  .string({ unit: fc.constantFrom('a', 'b', '*'), minLength: 1, maxLength: 3 })
  .filter((text) => !text.includes('**'))
const patterns = (minLength: number): fc.Arbitrary<string[]> => fc.array(pattern, { minLength, maxLength: 3 })
const anyOf = (list: readonly string[], name: string): boolean => list.some((one) => matches(one, name))

describe('a name that is wanted', () => {
  it('is found exactly where there is one, and is one', () => {
    let [found, missed] = [0, 0]
    fc.assert(
      fc.property(fc.array(patterns(1), { minLength: 1, maxLength: 3 }), patterns(0), (some, none) => {
        const isWanted = (name: string): boolean => some.every((list) => anyOf(list, name)) && !anyOf(none, name)
        const name = findName({ some, none }, labelNames)
        if (name === null) {
          missed += 1
          return assert.deepEqual(every.filter(isWanted), [])
        }
        found += 1
        assert.ok(name !== undefined && isWanted(name), String(name))
      }),
      { numRuns: 3_000 },
    )
    assert.ok(found > 500 && missed > 500, `${found} found, ${missed} not`)
  })
  it('does not begin or end with what no namespace begins or ends with', () => {
    assert.equal(findName({ some: [['team-*']], none: [] }, labelNames), 'team-x')
    assert.equal(findName({ some: [['team-*']], none: [] }, valueNames), 'team-')
    assert.equal(findName({ some: [['-*'], ['*-']], none: [] }, labelNames), null)
  })
  it('may have letters that only values of other labels have', () => {
    assert.equal(findName({ some: [['A.*/b']], none: [] }, valueNames), 'A./b')
  })
  it('is found among thousands of names that are taken', () => {
    const taken = Array.from({ length: 5_000 }, (_, at) => `team-${at}`)
    assert.equal(findName({ some: [['team-*'], ['*7']], none: taken }, labelNames), 'team-x7')
  })
  it('is left open where the patterns are too many to tell', () => {
    const many = Array.from({ length: 16 }, (_, at) => [`*${String.fromCodePoint(97 + at)}z*`])
    assert.equal(findName({ some: many, none: [] }, labelNames), undefined)
  })
})

describe('names by match', () => {
  it('have one name for each way in which names match, and no other', () => {
    fc.assert(
      fc.property(patterns(0), (list) => {
        const waysOf = (names: readonly string[]): readonly string[] => {
          const ways = names.map((name) => list.map((one) => matches(one, name)).join())
          return [...new Set(ways)].filter((way) => way.includes('true')).toSorted()
        }
        const names = namesByMatch(list, labelNames)
        assert.ok(names !== null)
        const ways = waysOf(names)
        assert.equal(ways.length, names.length)
        for (const way of waysOf(every)) assert.ok(ways.includes(way), way)
      }),
      { numRuns: 1_000 },
    )
  })
  it('of clusters are one for each part that rows tell apart', () => {
    assert.deepEqual(namesByMatch(['*', 'eu-*', '*-prod', 'eu'], labelNames), ['x', 'eu', 'eu-x', 'x-prod', 'eu-prod'])
  })
})
