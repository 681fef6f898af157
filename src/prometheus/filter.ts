import type { Scope } from '../policy/scope.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { filterAlerts } from './filters/alerts.ts'
import { filterMetadata } from './filters/metadata.ts'
import { filterRules } from './filters/rules.ts'
import type { Filtered, UnknownAnswer } from './filters/shape.ts'
import { filterTargets } from './filters/targets.ts'
import type { Most, ScopedRequest } from './rewrite.ts'

/**
 * Takes out of an answer what is not the caller's. `bodies` are the answers to the request and, where it has one, to
 * its question for names, in this order. A shape that is not known is an error: nothing is shown then.
 */
export function filterAnswer(
  { filter, most }: ScopedRequest,
  bodies: readonly string[],
  scope: Scope,
): Result<string, string> {
  const [answer, names] = bodies.map(parseJson)
  const filtered = filterOf(filter, answer, names, scope)
  if (filtered === null) return fail('there is no filter for this answer')
  if (!filtered.ok) return fail(filtered.error.message)
  const { answer: left } = filtered.value
  return ok(JSON.stringify(most === undefined ? left : cutMetadata(left, most)))
}

function filterOf(
  filter: ScopedRequest['filter'],
  answer: unknown,
  names: unknown,
  scope: Scope,
): Result<Filtered, UnknownAnswer> | null {
  switch (filter) {
    case 'rules':
      return filterRules(answer, scope)
    case 'alerts':
      return filterAlerts(answer, scope)
    case 'targets':
      return filterTargets(answer, scope)
    case 'metadata':
      return filterMetadata(answer, namesOf(names))
    case undefined:
      return null
  }
}

/** What is not JSON is undefined: a shape that no filter knows. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The metric names in an answer to `label/__name__/values`; none where it is of another shape. */
function namesOf(answer: unknown): ReadonlySet<string> {
  const data: unknown = Reflect.get(Object(answer), 'data')
  return new Set(Array.isArray(data) ? data.filter((name) => typeof name === 'string') : [])
}

function cutMetadata(answer: unknown, { families, entries }: Most): unknown {
  const data: unknown = Reflect.get(Object(answer), 'data')
  const kept = Object.entries(Object(data))
    .slice(0, families)
    .map(([name, all]) => [name, Array.isArray(all) ? all.slice(0, entries) : all] as const)
  return { ...Object(answer), data: Object.fromEntries(kept) }
}
