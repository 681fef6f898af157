/** How somebody's identity was established. A later source adds its name here. */
export type SourceName = 'bearer'

/** Somebody whose identity was verified. Two identities are the same person only if issuer *and* subject are equal. */
export interface Identity {
  readonly issuer: string
  readonly subject: string
  /** For people to read; never used to decide. */
  readonly name: string
  readonly groups: readonly string[]
  readonly via: SourceName
}

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
