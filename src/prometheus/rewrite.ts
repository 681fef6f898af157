import type { Scope } from '../policy/scope.ts'
import { drawError, rewriteQuery, rewriteSelector, scopeSelector } from '../promql/rewrite.ts'
import type { PromqlError, SelectorFacts } from '../promql/rewrite.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import type { FoundEndpoint } from './endpoints.ts'
import { maxSelectors } from './limits.ts'
import { checkParams } from './params.ts'
import type { CheckedParams, ParamRefusal, Params } from './params.ts'

declare const scoped: unique symbol

/** A request that may go to Prometheus. Only {@link rewrite} makes one. */
export interface ScopedRequest {
  readonly [scoped]: true
  readonly method: 'GET' | 'POST'
  /** Path below the Prometheus URL. */
  readonly path: string
  readonly params: Params
  /** What the caller's selectors asked for, for the record. */
  readonly selectors: readonly SelectorFacts[]
  /** What the caller should be told about the rewriting. */
  readonly notes: readonly string[]
}

/** Why nothing may be sent. */
export type RewriteRefusal =
  | { readonly is: 'bad_parameter'; readonly refusal: ParamRefusal }
  /** `message` draws where in the caller's own text the trouble is. */
  | { readonly is: 'bad_query'; readonly message: string }
  /** The caller named something that is not theirs. */
  | { readonly is: 'not_allowed'; readonly message: string }
  | { readonly is: 'no_rights' }

/**
 * Builds the request for Prometheus out of checked values: the path from our table, one copy of each known parameter,
 * PromQL printed from our own tree with the scope on every selector. Nothing is passed through unread.
 */
export function rewrite(found: FoundEndpoint, asked: Params, scope: Scope): Result<ScopedRequest, RewriteRefusal> {
  const checked = checkParams(asked, found.endpoint.params)
  if (!checked.ok) return fail({ is: 'bad_parameter', refusal: checked.error })
  switch (found.endpoint.treatment.scope) {
    case 'public':
      return ok(build(found, [...checked.value.single], [], []))
    case 'query':
      return rewriteQueryParam(found, checked.value, scope)
    case 'selectors':
      return rewriteSelectors(found, checked.value, scope, found.endpoint.treatment.whenAbsent)
  }
}

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
  const params = [...single].map(([name, value]) => [name, name === 'query' ? rewritten.value.sent : value] as const)
  return ok(build(found, params, rewritten.value.selectors, rewritten.value.notes))
}

function rewriteSelectors(
  found: FoundEndpoint,
  { single, selectors }: CheckedParams,
  scope: Scope,
  whenAbsent: 'scope' | 'refuse',
): Result<ScopedRequest, RewriteRefusal> {
  if (scope.kind === 'nothing') return fail({ is: 'no_rights' })
  if (selectors.length === 0 && whenAbsent === 'refuse') {
    return badMatch('the parameter "match[]" is missing: give at least one selector')
  }
  if (selectors.length > maxSelectors) return badMatch(`more than ${maxSelectors} "match[]" in one request`)
  const sent: string[] = selectors.length === 0 ? [...scopeSelector(scope)] : []
  const facts: SelectorFacts[] = []
  const notes = new Set<string>()
  for (const text of selectors) {
    const rewritten = rewriteSelector(text, scope)
    if (!rewritten.ok) return fail(promqlRefusal(rewritten.error, text))
    sent.push(...rewritten.value.sent)
    facts.push(...rewritten.value.selectors)
    for (const note of rewritten.value.notes) notes.add(note)
  }
  const params = [...sent.map((text) => ['match[]', text] as const), ...single]
  return ok(build(found, params, facts, [...notes]))
}

const badMatch = (message: string): Result<never, RewriteRefusal> =>
  fail({ is: 'bad_parameter', refusal: { param: 'match[]', message } })

function promqlRefusal(error: PromqlError, text: string): RewriteRefusal {
  if (error.reason === 'no_rights') return { is: 'no_rights' }
  if (error.reason === 'not_allowed') return { is: 'not_allowed', message: error.message }
  return { is: 'bad_query', message: drawError(text, error) }
}

function build(
  { path, endpoint }: FoundEndpoint,
  params: Params,
  selectors: readonly SelectorFacts[],
  notes: readonly string[],
): ScopedRequest {
  // A long query does not fit a URL, so the body carries it wherever Prometheus reads one.
  const method = endpoint.methods.includes('POST') ? 'POST' : 'GET'
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the brand: nobody else can make one
  return { method, path, params, selectors, notes } as ScopedRequest
}
