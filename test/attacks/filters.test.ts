// Answers made to get something of others past the filters, or to break them.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Scope } from '../../src/policy/scope.ts'
import { filterAlerts } from '../../src/prometheus/filters/alerts.ts'
import { labelsInScope } from '../../src/prometheus/filters/labels.ts'
import { filterMetadata } from '../../src/prometheus/filters/metadata.ts'
import { filterRules } from '../../src/prometheus/filters/rules.ts'
import { filterTargets } from '../../src/prometheus/filters/targets.ts'

const alice: Scope = { kind: 'labels', alternatives: [{ label: 'namespace', allow: ['emojivoto'], deny: [] }] }
const called: Scope = { kind: 'labels', alternatives: [{ label: 'dst_namespace', allow: ['emojivoto'], deny: [] }] }
const odd = (label: string): Scope => ({ kind: 'labels', alternatives: [{ label, allow: ['*'], deny: [] }] })

const success = (data: unknown) => ({ status: 'success', data })
const rulesOf = (query: unknown, labels: unknown = {}) =>
  success({
    groups: [{ name: 'g', file: 'f', rules: [{ type: 'recording', name: 'r', query, labels, health: 'ok' }] }],
  })
const alertsOf = (...labels: unknown[]) => success({ alerts: labels.map((one) => ({ labels: one, annotations: {} })) })
const targetsOf = (...labels: unknown[]) => success({ activeTargets: labels.map((one) => ({ labels: one })) })

/** How many rules of an answer with one alice sees. */
function seen(query: string, scope: Scope = alice): number {
  const filtered = filterRules(rulesOf(query), scope)
  assert.ok(filtered.ok)
  return 1 - filtered.value.removed
}

describe('a rule that only looks as if it kept to a namespace', () => {
  const bait = [
    'up # {namespace="emojivoto"}',
    'up or # this\nup{namespace="emojivoto"}',
    String.raw`up{pod="{namespace=\"emojivoto\"}"}`,
    'up{pod=`namespace="emojivoto"`}',
    `up{pod='",namespace="emojivoto'}`,
    'label_replace(up, "namespace", "emojivoto", "", "")',
    'label_replace(up, "x", "up{namespace=\\"emojivoto\\"}", "", "")',
    'count_values("namespace", up)',
    'sum by (namespace) (up) * on () group_left () vector(1)',
    'up{Namespace="emojivoto"}',
    'up{"name space"="emojivoto"}',
    'up{namespace="emojivoto\\n"}',
    'up{namespace="EMOJIVOTO"}',
    'up{namespace=~"emojivoto|payments"}',
    'up{namespace=~"emojivoto|"}',
    'up{namespace=~"emojivoto|.*"}',
    'up{namespace=~"emoji.*"}',
    'up{namespace=~".*", namespace!=""}',
    'up{namespace!="payments"}',
    'up{namespace!~"payments|ops"}',
    'up{namespace=~"^emojivoto"}',
    'up{namespace=~"emojivoto$|payments"}',
    'up{namespace="emojivoto"} or up',
    'up{namespace="emojivoto"} unless on (pod) up{namespace="payments"}',
    'absent(up{namespace="emojivoto"}) or absent(up{namespace="payments"})',
    'topk(scalar(sum(up{namespace="payments"})), up{namespace="emojivoto"})',
    'count(up{namespace="emojivoto"}) + max_over_time(count(up)[1h:])',
    'info(up{namespace="emojivoto"}, {namespace="payments"})',
    'up{dst_namespace="emojivoto"}',
    'up{namespace="emojivoto"',
    'namespace{}',
    'emojivoto',
  ]
  for (const query of bait) it(`is hidden: ${query}`, () => assert.equal(seen(query), 0))

  it('is hidden when it is longer than any query may be', () => {
    assert.equal(seen(`up{namespace="emojivoto"} ${'+ up{namespace="emojivoto"}'.repeat(5000)}`), 0)
    assert.equal(seen(`${'('.repeat(5000)}up{namespace="emojivoto"}${')'.repeat(5000)}`), 0)
  })

  it('is judged by the label that the right is about', () => {
    assert.equal(seen('response_total{dst_namespace="emojivoto"}', called), 1)
    assert.equal(seen('response_total{namespace="emojivoto"}', called), 0)
    assert.equal(seen('response_total{dst_namespace="emojivoto", namespace="payments"}', called), 1)
    assert.equal(seen('response_total{namespace="emojivoto"} / response_total{dst_namespace="emojivoto"}', called), 0)
  })
})

