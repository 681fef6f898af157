import type { Config } from '../config/config.ts'
import type { IdentitySource } from '../identity/identity.ts'
import { openIntrospection } from '../identity/introspect.ts'
import type { IssuerKeys } from '../identity/issuer.ts'
import { bearerSource } from '../identity/sources/bearer.ts'
import { grafanaSource } from '../identity/sources/grafana.ts'
import type { Datasource } from '../identity/sources/grafana.ts'
import { openTokenVerifier } from '../identity/token.ts'

/** The ways in which somebody can say who they are, in the order in which they are asked. */
export function openSources(
  config: Config,
  { issuers, datasources }: { readonly issuers: readonly IssuerKeys[]; readonly datasources: readonly Datasource[] },
  clock: () => number,
): readonly IdentitySource[] {
  const [introspect] = config.issuers.flatMap((issuer) =>
    issuer.introspection === undefined ? [] : [openIntrospection({ issuer, ...issuer.introspection }, clock)],
  )
  const verifier = openTokenVerifier({ issuers, clock, ...(introspect === undefined ? {} : { introspect }) })
  return [grafanaSource({ datasources, verifier }), bearerSource(verifier)]
}
