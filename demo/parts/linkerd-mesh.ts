/** Labels of a series or a target. */
export type Labels = Readonly<Record<string, string>>

/** The kinds of owner a proxy names as a label; Linkerd's injector knows more, this mesh needs these. */
export type WorkloadKind = 'deployment' | 'cronjob'

/** Seconds since 1970. */
export interface Span {
  readonly from: number
  readonly until: number
}

/** One workload with its pods. `serviceAccount` is what its mesh identity is made of. */
export interface Workload {
  readonly namespace: string
  readonly kind: WorkloadKind
  readonly name: string
  readonly serviceAccount: string
  readonly podLabels: Labels
  readonly pods: readonly Pod[]
  /** When its pods exist; always, when absent. */
  readonly alive?: Span
}

/** One pod. `hash` is the ReplicaSet's, absent for a Job's pod. */
export interface Pod {
  readonly name: string
  readonly ip: string
  readonly hash?: string
}

/** Who calls which service, how often and how well. */
export interface Call {
  /** `null`: a client without a proxy, so that only the destination's proxy sees the call. */
  readonly from: Workload | null
  /** `null`: a server outside of the cluster, so that only the source's proxy sees the call. */
  readonly to: Workload | null
  /** The Service's name, or the external host. */
  readonly service: string
  readonly port: number
  readonly protocol: 'http' | 'grpc'
  readonly perSecond: number
  /** The median, in milliseconds. */
  readonly latency: number
  /** The share of calls that fail, 0 to 1. */
  readonly failing: number
  /** When the calls happen; always, when absent. One call only when both ends are the same. */
  readonly during?: Span
}

/** The whole small cluster. */
export interface Mesh {
  /** When the long-lived pods started. */
  readonly started: number
  readonly workloads: readonly Workload[]
  readonly calls: readonly Call[]
}

/** Linkerd's name for a workload's proved identity, `<sa>.<ns>.serviceaccount.identity.<control plane ns>.<trust domain>`. */
export function clientId(workload: Workload): string {
  return `${workload.serviceAccount}.${workload.namespace}.serviceaccount.identity.linkerd.cluster.local`
}

/**
 * Seven namespaces that call each other. The same numbers and names every time.
 * @param since where the story starts; the pods are a day older, so that counters do not begin at zero
 * @param nightlyAt when the nightly report reaches into booksapp; without it, that night's calls do not exist
 */
export function linkerdMesh(since: number, nightlyAt?: number): Mesh {
  const everyday = workloads()
  const find = finder(everyday)
  const calls = everydayCalls(find)
  if (nightlyAt === undefined) return { started: since - 86_400, workloads: everyday, calls }
  const night = nightCalls(find, nightlyAt)
  return { started: since - 86_400, workloads: [...everyday, night.report], calls: [...calls, ...night.calls] }
}

type Find = (id: string) => Workload

function finder(all: readonly Workload[]): Find {
  const byId = new Map(all.map((workload) => [`${workload.namespace}/${workload.name}`, workload]))
  return (id) => {
    const found = byId.get(id)
    if (found === undefined) throw new Error(`this mesh has no workload ${id}`)
    return found
  }
}

function workloads(): Workload[] {
  let pods = 0
  const deployment = (id: string, podLabels: Labels, serviceAccount?: string, replicas = 1): Workload => {
    const [namespace = '', name = ''] = id.split('/')
    // Names as a ReplicaSet gives them, but the same in every run.
    const hash = `6d5f9c8b${String(pods + 1).padStart(2, '0')}`
    const named = Array.from({ length: replicas }, () => {
      pods += 1
      return { name: `${name}-${hash}-x2k${String(pods).padStart(2, '0')}`, ip: `10.42.0.${10 + pods}`, hash }
    })
    return { namespace, kind: 'deployment', name, serviceAccount: serviceAccount ?? name, podLabels, pods: named }
  }
  const emojivoto = (name: string, sa?: string) => deployment(`emojivoto/${name}`, { app: name, version: 'v11' }, sa)
  const booksapp = (name: string, sa?: string, replicas?: number) =>
    deployment(`booksapp/${name}`, { app: name, project: 'booksapp' }, sa, replicas)
  const viz = (name: string) => deployment(`linkerd-viz/${name}`, { component: name, extension: 'viz' })
  return [
    emojivoto('web'),
    emojivoto('emoji'),
    emojivoto('voting'),
    emojivoto('vote-bot', 'default'),
    booksapp('webapp', 'webapp', 2),
    booksapp('authors'),
    booksapp('books'),
    booksapp('traffic', 'default'),
    deployment('payments/checkout', { app: 'checkout' }),
    deployment('payments/ledger', { app: 'ledger' }),
    deployment('ops/backup', { app: 'backup' }),
    deployment('linkerd/linkerd-destination', { control_plane_component: 'destination' }),
    viz('prometheus'),
    viz('metrics-api'),
    viz('web'),
    viz('tap'),
  ]
}

