import {
  ClientSecretBasic,
  ClientSecretPost,
  Configuration,
  allowInsecureRequests,
  customFetch,
  discovery,
} from 'openid-client'
import type { ClientAuth, ServerMetadata } from 'openid-client'
import { boundedFetch } from './fetch.ts'
import { providerTimeout } from './limits.ts'

/** A client of a provider; without a secret it is a public one. */
export interface ProviderClient {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret?: string
}

/**
 * Asks a provider for its metadata (OpenID Connect Discovery 1.0 / RFC 8414). Rejects where it does not answer, and where
 * its document does not name the issuer to the letter.
 */
export async function discoverProvider({ issuer, clientId, clientSecret }: ProviderClient): Promise<Configuration> {
  // The configuration lets plain http through for this machine only (RFC 8252 §8.3 reasons the same way).
  const plain = issuer.startsWith('http:')
  const found = await discovery(new URL(issuer), clientId, undefined, undefined, {
    timeout: providerTimeout / 1000,
    [customFetch]: boundedFetch(),
    ...(plain ? { execute: [allowInsecureRequests] } : {}),
  })
  const server = found.serverMetadata()
  if (server.issuer !== issuer) {
    throw new Error(`the discovery document names the issuer ${server.issuer}, configured is ${issuer}`)
  }
  if (clientSecret === undefined) return found
  // How the secret is sent is known only now that the provider has said what it takes.
  const config = new Configuration(server, clientId, {}, secretAuth(server, clientSecret))
  config.timeout = providerTimeout / 1000
  config[customFetch] = boundedFetch()
  if (plain) allowInsecureRequests(config)
  return config
}

/** RFC 8414 §2: a provider that does not say takes the secret as HTTP Basic. */
export function secretAuth(
  { token_endpoint_auth_methods_supported: methods }: ServerMetadata,
  secret: string,
): ClientAuth {
  const basic = methods === undefined || methods.includes('client_secret_basic')
  return basic ? ClientSecretBasic(secret) : ClientSecretPost(secret)
}
