import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { addInfos } from '../../src/prometheus/notices.ts'

async function through(text: string, sentences: readonly string[], cuts: readonly number[] = []): Promise<string> {
  const bytes = Buffer.from(text)
  const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b)
  const chunks = edges.slice(1).map((end, index) => bytes.subarray(edges[index], end))
  const out: Buffer[] = []
  for await (const chunk of Readable.from(chunks.filter((one) => one.length > 0)).pipe(addInfos(sentences))) {
    out.push(Buffer.from(chunk))
  }
  return Buffer.concat(out).toString()
}

describe('notices', () => {
  it('come last in an answer that has none', async () => {
    const answer = '{"status":"success","data":{"resultType":"vector","result":[]}}'
    assert.equal(await through(answer, ['a']), `${answer.slice(0, -1)},"infos":["a"]}`)
    assert.equal(await through(`${answer}\n`, ['a', 'b']), `${answer.slice(0, -1)},"infos":["a","b"]}`)
  })
  it('follow Prometheus’s own', async () => {
    const own = '{"status":"success","data":[],"warnings":["w"],"infos":["one, \\"two\\"","x"]}'
    assert.deepEqual(JSON.parse(await through(own, ['a'])), {
      status: 'success',
      data: [],
      warnings: ['w'],
      infos: ['one, "two"', 'x', 'a'],
    })
    assert.equal(await through('{"data":[],"infos":[]}', ['a']), '{"data":[],"infos":["a"]}')
  })
  it('are not mistaken where a label’s value looks like them', async () => {
    const answer = JSON.stringify({ status: 'success', data: { a: ',"infos":["x"]}', b: { infos: ['y'] } } })
    assert.deepEqual(JSON.parse(await through(answer, ['a'])), { ...JSON.parse(answer), infos: ['a'] })
  })
  it('leave an answer alone that does not end as JSON', async () => {
    for (const text of ['', '{"status":"success","data":[1,2', 'nonsense'])
      assert.equal(await through(text, ['a']), text)
  })
  it('change nothing else, whatever the text, its length and its pieces', async () => {
    const value = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 })
    const padding = fc.integer({ min: 0, max: 200_000 })
    await fc.assert(
      fc.asyncProperty(
        value,
        padding,
        fc.array(fc.nat(), { maxLength: 6 }),
        fc.array(fc.string()),
        async (data, pad, cuts, said) => {
          const answer = { status: 'success', data, pad: 'é'.repeat(pad) }
          const infos = ['narrowed', ...said]
          assert.deepEqual(
            JSON.parse(await through(JSON.stringify(answer), infos, cuts)),
            JSON.parse(JSON.stringify({ ...answer, infos })),
          )
        },
      ),
      { numRuns: 60 },
    )
  })
})
