import type { Held } from './explain.ts'
import { findName, labelNames, valueNames } from './pattern-sets.ts'
import type { Found, Names } from './pattern-sets.ts'
import { matches } from './patterns.ts'
import type { View } from './profile.ts'
import type { Rule } from './rules.ts'

/** What a resource column can be about: `namespace own`, `namespace destination`, or a label. */
type Kind = string

/** Patterns of one kind, each with the rows that say it. */
type Said = ReadonlyMap<string, readonly string[]>

/**
 * What the rules of one subject come to, in a form of which this holds: what a person with several subjects sees depends on
 * these alone. So equal rights of every subject are equal rights of everybody.
 */
export interface Rights {
  /** Rows that give every series, also those without a namespace; none where a deny stands beside them. */
  readonly every: readonly string[]
  readonly allow: ReadonlyMap<Kind, Said>
  /** Rows that deny everything. */
  readonly denyAll: readonly string[]
  readonly deny: ReadonlyMap<Kind, Said>
}

/** Resources that one side has and the other has not. */
export interface Difference {
  /** As in a row; `*` is every series. */
  readonly resource: string
  readonly view: View
  /** Patterns of the same label within it that both have. */
  readonly except: readonly string[]
  /** A value that shows the difference; null where there are too many patterns to name one. */
  readonly example: string | null
  /** The rows that make it, `file:line`, of which of the two. */
  readonly because: { readonly of: 'more' | 'less'; readonly rows: readonly string[] }
}

/** Adds up what the rules of one subject say. */
export function rightsOf(held: readonly Held[]): Rights {
  const allows = held.filter(({ rule }) => rule.effect === 'allow').map(({ rule }) => rule)
  const denies = held.filter(({ rule }) => rule.effect === 'deny').map(({ rule }) => rule)
  const denyAll = denies.filter(isEvery).map(({ at }) => at)
  const deny = byKind(denies)
  if (denyAll.length > 0) return { every: [], allow: new Map(), denyAll, deny }
  const every = allows.filter(isEvery).map(({ at }) => at)
  if (every.length === 0 || denies.length === 0) return { every, allow: byKind(allows), denyAll, deny }
  // With a deny beside it, "every series" is every namespace's own.
  const allow = new Map(byKind(allows)).set(own, new Map([...(byKind(allows).get(own) ?? []), ['*', every] as const]))
  return { every: [], allow, denyAll, deny }
}

const own = 'namespace own'
const destination = 'namespace destination'
const isEvery = ({ resource }: Rule): boolean => 'every' in resource

function byKind(rules: readonly Rule[]): ReadonlyMap<Kind, Said> {
  const kinds = new Map<Kind, Map<string, readonly string[]>>()
  for (const { resource, view, at } of rules) {
    if ('every' in resource) continue
    const { label, pattern } = resource
    const sides = label !== 'namespace' ? [label] : view === 'both' ? [own, destination] : [`namespace ${view}`]
    for (const side of sides) {
      const said = kinds.get(side) ?? new Map<string, readonly string[]>()
      kinds.set(side, said.set(pattern, [...(said.get(pattern) ?? []), at]))
    }
  }
  return kinds
}

/** What `one` allows and `other` does not, as far as these alone decide. */
export function allowedBeyond(one: Rights, other: Rights): readonly Difference[] {
  if (other.every.length > 0) return []
  if (one.every.length > 0) {
    const except = [...other.allow].flatMap(([kind, said]) => [...said.keys()].map((pattern) => written(kind, pattern)))
    return [{ resource: '*', view: 'both', except, example: null, because: { of: 'more', rows: one.every } }]
  }
  return mergeViews(
    [...one.allow].flatMap(([kind, said]) =>
      [...said].flatMap(([pattern, rows]) => beyond(kind, pattern, rows, one, other)),
    ),
  )
}

/** What `one` denies and `other` does not; it bears on everything that a person's other subjects allow as well. */
export function deniedBeyond(one: Rights, other: Rights): readonly Difference[] {
  if (other.denyAll.length > 0) return []
  if (one.denyAll.length > 0) {
    return [{ resource: '*', view: 'both', except: [], example: null, because: { of: 'more', rows: one.denyAll } }]
  }
  return mergeViews(
    [...one.deny].flatMap(([kind, said]) =>
      [...said].flatMap(([pattern, rows]) => {
        const others = patternsOf(other.deny, kind)
        const example = findName({ some: [[pattern]], none: others }, namesOf(kind))
        if (example === null) return []
        return [difference(kind, pattern, within(pattern, others), example, { of: 'more', rows })]
      }),
    ),
  )
}

function beyond(
  kind: Kind,
  pattern: string,
  rows: readonly string[],
  one: Rights,
  other: Rights,
): readonly Difference[] {
  const names = namesOf(kind)
  const ownDenied = patternsOf(one.deny, kind)
  const allowed = other.denyAll.length > 0 ? [] : patternsOf(other.allow, kind)
  const found: Difference[] = []
  const missing = findName({ some: [[pattern]], none: [...ownDenied, ...allowed] }, names)
  if (missing !== null) {
    const except = [...within(pattern, allowed), ...within(pattern, ownDenied)]
    found.push(difference(kind, pattern, except, missing, { of: 'more', rows }))
  }
  // What both allow may still be denied by the other alone.
  for (const [denied, denying] of other.deny.get(kind) ?? []) {
    const example = findName({ some: [[pattern], allowed, [denied]], none: ownDenied }, names)
    if (example === null) continue
    const resource = matches(pattern, denied) ? denied : pattern
    found.push(difference(kind, resource, within(resource, ownDenied), example, { of: 'less', rows: denying }))
  }
  return found
}

function difference(
  kind: Kind,
  pattern: string,
  except: readonly string[],
  example: Found,
  because: Difference['because'],
): Difference {
  const view = kind === own ? 'own' : kind === destination ? 'destination' : 'both'
  return { resource: written(kind, pattern), view, except: [...new Set(except)], example: example ?? null, because }
}

const written = (kind: Kind, pattern: string): string => `${kind.split(' ')[0]}=${pattern}`
const namesOf = (kind: Kind): Names => (kind.startsWith('namespace ') ? labelNames : valueNames)
const patternsOf = (said: ReadonlyMap<Kind, Said>, kind: Kind): readonly string[] => [...(said.get(kind)?.keys() ?? [])]

/** Those patterns that lie wholly within another. */
const within = (pattern: string, others: readonly string[]): readonly string[] =>
  others.filter((other) => other !== pattern && matches(pattern, other))

/** The same from both sides is one difference. */
function mergeViews(differences: readonly Difference[]): readonly Difference[] {
  const found = new Map<string, Difference>()
  for (const one of differences) {
    const key = JSON.stringify([one.resource, one.except, one.example, one.because])
    const same = found.get(key)
    found.set(key, same === undefined || same.view === one.view ? one : { ...one, view: 'both' })
  }
  return [...found.values()]
}