function everydayCalls(find: Find): Call[] {
  const call = (from: string, to: string, service: string, traffic: Traffic): Call => {
    const [name = '', port] = service.split(':')
    const protocol = traffic.grpc === true ? 'grpc' : 'http'
    const { perSecond, latency, failing = 0 } = traffic
    return { from: find(from), to: find(to), service: name, port: Number(port), protocol, perSecond, latency, failing }
  }
  const backup = {
    from: find('ops/backup'),
    to: null,
    service: 'storage.example.com',
    port: 80,
    protocol: 'http',
  } as const
  return [
    call('emojivoto/vote-bot', 'emojivoto/web', 'web-svc:8080', { perSecond: 4, latency: 14 }),
    call('emojivoto/web', 'emojivoto/emoji', 'emoji-svc:8080', { grpc: true, perSecond: 6, latency: 3 }),
    call('emojivoto/web', 'emojivoto/voting', 'voting-svc:8080', {
      grpc: true,
      perSecond: 3,
      latency: 4,
      failing: 0.15,
    }),
    call('emojivoto/web', 'payments/checkout', 'checkout:9000', { perSecond: 0.8, latency: 30 }),
    call('booksapp/traffic', 'booksapp/webapp', 'webapp:7000', { perSecond: 6, latency: 22, failing: 0.08 }),
    call('booksapp/webapp', 'booksapp/books', 'books:7002', { perSecond: 5, latency: 9 }),
    call('booksapp/webapp', 'booksapp/authors', 'authors:7001', { perSecond: 4, latency: 7 }),
    call('booksapp/books', 'booksapp/authors', 'authors:7001', { perSecond: 2, latency: 6 }),
    call('booksapp/authors', 'booksapp/books', 'books:7002', { perSecond: 1, latency: 6 }),
    call('payments/checkout', 'booksapp/books', 'books:7002', { perSecond: 1.5, latency: 11 }),
    call('payments/checkout', 'payments/ledger', 'ledger:9100', {
      grpc: true,
      perSecond: 1.2,
      latency: 5,
      failing: 0.02,
    }),
    { ...backup, perSecond: 0.3, latency: 120, failing: 0 },
    call('linkerd-viz/web', 'linkerd-viz/metrics-api', 'metrics-api:8085', { grpc: true, perSecond: 0.5, latency: 20 }),
    call('linkerd-viz/metrics-api', 'linkerd-viz/prometheus', 'prometheus:9090', { perSecond: 2, latency: 6 }),
    call('linkerd-viz/tap', 'linkerd/linkerd-destination', 'linkerd-dst:8086', {
      grpc: true,
      perSecond: 0.1,
      latency: 5,
    }),
  ]
}

interface Traffic extends Pick<Call, 'perSecond' | 'latency'> {
  readonly failing?: number
  readonly grpc?: boolean
}

function nightCalls(find: Find, at: number): { report: Workload; calls: Call[] } {
  const report: Workload = {
    namespace: 'batch',
    kind: 'cronjob',
    name: 'nightly-report',
    serviceAccount: 'nightly-report',
    podLabels: { app: 'nightly-report' },
    pods: [{ name: 'nightly-report-29384-k7n9x', ip: '10.42.0.90' }],
    alive: { from: at - 30, until: at + 390 },
  }
  const authors = { to: find('booksapp/authors'), service: 'authors', port: 7001, protocol: 'http' } as const
  const minutes = (from: number, until: number): Span => ({ from: at + from * 60, until: at + until * 60 })
  const calls: Call[] = [
    { ...authors, from: report, perSecond: 6, latency: 90, failing: 0.12, during: minutes(0, 6) },
    { ...authors, from: find('payments/checkout'), perSecond: 0, latency: 12, failing: 0, during: minutes(4, 4) },
    { ...authors, from: null, perSecond: 0.5, latency: 40, failing: 0, during: minutes(2, 5) },
  ]
  return { report, calls }
}
