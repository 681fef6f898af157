import { linkerdMesh } from '../../demo/parts/linkerd-mesh.ts'
import type { ApiRequest } from './prometheus-answers.ts'
import { window } from './world.ts'

/** Who looks at the dashboards: alice and bob have one namespace each, carol has every series. */
export const viewers = ['alice', 'bob', 'carol'] as const
export type Viewer = (typeof viewers)[number]

/** One query of a dashboard or a tool of Linkerd's, in our words. */
export interface DashboardQuery {
  readonly board: string
  /** With the dashboard's `$variables`; of a variable's own query, the selector, or '' where it has none. */
  readonly text: string
  /** A panel asks for a range, a tool for one moment, a variable for a label's values. */
  readonly call: 'range' | 'instant' | { readonly valuesOf: string }
  /** Who gets an answer with something in it; the others' is empty. */
  readonly shown: readonly Viewer[]
  /** Who is refused, because the text names a namespace that they may not see. */
  readonly refused: readonly Viewer[]
  /** Why nobody is shown anything. */
  readonly empty?: string
}

/** Who is shown something, or why nobody is. */
type Shown = readonly Viewer[] | string

const everyone = viewers
const teams = ['alice', 'bob'] as const
const only = (...shown: readonly Viewer[]): readonly Viewer[] => shown

type Row = Omit<DashboardQuery, 'board'>
function row(call: DashboardQuery['call'], text: string, shown: Shown, refused: readonly Viewer[] = []): Row {
  return typeof shown === 'string' ? { call, text, shown: [], refused, empty: shown } : { call, text, shown, refused }
}
const panel = (text: string, shown: Shown, refused?: readonly Viewer[]): Row => row('range', text, shown, refused)
const tool = (text: string, shown: Shown, refused?: readonly Viewer[]): Row => row('instant', text, shown, refused)
const variable = (valuesOf: string, selector: string, shown: Shown, refused?: readonly Viewer[]): Row =>
  row({ valuesOf }, selector, shown, refused)

const by = (labels: string): string => (labels === '' ? '' : ` by (${labels})`)
const volume = (labels: string, group = ''): string =>
  `sum(irate(request_total{${labels}}[$__rate_interval]))${by(group)}`
const success = (labels: string, group = '', metric = 'response_total'): string =>
  ['classification="success", ', '']
    .map((outcome) => `sum(irate(${metric}{${outcome}${labels}}[$__rate_interval]))${by(group)}`)
    .join(' / ')
const increase = (metric: string, labels: string, group: string): string =>
  `sum(increase(${metric}{${labels}}[2m]))${by(group)}`
function latency(
  quantile: number,
  labels: string,
  group: string,
  { slope = 'irate', metric = 'response_latency_ms' } = {},
): string {
  const groups = ['le', group].filter((label) => label !== '').join(', ')
  return `histogram_quantile(${quantile}, sum(${slope}(${metric}_bucket{${labels}}[$__rate_interval]))${by(groups)})`
}
const steady = { slope: 'rate' }

const without = (what: string): string => `the history has no ${what}`
const noDuration = without('tcp_connection_duration_ms, nor has Linkerd now')
const inboundAuthority = 'proxies leave `authority` out of inbound series, as Linkerd does by default'

/** What the history has of one kind of workload. */
interface Kind {
  /** Who has one. */
  readonly has: Shown
  /** Who sees that one is called by another of its kind. */
  readonly called: Shown
  /** Who sees one call, with mTLS and plainly. */
  readonly secure: Shown
  readonly plain: Shown
}

const absent = (kind: string): Kind => ({
  has: without(kind),
  called: without(kind),
  secure: teams,
  plain: only('carol'),
})
const kinds: Readonly<Record<string, Kind>> = {
  deployment: { has: everyone, called: teams, secure: teams, plain: only('carol') },
  cronjob: {
    has: only('carol'),
    called: without('call to a CronJob'),
    secure: everyone,
    plain: without('plain call by a CronJob'),
  },
  ...Object.fromEntries(
    ['k8s_job', 'statefulset', 'daemonset', 'replicaset', 'replicationcontroller'].map((kind) => [kind, absent(kind)]),
  ),
}

/**
 * A workload's dashboard. `$workload` is '' for whoever has none of that kind, which is what Grafana makes of a variable
 * without values; to PromQL it means the series without that label, so that such a dashboard is not empty.
 */
