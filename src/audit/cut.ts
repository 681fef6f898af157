import type { AuditLimits } from './limits.ts'

type Bounds = Pick<AuditLimits, 'textUnits' | 'fieldUnits'>

/** An entry made small enough to keep, and where something is missing. */
export interface CutEntry {
  readonly fields: Readonly<Record<string, unknown>>
  /** JSON Pointers (RFC 6901) of the strings, lists and objects that were cut; an empty one: more than are listed. */
  readonly truncated: readonly string[]
}

const maxDepth = 16
const maxMarks = 64
// What a value costs beside its text, so that a list of a million empty strings ends too.
const valueCost = 8

/**
 * Copies an entry's own fields within bounds. Every top-level field has an allowance of its own, so that one that a client
 * fills (`asked`) takes nothing from one that we fill (`decision`). Never throws: a cycle ends at the depth limit.
 */
export function cutEntry(entry: object, bounds: Bounds): CutEntry {
  const truncated: string[] = []
  const mark = (pointer: string): void => {
    if (truncated.length < maxMarks) truncated.push(pointer)
    else if (truncated.length === maxMarks) truncated.push('')
  }
  const fields = Object.entries(entry).map(([name, value]): [string, unknown] => {
    return [name, new FieldCutter(bounds, mark).copy(value, `/${name}`, 0)]
  })
  return { fields: Object.fromEntries(fields), truncated }
}

class FieldCutter {
  readonly #textUnits: number
  readonly #mark: (pointer: string) => void
  #left: number

  constructor(bounds: Bounds, mark: (pointer: string) => void) {
    this.#textUnits = bounds.textUnits
    this.#left = bounds.fieldUnits
    this.#mark = mark
  }

  copy(value: unknown, pointer: string, depth: number): unknown {
    this.#left -= valueCost
    if (typeof value === 'string') return this.#text(value, pointer)
    if (typeof value === 'bigint') return value.toString()
    if (typeof value !== 'object' || value === null) return value
    if (depth === maxDepth) {
      this.#mark(pointer)
      return null
    }
    return Array.isArray(value) ? this.#list(value, pointer, depth) : this.#members(value, pointer, depth)
  }

  #text(text: string, pointer: string): string {
    const room = Math.max(0, Math.min(this.#textUnits, this.#left))
    this.#left -= Math.min(text.length, room)
    if (text.length <= room) return text
    this.#mark(pointer)
    const cut = text.slice(0, room)
    // A cut between the halves of a pair would put a lone surrogate into the record that nobody sent.
    return isHigh(cut.at(-1)) && isLow(text[room]) ? cut.slice(0, -1) : cut
  }

  #list(list: readonly unknown[], pointer: string, depth: number): unknown[] {
    const kept: unknown[] = []
    for (const [index, item] of list.entries()) {
      if (this.#spent(pointer)) break
      kept.push(this.copy(item, `${pointer}/${index}`, depth + 1))
    }
    return kept
  }

  #members(members: object, pointer: string, depth: number): object {
    const kept: [string, unknown][] = []
    for (const [name, value] of Object.entries(members)) {
      if (this.#spent(pointer)) break
      const key = this.#text(name, pointer)
      kept.push([key, this.copy(value, `${pointer}/${escapeToken(key.slice(0, 128))}`, depth + 1)])
    }
    // Object.fromEntries defines own properties: a member called __proto__ stays a member.
    return Object.fromEntries(kept)
  }

  #spent(pointer: string): boolean {
    if (this.#left > 0) return false
    this.#mark(pointer)
    return true
  }
}

const isHigh = (unit = ''): boolean => unit >= '\ud800' && unit <= '\udbff'
const isLow = (unit = ''): boolean => unit >= '\udc00' && unit <= '\udfff'

// RFC 6901 §3.
const escapeToken = (token: string): string => token.replaceAll('~', '~0').replaceAll('/', '~1')
