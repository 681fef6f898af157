// Random answers in which every text of what is not alice's names a namespace that is not hers, also in fields that no
// Prometheus has yet: none of these names may be left, and nothing of hers may be missing.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Scope } from '../../../src/policy/scope.ts'
import { filterAlerts } from '../../../src/prometheus/filters/alerts.ts'
import { filterMetadata } from '../../../src/prometheus/filters/metadata.ts'
import { filterRules } from '../../../src/prometheus/filters/rules.ts'
import type { Filtered, UnknownAnswer } from '../../../src/prometheus/filters/shape.ts'
import { filterTargets } from '../../../src/prometheus/filters/targets.ts'
import type { Result } from '../../../src/result.ts'

const scope: Scope = {
  kind: 'labels',
  alternatives: [
    { label: 'namespace', allow: ['emojivoto', 'team-*'], deny: ['team-secret'] },
    { label: 'dst_namespace', allow: ['emojivoto'], deny: [] },
  ],
}
const others = ['payments', 'team-secret', 'emojivoto2', 'Emojivoto'] as const
const othersName = new RegExp(others.join('|'))

type Json = Readonly<Record<string, unknown>>
const plain = { noNullPrototype: true } as const
const record = (of: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<Json> => fc.record(of, plain)

const mine = fc.constantFrom('emojivoto', 'team-x')
const foreign = fc.constantFrom(...others)
const foreignText = foreign.map((name) => `of ${name}, see {namespace="${name}"}`)
const foreignLabels = fc.oneof(
  foreign.map((namespace) => ({ alertname: namespace, namespace, [namespace]: namespace })),
  foreign.map((name) => ({ alertname: `no namespace, but of ${name}`, exported_namespace: name })),
  foreign.map((name) => ({ namespace: name, dst_namespace: name })),
  foreign.map((name) => ({ dst_namespace: name, namespace: '' })),
)
const myLabels = fc.oneof(
  mine.map((namespace) => ({ alertname: 'Mine', namespace })),
  fc.constant({ alertname: 'Mine', namespace: 'linkerd', dst_namespace: 'emojivoto' }),
)
const nested = fc.oneof(
  foreignText,
  foreign.map((name) => [name, { [name]: [name] }]),
  foreign.map((name) => ({ constructor: name, deep: { deeper: [{ name }] } })),
)
/** Fields of the future, in any object. */
const unknownFields = fc.dictionary(fc.constantFrom('x', 'later', '__proto__', 'toJSON', 'data'), nested, {
  noNullPrototype: true,
})
const withUnknown = (object: fc.Arbitrary<Json>): fc.Arbitrary<Json> =>
  fc.tuple(unknownFields, object).map(([unknown, known]) => ({ ...unknown, ...known }))

function alertOf(labels: fc.Arbitrary<Json>, text: fc.Arbitrary<string>): fc.Arbitrary<Json> {
  return withUnknown(
    record({ labels, annotations: record({ summary: text }), state: text, activeAt: text, value: text }),
  )
}
const myAlert = alertOf(myLabels, fc.constantFrom('firing', 'it is slow'))
const foreignAlert = alertOf(foreignLabels, foreignText)

interface Rule {
  readonly query: fc.Arbitrary<string>
  readonly labels: fc.Arbitrary<Json>
  readonly text: fc.Arbitrary<string>
}
function ruleOf({ query, labels, text }: Rule): fc.Arbitrary<Json> {
  const bookkeeping = { name: text, query, labels, health: text, lastError: text, lastEvaluation: text }
  const alerts = fc.array(fc.oneof(myAlert, foreignAlert), { maxLength: 3 })
  const alerting = { ...bookkeeping, type: fc.constant('alerting'), state: text, annotations: record({ text }), alerts }
  return withUnknown(fc.oneof(record({ ...bookkeeping, type: fc.constant('recording') }), record(alerting)))
}
const myText = fc.constantFrom('Slow', 'ok', '')
const myQuery = mine.map((name) => `sum(rate(request_total{namespace="${name}"}[5m])) / sum(up{namespace=~"${name}"})`)
const myRule = ruleOf({ query: myQuery, labels: fc.constantFrom({}, { severity: 'page' }), text: myText })
const foreignRule = fc.oneof(
  ruleOf({ query: foreign.map((name) => `up{namespace="${name}"}`), labels: fc.constant({}), text: foreignText }),
  ruleOf({ query: foreign.map((name) => `up{pod="${name}"}`), labels: myLabels, text: foreignText }),
  ruleOf({ query: foreign.map((name) => `${name} ( no PromQL`), labels: myLabels, text: foreignText }),
  ruleOf({ query: myQuery, labels: foreign.map((namespace) => ({ namespace })), text: foreignText }),
  ruleOf({
    query: foreign.map((name) => `up{namespace="emojivoto"} or up{namespace=~"emojivoto|${name}"}`),
    labels: fc.constant({}),
    text: foreignText,
  }),
)
/** Of a group's own fields the single values stay, so only the nested ones of the future name others. */
const nestedFields = fc.dictionary(
  fc.constantFrom('x', 'labels'),
  nested.filter((one) => typeof one !== 'string'),
  {
    noNullPrototype: true,
  },
)
const group = fc.oneof(
  fc
    .tuple(nestedFields, record({ name: myText, file: myText, rules: fc.array(fc.oneof(myRule, foreignRule)) }))
    .map(([unknown, known]) => ({ ...unknown, ...known })),
  withUnknown(record({ name: foreignText, file: foreignText, rules: fc.array(foreignRule) })),
)

function targetOf(labels: fc.Arbitrary<Json>, text: fc.Arbitrary<string>): fc.Arbitrary<Json> {
  const addresses = { scrapePool: text, scrapeUrl: text, globalUrl: text, lastError: text, health: text }
  return withUnknown(record({ discoveredLabels: foreignLabels, labels, ...addresses }))
}
const myTarget = targetOf(myLabels, fc.constantFrom('http://10.0.0.1:4191/metrics', 'up'))
const foreignTarget = targetOf(foreignLabels, foreignText)

/** The answer as it goes out, after it has come in as text. */
function filtered(data: Json, extra: Json, filter: (answer: unknown) => Result<Filtered, UnknownAnswer>): string {
  const result = filter(JSON.parse(JSON.stringify({ ...extra, status: 'success', data })))
  assert.ok(result.ok, result.ok ? '' : result.error.message)
  return JSON.stringify(result.value.answer)
}

/** Counts of what is alice's are told by a word that only hers has. */
const count = (text: string, word: string): number => text.split(word).length - 1
const runs = { numRuns: 400 }

describe('of what belongs to others, nothing is left', () => {
  it('of alerts', () => {
    const alerts = fc.array(fc.oneof(myAlert, foreignAlert), { maxLength: 8 })
    fc.assert(
      fc.property(alerts, unknownFields, (alerts, extra) => {
        const text = filtered({ ...extra, alerts }, extra, (answer) => filterAlerts(answer, scope))
        assert.doesNotMatch(text, othersName)
        assert.equal(count(text, '"alertname":"Mine"'), count(JSON.stringify(alerts), '"alertname":"Mine"'))
      }),
      runs,
    )
  })

  it('of rules', () => {
    fc.assert(
      fc.property(fc.array(group, { maxLength: 4 }), unknownFields, (groups, extra) => {
        const text = filtered({ ...extra, groups }, extra, (answer) => filterRules(answer, scope))
        assert.doesNotMatch(text, othersName)
        assert.doesNotMatch(text, /"rules":\[\]/)
      }),
      runs,
    )
  })

  it('and every rule of hers stays', () => {
    fc.assert(
      fc.property(fc.array(myRule, { minLength: 1, maxLength: 4 }), (rules) => {
        const groups = [{ name: 'g', file: 'f', rules }]
        const text = filtered({ groups }, {}, (answer) => filterRules(answer, scope))
        assert.equal(count(text, '"query":'), rules.length)
      }),
      runs,
    )
  })

  it('of targets', () => {
    const targets = fc.array(fc.oneof(myTarget, foreignTarget), { maxLength: 8 })
    const dropped = fc.array(record({ discoveredLabels: foreignLabels, scrapePool: foreignText }), { maxLength: 3 })
    const counts = fc.dictionary(foreign, fc.nat(), { noNullPrototype: true })
    fc.assert(
      fc.property(targets, dropped, counts, unknownFields, (activeTargets, droppedTargets, counts, extra) => {
        const data = { ...extra, activeTargets, droppedTargets, droppedTargetCounts: counts }
        const text = filtered(data, extra, (answer) => filterTargets(answer, scope))
        assert.doesNotMatch(text, othersName)
        assert.equal(
          count(text, '"alertname":"Mine"'),
          count(JSON.stringify(activeTargets.map(({ labels }) => labels)), 'Mine'),
        )
      }),
      runs,
    )
  })

  it('of metadata', () => {
    const type = fc.constantFrom('counter', 'gauge', 'histogram', 'summary', 'unknown', 'of the future')
    const entry = (text: fc.Arbitrary<string>) => withUnknown(record({ type, help: text, unit: text }))
    const family = fc.oneof(
      fc.tuple(fc.constantFrom('up', 'request_total'), fc.array(entry(myText), { minLength: 1, maxLength: 2 })),
      fc.tuple(
        foreign.map((name) => `${name.replace('-', '_')}_total`),
        fc.array(entry(foreignText), { maxLength: 2 }),
      ),
    )
    const othersFamily = new RegExp([...others, 'team_secret'].join('|'))
    fc.assert(
      fc.property(fc.array(family), unknownFields, (families, extra) => {
        const names = new Set(['up', 'request_total'])
        const data = Object.fromEntries(families)
        const text = filtered(data, extra, (answer) => filterMetadata(answer, names))
        assert.doesNotMatch(text, othersFamily)
        assert.equal(count(text, '"type":'), families.length === 0 ? 0 : entriesOf(data, names))
      }),
      runs,
    )
  })
})

const entriesOf = (data: Readonly<Record<string, readonly unknown[]>>, names: ReadonlySet<string>): number =>
  Object.entries(data).reduce((sum, [name, entries]) => sum + (names.has(name) ? entries.length : 0), 0)
