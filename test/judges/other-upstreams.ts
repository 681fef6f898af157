import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { buildOnce } from '../../demo/parts/build-once.ts'
import { run } from '../../demo/parts/command.ts'
import type { Labels } from '../../demo/parts/linkerd-mesh.ts'
import { freePort, loopback } from '../../demo/parts/loopback.ts'
import { startProgram } from '../support/program.ts'
import type { Program } from '../support/program.ts'
import { recentWindow, writeRemote } from './remote-write.ts'

/** A database that is no Prometheus, with two stores: everything, and only one namespace's series. */
export interface OtherUpstream {
  readonly version: string
  readonly window: ReturnType<typeof recentWindow>
  readonly everything: Store
  readonly oneNamespace: Store
  stop(): Promise<void>
}

/** A store as it is asked directly, and as a cluster of the gateway's configuration. */
export interface Store {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly prometheus: object
}

/** The namespace that the small store holds. */
export const namespace = 'emojivoto'
const only = (labels: Labels): boolean => labels['namespace'] === namespace

const cacheDir = fileURLToPath(new URL('../../.cache', import.meta.url))

/** What a test that has no program says; each is searched for on the PATH, too. */
export const remedies = {
  'victoria-metrics': 'no VictoriaMetrics: install it, name it with VICTORIA_METRICS, or have apt-get and a network',
  thanos: 'no Thanos: put it on the PATH or name it with THANOS',
  mimir: 'no Mimir: put it on the PATH or name it with MIMIR',
} as const

export type Kind = keyof typeof remedies

/** A program of this kind that runs here, with its version; null where there is none. */
export async function findProgram(kind: Kind): Promise<{ readonly binary: string; readonly version: string } | null> {
  const named = { 'victoria-metrics': 'VICTORIA_METRICS', thanos: 'THANOS', mimir: 'MIMIR' }[kind]
  const candidates = [process.env[named], kind].filter((one) => one !== undefined && one !== '')
  for (const binary of [...candidates, ...(kind === 'victoria-metrics' ? [debianVictoriaMetrics] : [])]) {
    const path = typeof binary === 'string' ? binary : await binary?.()
    if (path === undefined || path === null) continue
    const said = await run(path, ['--version'], { seconds: 60 })
    if (said.code === 0) return { binary: path, version: `${said.stdout}${said.stderr}`.trim().split('\n')[0] ?? '' }
  }
  return null
}

/** Debian's package, unpacked into the cache; null where it cannot be had. Nothing is installed. */
async function debianVictoriaMetrics(): Promise<string | null> {
  const kept = join(cacheDir, 'victoria-metrics')
  try {
    await buildOnce(kept, async (directory) => {
      const work = await mkdtemp(`${directory}-apt-`)
      try {
        const words = ['-q', '-o', 'APT::Sandbox::User=root', 'download', 'victoria-metrics']
        await run('apt-get', words, { cwd: work, seconds: 120 })
        const archive = (await readdir(work)).find((name) => name.endsWith('.deb')) ?? ''
        const unpacked = await run('dpkg-deb', ['-x', archive, join(work, 'tree')], { cwd: work, seconds: 120 })
        if (unpacked.code !== 0) throw new Error(unpacked.stderr)
        await rename(join(work, 'tree/usr'), join(directory, 'usr'))
      } finally {
        await rm(work, { recursive: true, force: true })
      }
    })
  } catch {
    return null
  }
  return join(kept, 'usr/bin/victoria-metrics')
}

