import { rewriteSelector } from '../../src/promql/rewrite.ts'
import { beginsRight } from './format.ts'
import type { Rewriter } from './format.ts'
import { readingFrom, startReadStub } from './read-stub.ts'
import type { ReadStub } from './read-stub.ts'
import type { Select } from './read-request.ts'
import type { MarkedScope } from './scopes.ts'
import { startServer } from './server.ts'
import type { Answer, Server, Which } from './server.ts'

/** A Prometheus without data, and the storage that it asks. */
export interface Storage {
  readonly server: Server
  readonly stub: ReadStub
  stop(): Promise<void>
}

/** Starts both. */
export async function startStorage(which: Which): Promise<Storage> {
  const stub = await startReadStub()
  try {
    const server = await startServer(which, { config: readingFrom(stub.url) })
    return {
      server,
      stub,
      async stop() {
        await server.stop()
        await stub.stop()
      },
    }
  } catch (error) {
    await stub.stop()
    throw error
  }
}

/** Storage is asked before the evaluation begins, so a query that would take long may be cut short. */
export const ask = (server: Server, query: string): Promise<Answer> =>
  server.post('/api/v1/query', { query, time: '1795143900', timeout: '2s' })

/** The selects that a query, run alone, makes storage see. */
export async function selectsOf({ server, stub }: Storage, query: string): Promise<readonly Select[] | undefined> {
  stub.take()
  const { status } = await ask(server, query)
  const selects = stub.take()
  return status === 200 ? selects : undefined
}

export type StorageVerdict =
  | { readonly is: 'good'; readonly selects: number }
  | { readonly is: 'refused'; readonly reason: string }
  | { readonly is: 'unanswered' }
  | { readonly is: 'bad'; readonly problem: string }

/**
 * Runs a query as it is and rewritten, alone, and compares what storage is asked. Each select must begin with the scope,
 * and without the scope the selects must be the original's: as often, or for several alternatives at least once.
 */
export async function judgeStorage(
  storage: Storage,
  rewrite: Rewriter,
  query: string,
  marked: MarkedScope,
  mark: string,
): Promise<StorageVerdict> {
  const result = rewrite(query, marked.scope(mark))
  if (!result.ok) return { is: 'refused', reason: result.error.reason }
  const original = await selectsOf(storage, query)
  storage.stub.take()
  const answer = await ask(storage.server, result.value.sent)
  const ours = storage.stub.take()
  const stray = ours.find(({ matchers }) => !beginsRight(matchers, marked.beginnings(mark)))
  if (stray !== undefined) return { is: 'bad', problem: `unscoped select: ${stray.matchers.join(', ')}` }
  if (original === undefined) return { is: 'unanswered' }
  if (answer.status !== 200)
    return { is: 'bad', problem: `the original is answered, the rewritten not: ${answer.error}` }
  const [wanted, got] = [original.map(textOf), ours.map((select) => textOf(withoutScope(select, marked, mark)))]
  const tidy = (texts: readonly string[]): string =>
    JSON.stringify((marked.single ? [...texts] : [...new Set(texts)]).sort())
  if (tidy(wanted) === tidy(got)) return { is: 'good', selects: ours.length }
  return { is: 'bad', problem: `other selects: ${tidy(wanted)} became ${tidy(got)}` }
}

const textOf = ({ matchers, start, end }: Select): string => JSON.stringify([matchers, start, end])

/** The select without the longest beginning that it has. */
function withoutScope(select: Select, marked: MarkedScope, mark: string): Select {
  const lengths = marked
    .beginnings(mark)
    .filter((beginning) => beginsRight(select.matchers, [beginning]))
    .map((beginning) => beginning.length)
  return { ...select, matchers: select.matchers.slice(Math.max(0, ...lengths)) }
}

/** The same for a `match[]`; of the endpoints that take one, only /api/v1/series asks remote storage. */
export async function judgeMatch(
  { server, stub }: Storage,
  match: string,
  marked: MarkedScope,
  mark: string,
): Promise<StorageVerdict> {
  const result = rewriteSelector(match, marked.scope(mark))
  if (!result.ok) return { is: 'refused', reason: result.error.reason }
  const form = new URLSearchParams({ start: '1795143000', end: '1795143900' })
  for (const sent of result.value.sent) form.append('match[]', sent)
  stub.take()
  const { status } = await server.post('/api/v1/series', form)
  const selects = stub.take()
  const stray = selects.find(({ matchers }) => !beginsRight(matchers, marked.beginnings(mark)))
  if (stray !== undefined) return { is: 'bad', problem: `unscoped select: ${stray.matchers.join(', ')}` }
  if (status !== 200) return { is: 'unanswered' }
  if (selects.length === result.value.sent.length) return { is: 'good', selects: selects.length }
  return { is: 'bad', problem: `${result.value.sent.length} selectors, ${selects.length} selects` }
}
