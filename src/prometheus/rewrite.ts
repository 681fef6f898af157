import type { Decision } from '../policy/policy.ts'
import type { Scope } from '../policy/scope.ts'
import { drawError, rewriteQuery, rewriteSelector, scopeSelector } from '../promql/rewrite.ts'
import type { PromqlError, SelectorFacts } from '../promql/rewrite.ts'
import { withinScope } from '../promql/within.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { keepWithin } from './budget.ts'
import type { OverLimit } from './budget.ts'
import type { FilterName, FoundEndpoint } from './endpoints.ts'
import { maxSelectors } from './limits.ts'
import { checkParams } from './params.ts'
import type { CheckedParams, ParamRefusal, Params } from './params.ts'
import { scopeReadRequest } from './remote-read.ts'

declare const scoped: unique symbol

/** A request that may go to Prometheus. Only {@link rewrite} makes one. */
export interface ScopedRequest {
  readonly [scoped]: true
  readonly method: 'GET' | 'POST'
  /** Path below the Prometheus URL. */
  readonly path: string
  readonly params: Params
  /** A remote-read request, in place of parameters. */
  readonly body?: Uint8Array
  /** What the caller's selectors asked for, for the record. */
  readonly selectors: readonly SelectorFacts[]
  /** What the caller should be told about the rewriting. */
  readonly notes: readonly string[]
  /** Did the scope leave out something that the request could have matched? */
  readonly narrowed: boolean
  /** What must be taken out of the answer before anybody sees it. */
  readonly filter?: FilterName
  /** What must be known for that: the names of the metrics that the caller can see. */
  readonly names?: ScopedRequest
  /** How much of the metadata is wanted. */
  readonly most?: Most
  /** Which page of the rules is wanted. */
  readonly page?: Page
}

/** How many metric families, and entries of each. */
export interface Most {
  readonly families: number
  readonly entries: number
}

/** A page of rule groups: how many, and the token of the first; null for the beginning. */
export interface Page {
  readonly groups: number
  readonly from: string | null
}

/** Why nothing may be sent. */
export type RewriteRefusal =
  | { readonly is: 'bad_parameter'; readonly refusal: ParamRefusal }
  /** `message` draws where in the caller's own text the trouble is. */
  | { readonly is: 'bad_query'; readonly message: string }
  | { readonly is: 'bad_read'; readonly message: string }
  /** The caller named something that is not theirs. */
  | { readonly is: 'not_allowed'; readonly message: string }
  | { readonly is: 'no_rights' }
  | OverLimit
  /** Nobody may, whatever their rights. */
  | { readonly is: 'never'; readonly because: string }

/** What a request asks for: its parameters, or the body of a remote read. */
export interface Asked {
  readonly params: Params
  readonly body: Uint8Array
}

const everything: Scope = { kind: 'everything' }

/**
 * Builds the request for Prometheus out of checked values: the path from our table, one copy of each known parameter,
 * PromQL printed from our own tree with the scope on every selector. Nothing is passed through unread, and nothing that
 * is more than the limits allow.
 */
export function rewrite(
  found: FoundEndpoint,
  asked: Asked,
  { scope, limits }: Pick<Decision, 'scope' | 'limits'>,
): Result<ScopedRequest, RewriteRefusal> {
  const scoped = scopeRequest(found, asked, scope)
  if (!scoped.ok) return scoped
  const kept = keepWithin(found, scoped.value, limits)
  return kept.ok ? ok({ ...scoped.value, params: kept.value }) : kept
}

function scopeRequest(found: FoundEndpoint, asked: Asked, scope: Scope): Result<ScopedRequest, RewriteRefusal> {
  const { treatment, params } = found.endpoint
  if (treatment.scope === 'refuse') return fail({ is: 'never', because: treatment.because })
  const checked = checkParams(asked.params, params)
  if (!checked.ok) return fail({ is: 'bad_parameter', refusal: checked.error })
  switch (treatment.scope) {
    case 'public':
      return ok(build(found, plain(checked.value)))
    case 'grant':
      return scope.kind === 'everything' ? ok(build(found, plain(checked.value))) : fail({ is: 'no_rights' })
    case 'text':
      return rewriteQueryParam(found, checked.value, everything)
    case 'query':
      return rewriteQueryParam(found, checked.value, scope)
    case 'selectors':
      return rewriteSelectors(found, checked.value, scope, treatment.whenAbsent)
    case 'filter':
      return prepareFilter(found, checked.value, scope, treatment.filter)
    case 'read':
      return rewriteRead(found, asked.body, scope)
  }
}

const plain = ({ single, lists }: CheckedParams): Params => [...single, ...lists]

function rewriteQueryParam(
  found: FoundEndpoint,
  { single }: CheckedParams,
  scope: Scope,
): Result<ScopedRequest, RewriteRefusal> {
  const text = single.get('query')
  if (text === undefined || text.trim() === '') {
    return fail({ is: 'bad_parameter', refusal: { param: 'query', message: 'the parameter "query" is missing' } })
  }
  const rewritten = rewriteQuery(text, scope)
  if (!rewritten.ok) return fail(promqlRefusal(rewritten.error, text))
  const { sent, selectors, notes } = rewritten.value
  const params = [...single].map(([name, value]) => [name, name === 'query' ? sent : value] as const)
  const narrowed = selectors.length > 0 && !withinScope(text, scope)
  return ok(build(found, params, { selectors, notes, narrowed }))
}

