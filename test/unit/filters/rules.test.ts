import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import type { Scope } from '../../../src/policy/scope.ts'
import { filterRules } from '../../../src/prometheus/filters/rules.ts'

const team: Scope = { kind: 'labels', alternatives: [{ label: 'namespace', allow: ['a', 'a-*'], deny: ['a-x'] }] }
const named: Scope = { kind: 'labels', alternatives: [{ label: 'namespace', allow: ['*'], deny: ['b'] }] }
const either: Scope = {
  kind: 'labels',
  alternatives: [
    { label: 'namespace', allow: ['a'], deny: [] },
    { label: 'dst_namespace', allow: ['a'], deny: [] },
  ],
}
const own = 'up{namespace="a"} == 0'
const foreign = 'up{namespace="b"} == 0'

const recording = (query: string, more: object = {}) => ({
  name: 'job:up:sum',
  query,
  labels: {},
  health: 'ok',
  evaluationTime: 0.001,
  lastEvaluation: '2026-11-20T03:00:00.5Z',
  type: 'recording',
  ...more,
})
const alerting = (query: string, more: object = {}) => ({
  ...recording(query),
  state: 'firing',
  name: 'Down',
  duration: 0,
  keepFiringFor: 0,
  annotations: { summary: 'it is down' },
  alerts: [],
  type: 'alerting',
  ...more,
})
const alert = (labels: Record<string, string>) => ({ labels, annotations: {}, state: 'firing', value: '0e+00' })
const group = (rules: unknown, more: object = {}) => ({
  name: 'g',
  file: '/etc/rules.yml',
  rules,
  interval: 1,
  limit: 0,
  evaluationTime: 0.002,
  lastEvaluation: '2026-11-20T03:00:00.5Z',
  ...more,
})
const answer = (groups: unknown, more: object = {}) => ({ status: 'success', data: { groups, ...more } })
const shown = (groups: unknown, removed: number, more: object = {}) => ({
  ok: true,
  value: { answer: answer(groups, more), removed },
})

/** Is a rule with this expression and these labels shown? */
function isShown(scope: Scope, query: string, labels: Record<string, string> = {}): boolean {
  const filtered = filterRules(answer([group([recording(query, { labels })])]), scope)
  assert.ok(filtered.ok)
  return filtered.value.removed === 0
}

describe('the rules', () => {
  it('are those that read only series in scope; groups without any are left out', () => {
    const rules = [recording(own), alerting(own)]
    const given = answer([group([recording(foreign), ...rules, alerting('up == 0')]), group([alerting(foreign)])])
    assert.deepEqual(filterRules(given, team), shown([group(rules)], 3))
  })

  it("do not say by a label of their own that they are somebody else's", () => {
    assert.equal(isShown(team, own, { namespace: 'a', severity: 'page' }), true)
    assert.equal(isShown(team, own, { namespace: 'b' }), false)
    assert.equal(isShown(team, own, { namespace: 'a-x' }), false)
    assert.equal(isShown(team, own, { namespace: '' }), false)
    assert.equal(isShown(either, own, { dst_namespace: 'b' }), false)
    assert.equal(isShown(either, own, { namespace: 'b', dst_namespace: 'a' }), true)
  })

  it('are hidden when that label is a template, which no pattern can judge', () => {
    assert.equal(isShown(team, own, { namespace: '{{ $labels.namespace }}' }), false)
    assert.equal(isShown(named, own, { namespace: '{{ "b" }}' }), false)
    assert.equal(isShown(named, own, { namespace: 'c' }), true)
  })

  it("that read no series are somebody's by their labels, or nobody's", () => {
    assert.equal(isShown(team, 'vector(1)', { namespace: 'a' }), true)
    assert.equal(isShown(team, 'vector(1)', { namespace: 'b' }), false)
    assert.equal(isShown(team, 'vector(1)'), false)
    assert.equal(isShown(team, 'up', { namespace: 'a' }), false)
    assert.equal(isShown(team, 'not PromQL (', { namespace: 'a' }), false)
  })

  it('show those of their alerts whose own labels are in scope', () => {
    const mine = alert({ alertname: 'Down', namespace: 'a' })
    const given = [mine, alert({ alertname: 'Down' }), alert({ namespace: 'b' })]
    const filtered = filterRules(answer([group([alerting(own, { alerts: given })])]), team)
    assert.deepEqual(filtered, shown([group([alerting(own, { alerts: [mine] })])], 2))
  })

  it('keep the error of their evaluation, and go without alerts where the caller wanted none', () => {
    const rules = [alerting(own, { lastError: 'found duplicate series for {namespace="a"}', alerts: null })]
    const { alerts: _, ...copy } = rules[0] ?? {}
    assert.deepEqual(filterRules(answer([group(rules)]), team), shown([group([copy])], 0))
  })

  it('of old releases have no labels where there are none', () => {
    const { labels: _, ...bare } = recording(own)
    assert.deepEqual(filterRules(answer([group([bare])]), team), shown([group([bare])], 0))
  })

  it('lose fields that nobody here knows; a group keeps those that are single values', () => {
    const rule = recording(own, { dependencies: [foreign], note: foreign })
    const given = group([rule], {
      queryOffset: 60,
      partialResponseStrategy: 'ABORT',
      labels: { namespace: 'b' },
      of: ['b'],
    })
    const expected = group([recording(own)], { queryOffset: 60, partialResponseStrategy: 'ABORT' })
    assert.deepEqual(filterRules(answer([given], { others: ['b'] }), team), shown([expected], 0))
  })

  it('come in pages of groups that are left, with tokens as Prometheus makes them', () => {
    const named = (name: string, query: string): Record<string, unknown> => ({ ...group([recording(query)]), name })
    const given = answer([named('a', own), named('b', foreign), named('c', own), named('d', own)])
    const namesOf = (groups: number, from: string | null): unknown => {
      const filtered = filterRules(given, team, { groups, from })
      if (!filtered.ok) return filtered.error
      const { groups: left, groupNextToken } = Object(Object(filtered.value.answer).data)
      return { names: [...left].map(({ name }) => name), next: groupNextToken }
    }
    const token = (name: string): string =>
      createHash('sha256')
        .update(`${String(named(name, own)['file'])};${name}`)
        .digest('hex')
    assert.deepEqual(namesOf(1, null), { names: ['a'], next: token('c') })
    assert.deepEqual(namesOf(1, token('c')), { names: ['c'], next: token('d') })
    assert.deepEqual(namesOf(5, token('d')), { names: ['d'], next: undefined })
    for (const from of [token('b'), token('z'), '']) {
      assert.deepEqual(Object(namesOf(1, from)).is, 'page', 'another team’s group is no beginning')
    }
  })

  it('do not show a token that Prometheus gave: it tells of groups that are left out', () => {
    const filtered = filterRules(answer([group([recording(foreign)])], { groupNextToken: 'abc' }), team)
    assert.deepEqual(filtered, shown([], 1))
  })

  it('are all shown to who may see everything, and none to who may see nothing', () => {
    const given = answer([group([alerting('up', { later: 1 }), recording('not PromQL (')])], { others: 1 })
    assert.deepEqual(filterRules(given, { kind: 'everything' }), { ok: true, value: { answer: given, removed: 0 } })
    assert.deepEqual(filterRules(answer([group([recording(own)])]), { kind: 'nothing' }), shown([], 1))
  })
})
