// What the gateway changed in a query, word by word.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { differenceOf } from '../../../src/pages/review/diff.ts'
import type { Piece } from '../../../src/pages/review/diff.ts'

const textOf = (pieces: readonly Piece[]): string => pieces.map(({ text }) => text).join('')
const changed = (pieces: readonly Piece[]): readonly string[] =>
  pieces.filter(({ same }) => !same).map(({ text }) => text)
const kept = (pieces: readonly Piece[]): string =>
  pieces
    .filter(({ same }) => same)
    .map(({ text }) => text)
    .join('')
    .replaceAll(/\s/g, '')

describe('the difference of two queries', () => {
  it('is what was added, as whole words', () => {
    const found = differenceOf('rate(requests_total{a="b"}[1m])', 'rate(requests_total{namespace="x", a="b"}[1m])')
    assert.deepEqual(changed(found.before), [])
    assert.deepEqual(changed(found.after), ['namespace="x", '])
  })
  it('is what was replaced, on both sides', () => {
    const found = differenceOf('sum(up{job=~"a.*"})', 'sum(up{job=~"a.b"})')
    assert.deepEqual([changed(found.before), changed(found.after)], [['"a.*"'], ['"a.b"']])
  })
  it('is nothing where both are the same', () => {
    const { before, after, compared } = differenceOf('up', 'up')
    assert.deepEqual([changed(before), changed(after), compared], [[], [], true])
  })
  it('has every selector that was narrowed, also in the middle of many', () => {
    const query = Array.from({ length: 200 }, (_, at) => `m${at}`).join(' + ')
    const narrowed = query.replaceAll(/m\d+/g, '$&{namespace="x"}')
    const { after, compared } = differenceOf(query, narrowed)
    assert.equal(compared, true)
    assert.equal(changed(after).length, 200)
  })
  it('is not marked where the two are too long to be compared, and nothing is lost', () => {
    const one = 'a + '.repeat(20_000)
    const other = 'b + '.repeat(20_000)
    const { before, after, compared } = differenceOf(one, other)
    assert.equal(compared, false)
    assert.deepEqual([textOf(before), textOf(after), changed(before)], [one, other, []])
  })
  it('holds both texts whole, and what is the same is the same on both sides', () => {
    const text = fc
      .array(fc.constantFrom('a', 'b', ' ', '"', '{', '}', '=~', '"x y"', '\n', '<b>', '\u202e', '😀'), {
        maxLength: 30,
      })
      .map((parts) => parts.join(''))
    fc.assert(
      fc.property(text, text, (one, other) => {
        const { before, after } = differenceOf(one, other)
        assert.deepEqual([textOf(before), textOf(after)], [one, other])
        assert.equal(kept(before), kept(after))
      }),
    )
  })
})
