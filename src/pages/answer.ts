import type { AuditEntry, From } from '../audit/record.ts'
import type { Credentials, Identity, IdentityRefusal } from '../identity/identity.ts'
import type { Basis, Policy } from '../policy/policy.ts'
import type { Login } from '../identity/login.ts'
import type { LogoutTokens } from '../identity/logout-token.ts'
import type { Revocations } from '../identity/revocations.ts'
import type { Sealer } from '../identity/seal.ts'
import type { Sessions } from '../identity/sessions.ts'
import type { CheckKey } from '../audit/keys.ts'
import type { Review } from '../review/review.ts'
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
  /** May an answer of this gateway leave although its record could not be kept? Every page says so then. */
  readonly bestEffort: boolean
  /** Null where nobody looks at the record with a browser. */
  readonly review: Reviewing | null
  readonly policy: () => Policy
  readonly log: Logger
  /** Unix milliseconds. */
  readonly clock: () => number
}

/** What the pages about the record are made of. */
export interface Reviewing {
  readonly review: Review
  /** The directory of the record, for proofs. */
  readonly dir: string
  /** Public keys that checkpoints are checked with; none where they are not signed. */
  readonly keys: readonly CheckKey[]
  /** Puts an entry on stable storage, for what happens before or after the answer to a request. */
  append(entry: AuditEntry): Promise<Result<unknown, unknown>>
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
  /** Aborts when nobody waits for the answer any more. */
  readonly gone: AbortSignal
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
  /** `whose`: who asked, and what was decided about it, where that is known. */
  | {
      readonly is: 'refusal'
      readonly reason: string
      readonly whose?: { readonly identity: Identity; readonly decision: Basis }
    }
  | { readonly is: 'event'; readonly entry: AuditEntry }

/** A file that is sent as a body. */
export interface FileBody {
  readonly path: string
  readonly bytes: number
}

/** A whole answer. */
export interface Answer {
  readonly is: 'answer'
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly cookies: readonly string[]
  readonly body: string | FileBody
  readonly record: PageRecord
}

/** A whole answer whose body is in memory. */
export type TextAnswer = Answer & { readonly body: string }

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
