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
  scoped: ScopedRequest,
  bodies: readonly string[],
  scope: Scope,
): Result<string, UnknownAnswer> {
  const { most } = scoped
  const [answer, names] = bodies.map(parseJson)
  const filtered = filterOf(scoped, answer, namesOf(names), scope)
  if (filtered === null) {
    return fail({ is: 'shape', message: 'there is no filter for this answer, or what the filter needs is missing' })
  }
  if (!filtered.ok) return filtered
  const { answer: left } = filtered.value
  return ok(JSON.stringify(most === undefined ? left : cutMetadata(left, most)))
}

function filterOf(
  scoped: ScopedRequest,
  answer: unknown,
  names: ReadonlySet<string> | null,
  scope: Scope,
): Result<Filtered, UnknownAnswer> | null {
  const { filter, page } = scoped
  if (filter === undefined) return null
  switch (filter) {
    case 'rules':
      return filterRules(answer, scope, page)
    case 'alerts':
      return filterAlerts(answer, scope)
    case 'targets':
      return filterTargets(answer, scope)
    case 'metadata':
      return names === null ? null : filterMetadata(answer, names)
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

/** The metric names in an answer to `label/__name__/values`; null where it is of another shape, or there is none. */
function namesOf(answer: unknown): ReadonlySet<string> | null {
  const data: unknown = Reflect.get(Object(answer), 'data')
  return Array.isArray(data) && data.every((name) => typeof name === 'string') ? new Set(data) : null
}

function cutMetadata(answer: unknown, { families, entries }: Most): unknown {
  const data: unknown = Reflect.get(Object(answer), 'data')
  const kept = Object.entries(Object(data))
    .slice(0, families)
    .map(([name, all]) => [name, Array.isArray(all) ? all.slice(0, entries) : all] as const)
  return { ...Object(answer), data: Object.fromEntries(kept) }
}
