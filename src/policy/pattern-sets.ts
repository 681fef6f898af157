import { maxSearch } from './limits.ts'
import { matches } from './patterns.ts'

/** Names to look for: each must match one pattern of every list in `some`, and none of `none`. */
export interface Wanted {
  readonly some: readonly (readonly string[])[]
  readonly none: readonly string[]
}

/** What names of a kind look like: the characters, those shown first first, and those that cannot be at either end. */
export interface Names {
  readonly characters: readonly string[]
  readonly inside: string
}

/** Namespaces and clusters (RFC 1123 labels). */
const lower = 'xabcdefghijklmnopqrstuvwyz0123456789-'.split('')
export const labelNames: Names = { characters: lower, inside: '-' }
/** Values of other labels. */
export const valueNames: Names = { characters: [...lower, ...'ABCDEFGHIJKLMNOPQRSTUVWXYZ._:/'.split('')], inside: '' }

/** A name, or null where there is none. Undefined: there may be one, but the patterns are too many to tell. */
export type Found = string | null | undefined

/** A name that is wanted, and a short one. Exact: patterns are followed letter by letter, all of them at once. */
export function findName(wanted: Wanted, names: Names): Found {
  const isWanted = (name: string): boolean =>
    wanted.some.every((list) => anyMatches(list, name)) && !anyMatches(wanted.none, name)
  // A pattern without a star is one name, which is tried and need not be searched for.
  const single = wanted.some.flat().filter((pattern) => !pattern.includes('*'))
  const tried = single.find(isWanted)
  if (tried !== undefined) return tried
  const some = wanted.some.map((list) => list.filter((pattern) => pattern.includes('*')))
  const none = wanted.none.filter((one) => one.includes('*') || some.every((list) => anyMatches(list, one)))
  return some.some((list) => list.length === 0) ? null : searchName({ some, none }, names)
}

function searchName({ some, none }: Wanted, names: Names): Found {
  const patterns = [...some.flat(), ...none]
  const lists = some.map((list, at) => {
    const from = some.slice(0, at).flat().length
    return { from, to: from + list.length }
  })
  const fromNone = some.flat().length
  const hasAll = (at: (from: number, to: number) => boolean): boolean => lists.every(({ from, to }) => at(from, to))
  const walk: Walk = {
    patterns,
    names,
    // Whatever follows, one of every list must still be possible, and none of the others certain.
    hopeful: (state) =>
      hasAll((from, to) => state.some(({ at }) => at >= from && at < to)) &&
      !state.some((one) => one.at >= fromNone && isCertain(one, patterns)),
  }
  for (const step of walkNames(walk)) {
    if (step === null) return undefined
    const { name, accepted } = step
    const good = hasAll((from, to) => accepted.some((at) => at >= from && at < to))
    if (good && !accepted.some((at) => at >= fromNone)) return name
  }
  return null
}

const anyMatches = (patterns: readonly string[], name: string): boolean =>
  patterns.some((pattern) => matches(pattern, name))

/**
 * One name for each way in which names can match the patterns: of `a*` and `*b`, one that matches the first only, one the
 * second only, and one both. Null where there are too many.
 */
export function namesByMatch(patterns: readonly string[], names: Names): readonly string[] | null {
  const found = new Map<string, string>()
  for (const step of walkNames({ patterns, names, hopeful: (state) => state.length > 0 })) {
    if (step === null) return null
    const key = step.accepted.join()
    if (step.accepted.length > 0 && !found.has(key)) found.set(key, step.name)
  }
  return [...found.values()]
}

/** How far one pattern has come: the places in it that the letters so far can have led to. */
interface Place {
  readonly at: number
  readonly places: readonly number[]
}
type State = readonly Place[]

interface Walk {
  readonly patterns: readonly string[]
  readonly names: Names
  readonly hopeful: (state: State) => boolean
}

interface Step {
  readonly name: string
  /** Which patterns match it. */
  readonly accepted: readonly number[]
}

/** Every way of going through the patterns, shortest names first; null in the end where it was too much. */
function* walkNames({ patterns, names, hopeful }: Walk): Generator<Step | null> {
  const { characters, inside } = names
  const start = patterns.map((pattern, at) => ({ at, places: settle([0], pattern) }))
  let front: readonly { readonly name: string; readonly state: State }[] = [{ name: '', state: start }]
  const seen = new Set<string>()
  while (front.length > 0) {
    const next: { readonly name: string; readonly state: State }[] = []
    for (const { name, state } of front) {
      for (const letter of lettersFor(state, patterns, characters)) {
        if (name === '' && inside.includes(letter)) continue
        const after = advance(state, letter, patterns)
        const ends = !inside.includes(letter)
        const key = `${ends}${after.map(({ at, places }) => `${at}:${places.join('.')}`).join()}`
        if (seen.has(key) || !hopeful(after)) continue
        if (seen.size >= maxSearch) return yield null
        seen.add(key)
        if (ends) yield { name: name + letter, accepted: acceptedIn(after, patterns) }
        next.push({ name: name + letter, state: after })
      }
    }
    front = next
  }
}

const acceptedIn = (state: State, patterns: readonly string[]): readonly number[] =>
  state.filter(({ at, places }) => places.includes(patterns[at]?.length ?? -1)).map(({ at }) => at)

/** Does the pattern match, however the name goes on? */
const isCertain = ({ at, places }: Place, patterns: readonly string[]): boolean => {
  const pattern = patterns[at] ?? ''
  return pattern.endsWith('*') && places.includes(pattern.length - 1)
}

/** The letters that some pattern waits for, and one that none does: all others lead where it leads. */
function lettersFor(state: State, patterns: readonly string[], characters: readonly string[]): readonly string[] {
  const expected = new Set<string>()
  for (const { at, places } of state) {
    for (const place of places) {
      const letter = patterns[at]?.[place]
      if (letter !== undefined && letter !== '*') expected.add(letter)
    }
  }
  const other = characters.find((letter) => !expected.has(letter))
  return other === undefined ? [...expected] : [other, ...expected]
}

function advance(state: State, letter: string, patterns: readonly string[]): State {
  const after: Place[] = []
  for (const { at, places } of state) {
    const pattern = patterns[at] ?? ''
    const reached = places.flatMap((place) =>
      pattern[place] === '*' ? [place] : pattern[place] === letter ? [place + 1] : [],
    )
    if (reached.length > 0) after.push({ at, places: settle(reached, pattern) })
  }
  return after
}

/** A star may stand for nothing; and whoever has come to a later star needs none of the places before it. */
function settle(places: readonly number[], pattern: string): readonly number[] {
  const all = new Set(places)
  for (const place of all) if (pattern[place] === '*') all.add(place + 1)
  const last = Math.max(-1, ...[...all].filter((place) => pattern[place] === '*'))
  return [...all].filter((place) => place >= last).toSorted((one, other) => one - other)
}
