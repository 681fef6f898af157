// The filter of the pages about the record: what an address may say, and what it means.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { addressOf, fields, rangeOf, readFilter, recordedOf } from '../../../src/pages/review/query.ts'
import type { AskedFilter } from '../../../src/pages/review/query.ts'
import { paths } from '../../../src/pages/paths.ts'

const now = Date.parse('2026-11-20T12:00:00Z')
const read = (query: string) => readFilter(new URLSearchParams(query), now)
const good = (query: string): AskedFilter => {
  const asked = read(query)
  if (!asked.ok) throw new Error(asked.error.join('; '))
  return asked.value
}

describe('the filter', () => {
  it('is the questions of the last day where nothing is said', () => {
    const asked = good('')
    assert.deepEqual(asked.filter, { kind: 'decision', from: now - 86_400_000, to: now + 1 })
    assert.equal(rangeOf(asked), '24h')
  })
  it('takes looks at the record itself only where they are asked for', () => {
    assert.equal(good('kind=audit.read').filter.kind, 'audit.read')
    assert.equal(good('kind=all').filter.kind, undefined)
    assert.equal(good('person=alice').filter.kind, 'decision')
  })
  it('reads times as UTC, in the forms that browsers send', () => {
    for (const from of [
      '2026-11-20T03:00',
      '2026-11-20T03:00:00',
      '2026-11-20T03:00:00.000',
      '2026-11-20T03:00:00.000Z',
    ]) {
      const asked = good(`from=${from}`)
      assert.deepEqual(asked.filter, { kind: 'decision', from: Date.parse('2026-11-20T03:00:00Z') })
      assert.equal(rangeOf(asked), '')
    }
  })
  it('leaves out what is empty, as a form sends it', () => {
    assert.deepEqual(good('person=&group=%20&namespace=x').given, { namespace: 'x' })
  })
  for (const [query, words] of [
    ['decision=maybe', /neither "allow" nor "deny"/],
    ['kind=outcomes', /no kind of record called "outcomes"/],
    ['kind=toString', /no kind of record/],
    ['range=9y', /no time called "9y"/],
    ['range=constructor', /no time called/],
    ['from=yesterday', /a time is written/],
    ['from=2026-11-20T99:00', /a time is written/],
    ['from=2026-11-20T03:00&to=2026-11-20T02:00', /not before/],
    ['person=a&person=b', /more than once/],
    [`text=${'x'.repeat(513)}`, /longer than 512/],
    ['after=%00', /place in the list/],
    ['after=a%20b', /place in the list/],
    [`after=${'a'.repeat(257)}`, /place in the list/],
    ['after=a&back=<script>', /place in the list/],
  ] as const) {
    it(`does not take ${query.slice(0, 40)}, and says why`, () => {
      const asked = read(query)
      assert.ok(!asked.ok)
      assert.match(asked.error.join('; '), words)
    })
  }
  it('carries at most twenty ways back', () => {
    assert.equal(
      good(new URLSearchParams(Array.from({ length: 60 }, (): [string, string] => ['back', 'abc'])).toString()).back
        .length,
      20,
    )
  })
  it('is the same again after it was an address', () => {
    const value = fc.string({
      unit: fc.constantFrom('a', '&', '=', '#', '%', '"', '<', '+', ' ', 'ü', '\u202e'),
      maxLength: 20,
    })
    fc.assert(
      fc.property(fc.record({ person: value, text: value, dashboard: value }), (given) => {
        const asked = good(new URLSearchParams(given).toString())
        const address = addressOf(paths.review, asked.given)
        assert.deepEqual(good(address.split('?')[1] ?? '').given, asked.given)
      }),
    )
  })
  it('goes on record with the time that was meant', () => {
    assert.deepEqual(recordedOf(good('person=alice&after=abc')), [
      ['person', 'alice'],
      ['from', '2026-11-19T12:00:00.000Z'],
      ['to', '2026-11-20T12:00:00.001Z'],
      ['after', 'abc'],
    ])
  })
  it('never leads anywhere else, whatever it says', () => {
    const field = fc.constantFrom(...fields)
    fc.assert(
      fc.property(field, fc.string({ maxLength: 40 }), (name, text) => {
        const url = new URL(addressOf(paths.review, { [name]: text }), 'https://gateway.test')
        assert.equal(url.origin + url.pathname, 'https://gateway.test/bailiwick/review/')
      }),
    )
  })
})
