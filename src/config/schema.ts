import { z } from 'zod'
import { audit } from './audit.ts'
import { cliClient } from './cli-client.ts'
import { cluster } from './clusters.ts'
import { datasource } from './datasources.ts'
import { issuer } from './issuers.ts'
import { login } from './login.ts'
import { mesh } from './mesh.ts'
import { address, duration, listOf, nonEmpty, range, settings, url } from './values.ts'

/**
 * The whole file; `docs/configuration.md` says what each setting does. Unknown keys are errors: a misspelt setting must
 * not silently fall back to its default.
 */
export const schema = settings({
  publicUrl: url.optional(),
  listen: address.prefault('127.0.0.1:9080'),
  admin: address.prefault('127.0.0.1:9081'),
  trustedProxies: listOf(range, 'address or range').optional(),
  clusters: listOf(cluster, 'cluster'),
  identity: settings({
    issuers: listOf(issuer, 'issuer'),
    cli: cliClient.optional(),
    login: login.optional(),
    datasources: listOf(datasource, 'datasource').optional(),
    mesh: mesh.optional(),
  }),
  policy: settings({
    model: nonEmpty,
    rules: listOf(nonEmpty, 'file'),
    profile: z.enum(['linkerd', 'istio'], { error: 'must be linkerd or istio' }).default('linkerd'),
    reload: duration.prefault('30s'),
  }),
  audit,
  log: settings({
    level: z.enum(['debug', 'info', 'warn', 'error'], { error: 'must be debug, info, warn or error' }).default('info'),
  }).prefault({}),
  shutdown: settings({ grace: duration.prefault('25s') }).prefault({}),
})

export type Settings = z.output<typeof schema>
