import type { ReviewFilter, Within } from './review.ts'
import type { Values } from './duck.ts'

/** A condition with the values it speaks of, as `$1`, `$2`, … */
export class Conditions {
  readonly #parts: string[] = []
  readonly #values: (string | number)[] = []

  /** Each `?` stands for the value in its place. */
  and(condition: string, ...values: Values): this {
    let at = 0
    this.#parts.push(
      condition.replaceAll('?', () => {
        const value = values[at++] ?? ''
        this.#values.push(value)
        return typeof value === 'number' ? `$${this.#values.length}::BIGINT` : `$${this.#values.length}::VARCHAR`
      }),
    )
    return this
  }

  get sql(): string {
    return this.#parts.length === 0 ? 'true' : this.#parts.join(' AND ')
  }

  get values(): Values {
    return this.#values
  }
}

const moment = 'make_timestamptz(? * 1000)'

/** A list as long as its values. */
export const placesFor = (values: readonly unknown[]): string => values.map(() => '?').join(', ')

/**
 * What somebody looks for, within what they may see.
 *
 * @param subjects whose records a filter for a person can mean: naming them lets the sorted index be used
 */
export function conditionsOf(filter: ReviewFilter, within: Within, subjects: readonly string[] | null): Conditions {
  const all = new Conditions()
  // Of no cluster there is no record to be seen: an empty list must not read as "no condition".
  if (within !== 'all') all.and(within.length === 0 ? 'false' : `cluster IN (${placesFor(within)})`, ...within)
  const { person, group, namespace, metric, cluster, decision, kind, dashboard, text, from, to } = filter
  if (person !== undefined) {
    if (subjects !== null) all.and(subjects.length === 0 ? 'false' : `subject IN (${placesFor(subjects)})`, ...subjects)
    all.and('(subject = ? OR name = ?)', person, person)
  }
  if (group !== undefined) all.and('list_contains("groups", ?)', group)
  if (namespace !== undefined) {
    const like = `list_bool_or(list_transform(namespace_patterns, lambda p: ? LIKE p ESCAPE '\\'))`
    const found = `(list_contains(mentions, ?) OR list_contains(namespaces, ?) OR coalesce(${like}, false))`
    all.and(found, namespace, namespace, namespace)
  }
  if (metric !== undefined) all.and('list_contains(metrics, ?)', metric)
  if (cluster !== undefined) all.and('cluster = ?', cluster)
  if (decision !== undefined) all.and('decision = ?', decision)
  if (kind !== undefined) all.and('kind = ?', kind)
  if (dashboard !== undefined) all.and('(dashboard = ? OR dashboard_title = ?)', dashboard, dashboard)
  if (text !== undefined) all.and('contains(query, ?)', text)
  if (from !== undefined) all.and(`ts >= ${moment}`, from)
  if (to !== undefined) all.and(`ts < ${moment}`, to)
  return all
}

/** Narrows conditions to a stretch of time. */
export const during = (all: Conditions, from: number, to: number): Conditions =>
  all.and(`ts >= ${moment}`, from).and(`ts < ${moment}`, to)
