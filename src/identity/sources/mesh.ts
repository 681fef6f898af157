import { identify, refused, services } from '../identity.ts'
import type { Credentials, Identified, Identity, IdentitySource } from '../identity.ts'
import { maxMeshIdentity } from '../limits.ts'

/** Linkerd's mesh, as far as its word on who calls is taken. */
export interface MeshOptions {
  /** The mesh's trust domain, such as `cluster.local`. */
  readonly trustDomain: string
  /** Where Linkerd's control plane is. */
  readonly controlPlaneNamespace: string
  /** An address at which the gateway reaches itself through its own inbound proxy. */
  readonly selfTest: string
  /** Who may be somebody by their place in the mesh alone; everybody else's place only names the hop. */
  readonly subjects: 'none' | 'all'
}

/** What the source is made of. */
export interface MeshParts {
  readonly options: MeshOptions
  /** Has it been shown that the proxy lets no forged header through? */
  readonly isProven: () => boolean
  /** The other ways to say who one is, in their order. */
  readonly others: readonly IdentitySource[]
}

/** What Linkerd's inbound proxy writes into each request: whom it saw in the caller's certificate. */
export const meshHeader = 'l5d-client-id'

/** What the header says of the hop. */
type Hop =
  /** Nothing that counts. */
  | { readonly is: 'none' }
  /** Nothing that counts yet: nobody knows whether the proxy wrote it. */
  | { readonly is: 'unproven' }
  | { readonly is: 'refused'; readonly refusal: Identified }
  /** Somebody who is no service account of this mesh. */
  | { readonly is: 'foreign' }
  | { readonly is: 'workload'; readonly name: string }

/**
 * Names the hop on which a request came, by Linkerd's word, on whoever the other sources find; where they find nobody
 * and the options allow it, the workload itself is who asks. It never takes a right away from the others, but for a
 * header that no proxy writes. The header counts only where it cannot have been forged: once the self-test has passed,
 * and never on the loopback interface (`kubectl port-forward`, another container of the pod), which is past the proxy.
 */
export function meshSource({ options, isProven, others }: MeshParts): IdentitySource {
  return {
    name: 'mesh',
    async identify(credentials) {
      const hop = hopOf(credentials, options, isProven)
      if (hop.is === 'refused') return hop.refusal
      const said = await identify(others, credentials)
      if (said.is === 'known' && hop.is === 'workload') return { ...said, identity: cameBy(said.identity, hop.name) }
      if (said.is === 'known') return said
      return said.is === 'refused' || options.subjects === 'none' ? said : alone(hop)
    },
  }
}

/** A service's own credential may have proven the hop already: then both are named. */
const cameBy = (identity: Identity, hop: string): Identity => ({
  ...identity,
  actor: identity.actor === undefined ? hop : `${identity.actor} ${hop}`,
})

/** Who asks where the hop is all that is known. */
function alone(hop: Exclude<Hop, { is: 'refused' }>): Identified {
  switch (hop.is) {
    case 'none':
      return { is: 'absent' }
    case 'unproven':
      return refused(
        'issuer_unavailable',
        'the gateway has not yet seen that its proxy lets no forged identity through',
      )
    case 'foreign':
      return refused('invalid_token', 'the caller is no service account of this mesh: send a token')
    case 'workload':
      return {
        is: 'known',
        identity: { issuer: services, subject: hop.name, name: hop.name, groups: [], via: 'mesh' },
      }
  }
}

function hopOf(credentials: Credentials, options: MeshOptions, isProven: () => boolean): Hop {
  const sent = credentials.header(meshHeader)
  const [value] = sent
  if (value === undefined || isLoopback(credentials.localAddress)) return { is: 'none' }
  if (!isProven()) return { is: 'unproven' }
  // The proxy puts one in the place of all. Whatever brought more has gone past it, or was joined on the way.
  if (sent.length > 1 || value.includes(',')) {
    const message = `more than one ${meshHeader} was sent, which Linkerd's proxy never does: send none`
    return { is: 'refused', refusal: refused('malformed_credentials', message) }
  }
  const name = readWorkload(value, options)
  return name === null ? { is: 'foreign' } : { is: 'workload', name }
}

/** Also where the address is not known: it may be one. */
const isLoopback = (address: string): boolean => address === '' || /^((::ffff:)?127\.|::1$)/.test(address)

const name = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/

/**
 * `<account>.<namespace>.serviceaccount.identity.<control plane's namespace>.<trust domain>` as `mesh/<namespace>/<account>`.
 * Read from its end: an account's name may hold dots, a namespace's may not, so `admin.linkerd-viz` of the namespace
 * `evil` reads like `admin` of `linkerd-viz` from its beginning. Null for anything else, also for SPIFFE's URIs, which
 * machines outside of the cluster have.
 */
export function readWorkload(
  value: string,
  { trustDomain, controlPlaneNamespace }: Pick<MeshOptions, 'trustDomain' | 'controlPlaneNamespace'>,
): string | null {
  const suffix = `.serviceaccount.identity.${controlPlaneNamespace}.${trustDomain}`
  if (value.length > maxMeshIdentity || !value.endsWith(suffix)) return null
  const labels = value.slice(0, -suffix.length).split('.')
  const namespace = labels.pop() ?? ''
  if (labels.length === 0 || ![namespace, ...labels].every((label) => label.length <= 63 && name.test(label)))
    return null
  return `mesh/${namespace}/${labels.join('.')}`
}