function workloadBoard(kind: string, { has, called, secure, plain }: Kind): readonly Row[] {
  const own = `namespace="$namespace", ${kind}="$workload"`
  const server = `${own}, direction="inbound"`
  const client = `${own}, direction="outbound"`
  const toIt = `dst_namespace="$namespace", dst_${kind}="$workload", direction="outbound"`
  const callers = `${kind}!="", ${kind}="$inbound", ${toIt}`
  const callee = `${own}, dst_${kind}="$outbound", direction="outbound"`
  return [
    panel(success(server), teams),
    panel(volume(server), teams),
    panel(`count(count(request_total{${kind}!="", dst_${kind}!="", ${toIt}}) by (namespace, ${kind}))`, called),
    panel(`count(count(request_total{${client}}) by (namespace, dst_${kind}))`, everyone),
    panel(success(server, kind), teams),
    panel(volume(`${server}, tls="true"`, kind), teams),
    panel(volume(`${server}, tls!="true"`, kind), only('bob')),
    panel(latency(0.5, server, kind), teams),
    panel(`tcp_close_total{${server},errno!=""}`, without('tcp_close_total')),
    panel(`tcp_open_connections{${server}}`, teams),
    panel(`tcp_connection_duration_ms_bucket{${server}}`, noDuration),
    panel(success(callers, `${kind}, pod`), called),
    panel(volume(`${callers}, tls="true"`, `${kind}, pod`), called),
    panel(volume(`${callers}, tls!="true"`, `${kind}, pod`), without('plain call from one workload to another')),
    panel(latency(0.99, callers, kind, steady), called),
    panel(success(client, `dst_${kind}`), everyone),
    panel(volume(`${client}, tls="true"`, `dst_${kind}`), secure),
    panel(volume(`${client}, tls!="true"`, `dst_${kind}`), plain),
    panel(latency(0.95, client, `dst_${kind}`, steady), everyone),
    panel(`tcp_close_total{${client},errno!=""}`, without('tcp_close_total')),
    panel(`tcp_open_connections{${client}}`, everyone),
    panel(`tcp_connection_duration_ms_bucket{${client}}`, noDuration),
    panel(success(callee, `dst_${kind}`), everyone),
    panel(volume(`${callee}, tls="true"`, `dst_${kind}`), secure),
    panel(volume(`${callee}, tls!="true"`, `dst_${kind}`), plain),
    panel(latency(0.95, callee, `dst_${kind}`, steady), everyone),
    variable('namespace', `process_start_time_seconds{${kind}!=""}`, has),
    variable(kind, 'process_start_time_seconds{namespace="$namespace"}', has),
    variable(kind, `request_total{dst_namespace="$namespace", dst_${kind}="$workload"}`, called),
    variable(`dst_${kind}`, `request_total{${own}}`, called),
  ]
}

const topLine: readonly Row[] = [
  panel(success('deployment=~"$deployments"'), everyone),
  panel(volume('deployment=~"$deployments"'), everyone),
  panel('count(count(request_total{namespace=~"$namespaces"}) by (namespace))', everyone),
  panel('count(count(request_total{namespace=~"$namespaces"}) by (namespace, deployment))', everyone),
  panel(success('namespace=~"$namespaces", direction="inbound"', 'namespace'), everyone),
  panel(volume('namespace=~"$namespaces", direction="inbound", tls="true"', 'namespace'), everyone),
  panel(volume('namespace=~"$namespaces", direction="inbound", tls!="true"', 'namespace'), only('bob', 'carol')),
  panel(latency(0.95, 'namespace=~"$namespaces", direction="inbound"', 'namespace'), everyone),
  panel(volume('namespace=~".*", direction="inbound"', 'namespace'), everyone),
  panel(success('namespace="$namespace", direction="inbound"', 'deployment'), teams),
  panel(volume('namespace="$namespace", direction="inbound", tls!="true"', 'deployment'), only('bob')),
  panel(latency(0.95, 'namespace="$namespace", direction="inbound"', 'deployment'), teams),
  variable('namespace', 'process_start_time_seconds', everyone),
  variable('deployment', 'process_start_time_seconds{deployment!=""}', everyone),
]

const namespaceBoard: readonly Row[] = [
  panel(success('namespace=~"$namespaces", deployment=~"$deployments"'), everyone),
  panel(volume('namespace=~"$namespaces", deployment=~"$deployments"'), everyone),
  panel(success('namespace=~"$namespaces", deployment=~"$deployments", direction="inbound"', 'deployment'), everyone),
  panel(
    volume('namespace=~"$namespaces", deployment=~"$deployments", direction="inbound", tls="true"', 'deployment'),
    everyone,
  ),
  panel(
    volume('namespace=~"$namespaces", deployment=~"$deployments", direction="inbound", tls!="true"', 'deployment'),
    only('bob', 'carol'),
  ),
  panel(volume('namespace="$namespace", deployment="$deployment", direction="inbound"', 'deployment'), teams),
  panel(
    latency(0.95, 'namespace=~"$namespaces", deployment=~"$deployments", direction="inbound"', 'deployment'),
    everyone,
  ),
]

