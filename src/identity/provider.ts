import { allowInsecureRequests, customFetch, discovery } from 'openid-client'
import type { Configuration } from 'openid-client'
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
  const found = await discovery(new URL(issuer), clientId, clientSecret, undefined, {
    timeout: providerTimeout / 1000,
    [customFetch]: boundedFetch(),
    ...(plain ? { execute: [allowInsecureRequests] } : {}),
  })
  const named = found.serverMetadata().issuer
  if (named !== issuer) throw new Error(`the discovery document names the issuer ${named}, configured is ${issuer}`)
  return found
}
