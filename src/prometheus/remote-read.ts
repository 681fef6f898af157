// Remote read, after Prometheus's prompb/remote.proto and prompb/types.proto (2.42 to 3.14). A request holds queries,
// each a list of matchers, and the answer holds one result for each query in the same order.
import type { Scope } from '../policy/scope.ts'
import { scopeMatches } from '../promql/match-list.ts'
import type { Match } from '../promql/match-list.ts'
import type { PromqlError, SelectorFacts } from '../promql/rewrite.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { readLimits } from './limits.ts'
import type { ReadLimits } from './limits.ts'
import { Malformed, Message, bytesField, numberField, packedField, textField } from './protobuf.ts'
import type { FieldTable } from './protobuf.ts'
import { packSnappy, unpackSnappy } from './snappy.ts'

/** How the answer may come: `samples` as one snappy block, `streamed_chunks` as a stream of frames. */
export type ResponseType = 'samples' | 'streamed_chunks'

/** What the query is for. Prometheus reads less where it knows, and by `start` and `end` where they are given. */
export interface ReadHints {
  readonly step: bigint
  readonly func: string
  readonly start: bigint
  readonly end: bigint
  readonly grouping: readonly string[]
  readonly by: boolean
  readonly range: bigint
}

/** Times are int64 milliseconds; Prometheus sends its ends of time, which a double cannot hold. */
export interface ReadQuery {
  readonly start: bigint
  readonly end: bigint
  readonly matchers: readonly Match[]
  readonly hints?: ReadHints
}

export interface ReadRequest {
  readonly queries: readonly ReadQuery[]
  /** In order of preference; none, as from clients before 2.13 and Prometheus's own until 2.53, means samples. */
  readonly responseTypes: readonly ResponseType[]
}

/** Why nothing may be sent. */
export type ReadRefusal =
  | { readonly is: 'bad_read'; readonly message: string }
  | { readonly is: 'no_rights' }
  | { readonly is: 'not_allowed'; readonly message: string }

export interface ScopedRead {
  /** What may be sent to Prometheus. */
  readonly body: Uint8Array
  /** What each query asked for, for the record. */
  readonly selectors: readonly SelectorFacts[]
  /** Where an answer is narrower than its question; the answer's format has no place to say so. */
  readonly notes: readonly string[]
  /** What the answer may be, never empty. A server that does not know the choice answers with samples. */
  readonly responseTypes: readonly ResponseType[]
}

/**
 * A remote-read request with the scope on every query: decoded, scoped and encoded anew, so that not a byte of the
 * caller's passes unread. Regular expressions of the caller's are passed on as they are, since they can only narrow.
 *
 * Prometheus turns `x="y"` into `x=""` where y is its external label x, which is why the scope's matchers have to be
 * regular expressions; they always are.
 */
export function scopeReadRequest(
  body: Uint8Array,
  scope: Scope,
  limits: ReadLimits = readLimits,
): Result<ScopedRead, ReadRefusal> {
  if (scope.kind === 'nothing') return fail({ is: 'no_rights' })
  const decoded = decodeReadRequest(body, limits)
  if (!decoded.ok) return fail({ is: 'bad_read', message: `this is no remote-read request: ${decoded.error}` })
  const { queries, responseTypes } = decoded.value
  const scoped: ReadQuery[] = []
  const selectors: SelectorFacts[] = []
  const notes = new Set<string>()
  for (const query of queries) {
    const matches = scopeMatches(query.matchers, scope)
    if (!matches.ok) return fail(refusalOf(matches.error))
    scoped.push({ ...query, matchers: matches.value.sent })
    selectors.push(matches.value.selector)
    for (const note of matches.value.notes) notes.add(note)
  }
  const sent = encodeReadRequest({ queries: scoped, responseTypes })
  return ok({
    body: sent,
    selectors,
    notes: [...notes],
    responseTypes: responseTypes.length === 0 ? ['samples'] : responseTypes,
  })
}

function refusalOf({ reason, message }: PromqlError): ReadRefusal {
  if (reason === 'no_rights') return { is: 'no_rights' }
  return { is: reason === 'not_allowed' ? 'not_allowed' : 'bad_read', message }
}

const operators = ['=', '!=', '=~', '!~'] as const
const types = ['samples', 'streamed_chunks'] as const