const podOwn = 'namespace="$namespace", pod="$pod"'
const podCallers = 'dst_namespace="$namespace", dst_pod!="", dst_pod="$pod", direction="outbound"'
const podBoard: readonly Row[] = [
  panel(volume(`${podOwn}, direction="inbound"`), teams),
  panel(`count(count(request_total{${podCallers}}) by (namespace, pod))`, teams),
  panel(`count(count(request_total{${podOwn}, direction="outbound"}) by (namespace, dst_pod))`, everyone),
  panel(volume(`${podOwn}, direction="inbound", tls="true"`, 'pod'), teams),
  panel(latency(0.99, `${podOwn}, direction="inbound"`, 'pod'), teams),
  panel(
    `tcp_close_total{${podOwn} ,deployment="$deployment", direction="inbound",errno!=""}`,
    without('tcp_close_total'),
  ),
  panel(`tcp_open_connections{${podOwn} ,deployment="$deployment", direction="outbound"}`, everyone),
  panel(`tcp_connection_duration_ms_bucket{${podOwn}, deployment="$deployment", direction="outbound"}`, noDuration),
  panel(success(podCallers, 'pod'), teams),
  panel(volume(`${podCallers}, tls="true"`, 'pod'), teams),
  panel(latency(0.5, podCallers, 'pod'), teams),
  panel(success(`${podOwn}, direction="outbound"`, 'pod'), everyone),
  panel(latency(0.5, `${podOwn}, direction="outbound"`, 'pod'), everyone),
  panel(success(`${podOwn}, direction="outbound"`, 'dst_pod'), everyone),
  panel(volume(`${podOwn}, direction="outbound", tls="true"`, 'dst_pod'), teams),
  panel(volume(`${podOwn}, direction="outbound", tls!="true"`, 'dst_pod'), only('carol')),
  panel(latency(0.95, `${podOwn}, direction="outbound"`, 'dst_pod'), everyone),
  variable('pod', 'process_start_time_seconds{namespace="$namespace"}', everyone),
  variable('deployment', 'process_start_time_seconds{namespace="$namespace"}', everyone),
]

const toService = 'namespace="$namespace", dst_service="$service", direction="outbound"'
const serviceBoard: readonly Row[] = [
  panel(success(toService), everyone),
  panel(volume(toService), everyone),
  panel(success(toService, 'dst_service'), everyone),
  panel(volume(`${toService}, tls="true"`, 'dst_service'), teams),
  panel(volume(`${toService}, tls!="true"`, 'dst_service'), only('carol')),
  panel(latency(0.99, toService, 'dst_service'), everyone),
  panel(success(toService, 'dst_service, deployment'), everyone),
  panel(volume(`${toService}, tls="true"`, 'dst_service, deployment'), teams),
  panel(success(toService, 'dst_service, pod'), everyone),
  panel(volume(`${toService}, tls!="true"`, 'dst_service, pod'), only('carol')),
  panel(latency(0.95, toService, 'dst_service, pod', steady), everyone),
  variable('namespace', 'request_total', everyone),
  variable('dst_service', 'request_total{namespace="$namespace"}', teams),
  variable('dst_deployment', 'request_total{namespace="$namespace", deployment="$deployment"}', teams),
]

const toAuthority = 'namespace="$namespace", authority="$authority"'
const authorityBoard: readonly Row[] = [
  panel(volume(`${toAuthority}, direction="inbound"`), inboundAuthority),
  panel(success(`${toAuthority}, direction="inbound"`, 'authority'), inboundAuthority),
  panel(volume(`${toAuthority}, direction="inbound", tls="true"`, 'authority'), inboundAuthority),
  panel(volume(`${toAuthority}, direction="inbound", tls!="true"`, 'authority'), inboundAuthority),
  panel(latency(0.5, `${toAuthority}, direction="inbound"`, 'authority'), inboundAuthority),
  panel(volume(`${toAuthority}, direction="outbound"`, 'authority'), everyone),
  panel(success(`${toAuthority}, direction="outbound"`, 'deployment'), everyone),
  panel(volume(`${toAuthority}, direction="outbound", tls!="true"`, 'deployment'), only('carol')),
  panel(latency(0.95, `${toAuthority}, direction="outbound"`, 'deployment', steady), everyone),
  panel(success(`${toAuthority}, direction="outbound"`, 'pod'), everyone),
  panel(volume(`${toAuthority}, direction="outbound", tls="true"`, 'pod'), teams),
  panel(volume(`${toAuthority}, direction="outbound", tls!="true"`, 'pod'), only('carol')),
  variable('authority', 'request_total{namespace="$namespace"}', everyone),
]

const noRoutes = without('route_* metrics: no ServiceProfile')
const onRoute = 'rt_route="GET /books/{id}.json"'
const routeBoard: readonly Row[] = [
  panel(
    success(`namespace="$namespace", direction="inbound", ${onRoute}`, 'rt_route', 'route_response_total'),
    noRoutes,
  ),
  panel(
    latency(0.99, `namespace="$namespace", direction="inbound", ${onRoute}`, 'rt_route', {
      metric: 'route_response_latency_ms',
    }),
    noRoutes,
  ),
  ...['deployment, rt_route', 'pod, rt_route'].flatMap((group) =>
    ['=', '!='].map((tls) =>
      panel(
        `sum(irate(route_request_total{namespace="$namespace", direction="outbound", tls${tls}"true", ${onRoute}}[$__rate_interval])) by (${group})`,
        noRoutes,
      ),
    ),
  ),
  ...['deployment, rt_route', 'pod'].map((group) =>
    panel(
      latency(0.95, `namespace="$namespace", direction="outbound", ${onRoute}`, group, {
        slope: 'rate',
        metric: 'route_response_latency_ms',
      }),
      noRoutes,
    ),
  ),
  variable('rt_route', 'route_request_total{namespace="$namespace"}', noRoutes),
]

