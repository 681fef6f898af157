import type { QueryLimits } from '../policy/query-limits.ts'
import { parseDuration, printDuration } from '../promql/numbers.ts'
import { reach } from '../promql/reach.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import type { FoundEndpoint } from './endpoints.ts'
import { scopedReadLimits, usualTimeout } from './limits.ts'
import type { ParamRefusal, Params } from './params.ts'
import { decodeReadRequest } from './remote-read.ts'
import type { ReadQuery } from './remote-read.ts'
import type { ScopedRequest } from './rewrite.ts'

/** A request asks for more than somebody's limits allow. The message names the limit, what was asked, and a remedy. */
export interface OverLimit {
  readonly is: 'over_limit'
  readonly limit: keyof QueryLimits
  readonly message: string
}

export type BudgetRefusal = OverLimit | { readonly is: 'bad_parameter'; readonly refusal: ParamRefusal }

/** What a request adds up to. */
interface Amounts {
  /** Seconds that the longest reading selector reads over. */
  readonly range: number
  readonly points: number
  readonly selectors: number
}

const nothing: Amounts = { range: 0, points: 0, selectors: 0 }

/**
 * Holds a request as it would be sent against somebody's limits, so that what a union added is counted, and bounds its
 * evaluation.
 *
 * @returns the parameters to send: the same, but for a `timeout` that is no longer than the limit
 */
export function keepWithin(
  found: FoundEndpoint,
  request: ScopedRequest,
  limits: QueryLimits,
): Result<Params, BudgetRefusal> {
  const amounts = measure(found, request)
  if (!amounts.ok) return amounts
  for (const limit of ['range', 'points', 'selectors'] as const) {
    // Written so that what is no number is over the limit, too.
    if (!(amounts.value[limit] <= limits[limit])) return fail(overLimit(limit, amounts.value[limit], limits[limit]))
  }
  const evaluates = found.endpoint.params['timeout'] === 'duration'
  return ok(evaluates ? boundTimeout(request.params, limits.timeout) : request.params)
}

/** In words: the limit, what was asked, and what helps. */
export function overLimit(limit: keyof typeof words, asked: number, most: number): OverLimit {
  const { print, remedy } = words[limit]
  const much = Number.isFinite(asked) ? print(asked) : 'more'
  const message = `your limit "${limit}" is ${print(most)}, and this is ${much}: ${remedy}, or ask for a higher limit in the policy`
  return { is: 'over_limit', limit, message }
}

const count = (value: number): string => String(Math.ceil(value))

const words = {
  range: { print: (value: number) => printDuration(Math.ceil(value)), remedy: 'choose a shorter time' },
  points: { print: count, remedy: 'choose a longer step or a shorter time' },
  selectors: { print: count, remedy: 'ask for less in one query' },
  bytes: { print: (value: number) => `${count(value)} bytes`, remedy: 'ask for fewer series or points' },
} as const

function measure({ name, endpoint }: FoundEndpoint, { params, body }: ScopedRequest): Result<Amounts, BudgetRefusal> {
  switch (endpoint.treatment.scope) {
    case 'query':
      return name === '/api/v1/query_range' ? measureRange(params) : ok(measureQuery(name, params))
    case 'selectors':
    case 'filter':
      return ok({ ...nothing, selectors: params.filter(([param]) => param === 'match[]').length })
    case 'read':
      return ok(measureRead(body ?? Buffer.alloc(0)))
    case 'text':
    case 'public':
    case 'grant':
    case 'refuse':
      return ok(nothing)
  }
}

/** A query about one moment; of one for exemplars only its selectors count, as it reads a short memory of them. */
function measureQuery(name: string, params: Params): Amounts {
  const { selectors, seconds } = reach(valueOf(params, 'query') ?? '', { step: 0, range: 0 })
  return { ...nothing, selectors, range: name === '/api/v1/query' ? seconds + lookback(params) : 0 }
}

function measureRange(params: Params): Result<Amounts, BudgetRefusal> {
  const texts = ['start', 'end', 'step'].map((param) => [param, valueOf(params, param)] as const)
  const [start, end, step] = texts.map(([, text]) => text)
  if (start === undefined || end === undefined || step === undefined) {
    const missing = texts.find(([, text]) => text === undefined)?.[0] ?? ''
    return fail({ is: 'bad_parameter', refusal: { param: missing, message: `the parameter "${missing}" is missing` } })
  }
  // Some readers would turn around what is the wrong way round.
  const range = Math.abs(secondsAt(end) - secondsAt(start))
  const every = secondsOf(step)
  const { selectors, seconds } = reach(valueOf(params, 'query') ?? '', { step: every, range })
  return ok({ range: range + seconds + lookback(params), points: pointsIn(range, every), selectors })
}

/**
 * How many steps lie between start and end, as Prometheus counts its own limit of 11,000: its engine works in whole
 * milliseconds. A step that is not above zero is an error of Prometheus's.
 */
function pointsIn(range: number, step: number): number {
  if (step <= 0) return 0
  const milliseconds = Math.floor(Math.round(step * 1e9) / 1e6)
  return Math.floor(Math.round(range * 1000) / milliseconds)
}

/** How far back a selector without a range looks, where the caller says so. */
const lookback = (params: Params): number => Math.max(0, secondsOf(valueOf(params, 'lookback_delta') ?? '0'))

/** A read says twice when it reads, once for the storage: the longer of the two counts. */
function measureRead(body: Uint8Array): Amounts {
  const decoded = decodeReadRequest(body, scopedReadLimits)
  if (!decoded.ok) return { ...nothing, range: Number.POSITIVE_INFINITY }
  const { queries } = decoded.value
  const lengths = queries.flatMap(({ start, end, hints }: ReadQuery) => [
    lengthOf(start, end),
    ...(hints === undefined ? [] : [lengthOf(hints.start, hints.end)]),
  ])
  return { ...nothing, range: Math.max(0, ...lengths), selectors: queries.length }
}

const lengthOf = (start: bigint, end: bigint): number => Math.abs(Number(end - start)) / 1000

/** A longer timeout becomes the limit; where none is given and Prometheus's own would be longer, the limit is sent. */
function boundTimeout(params: Params, most: number): Params {
  const asked = valueOf(params, 'timeout')
  if (asked === undefined) return most < usualTimeout ? [...params, ['timeout', `${most}s`]] : params
  if (secondsOf(asked) <= most) return params
  return params.map(([name, value]) => [name, name === 'timeout' ? `${most}s` : value])
}

const valueOf = (params: Params, wanted: string): string | undefined => params.find(([name]) => name === wanted)?.[1]

/** Unix seconds of a time that is a number of seconds or RFC 3339; the ends of time are no number. */
function secondsAt(text: string): number {
  const seconds = Number(text)
  return Number.isNaN(seconds) ? Date.parse(text) / 1000 : seconds
}

/** Seconds of a number of seconds or a duration such as `1h30m`. */
function secondsOf(text: string): number {
  const seconds = Number(text)
  return Number.isNaN(seconds) ? (parseDuration(text) ?? Number.POSITIVE_INFINITY) : seconds
}
