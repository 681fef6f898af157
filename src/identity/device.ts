import {
  ResponseBodyError,
  initiateDeviceAuthorization,
  pollDeviceAuthorizationGrant,
  refreshTokenGrant,
  tokenRevocation,
} from 'openid-client'
import type { TokenEndpointResponse } from 'openid-client'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { discoverProvider } from './provider.ts'
import type { CliClient } from './resource-metadata.ts'

/** What a login gave. */
export interface Tokens {
  readonly accessToken: string
  /** Null where the provider gave none: then the login ends with the access token. */
  readonly refreshToken: string | null
  /** Unix seconds. */
  readonly expiresAt: number
}

/** A login that waits for a person with a browser. */
export interface DeviceLogin {
  /** Where to go, and what to type there. */
  readonly url: string
  readonly code: string
  /** The same with the code in it; null where the provider has none. */
  readonly complete: string | null
  /** Seconds until the code is worthless. */
  readonly expiresIn: number
  /** Resolves when the person has said yes or no, or the code expired. */
  wait(signal: AbortSignal): Promise<Result<Tokens, string>>
}

/** Begins a login on another device (RFC 8628 §3.1). `clock` is in milliseconds. */
export async function beginDeviceLogin(client: CliClient, clock: () => number): Promise<Result<DeviceLogin, string>> {
  try {
    const provider = await discoverProvider(client)
    const asked = { scope: client.scopes.join(' '), ...client.parameters }
    const device = await initiateDeviceAuthorization(provider, asked)
    return ok({
      url: device.verification_uri,
      code: device.user_code,
      complete: device.verification_uri_complete ?? null,
      expiresIn: device.expires_in,
      async wait(signal) {
        try {
          const granted = await pollDeviceAuthorizationGrant(provider, device, client.parameters, { signal })
          return ok(tokensOf(granted, clock))
        } catch (error) {
          return fail(inWords(error))
        }
      },
    })
  } catch (error) {
    return fail(`${client.issuer}: ${inWords(error)}`)
  }
}

/** Why there are no fresh tokens; `over`: the provider said no, and will not say anything else later. */
export interface RefreshFailure {
  readonly over: boolean
  readonly message: string
}

/** Fresh tokens for a refresh token (RFC 6749 §6), which may be used up by this: keep the new one at once. */
export async function refreshTokens(
  client: CliClient,
  refreshToken: string,
  clock: () => number,
): Promise<Result<Tokens, RefreshFailure>> {
  try {
    const granted = await refreshTokenGrant(await discoverProvider(client), refreshToken, client.parameters)
    const tokens = tokensOf(granted, clock)
    return ok({ ...tokens, refreshToken: tokens.refreshToken ?? refreshToken })
  } catch (error) {
    return fail({ over: error instanceof ResponseBodyError, message: `${client.issuer}: ${inWords(error)}` })
  }
}

/** Tells the provider that a login is over (RFC 7009). Returns a sentence where that did not work. */
export async function revokeLogin(client: CliClient, token: string): Promise<string | null> {
  try {
    await tokenRevocation(await discoverProvider(client), token)
    return null
  } catch (error) {
    return `${client.issuer}: ${inWords(error)}`
  }
}

/** Where the provider does not say how long a token lives, it is taken for five minutes. */
const tokensOf = (granted: TokenEndpointResponse, clock: () => number): Tokens => ({
  accessToken: granted.access_token,
  refreshToken: granted.refresh_token ?? null,
  expiresAt: Math.floor(clock() / 1000) + (granted.expires_in ?? 300),
})

/** RFC 8628 §3.5 and RFC 6749 §5.2 in words, never with a token in them. */
function inWords(error: unknown): string {
  if (!(error instanceof ResponseBodyError)) return error instanceof Error ? error.message : String(error)
  const known: Readonly<Record<string, string>> = {
    access_denied: 'the login was declined',
    expired_token: 'the code expired before anybody used it: log in again',
    invalid_grant: 'the login is over: log in again',
    unauthorized_client: 'this client may not log in by device code: ask the operator of the provider to allow it',
    invalid_client: 'the provider does not know this client: compare the client id',
  }
  return known[error.error] ?? `the provider answered ${error.error} (${error.error_description ?? 'without a reason'})`
}