const mirrored = 'dst_target_cluster="west", dst_target_cluster!=""'
const noMirror = without('mirrored service')
const multicluster: readonly Row[] = [
  panel(success(`${mirrored}, direction="outbound"`), noMirror),
  panel(volume(`${mirrored}, direction="outbound"`), noMirror),
  panel(latency(0.5, `${mirrored}, direction="outbound"`, ''), noMirror),
  panel(success(`${mirrored}, direction="outbound"`, 'dst_target_service'), noMirror),
  panel(volume(`${mirrored}, tls!="true"`, 'dst_target_service'), noMirror),
  panel(latency(0.95, `${mirrored}, direction="outbound"`, 'dst_target_service', steady), noMirror),
  variable('dst_target_cluster', 'request_total', noMirror),
]

const controller = 'job="linkerd-controller"'
const ofDestination = `${controller}, component="destination"`
/** A team reads `linkerd` from its own series' `control_plane_ns`, and then the dashboard names it as a namespace. */
const planes = 'deployment="linkerd-destination", namespace=~"$plane|$plane-viz", direction="inbound"'
const perHandler = 'component, method, code'
const health: readonly Row[] = [
  panel('process_virtual_memory_bytes{job="linkerd-proxy"}', without('process_virtual_memory_bytes')),
  panel('process_resident_memory_bytes{job="linkerd-proxy"}', everyone),
  panel('irate(process_cpu_seconds_total{job=~"linkerd-proxy"}[$__rate_interval])', everyone),
  panel(`tcp_close_total{${planes},errno!=""}`, without('tcp_close_total'), teams),
  panel(`tcp_open_connections{${planes}}`, only('carol'), teams),
  panel(`tcp_connection_duration_ms_bucket{${planes}}`, noDuration, teams),
  panel(success(planes, 'deployment'), only('carol'), teams),
  panel(`process_virtual_memory_bytes{${controller}}`, without('process_virtual_memory_bytes')),
  panel(`go_threads{${controller}}`, without('go_threads')),
  panel(`go_goroutines{${controller}}`, only('carol')),
  panel(`sum(irate(http_server_requests_total{${controller}}[$__rate_interval])) by (${perHandler})`, only('carol')),
  ...['http_server_request_latency_seconds', 'http_server_response_size_bytes'].map((metric) =>
    panel(latency(0.5, controller, perHandler, { slope: 'rate', metric }), without(metric)),
  ),
  panel(
    `sum(irate(http_client_requests_total{${controller}}[$__rate_interval])) by (component, client, method, code)`,
    without('http_client_requests_total'),
  ),
  panel(
    latency(0.95, controller, 'component, client, method, code', {
      slope: 'rate',
      metric: 'http_client_request_latency_seconds',
    }),
    without('http_client_request_latency_seconds'),
  ),
  panel(
    `sum(http_client_in_flight_requests{${controller}}) by (component, client)`,
    without('http_client_in_flight_requests'),
  ),
  ...['go_memstats_alloc_bytes', 'go_memstats_stack_inuse_bytes', 'go_memstats_heap_inuse_bytes'].map((metric) =>
    panel(`${metric}{${ofDestination}}`, without(metric)),
  ),
  panel(
    `go_gc_duration_seconds{${controller}, quantile="0.5", component="destination"}`,
    without('go_gc_duration_seconds'),
  ),
  ...['grpc_server_msg_sent_total', 'grpc_server_msg_received_total'].map((metric) =>
    panel(`irate(${metric}{${ofDestination}}[$__rate_interval])`, without(metric)),
  ),
  variable('deployment', 'process_start_time_seconds{namespace=~"$plane|$plane-viz"}', only('carol'), teams),
  variable('control_plane_ns', 'process_start_time_seconds{control_plane_ns!=""}', everyone),
  variable('namespace', 'process_start_time_seconds{control_plane_ns!="",extension!=""}', only('carol')),
  variable('component', '', everyone),
]

