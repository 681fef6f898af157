// docs/api.md tells what the table in the code says, and nothing else.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { endpoints } from '../../src/prometheus/endpoints.ts'
import type { Endpoint } from '../../src/prometheus/endpoints.ts'

const text = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8')
const rows = [...text.matchAll(/^\| `(\/[^`]*)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$/gm)].map(
  ([, path = '', methods = '', params = '', what = '', right = '']) => ({ path, methods, params, what, right }),
)

describe('docs/api.md', () => {
  it('has a row for each endpoint and no other', () => {
    assert.deepEqual(rows.map(({ path }) => path).toSorted(), Object.keys(endpoints).toSorted())
  })
  for (const [path, endpoint] of Object.entries<Endpoint>(endpoints)) {
    it(`tells methods, parameters, treatment and right of ${path}`, () => {
      const row = rows.find((one) => one.path === path)
      assert.ok(row)
      assert.equal(row.methods, endpoint.methods.join(', '))
      const params = Object.keys(endpoint.params).map((name) => `\`${name}\``)
      assert.equal(row.params, params.join(', ') || 'none')
      const { treatment } = endpoint
      assert.equal(row.right, treatment.scope === 'public' ? 'none, but known' : `\`${treatment.action}\``)
      if (treatment.scope === 'public') assert.ok(row.what.includes(treatment.because))
      if (treatment.scope === 'query') assert.match(row.what, /every selector in `query` carries the scope/)
      if (treatment.scope !== 'selectors') return
      const absent = treatment.whenAbsent === 'refuse' ? /at least one is needed/ : /without one, the scope is sent/
      assert.match(row.what, absent)
    })
  }
})
