import type { IdentityRefusal } from '../identity/identity.ts'
import type { RewriteRefusal } from '../prometheus/rewrite.ts'
import type { Later } from './quota.ts'

/** Every way in which a request ends without Prometheus's answer. */
export type Refusal =
  | { readonly is: 'unknown_path' }
  | { readonly is: 'unknown_cluster' }
  | { readonly is: 'wrong_method'; readonly allowed: readonly string[] }
  | { readonly is: 'bad_body'; readonly status: 400 | 413 | 415; readonly message: string }
  | { readonly is: 'no_credentials' }
  | { readonly is: 'bad_credentials'; readonly refusal: IdentityRefusal }
  | RewriteRefusal
  | Turn
  | { readonly is: 'audit_unavailable' }
  | { readonly is: 'filters_busy' }
  | { readonly is: 'upstream_unreachable' }
  | { readonly is: 'upstream_untrusted' }
  | { readonly is: 'upstream_rejected' }
  | { readonly is: 'upstream_timeout' }
  | { readonly is: 'upstream_unexpected' }
  | { readonly is: 'internal' }

/** It was not the caller's turn: `gone` is a caller who went away while waiting for it. */
type Turn = Later | { readonly is: 'gone' }

/** What goes over the wire. */
export interface Wire {
  readonly status: number
  readonly errorType: string
  readonly message: string
  readonly headers: Readonly<Record<string, string>>
}

/** What a message may say about the caller and the place. */
export interface RefusalContext {
  readonly name: string
  readonly groups: readonly string[]
  readonly cluster: string
  /** Where the caller's client can learn who issues tokens; null where that is not known. */
  readonly metadata: string | null
}

/** RFC 6750 §3: the realm says what the token is for; RFC 9728 §5.1: the metadata, who issues one. */
const challengeOf = ({ metadata }: RefusalContext): string =>
  `Bearer realm="bailiwick"${metadata === null ? '' : `, resource_metadata="${metadata}"`}`

/**
 * Status, error type and sentence of a refusal. 422 rather than 400 for what the caller can mend in the query: Grafana
 * repeats a POST that got 400 or 405 as a GET.
 */
export function refusalToWire(refusal: Refusal, context: RefusalContext): Wire {
  switch (refusal.is) {
    case 'unknown_path':
    case 'unknown_cluster':
    case 'wrong_method':
      return placeToWire(refusal)
    case 'bad_body':
      return wire(refusal.status, 'bad_data', refusal.message)
    case 'no_credentials':
      return wire(401, 'unauthorized', 'no credentials: send "Authorization: Bearer <token>"', {
        'www-authenticate': challengeOf(context),
      })
    case 'bad_credentials':
      return credentialsToWire(refusal.refusal, context)
    case 'no_rights':
      return wire(403, 'forbidden', noRights(context), {
        'www-authenticate': `${challengeOf(context)}, error="insufficient_scope"`,
      })
    case 'bad_parameter':
      return wire(422, 'bad_data', refusal.refusal.message)
    case 'bad_query':
    case 'bad_read':
    case 'over_limit':
      return wire(422, 'bad_data', refusal.message)
    case 'never':
      return wire(403, 'forbidden', `this path is closed to everybody: ${refusal.because}`)
    case 'not_allowed':
      return wire(403, 'forbidden', `${context.name}: ${refusal.message}`)
    case 'over_rate':
    case 'over_concurrency':
    case 'gone':
      return turnToWire(refusal)
    case 'audit_unavailable':
      return wire(503, 'unavailable', 'nothing is answered while no audit record can be kept: tell the operator')
    case 'filters_busy': {
      const message = 'too many large answers are being filtered just now: try again soon'
      return wire(503, 'unavailable', message, { 'retry-after': '5' })
    }
    case 'upstream_unreachable':
    case 'upstream_untrusted':
    case 'upstream_rejected':
    case 'upstream_timeout':
    case 'upstream_unexpected':
      return upstreamToWire(refusal.is, `the Prometheus of cluster ${context.cluster}`)
    case 'internal':
      return wire(500, 'internal', 'the gateway failed; its log says why')
  }
}

function placeToWire(refusal: Extract<Refusal, { is: 'unknown_path' | 'unknown_cluster' | 'wrong_method' }>): Wire {
  switch (refusal.is) {
    case 'unknown_path':
      return wire(404, 'not_found', 'this path is not one that the gateway answers; what it answers is in docs/api.md')
    case 'unknown_cluster':
      return wire(
        404,
        'not_found',
        'there is no cluster of this name: compare the URL with the one that you were given',
      )
    case 'wrong_method': {
      const allow = refusal.allowed.join(', ')
      return wire(405, 'bad_data', `this path takes ${allow} only`, { allow })
    }
  }
}

function credentialsToWire({ code, message }: IdentityRefusal, context: RefusalContext): Wire {
  const challenged = (error: string): Readonly<Record<string, string>> => ({
    'www-authenticate': `${challengeOf(context)}, error="${error}", error_description="${quotable(message)}"`,
  })
  switch (code) {
    case 'malformed_credentials':
      return wire(400, 'bad_data', message, challenged('invalid_request'))
    case 'invalid_token':
      return wire(401, 'unauthorized', message, challenged('invalid_token'))
    case 'issuer_unavailable':
      return wire(503, 'unavailable', message, { 'retry-after': '5' })
  }
}

/** 429 rather than 503: nobody but this caller has to wait. */
function turnToWire(refusal: Turn): Wire {
  if (refusal.is === 'gone') return wire(499, 'canceled', 'the caller went away')
  const { most, after } = refusal
  const message =
    refusal.is === 'over_rate'
      ? `your limit "rate" is ${most} requests a second, and you sent more`
      : `your limit "concurrent" is ${most} queries at once, and the ones before this did not end in time`
  const remedy = `try again in ${after}s, or ask for a higher limit in the policy`
  return wire(429, 'too_many_requests', `${message}: ${remedy}`, { 'retry-after': String(after) })
}

function upstreamToWire(is: Extract<Refusal['is'], `upstream_${string}`>, where: string): Wire {
  switch (is) {
    case 'upstream_unreachable':
      return wire(502, 'unavailable', `${where} cannot be reached: try again soon`)
    case 'upstream_untrusted':
      return wire(502, 'unavailable', `${where} cannot be reached over TLS that both sides trust: tell the operator`)
    case 'upstream_rejected':
      return wire(502, 'unavailable', `${where} did not accept the gateway's own credentials: tell the operator`)
    case 'upstream_timeout':
      return wire(504, 'timeout', `${where} took too long: ask for less`)
    case 'upstream_unexpected':
      return wire(502, 'unavailable', `${where} answered with something else`)
  }
}

function noRights({ name, groups, cluster }: RefusalContext): string {
  const carried = groups.length === 0 ? 'your token carries no groups' : `your groups are ${groups.join(', ')}`
  return `${name} has no right to this on cluster ${cluster} (${carried}): ask for a rule in the policy`
}

const wire = (
  status: number,
  errorType: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Wire => ({ status, errorType, message, headers })

/** RFC 6750 §3 allows these characters in an error description. */
const quotable = (text: string): string => text.replaceAll(/[^\x20-\x21\x23-\x5B\x5D-\x7E]/g, "'").slice(0, 300)
