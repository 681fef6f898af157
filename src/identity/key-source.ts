import type { JSONWebKeySet } from 'jose'
import { boundedFetch } from './fetch.ts'
import type { Fetch } from './fetch.ts'
import type { IssuerOptions } from './issuer.ts'
import { followOwn } from './own-credentials.ts'
import { discoverProvider } from './provider.ts'

const discoverEvery = 60 * 60_000

/** Where the keys come from: a known address, or discovery, which is repeated now and then. */
export function keySource({ issuer, keys }: IssuerOptions, clock: () => number): () => Promise<JSONWebKeySet> {
  if (keys !== undefined) {
    const own = followOwn(keys)
    return () => own((fetch) => fetchKeys(keys.url, fetch))
  }
  const fetch = boundedFetch()
  let found: string | null = null
  let foundAt = Number.NEGATIVE_INFINITY
  return async () => {
    if (found === null || clock() - foundAt > discoverEvery) {
      try {
        found = await discoverKeys(issuer)
        foundAt = clock()
      } catch (error) {
        // The address that worked until now is better than none.
        if (found === null) throw error
      }
    }
    return fetchKeys(found, fetch)
  }
}

async function fetchKeys(url: string, fetch: Fetch): Promise<JSONWebKeySet> {
  const answer = await fetch(url, { headers: { accept: 'application/json' } })
  if (answer.status !== 200) throw new Error(`the keys at ${url} were answered with status ${answer.status}`)
  // Grafana Cloud, which signs elsewhere, answers {"keys":null} here.
  const body: unknown = await answer.json().catch(() => null)
  if (!isKeySet(body)) throw new Error(`the answer of ${url} is no JSON Web Key Set: is it the right address?`)
  return body
}

const isKeySet = (body: unknown): body is JSONWebKeySet =>
  typeof body === 'object' &&
  body !== null &&
  'keys' in body &&
  Array.isArray(body.keys) &&
  body.keys.every((key) => typeof key === 'object' && key !== null)

/** The address of the provider's JWKS. */
async function discoverKeys(issuer: string): Promise<string> {
  const { jwks_uri: keys } = (await discoverProvider({ issuer, clientId: 'bailiwick' })).serverMetadata()
  if (keys === undefined) throw new Error(`the discovery document of ${issuer} has no jwks_uri`)
  // Over plain http somebody on the way could put in keys of their own.
  if (!keys.startsWith('https:') && issuer.startsWith('https:'))
    throw new Error(`the jwks_uri of ${issuer} is not https`)
  return keys
}
