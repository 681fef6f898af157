import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { profiles, scopeFor } from '../../src/policy/profile.ts'
import type { Grant, Profile, View } from '../../src/policy/profile.ts'
import { describeScope } from '../../src/policy/scope.ts'
import type { Scope } from '../../src/policy/scope.ts'
import { defaultLimits, rewriteQuery } from '../../src/promql/rewrite.ts'

const { linkerd, istio } = profiles
const grant = (view: View, allow: readonly string[] = ['x'], deny: readonly string[] = []): Grant => ({
  view,
  allow,
  deny,
})

/** The matchers that a selector of the metric gets, one text for each alternative. */
function matchersFor(metric: string, scope: Scope): readonly string[] {
  const result = rewriteQuery(`count(${metric})`, scope)
  assert.ok(result.ok, result.ok ? '' : result.error.message)
  return [...result.value.sent.matchAll(/\{(\w+=~"[^"]*")/g)].map(([, first = '']) => first)
}

const own = 'namespace=~"x"'
const destination = 'dst_namespace=~"x"'
const called = ['parent_namespace=~"x"', 'backend_namespace=~"x"']
const dst = String.raw`dst=~".*\\.x\\.svc\\..*"`
const workload = ['destination_workload_namespace=~"x"', 'destination_service_namespace=~"x"']

type Row = readonly [profile: Profile, metric: string, destination: readonly string[], both?: readonly string[]]

const rows: readonly Row[] = [
  [linkerd, 'request_total', [destination]],
  [linkerd, 'response_total', [destination]],
  [linkerd, 'response_latency_ms_bucket', [destination]],
  [linkerd, 'tcp_open_total', [destination]],
  [linkerd, 'tcp_read_bytes_total', [destination]],
  [linkerd, 'outbound_http_route_request_duration_seconds_count', called],
  [linkerd, 'outbound_grpc_route_backend_response_statuses_total', called],
  [linkerd, 'outbound_http_balancer_endpoints', called],
  [linkerd, 'outbound_tcp_balancer_queue_length', called],
  [linkerd, 'route_request_total', [dst]],
  [linkerd, 'route_actual_response_latency_ms_bucket', [dst]],
  [linkerd, '{__name__=~"route_.*"}', [destination]],
  [linkerd, '{job="linkerd-proxy"}', [destination]],
  // The proxies that saw these know nobody but themselves: their metrics lack the label of the destination.
  [linkerd, 'inbound_http_authz_deny_total', [destination], [own]],
  [linkerd, 'inbound_tcp_transport_header_connections_total', [destination], [own]],
  [linkerd, 'control_request_total', [destination], [own]],
  [linkerd, 'process_start_time_seconds', [destination], [own]],
  [istio, 'istio_requests_total', workload],
  [istio, 'istio_tcp_sent_bytes_total', workload],
  [istio, '{__name__=~"istio_.*"}', workload],
  [istio, 'envoy_cluster_upstream_cx_total', workload, [own]],
  [istio, 'pilot_xds_pushes', workload, [own]],
]

describe('whose samples they are', () => {
  for (const [profile, metric, wanted, both = [own, ...wanted]] of rows) {
    it(`${profile === istio ? 'Istio' : 'Linkerd'}: ${metric}`, () => {
      assert.deepEqual(matchersFor(metric, scopeFor(profile, [grant('own')])), [own])
      assert.deepEqual(matchersFor(metric, scopeFor(profile, [grant('destination')])), wanted)
      assert.deepEqual(matchersFor(metric, scopeFor(profile, [grant('both')])), both)
    })
  }
})

describe('the scope for grants', () => {
  it('of nothing is a refusal', () => {
    assert.deepEqual(scopeFor(linkerd, []), { kind: 'nothing' })
    assert.deepEqual(scopeFor(linkerd, [grant('both', [])]), { kind: 'nothing' })
  })

  it('of the own view is one list and needs no families', () => {
    const scope = scopeFor(linkerd, [grant('own', ['b']), grant('own', ['a', 'b'])])
    assert.deepEqual(scope, { kind: 'labels', alternatives: [{ label: 'namespace', allow: ['a', 'b'], deny: [] }] })
  })

  it('gives each namespace only the views that it was granted with', () => {
    const scope = scopeFor(linkerd, [grant('own', ['a']), grant('destination', ['b'])])
    assert.deepEqual(matchersFor('request_total', scope), ['namespace=~"a"', 'dst_namespace=~"b"'])
    assert.deepEqual(matchersFor('inbound_http_authz_deny_total', scope), ['namespace=~"a"'])
    assert.deepEqual(matchersFor('route_request_total', scope), ['namespace=~"a"', dst.replace('x', 'b')])
  })

  it('writes patterns and denies into values that hold a namespace', () => {
    const scope = scopeFor(linkerd, [grant('destination', ['team-*', '*'], ['team-x'])])
    const family = scope.kind === 'labels' ? scope.families?.find(({ metrics }) => metrics === 'route_*') : undefined
    assert.deepEqual(family?.alternatives, [
      { label: 'dst', allow: ['*.*.svc.*', '*.team-*.svc.*'], deny: ['*.team-x.svc.*'] },
    ])
    const result = rewriteQuery('route_request_total', scope)
    assert.equal(
      result.ok && result.value.sent,
      String.raw`route_request_total{dst=~".*\\..*\\.svc\\..*",dst!~".*\\.team-x\\.svc\\..*"}`,
    )
  })

  it('keeps a deny beside its own allow', () => {
    const scope = scopeFor(linkerd, [grant('own', ['a*'], ['ab']), grant('own', ['ab*'])])
    assert.deepEqual(scope, {
      kind: 'labels',
      alternatives: [
        { label: 'namespace', allow: ['a*'], deny: ['ab'] },
        { label: 'namespace', allow: ['ab*'], deny: [] },
      ],
    })
  })

  it('stays within what a rewriting takes, however many grants there are', () => {
    const views: readonly View[] = ['own', 'destination', 'both']
    const many = Array.from({ length: 300 }, (_, index) => grant(views[index % 3] ?? 'own', [`n${index}`]))
    for (const profile of [linkerd, istio]) {
      const scope = scopeFor(profile, many)
      assert.ok(scope.kind === 'labels' && scope.alternatives.length < defaultLimits.alternatives)
      assert.ok(rewriteQuery('request_total / istio_requests_total / route_x / inbound_x', scope).ok)
    }
  })

  it('is described in one line', () => {
    assert.equal(
      describeScope(scopeFor(istio, [grant('both', ['a', 'b-*'], ['b-x'])])),
      'namespace: a, b-* but not b-x; or destination_workload_namespace: a, b-* but not b-x; ' +
        'or destination_service_namespace: a, b-* but not b-x; for envoy_*: namespace: a, b-* but not b-x; ' +
        'for pilot_*: namespace: a, b-* but not b-x; for process_*: namespace: a, b-* but not b-x',
    )
    assert.equal(describeScope(scopeFor(linkerd, [grant('own', ['a'])])), 'namespace: a')
    assert.equal(
      describeScope(scopeFor(linkerd, [grant('destination', ['a'])])),
      'dst_namespace: a; for outbound_*_route_*: parent_namespace: a; or backend_namespace: a; ' +
        'for outbound_*_balancer_*: parent_namespace: a; or backend_namespace: a; for route_*: dst: *.a.svc.*',
    )
    for (const view of ['own', 'destination', 'both'] as const) {
      assert.doesNotMatch(describeScope(scopeFor(linkerd, [grant(view)])), /\n/)
    }
  })
})

describe('a profile', () => {
  it('never takes a label away that a metric of the family might have', () => {
    // These have no label of another side, as Linkerd and Istio document them.
    const alone = /^(?:inbound|control|identity|process|stack|tokio|envoy|pilot)_\*$/
    for (const profile of [linkerd, istio]) {
      for (const { metrics, own: seen, destination: others } of profile.families) {
        assert.deepEqual(seen, profile.own, metrics)
        assert.ok(others.length > 0 || alone.test(metrics), metrics)
      }
    }
  })
})
