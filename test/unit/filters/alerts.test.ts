import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Scope } from '../../../src/policy/scope.ts'
import { filterAlerts } from '../../../src/prometheus/filters/alerts.ts'

const team: Scope = { kind: 'labels', alternatives: [{ label: 'namespace', allow: ['a'], deny: [] }] }
const everything: Scope = { kind: 'everything' }

const alert = (labels: Record<string, string>, more: object = {}) => ({
  labels: { alertname: 'Slow', ...labels },
  annotations: { summary: 'it is slow' },
  state: 'firing',
  activeAt: '2026-11-20T03:00:00.5Z',
  value: '1e+00',
  ...more,
})
const answer = (...alerts: unknown[]) => ({ status: 'success', data: { alerts } })

describe('the alerts', () => {
  it('are those whose own labels are in scope, whole and in order', () => {
    const own = [alert({ namespace: 'a' }), alert({ namespace: 'a', pod: 'p' }, { keepFiringSince: '2026-11-20' })]
    const given = answer(own[0], alert({ namespace: 'b' }), own[1], alert({}))
    assert.deepEqual(filterAlerts(given, team), { ok: true, value: { answer: answer(...own), removed: 2 } })
  })

  it('are all shown to who may see everything, and none to who may see nothing', () => {
    const given = answer(alert({}, { later: ['field'] }), alert({ namespace: 'b' }))
    assert.deepEqual(filterAlerts(given, everything), { ok: true, value: { answer: given, removed: 0 } })
    assert.deepEqual(filterAlerts(given, { kind: 'nothing' }), { ok: true, value: { answer: answer(), removed: 2 } })
  })

  it('are none where Thanos, to which no rule is connected, writes null for the list', () => {
    const given = { status: 'success', data: { alerts: null } }
    assert.deepEqual(filterAlerts(given, team), { ok: true, value: { answer: answer(), removed: 0 } })
  })

  it('lose the fields that nobody here knows, and so do the answer and its data', () => {
    const given = {
      status: 'success',
      warnings: ['b is slow'],
      data: { alerts: [alert({ namespace: 'a' }, { generator: 'up{namespace="b"}' })], others: ['b'] },
    }
    const expected = answer(alert({ namespace: 'a' }))
    assert.deepEqual(filterAlerts(given, team), { ok: true, value: { answer: expected, removed: 0 } })
  })

  it('may have a known field that is null', () => {
    const given = answer(alert({ namespace: 'a' }, { keepFiringSince: null, annotations: null }))
    assert.deepEqual(filterAlerts(given, team), { ok: true, value: { answer: given, removed: 0 } })
  })

  it('are refused when the answer is an error, which may quote what others have', () => {
    const error = { status: 'error', errorType: 'internal', error: 'namespace b' }
    for (const scope of [team, everything]) {
      const filtered = filterAlerts(error, scope)
      assert.deepEqual(filtered, {
        ok: false,
        error: { is: 'shape', message: 'not an answer that we know: the answer is not a success' },
      })
    }
  })
})