const matcherFields: FieldTable = {
  1: { name: 'type', is: 'number' },
  2: { name: 'name', is: 'bytes' },
  3: { name: 'value', is: 'bytes' },
}
const requestFields = ({ queries }: ReadLimits): FieldTable => ({
  1: { name: 'queries', is: 'bytes', most: queries },
  2: { name: 'accepted_response_types', is: 'number', most: types.length },
})
const queryFields = ({ matchers }: ReadLimits): FieldTable => ({
  1: { name: 'start_timestamp_ms', is: 'number' },
  2: { name: 'end_timestamp_ms', is: 'number' },
  3: { name: 'matchers', is: 'bytes', most: matchers },
  4: { name: 'hints', is: 'bytes' },
})
const hintsFields = ({ matchers }: ReadLimits): FieldTable => ({
  1: { name: 'step_ms', is: 'number' },
  2: { name: 'func', is: 'bytes' },
  3: { name: 'start_ms', is: 'number' },
  4: { name: 'end_ms', is: 'number' },
  5: { name: 'grouping', is: 'bytes', most: matchers },
  6: { name: 'by', is: 'number' },
  7: { name: 'range_ms', is: 'number' },
})

/** Decodes a request. @returns a sentence where it is none, is too large or holds anything unknown */
export function decodeReadRequest(body: Uint8Array, limits: ReadLimits = readLimits): Result<ReadRequest, string> {
  if (body.length > limits.packed) return fail(`it is longer than ${limits.packed} bytes`)
  const unpacked = unpackSnappy(body, limits.unpacked)
  if (!unpacked.ok) return unpacked
  try {
    const request = new Message(unpacked.value, requestFields(limits))
    const queries = request.all(1).map((bytes) => decodeQuery(bytes, limits))
    if (queries.length === 0) return fail('it holds no query')
    return ok({ queries, responseTypes: request.numbers(2).map((type) => oneOf(types, type, 'response type')) })
  } catch (error) {
    if (error instanceof Malformed) return fail(error.message)
    throw error
  }
}

function decodeQuery(bytes: Uint8Array, limits: ReadLimits): ReadQuery {
  const query = new Message(bytes, queryFields(limits))
  const matchers = query.all(3).map(decodeMatcher)
  const [hints] = query.all(4)
  const base = { start: query.int64(1), end: query.int64(2), matchers }
  return hints === undefined ? base : { ...base, hints: decodeHints(new Message(hints, hintsFields(limits))) }
}

function decodeMatcher(bytes: Uint8Array): Match {
  const matcher = new Message(bytes, matcherFields)
  const label = matcher.text(2)
  if (label === '') throw new Malformed('a matcher names no label')
  return { label, op: oneOf(operators, matcher.numbers(1)[0] ?? 0n, 'matcher type'), value: matcher.text(3) }
}

const decodeHints = (hints: Message): ReadHints => ({
  step: hints.int64(1),
  func: hints.text(2),
  start: hints.int64(3),
  end: hints.int64(4),
  grouping: hints.texts(5),
  by: hints.int64(6) !== 0n,
  range: hints.int64(7),
})

// Compared as 64 bits: Go would cut 2^32 + 1 to 1.
function oneOf<T>(known: readonly T[], number: bigint, what: string): T {
  const value = number < BigInt(known.length) ? known[Number(number)] : undefined
  if (value === undefined) throw new Malformed(`it has an unknown ${what}, ${number}`)
  return value
}

/** Encodes a request as Prometheus's own client does, but without looking for repetitions. */
export const encodeReadRequest = ({ queries, responseTypes }: ReadRequest): Uint8Array =>
  packSnappy(
    Buffer.concat([
      ...queries.flatMap((query) => bytesField(1, encodeQuery(query))),
      ...packedField(
        2,
        responseTypes.map((type) => BigInt(types.indexOf(type))),
      ),
    ]),
  )

const encodeQuery = ({ start, end, matchers, hints }: ReadQuery): Uint8Array =>
  Buffer.concat([
    ...numberField(1, start),
    ...numberField(2, end),
    ...matchers.flatMap((match) => bytesField(3, encodeMatcher(match))),
    ...(hints === undefined ? [] : bytesField(4, encodeHints(hints))),
  ])

const encodeMatcher = ({ label, op, value }: Match): Uint8Array =>
  Buffer.concat([...numberField(1, BigInt(operators.indexOf(op))), ...textField(2, label), ...textField(3, value)])

const encodeHints = ({ step, func, start, end, grouping, by, range }: ReadHints): Uint8Array =>
  Buffer.concat([
    ...numberField(1, step),
    ...textField(2, func),
    ...numberField(3, start),
    ...numberField(4, end),
    ...grouping.flatMap((label) => bytesField(5, Buffer.from(label))),
    ...numberField(6, by ? 1n : 0n),
    ...numberField(7, range),
  ])
