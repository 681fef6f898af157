/** How somebody's identity was established. */
export type SourceName = 'bearer' | 'basic' | 'session' | 'id-token' | 'grafana-id' | 'datasource' | 'mesh'

/** Somebody whose identity was verified. Two identities are the same person only if issuer *and* subject are equal. */
export interface Identity {
  /** The provider's URL; {@link services} for a service that the configuration names. */
  readonly issuer: string
  readonly subject: string
  /** For people to read; never used to decide. */
  readonly name: string
  readonly groups: readonly string[]
  readonly via: SourceName
  /** The service on whose hop the request came, where that was proven. It gives no rights to a person. */
  readonly actor?: string
  /** The beginning of the SHA-256 of the credential, in hex: the same token shows as the same, and cannot be used. */
  readonly credential?: string
  /** When this identity ends, in Unix seconds. */
  readonly expires?: number
}

/** The issuer of service identities. No provider can have it: those are URLs. */
export const services = 'service'

/** Why credentials were not accepted. `message` is for the caller: it holds a remedy and never a part of a token. */
export interface IdentityRefusal {
  readonly code: 'malformed_credentials' | 'invalid_token' | 'issuer_unavailable'
  readonly message: string
}

/** What a source says. A refusal ends the line: no weaker source is asked after it. */
export type Identified =
  | { readonly is: 'absent' }
  | { readonly is: 'known'; readonly identity: Identity }
  | { readonly is: 'refused'; readonly refusal: IdentityRefusal }

/** What a request brought, as plain values. */
export interface Credentials {
  /** Every value of a header, in the order sent; empty where it was not sent. Repeated headers are visible here. */
  header(name: string): readonly string[]
  /** The address at which the request reached this machine. */
  readonly localAddress: string
  /** Has the answer set a cookie, by a whole `Set-Cookie` line; absent where nothing can be set. */
  readonly setCookie?: (line: string) => void
}

/** One way to say who one is. */
export interface IdentitySource {
  readonly name: SourceName
  identify(credentials: Credentials): Promise<Identified>
}

/** Shorthand for a refusal. */
export const refused = (code: IdentityRefusal['code'], message: string): Identified => ({
  is: 'refused',
  refusal: { code, message },
})

/**
 * Asks the sources in order. The first that does not answer *absent* decides, so that a bad credential never falls
 * through to a weaker one.
 */
export async function identify(sources: readonly IdentitySource[], credentials: Credentials): Promise<Identified> {
  for (const source of sources) {
    const identified = await source.identify(credentials)
    if (identified.is !== 'absent') return identified
  }
  return { is: 'absent' }
}
