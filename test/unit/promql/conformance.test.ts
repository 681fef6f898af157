import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { defaultLimits } from '../../../src/promql/limits.ts'
import { parse } from '../../../src/promql/parser.ts'
import { rewriteQuery } from '../../../src/promql/rewrite.ts'
import type { Alternative, Scope } from '../../../src/promql/rewrite.ts'

const root = new URL('../../../', import.meta.url)
const corpusFile = new URL('../shared/promql/corpus.json', root)
const queriesFile = new URL('../shared/linkerd/queries.json', root)
const absent = (file: URL) => (existsSync(file) ? false : 'the shared test data is not beside the repository')

interface Entry {
  readonly expr: string
  readonly valid: boolean | 'unknown'
  readonly prom242: boolean
}
const zone: Alternative = { label: 'zone', allow: ['a', 'b-*'], deny: ['b-x'] }
const everything: Scope = { kind: 'everything' }
const narrow: Scope = { kind: 'labels', alternatives: [zone] }
const union: Scope = { kind: 'labels', alternatives: [zone, { label: 'dst', allow: ['a'], deny: [] }] }

/** Accepted by Prometheus 2.42 only because its lexer takes any letter between brackets for a colon. */
const accidents = new Set(['foo[5s s 5s]'])

describe('the corpus of Prometheus itself', { skip: absent(corpusFile) }, () => {
  const load = (): Entry[] => JSON.parse(readFileSync(corpusFile, 'utf8'))

  it('is large enough to mean something', () => {
    const entries = load()
    assert.ok(entries.filter(({ prom242 }) => prom242).length > 800)
    assert.ok(entries.filter(({ valid }) => valid === false).length > 50)
  })

  it('what is valid is accepted, but for info() and accidents', () => {
    for (const { expr, valid, prom242 } of load()) {
      if (valid !== true && !prom242) continue
      const result = rewriteQuery(expr, everything)
      if (accidents.has(expr)) assert.equal(result.ok, false)
      else if (!result.ok) {
        assert.match(expr, /\binfo\(/, `${expr}: ${result.error.message}`)
        assert.equal(result.error.reason, 'unsupported')
      }
    }
  })

  it('what is invalid is refused', () => {
    for (const { expr, valid } of load()) {
      if (valid === false) assert.equal(rewriteQuery(expr, everything).ok, false, expr)
    }
  })

  it('printing is idempotent and every selector is scoped', () => {
    for (const { expr } of load()) {
      const plain = rewriteQuery(expr, everything)
      if (!plain.ok) continue
      const again = rewriteQuery(plain.value.sent, everything)
      assert.equal(again.ok && again.value.sent, plain.value.sent)
      const scoped = rewriteQuery(expr, narrow)
      assert.ok(scoped.ok, expr)
      const { selectors } = parse(scoped.value.sent, { ...defaultLimits, length: Infinity })
      assert.equal(selectors.length, plain.value.selectors.length, expr)
      for (const { matchers } of selectors) {
        const found = matchers.slice(0, 2).map(({ label, op, value }) => `${label}${op}${value}`)
        assert.deepEqual(found, ['zone=~a|b-.*', 'zone!~b-x'], expr)
      }
      assert.ok(rewriteQuery(expr, union).ok, expr)
    }
  })
})

describe('the queries of the Linkerd dashboards', { skip: absent(queriesFile) }, () => {
  it('are all accepted', () => {
    const queries: { concrete: string }[] = JSON.parse(readFileSync(queriesFile, 'utf8'))
    assert.ok(queries.length > 400)
    for (const { concrete } of queries) {
      for (const scope of [everything, narrow, union]) {
        const result = rewriteQuery(concrete, scope)
        assert.ok(result.ok, `${concrete}: ${result.ok ? '' : result.error.message}`)
      }
    }
  })
})