const onNode = 'kubernetes_io_hostname=~"^$node$"'
const disks = 'device=~"^/dev/[sv]d[a-z][1-9]$",id="/"'
const containerMetrics = {
  cpu_usage_seconds_total: (selector: string) => `sum (rate (${selector}[1m]))`,
  memory_working_set_bytes: (selector: string) => `sum (${selector})`,
  network_receive_bytes_total: (selector: string) => `sum (rate (${selector}[1m]))`,
  network_transmit_bytes_total: (selector: string) => `- sum (rate (${selector}[1m]))`,
}
const ofContainers = without('metric of containers but container_cpu_usage_seconds_total')
const noImage = without('`image` on containers, by which the dashboard tells them from the rest')
const noSuch = without('systemd or rkt')
const perContainer = 'container_name, container, pod_name, pod'
/** Matchers and groups for each of the metrics, and who is shown the processor's time. */
const containers: readonly (readonly [labels: string, group: string, shown: Shown])[] = [
  ['', '', everyone],
  ['id="/",', '', only('carol')],
  ['id!="/",', 'id', everyone],
  ['image!="",', 'pod_name, pod', noImage],
  ['image!="",', perContainer, noImage],
  ['image!="",container_name!="POD",container!="POD",', perContainer, noImage],
  ['image!="",name!~"^k8s_.*",', 'kubernetes_io_hostname, name, image', noImage],
  ['systemd_service_name!="",', 'systemd_service_name', noSuch],
  ['rkt_container_name!="",', 'kubernetes_io_hostname, rkt_container_name', noSuch],
]
const machines = ['machine_cpu_cores', 'machine_memory_bytes'] as const
const kubernetes: readonly Row[] = [
  ...containers.flatMap(([labels, group, shown]) =>
    Object.entries(containerMetrics).map(([metric, sum]) =>
      panel(
        `${sum(`container_${metric}{${labels}${onNode}}`)}${by(group)}`,
        metric === 'cpu_usage_seconds_total' ? shown : ofContainers,
      ),
    ),
  ),
  ...machines.map((metric) => panel(`sum (${metric}{${onNode}})`, without(metric))),
  panel(
    `sum (rate (container_cpu_usage_seconds_total{id="/",${onNode}}[1m])) / sum (machine_cpu_cores{${onNode}}) * 100`,
    without('machine_cpu_cores'),
  ),
  panel(
    `sum (container_memory_working_set_bytes{id="/",${onNode}}) / sum (machine_memory_bytes{${onNode}}) * 100`,
    ofContainers,
  ),
  panel(`sum (container_fs_usage_bytes{${disks},${onNode}})`, ofContainers),
  panel(`sum (container_fs_limit_bytes{${disks},${onNode}})`, ofContainers),
  panel(
    `sum (container_fs_usage_bytes{${disks},${onNode}}) / sum (container_fs_limit_bytes{${disks},${onNode}}) * 100`,
    ofContainers,
  ),
  variable('kubernetes_io_hostname', '', everyone),
]

const self = 'job="prometheus"'
const itself = `${self},instance="$prometheus"`
const ruleGroups = ['interval_seconds', 'last_duration_seconds', 'rules'].map(
  (metric) => `prometheus_rule_group_${metric}`,
)
const asTheyAre = [
  ...['blocks_loaded', 'head_chunks', 'head_series', 'head_active_appenders', 'storage_blocks_bytes'].map(
    (metric) => `prometheus_tsdb_${metric}`,
  ),
  ...['virtual_memory_bytes', 'resident_memory_bytes', 'open_fds', 'max_fds'].map((metric) => `process_${metric}`),
  ...['go_memstats_alloc_bytes', 'go_memstats_next_gc_bytes', 'prometheus_build_info'],
]
const counters = [
  ...['compactions', 'compactions_failed', 'compactions_triggered', 'reloads', 'reloads_failures', 'wal_corruptions'],
  ...['head_samples_appended', 'head_chunks_created', 'head_chunks_removed', 'retention_cutoffs_failures'],
  ...['checkpoint_creations_failed', 'checkpoint_deletions_failed'],
].map((metric) => `prometheus_tsdb_${metric}_total`)
const otherCounters = [
  'prometheus_tsdb_head_series_not_found',
  'prometheus_rule_group_iterations_missed_total',
  'prometheus_rule_evaluation_failures_total',
  'prometheus_rule_group_duration_seconds_sum',
  'prometheus_tsdb_compaction_duration_seconds_sum',
  'process_cpu_seconds_total',
]
const sumsAndCounts = [
  ...['wal_fsync_duration_seconds', 'wal_truncate_duration_seconds', 'head_gc_duration_seconds'],
  'compaction_chunk_samples',
].map((metric) => `prometheus_tsdb_${metric}`)
const prometheusBoards: readonly Row[] = [
  ...[
    ...asTheyAre.flatMap((metric) => [`${metric}{${self}}`, `${metric}{${itself}}`]),
    ...[...counters, ...otherCounters].flatMap((metric) => [
      `rate(${metric}{${itself}}[10m])`,
      `irate(${metric}{${self}}[5m])`,
    ]),
    ...[...sumsAndCounts, 'prometheus_http_request_duration_seconds'].flatMap((metric) => [
      `rate(${metric}_sum{${itself}}[1m])`,
      `rate(${metric}_count{${itself}}[1m])`,
      `rate(${metric}_sum{${itself}}[1m]) / rate(${metric}_count{${itself}}[1m])`,
    ]),
    `sum(irate(prometheus_tsdb_head_samples_appended_total{${self}}[5m]))`,
    ...ruleGroups.map((metric) => `${metric}{${itself},rule_group=~".*"}`),
    `prometheus_tsdb_head_gc_duration_seconds{${self},quantile="0.99"}`,
    `irate(prometheus_tsdb_head_gc_duration_seconds_count{${self}}[5m])`,
    `histogram_quantile(0.99, sum(rate(prometheus_tsdb_compaction_duration_bucket{${self}}[5m])) by (le))`,
    `prometheus_tsdb_storage_blocks_bytes_total{${itself}} or prometheus_tsdb_storage_blocks_bytes{${itself}}`,
    `sum(process_open_fds{${self}})`,
    `time() - process_start_time_seconds{${itself}}`,
    `time() - prometheus_config_last_reload_success_timestamp_seconds{${itself}}`,
  ].map((text) => panel(text, without('scrape of Prometheus itself'))),
  panel('topk(5, max(scrape_duration_seconds) by (job))', without('scrape_duration_seconds')),
  panel('time() * 1000', everyone),
  tool(`up{${self}} == 1`, without('scrape of Prometheus itself')),
]

