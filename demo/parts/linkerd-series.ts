import { type Call, clientId, type Labels, type Mesh, type Pod, type Workload } from './linkerd-mesh.ts'

/** One series without its target's labels. */
export interface Series {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly labels: Labels
  /** Its value at a time in seconds since 1970, or nothing where the series does not exist. The same answer every time. */
  readonly value: (at: number) => number | undefined
}

/** A proxy forgets a series ten minutes after its last call. */
const expirySeconds = 600

const buckets = ['10', '50', '100', '1000', '+Inf'] as const

/**
 * How many events a steady process counted after so many seconds: whole, never falling, in gentle waves of about
 * half an hour. Being a function of time alone, it goes on after a history has ended where that history stopped.
 */
export function counted(perSecond: number, seconds: number): number {
  if (seconds <= 0) return 0
  const wave = 1700
  const swing = 0.6 // below 1, so that the rate stays positive
  const swung = ((swing * wave) / (2 * Math.PI)) * (1 - Math.cos((2 * Math.PI * seconds) / wave))
  return Math.floor(perSecond * (seconds + swung))
}

/**
 * How often a call was made up to a time; nothing where no proxy holds the series any more, or not yet.
 * @param mesh says since when the calls that always happen do happen
 */
export function callsUntil(mesh: Mesh, call: Call, at: number): number | undefined {
  if (call.during === undefined) return at < mesh.started ? undefined : counted(call.perSecond, at - mesh.started)
  const { from, until } = call.during
  if (at < from || at > until + expirySeconds) return undefined
  // A series that is born in the middle of the story appears with its first call already counted.
  return 1 + counted(call.perSecond, Math.min(at, until) - from)
}

/** What is left of `total` calls for the failures, so that successes and failures always make up the total. */
export function failuresOf(call: Call, total: number): number {
  return Math.floor(total * call.failing)
}

/** What the caller's proxy exposes about a call, for one of the caller's pods. */
export function clientSeries(mesh: Mesh, call: Call, podIndex: number): Series[] {
  const replicas = call.from?.pods.length ?? 1
  return serversOf(call).flatMap((server, serverIndex, servers) => {
    const value = share(mesh, call, podIndex * servers.length + serverIndex, replicas * servers.length)
    const peer = { ...addressOf(server.ip, call.port), ...secured(call), ...destination(call, server.pod) }
    const authority = `${call.to === null ? call.service : `${call.service}.${call.to.namespace}.svc.cluster.local`}:${call.port}`
    const labels = { direction: 'outbound', authority, ...peer }
    return [
      ...requests(call, labels, value),
      ...tcp({ direction: 'outbound', peer: 'dst', authority, ...peer }, value),
      ...(serverIndex === 0 ? routeStatuses(call, share(mesh, call, podIndex, replicas)) : []),
    ]
  })
}

/** What the called service's proxy exposes about a call, for one of the service's pods. It knows the caller's identity, not its workload. */
export function serverSeries(mesh: Mesh, call: Call, podIndex: number): Series[] {
  const pods = call.to?.pods ?? []
  const pod = pods[podIndex]
  if (pod === undefined) return []
  const clients = call.from?.pods.length ?? 1
  // All pods of a caller share its identity, and so one series here: the sum of what each of them sent to this pod.
  const shares = Array.from({ length: clients }, (_, client) =>
    share(mesh, call, client * pods.length + podIndex, clients * pods.length),
  )
  const value: Series['value'] = (at) => {
    const parts = shares.map((part) => part(at))
    return parts.every((part) => part === undefined)
      ? undefined
      : parts.reduce<number>((sum, part) => sum + (part ?? 0), 0)
  }
  const peer = { ...addressOf(pod.ip, call.port), ...proved(call.from) }
  const server = { srv_group: '', srv_kind: 'default', srv_name: 'all-unauthenticated', srv_port: String(call.port) }
  const authorised = { ...server, route_group: '', route_kind: 'default', route_name: 'default' }
  const policy = { ...authorised, authz_group: '', authz_kind: 'default', authz_name: 'all-unauthenticated' }
  return [
    ...requests(call, { direction: 'inbound', ...peer, ...policy }, value),
    { name: 'inbound_http_authz_allow_total', type: 'counter', labels: { ...peer, ...policy }, value },
    ...tcp({ direction: 'inbound', peer: 'src', ...peer, ...server }, value),
  ]
}

/** One pair of pods' part of a call's count; the parts of all pairs add up to the count exactly. */
function share(mesh: Mesh, call: Call, index: number, of: number): Series['value'] {
  return (at) => {
    const total = callsUntil(mesh, call, at)
    return total === undefined ? undefined : Math.floor((total + index) / of)
  }
}

