import { createHash } from 'node:crypto'
import { cp, mkdtemp, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { buildOnce } from './build-once.ts'
import { run } from './command.ts'
import type { Labels } from './linkerd-mesh.ts'
import type { Series } from './linkerd-series.ts'
import { linkerdTargets, type Target } from './linkerd-targets.ts'
import { type Truth, truthOf } from './linkerd-truth.ts'
import type { Tell } from './prometheus-binary.ts'

/** Seconds between two samples. */
export const step = 30

/** Prometheus cuts its blocks at multiples of two hours. */
const blockSeconds = 7200

/** Which history to write, and where. Times are whole seconds since 1970. */
export interface HistoryRequest {
  readonly start: number
  readonly end: number
  /** When the nightly report reaches into booksapp; outside of the window, that night is not in it. */
  readonly nightlyAt: number
  /** Path or name of the `promtool` program. */
  readonly promtool: string
  /** Keeps finished databases by what is in them, and the copies that are handed out. */
  readonly dir: string
  readonly tell: Tell
  /** Keeps only the series whose labels, `__name__` included, it says yes to. */
  readonly only?: (labels: Labels) => boolean
}

/** One series as the database holds it. */
export interface StoredSeries {
  readonly labels: Labels
  readonly value: Series['value']
}

/**
 * Writes a Linkerd-shaped history as a Prometheus database. The same request gives the same samples; a second one is
 * served from what the first one left in `dir`.
 * @returns a copy of the database that a Prometheus may own, for the caller to delete, and what really happened in the
 *   window. `only` narrows the database, not the truth.
 * @throws Error with promtool's words when it cannot make the database
 */
export async function writeHistory(request: HistoryRequest): Promise<{ dataDir: string; truth: Truth }> {
  const series = storedSeries(request).filter(({ labels }) => request.only?.(labels) ?? true)
  const times = sampleTimes(request.start, request.end)
  const blocks = join(request.dir, `blocks-${digestOf(series, times, request.nightlyAt)}`)
  await buildOnce(blocks, async (directory) => {
    request.tell(`writing ${series.length} series, ${times.length} samples each at most`)
    await buildBlocks(directory, series, times, request.promtool)
  })
  const dataDir = await mkdtemp(join(request.dir, 'data-'))
  await cp(blocks, dataDir, { recursive: true })
  return { dataDir, truth: truthOf(request) }
}

/** Every series of a window with all its labels, in the order in which it is written. */
export function storedSeries(window: { start: number; nightlyAt: number }): StoredSeries[] {
  return linkerdTargets(window.start, window.nightlyAt).flatMap((target) => [
    { labels: { __name__: 'up', ...target.labels }, value: (at) => (target.alive(at) ? 1 : undefined) },
    ...target.series.map((series) => stored(target, series)),
  ])
}

function stored(target: Target, { name, labels, value }: Series): StoredSeries {
  // To Prometheus an empty label is no label.
  const own = Object.fromEntries(Object.entries(labels).filter(([, text]) => text !== ''))
  const all = { __name__: name, ...target.labels, ...own }
  return { labels: all, value: (at) => (target.alive(at) ? value(at) : undefined) }
}

/** The times of the samples: multiples of the step, so that windows that overlap agree where they do. */
export function sampleTimes(start: number, end: number): number[] {
  const first = Math.ceil(start / step)
  const count = Math.max(0, Math.floor(end / step) - first + 1)
  return Array.from({ length: count }, (_, index) => (first + index) * step)
}

/** Names a database by its series and a sample of their values, so that a change of the mesh is a change of the name. */
function digestOf(series: readonly StoredSeries[], times: readonly number[], nightlyAt: number): string {
  const probes = times.filter((_, index) => index % 40 === 0 || index === times.length - 1)
  const hash = createHash('sha256').update(JSON.stringify([step, times[0], times.at(-1), nightlyAt]))
  for (const { labels, value } of series) hash.update(JSON.stringify([labels, probes.map((at) => value(at) ?? null)]))
  return hash.digest('hex').slice(0, 16)
}

/** One promtool run per block: promtool reads its whole input once for every block in it. */
async function buildBlocks(
  directory: string,
  series: readonly StoredSeries[],
  times: readonly number[],
  promtool: string,
): Promise<void> {
  const spans = Map.groupBy(times, (at) => Math.floor(at / blockSeconds))
  const builds = [...spans.values()].map((inside) => buildBlock(directory, series, inside, promtool))
  // All have ended before the first failure goes on, so that nobody writes into a directory that is being removed.
  const failed = (await Promise.allSettled(builds)).find((build) => build.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

async function buildBlock(
  directory: string,
  series: readonly StoredSeries[],
  times: readonly number[],
  promtool: string,
): Promise<void> {
  const work = await mkdtemp(join(directory, 'work-'))
  const text = join(work, 'metrics.om')
  const out = join(work, 'out')
  await writeOpenMetrics(text, series, times)
  const made = await run(promtool, ['tsdb', 'create-blocks-from', 'openmetrics', text, out], { seconds: 300 })
  if (made.code !== 0) throw new Error(`promtool could not make the database: ${made.stderr.trim()}`)
  for (const block of await blocksIn(out)) await rename(join(out, block), join(directory, block))
  await rm(work, { recursive: true })
}

// A block is a directory named by a ULID
async function blocksIn(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => /^[0-9A-HJKMNP-TV-Z]{26}$/.test(name))
}

async function writeOpenMetrics(
  path: string,
  series: readonly StoredSeries[],
  times: readonly number[],
): Promise<void> {
  const file = await open(path, 'w')
  try {
    for (const { labels, value } of series) {
      const head = seriesText(labels)
      const lines = times.map((at) => {
        const sample = value(at)
        return sample === undefined ? '' : `${head} ${sample} ${at}\n`
      })
      await file.write(lines.join(''))
    }
    await file.write('# EOF\n')
  } finally {
    await file.close()
  }
}

/** `name{label="value",…}` as OpenMetrics and the older text format write it. */
export function seriesText({ __name__: name, ...labels }: Labels): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escaped(value)}"`)
  return `${name}{${pairs.join(',')}}`
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
