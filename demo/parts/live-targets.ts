import { createServer, type ServerResponse } from 'node:http'
import { stringify } from 'yaml'
import { close, listen, loopback } from './loopback.ts'
import { seriesText } from './linkerd-history.ts'
import type { Series } from './linkerd-series.ts'
import { linkerdTargets, type Target } from './linkerd-targets.ts'

/** Targets that a Prometheus can scrape, now. */
export interface LiveTargets {
  /** YAML text: `scrape_configs:` and nothing else, so that it can follow a `global:` section. */
  readonly scrapeConfig: string
  readonly port: number
  stop(): Promise<void>
}

/**
 * Serves the metrics of every proxy, controller and node of the mesh on the loopback address, one path each. Their
 * labels become those of the history, and their counters go on where a history with the same `since` stopped.
 * @param options.since the history's start, in seconds since 1970; without it, this moment
 */
export async function startLiveTargets(options: { since?: number } = {}): Promise<LiveTargets> {
  const since = options.since ?? Math.floor(Date.now() / 1000)
  const targets = linkerdTargets(since)
  const byPath = new Map(targets.map((target) => [pathOf(target), target]))
  const server = createServer((request, response) => answer(response, byPath.get(request.url ?? '')))
  const port = await listen(server, 0)
  return { scrapeConfig: stringify({ scrape_configs: jobs(targets, port) }), port, stop: () => close(server) }
}

function pathOf(target: Target): string {
  return `/${target.job}/${target.name}/metrics`
}

function answer(response: ServerResponse, target: Target | undefined): void {
  const at = Date.now() / 1000
  if (target === undefined || !target.alive(at)) {
    response.writeHead(404).end()
    return
  }
  response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(exposition(target.series, at))
}

/** Prometheus' text format: one block per family, its type first. */
function exposition(all: readonly Series[], at: number): string {
  const families = Map.groupBy(all, ({ name, type }) => {
    return `${type === 'histogram' ? name.replace(/_(bucket|sum|count)$/, '') : name} ${type}`
  })
  return [...families]
    .map(([family, series]) => `# TYPE ${family}\n${series.map((one) => line(one, at)).join('')}`)
    .join('')
}

function line({ name, labels, value }: Series, at: number): string {
  const sample = value(at)
  return sample === undefined ? '' : `${seriesText({ __name__: name, ...labels })} ${sample}\n`
}

function jobs(targets: readonly Target[], port: number): object[] {
  const groups = Map.groupBy(targets, (target) => target.job)
  return [...groups].map(([job, members]) => ({
    job_name: job,
    // What Kubernetes' service discovery would find, written down
    static_configs: members.map((target) => ({
      targets: [`${loopback}:${port}`],
      labels: { __metrics_path__: pathOf(target), ...target.discovered },
    })),
    relabel_configs: relabelling[job],
  }))
}

const pod = '__meta_kubernetes_pod'
const namespaceAndPod = [
  { source_labels: ['__meta_kubernetes_namespace'], target_label: 'namespace' },
  { source_labels: [`${pod}_name`], target_label: 'pod' },
]

/** The effect of viz' relabelling, by job. */
const relabelling: Readonly<Record<string, readonly object[]>> = {
  'linkerd-proxy': [
    { action: 'labelmap', regex: `${pod}_label_linkerd_io_proxy_(.+)` },
    { action: 'labelmap', regex: `${pod}_label_linkerd_io_(control_plane_ns|workload_ns)` },
    { action: 'labeldrop', regex: `${pod}_label_linkerd_io_.+` },
    { action: 'labelmap', regex: `${pod}_label_(.+)` },
    { source_labels: [`${pod}_ip`], target_label: 'instance', replacement: '$1:4191' },
    // Last, unlike viz: there a pod label called "namespace" overwrites these, and a pod poses as another team's.
    ...namespaceAndPod,
  ],
  'linkerd-controller': [
    { source_labels: [`${pod}_container_name`], target_label: 'component' },
    { source_labels: [`${pod}_ip`], target_label: 'instance', replacement: '$1:9996' },
  ],
  'kubernetes-nodes-cadvisor': [
    { action: 'labelmap', regex: '__meta_kubernetes_node_label_(.+)' },
    { source_labels: ['__meta_kubernetes_node_name'], target_label: 'instance' },
  ],
}
