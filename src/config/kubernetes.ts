import type { z } from 'zod'
import type { OwnCredentials } from '../identity/own-credentials.ts'
import type { SecretFiles } from './secrets.ts'
import { bearerToken, certificates, secureUrl, settings } from './values.ts'

/** Where an issuer's keys are, without discovery. */
export const keys = settings({ url: secureUrl, ca: certificates.optional(), bearerToken: bearerToken.optional() })

/** The API server that is asked whether a token's pod still lives. It answers nobody who does not say who they are. */
export const tokenReview = settings({ url: secureUrl, ca: certificates.optional(), bearerToken })

const followed = ['ca', 'bearerToken'] as const

/** The gateway's own credentials, with the files that are read again. `at` is the setting, such as `….keys`. */
export function withFiles<T extends object>(
  given: T,
  at: string,
  files: SecretFiles,
): T & Pick<OwnCredentials, 'files'> {
  const found = followed.flatMap((name) => {
    const file = files.get(`${at}.${name}`)
    return file === undefined ? [] : [[name, file] as const]
  })
  return found.length === 0 ? given : { ...given, files: Object.fromEntries(found) }
}

interface Checked {
  readonly issuer: string
  readonly audience: readonly string[]
  readonly groupsClaim: string
  readonly groupPrefix: string
  readonly keys?: z.output<typeof keys> | undefined
  readonly tokenReview?: z.output<typeof tokenReview> | undefined
}

/** Names under which API servers accept tokens where nobody chose one, beside the issuer's own. */
const usual = /^(https?:\/\/)?kubernetes(\.default(\.svc(\.[a-z0-9.-]+)?)?|\.svc\.default)?(:\d+)?\/?$/i
const distributions = ['k3s', 'rke2']

/**
 * Is this the audience of the API server itself? Then every pod's ordinary token would count here, and whoever runs
 * the gateway could use what it is sent against the cluster.
 */
function isApiServers(audience: string, { issuer, keys: known, tokenReview: review }: Checked): boolean {
  if (usual.test(audience)) return true
  const ofCluster = review !== undefined || known?.url.endsWith('/openid/v1/jwks') === true || usual.test(issuer)
  if (!ofCluster) return false
  const own = [known, review].flatMap((one) => audiencesOf(one?.bearerToken ?? ''))
  return [issuer, ...distributions, ...own].includes(audience)
}

/** What is wrong with an issuer, where it is a cluster: the setting, with a sentence. */
export const checkCluster = (
  checked: Checked,
): readonly (readonly [path: readonly PropertyKey[], message: string])[] => [
  ...checked.audience.flatMap((audience, index) =>
    isApiServers(audience, checked) ? [[['audience', index], remedy] as const] : [],
  ),
  ...(checked.groupsClaim.startsWith('/kubernetes.io/') && checked.groupPrefix === ''
    ? [[['groupPrefix'], prefix] as const]
    : []),
]

const remedy =
  "is the Kubernetes API server's own audience, so that every pod's token would count: choose another, such as bailiwick, " +
  "and name it in the pods' projected volume (serviceAccountToken.audience)"

const prefix = "without it, a namespace with the name of a group would be that group: write one, such as 'namespace:'"

/** For whom a token was made; none where it is no JWT. The gateway's own are for the API server. */
function audiencesOf(token: string): readonly unknown[] {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
    return typeof claims === 'object' && claims !== null && 'aud' in claims ? [claims.aud].flat() : []
  } catch {
    return []
  }
}
