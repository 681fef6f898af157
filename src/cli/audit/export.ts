import { constants, createReadStream } from 'node:fs'
import { copyFile, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { openReview } from '../../review/open.ts'
import type { Exported, ExportFormat, ReviewFilter } from '../../review/review.ts'
import { UsageError } from '../command.ts'
import type { Command, Given, Terminal } from '../command.ts'
import { plain } from './inputs.ts'
import { momentOf, settled, showProgress } from './reading.ts'

const memoryBytes = 1024 * 1024 * 1024

/** Writes records into a file for other tools. */
export const exportCommand: Command = {
  help: `Usage: bailiwick audit export DIR --format parquet|csv|ndjson [options]

Writes the records of the log in DIR that the options let through, each decision with its outcome. The log is only read;
a gateway may be running. It checks nothing: see "bailiwick audit verify". The columns are in docs/warehouse.md.

  parquet  a row for each record, for data warehouses
  csv      the same; a text that a spreadsheet would take for a formula has an apostrophe in front
  ndjson   the lines of the log, byte for byte, so that they can be checked

Exit code 0: it is written; 1: it could not be; 2: the words were not understood.

Options:
  --out FILE           where to; without it csv and ndjson go to standard output
  --force              overwrite FILE
  --user NAME          only of this person: subject or name
  --group NAME         only of people in this group
  --namespace NAME     only what can have shown this namespace
  --metric NAME        only where a selector names this metric
  --cluster NAME       only of this cluster
  --dashboard NAME     only where the client claims this dashboard: uid or title
  --kind KIND          only records of this kind
  --decision DECISION  only allow, or only deny
  --since TIME         only from then on: 2026-11-20T03:00:00Z, or a duration back from now such as 15m, 2h or 7d
  --until TIME         only before then
  --index PATH         where the gateway's index is, unless it is DIR/index
`,
  options: {
    format: { type: 'string' },
    out: { type: 'string' },
    user: { type: 'string' },
    group: { type: 'string' },
    namespace: { type: 'string' },
    metric: { type: 'string' },
    cluster: { type: 'string' },
    dashboard: { type: 'string' },
    kind: { type: 'string' },
    decision: { type: 'string' },
    since: { type: 'string' },
    until: { type: 'string' },
    index: { type: 'string' },
    force: { type: 'boolean' },
  },
  words: 1,
  async run(given, terminal) {
    const [dir] = given.words
    if (dir === undefined) throw new UsageError('which directory?')
    const format = formatOf(given.option('format'))
    const out = given.option('out')
    if (out === undefined && format === 'parquet') throw new UsageError('parquet goes to a file: --out FILE')
    const filter = filterOf(given)
    const force = given.flag('force')
    if (out !== undefined && !force && (await isThere(out))) return failed(terminal, `${out} is there already: --force`)
    const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-export-'))
    try {
      const borrow = resolve(given.option('index') ?? join(dir, 'index'))
      return await write({ directory: resolve(dir), borrow, index: scratch }, { filter, format, out, force }, terminal)
    } catch (error) {
      return failed(terminal, error instanceof Error ? error.message : String(error))
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  },
}

interface Wanted {
  readonly filter: ReviewFilter
  readonly format: ExportFormat
  readonly out: string | undefined
  readonly force: boolean
}

async function write(
  places: { readonly directory: string; readonly borrow: string; readonly index: string },
  { filter, format, out, force }: Wanted,
  terminal: Terminal,
): Promise<number> {
  // Otherwise a misspelt directory would be an empty log.
  if (!(await stat(places.directory)).isDirectory()) return failed(terminal, `${places.directory} is no directory`)
  const progress = showProgress(terminal)
  const review = openReview({ ...places, memoryBytes, threads: 2 })
  try {
    const { failure } = await settled(review, false, progress)
    if (failure !== null) return failed(terminal, `${failure.reason}: ${failure.remedy}`)
    const tell = (records: number): void => progress(`${records} records written`)
    const made = await review.export(filter, 'all', format, tell, new AbortController().signal)
    if (!made.ok) return failed(terminal, `${made.error.reason}: ${made.error.remedy}`)
    if (out === undefined) await print(made.value, terminal)
    else await place(made.value, out, force)
    const { records, bytes, sha256 } = made.value
    terminal.err(`${records} records, ${bytes} bytes, sha256 ${sha256}\n`)
    return 0
  } finally {
    await review.stop()
  }
}

function failed(terminal: Terminal, reason: string): number {
  terminal.err(`${plain(reason)}\n`)
  return 1
}

function formatOf(text: string | undefined): ExportFormat {
  if (text === 'parquet' || text === 'csv' || text === 'ndjson') return text
  throw new UsageError('--format is parquet, csv or ndjson')
}

function filterOf(given: Given): ReviewFilter {
  const decision = given.option('decision')
  if (decision !== undefined && decision !== 'allow' && decision !== 'deny') {
    throw new UsageError('--decision is allow or deny')
  }
  const texts = ['group', 'namespace', 'metric', 'cluster', 'dashboard', 'kind'].flatMap((name) => {
    const value = given.option(name)
    return value === undefined ? [] : [[name, value] as const]
  })
  const user = given.option('user')
  const [from, to] = [momentOf('--since', given.option('since')), momentOf('--until', given.option('until'))]
  return {
    ...Object.fromEntries(texts),
    ...(user === undefined ? {} : { person: user }),
    ...(decision === undefined ? {} : { decision }),
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  }
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

async function place({ path }: Exported, out: string, force: boolean): Promise<void> {
  if (!force) return copyFile(path, out, constants.COPYFILE_EXCL)
  // Whole or not at all: what is overwritten is not lost to a full disk.
  const aside = `${out}.part`
  await copyFile(path, aside)
  await rename(aside, out)
}

async function print({ path }: Exported, terminal: Terminal): Promise<void> {
  for await (const text of createReadStream(path, { encoding: 'utf8' })) terminal.out(String(text))
}
