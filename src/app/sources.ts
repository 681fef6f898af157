import type { Config } from '../config/config.ts'
import type { IdentitySource } from '../identity/identity.ts'
import { openIntrospection } from '../identity/introspect.ts'
import type { IssuerKeys } from '../identity/issuer.ts'
import type { MeshSelfTest } from '../identity/mesh-self-test.ts'
import { bearerSource } from '../identity/sources/bearer.ts'
import { grafanaSource } from '../identity/sources/grafana.ts'
import type { Datasource } from '../identity/sources/grafana.ts'
import { meshSource } from '../identity/sources/mesh.ts'
import type { MeshOptions } from '../identity/sources/mesh.ts'
import { openTokenVerifier } from '../identity/token.ts'
import type { Browser } from './browser.ts'

/** The mesh around the gateway, and whether its word counts. */
export interface Mesh {
  readonly options: MeshOptions
  readonly selfTest: MeshSelfTest
}

/** The ways in which somebody can say who they are, in the order in which they are asked. */
export function openSources(
  config: Config,
  { issuers, datasources }: { readonly issuers: readonly IssuerKeys[]; readonly datasources: readonly Datasource[] },
  clock: () => number,
  browser: Browser | null = null,
  mesh: Mesh | null = null,
): readonly IdentitySource[] {
  const [introspect] = config.issuers.flatMap((issuer) =>
    issuer.introspection === undefined ? [] : [openIntrospection({ issuer, ...issuer.introspection }, clock)],
  )
  const verifier = openTokenVerifier({
    issuers,
    clock,
    ...(introspect === undefined ? {} : { introspect }),
    ...(browser === null ? {} : { revoked: browser.revoked }),
  })
  const others = [
    grafanaSource({ datasources, verifier }),
    ...(browser === null ? [] : [browser.source]),
    bearerSource(verifier),
  ]
  if (mesh === null) return others
  const { options, selfTest } = mesh
  return [meshSource({ options, isProven: () => selfTest.state().proven, others })]
}
