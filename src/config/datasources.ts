import type { z } from 'zod'
import type { DatasourceOptions } from '../identity/sources/grafana.ts'
import { secureUrl } from './issuers.ts'
import { duration, isSecure, listOf, nonEmpty, settings, text, url } from './values.ts'

const grafanaId = settings({
  issuer: url,
  keysUrl: secureUrl.optional(),
  audience: listOf(nonEmpty, 'organisation'),
  clockTolerance: duration.prefault('30s'),
}).superRefine(({ issuer, keysUrl }, context) => {
  if (keysUrl !== undefined || isSecure(issuer)) return
  const message = 'is plain http, and the keys must not come that way: give their address in keysUrl, as https'
  context.addIssue({ code: 'custom', path: ['issuer'], message })
})

/** A datasource of `identity.datasources`. */
export const datasource = settings({
  name: text.regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be a name of a-z, 0-9 and -, at most 63 characters'),
  // It travels in a header, and nothing slows down who guesses.
  secret: text.regex(
    /^[\x21-\x7e]{24,1000}$/,
    'must be a secret of 24 to 1000 letters, digits and signs of ASCII, without spaces',
  ),
  grafanaId: grafanaId.optional(),
})

/** What the identity room is told of a datasource. */
export function toDatasource({ name, secret, grafanaId: grafana }: z.output<typeof datasource>): DatasourceOptions {
  if (grafana === undefined) return { name, secret }
  const { issuer, keysUrl, audience, clockTolerance } = grafana
  const base = issuer.endsWith('/') ? issuer : `${issuer}/`
  return {
    name,
    secret,
    grafanaId: {
      issuer,
      keysUrl: keysUrl ?? `${base}api/signing-keys/keys`,
      audience,
      clockTolerance: clockTolerance / 1000,
    },
  }
}

interface Checked {
  readonly issuers: readonly { readonly issuer: string }[]
  readonly datasources?: readonly z.output<typeof datasource>[] | undefined
}

/** What concerns several datasources, or a datasource and the issuers. */
export function checkDatasources({ issuers, datasources = [] }: Checked): readonly string[] {
  return datasources.flatMap(({ name, secret, grafanaId: grafana }, index) => {
    const at = `identity.datasources[${index}]`
    const sameName = datasources.findIndex((other) => other.name === name)
    const sameSecret = datasources.findIndex((other) => other.secret === secret)
    const bearer = issuers.findIndex(({ issuer }) => issuer === grafana?.issuer)
    return [
      ...(sameName < index
        ? [`${at}.name: is the name of identity.datasources[${sameName}] already: choose another`]
        : []),
      ...(sameSecret < index ? [`${at}.secret: is that of identity.datasources[${sameSecret}] too: make another`] : []),
      ...(bearer >= 0
        ? [
            `${at}.grafanaId.issuer: is identity.issuers[${bearer}], too, so that it would need no datasource: remove that one`,
          ]
        : []),
    ]
  })
}
