import { type Call, clientId, linkerdMesh, type Mesh } from './linkerd-mesh.ts'
import { callsUntil, failuresOf } from './linkerd-series.ts'

/** What really happened in a window, whoever may see it: what a test or an auditor's answer is compared with. */
export interface Truth {
  readonly edges: readonly Edge[]
}

/** One caller of one service. Times in seconds since 1970, cut to the window. */
export interface Edge {
  /** `null`: a client without a proxy, which has no identity. */
  readonly from: { readonly namespace: string; readonly workload: string; readonly clientId: string } | null
  /** `null`: a server outside of the cluster. */
  readonly to: { readonly namespace: string; readonly workload: string } | null
  readonly service: string
  readonly first: number
  readonly last: number
  readonly calls: number
  readonly failures: number
  /** Whose proxy counted it: the caller's (`direction="outbound"`), the called one's (`direction="inbound"`). */
  readonly seenBy: { readonly source: boolean; readonly destination: boolean }
}

/** The truth about a window; the same arguments as for its history give the truth about that history. */
export function truthOf(window: { start: number; end: number; nightlyAt: number }): Truth {
  const mesh = linkerdMesh(window.start, window.nightlyAt)
  const edges = mesh.calls
    .map((call) => edgeOf(mesh, call, window))
    .filter((edge) => edge.calls > 0 && edge.first <= edge.last)
  return { edges }
}

function edgeOf(mesh: Mesh, call: Call, window: { start: number; end: number }): Edge {
  const first = Math.max(window.start, call.during?.from ?? window.start)
  const last = Math.min(window.end, call.during?.until ?? window.end)
  const before = callsUntil(mesh, call, window.start) ?? 0
  const after = callsUntil(mesh, call, last) ?? 0
  return {
    from:
      call.from === null
        ? null
        : { namespace: call.from.namespace, workload: call.from.name, clientId: clientId(call.from) },
    to: call.to === null ? null : { namespace: call.to.namespace, workload: call.to.name },
    service: call.service,
    first,
    last,
    calls: Math.max(0, after - before),
    failures: Math.max(0, failuresOf(call, after) - failuresOf(call, before)),
    seenBy: { source: call.from !== null, destination: call.to !== null },
  }
}
