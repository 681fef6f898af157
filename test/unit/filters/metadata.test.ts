import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { filterMetadata } from '../../../src/prometheus/filters/metadata.ts'

const entry = (type: string, help = 'What it says.') => ({ type, help, unit: '' })

/** The families that are left of these, when series of these names can be seen. */
function left(families: Record<string, readonly string[]>, ...names: string[]): readonly string[] {
  const data = Object.fromEntries(
    Object.entries(families).map(([name, types]) => [name, types.map((one) => entry(one))]),
  )
  const filtered = filterMetadata({ status: 'success', data }, new Set(names))
  assert.ok(filtered.ok, filtered.ok ? '' : filtered.error.message)
  const shown: unknown = Reflect.get(Object(filtered.value.answer), 'data')
  assert.equal(filtered.value.removed, Object.keys(families).length - Object.keys(Object(shown)).length)
  return Object.keys(Object(shown))
}

describe('the metadata', () => {
  it("are those of families of which a series can be seen, by the family's own name", () => {
    const families = { up: ['gauge'], request_total: ['counter'], odd: ['no such type'], other: ['gauge'] }
    assert.deepEqual(left(families, 'up', 'request_total', 'odd'), ['up', 'request_total', 'odd'])
    assert.deepEqual(left(families), [])
  })

  const parts: readonly (readonly [type: string, suffixes: readonly string[]])[] = [
    ['counter', ['_total', '_created']],
    ['histogram', ['_bucket', '_sum', '_count', '_created']],
    ['gaugehistogram', ['_bucket', '_gsum', '_gcount']],
    ['summary', ['_sum', '_count', '_created']],
    ['info', ['_info']],
  ]
  for (const [type, suffixes] of parts) {
    it(`of a ${type} also when only ${suffixes.join(' or ')} can be seen`, () => {
      for (const suffix of suffixes) assert.deepEqual(left({ x: [type], y: [type] }, `x${suffix}`), ['x'])
    })
  }

  it('are not those of another family that only looks like the one that can be seen', () => {
    assert.deepEqual(left({ x: ['gauge'] }, 'x_total', 'x_sum', 'x_info'), [])
    assert.deepEqual(left({ x: ['unknown'], x_total: ['counter'] }, 'x_total'), ['x_total'])
    assert.deepEqual(left({ x_total: ['counter'], x_bucket: ['counter'] }, 'x'), [])
    assert.deepEqual(left({ x: ['counter'] }, 'x_totals', 'xx', 'X_total'), [])
  })

  it('keep the entries of a family whose type fits, without fields that nobody here knows', () => {
    const data = { x: [entry('counter', 'mine'), entry('gauge', 'theirs'), { ...entry('counter'), target: 'b' }] }
    assert.deepEqual(filterMetadata({ status: 'success', data }, new Set(['x_total'])), {
      ok: true,
      value: { answer: { status: 'success', data: { x: [entry('counter', 'mine'), entry('counter')] } }, removed: 0 },
    })
  })
})
