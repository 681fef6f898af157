import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Files } from '../audit/files.ts'
import { DamagedFile } from '../audit/packed.ts'
import { segmentFiles, segmentOf, sizesOf } from '../audit/read-segments.ts'
import type { ReadableFile } from '../audit/read-segments.ts'
import { columns } from './columns.ts'
import type { Database } from './duck.ts'
import { messageOf } from './duck.ts'
import { unavailable } from './failure.ts'
import { HotSegment } from './hot.ts'
import { reviewLimits } from './limits.ts'
import { endsIn } from './lines.ts'
import { writeManifest } from './manifest.ts'
import type { Manifest } from './manifest.ts'
import { emptyTable } from './snapshot.ts'
import type { Snapshot } from './snapshot.ts'
import { nameText } from './sql-text.ts'
import { changed, scratchOf, withoutSegments } from './store.ts'
import type { Change } from './store.ts'

export interface LibraryOptions {
  readonly db: Database
  readonly files: Files
  /** The audit directory. */
  readonly directory: string
  readonly index: string
  readonly manifest: Manifest
  /** Where the parts lie that the manifest names; the index's own directory, unless it is borrowed. */
  readonly parts: string
}

interface Trash {
  readonly path: string
  /** Milliseconds of a clock that only goes forward. */
  readonly since: number
}

/** What there is to search: parts of the index, and segments that are read as they are. */
export class Library {
  readonly options: LibraryOptions
  #manifest: Manifest
  #segments: ReadonlyMap<string, ReadableFile> = new Map()
  readonly #hot = new Map<string, HotSegment>()
  readonly #unread = new Map<string, string>()
  readonly #taken = new Set<symbol>()
  #trash: Trash[] = []
  #dropped: HotSegment[] = []
  #behind = 0
  #revision = 0
  #looking: Promise<void> = Promise.resolve()
  #next: Promise<void> | null = null

  private constructor(options: LibraryOptions) {
    this.options = options
    this.#manifest = options.manifest
  }

  static async open(options: LibraryOptions): Promise<Library> {
    const all = Object.entries(columns).map(([name, type]) => `${nameText(name)} ${type}`)
    await options.db.query(`CREATE TABLE ${emptyTable} (${all.join(', ')})`, [])
    return new Library(options)
  }

  get manifest(): Manifest {
    return this.#manifest
  }

  get segments(): ReadonlyMap<string, ReadableFile> {
    return this.#segments
  }

