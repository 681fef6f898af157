import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { endpoints, findEndpoint } from '../../src/prometheus/endpoints.ts'
import { checkParams, readParams } from '../../src/prometheus/params.ts'
import type { CheckedParams, ParamRefusal } from '../../src/prometheus/params.ts'
import type { Result } from '../../src/result.ts'

const table = endpoints['/api/v1/query_range'].params
const check = (url: string, body = ''): Result<CheckedParams, ParamRefusal> => checkParams(readParams(url, body), table)

const refusalOf = (url: string, body = ''): string => {
  const checked = check(url, body)
  assert.equal(checked.ok, false, `${url} was accepted`)
  return checked.error.message
}

describe('parameters', () => {
  it('come from URL and body together', () => {
    const checked = check('start=1', 'query=up&step=15')
    assert.ok(checked.ok)
    assert.deepEqual(
      [...checked.value.single],
      [
        ['start', '1'],
        ['query', 'up'],
        ['step', '15'],
      ],
    )
  })
  it('given twice are refused, in whichever places and though one is empty', () => {
    for (const [url, body] of [
      ['query=a&query=b', ''],
      ['query=a', 'query=b'],
      ['', 'query=a&query=b'],
      ['query=', 'query=b'],
      ['start=&start=1', ''],
      ['%71uery=a&query=b', ''],
    ] as const) {
      assert.match(refusalOf(url, body), /more than once/)
    }
  })
  it('of how long and how much may be given twice with the same value, as Grafana does with its custom parameters', () => {
    const checked = check('timeout=30s&limit=5', 'query=up&timeout=30s&limit=5')
    assert.ok(checked.ok)
    assert.deepEqual([checked.value.single.get('timeout'), checked.value.single.get('limit')], ['30s', '5'])
    assert.match(refusalOf('timeout=30s', 'timeout=30'), /more than once/)
    assert.match(refusalOf('timeout=', 'timeout=30s'), /more than once/)
    assert.match(refusalOf('query=up', 'query=up'), /more than once/)
    assert.match(refusalOf('start=1', 'start=1'), /more than once/)
  })
  it('that Prometheus has no use for are checked, and not sent on', () => {
    const { params } = endpoints['/api/v1/labels']
    const checked = checkParams(readParams('timeout=30s&limit=1', ''), params)
    assert.ok(checked.ok)
    assert.deepEqual([...checked.value.single], [['limit', '1']])
    assert.equal(checkParams(readParams('timeout=soon', ''), params).ok, false)
  })
  it('that are unknown are refused by name, with those that are known', () => {
    assert.match(refusalOf('extra_label=x'), /unknown parameter "extra_label"; this endpoint takes: query, start/)
    for (const name of [
      'tenant',
      'dedup',
      'storeMatch[]',
      'match[]',
      'match',
      'Query',
      'query ',
      '__proto__',
      'constructor',
      'access_token',
      'time',
    ]) {
      refusalOf(`${encodeURIComponent(name)}=x`)
    }
  })
  it('that are empty count as not given', () => {
    const checked = check('timeout=&query=up&stats=')
    assert.ok(checked.ok)
    assert.deepEqual([...checked.value.single.keys()], ['query'])
  })
  it('take the times that Prometheus takes', () => {
    for (const time of [
      '0',
      '4',
      '1795140000',
      '1795140000.123',
      '1795140000123',
      '1e9',
      '-5',
      '2026-11-20T03:05:00Z',
      '2026-11-20T03:05:00.5+01:00',
      '-292273086-05-16T16:47:06Z',
      '292277025-08-18T07:12:54.999999999Z',
    ]) {
      assert.ok(check(`start=${encodeURIComponent(time)}`).ok, time)
    }
    for (const time of ['now', '2026-11-20', 'NaN', 'Inf', '0x10', '1_000', ' 1', '1 ', '1\n', '1;b=2', '１']) {
      refusalOf(`start=${encodeURIComponent(time)}`)
    }
  })
  it('take the durations that Prometheus takes', () => {
    for (const step of ['15', '0.5', '15s', '1h30m', '1d', '500ms']) assert.ok(check(`step=${step}`).ok, step)
    for (const step of ['s', '1m1h', '1 m', '5x', '-']) refusalOf(`step=${encodeURIComponent(step)}`)
  })
  it('never crash the reader, and what is accepted holds nothing but known names', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (url, body) => {
        const checked = check(url, body)
        if (!checked.ok) return
        for (const name of checked.value.single.keys()) assert.ok(Object.hasOwn(table, name))
      }),
    )
  })
})

describe('paths', () => {
  it('of the table are found', () => {
    assert.equal(findEndpoint('/api/v1/query')?.name, '/api/v1/query')
    assert.equal(findEndpoint('/api/v1/label/namespace/values')?.name, '/api/v1/label/<name>/values')
    assert.equal(findEndpoint('/api/v1/label/U__a_2e_b/values')?.path, '/api/v1/label/U__a_2e_b/values')
  })
  it('written in any other way are not', () => {
    for (const path of [
      '/api/v1/%71uery',
      '/api/v1/query/',
      '//api/v1/query',
      '/api/v1//query',
      '/api/v1/./query',
      '/api/v1/x/../query',
      '/api/v1/query;x',
      '/API/v1/query',
      '/api/v1/query%00',
      '/api/v1/query#x',
      '/api/v1/label/<name>/values',
      '/api/v1/label//values',
      '/api/v1/label/a%2fb/values',
      '/api/v1/label/../values',
      '/api/v1/label/a/values/',
      '/api/v1/label/a\n/values',
      '/api/v1/admin/tsdb',
      '/api/v1/status/config/',
      '/metrics',
      '/-/quit',
      '/',
      '',
      '*',
      'http://x/api/v1/query',
      'constructor',
      '/api/v1/toString',
    ]) {
      assert.equal(findEndpoint(path), null, path)
    }
  })
})