/** The forms of panels whose metrics the history has not, on metrics that it has. */
const forms: readonly Row[] = [
  panel('topk(5, max(process_resident_memory_bytes) by (job))', everyone),
  panel('time() - process_start_time_seconds{job="linkerd-proxy"}', everyone),
  panel('time() - process_start_time_seconds{job="linkerd-controller"}', only('carol')),
  panel('rate(response_latency_ms_sum{tls="true"}[1m]) / rate(response_latency_ms_count{tls="true"}[1m])', everyone),
  panel('go_goroutines{component="tap"} or process_resident_memory_bytes{job="linkerd-proxy"}\n', everyone),
  panel('- sum (rate (request_total{direction=~"^inbound$"}[1m])) by (pod_name, pod)', everyone),
  ...['container_name!="POD",container!="POD"', 'name!~"^k8s_.*"'].map((labels) =>
    panel(
      `sum (rate (container_cpu_usage_seconds_total{image="",${labels},${onNode}}[1m])) by (container_name, container, pod_name, pod)`,
      everyone,
    ),
  ),
  panel('max(up{container_name="x"} or up{job="linkerd-proxy"})', everyone),
  panel('process_start_time_seconds', everyone),
  tool('up{job="linkerd-controller"} == 1', only('carol')),
  tool('up{job="linkerd-proxy"} == 1', everyone),
]

const inNamespace = 'direction="inbound", namespace="$namespace"'
const inDeployment = `deployment="$deployment", ${inNamespace}`
const fromDeployment = 'deployment="$deployment", direction="outbound", namespace="$namespace"'
const toDeployment = 'dst_deployment="$callee", dst_namespace="$namespace"'
const fromNamespace = 'direction="outbound", namespace="$namespace"'
const toBooks = 'deployment="checkout", direction="outbound", dst_deployment="books", dst_namespace="booksapp"'
const routed = 'srv_name, srv_kind, route_name, route_kind, namespace, route_name'
const authorized = 'route_kind, route_name, authz_kind, authz_name, srv_kind, srv_name'

