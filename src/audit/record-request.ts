/** What the record says of requests, sessions and policies. */

/** One request parameter as a name and a value. */
export type Parameter = readonly [name: string, value: string]

/** Who asked, as the identity source that answered for them saw it. */
export interface Who {
  readonly issuer: string
  readonly subject: string
  readonly name: string
  readonly groups: readonly string[]
  readonly via: string
  /** The service on whose hop the request came, where that was proven. */
  readonly actor?: string
  /** The beginning of the SHA-256 of the credential, in hex. */
  readonly credential?: string
  /** When the identity ends, in Unix seconds. */
  readonly expires?: number
}

/** Where a request came from. */
export interface From {
  /** Who connected. */
  readonly peer: string
  /** What a trusted proxy says of the client's address. */
  readonly client?: string
  readonly userAgent?: string
}

/** What was asked, sent and decided. On stable storage before the first byte of the answer leaves. */
export interface DecisionEntry {
  readonly kind: 'decision'
  /** Id of the request; its outcome carries the same one. */
  readonly request: string
  /** When the request arrived: RFC 3339, UTC, milliseconds. */
  readonly received: string
  /** `null`: nobody known. */
  readonly who: Who | null
  readonly from: From
  /** Headers that any client can forge (dashboard, panel, rule): context, never identity. */
  readonly claimed?: Readonly<Record<string, string>>
  readonly cluster: string | null
  readonly method: string
  /** Row of the endpoint table; `null` when the path is in none. */
  readonly endpoint: string | null
  /** The path as asked. */
  readonly path: string
  readonly asked: readonly Parameter[]
  /** The requests that left for Prometheus, exactly; `null` when none did. */
  readonly sent: readonly { readonly path: string; readonly params: readonly Parameter[] }[] | null
  /** The selectors as parsed, so that a reader need not parse the query text. */
  readonly selectors?: readonly unknown[]
  readonly decision: 'allow' | 'deny'
  /** The refusal's code. */
  readonly reason?: string
  /** The rules that carried the decision, as `file:line`. */
  readonly because: readonly string[]
  /** Why those of them that hold for a time only were made. */
  readonly reasons?: readonly string[]
  /** The granted scope as text. */
  readonly scope: string
  /** Digest of the policy in force. */
  readonly policy: string | null
  /** The same for requests that ask the same for the same person, whatever the method: a client's repetitions. 16 hex digits. */
  readonly fold?: string
}

/** How the answer to a decided request ended. Never awaited: a missing outcome means a crash or a full disk. */
export interface OutcomeEntry {
  readonly kind: 'outcome'
  readonly request: string
  readonly status: number
  readonly ms: number
  readonly bytes: number
  readonly ended: 'complete' | 'cut' | 'failed'
  /** Why an answer that was decided on was not given, or not to its end. */
  readonly reason?: string
  /** Who made the answer: Prometheus, or the gateway by itself. */
  readonly servedFrom?: 'upstream' | 'gateway'
  /** The status with which Prometheus answered. */
  readonly upstream?: number
  /** How many series were shown; absent where the answer has none, or was passed on compressed. */
  readonly series?: number
}

/** What the records of logins and logouts have in common. */
export interface SessionEvent {
  /** Id of the request, also in its outcome. */
  readonly request: string
  readonly received: string
  readonly from: From
}

/** Somebody logged in with a browser. On stable storage before the session's cookie leaves. */
export interface LoginEntry extends SessionEvent {
  readonly kind: 'login'
  /** `credential` names the session, as it does in the decisions that follow. */
  readonly who: Who
}

/** A login that did not come about. */
export interface LoginFailedEntry extends SessionEvent {
  readonly kind: 'login.failed'
  readonly reason: string
}

/** A session ended before its time: by the person, or by the provider. */
export interface LogoutEntry extends SessionEvent {
  readonly kind: 'logout'
  readonly how: 'local' | 'back-channel'
  /** Whose session, for `local`. */
  readonly who?: Who
  /** What the provider withdrew, for `back-channel`; `sid` as the beginning of its SHA-256. */
  readonly withdrawn?: { readonly issuer: string; readonly subject: string | null; readonly sid: string | null }
}

/** A logout that was not followed. */
export interface LogoutFailedEntry extends SessionEvent {
  readonly kind: 'logout.failed'
  readonly reason: string
}

/** A policy came into force. */
export interface PolicyLoadedEntry {
  readonly kind: 'policy.loaded'
  /** Digest of the policy now in force. */
  readonly policy: string
  /** Digest of the one it replaced; `null` for the first. */
  readonly replaced: string | null
  readonly source: string
}

/** A policy was refused; the one before it stays in force. */
export interface PolicyRejectedEntry {
  readonly kind: 'policy.rejected'
  /** Digest of the refused policy; `null` when it could not be read at all. */
  readonly policy: string | null
  /** Digest of the policy that stays in force; `null`: none, everything is refused. */
  readonly inForce: string | null
  readonly source: string
  readonly problems: readonly string[]
}
