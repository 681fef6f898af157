import { rewriteQuery } from '../../src/promql/rewrite.ts'
import type { PromqlError } from '../../src/promql/rewrite.ts'
import { attacks } from './attacks.ts'
import { allExpressions, laterExpressions, ownExpressions } from './corpora.ts'
import { beginsRight, judgeFormat, judgeText } from './format.ts'
import type { Rewriter } from './format.ts'
import { mutate, shrink } from './mutate.ts'
import { randomFor } from './random.ts'
import { markOf, markPattern, markedScopes } from './scopes.ts'
import type { MarkedScope } from './scopes.ts'
import { formatted, lanes } from './server.ts'
import type { Which } from './server.ts'
import { ask, judgeStorage, startStorage } from './storage.ts'
import type { Storage } from './storage.ts'

export interface FuzzOptions {
  readonly seed: number
  /** Ends after so many inputs, or so many seconds, whichever comes first. */
  readonly inputs: number
  readonly seconds: number
  readonly which: Which
  /** Of the inputs that we refuse, one in so many is shown to Prometheus, to count what it would accept. */
  readonly refusedSample: number
  /** The repository's own expressions only, so that a seed means the same everywhere. */
  readonly ownOnly: boolean
  readonly progress?: (report: FuzzReport) => void
  readonly rewrite?: Rewriter
}

export interface FuzzReport {
  readonly version: string
  readonly inputs: number
  readonly seconds: number
  /** How often each outcome came. */
  readonly outcomes: ReadonlyMap<string, number>
  /** Inputs that Prometheus accepts and we refuse, though not on purpose. */
  readonly stricter: readonly string[]
  readonly selects: number
  readonly failures: readonly Failure[]
}

export interface Failure {
  readonly problem: string
  readonly index: number
  readonly input: string
  readonly shrunk: string
}

interface Case {
  readonly index: number
  readonly input: string
}

const mostSuspects = 5

/** What is refused on purpose though some Prometheus accepts it, by our message. */
const purposes: readonly (readonly [string, RegExp])[] = [
  [
    'a letter for a colon between brackets',
    /^unexpected "[a-zA-Z_]\w*"; expected "\]" to close the (?:range|subquery)/,
  ],
  ['a range after @ or offset', /^the range comes first/],
  ['a quoted name that is not UTF-8', /must be valid UTF-8$/],
  ['info()', /^info\(\) is not available/],
]
/** One differential run: mutants of the corpora, each rewritten, and each rewriting judged. */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const storage = await startStorage(options.which)
  try {
    return await new Fuzzer(options, storage).run()
  } finally {
    await storage.stop()
  }
}

/** Makes the input again that a run with this seed had at this index. */
export function inputAt(seed: number, index: number, ownOnly: boolean): string {
  const pool = ownOnly ? ownPool : fullPool()
  const random = randomFor(seed, index)
  return mutate(random, random.pick(random.below(3) === 0 ? attacks : pool), pool)
}

const ownPool = [...ownExpressions, ...laterExpressions, ...attacks]
let wholePool: readonly string[] | undefined
const fullPool = (): readonly string[] => (wholePool ??= allExpressions().filter((text) => text.length < 1000))

class Fuzzer {
  private readonly options: FuzzOptions
  private readonly storage: Storage
  private readonly rewrite: Rewriter
  private readonly outcomes = new Map<string, number>()
  private readonly stricter: string[] = []
  private readonly failures: Failure[] = []
  private readonly suspects: Omit<Failure, 'shrunk'>[] = []
  private readonly underWay = new Map<string, Case>()
  private readonly began = performance.now()
  private inputs = 0
  private selects = 0

  constructor(options: FuzzOptions, storage: Storage) {
    this.options = options
    this.storage = storage
    this.rewrite = options.rewrite ?? rewriteQuery
  }

