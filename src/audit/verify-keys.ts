import type { Checkpoint, KeyChange } from './checkpoint.ts'
import type { CheckKey } from './keys.ts'
import { isSignedBy } from './note.ts'

/** What is wrong with a signature. */
export interface KeyProblem {
  readonly kind: 'key not valid then' | 'edited'
  readonly sentence: string
}

/**
 * Which key is valid at which checkpoint. With given keys: one of them, or one that they vouch for, from a change on which
 * both signed. Without: the ones that the log names itself, which shows nothing to somebody who doubts the log as a whole.
 */
export class KeyRing {
  readonly #given: readonly CheckKey[] | null
  /** `undefined`: not known yet; a text: the id of a key that is not at hand. */
  #current: CheckKey | string | null | undefined = undefined
  /** Has nobody who is trusted vouched for the current key, and from which checkpoint on? */
  #doubt: number | null = null
  readonly #good = new Set<string>()
  readonly #known = new Map<string, CheckKey>()
  readonly #named = new Set<string>()

  constructor(given: readonly CheckKey[] | null) {
    this.#given = given
    for (const key of given ?? []) this.#known.set(key.id, key)
  }

  /** A key that was given, or that the changes so far name; `null` when it is none of them. */
  known(id: string): CheckKey | null {
    return this.#known.get(id) ?? null
  }

  /** Was it in use, as far as the checkpoints say, although only its id is known? */
  isNamed(id: string): boolean {
    return this.#given === null && this.#named.has(id)
  }

  /** Ids of the keys of which a good signature was seen. */
  get good(): readonly string[] {
    return [...this.#good]
  }

  /** The first checkpoint whose key nobody vouches for. */
  get doubt(): number | null {
    return this.#doubt
  }

  /** Some checkpoints were not seen: a key may have changed meanwhile. */
  skip(): void {
    this.#current = undefined
  }

  change(change: KeyChange): KeyProblem | null {
    const { old, next, note, from } = change
    const oldId = typeof old === 'string' ? old : (old?.id ?? null)
    const known = this.#current === undefined ? oldId : idOf(this.#current)
    if (known !== oldId) return notValid(`the change of keys at checkpoint ${from} is not from the key that was valid`)
    if (next !== null && !isSignedBy(note, next)) return edited(`the change of keys at checkpoint ${from}`)
    // A key that is named must have signed: one that was lost is named by its id only.
    const vouched = old !== null && typeof old !== 'string' && isSignedBy(note, old)
    if (old !== null && typeof old !== 'string' && !vouched) return edited(`the change of keys at checkpoint ${from}`)
    if (next === null && !vouched) return notValid(`nobody signed that checkpoints are not signed from ${from} on`)
    this.#current = next
    for (const key of [old, next]) if (key !== null && typeof key !== 'string') this.#known.set(key.id, key)
    if (this.#isGiven(next)) this.#doubt = null
    else if (!vouched) this.#doubt ??= from
    return null
  }

  check({ note, number }: Pick<Checkpoint, 'note' | 'number'>): KeyProblem | null {
    const [signature] = note.signatures
    if (note.signatures.length > 1) return notValid(`checkpoint ${number} has more than one signature`)
    if (this.#current === undefined) this.#adopt(signature?.id ?? null, number)
    const current = this.#current ?? null
    const id = idOf(current)
    if (signature?.id !== (id ?? undefined)) {
      const by = signature === undefined ? 'not signed' : `signed with the key ${signature.id}`
      const due = id === null ? 'no key was in use then' : `the key then was ${id}`
      return notValid(`checkpoint ${number} is ${by}, but ${due}`)
    }
    if (typeof current === 'string') this.#named.add(current)
    if (current === null || typeof current === 'string') return null
    if (!isSignedBy(note, current)) return edited(`checkpoint ${number}`)
    this.#good.add(current.id)
    return null
  }

  /** Where the beginning was not seen. */
  #adopt(id: string | null, number: number): void {
    const given = this.#given?.find((key) => key.id === id)
    // Before the first change of keys, no key is in use.
    this.#current = given ?? (number === 0 ? null : id)
    if (given === undefined && id !== null && number > 0) this.#doubt ??= number
  }

  #isGiven(key: CheckKey | null): boolean {
    return key !== null && this.#given?.some(({ vkey }) => vkey === key.vkey) === true
  }
}

const idOf = (key: CheckKey | string | null): string | null => (typeof key === 'string' ? key : (key?.id ?? null))
const notValid = (sentence: string): KeyProblem => ({ kind: 'key not valid then', sentence })
const edited = (what: string): KeyProblem => ({ kind: 'edited', sentence: `${what} does not fit its signature` })