  /** Segments of the index that are not in the directory any more. */
  get gone(): readonly string[] {
    return Object.keys(this.#manifest.segments).filter((segment) => !this.#segments.has(segment))
  }

  /** Segments that nobody writes to any more and that are not in the index, oldest first. */
  get unindexed(): readonly ReadableFile[] {
    const newest = [...this.#segments.keys()].at(-1)
    return [...this.#segments]
      .filter(([segment]) => !(segment in this.#manifest.segments) && !this.#unread.has(segment))
      .filter(([segment]) => segment !== newest || this.#hot.get(segment)?.sealed === true)
      .map(([, file]) => file)
  }

  get indexed(): number {
    return Object.values(this.#manifest.segments).reduce((sum, { records }) => sum + records, 0)
  }

  /** Records that are read from the segments; an estimate where they were not read yet. */
  get waiting(): number {
    const read = [...this.#hot.values()].reduce((sum, { tables }) => sum + tables.records, 0)
    return read + Math.ceil(this.#behind / 800)
  }

  /** Why a segment cannot be read to its end, if that is so. */
  get damage(): string | null {
    const [first] = this.#unread
    return first === undefined ? null : `${first[0]}: ${first[1]}`
  }

  /** Is there more outside the index than a search can read? */
  get isBehind(): boolean {
    return this.#behind > 0
  }

  /** Looks at the directory, and reads what was added. What is on disk when this is called is seen when it is done. */
  look(): Promise<void> {
    this.#next ??= this.#looking.then(() => {
      this.#next = null
      this.#looking = this.#look()
      return this.#looking
    })
    return this.#next
  }

  /** The present state, to be released. Rejects while the index lags so far behind that something would be missing. */
  snapshot(): Snapshot {
    if (this.isBehind) {
      const left = Math.ceil(this.#behind / 1024 / 1024)
      throw unavailable(`the index is being made: ${left} MiB are left`, 'try again in a minute')
    }
    const me = Symbol('snapshot')
    this.#taken.add(me)
    return {
      parts: this.#manifest.parts.map((part) => ({ ...part, path: this.pathOf(part.file) })),
      hot: [...this.#hot.values()].map(({ tables }) => tables).filter(({ records }) => records > 0),
      ...this.sides,
      gone: this.gone,
      release: () => void this.#taken.delete(me),
    }
  }

  /** Paths of the tables beside the parts. */
  get sides(): Pick<Snapshot, 'late' | 'people'> {
    const { late, people } = this.#manifest
    return {
      late: late === null ? null : this.pathOf(late.file),
      people: people === null ? null : this.pathOf(people.file),
    }
  }

  pathOf(file: string): string {
    // What a borrowed index lacks is made in our own directory, under numbers that the other has not reached.
    return join(this.#own.has(file) ? this.options.index : this.options.parts, file)
  }

  readonly #own = new Set<string>()

  /** Changes each time something else than the compactor takes segments out of the index. */
  get revision(): number {
    return this.#revision
  }

  #revise(manifest: Manifest): void {
    this.#revision++
    this.#manifest = manifest
  }

  /**
   * Puts a new state of the index in force: on disk first. Not where the index was revised since the work on it began:
   * what was made of segments that are not in it any more would be there twice.
   */
  async change(change: Change, next: number, revision: number): Promise<void> {
    const { index, parts } = this.options
    if (revision !== this.#revision) {
      for (const { file } of change.add ?? []) await rm(join(index, file), { force: true })
      return
    }
    const before = this.#manifest
    const manifest = changed(before, change, next)
    for (const part of change.add ?? []) this.#own.add(part.file)
    for (const side of [change.late, change.people]) if (side !== undefined && side !== null) this.#own.add(side.file)
    if (index === parts) await writeManifest(index, manifest)
    if (revision !== this.#revision) return
    const since = performance.now()
    const old = [
      ...(change.remove ?? []),
      ...(before.late === null || change.late === undefined ? [] : [before.late]),
      ...(before.people === null || change.people === undefined ? [] : [before.people]),
    ]
    this.#trash.push(...old.map(({ file }) => ({ path: this.pathOf(file), since })))
    this.#manifest = manifest
    for (const [segment, hot] of this.#hot) {
      if (!(segment in manifest.segments)) continue
      this.#hot.delete(segment)
      this.#dropped.push(hot)
    }
    this.#measure()
  }

  /** Forgets that segments are in the index, so that they are indexed anew. */
  async replace(manifest: Manifest): Promise<void> {
    if (this.options.index === this.options.parts) await writeManifest(this.options.index, manifest)
    this.#revise(manifest)
    await this.look()
  }

  /** A segment cannot be read: it is not tried again. */
  give(up: string, error: unknown): void {
    this.#unread.set(up, messageOf(error))
  }

  /** Removes what no search can be reading any more. */
  async tidy(): Promise<void> {
    if (this.#taken.size > 0) return
    for (const hot of this.#dropped.splice(0)) await hot.drop()
    const old = performance.now() - reviewLimits.trashMs
    const due = this.#trash.filter(({ since }) => since < old)
    this.#trash = this.#trash.filter(({ since }) => since >= old)
    if (this.options.index === this.options.parts) for (const { path } of due) await rm(path, { force: true })
  }

  async #look(): Promise<void> {
    const { files, directory } = this.options
    const found = new Map<string, ReadableFile>()
    for (const name of await segmentFiles(files, directory)) {
      const known = this.#segments.get(segmentOf(name))
      // A compressed segment does not change: there can be thousands, and this is done for each search.
      if (known?.file === name && name.endsWith('.zst')) found.set(segmentOf(name), known)
      else for (const file of await sizesOf(files, directory, [name])) found.set(segmentOf(name), file)
    }
    this.#segments = found
    await this.#compare()
    for (const [segment, hot] of this.#hot) {
      if (this.#segments.has(segment)) continue
      this.#hot.delete(segment)
      this.#dropped.push(hot)
    }
    this.#measure()
    if (!this.isBehind) for (const [segment, file] of this.#pending()) await this.#feed(segment, file)
  }

  /** A segment that is not what it was when it was indexed is indexed anew. Their ends are looked at once. */
  async #compare(): Promise<void> {
    const others = new Set<string>()
    for (const [segment, file] of this.#segments) {
      const known = this.#manifest.segments[segment]
      if (known === undefined) continue
      if (known.size !== file.size || !(this.#compared || (await endsIn(this.options.files, file, known.chain))))
        others.add(segment)
    }
    this.#compared = true
    if (others.size > 0) this.#revise(withoutSegments(this.#manifest, others))
  }

  #compared = false

  #pending(): readonly (readonly [string, ReadableFile])[] {
    return [...this.#segments].filter(([segment]) => !(segment in this.#manifest.segments))
  }

  /** The newest segment is always read; of older ones, only as much as a search may cost. */
  #measure(): void {
    const older = this.#pending()
      .slice(0, -1)
      .filter(([segment]) => !this.#unread.has(segment))
    const left = older.map(([segment, { size }]) => Math.max(0, size - (this.#hot.get(segment)?.position ?? 0)))
    const bytes = left.reduce((sum, size) => sum + size, 0)
    this.#behind = bytes > reviewLimits.hotBytes ? bytes : 0
  }

  async #feed(segment: string, file: ReadableFile): Promise<void> {
    const { db, files, index } = this.options
    const known = this.#hot.get(segment)
    // Shorter than what was read of it: it is another file now.
    if (known !== undefined && file.size < known.position) {
      this.#hot.delete(segment)
      this.#dropped.push(known)
    }
    const hot = this.#hot.get(segment) ?? new HotSegment(db, scratchOf(index), segment)
    if (file.size === hot.position || this.#unread.has(segment)) return
    this.#hot.set(segment, hot)
    try {
      await hot.feed(files, file)
    } catch (error) {
      if (error instanceof DamagedFile) return this.give(segment, error)
      // It came into the index meanwhile, and its tables went.
      if (segment in this.#manifest.segments) return
      // How much of it is in the tables is not known: it is read again from its beginning.
      this.#hot.delete(segment)
      this.#dropped.push(hot)
      throw error
    }
  }
}