/** Starts it, empty, on loopback, and fills both stores. */
export async function startOther(kind: Kind): Promise<OtherUpstream> {
  const found = await findProgram(kind)
  if (found === null) throw new Error(remedies[kind])
  const scratch = await mkdtemp(join(tmpdir(), `bailiwick-${kind}-`))
  const running: Program[] = []
  async function stop(): Promise<void> {
    for (const program of running.toReversed()) await program.stop()
    await rm(scratch, { recursive: true, force: true })
  }
  try {
    const window = recentWindow()
    const start = { 'victoria-metrics': startVictoriaMetrics, thanos: startThanos, mimir: startMimir }[kind]
    const stores = await start({ binary: found.binary, scratch, running, window })
    return { version: found.version, window, ...stores, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

interface Start {
  readonly binary: string
  readonly scratch: string
  readonly running: Program[]
  readonly window: ReturnType<typeof recentWindow>
}
type Stores = Pick<OtherUpstream, 'everything' | 'oneNamespace'>

const isOk = async (url: string): Promise<boolean> => {
  const response = await fetch(url, { signal: AbortSignal.timeout(2000) })
  await response.arrayBuffer()
  return response.ok
}

/** Two of them: a single VictoriaMetrics has no tenants. */
async function startVictoriaMetrics({ binary, scratch, running, window }: Start): Promise<Stores> {
  async function one(name: string, keep?: (labels: Labels) => boolean): Promise<Store> {
    const port = await freePort()
    const url = `http://${loopback}:${port}`
    const flags = {
      storageDataPath: join(scratch, name),
      httpListenAddr: `${loopback}:${port}`,
      retentionPeriod: '1y',
      // So that an answer is the same twice.
      'search.disableCache': 'true',
      'search.latencyOffset': '1ms',
    }
    const words = Object.entries(flags).map(([flag, value]) => `-${flag}=${value}`)
    running.push(await startProgram(binary, words, () => isOk(`${url}/health`)))
    await writeRemote(`${url}/api/v1/write`, window, keep === undefined ? {} : { only: keep })
    await isOk(`${url}/internal/force_flush`)
    return { url, headers: {}, prometheus: { url } }
  }
  return { everything: await one('everything'), oneNamespace: await one('one', only) }
}

/** One receiver with two tenants, and a querier before it that keeps tenants apart. */
async function startThanos({ binary, scratch, running, window }: Start): Promise<Stores> {
  const at = async (): Promise<string> => `${loopback}:${await freePort()}`
  const [grpc, http, write, query] = [await at(), await at(), await at(), await at()]
  const words = {
    receive: ['--http-address', http, '--grpc-address', grpc, '--remote-write.address', write],
    data: ['--tsdb.path', join(scratch, 'data'), '--label', 'replica="0"'],
    query: ['--http-address', query, '--grpc-address', await at(), '--endpoint', grpc],
    tenants: ['--query.replica-label', 'replica', '--query.enforce-tenancy', '--query.tenant-label-name', 'tenant_id'],
  }
  running.push(
    await startProgram(binary, ['receive', ...words.receive, ...words.data], () => isOk(`http://${http}/-/ready`)),
  )
  const tenants = { everything: {}, oneNamespace: { only } }
  for (const [tenant, keep] of Object.entries(tenants)) {
    await writeRemote(`http://${write}/api/v1/receive`, window, { headers: { 'thanos-tenant': tenant }, ...keep })
  }
  running.push(
    await startProgram(binary, ['query', ...words.query, ...words.tenants], () => isOk(`http://${query}/-/ready`)),
  )
  const store = (tenant: string): Store => ({
    url: `http://${query}`,
    headers: { 'thanos-tenant': tenant },
    prometheus: { url: `http://${query}`, tenant: { header: 'THANOS-TENANT', value: tenant } },
  })
  return { everything: store('everything'), oneNamespace: store('oneNamespace') }
}

/** One process with two tenants. */
async function startMimir({ binary, scratch, running, window }: Start): Promise<Stores> {
  const [http, grpc] = [await freePort(), await freePort()]
  await mkdir(join(scratch, 'common'), { recursive: true })
  await writeFile(join(scratch, 'mimir.yaml'), stringify(await mimirConfig(scratch, http, grpc)))
  const url = `http://${loopback}:${http}`
  running.push(await startProgram(binary, [`-config.file=${join(scratch, 'mimir.yaml')}`], () => isOk(`${url}/ready`)))
  const tenants = { everything: {}, oneNamespace: { only } }
  for (const [tenant, keep] of Object.entries(tenants)) {
    await writeRemote(`${url}/api/v1/push`, window, { headers: { 'x-scope-orgid': tenant }, ...keep })
  }
  const store = (tenant: string): Store => ({
    url: `${url}/prometheus`,
    headers: { 'x-scope-orgid': tenant },
    prometheus: { url: `${url}/prometheus`, tenant: { header: 'X-Scope-OrgID', value: tenant } },
  })
  return { everything: store('everything'), oneNamespace: store('oneNamespace') }
}

async function mimirConfig(scratch: string, http: number, grpc: number): Promise<object> {
  const ring = { instance_addr: loopback, kvstore: { store: 'inmemory' } }
  return {
    target: 'distributor,ingester,querier,query-frontend,query-scheduler,store-gateway',
    multitenancy_enabled: true,
    usage_stats: { enabled: false },
    activity_tracker: { filepath: join(scratch, 'activity') },
    common: { storage: { backend: 'filesystem', filesystem: { dir: join(scratch, 'common') } } },
    blocks_storage: {
      storage_prefix: 'blocks',
      bucket_store: { sync_dir: join(scratch, 'sync') },
      tsdb: { dir: join(scratch, 'tsdb') },
    },
    distributor: { ring },
    ingester: { ring: { ...ring, replication_factor: 1 } },
    store_gateway: { sharding_ring: { ...ring, replication_factor: 1 } },
    query_scheduler: { ring },
    memberlist: { bind_addr: [loopback], bind_port: await freePort() },
    frontend: { address: loopback },
    limits: { ingestion_rate: 1e6, ingestion_burst_size: 1e7 },
    server: {
      http_listen_address: loopback,
      http_listen_port: http,
      grpc_listen_address: loopback,
      grpc_listen_port: grpc,
    },
  }
}
