import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { boundedFetch } from './fetch.ts'

/** The path of the document that says who issues tokens for a resource (RFC 9728 §3). */
export const metadataPath = '/.well-known/oauth-protected-resource'

/** How people's own programs log in: a public client of one of the issuers, and what it asks for. */
export interface CliClient {
  readonly issuer: string
  readonly clientId: string
  readonly scopes: readonly string[]
  /** More parameters of the request, such as `resource` (RFC 8707) or `audience`. */
  readonly parameters: Readonly<Record<string, string>>
}

/** What the gateway says of itself to anybody. */
export interface ResourceMetadata {
  /** The gateway's public URL. */
  readonly resource: string
  readonly authorizationServers: readonly string[]
  /** Null where the gateway has none. */
  readonly cli: CliClient | null
}

/** Where the document is: RFC 9728 §3.1 puts its path before the path of the resource, not behind it. */
export function metadataUrl(resource: string): string {
  const { origin, pathname } = new URL(resource)
  return `${origin}${metadataPath}${pathname === '/' ? '' : pathname.replace(/\/+$/, '')}`
}

/** The document. What begins with `bailiwick_` is our own (RFC 9728 §2 allows further members). */
export const printMetadata = ({ resource, authorizationServers, cli }: ResourceMetadata): string =>
  JSON.stringify({
    resource,
    resource_name: 'bailiwick',
    authorization_servers: authorizationServers,
    bearer_methods_supported: ['header'],
    ...(cli === null
      ? {}
      : {
          bailiwick_cli: {
            issuer: cli.issuer,
            client_id: cli.clientId,
            scopes: cli.scopes,
            parameters: cli.parameters,
          },
        }),
  })

/** Asks a gateway how to log in to it. What comes back is a sentence with the remedy where that cannot be learnt. */
export async function fetchMetadata(gateway: string): Promise<Result<ResourceMetadata, string>> {
  const url = metadataUrl(gateway)
  let body: unknown
  try {
    const answer = await boundedFetch()(url, { headers: { accept: 'application/json' } })
    if (answer.status !== 200) return fail(`${url} answered with status ${answer.status}: is it a bailiwick gateway?`)
    body = await answer.json()
  } catch (error) {
    return fail(`${url} cannot be read (${error instanceof Error ? error.message : String(error)}): check the URL`)
  }
  const { resource, authorization_servers: servers, bailiwick_cli: cli } = Object(body)
  // RFC 9728 §3.3: otherwise somebody else's document could send people to somebody else's provider.
  if (resource !== gateway) return fail(`${url} names the resource ${String(resource)}: use that as --gateway`)
  const authorizationServers = Array.isArray(servers) ? servers.filter((one) => typeof one === 'string') : []
  return ok({ resource, authorizationServers, cli: readCli(cli) })
}

function readCli(written: unknown): CliClient | null {
  const { issuer, client_id: clientId, scopes, parameters } = Object(written)
  if (typeof issuer !== 'string' || typeof clientId !== 'string' || !Array.isArray(scopes)) return null
  const more = Object.entries(Object(parameters)).flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, value] as const] : [],
  )
  return {
    issuer,
    clientId,
    scopes: scopes.filter((scope) => typeof scope === 'string'),
    parameters: Object.fromEntries(more),
  }
}
