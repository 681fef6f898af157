import { errorCode } from './failure.ts'
import { nodeFiles, type Files } from './files.ts'
import { LineSource, plainName, segmentFiles, sizesOf } from './read-segments.ts'
import { recordIn } from './verify-line.ts'

type Fields = Partial<Record<string, unknown>>

/** Which records are wanted; `null`: any. */
export interface ShowFilter {
  /** Subject or name of the person. */
  readonly user: string | null
  readonly namespace: string | null
  /** Milliseconds since 1970. */
  readonly since: number | null
  readonly decision: string | null
}

/** A record, as text and as JSON. */
export interface Shown {
  readonly line: string
  readonly record: Fields
}

const pause = 250
const requestsRemembered = 10_000

/**
 * The records of a directory in order that a filter lets through. An outcome goes with its decision. With `wait`, also the
 * ones that come later, in segments that come later too, until it rejects or the reader has enough.
 */
export async function* showRecords(
  dir: string,
  filter: ShowFilter,
  wait: ((ms: number) => Promise<unknown>) | null,
  files: Files = nodeFiles,
): AsyncGenerator<Shown> {
  const matched = new Set<unknown>()
  for await (const shown of wholeLines(dir, wait, files)) {
    const { kind, request } = shown.record
    if (kind === 'outcome' ? !matched.delete(request) : !matches(shown.record, filter)) continue
    if (kind !== 'outcome' && request !== undefined) matched.add(request)
    if (matched.size > requestsRemembered) matched.delete(matched.values().next().value)
    yield shown
  }
}

async function* wholeLines(
  dir: string,
  wait: ((ms: number) => Promise<unknown>) | null,
  files: Files,
): AsyncGenerator<Shown> {
  let [at, position] = ['', 0]
  for (;;) {
    // Before the file is read: what is written to it after that, and before a newer one is made, is then read as well.
    const names = await segmentFiles(files, dir)
    for (const name of names.filter((name) => plainName(name) >= at)) {
      if (plainName(name) !== at) [at, position] = [plainName(name), 0]
      const lines = await openFrom(files, dir, name, position)
      if (lines === null) continue
      try {
        for (let line = await lines.next(); line?.form === 'whole'; line = lines.take() ?? (await lines.next())) {
          position = line.end
          yield { line: line.bytes.toString('utf8'), record: recordIn(line) }
        }
      } finally {
        await lines.close()
      }
    }
    if (wait === null) return
    await wait(pause)
  }
}

/** `null`: the segment was deleted since its name was read. */
async function openFrom(files: Files, dir: string, name: string, position: number): Promise<LineSource | null> {
  try {
    const [readable] = await sizesOf(files, dir, [name])
    return readable === undefined ? null : await LineSource.open(files, readable, position)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

function matches(record: Fields, { user, namespace, since, decision }: ShowFilter): boolean {
  if (since !== null && !(Date.parse(String(record['ts'])) >= since)) return false
  if (decision !== null && record['decision'] !== decision) return false
  if (user !== null) {
    const { subject, name }: Fields = Object(record['who'])
    if (subject !== user && name !== user) return false
  }
  return namespace === null || names(record, namespace)
}

/** Does a record's scope, one of its selectors or what was sent name this namespace, as a word of its own? */
function names({ scope, selectors, sent }: Fields, namespace: string): boolean {
  const word = namespace.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)
  return new RegExp(`(?<![a-z0-9-])${word}(?![a-z0-9-])`).test(JSON.stringify([scope, selectors, sent]))
}