  async run(): Promise<FuzzReport> {
    const { inputs, seconds, progress, seed, ownOnly } = this.options
    let next = 0
    let told = this.began
    const lane = async (): Promise<void> => {
      while (next < inputs && this.suspects.length < mostSuspects) {
        if (performance.now() - this.began > seconds * 1000) return
        const index = next++
        const asked = { index, input: inputAt(seed, index, ownOnly) }
        const problem = await this.judge(asked)
        if (problem !== undefined) this.suspect(problem, asked)
        this.inputs++
        if (performance.now() - told > 10_000) {
          told = performance.now()
          progress?.(this.report())
        }
      }
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    this.judgeSelects()
    await this.confirm()
    return this.report()
  }

  private report(): FuzzReport {
    const seconds = (performance.now() - this.began) / 1000
    const { inputs, outcomes, stricter, selects, failures } = this
    return { version: this.storage.server.version, inputs, seconds, outcomes, stricter, selects, failures }
  }

  private count(outcome: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
  }

  private suspect(problem: string, asked: Case): void {
    this.suspects.push({ problem, ...asked })
  }

  /** Each suspect again, alone, and made small; one that does not fail alone is reported as it came. */
  private async confirm(): Promise<void> {
    for (const { problem, index, input } of this.suspects.slice(0, mostSuspects)) {
      const kindOf = (text: string | undefined): string | undefined => text?.split(':')[0]
      const judge = (text: string) => judgeAlone(this.storage, this.rewrite, { index, input: text })
      const alone = await judge(input)
      const fails = async (text: string): Promise<boolean> => kindOf(await judge(text)) === kindOf(alone)
      const shrunk = alone === undefined ? '(does not fail alone)' : await shrink(input, fails)
      this.failures.push({ problem: alone ?? problem, index, input, shrunk })
    }
  }

  /** @returns what is wrong, or undefined */
  private async judge(asked: Case): Promise<string | undefined> {
    const marked = scopeAt(asked.index)
    const mark = markOf(asked.index)
    const result = this.rewrite(asked.input, marked.scope(mark))
    if (!result.ok) {
      await this.refused(asked, result.error)
      return result.error.reason === 'internal' ? `internal: ${result.error.message}` : undefined
    }
    const { sent } = result.value
    const text = judgeText(sent, marked.beginnings(mark))
    if (text !== undefined) return text
    const format = await judgeFormat(this.storage.server, this.rewrite, asked.input, sent, marked, mark)
    if ('problem' in format) return format.problem
    this.count(format.outcome)
    if (!format.readable) return undefined
    this.underWay.set(mark, asked)
    const { status, errorType } = await ask(this.storage.server, sent)
    // Looked at while this case is still under way, so that its selects find it.
    this.judgeSelects()
    this.underWay.delete(mark)
    this.count(status === 200 ? 'executed' : `executed, then ${errorType}`)
    return undefined
  }

  /** Inputs that we refuse show nothing; what is worth knowing is how many of them Prometheus would have answered. */
  private async refused({ index, input }: Case, { reason, message }: PromqlError): Promise<void> {
    this.count(`we refuse: ${reason}`)
    if (index % this.options.refusedSample !== 0 || !input.isWellFormed() || reason === 'not_allowed') return
    this.count('we refuse, shown to Prometheus')
    if ((await formatted(this.storage.server, input)) === undefined) return
    const purpose = purposes.find(([, pattern]) => pattern.test(message))?.[0]
    this.count(`we refuse, Prometheus accepts: ${purpose ?? `not on purpose (${reason})`}`)
    if (purpose === undefined) this.stricter.push(input)
  }

  /**
   * Every select since the last look must begin as the scope of the query that it belongs to says. Lanes share the stub:
   * where a select carries nobody's mark, all that are under way are suspects.
   */
  private judgeSelects(): void {
    for (const { matchers } of this.storage.stub.take()) {
      this.selects++
      const mark = markPattern.exec(matchers[0] ?? '')?.[0]
      const asked = mark === undefined ? undefined : this.underWay.get(mark)
      if (asked !== undefined && mark !== undefined && beginsRight(matchers, scopeAt(asked.index).beginnings(mark)))
        continue
      const suspects = asked === undefined ? this.underWay.values() : [asked]
      for (const one of suspects) this.suspect(`unscoped select: ${matchers.join(', ')}`, one)
    }
  }
}

const scopeAt = (index: number): MarkedScope => {
  const marked = markedScopes[index % markedScopes.length]
  if (marked === undefined) throw new Error('there are no scopes')
  return marked
}

/** All judges on one input, with nothing else under way. */
async function judgeAlone(storage: Storage, rewrite: Rewriter, { index, input }: Case): Promise<string | undefined> {
  const marked = scopeAt(index)
  const mark = markOf(index)
  const result = rewrite(input, marked.scope(mark))
  if (!result.ok) return result.error.reason === 'internal' ? `internal: ${result.error.message}` : undefined
  const text = judgeText(result.value.sent, marked.beginnings(mark))
  if (text !== undefined) return text
  const format = await judgeFormat(storage.server, rewrite, input, result.value.sent, marked, mark)
  if ('problem' in format) return format.problem
  if (!format.readable) return undefined
  const verdict = await judgeStorage(storage, rewrite, input, marked, mark)
  return verdict.is === 'bad' ? verdict.problem : undefined
}
