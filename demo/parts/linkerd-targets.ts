import { type Labels, linkerdMesh, type Mesh, type Pod, type Workload } from './linkerd-mesh.ts'
import { clientSeries, counted, type Series, serverSeries } from './linkerd-series.ts'

/** One thing that Prometheus scrapes. */
export interface Target {
  /** The scrape job, as in the configuration that Linkerd's viz extension ships. */
  readonly job: string
  /** A word for its path, unique in the job. */
  readonly name: string
  /** What Kubernetes' service discovery would say about it; relabelling makes `labels` out of this. */
  readonly discovered: Labels
  /** The labels that every series of it carries in the database, `job` and `instance` included. */
  readonly labels: Labels
  /** What it exposes itself; `up` and the like come from Prometheus. */
  readonly series: readonly Series[]
  /** Whether it exists then, at seconds since 1970. */
  alive(at: number): boolean
}

/** Every target of the mesh: each pod's proxy, the control plane, and the nodes' cAdvisor. */
export function linkerdTargets(since: number, nightlyAt?: number): Target[] {
  const mesh = linkerdMesh(since, nightlyAt)
  return [...proxies(mesh), ...controlPlane(mesh), ...nodes(mesh)]
}

function proxies(mesh: Mesh): Target[] {
  return mesh.workloads.flatMap((workload) =>
    workload.pods.map((pod, index) => {
      const span = workload.alive
      const from = span?.from ?? mesh.started
      const series = [
        gauge('process_start_time_seconds', {}, () => from),
        gauge(
          'process_resident_memory_bytes',
          {},
          (at) => 18_000_000 + Math.round(3_000_000 * Math.sin(at / 700 + index)),
        ),
        counter('process_cpu_seconds_total', {}, (at) => counted(1.1, at - from) / 100),
        ...mesh.calls.filter((call) => call.from === workload).flatMap((call) => clientSeries(mesh, call, index)),
        ...mesh.calls.filter((call) => call.to === workload).flatMap((call) => serverSeries(mesh, call, index)),
      ]
      const alive = (at: number) => span === undefined || (at >= span.from && at <= span.until)
      const { discovered, labels } = proxyLabels(workload, pod)
      return { job: 'linkerd-proxy', name: pod.name, discovered, labels, series, alive }
    }),
  )
}

/** What the injector writes on a pod, as discovery shows it, and what viz' relabelling makes of it. */
function proxyLabels(workload: Workload, pod: Pod): { discovered: Labels; labels: Labels } {
  const injected = { control_plane_ns: 'linkerd', workload_ns: workload.namespace }
  const plain = { ...workload.podLabels, ...(pod.hash === undefined ? {} : { pod_template_hash: pod.hash }) }
  const instance = `${pod.ip}:4191`
  return {
    discovered: {
      __meta_kubernetes_namespace: workload.namespace,
      __meta_kubernetes_pod_name: pod.name,
      __meta_kubernetes_pod_ip: pod.ip,
      [`__meta_kubernetes_pod_label_linkerd_io_proxy_${workload.kind}`]: workload.name,
      ...prefixed('__meta_kubernetes_pod_label_linkerd_io_', injected),
      ...prefixed('__meta_kubernetes_pod_label_', plain),
    },
    labels: {
      namespace: workload.namespace,
      pod: pod.name,
      [workload.kind]: workload.name,
      ...injected,
      ...plain,
      instance,
      job: 'linkerd-proxy',
    },
  }
}

/** The controllers' own metrics: viz' configuration gives these targets a `component`, and no namespace at all. */
function controlPlane(mesh: Mesh): Target[] {
  const components = ['destination', 'identity', 'policy', 'proxy-injector', 'metrics-api', 'tap', 'web']
  return components.map((component, index) => {
    const ip = `10.42.0.${120 + index}`
    const base = [
      gauge('process_start_time_seconds', {}, () => mesh.started),
      gauge('go_goroutines', {}, (at) => 110 + (Math.floor(at / 60) % 20)),
      counter('http_server_requests_total', { code: '200', method: 'get' }, (at) => counted(0.4, at - mesh.started)),
    ]
    return {
      job: 'linkerd-controller',
      name: component,
      discovered: { __meta_kubernetes_pod_container_name: component, __meta_kubernetes_pod_ip: ip },
      labels: { component, instance: `${ip}:9996`, job: 'linkerd-controller' },
      series: component === 'destination' ? [...base, ...endpoints()] : base,
      alive: () => true,
    }
  })
}

/** Here the metric itself says `namespace`, and means the one it is about. */
function endpoints(): Series[] {
  const services = [
    ['emojivoto', 'web-svc'],
    ['booksapp', 'authors'],
    ['booksapp', 'books'],
    ['payments', 'checkout'],
  ] as const
  return services.map(([namespace, service]) => gauge('endpoints_subscribers', { namespace, service }, () => 3))
}

/** cAdvisor: the target has no namespace; a container's series has its own, the whole machine's has none. */
function nodes(mesh: Mesh): Target[] {
  const pods = mesh.workloads.flatMap((workload) => workload.pods.map((pod) => ({ workload, pod })))
  return ['node-a', 'node-b'].map((node, index) => {
    const machine = counter(
      'container_cpu_usage_seconds_total',
      { id: '/' },
      (at) => counted(8, at - mesh.started) / 10,
    )
    const containers = pods.flatMap(({ workload, pod }, place) => {
      if (place % 2 !== index) return []
      const span = workload.alive ?? { from: mesh.started, until: Infinity }
      return [workload.name, 'linkerd-proxy'].map((container) =>
        counter(
          'container_cpu_usage_seconds_total',
          { namespace: workload.namespace, pod: pod.name, container, id: `/kubepods/${pod.name}/${container}` },
          (at) => (at < span.from || at > span.until ? undefined : counted(2, at - span.from) / 100),
        ),
      )
    })
    return {
      job: 'kubernetes-nodes-cadvisor',
      name: node,
      discovered: { __meta_kubernetes_node_name: node, __meta_kubernetes_node_label_kubernetes_io_hostname: node },
      labels: { kubernetes_io_hostname: node, instance: node, job: 'kubernetes-nodes-cadvisor' },
      series: [machine, ...containers],
      alive: () => true,
    }
  })
}

function prefixed(prefix: string, labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [prefix + name, value]))
}

function gauge(name: string, labels: Labels, value: Series['value']): Series {
  return { name, type: 'gauge', labels, value }
}

function counter(name: string, labels: Labels, value: Series['value']): Series {
  return { name, type: 'counter', labels, value }
}
