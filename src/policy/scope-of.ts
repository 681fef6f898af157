import { matches } from './patterns.ts'
import { destinationLabels, scopeFor } from './profile.ts'
import type { Grant, Profile, View } from './profile.ts'
import type { Rule } from './rules.ts'
import type { Alternative, Exclusion, Scope } from './scope.ts'

/**
 * Adds up the rules that bear on somebody. A deny wins over every allow: a series that a deny names, by whichever label, is
 * in no scope. "Every series" with a deny shrinks to "every namespace but …", since a series without a namespace may hold
 * what is denied (a recording rule over all of them, say).
 */
export function scopeOf(rules: readonly Rule[], profile: Profile): Scope {
  if (rules.some(({ effect, resource }) => effect === 'deny' && 'every' in resource)) return { kind: 'nothing' }
  const allows = rules.filter(({ effect }) => effect === 'allow')
  const denies = rules.filter(({ effect }) => effect === 'deny')
  const every = allows.some(({ resource }) => 'every' in resource)
  if (every && denies.length === 0) return { kind: 'everything' }
  const views = ['own', 'destination'] as const
  const grants = views.map((view) => grantOf(allows, denies, view, every && view === 'own'))
  const scope = scopeFor(profile, grants)
  const others = labelAlternatives(allows, denies)
  const never = exclusions(denies, profile)
  return withOthers(scope, others, never)
}

const namespaces = (rules: readonly Rule[], view: View): readonly string[] =>
  rules.flatMap(({ resource, view: granted }) =>
    'label' in resource && resource.label === 'namespace' && (granted === 'both' || granted === view)
      ? [resource.pattern]
      : [],
  )

function grantOf(allows: readonly Rule[], denies: readonly Rule[], view: View, every: boolean): Grant {
  const deny = [...new Set(namespaces(denies, view))].toSorted()
  const allow = new Set([...namespaces(allows, view), ...(every ? ['*'] : [])])
  return { view, allow: [...allow].filter((one) => !deny.some((denied) => matches(denied, one))).toSorted(), deny }
}

/** Grants by a label that is no namespace. */
function labelAlternatives(allows: readonly Rule[], denies: readonly Rule[]): readonly Alternative[] {
  const found = new Map<string, Set<string>>()
  for (const { resource } of allows) {
    if (!('label' in resource) || resource.label === 'namespace') continue
    found.set(resource.label, (found.get(resource.label) ?? new Set()).add(resource.pattern))
  }
  return [...found].flatMap(([label, patterns]) => {
    const deny = patternsOf(denies, label)
    const allow = [...patterns].filter((one) => !deny.some((denied) => matches(denied, one))).toSorted()
    return allow.length === 0 ? [] : [{ label, allow, deny }]
  })
}

const patternsOf = (rules: readonly Rule[], label: string): readonly string[] =>
  [
    ...new Set(
      rules.flatMap(({ resource }) => ('label' in resource && resource.label === label ? [resource.pattern] : [])),
    ),
  ].toSorted()

/** What the denies say of every label that can speak for a namespace, and of the other labels that they name. */
function exclusions(denies: readonly Rule[], profile: Profile): readonly Exclusion[] {
  const found = new Map<string, Set<string>>()
  const add = (label: string, pattern: string): void => {
    found.set(label, (found.get(label) ?? new Set()).add(pattern))
  }
  for (const { resource, view } of denies) {
    if (!('label' in resource)) continue
    if (resource.label !== 'namespace' || view !== 'destination') add(resource.label, resource.pattern)
    if (resource.label !== 'namespace' || view === 'own') continue
    for (const { label, value } of destinationLabels(profile)) add(label, value(resource.pattern))
  }
  return [...found].map(([label, patterns]) => ({ label, patterns: [...patterns].toSorted() }))
}

/** Grants by other labels hold for every metric; what is never seen is said once, unless the only label says it already. */
function withOthers(scope: Scope, others: readonly Alternative[], never: readonly Exclusion[]): Scope {
  const [first, ...rest] = [...(scope.kind === 'labels' ? scope.alternatives : []), ...others]
  if (first === undefined) return { kind: 'nothing' }
  const families = scope.kind === 'labels' ? (scope.families ?? []) : []
  const all = families.map(({ metrics, alternatives: [head, ...tail] }) => {
    return { metrics, alternatives: [head, ...tail, ...others] as const }
  })
  const labels = new Set([first, ...rest, ...all.flatMap(({ alternatives }) => alternatives)].map(({ label }) => label))
  const needed = never.filter(({ label }) => labels.size > 1 || !labels.has(label))
  return {
    kind: 'labels',
    alternatives: [first, ...rest],
    ...(all.length === 0 ? {} : { families: all }),
    ...(needed.length === 0 ? {} : { never: needed }),
  }
}
