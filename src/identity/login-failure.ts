import { AuthorizationResponseError, ClientError, ResponseBodyError } from 'openid-client'

/** Why a login did not come about. */
export type LoginFailureCode =
  /** The provider cannot be reached, or failed. */
  | 'provider_unavailable'
  /** The person, or the provider for them, said no. */
  | 'denied'
  /** The provider reports a problem with our request: its configuration and ours do not fit. */
  | 'misconfigured'
  /** The code was used already, or waited too long. */
  | 'stale_code'
  /** The answer belongs to no login of this browser. */
  | 'no_login'
  /** The login took too long. */
  | 'expired'
  | 'replayed'
  | 'wrong_nonce'
  | 'wrong_issuer'
  /** The ID token's times lie too far from ours. */
  | 'clock'
  /** The ID token, or the answer, is not as it must be. */
  | 'rejected'
  /** The claims do not say who it is in a way that can be read. */
  | 'claims'
  | 'too_large'
  /** The provider vouches for too short a time, and lets us not ask again. */
  | 'too_short'

/** `detail` is for the operational log, and never shown: a provider may have put anything into it. */
export interface LoginFailure {
  readonly code: LoginFailureCode
  readonly detail: string
}

/** Reads what the library throws. */
export function failureOf(error: unknown): LoginFailure {
  if (error instanceof AuthorizationResponseError) {
    const denied = error.error === 'access_denied'
    const busy = ['temporarily_unavailable', 'server_error'].includes(error.error)
    return { code: denied ? 'denied' : busy ? 'provider_unavailable' : 'misconfigured', detail: error.error }
  }
  if (error instanceof ResponseBodyError) {
    const code =
      error.status >= 500 ? 'provider_unavailable' : error.error === 'invalid_grant' ? 'stale_code' : 'misconfigured'
    return { code, detail: `status ${error.status}, ${error.error}` }
  }
  if (error instanceof ClientError) return { code: codeOf(error), detail: detailOf(error) }
  return { code: 'provider_unavailable', detail: error instanceof Error ? error.message : String(error) }
}

function codeOf({ code = '', cause, message }: ClientError): LoginFailureCode {
  if (code === 'OAUTH_JWT_TIMESTAMP_CHECK_FAILED') return 'clock'
  if (code === 'OAUTH_JWT_CLAIM_COMPARISON_FAILED') {
    const claim: unknown = Reflect.get(Object(Reflect.get(Object(cause), 'cause')), 'claim')
    return claim === 'nonce' ? 'wrong_nonce' : claim === 'iss' ? 'wrong_issuer' : 'rejected'
  }
  if (code === 'OAUTH_INVALID_RESPONSE') {
    const words = cause instanceof Error ? cause.message : message
    return words.includes('"iss"') ? 'wrong_issuer' : words.includes('"state"') ? 'no_login' : 'rejected'
  }
  const unreachable = [
    'OAUTH_TIMEOUT',
    'OAUTH_ABORT',
    'OAUTH_RESPONSE_IS_NOT_CONFORM',
    'OAUTH_RESPONSE_IS_NOT_JSON',
    '',
  ]
  return unreachable.includes(code) ? 'provider_unavailable' : 'rejected'
}

/** The library's own sentence, and that of what it wraps: neither holds a token. */
function detailOf({ message, code, cause }: ClientError): string {
  const inner = cause instanceof Error ? `: ${cause.message}` : ''
  return `${code ?? 'no code'}: ${message}${inner}`
}
