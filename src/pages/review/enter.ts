import type { AuditReadEntry, Parameter } from '../../audit/record.ts'
import type { Identity } from '../../identity/identity.ts'
import { identityOf } from '../../identity/session.ts'
import { fail, ok } from '../../result.ts'
import type { Result } from '../../result.ts'
import type { Review, Within } from '../../review/review.ts'
import { eventOf } from '../answer.ts'
import type { Answer, PageAnswer, PageParts, PageRecord, PageRequest, Reviewing } from '../answer.ts'
import { html } from '../html.ts'
import type { Html } from '../html.ts'
import { paths } from '../paths.ts'
import { show } from '../reply.ts'
import type { ReplyOptions } from '../reply.ts'
import { senderOf, visitorOf } from '../visitor.ts'
import type { Visitor } from '../visitor.ts'
import { maxAsking } from './limits.ts'
import { both, isAny, rightTo } from './right.ts'
import type { Right } from './right.ts'

/** Somebody who may look at the record, with what they may see of it. */
export interface Auditor {
  readonly identity: Identity
  readonly visitor: Visitor
  readonly right: Right
  readonly within: Within
  /** What they may take home; null: nothing. */
  readonly takes: Within | null
  readonly review: Review
  readonly reviewing: Reviewing
  /** Aborts when nobody waits any more, or it takes too long. */
  readonly signal: AbortSignal
}

/** An auditor who sent a form, with its fields. */
export interface Asking extends Auditor {
  readonly form: URLSearchParams
}

/** Who looks, and whether they may; else the answer. */
export async function enter(parts: PageParts, request: PageRequest): Promise<Result<Auditor, PageAnswer>> {
  const to = request.query === '' ? request.path : `${request.path}?${request.query}`
  const visitor = await visitorOf(parts, request, to)
  return visitor.ok ? admit(parts, request, visitor.value) : visitor
}

/** The same for a form, which must be one of ours. After a login, `to` is where to go on. */
export async function enterForm(
  parts: PageParts,
  request: PageRequest,
  to: string = paths.review,
): Promise<Result<Asking, PageAnswer>> {
  const sender = await senderOf(parts, request, to)
  if (!sender.ok) return sender
  const admitted = admit(parts, request, sender.value)
  return admitted.ok ? ok({ ...admitted.value, form: sender.value.form }) : admitted
}

function admit(parts: PageParts, request: PageRequest, visitor: Visitor): Result<Auditor, PageAnswer> {
  const identity = identityOf(visitor.session, parts.sessions.limits)
  const policy = parts.policy()
  const right = rightTo(policy, identity, parts.clusters, 'audit:read')
  if (!isAny(right.within)) return fail(noRight(parts, request, { visitor, identity, right }, 'audit:read'))
  if (parts.review === null) return fail(notConfigured(parts, request, visitor))
  const home = both(right.within, rightTo(policy, identity, parts.clusters, 'audit:export').within)
  return ok({
    identity,
    visitor,
    right,
    within: right.within,
    takes: isAny(home) ? home : null,
    review: parts.review.review,
    reviewing: parts.review,
    signal: AbortSignal.any([request.gone, AbortSignal.timeout(maxAsking)]),
  })
}

/** What is said to somebody without the right, and recorded as a refusal. */
export function noRight(
  parts: PageParts,
  request: PageRequest,
  { visitor, identity, right }: Pick<Auditor, 'visitor' | 'identity' | 'right'>,
  action: 'audit:read' | 'audit:export',
): Answer {
  const { session, cookies } = visitor
  const subject = identity.groups[0] === undefined ? `user:${identity.issuer}#${identity.subject}` : 'group:<yours>'
  const groups = identity.groups.length === 0 ? 'none' : identity.groups.join(', ')
  const body = html`<p role="alert">
      ${action === 'audit:read' ? 'Looking at the record' : 'Taking the record home'} needs the right
      <code>${action}</code> to every series of a cluster, and no rule of the policy gives it to you.
    </p>
    <p>Ask whoever writes the policy for a row such as this one; * in place of the cluster is for all of them:</p>
    <pre
      tabindex="0"
      aria-label="A row to ask for"
    ><code>p, ${subject}, ${parts.clusters[0] ?? '*'}, ${action}, *, allow</code></pre>
    <dl>
      <dt>You are</dt>
      <dd>${session.name} (<code>${identity.subject}</code>)</dd>
      <dt>Your groups</dt>
      <dd>${groups}</dd>
    </dl>
    <p class="quiet">That you asked is on record.</p>`
  const record: PageRecord = { is: 'refusal', reason: 'no_rights', whose: { identity, decision: right.basis } }
  return show(
    parts,
    request,
    { title: 'No right to this', name: session.name, body },
    { status: 403, cookies: [...cookies], record },
  )
}

function notConfigured(parts: PageParts, request: PageRequest, { session, cookies }: Visitor): Answer {
  const body = html`<p role="alert">The record is kept, but this gateway was not set up to be searched.</p>
    <p>
      On its machine, <code>bailiwick audit show</code> reads the record, and <code>bailiwick audit verify</code> checks
      it.
    </p>`
  const page = { title: 'No review here', name: session.name, body }
  return show(parts, request, page, { status: 404, cookies })
}

/** What goes on record before anything of a look is shown. */
export function lookAt(
  request: PageRequest,
  { identity, right }: Pick<Auditor, 'identity' | 'right'>,
  what: AuditReadEntry['what'],
  asked: readonly Parameter[],
): AuditReadEntry {
  const { because, policy } = right.basis
  return {
    kind: 'audit.read',
    ...eventOf(request),
    who: identity,
    what,
    asked,
    because,
    policy: policy,
  }
}

/** One of the pages about the record. */
export interface ReviewPageOf {
  readonly title: string
  readonly body: Html
  readonly here?: string
  readonly again?: number | null
}

/** Shows one, with the ways to the others. */
export function showReview(
  parts: PageParts,
  request: PageRequest,
  { visitor, within }: Pick<Auditor, 'visitor' | 'within'>,
  { title, body, here = '', again = null }: ReviewPageOf,
  options: ReplyOptions,
): Answer {
  const links = [
    { to: paths.review, text: 'Activity' },
    { to: paths.reviews, text: 'Reviews' },
    ...(within === 'all' ? [{ to: paths.reviewSql, text: 'SQL' }] : []),
  ].map((link) => ({ ...link, here: link.to === here }))
  const page = { title, name: visitor.session.name, body, links, wide: true, again }
  return show(parts, request, page, { ...options, cookies: visitor.cookies, script: true })
}
