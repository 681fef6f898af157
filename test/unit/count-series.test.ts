// The number of series in the record is that of the answer, however the answer is cut and whatever its labels hold.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { seriesCounter } from '../../src/gateway/count-series.ts'
import { findEndpoint } from '../../src/prometheus/endpoints.ts'

function counted(path: string, chunks: readonly Buffer[]): number | null | undefined {
  const counter = seriesCounter(findEndpoint(path))
  for (const chunk of chunks) counter?.see(chunk)
  return counter?.count()
}

const vector = (series: readonly object[]): string =>
  JSON.stringify({
    status: 'success',
    data: { resultType: 'vector', result: series.map((metric) => ({ metric, value: [1, '1'] })) },
  })

/** Texts made of what a series begins with. */
const hostile = fc
  .array(fc.constantFrom('"metric":{', '{', '"', '\\', 'metric', ':', '}'), { maxLength: 5 })
  .map((parts) => parts.join(''))

describe('the series of an answer', () => {
  it('are counted exactly, cut anywhere', () => {
    fc.assert(
      fc.property(
        fc.array(fc.dictionary(fc.constantFrom('metric', 'a', '"metric":{'), hostile), { maxLength: 6 }),
        fc.array(fc.nat(400), { maxLength: 12 }),
        (series, cuts) => {
          const bytes = Buffer.from(vector(series))
          const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].toSorted((a, b) => a - b)
          const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index], end))
          assert.equal(counted('/api/v1/query', chunks), series.length)
        },
      ),
    )
  })

  it('are counted in answers to queries for exemplars as well', () => {
    const answer = { status: 'success', data: [{ seriesLabels: { a: '"seriesLabels":{' }, exemplars: [] }] }
    assert.equal(counted('/api/v1/query_exemplars', [Buffer.from(JSON.stringify(answer))]), 1)
  })

  it('are not told where the answer is written otherwise, or holds none', () => {
    assert.equal(counted('/api/v1/query', [Buffer.from('{ "status": "success", "data": {} }')]), null)
    assert.equal(counted('/api/v1/labels', [Buffer.from(vector([{}]))]), undefined)
  })
})
