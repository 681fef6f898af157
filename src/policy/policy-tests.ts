import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { readSomebody } from './as.ts'
import type { Somebody } from './as.ts'
import { parseResource } from './patterns.ts'
import { parseLimits } from './query-limits.ts'
import type { LimitRow } from './query-limits.ts'
import { actions, readTime } from './rules.ts'
import type { Action } from './rules.ts'
import type { Sight } from './scope-sets.ts'

/** A value of a file as it is written, with its line. */
export interface Written {
  readonly at: number
  readonly value: string | readonly Written[] | ReadonlyMap<string, Written>
}

/** Something that must be seen, or must not, as the file has it. */
export interface Entry {
  readonly text: string
  /** One side, or both where none is said. */
  readonly sights: readonly Sight[]
}

/** One entry of a file of tests: somebody, and what must hold for them. */
export interface PolicyCase {
  /** `file:line` */
  readonly at: string
  readonly name: string | null
  readonly somebody: Somebody
  /** Null: every cluster. */
  readonly cluster: string | null
  readonly action: Action
  /** When, in Unix milliseconds; null: now. */
  readonly time: number | null
  readonly sees: readonly Entry[]
  readonly hides: readonly Entry[]
  /** All that they see, in words. */
  readonly scope: string | null
  readonly may: readonly Action[]
  readonly mustNot: readonly Action[]
  readonly limits: LimitRow['limits']
}

const keys = ['name', 'as', 'cluster', 'action', 'at', 'sees', 'hides', 'scope', 'may', 'mustNot', 'limits'] as const
type Key = (typeof keys)[number]

/** Reads a file of tests. What is not understood is an error with its line: a test that tests nothing is worse than none. */
export function readCases(file: string, { value, at }: Written): Result<readonly PolicyCase[], readonly string[]> {
  if (!Array.isArray(value) || value.length === 0)
    return fail([`${file}:${at}: must be a list of tests, "- as: …" each`])
  const problems: string[] = []
  const cases: PolicyCase[] = []
  for (const item of listOf({ at, value })) {
    const reader = new CaseReader(file, item)
    const read = reader.read()
    problems.push(...reader.problems)
    if (read !== null) cases.push(read)
  }
  return problems.length > 0 ? fail(problems) : ok(cases)
}

const listOf = ({ value }: Written): readonly Written[] =>
  typeof value === 'string' || value instanceof Map ? [] : [...value.values()]

/** Reads one entry and gathers what is wrong with it. */
class CaseReader {
  readonly problems: string[] = []
  readonly #file: string
  readonly #item: Written

  constructor(file: string, item: Written) {
    this.#file = file
    this.#item = item
  }

  read(): PolicyCase | null {
    const { value, at } = this.#item
    if (!(value instanceof Map)) return this.#wrong(at, 'must be a test: settings such as "as:" and "sees:"')
    for (const [key, { at: line }] of value) {
      if (!(keys as readonly string[]).includes(key))
        this.#wrong(line, `there is no "${key}": there are ${keys.join(', ')}`)
    }
    const somebody = readSomebody(this.#texts('as'))
    if (!somebody.ok) return this.#wrong(this.#line('as'), `as: ${somebody.error}`)
    const sees = this.#texts('sees').flatMap((text) => this.#entry('sees', text))
    const hides = this.#texts('hides').flatMap((text) => this.#entry('hides', text))
    const [may, mustNot] = [this.#actions('may'), this.#actions('mustNot')]
    const scope = this.#text('scope')
    const limits = this.#limits()
    const expected = [sees, hides, may, mustNot, Object.keys(limits)].some((list) => list.length > 0)
    if (!expected && scope === null && this.problems.length === 0) {
      return this.#wrong(at, 'expects nothing: give sees, hides, scope, may, mustNot or limits')
    }
    const [action = 'query', ...more] = this.#actions('action')
    if (more.length > 0) return this.#wrong(this.#line('action'), 'action: must be one: write a test for each')
    return {
      at: `${this.#file}:${at}`,
      name: this.#text('name'),
      somebody: somebody.value,
      cluster: this.#cluster(),
      action,
      time: this.#time(),
      sees,
      hides,
      scope,
      may,
      mustNot,
      limits,
    }
  }

  #wrong(line: number, message: string): null {
    this.problems.push(`${this.#file}:${line}: ${message}`)
    return null
  }

  #get(key: Key): Written | undefined {
    const { value } = this.#item
    return value instanceof Map ? value.get(key) : undefined
  }

  #line(key: Key): number {
    return this.#get(key)?.at ?? this.#item.at
  }

  #text(key: Key): string | null {
    const written = this.#get(key)
    if (written === undefined) return null
    if (typeof written.value === 'string' && written.value !== '') return written.value
    return this.#wrong(written.at, `${key}: must be a text`)
  }

  /** One text or a list of them. */
  #texts(key: Key): readonly string[] {
    const written = this.#get(key)
    if (written === undefined) return []
    if (typeof written.value === 'string' && written.value !== '') return [written.value]
    const items = listOf(written)
    const texts = items.flatMap(({ value }) => (typeof value === 'string' && value !== '' ? [value] : []))
    if (texts.length === 0 || texts.length < items.length)
      this.#wrong(written.at, `${key}: must be a text or a list of texts`)
    return texts
  }

  #actions(key: Key): readonly Action[] {
    return this.#texts(key).flatMap((text) => {
      const action = actions.find((one) => one === text)
      if (action === undefined)
        this.#wrong(this.#line(key), `${key}: the action "${text}" is none of ${actions.join(', ')}`)
      return action ?? []
    })
  }

  #cluster(): string | null {
    const text = this.#text('cluster')
    if (text === null || /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(text)) return text
    return this.#wrong(this.#line('cluster'), `cluster: "${text}" is not a cluster's name`)
  }

  #time(): number | null {
    const time = readTime(this.#text('at') ?? undefined)
    return time === undefined
      ? this.#wrong(this.#line('at'), 'at: must be a moment such as 2026-11-20T03:00:00Z')
      : time
  }

  /** `payments`, `team-*`, `payments/destination`, `job=prometheus` or `*`. */
  #entry(key: 'sees' | 'hides', text: string): readonly Entry[] {
    const bare = text !== '*' && !text.includes('=')
    const [, name = text, said] = bare ? (/^([^/]*)\/(own|destination)$/.exec(text) ?? []) : []
    const resource = parseResource(bare ? `namespace=${name}` : text)
    if (!resource.ok) {
      this.#wrong(this.#line(key), `${key}: ${resource.error}`)
      return []
    }
    const sided = 'label' in resource.value && resource.value.label === 'namespace'
    const usual = key === 'sees' || !sided ? (['own'] as const) : (['own', 'destination'] as const)
    const sides: readonly Sight['side'][] = said === 'own' || said === 'destination' ? [said] : usual
    return [{ text, sights: sides.map((side) => ({ resource: resource.value, side })) }]
  }

  #limits(): LimitRow['limits'] {
    const written = this.#get('limits')
    if (written === undefined) return {}
    const { value, at } = written
    const fields =
      value instanceof Map
        ? [...value].map(([name, { value: one }]) => `${name}=${typeof one === 'string' ? one : ''}`)
        : []
    const limits = parseLimits({ type: 'l', fields: ['*', ...fields], at: '' })
    if (limits.ok) return limits.value.limits
    this.#wrong(at, `limits: ${limits.error}`)
    return {}
  }
}
