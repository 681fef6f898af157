import type { Alternative, Family, Scope } from './scope.ts'

/** Which side of a call somebody sees: what a namespace's own proxies saw, what others saw of calls to it, or both. */
export type View = 'own' | 'destination' | 'both'

/** Namespaces (patterns: `*` stands for any run of characters) that may be seen from one side or both. */
export interface Grant {
  readonly view: View
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}

/** A label whose value is a namespace, or holds one: `*` stands for any run of characters, `%` for the namespace. */
type Speaker = string | { readonly label: string; readonly value: string }

/** The labels that speak for a namespace, by view; none where these metrics do not say. */
interface Labels {
  readonly own: readonly Speaker[]
  readonly destination: readonly Speaker[]
}

/**
 * Which label speaks for whom. The first family that matches a metric's name decides; for all other metrics, and where a
 * query does not say the name, the profile's own labels do.
 *
 * A family adds labels, and leaves out only such labels of the profile as its metrics do not have: otherwise a query that
 * hides the name, and so gets the profile's labels, would show more than one that says it.
 */
export interface Profile extends Labels {
  readonly own: readonly [Speaker, ...Speaker[]]
  readonly destination: readonly [Speaker, ...Speaker[]]
  readonly families: readonly (Labels & { readonly metrics: string })[]
}

const ownOnly = (metrics: string) => ({ metrics, own: ['namespace'], destination: [] })

/**
 * Linkerd's proxies. `namespace` is the observer's, set by the scrape. An inbound proxy knows its caller only as a TLS
 * identity, so what it saw belongs to nobody else.
 */
const linkerd: Profile = {
  own: ['namespace'],
  destination: ['dst_namespace'],
  families: [
    // Policy routes and balancers: the Service that was called, and the one that the request was sent on to.
    { metrics: 'outbound_*_route_*', own: ['namespace'], destination: ['parent_namespace', 'backend_namespace'] },
    { metrics: 'outbound_*_balancer_*', own: ['namespace'], destination: ['parent_namespace', 'backend_namespace'] },
    // ServiceProfile routes: only within dst="authors.booksapp.svc.cluster.local:7001". Both sides of a dot are single
    // DNS labels there, so a namespace pattern such as team-* cannot reach beyond the namespace.
    { metrics: 'route_*', own: ['namespace'], destination: [{ label: 'dst', value: '*.%.svc.*' }] },
    ...['inbound_*', 'control_*', 'identity_*', 'process_*', 'stack_*', 'tokio_*'].map(ownOnly),
  ],
}

/**
 * Istio's standard metrics name both ends on every sample; `namespace` is the pod's that reports it, which for a gateway
 * is the gateway's. Without a look at `reporter`, only `namespace` is sure to be the observer's own.
 */
const istio: Profile = {
  own: ['namespace'],
  destination: ['destination_workload_namespace', 'destination_service_namespace'],
  families: ['envoy_*', 'pilot_*', 'process_*'].map(ownOnly),
}

/** The profiles by name. */
export const profiles = { linkerd, istio } satisfies Record<string, Profile>

/** A label that can name the called namespace, and how it writes a namespace pattern. */
interface DestinationLabel {
  readonly label: string
  readonly value: (namespace: string) => string
}

/** Every label by which a metric of the profile can name the namespace that was called, each once. */
export function destinationLabels({ destination, families }: Profile): readonly DestinationLabel[] {
  const speakers = [...destination, ...families.flatMap((family) => family.destination)]
  const found = new Map(speakers.map((speaker) => [JSON.stringify(speaker), speaker]))
  return [...found.values()].map((speaker) => ({
    label: typeof speaker === 'string' ? speaker : speaker.label,
    value: (namespace) => writeAs(speaker, namespace),
  }))
}

const writeAs = (speaker: Speaker, namespace: string): string =>
  typeof speaker === 'string' ? namespace : speaker.value.replace('%', () => namespace)

/** The scope that grants come to under a profile: `nothing` where they allow no namespace. */
export function scopeFor(profile: Profile, grants: readonly Grant[]): Scope {
  const [first, ...rest] = speak(profile, grants)
  if (first === undefined) return { kind: 'nothing' }
  const alternatives = [first, ...rest] as const
  const families = profile.families.map((family): Family => {
    const [head, ...tail] = speak(family, grants)
    // Metrics that say nothing to these views keep the profile's labels, which they lack: nothing of them is shown.
    return { metrics: family.metrics, alternatives: head === undefined ? alternatives : [head, ...tail] }
  })
  // The last ones need not be said where they say nothing else than the profile's labels.
  const usual = JSON.stringify(alternatives)
  const last = families.findLastIndex((family) => JSON.stringify(family.alternatives) !== usual)
  return last < 0
    ? { kind: 'labels', alternatives }
    : { kind: 'labels', alternatives, families: families.slice(0, last + 1) }
}

/** What the labels say for the grants. Grants that deny the same share one alternative for each label. */
function speak(labels: Labels, grants: readonly Grant[]): readonly Alternative[] {
  const found = new Map<string, Alternative>()
  for (const { view, allow, deny } of grants) {
    if (allow.length === 0) continue
    const speakers = [...(view === 'destination' ? [] : labels.own), ...(view === 'own' ? [] : labels.destination)]
    for (const speaker of speakers) {
      const label = typeof speaker === 'string' ? speaker : speaker.label
      const write = (namespace: string): string => writeAs(speaker, namespace)
      const denied = deny.map(write).toSorted()
      const key = JSON.stringify([label, denied])
      const allowed = new Set([...(found.get(key)?.allow ?? []), ...allow.map(write)])
      found.set(key, { label, allow: [...allowed].toSorted(), deny: denied })
    }
  }
  return [...found.values()]
}
