/** Series whose label matches one of `allow` and none of `deny`. Patterns: `*` stands for any run of characters. */
export interface Alternative {
  readonly label: string
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}

/** Metrics whose labels say otherwise whose they are; `metrics` is a pattern of their names. */
export interface Family {
  readonly metrics: string
  readonly alternatives: readonly [Alternative, ...Alternative[]]
}

/** Series that are never seen, whatever is allowed: those whose label matches one of the patterns. */
export interface Exclusion {
  readonly label: string
  readonly patterns: readonly string[]
}

/**
 * The series that somebody may see. The first family that matches a metric's name decides instead of `alternatives`, which
 * are for all other metrics and for selectors that do not say the name. `nothing` is a refusal, never an empty matcher; `everything` includes the series
 * that have no namespace, which `namespace=*` does not.
 */
export type Scope =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'everything' }
  | {
      readonly kind: 'labels'
      readonly alternatives: readonly [Alternative, ...Alternative[]]
      readonly families?: readonly Family[]
      readonly never?: readonly Exclusion[]
    }

/**
 * A scope in one line, for people and the record: `namespace: a, b-* but not b-secret`, with families behind:
 * `namespace: a; or dst_namespace: a; for route_*: namespace: a; or dst: *.a.svc.*; never job: b`.
 */
export function describeScope(scope: Scope): string {
  switch (scope.kind) {
    case 'nothing':
      return 'nothing'
    case 'everything':
      return 'every series'
    case 'labels': {
      const families = (scope.families ?? []).map(
        ({ metrics, alternatives }) => `; for ${metrics}: ${describeAlternatives(alternatives)}`,
      )
      const never = (scope.never ?? []).map(({ label, patterns }) => `; never ${label}: ${patterns.join(', ')}`)
      return describeAlternatives(scope.alternatives) + families.join('') + never.join('')
    }
  }
}

const describeAlternatives = (alternatives: readonly Alternative[]): string =>
  alternatives
    .map(({ label, allow, deny }) => {
      const except = deny.length > 0 ? ` but not ${deny.join(', ')}` : ''
      return `${label}: ${allow.join(', ')}${except}`
    })
    .join('; or ')
