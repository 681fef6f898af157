// What other people wrote, as the pages show it.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { counted, cut, duration, plainly, size, span, written } from '../../../src/pages/review/text.ts'

/** Controls but tab and line break, and marks of format, of which direction is one. */
const unseen = /(?![\t\n])\p{Cc}|[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/u

describe('what somebody wrote', () => {
  it('cannot turn the text around it, or hide in it', () => {
    for (const [text, shown] of [
      ['a\u202eb', 'a<span class="unseen">U+202E</span>b'],
      ['a\u200bb', 'a<span class="unseen">U+200B</span>b'],
      ['\u0000', '<span class="unseen">U+0000</span>'],
      ['\u061c', '<span class="unseen">U+061C</span>'],
      ['\ud800', '<span class="unseen">U+D800</span>'],
      ['😀\n\tü', '😀\n\tü'],
      ['<b>', '&lt;b&gt;'],
    ] as const) {
      assert.equal(written(text).text, `<bdi>${shown}</bdi>`)
    }
  })
  it('holds no mark of direction and no control, whatever it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (text) => {
        assert.doesNotMatch(written(text).text, unseen)
        assert.doesNotMatch(plainly(text), unseen)
      }),
    )
  })
  it('is cut where it is long, which is said, and never within a character', () => {
    assert.match(cut('x'.repeat(500), 400).text, /x{400}<\/bdi><span class="quiet">\s*… 100 more characters/)
    assert.equal(cut('x'.repeat(400), 400).text, `<bdi>${'x'.repeat(400)}</bdi>`)
    assert.doesNotMatch(cut(`${'x'.repeat(399)}😀😀`, 400).text, /U\+D8/)
  })
})

describe('numbers', () => {
  it('are written as people read them', () => {
    assert.deepEqual(
      [counted(1, 'record'), counted(1_234, 'record'), counted(2, 'person', 'people')],
      ['1 record', '1,234 records', '2 people'],
    )
    assert.deepEqual([duration(31), duration(1_500)], ['31 ms', '1.5 s'])
    assert.deepEqual([size(999), size(12_345), size(3e9)], ['999 B', '12.3 kB', '3.0 GB'])
    assert.deepEqual([span(900_000), span(86_400_000), span(1_000)], ['15 minutes', '1 day', '1 second'])
  })
})
