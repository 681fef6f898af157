import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { startIdp } from '../../demo/parts/idp.ts'
import type { RunningIdp } from '../../demo/parts/idp.ts'
import { writeHistory } from '../../demo/parts/linkerd-history.ts'
import type { Labels } from '../../demo/parts/linkerd-mesh.ts'
import type { Truth } from '../../demo/parts/linkerd-truth.ts'
import { startLiveTargets } from '../../demo/parts/live-targets.ts'
import { people } from '../../demo/parts/people.ts'
import { findPrometheus } from '../../demo/parts/prometheus-binary.ts'
import type { PrometheusBinary } from '../../demo/parts/prometheus-binary.ts'
import { startPrometheus } from '../../demo/parts/prometheus.ts'
import type { RunningPrometheus } from '../../demo/parts/prometheus.ts'
import { startApp } from '../../src/app.ts'
import type { App } from '../../src/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { generous } from './generous.ts'

/** The window of the tests' history: 01:00 to 04:00 UTC, with the nightly report at 03:00. */
export const window = {
  start: Date.parse('2026-11-20T01:00:00Z') / 1000,
  end: Date.parse('2026-11-20T04:00:00Z') / 1000,
  nightlyAt: Date.parse('2026-11-20T03:00:00Z') / 1000,
}
export const audience = 'https://bailiwick.test'
const cacheDir = fileURLToPath(new URL('../../.cache', import.meta.url))

/** Real parts, started for one test file. */
export interface World {
  readonly binary: PrometheusBinary
  readonly prometheus: RunningPrometheus
  readonly truth: Truth
  readonly idp: RunningIdp
  readonly app: App
  readonly auditDir: string
  /** Everything that the gateway's operational log holds so far. */
  readonly logged: () => string
  /** Every record of the audit log so far, in order. */
  records(): Promise<readonly AuditLine[]>
  stop(): Promise<void>
}

/** A line of the audit log, as a reader without our types sees it. */
export interface AuditLine {
  readonly kind: string
  readonly request?: string
  readonly [field: string]: unknown
}

/** A Prometheus that holds data. */
export interface Database {
  readonly prometheus: RunningPrometheus
  readonly truth: Truth
  readonly binary: PrometheusBinary
  stop(): Promise<void>
}

/** The Prometheus of the machine, or Debian's, fetched into the cache. */
const prometheusBinary = (): Promise<PrometheusBinary> => findPrometheus({ cacheDir, tell: () => {} })

/** A Prometheus with the tests' history, or with those series of it that `only` says yes to. */
export async function startHistory(only?: (labels: Labels) => boolean): Promise<Database> {
  const binary = await prometheusBinary()
  const { dataDir, truth } = await writeHistory({
    ...window,
    promtool: binary.promtool,
    dir: join(cacheDir, 'history'),
    tell: () => {},
    ...(only === undefined ? {} : { only }),
  })
  const prometheus = await startPrometheus({
    binary: binary.prometheus,
    dataDir,
    config: 'global: { scrape_interval: 1h }\n',
    tell: () => {},
  })
  return {
    prometheus,
    truth,
    binary,
    async stop() {
      await prometheus.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** A Prometheus that scrapes moving targets now, for what only knows "now" (federation). */
async function startLive(config: string): Promise<Database> {
  const binary = await prometheusBinary()
  const dataDir = await mkdtemp(join(tmpdir(), 'bailiwick-live-'))
  const targets = await startLiveTargets()
  const prometheus = await startPrometheus({
    binary: binary.prometheus,
    dataDir,
    config: `global: { scrape_interval: 1s, evaluation_interval: 1s }\n${config}${targets.scrapeConfig}`,
    tell: () => {},
  })
  return {
    prometheus,
    truth: { edges: [] },
    binary,
    async stop() {
      await prometheus.stop()
      await targets.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

interface WorldOptions {
  readonly auditDir?: string
  /** More settings of the record. */
  readonly audit?: Readonly<Record<string, unknown>>
  readonly live?: boolean
  readonly config?: string
}

/**
 * Starts Prometheus, the provider and a gateway before them. `auditDir` defaults to a fresh directory; `live` gives
 * Prometheus moving targets in place of the history, `config` then more settings.
 */
export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-'))
  const auditDir = options.auditDir ?? join(scratch, 'audit')
  const database = options.live === true ? await startLive(options.config ?? '') : await startHistory()
  const idp = await startIdp({ people, audience })
  const file = join(scratch, 'bailiwick.yaml')
  await writeFile(
    file,
    gatewayConfig({
      port: 0,
      adminPort: 0,
      clusters: { east: database.prometheus.url, west: 'http://127.0.0.1:9' },
      issuer: idp.issuer,
      audience,
      auditDir,
      audit: options.audit ?? {},
      clockTolerance: '1s',
      rules: [generous],
      level: 'debug',
    }),
  )
  const config = loadConfig(file)
  if (!config.ok) throw new Error(config.error.join('\n'))
  const log = collectingLog()
  const app = await startApp(config.value, createLog(config.value.log, log.stream))
  if (!app.ok) throw new Error(app.error.join('\n'))
  return {
    ...database,
    idp,
    app: app.value,
    auditDir,
    logged: log.text,
    records: () => readRecords(auditDir),
    async stop() {
      await app.value.stop()
      await idp.stop()
      await database.stop()
      await rm(scratch, { recursive: true, force: true })
    },
  }
}

/** Reads a directory's segments in the order of their names, which is the order of time. */
export async function readRecords(dir: string): Promise<readonly AuditLine[]> {
  const files = (await readdir(dir)).filter((file) => file.endsWith('.ndjson')).toSorted()
  const texts = await Promise.all(files.map((file) => readFile(join(dir, file), 'utf8')))
  return texts.flatMap((text) =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line): AuditLine => JSON.parse(line)),
  )
}

function collectingLog(): { readonly stream: Writable; readonly text: () => string } {
  const chunks: string[] = []
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(chunk.toString())
      done()
    },
  })
  return { stream, text: () => chunks.join('') }
}
