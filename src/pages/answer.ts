import type { AuditEntry, From } from '../audit/record.ts'
import type { Credentials, Identity, IdentityRefusal } from '../identity/identity.ts'
import type { Basis, Policy } from '../policy/policy.ts'
import type { Login } from '../identity/login.ts'
import type { LogoutTokens } from '../identity/logout-token.ts'
import type { Revocations } from '../identity/revocations.ts'
import type { Sealer } from '../identity/seal.ts'
import type { Sessions } from '../identity/sessions.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Result } from '../result.ts'

/** What the pages are made of. */
export interface PageParts {
  /** The gateway's own, as configured; never what a request says. */
  readonly origin: string
  readonly login: Login
  readonly sessions: Sessions
  readonly sealer: Sealer
  readonly revocations: Revocations
  readonly logoutTokens: LogoutTokens
  /** The names of the clusters, in their order. */
  readonly clusters: readonly string[]
  /** Can people log in on the command line? */
  readonly cli: boolean
  readonly policy: () => Policy
  readonly log: Logger
  /** Unix milliseconds. */
  readonly clock: () => number
}

/** A request for a page, as plain values. */
export interface PageRequest {
  readonly id: string
  readonly received: Date
  readonly method: string
  /** Byte by byte as it came. */
  readonly path: string
  readonly query: string
  readonly credentials: Credentials
  readonly from: From
  /** Reads the body as a form. */
  form(): Promise<Result<URLSearchParams, BadBody>>
}

interface BadBody {
  readonly is: 'bad_body'
  readonly status: 400 | 413 | 415
  readonly message: string
}

/** What must be on stable storage before a byte of an answer leaves. */
export type PageRecord =
  /** Nothing of anybody's is shown, and nothing was decided. */
  | { readonly is: 'nothing' }
  | { readonly is: 'look'; readonly identity: Identity; readonly decision: Basis }
  | { readonly is: 'refusal'; readonly reason: string }
  | { readonly is: 'event'; readonly entry: AuditEntry }

/** A whole answer. */
export interface Answer {
  readonly is: 'answer'
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly cookies: readonly string[]
  readonly body: string
  readonly record: PageRecord
}

/** What is said as the gateway says all its refusals: to programs, in JSON. */
export type PageRefusal =
  | { readonly is: 'unknown_path' }
  | { readonly is: 'wrong_method'; readonly allowed: readonly string[] }
  | { readonly is: 'no_credentials' }
  | { readonly is: 'bad_credentials'; readonly refusal: IdentityRefusal }
  | BadBody

export type PageAnswer = Answer | { readonly is: 'refusal'; readonly refusal: PageRefusal }

/** The pages of the gateway. */
export interface Pages {
  /** Is a path one of the pages', or below them? The root is, for a browser that asks for a page there. */
  owns(path: string, navigation: boolean): boolean
  answer(request: PageRequest): Promise<PageAnswer>
  /** What is said where no record can be kept. */
  unrecorded(request: PageRequest): Answer
}

export const nothing: PageRecord = { is: 'nothing' }

export const refuse = (refusal: PageRefusal): PageAnswer => ({ is: 'refusal', refusal })

/** What the records of logins and logouts have in common. */
export const eventOf = ({ id, received, from }: PageRequest) => ({
  request: id,
  received: received.toISOString(),
  from,
})
