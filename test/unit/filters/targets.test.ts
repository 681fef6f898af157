import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Scope } from '../../../src/policy/scope.ts'
import { filterTargets } from '../../../src/prometheus/filters/targets.ts'

const team: Scope = { kind: 'labels', alternatives: [{ label: 'namespace', allow: ['a'], deny: [] }] }

const target = (labels: Record<string, string>, more: object = {}) => ({
  discoveredLabels: {
    __meta_kubernetes_node_name: 'node of b',
    __meta_kubernetes_namespace: labels['namespace'] ?? '',
  },
  labels: { job: 'linkerd-proxy', ...labels },
  scrapePool: 'linkerd-proxy',
  scrapeUrl: 'http://10.0.0.1:4191/metrics',
  globalUrl: 'http://10.0.0.1:4191/metrics',
  lastError: 'server returned HTTP status 404 Not Found',
  lastScrape: '2026-11-20T03:00:00.5Z',
  lastScrapeDuration: 0.002,
  health: 'down',
  scrapeInterval: '10s',
  scrapeTimeout: '10s',
  ...more,
})
const dropped = { discoveredLabels: { __meta_kubernetes_namespace: 'b' }, scrapePool: 'linkerd-proxy' }
const answer = (activeTargets: unknown, more: object = {}) => ({
  status: 'success',
  data: { activeTargets, droppedTargets: [], ...more },
})

describe('the targets', () => {
  it('are the active ones in scope, with their addresses and errors but not what discovery knew', () => {
    const given = answer([target({ namespace: 'a' }), target({ namespace: 'b' }), target({})])
    const expected = answer([target({ namespace: 'a' }, { discoveredLabels: {} })])
    assert.deepEqual(filterTargets(given, team), { ok: true, value: { answer: expected, removed: 2 } })
  })

  it('are never dropped ones, nor their number in each pool', () => {
    const given = answer([], { droppedTargets: [dropped, dropped], droppedTargetCounts: { b: 2 } })
    assert.deepEqual(filterTargets(given, team), { ok: true, value: { answer: answer([]), removed: 2 } })
    const asOldReleases = answer([], { droppedTargets: null })
    assert.deepEqual(filterTargets(asOldReleases, team), { ok: true, value: { answer: answer([]), removed: 0 } })
  })

  it('are all shown to who may see everything, discovered labels too', () => {
    const given = answer([target({}), target({ namespace: 'b' })], {
      droppedTargets: [dropped],
      droppedTargetCounts: { b: 1 },
    })
    assert.deepEqual(filterTargets(given, { kind: 'everything' }), { ok: true, value: { answer: given, removed: 0 } })
  })

  it('lose fields that nobody here knows', () => {
    const given = answer([target({ namespace: 'a' }, { relabelSteps: [{ output: { namespace: 'b' } }] })])
    const expected = answer([target({ namespace: 'a' }, { discoveredLabels: {} })])
    assert.deepEqual(filterTargets(given, team), { ok: true, value: { answer: expected, removed: 0 } })
  })
})