describe('labels that collide with what every object has', () => {
  const names = ['constructor', 'toString', 'hasOwnProperty', '__proto__', 'valueOf']

  it('are not taken for labels where there are none', () => {
    for (const label of names) assert.equal(labelsInScope({}, odd(label)), false, label)
  })

  it('count where they are labels', () => {
    for (const label of names) {
      const labels: unknown = JSON.parse(`{"${label}":"x"}`)
      const filtered = filterAlerts(alertsOf(labels), odd(label))
      assert.ok(filtered.ok)
      assert.equal(filtered.value.removed, 0, label)
      assert.match(JSON.stringify(filtered.value.answer), new RegExp(`"${label}":"x"`))
    }
  })

  it('do not become a prototype that lends a namespace', () => {
    const lent: unknown = JSON.parse('{"__proto__":"emojivoto","pod":"x"}')
    const filtered = filterAlerts(alertsOf(lent), alice)
    assert.ok(filtered.ok)
    assert.equal(filtered.value.removed, 1)
    const asObject: unknown = JSON.parse('{"__proto__":{"namespace":"emojivoto"}}')
    assert.equal(filterAlerts(alertsOf(asObject), alice).ok, false)
  })

  it('do not lend fields to an answer either', () => {
    const inherited: unknown = Object.create(success({ alerts: [] }))
    assert.equal(filterAlerts(inherited, alice).ok, false)
    const data: unknown = JSON.parse('{"status":"success","data":{"__proto__":{"alerts":[]}}}')
    assert.equal(filterAlerts(data, alice).ok, false)
  })

  it('are families of metrics like others', () => {
    const data: unknown = JSON.parse(
      '{"__proto__":[{"type":"gauge","help":"theirs"}],"constructor":[{"type":"gauge"}]}',
    )
    const none = filterMetadata(success(data), new Set(['up']))
    assert.deepEqual(none, { ok: true, value: { answer: success({}), removed: 2 } })
    const one = filterMetadata(success(data), new Set(['__proto__']))
    assert.ok(one.ok)
    assert.equal(
      JSON.stringify(one.value.answer),
      '{"status":"success","data":{"__proto__":[{"type":"gauge","help":"theirs"}]}}',
    )
  })
})

