import type { Fetch } from './fetch.ts'
import type { IdentityRefusal } from './identity.ts'
import { maxReviewed, maxTokenReviews } from './limits.ts'
import { followOwn } from './own-credentials.ts'
import type { OwnCredentials } from './own-credentials.ts'

/** The Kubernetes API server that is asked, and how the gateway shows it who it is. */
export interface TokenReviewOptions extends OwnCredentials {
  /** Base URL of the API server. */
  readonly url: string
}

/** A token that is good by itself: signature, audience and time are as they must be. */
interface GoodToken {
  readonly token: string
  /** SHA-256 of it. */
  readonly hash: string
  readonly subject: string
}

/** Says why a token does not count; null where it does. Never rejects. */
export type Confirm = (token: GoodToken) => Promise<IdentityRefusal | null>

/** Asks whether tokens still count. */
interface TokenReview {
  readonly confirm: Confirm
  /** What went wrong the last time that somebody was asked; null where nothing did. */
  lastFailure(): string | null
}

/** Longest time for which a yes is remembered, in milliseconds: the token of a pod that is gone works that long still. */
const yesFor = 120_000
/** How long a no is remembered, and how long an API server that failed is left alone. */
const noFor = 5_000
const pause = 1_000

/**
 * Asks the API server whether the pod and the service account of a token still live (TokenReview of
 * `authentication.k8s.io/v1`): the token alone does not say so. While the API server cannot be asked, nothing but what
 * it said in the last two minutes counts.
 */
export function openTokenReview(
  { url, ...given }: TokenReviewOptions,
  audience: readonly string[],
  clock: () => number,
): TokenReview {
  const withOwn = followOwn(given)
  const answers = new Map<string, { readonly until: number; readonly refusal: IdentityRefusal | null }>()
  const pending = new Map<string, Promise<IdentityRefusal | null>>()
  const lanes = openLanes()
  let failedAt = Number.NEGATIVE_INFINITY
  let lastFailure: string | null = null

  async function ask({ token, hash, subject }: GoodToken): Promise<IdentityRefusal | null> {
    if (clock() - failedAt < pause) return unavailable
    try {
      const status = await withOwn((fetch) => review(fetch, url, { token, audiences: audience }))
      const refusal = isGood(status, audience, subject) ? null : gone
      lastFailure = null
      const [oldest] = answers.keys()
      if (answers.size >= maxReviewed && oldest !== undefined) answers.delete(oldest)
      answers.set(hash, { until: clock() + (refusal === null ? yesFor : noFor), refusal })
      return refusal
    } catch (error) {
      lastFailure = `the token review failed: ${error instanceof Error ? error.message : String(error)}`
      failedAt = clock()
      return unavailable
    }
  }

  return {
    async confirm(token) {
      const { hash } = token
      const known = answers.get(hash)
      if (known !== undefined && clock() < known.until) return known.refusal
      answers.delete(hash)
      const asked = pending.get(hash)
      if (asked !== undefined) return asked
      const asking = lanes(() => ask(token), unavailable)
      pending.set(hash, asking)
      return asking.finally(() => pending.delete(hash))
    },
    lastFailure: () => lastFailure,
  }
}

const refusal = (code: IdentityRefusal['code'], message: string): IdentityRefusal => ({ code, message })
const unavailable = refusal(
  'issuer_unavailable',
  'Kubernetes cannot say just now whether the token still counts: try again soon',
)
const gone = refusal(
  'invalid_token',
  'Kubernetes does not vouch for the token: its pod or service account is gone, or it was made for another audience',
)

/** Lets so many run at a time and so many wait; whoever finds no place to wait is told `full`. */
function openLanes(): <T>(run: () => Promise<T>, full: T) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (run, full) => {
    if (running >= maxTokenReviews.asked) {
      if (waiting.length >= maxTokenReviews.waiting) return full
      // Whoever ends hands the place over, so that nobody comes between.
      await new Promise<void>((resolve) => void waiting.push(resolve))
    } else running += 1
    try {
      return await run()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}

interface Asked {
  readonly token: string
  readonly audiences: readonly string[]
}

async function review(fetch: Fetch, url: string, spec: Asked): Promise<unknown> {
  const answer = await fetch(`${url.replace(/\/+$/, '')}/apis/authentication.k8s.io/v1/tokenreviews`, {
    method: 'POST',
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec }),
  })
  if (answer.status !== 200 && answer.status !== 201) {
    const why: Readonly<Record<number, string>> = {
      401: 'it does not know the token in bearerToken',
      403: 'the service account of bearerToken may not create tokenreviews',
    }
    const reason = why[answer.status]
    throw new Error(`${url} answered with status ${answer.status}${reason === undefined ? '' : `: ${reason}`}`)
  }
  const body: unknown = await answer.json().catch(() => null)
  const status = field(body, 'status')
  if (typeof status !== 'object' || status === null) throw new Error(`the answer of ${url} is no TokenReview`)
  return status
}

/** An API server that does not look at audiences leaves `audiences` out, and would say yes to a token for anybody. */
function isGood(status: unknown, audience: readonly string[], subject: string): boolean {
  const audiences = field(status, 'audiences')
  return (
    field(status, 'authenticated') === true &&
    field(field(status, 'user'), 'username') === subject &&
    Array.isArray(audiences) &&
    audiences.some((one) => audience.includes(one))
  )
}

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined
