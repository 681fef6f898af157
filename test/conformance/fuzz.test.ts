// Judge d: mutants. `npm run fuzz` is the long form; docs/rewriting.md has its numbers.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { rewriteQuery } from '../../src/promql/rewrite.ts'
import type { Rewriter } from '../judges/format.ts'
import { fuzz } from '../judges/fuzz-run.ts'
import type { FuzzReport } from '../judges/fuzz-run.ts'
import { without3 } from '../judges/server.ts'

const inputs = process.env['JUDGES'] === 'all' ? 60_000 : 4000
const options = { seed: 20_261_121, inputs, seconds: 600, refusedSample: 10, ownOnly: true }
const failuresOf = ({ failures }: FuzzReport): string[] => failures.map((failure) => JSON.stringify(failure))

for (const which of ['prometheus', 'prometheus3'] as const) {
  describe(`mutants before ${which}`, { skip: which === 'prometheus3' && without3 }, () => {
    it('show no series outside of the scope and change no meaning', async () => {
      const report = await fuzz({ ...options, which })
      assert.deepEqual(failuresOf(report), [])
      assert.equal(report.inputs, inputs)
      assert.ok((report.outcomes.get('both accept it') ?? 0) > inputs / 20, 'too few of the mutants are valid')
      assert.ok(report.selects > inputs / 10, `only ${report.selects} selects`)
    })
  })
}

describe('a reader for whom a comment ends at a line feed only', () => {
  it('is found out, and the case is made small', async () => {
    const fooled: Rewriter = (text, scope) => rewriteQuery(text.replaceAll(/#[^\n]*/g, ''), scope)
    const report = await fuzz({ ...options, inputs: 4000, which: 'prometheus', rewrite: fooled })
    assert.ok(report.failures.length > 0)
    const [first] = report.failures
    assert.match(first?.problem ?? '', /changed meaning/)
    assert.match(first?.shrunk ?? '', /^[^]{0,12}#\r[^]{0,8}$/)
  })
})
