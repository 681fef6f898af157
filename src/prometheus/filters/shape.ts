// Narrowing of parsed JSON. What is not known is not passed on: an unknown shape ends the filter, and unknown fields
// are left out unless a filter says why one may stay.
import type { Scope } from '../../policy/scope.ts'
import { fail, ok } from '../../result.ts'
import type { Result } from '../../result.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/** What may be shown. `removed` is for the record only: how much others have is theirs too. */
export interface Filtered {
  readonly answer: unknown
  readonly removed: number
}

/** Why an answer cannot be shown. It says where, in words of ours, and quotes nothing. */
export interface UnknownAnswer {
  /** `page`: the answer is good, but has no such page: the caller can mend that. */
  readonly is: 'shape' | 'page'
  readonly message: string
}

/** Counts what a filter leaves out. */
export interface Tally {
  removed: number
}

/** Carries the reason out of a filter; {@link filterData} catches it. */
export class UnknownShape extends Error {}

/** The caller asked for a page that there is not. */
export class UnknownPage extends Error {}

/**
 * Filters the `data` of a successful answer and makes the envelope anew: `warnings` and `infos` are texts about nobody
 * knows whose series, and Prometheus sends none on these paths. An error is not a shape that is known here, since its
 * text may quote what others have.
 */
export function filterData(
  answer: unknown,
  filter: (data: JsonObject, tally: Tally) => unknown,
): Result<Filtered, UnknownAnswer> {
  try {
    const envelope = asObject(answer, 'the answer')
    if (field(envelope, 'status') !== 'success') throw new UnknownShape('the answer is not a success')
    const tally = { removed: 0 }
    const data = filter(asObject(field(envelope, 'data'), 'its data'), tally)
    return ok({ answer: { status: 'success', data }, removed: tally.removed })
  } catch (error) {
    if (error instanceof UnknownPage) return fail({ is: 'page', message: error.message })
    if (error instanceof UnknownShape) {
      return fail({ is: 'shape', message: `not an answer that we know: ${error.message}` })
    }
    throw error
  }
}

/** Like {@link filterData}, but where every series is in scope a successful answer stays as it is. */
export function filterByScope(
  answer: unknown,
  scope: Scope,
  filter: (data: JsonObject, tally: Tally) => unknown,
): Result<Filtered, UnknownAnswer> {
  if (scope.kind !== 'everything') return filterData(answer, filter)
  const whole = filterData(answer, (data) => data)
  return whole.ok ? ok({ answer, removed: 0 }) : whole
}

/** Own fields only: what an object inherits must not stand in for a missing field. */
export function field(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

export function asObject(value: unknown, what: string): JsonObject {
  if (isObject(value)) return value
  throw new UnknownShape(`${what} is not an object`)
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export function asList(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new UnknownShape(`${what} is not a list`)
}

export function asText(value: unknown, what: string): string {
  if (typeof value === 'string') return value
  throw new UnknownShape(`${what} is not a text`)
}

export function asLabels(value: unknown, what: string): Readonly<Record<string, string>> {
  const labels = asObject(value, what)
  if (isLabels(labels)) return labels
  throw new UnknownShape(`${what} has a value that is not a text`)
}

const isLabels = (object: JsonObject): object is Readonly<Record<string, string>> =>
  Object.values(object).every((value) => typeof value === 'string')

/** Fields of an object by name, and what each may hold. */
export type Fields = Readonly<Record<string, 'text' | 'number' | 'labels'>>

/** The known fields of an object, as far as it has them. Nothing in them is nested, but for a list of labels. */
export function copyKnown(from: JsonObject, fields: Fields, what: string): JsonObject {
  const known = Object.entries(fields).filter(([name]) => Object.hasOwn(from, name))
  return Object.fromEntries(known.map(([name, kind]) => [name, checked(from[name], kind, `${name} of ${what}`)]))
}

function checked(value: unknown, kind: Fields[string], what: string): unknown {
  if (value === null) return null
  if (kind === 'text') return asText(value, what)
  if (kind === 'labels') return asLabels(value, what)
  if (typeof value === 'number') return value
  throw new UnknownShape(`${what} is not a number`)
}