function rewriteSelectors(
  found: FoundEndpoint,
  checked: CheckedParams,
  scope: Scope,
  whenAbsent: 'scope' | 'refuse',
): Result<ScopedRequest, RewriteRefusal> {
  if (scope.kind === 'nothing') return fail({ is: 'no_rights' })
  const { selectors } = checked
  if (selectors.length === 0 && whenAbsent === 'refuse') {
    return badParam('match[]', 'the parameter "match[]" is missing: give at least one selector')
  }
  const scopedOnes = scopeSelectors(selectors, scope)
  if (!scopedOnes.ok) return scopedOnes
  const { sent, facts, notes } = scopedOnes.value
  const all = selectors.length === 0 ? scopeSelector(scope) : sent
  const narrowed =
    scope.kind !== 'everything' && (selectors.length === 0 || !selectors.every((text) => withinScope(text, scope)))
  return ok(build(found, [...matches(all), ...plain(checked)], { selectors: facts, notes, narrowed }))
}

interface ScopedSelectors {
  readonly sent: readonly string[]
  readonly facts: readonly SelectorFacts[]
  readonly notes: readonly string[]
}

function scopeSelectors(texts: readonly string[], scope: Scope): Result<ScopedSelectors, RewriteRefusal> {
  if (texts.length > maxSelectors) return badParam('match[]', `more than ${maxSelectors} "match[]" in one request`)
  const sent: string[] = []
  const facts: SelectorFacts[] = []
  const notes = new Set<string>()
  for (const text of texts) {
    const rewritten = rewriteSelector(text, scope)
    if (!rewritten.ok) return fail(promqlRefusal(rewritten.error, text))
    sent.push(...rewritten.value.sent)
    facts.push(...rewritten.value.selectors)
    for (const note of rewritten.value.notes) notes.add(note)
  }
  return ok({ sent, facts, notes: [...notes] })
}

/** The whole answer is asked for, and taken apart when it is here. Selectors only narrow it, so they carry no scope. */
function prepareFilter(
  found: FoundEndpoint,
  checked: CheckedParams,
  scope: Scope,
  filter: FilterName,
): Result<ScopedRequest, RewriteRefusal> {
  if (scope.kind === 'nothing') return fail({ is: 'no_rights' })
  const printed = scopeSelectors(checked.selectors, everything)
  if (!printed.ok) return printed
  const params = [...matches(printed.value.sent), ...plain(checked)]
  if (scope.kind === 'everything') return ok(build(found, params))
  if (filter === 'rules') return prepareRules(found, checked, params)
  if (filter !== 'metadata') return ok(build(found, params, { narrowed: true, filter }))
  const path = '/api/v1/label/__name__/values'
  const names = build({ ...found, path }, matches(scopeSelector(scope)))
  // Counted by Prometheus, a limit would count what is taken out afterwards: we count ourselves.
  const unlimited = params.filter(([name]) => name !== 'limit' && name !== 'limit_per_metric')
  const most = { families: mostFamilies(checked), entries: mostEntries(checked) }
  return ok(build(found, unlimited, { narrowed: true, filter, names, most }))
}

/** Pages of rules are cut by us: where Prometheus's own end tells whether other teams' rules match, too. */
function prepareRules(
  found: FoundEndpoint,
  { single }: CheckedParams,
  params: Params,
): Result<ScopedRequest, RewriteRefusal> {
  const [limit, from = null] = [single.get('group_limit'), single.get('group_next_token')]
  if (limit === undefined && from !== null)
    return badParam('group_next_token', '"group_next_token" needs a "group_limit"')
  if (limit !== undefined && Number(limit) <= 0) return badParam('group_limit', '"group_limit" must be greater than 0')
  const whole = params.filter(([name]) => name !== 'group_limit' && name !== 'group_next_token')
  const page = limit === undefined ? {} : { page: { groups: Number(limit), from } }
  return ok(build(found, whole, { narrowed: true, filter: 'rules', ...page }))
}

function rewriteRead(found: FoundEndpoint, body: Uint8Array, scope: Scope): Result<ScopedRequest, RewriteRefusal> {
  const read = scopeReadRequest(body, scope)
  if (!read.ok) return read
  const { body: sent, selectors, notes } = read.value
  return ok(build(found, [], { body: sent, selectors, notes }))
}

/** Prometheus counts families up to a limit of zero or more; a negative one means all. */
function mostFamilies({ single }: CheckedParams): number {
  const count = Number(single.get('limit') ?? -1)
  return count < 0 ? Number.POSITIVE_INFINITY : count
}

/** For the entries of a family, zero means all as well. */
function mostEntries({ single }: CheckedParams): number {
  const count = Number(single.get('limit_per_metric') ?? 0)
  return count > 0 ? count : Number.POSITIVE_INFINITY
}

const matches = (texts: readonly string[]): Params => texts.map((text) => ['match[]', text] as const)

const badParam = (param: string, message: string): Result<never, RewriteRefusal> =>
  fail({ is: 'bad_parameter', refusal: { param, message } })

function promqlRefusal(error: PromqlError, text: string): RewriteRefusal {
  if (error.reason === 'no_rights') return { is: 'no_rights' }
  if (error.reason === 'not_allowed') return { is: 'not_allowed', message: error.message }
  return { is: 'bad_query', message: drawError(text, error) }
}

type More = Partial<Pick<ScopedRequest, 'body' | 'selectors' | 'notes' | 'narrowed' | 'filter' | 'names' | 'most'>>

function build({ path, endpoint }: FoundEndpoint, params: Params, more: More = {}): ScopedRequest {
  // A long query does not fit a URL, so the body carries it wherever Prometheus reads one.
  const method = endpoint.methods.includes('POST') ? 'POST' : 'GET'
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the brand: nobody else can make one
  return { method, path, params, selectors: [], notes: [], narrowed: false, ...more } as ScopedRequest
}