/** One workload's or namespace's numbers, as `viz stat` asks for each of them. */
const stat = (labels: string, group: string, shown: Shown, refused?: readonly Viewer[]): readonly Row[] => [
  tool(increase('response_total', labels, `${group}, classification, tls`), shown, refused),
  tool(latency(0.95, labels, group), shown, refused),
  tool(`sum(tcp_open_connections{${labels}}) by (${group})`, shown, refused),
  ...['tcp_read_bytes_total', 'tcp_write_bytes_total'].map((metric) => {
    const peer = labels.includes('direction="inbound"') ? 'src' : 'dst'
    return tool(increase(metric, `${labels}, peer="${peer}"`, group), without(metric), refused)
  }),
]
const vizTools: readonly Row[] = [
  ...stat(inDeployment, 'namespace, deployment', teams),
  ...stat(inNamespace, 'namespace, pod', teams),
  ...stat('direction="inbound"', 'namespace', everyone),
  ...stat(`${inNamespace}, statefulset=""`, 'namespace, statefulset', teams),
  ...stat('direction="inbound", namespace="$namespace", k8s_job=""', 'namespace, k8s_job', teams),
  ...stat(`${fromDeployment}, ${toDeployment}`, 'namespace, deployment', teams),
  ...stat(fromNamespace, 'dst_namespace, dst_deployment', everyone),
  ...stat(`${toBooks}, namespace="payments"`, 'dst_namespace, dst_deployment', only('carol'), teams),
  ...stat('direction="outbound", dst_namespace="booksapp"', 'namespace, deployment', only('bob', 'carol')),
  ...['$service', '.+'].flatMap((service) =>
    stat(
      `authority=~"^${service}.$namespace.svc.cluster.local.*", direction="outbound"`,
      'dst_namespace, dst_service',
      teams,
    ),
  ),
  ...stat(`${inNamespace}, srv_kind="default"`, 'srv_kind, namespace, srv_name', teams),
  ...stat(`authz_kind="default", ${inNamespace}`, 'namespace, authz_name', teams).slice(0, 2),
  ...stat(`${inNamespace}, route_name="default"`, routed, teams).slice(0, 2),
  ...stat(inDeployment, authorized, teams).slice(0, 2),
  tool(
    increase('inbound_http_authz_allow_total', 'deployment="$deployment", namespace="$namespace"', authorized),
    teams,
  ),
  ...['allow', 'deny'].map((verdict) =>
    tool(
      increase(
        `inbound_http_authz_${verdict}_total`,
        'namespace="$namespace", srv_kind="default"',
        'srv_kind, namespace, srv_name',
      ),
      verdict === 'allow' ? teams : without('inbound_http_authz_deny_total'),
    ),
  ),
  ...['route_response_total', 'route_actual_response_total'].map((metric) =>
    tool(
      increase(
        metric,
        `${fromDeployment}, dst=~"($service.$namespace.svc.cluster.local)(:\\\\d+)?"`,
        'rt_route, dst, classification',
      ),
      noRoutes,
    ),
  ),
  tool(
    latency(0.5, `${inDeployment}, dst=~"($service.$namespace.svc.cluster.local)(:\\\\d+)?"`, 'dst, rt_route', {
      metric: 'route_response_latency_ms',
    }),
    noRoutes,
  ),
  tool('sum(gateway_alive{}) by (gateway_namespace, target_cluster_name, gateway_name)', without('gateway_alive')),
  tool(
    latency(0.99, 'target_cluster_name="west"', 'gateway_namespace, target_cluster_name, gateway_name', {
      metric: 'gateway_probe_latency_ms',
    }),
    without('gateway_probe_latency_ms'),
  ),
  tool(
    'sum(tcp_open_connections{deployment!="", direction="outbound", dst_deployment!=""}) by (deployment, dst_deployment, pod, server_id, namespace, dst_namespace, no_tls_reason)',
    everyone,
  ),
  tool(
    'sum(tcp_open_connections{direction="outbound", dst_pod!="", pod!=""}) by (pod, dst_pod, pod, server_id, namespace, dst_namespace, no_tls_reason)',
    everyone,
  ),
  tool('max(process_start_time_seconds{}) by (pod, namespace)', everyone),
  tool('max(process_start_time_seconds{namespace="$namespace"}) by (pod, namespace)', everyone),
]

const target = 'srv_name, srv_kind, route_name, route_kind'
const parent = 'parent_name, parent_port'
const backend = 'backend_name, backend_port'
const ofDeployment = 'deployment="$deployment", namespace="$namespace"'
const owner = 'namespace, deployment'
const statOut = (protocol: 'http' | 'grpc', statuses: Shown): readonly Row[] => {
  const metric = `outbound_${protocol}_route`
  const status = `${protocol}_status, error, ${owner}`
  const route = `route_name, route_kind`
  return [
    tool(increase(`${metric}_request_statuses_total`, ofDeployment, `${parent}, ${route}, ${status}`), statuses),
    tool(
      increase(`${metric}_backend_response_statuses_total`, ofDeployment, `${parent}, ${backend}, ${route}, ${status}`),
      without(`${metric}_backend_response_statuses_total`),
    ),
    tool(
      increase(`${metric}_retry_requests_total`, ofDeployment, `${parent}, ${route}, ${owner}`),
      without(`${metric}_retry_requests_total`),
    ),
    ...[`${parent}, ${route}, ${owner}`, `${parent}, ${backend}, ${route}, ${owner}`].map((group) => {
      const timed = `${metric}_${group.includes(backend) ? 'backend_response' : 'request'}_duration_seconds`
      return tool(latency(0.5, ofDeployment, group, { metric: timed }), without(timed))
    }),
  ]
}
const statCommands: readonly Row[] = [
  tool(increase('response_total', inDeployment, `${target}, classification, target_port, ${owner}`), teams),
  tool(latency(0.5, inDeployment, `${target}, target_port, ${owner}`), teams),
  ...statOut('http', teams),
  ...statOut('grpc', only('alice')),
]

const cadvisor = 'job="kubernetes-nodes-cadvisor"'
const busy = (container: string): string =>
  `quantile_over_time(0.95,rate(container_cpu_usage_seconds_total{${container}="linkerd-proxy",${cadvisor}}[5m])[24h:5m])`
const heartbeat: readonly Row[] = [
  tool('sum(rate(request_total{direction="inbound", job="linkerd-proxy"}[1m]))', everyone),
  tool('count(count by (pod) (request_total{job="linkerd-proxy"}))', everyone),
  tool(
    'histogram_quantile(0.99, sum(rate(request_handle_us_bucket{job="linkerd-proxy"}[24h])) by (le))',
    without('request_handle_us, nor has Linkerd now'),
  ),
  tool(
    'sum(proxy_inject_admission_responses_total{job="linkerd-controller", skip="false"})',
    without('proxy_inject_admission_responses_total'),
  ),
  tool(
    `max(container_memory_working_set_bytes{container_name="linkerd-proxy", ${cadvisor}} or container_memory_working_set_bytes{container="linkerd-proxy", ${cadvisor}})`,
    ofContainers,
  ),
  tool(`max(${busy('container_name')} or ${busy('container')})`, everyone),
]