function requests(call: Call, labels: Labels, value: Series['value']): Series[] {
  const grpc = call.protocol === 'grpc'
  const good = { status_code: '200', classification: 'success', grpc_status: grpc ? '0' : '', error: '' }
  const bad = { status_code: grpc ? '200' : '500', classification: 'failure', grpc_status: grpc ? '2' : '', error: '' }
  const all: Series = { name: 'request_total', type: 'counter', labels, value }
  const response = (outcome: Labels, count: Series['value']): Series => {
    return { name: 'response_total', type: 'counter', labels: { ...labels, ...outcome }, value: count }
  }
  const failed = mapped(value, (total) => failuresOf(call, total))
  const succeeded = mapped(value, (total) => total - failuresOf(call, total))
  return [
    all,
    response(good, succeeded),
    ...(call.failing > 0 ? [response(bad, failed)] : []),
    ...latencies({ ...labels, status_code: '200' }, call.latency, value),
  ]
}

function latencies(labels: Labels, median: number, value: Series['value']): Series[] {
  const name = 'response_latency_ms'
  return [
    ...buckets.map((le): Series => {
      const part = atMost(le, median)
      return {
        name: `${name}_bucket`,
        type: 'histogram',
        labels: { ...labels, le },
        value: mapped(value, (n) => Math.floor(n * part)),
      }
    }),
    { name: `${name}_sum`, type: 'histogram', labels, value: mapped(value, (n) => Math.round(n * median * 1.3)) },
    { name: `${name}_count`, type: 'histogram', labels, value },
  ]
}

/** The share of answers at or below a bucket's edge: a logistic curve over the logarithm, one half at the median. */
function atMost(le: string, median: number): number {
  return le === '+Inf' ? 1 : 1 / (1 + (median / Number(le)) ** 2)
}

function tcp(labels: Labels, value: Series['value']): Series[] {
  return [
    { name: 'tcp_open_total', type: 'counter', labels, value: mapped(value, (n) => 1 + Math.floor(n / 5000)) },
    { name: 'tcp_open_connections', type: 'gauge', labels, value: mapped(value, () => 1) },
  ]
}

/** The newer route metrics know the Service that was asked for, and neither the pod nor the server's identity. */
function routeStatuses(call: Call, value: Series['value']): Series[] {
  if (call.to === null) return []
  const grpc = call.protocol === 'grpc'
  const parent = { parent_group: 'core', parent_kind: 'Service', parent_namespace: call.to.namespace }
  const labels = {
    ...parent,
    parent_name: call.service,
    parent_port: String(call.port),
    parent_section_name: '',
    route_group: '',
    route_kind: 'default',
    route_namespace: '',
    route_name: call.protocol,
    hostname: '',
    error: '',
  }
  const status = (code: string, good: boolean): Series => ({
    name: `outbound_${call.protocol}_route_request_statuses_total`,
    type: 'counter',
    labels: { ...labels, [grpc ? 'grpc_status' : 'http_status']: code },
    value: mapped(value, (n) => (good ? n - failuresOf(call, n) : failuresOf(call, n))),
  })
  const good = status(grpc ? 'OK' : '200', true)
  return call.failing > 0 ? [good, status(grpc ? 'UNKNOWN' : '500', false)] : [good]
}

function serversOf(call: Call): { ip: string; pod: Pod | null }[] {
  // 203.0.113.0/24 is for documentation (RFC 5737)
  return call.to === null ? [{ ip: '203.0.113.7', pod: null }] : call.to.pods.map((pod) => ({ ip: pod.ip, pod }))
}

function addressOf(ip: string, port: number): Labels {
  return { target_addr: `${ip}:${port}`, target_ip: ip, target_port: String(port) }
}

function secured(call: Call): Labels {
  if (call.to === null) return { tls: 'no_identity', no_tls_reason: 'not_provided_by_service_discovery' }
  return { tls: 'true', server_id: clientId(call.to) }
}

function proved(from: Workload | null): Labels {
  if (from === null) return { tls: 'no_identity', no_tls_reason: 'no_tls_from_remote' }
  return { tls: 'true', client_id: clientId(from) }
}

function destination(call: Call, pod: Pod | null): Labels {
  if (call.to === null || pod === null) return {}
  return {
    dst_control_plane_ns: 'linkerd',
    [`dst_${call.to.kind}`]: call.to.name,
    dst_namespace: call.to.namespace,
    dst_pod: pod.name,
    ...(pod.hash === undefined ? {} : { dst_pod_template_hash: pod.hash }),
    dst_service: call.service,
    dst_serviceaccount: call.to.serviceAccount,
  }
}

function mapped(value: Series['value'], change: (value: number) => number): Series['value'] {
  return (at) => {
    const known = value(at)
    return known === undefined ? undefined : change(known)
  }
}
