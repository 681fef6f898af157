import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { loopback } from './loopback.ts'

/** What differs between one gateway on loopback and the next. */
export interface GatewayConfig {
  readonly port: number
  readonly adminPort: number
  /** Clusters by name, each with the URL of its Prometheus. */
  readonly clusters: Readonly<Record<string, string>>
  readonly issuer: string
  readonly audience: string
  readonly auditDir: string
  /** More settings of the record. */
  readonly audit?: Readonly<Record<string, unknown>>
  /** Such as `1s`; the product's default when absent. */
  readonly clockTolerance?: string
  /** Does an answer say that it was narrowed? The product's default when absent. */
  readonly notices?: boolean
  /** Files of rules beside those that the repository shows people. */
  readonly rules?: readonly string[]
  /** The client id with which people log in with a browser; nobody does when absent. */
  readonly loginClient?: string
  readonly level?: 'debug' | 'info' | 'warn' | 'error'
}

/** The rules that the demo and the tests run with: the ones that the repository shows people. */
const policies = fileURLToPath(new URL('../../policies', import.meta.url))

/** The text of a gateway's configuration file. */
export const gatewayConfig = (options: GatewayConfig): string =>
  stringify({
    ...(options.loginClient === undefined ? {} : { publicUrl: `http://${loopback}:${options.port}` }),
    listen: `${loopback}:${options.port}`,
    admin: `${loopback}:${options.adminPort}`,
    clusters: Object.entries(options.clusters).map(([name, url]) => ({
      name,
      prometheus: { url },
      ...(options.notices === undefined ? {} : { notices: options.notices }),
    })),
    identity: {
      issuers: [
        {
          issuer: options.issuer,
          audience: [options.audience],
          ...(options.clockTolerance === undefined ? {} : { clockTolerance: options.clockTolerance }),
        },
      ],
      ...(options.loginClient === undefined ? {} : { login: loginOf(options.issuer, options.loginClient) }),
    },
    policy: { model: `${policies}/model.conf`, rules: [`${policies}/policy.csv`, ...(options.rules ?? [])] },
    audit: { directory: options.auditDir, ...options.audit },
    log: { level: options.level ?? 'info' },
  })

/** The key is new with each file: sessions do not outlive the provider, whose keys are new at each start too. */
const loginOf = (issuer: string, clientId: string) => ({
  issuer,
  clientId,
  cookieKeys: [randomBytes(32).toString('base64url')],
})
