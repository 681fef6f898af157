import { findName, labelNames, valueNames } from './pattern-sets.ts'
import type { Names } from './pattern-sets.ts'
import type { Resource } from './patterns.ts'
import type { Profile } from './profile.ts'
import type { Alternative, Scope } from './scope.ts'

/** What may be seen or not: a resource, and of namespaces from which side. */
export interface Sight {
  readonly resource: Resource
  readonly side: 'own' | 'destination'
}

/** Holds, or does not; with a value that shows it where there is one. */
export type Verdict = { readonly holds: true } | { readonly holds: false; readonly example: string | null }

const yes: Verdict = { holds: true }
const no = (example: string | null | undefined): Verdict => ({ holds: false, example: example ?? null })

/** Does the scope hold all of it, every name that the pattern stands for? */
export function seesAll(scope: Scope, { resource, side }: Sight, profile: Profile): Verdict {
  if (scope.kind !== 'labels') return scope.kind === 'everything' ? yes : no(null)
  if ('every' in resource) return no(null)
  const ways = speakers(resource.label, side, profile).map((label) => {
    const alternatives = scope.alternatives.filter((one) => one.label === label)
    return outside(resource.pattern, alternatives, neverOf(scope, label), namesOf(resource.label))
  })
  return ways.find((way) => way.holds) ?? ways[0] ?? no(null)
}

/**
 * Is there nothing of it in the scope, of no name that the pattern stands for? A grant by another label can show series of
 * any namespace, so it hides only those that are denied.
 */
export function hidesAll(scope: Scope, { resource, side }: Sight, profile: Profile): Verdict {
  if (scope.kind !== 'labels') return scope.kind === 'nothing' ? yes : no(null)
  if ('every' in resource) return no(null)
  const { label, pattern } = resource
  const names = namesOf(label)
  const speaking = speakers(label, side, profile)
  const spoken =
    label === 'namespace' ? [...speakers(label, 'own', profile), ...speakers(label, 'destination', profile)] : [label]
  for (const { label: granted, allow, deny } of scope.alternatives) {
    if (speaking.includes(granted)) {
      const seen = findName({ some: [[pattern], allow], none: [...deny, ...neverOf(scope, granted)] }, names)
      if (seen !== null) return no(seen)
    } else if (!spoken.includes(granted)) {
      const left = speaking.map((one) => findName({ some: [[pattern]], none: neverOf(scope, one) }, names))
      const seen = left.find((one) => one !== null)
      if (seen !== undefined || left.includes(undefined)) return no(seen)
    }
  }
  return yes
}

/** The labels that speak for a resource. */
function speakers(label: string, side: Sight['side'], profile: Profile): readonly string[] {
  if (label !== 'namespace') return [label]
  return profile[side].filter((one) => typeof one === 'string')
}

const namesOf = (label: string): Names => (label === 'namespace' ? labelNames : valueNames)

const neverOf = ({ never = [] }: Extract<Scope, { kind: 'labels' }>, label: string): readonly string[] =>
  never.flatMap((one) => (one.label === label ? one.patterns : []))

/** Looks for a name of a pattern that none of the alternatives gives. */
function outside(
  pattern: string,
  alternatives: readonly Alternative[],
  never: readonly string[],
  names: Names,
): Verdict {
  // In none of them is: of each, not among the allowed, or among the denied.
  const ways = alternatives.reduce(
    (all, { allow, deny }) =>
      all.flatMap(({ some, none }) => [
        { some, none: [...none, ...allow] },
        ...(deny.length === 0 ? [] : [{ some: [...some, deny], none }]),
      ]),
    [{ some: [[pattern]] as readonly (readonly string[])[], none: [] as readonly string[] }],
  )
  const taken = never.length === 0 ? [] : [{ some: [[pattern], never], none: [] }]
  for (const wanted of [...ways, ...taken]) {
    const found = findName(wanted, names)
    if (found !== null) return no(found)
  }
  return yes
}
