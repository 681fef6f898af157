import type { Files } from '../audit/files.ts'
import { DamagedFile } from '../audit/packed.ts'
import { segmentOf } from '../audit/read-segments.ts'
import { buildSegment, mergeParts, stripPart } from './build.ts'
import type { Workshop } from './build.ts'
import type { Database } from './duck.ts'
import type { Library } from './library.ts'
import { reviewLimits } from './limits.ts'
import type { Part } from './manifest.ts'
import { scratchOf } from './store.ts'

/** Keeps the index in step with the segments, one piece of work after the other. */
export class Compactor {
  readonly #library: Library
  readonly #shop: Workshop
  #next: number

  constructor(library: Library, db: Database, files: Files) {
    const { index } = library.options
    this.#library = library
    this.#next = library.manifest.next
    this.#shop = { db, files, index, scratch: scratchOf(index), number: () => this.#next++ }
  }

  /** Does what is due next; answers whether there was anything. */
  async step(): Promise<boolean> {
    return (await this.#index()) || (await this.#strip()) || (await this.#merge())
  }

  async #index(): Promise<boolean> {
    const library = this.#library
    const { revision } = library
    const [source] = library.unindexed
    if (source === undefined) return false
    const segment = segmentOf(source.file)
    const from = { ...library.sides, gone: library.gone }
    try {
      const { indexed, parts, late, people } = await buildSegment(this.#shop, source, from)
      const segments = { ...library.manifest.segments, [segment]: indexed }
      const change = { add: parts, segments, late, ...(people === undefined ? {} : { people }) }
      await library.change(change, this.#next, revision)
    } catch (error) {
      if (!(error instanceof DamagedFile)) throw error
      library.give(segment, error)
    }
    return true
  }

  /** Takes the records of deleted segments out. */
  async #strip(): Promise<boolean> {
    const library = this.#library
    if (library.options.index !== library.options.parts) return false
    const { revision } = library
    const gone = new Set(library.gone)
    if (gone.size === 0) return false
    const segments = Object.entries(library.manifest.segments)
    const part = library.manifest.parts.find((part) => part.segments.some((segment) => gone.has(segment)))
    if (part === undefined) {
      const left = Object.fromEntries(segments.filter(([segment]) => !gone.has(segment)))
      await library.change({ segments: left }, this.#next, revision)
      return true
    }
    const stripped = await stripPart(this.#shop, part, gone)
    await library.change({ remove: [part], add: stripped === null ? [] : [stripped] }, this.#next, revision)
    return true
  }

  async #merge(): Promise<boolean> {
    const library = this.#library
    const parts = library.options.index === library.options.parts ? mergeable(library.manifest.parts) : null
    if (parts === null) return false
    const { revision } = library
    const merged = await mergeParts(this.#shop, parts, library.sides.late)
    await library.change({ remove: parts, add: merged }, this.#next, revision)
    return true
  }
}

/** Parts of one day and level that were made at enough different times to be merged; null where there are none. */
export function mergeable(parts: readonly Part[]): readonly Part[] | null {
  for (const group of Map.groupBy(parts, ({ day, level }) => `${day} ${level}`).values()) {
    const batches = new Set([...new Set(group.map(({ batch }) => batch))].slice(0, reviewLimits.mergeBatches))
    if (batches.size === reviewLimits.mergeBatches) return group.filter(({ batch }) => batches.has(batch))
  }
  return null
}
