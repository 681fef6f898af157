import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Files } from '../audit/files.ts'
import { takeOwnership } from '../audit/lock.ts'
import { thisProcess } from '../audit/owner.ts'
import { Lending } from './lend.ts'
import { Compactor } from './compactor.ts'
import { Database, messageOf } from './duck.ts'
import type { Duck } from './duck.ts'
import { exportRecords } from './export.ts'
import { ReviewError, unavailable } from './failure.ts'
import { Library } from './library.ts'
import { reviewLimits } from './limits.ts'
import type { OpenMessage, Question } from './protocol.ts'
import { recordsOfRequest } from './request.ts'
import type { ReviewStatus } from './review.ts'
import { search } from './search.ts'
import { borrowManifest, exportsOf, inspectManifest, openManifest, prepareIndex, scratchOf } from './store.ts'
import { timeline } from './timeline.ts'

type Told = (status: Omit<ReviewStatus, 'failure'>, problem: string | null) => void

/** What the library says of a file that is damaged or gone; other troubles do not make it worth to read every byte. */
const unreadable = /IO Error|No files found|parquet|corrupt|zstd|thrift|TProtocol/i

/** Two processes that keep one index would remove each other's files. The lock of one that died is taken over. */
async function ownIndex(files: Files, index: string): Promise<void> {
  await files.makeDir(index)
  const taken = await takeOwnership(files, index, await thisProcess(randomUUID()))
  if (taken !== null) throw unavailable(`the index ${index} is in use: ${taken.reason}`, taken.remedy)
}

/** Answers questions out of the index, and keeps it in step with the log. */
export class Librarian {
  readonly #files: Files
  readonly #options: OpenMessage
  readonly #db: Database
  readonly #library: Library
  readonly #compactor: Compactor
  readonly #told: Told
  readonly #lending: Lending
  #problem: string | null = null
  #unwritten: string | null = null
  #inspecting: Promise<null> | null = null
  #saidLast = ''

  private constructor(
    parts: { readonly files: Files; readonly db: Database; readonly library: Library; readonly compactor: Compactor },
    options: OpenMessage,
    told: Told,
  ) {
    this.#files = parts.files
    this.#db = parts.db
    this.#library = parts.library
    this.#compactor = parts.compactor
    this.#options = options
    this.#told = told
    this.#lending = new Lending(parts.db, exportsOf(options.index))
  }

  static async open(duck: Duck, files: Files, options: OpenMessage, told: Told): Promise<Librarian> {
    const { directory, index, borrow, anew, memoryBytes, threads } = options
    await ownIndex(files, index)
    await prepareIndex(index, anew)
    const manifest = borrow === null ? await openManifest(index) : await borrowManifest(borrow)
    const scratch = scratchOf(index)
    // Two databases, so that sorting never takes the memory, or all processors, that a search needs.
    const db = await Database.open(duck, { memoryBytes: memoryBytes / 2, threads, scratch: `${scratch}/search` })
    const maker = await Database.open(duck, { memoryBytes: memoryBytes / 2, threads: 1, scratch: `${scratch}/make` })
    const library = await Library.open({ db, files, directory, index, manifest, parts: borrow ?? index })
    const compactor = new Compactor(library, maker, files)
    const librarian = new Librarian({ files, db, library, compactor }, options, told)
    await librarian.#look().catch(() => undefined)
    void librarian.#watch()
    return librarian
  }

  async answer(question: Question, progress: (records: number) => void, signal: AbortSignal): Promise<unknown> {
    if (question.method === 'giveBack') return this.#lending.takeBack(question.lease)
    if (question.method === 'inspect') return this.#inspect()
    await this.#look()
    try {
      return await this.#answer(question, progress, signal)
    } catch (error) {
      if (!(error instanceof ReviewError) && !signal.aborted && unreadable.test(messageOf(error))) await this.#inspect()
      throw error
    }
  }

  async #answer(
    question: Exclude<Question, { method: 'giveBack' | 'inspect' }>,
    progress: (records: number) => void,
    signal: AbortSignal,
  ): Promise<unknown> {
    const snapshot = this.#library.snapshot()
    if (question.method === 'lend') return this.#lending.lend(snapshot, signal)
    const looking = { db: this.#db, snapshot, within: question.within, signal }
    const log = { files: this.#files, segments: this.#library.segments }
    try {
      switch (question.method) {
        case 'search':
          return await search({ ...looking, filter: question.filter }, question.page)
        case 'timeline':
          return await timeline({ ...looking, filter: question.filter })
        case 'request':
          return await recordsOfRequest(looking, question.id, log)
        case 'export': {
          const dir = exportsOf(this.#options.index)
          return await exportRecords({ ...looking, filter: question.filter }, question.format, { log, dir, progress })
        }
      }
    } finally {
      snapshot.release()
    }
  }

  /** What cannot be read any more, or is not what was written, is made anew from the segments. */
  async #inspect(): Promise<null> {
    this.#inspecting ??= this.#inspectOnce().finally(() => {
      this.#inspecting = null
    })
    return this.#inspecting
  }

  async #inspectOnce(): Promise<null> {
    const { manifest } = this.#library
    const sound = await inspectManifest(this.#options.borrow ?? this.#options.index, manifest)
    // What changed meanwhile is looked at the next time.
    if (sound !== manifest && this.#library.manifest === manifest) await this.#library.replace(sound)
    return null
  }

  /** Rejects where the directory cannot be read: what was not looked at must not count as nothing found. */
  async #look(): Promise<void> {
    try {
      await this.#library.look()
      this.#problem = this.#library.damage
    } catch (error) {
      this.#problem = messageOf(error)
      throw unavailable(`the audit directory cannot be read: ${this.#problem}`, 'look at its mount and its rights')
    } finally {
      this.#tell()
    }
  }

  #tell(): void {
    const { isBehind, indexed, waiting } = this.#library
    const state = isBehind ? 'starting' : 'ready'
    const problem = this.#problem ?? this.#unwritten
    const said = JSON.stringify([state, indexed, waiting, problem])
    if (said === this.#saidLast) return
    this.#saidLast = said
    this.#told({ state, indexed, waiting }, problem)
  }

  async #watch(): Promise<void> {
    for (;;) await sleep(await this.#work())
  }

  /** Does what is due; answers how many milliseconds to wait before the next. */
  async #work(): Promise<number> {
    await this.#look().catch(() => undefined)
    try {
      const worked = await this.#compactor.step()
      await this.#library.tidy()
      this.#unwritten = null
      return worked ? 1 : reviewLimits.lookMs
    } catch (error) {
      this.#unwritten = `the index cannot be written: ${messageOf(error)}`
      return reviewLimits.againMs
    } finally {
      this.#tell()
    }
  }
}
