import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { matches } from '../../../src/policy/patterns.ts'
import type { Scope } from '../../../src/policy/scope.ts'
import { labelsInScope, sayWhose } from '../../../src/prometheus/filters/labels.ts'

const team: Scope = {
  kind: 'labels',
  alternatives: [
    { label: 'namespace', allow: ['a', 'team-*'], deny: ['team-secret'] },
    { label: 'dst_namespace', allow: ['a'], deny: [] },
  ],
}

describe('labels are in scope', () => {
  it('when one alternative allows a value and does not deny it', () => {
    assert.equal(labelsInScope({ namespace: 'a' }, team), true)
    assert.equal(labelsInScope({ namespace: 'team-x', pod: 'p' }, team), true)
    assert.equal(labelsInScope({ namespace: 'b', dst_namespace: 'a' }, team), true)
    assert.equal(labelsInScope({ namespace: 'team-secret', dst_namespace: 'a' }, team), true)
    assert.equal(labelsInScope({ namespace: 'team-secret' }, team), false)
    assert.equal(labelsInScope({ namespace: 'b' }, team), false)
    assert.equal(labelsInScope({ namespace: 'A' }, team), false)
    assert.equal(labelsInScope({ namespace: 'a\n' }, team), false)
    assert.equal(labelsInScope({ dst_namespace: 'team-x' }, team), false)
  })

  it('not without the label, or with an empty one, even where every value is allowed', () => {
    const named: Scope = { kind: 'labels', alternatives: [{ label: 'namespace', allow: ['*'], deny: [] }] }
    assert.equal(labelsInScope({ pod: 'p' }, named), false)
    assert.equal(labelsInScope({ namespace: '' }, named), false)
    assert.equal(labelsInScope({ namespace: 'b' }, named), true)
  })

  it('of everything always, of nothing never', () => {
    for (const labels of [{}, { namespace: 'a' }]) {
      assert.equal(labelsInScope(labels, { kind: 'everything' }), true)
      assert.equal(labelsInScope(labels, { kind: 'nothing' }), false)
    }
  })

  it('by the same patterns as in the policy', () => {
    const pattern = fc.stringMatching(/^[ab*]{1,5}$/)
    const value = fc.stringMatching(/^[abc]{1,6}$/)
    fc.assert(
      fc.property(pattern, pattern, value, (allow, deny, namespace) => {
        const scope: Scope = { kind: 'labels', alternatives: [{ label: 'namespace', allow: [allow], deny: [deny] }] }
        const expected = matches(allow, namespace) && !matches(deny, namespace)
        assert.equal(labelsInScope({ namespace }, scope), expected)
      }),
      { numRuns: 1000 },
    )
  })

  it('and say whose they are when they have a label of the scope, whatever its value', () => {
    assert.equal(sayWhose({ dst_namespace: 'b' }, team), true)
    assert.equal(sayWhose({ namespace: '' }, team), true)
    assert.equal(sayWhose({ pod: 'a' }, team), false)
  })
})