const boards: Readonly<Record<string, readonly Row[]>> = {
  'top line': topLine,
  namespace: namespaceBoard,
  ...Object.fromEntries(Object.entries(kinds).map(([kind, known]) => [kind, workloadBoard(kind, known)])),
  pod: podBoard,
  service: serviceBoard,
  authority: authorityBoard,
  route: routeBoard,
  multicluster,
  health,
  kubernetes,
  prometheus: prometheusBoards,
  'forms of panels': forms,
  'viz stat, edges, authz and routes': vizTools,
  'viz stat-inbound and stat-outbound': statCommands,
  heartbeat,
}

/** One for each kind of panel, variable and tool's query that Linkerd's official dashboards and tools have. */
export const dashboardQueries: readonly DashboardQuery[] = Object.entries(boards).flatMap(([board, rows]) =>
  rows.map((row) => ({ board, ...row })),
)

const mesh = linkerdMesh(window.start, window.nightlyAt)
function podOf(namespace: string, name: string): string {
  const workload = mesh.workloads.find((one) => one.namespace === namespace && one.name === name)
  const [pod] = workload?.pods ?? []
  if (pod === undefined) throw new Error(`no pod of ${namespace}/${name}`)
  return pod.name
}

type Values = Readonly<Record<string, string>>

const forAll: Values = {
  __rate_interval: '2m',
  plane: 'linkerd',
  node: 'node-a',
  prometheus: 'localhost:9090',
  workload: '',
  inbound: '',
  outbound: '',
}

/** What each has chosen in the dashboards' lists; what is in a list is what they may see. */
const chosen: Readonly<Record<Viewer, Values>> = {
  alice: {
    namespace: 'emojivoto',
    namespaces: 'emojivoto',
    deployment: 'web',
    deployments: '(web|voting)',
    callee: 'voting',
    pod: podOf('emojivoto', 'web'),
    service: 'voting-svc',
    authority: 'voting-svc.emojivoto.svc.cluster.local:8080',
  },
  bob: {
    namespace: 'booksapp',
    // A link to the dashboard that carol sent him
    namespaces: '(emojivoto|booksapp)',
    deployment: 'authors',
    deployments: '.*',
    callee: 'books',
    pod: podOf('booksapp', 'authors'),
    service: 'books',
    authority: 'books.booksapp.svc.cluster.local:7002',
  },
  carol: {
    namespace: 'ops',
    namespaces: '.*',
    deployment: 'backup',
    deployments: '.+',
    callee: '',
    pod: podOf('ops', 'backup'),
    service: '',
    authority: 'storage.example.com:80',
  },
}

/** Where they choose otherwise: a workload of that kind, and who calls it and whom it calls. */
const chosenOn: Readonly<Record<string, Readonly<Partial<Record<Viewer, Values>>>>> = {
  deployment: {
    alice: { workload: 'web', inbound: 'vote-bot', outbound: 'voting' },
    bob: { workload: 'authors', inbound: 'webapp', outbound: 'books' },
    carol: { workload: 'backup' },
  },
  cronjob: { carol: { namespace: 'batch', workload: 'nightly-report' } },
}

function fill(text: string, values: Values): string {
  return text.replaceAll(/\$([a-z_]+)/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`$${name} has no value`)
    return value
  })
}

const at: readonly (readonly [string, string])[] = [['time', '2026-11-20T03:05:00Z']]
const range: readonly (readonly [string, string])[] = [
  ['start', '2026-11-20T02:30:00Z'],
  ['end', '2026-11-20T03:30:00Z'],
]

/**
 * A query as Grafana or the tool sends it for somebody. A variable's is two: Grafana asks a newer Prometheus for the
 * label's values, an older one for the series.
 */
export function requestsOf(
  { board, text, call }: DashboardQuery,
  viewer: Viewer,
): readonly [ApiRequest, ...ApiRequest[]] {
  const query = fill(text, { ...forAll, ...chosen[viewer], ...chosenOn[board]?.[viewer] })
  return requestsFor(query, call)
}

/** The same for a text without variables. */
export function requestsFor(query: string, call: DashboardQuery['call']): readonly [ApiRequest, ...ApiRequest[]] {
  if (call === 'instant') return [{ path: '/api/v1/query', params: [['query', query], ...at], method: 'POST' }]
  if (call === 'range') {
    return [{ path: '/api/v1/query_range', params: [['query', query], ...range, ['step', '60']], method: 'POST' }]
  }
  const match = query === '' ? [] : [['match[]', query] as const]
  const values: ApiRequest = { path: `/api/v1/label/${call.valuesOf}/values`, params: [...match, ...range] }
  return query === '' ? [values] : [values, { path: '/api/v1/series', params: [...match, ...range] }]
}
