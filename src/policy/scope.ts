/** Series whose label matches one of `allow` and none of `deny`. Patterns: `*` stands for any run of characters. */
export interface Alternative {
  readonly label: string
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}

/**
 * The series that somebody may see. `nothing` is a refusal, never an empty matcher; `everything` includes the series
 * that have no namespace, which `namespace=*` does not.
 */
export type Scope =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'everything' }
  | { readonly kind: 'labels'; readonly alternatives: readonly [Alternative, ...Alternative[]] }

/** A scope in one line, for people and the record: `namespace: a, b-* but not b-secret`. */
export function describeScope(scope: Scope): string {
  switch (scope.kind) {
    case 'nothing':
      return 'nothing'
    case 'everything':
      return 'every series'
    case 'labels':
      return scope.alternatives
        .map(({ label, allow, deny }) => {
          const except = deny.length > 0 ? ` but not ${deny.join(', ')}` : ''
          return `${label}: ${allow.join(', ')}${except}`
        })
        .join('; or ')
  }
}