describe('an answer of another shape', () => {
  const wrong = [null, true, 1, 'emojivoto', [], ['emojivoto'], [[]]]

  for (const [name, filter] of [
    ['rules', (answer: unknown) => filterRules(answer, alice)],
    ['alerts', (answer: unknown) => filterAlerts(answer, alice)],
    ['targets', (answer: unknown) => filterTargets(answer, alice)],
    ['metadata', (answer: unknown) => filterMetadata(answer, new Set(['up']))],
  ] as const) {
    it(`is refused as ${name}: no envelope, no success, no data`, () => {
      for (const answer of [
        ...wrong,
        undefined,
        {},
        { data: {} },
        { status: 'Success', data: {} },
        { status: 'success' },
      ]) {
        assert.equal(filter(answer).ok, false, JSON.stringify(answer))
      }
      for (const data of wrong) assert.equal(filter(success(data)).ok, false, JSON.stringify(data))
    })
  }

  it('is refused, whatever stands where labels should', () => {
    for (const labels of wrong) {
      assert.equal(filterAlerts(alertsOf(labels), alice).ok, false)
      assert.equal(filterTargets(targetsOf(labels), alice).ok, false)
      if (labels !== null) assert.equal(filterRules(rulesOf('up{namespace="emojivoto"}', labels), alice).ok, false)
    }
  })

  it('is refused when a label is not a text, though it would read like one', () => {
    for (const value of [['emojivoto'], { 0: 'emojivoto' }, 1, true, null]) {
      const labels = { namespace: value }
      assert.equal(filterAlerts(alertsOf(labels), alice).ok, false)
      assert.equal(filterTargets(targetsOf(labels), alice).ok, false)
      assert.equal(filterRules(rulesOf('up{namespace="emojivoto"}', labels), alice).ok, false)
    }
  })

  it('is refused when a known field of something in scope hides an object', () => {
    const labels = { namespace: 'emojivoto' }
    const more = { of: 'payments' }
    for (const alert of [
      { labels, value: more },
      { labels, annotations: { more } },
      { labels, state: [more] },
    ]) {
      assert.equal(filterAlerts(success({ alerts: [alert] }), alice).ok, false)
    }
    for (const target of [
      { labels, lastError: more },
      { labels, lastScrapeDuration: '1' },
    ]) {
      assert.equal(filterTargets(success({ activeTargets: [target] }), alice).ok, false)
    }
    const metadata = { up: [{ type: 'gauge', help: more }] }
    assert.equal(filterMetadata(success(metadata), new Set(['up'])).ok, false)
  })

  it('is refused when lists and their items are something else', () => {
    for (const value of wrong.filter((one) => !Array.isArray(one))) {
      // Thanos writes null for an empty list of alerts, and of nothing else.
      assert.equal(filterAlerts(success({ alerts: value }), alice).ok, value === null)
      assert.equal(filterAlerts(success({ alerts: [value] }), alice).ok, false)
      assert.equal(filterTargets(success({ activeTargets: value }), alice).ok, false)
      assert.equal(filterTargets(success({ activeTargets: [value] }), alice).ok, false)
      assert.equal(filterRules(success({ groups: value }), alice).ok, false)
      assert.equal(filterRules(success({ groups: [value] }), alice).ok, false)
      assert.equal(filterRules(success({ groups: [{ name: 'g', file: 'f', rules: value }] }), alice).ok, false)
      assert.equal(filterRules(success({ groups: [{ name: 'g', file: 'f', rules: [value] }] }), alice).ok, false)
      assert.equal(filterMetadata(success({ up: value }), new Set(['up'])).ok, false)
      assert.equal(filterMetadata(success({ up: [value] }), new Set(['up'])).ok, false)
    }
    assert.equal(filterRules(rulesOf(['up{namespace="emojivoto"}']), alice).ok, false)
  })

  it('is refused when a group does not say its name and file', () => {
    for (const group of [
      { file: 'f' },
      { name: 'g' },
      { name: ['g'], file: 'f' },
      { name: 'g', file: { of: 'payments' } },
    ]) {
      assert.equal(filterRules(success({ groups: [{ ...group, rules: [] }] }), alice).ok, false)
    }
  })

  it('is refused when a rule is of a type that is unknown', () => {
    for (const type of ['Recording', '', null, ['recording']]) {
      const rule = { type, query: 'up{namespace="emojivoto"}', labels: {} }
      assert.equal(filterRules(success({ groups: [{ name: 'g', file: 'f', rules: [rule] }] }), alice).ok, false)
    }
  })

  it('is refused with a message that quotes none of it', () => {
    const filtered = filterAlerts(alertsOf({ namespace: 'payments', payments: ['payments'] }), alice)
    assert.ok(!filtered.ok)
    assert.doesNotMatch(filtered.error.message, /payments/)
  })
})

describe('an answer that is nested a hundred thousand deep', () => {
  const depth = 100_000
  const deep: unknown = JSON.parse('[{"x":'.repeat(depth) + '1' + '}]'.repeat(depth))

  it('is left out where nobody knows the field, and refused where one is known', () => {
    const labels = { namespace: 'emojivoto' }
    const filtered = filterAlerts(success({ alerts: [{ labels, deep }], deep }), alice)
    assert.deepEqual(filtered, { ok: true, value: { answer: success({ alerts: [{ labels }] }), removed: 0 } })
    assert.equal(filterAlerts(success({ alerts: deep }), alice).ok, false)
    assert.equal(filterAlerts(alertsOf(deep), alice).ok, false)
    assert.equal(filterTargets(targetsOf({ namespace: deep }), alice).ok, false)
    assert.equal(filterMetadata(success({ up: deep }), new Set(['up'])).ok, false)
  })

  it('is left out of a group too', () => {
    const rule = { type: 'recording', query: 'up{namespace="emojivoto"}', deep }
    const filtered = filterRules(success({ groups: [{ name: 'g', file: 'f', rules: [rule], deep }] }), alice)
    assert.ok(filtered.ok)
    assert.doesNotMatch(JSON.stringify(filtered.value.answer), /deep/)
  })
})
