import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parse, stringify } from 'yaml'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { generous } from './generous.ts'
import { audience, startStubIssuer } from './issuer.ts'
import { readRecords } from './world.ts'
import type { AuditLine } from './world.ts'

/** A cluster of a gateway under test. */
export interface ProcessCluster {
  readonly name: string
  readonly url: string
  /** Such as `500ms`; the product's default when absent. */
  readonly timeout?: string
  readonly notices?: boolean
}

/** A gateway in a process of its own, so that its memory and its handles are its alone. */
export interface GatewayProcess {
  readonly url: string
  token(groups?: readonly string[]): Promise<string>
  records(): Promise<readonly AuditLine[]>
  /** The most bytes of the machine's memory that it had since this was last asked. Linux only. */
  peak(): Promise<number>
  /** How many files and sockets it has open. Linux only. */
  handles(): Promise<number>
  stop(): Promise<void>
}

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** Starts one on loopback; the first cluster is answered at the root as well. */
export async function startGatewayProcess(clusters: readonly ProcessCluster[]): Promise<GatewayProcess> {
  const issuer = await startStubIssuer()
  const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-gateway-'))
  const auditDir = join(scratch, 'audit')
  const file = join(scratch, 'bailiwick.yaml')
  await writeFile(file, configText(clusters, issuer.issuer, auditDir))
  const child = spawn(process.execPath, [main, 'serve', '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(child, 'exit')
  // A test that dies must not leave it behind.
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (log += chunk))
  async function stop(): Promise<void> {
    child.kill('SIGTERM')
    await ended
    process.off('exit', kill)
    await issuer.stop()
    await rm(scratch, { recursive: true, force: true })
  }
  const url = await readyUrl(() => log).catch(async (error: unknown) => {
    await stop()
    throw error
  })
  const proc = (name: string): string => `/proc/${child.pid ?? 0}/${name}`
  return {
    url,
    token: (groups = ['team-emojivoto']) => issuer.sign({ groups }),
    records: () => readRecords(auditDir),
    async peak() {
      const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(proc('status'), 'utf8'))?.[1]
      // proc_pid_clear_refs(5): 5 sets the peak back to what is used now.
      await writeFile(proc('clear_refs'), '5')
      return Number(kilobytes) * 1024
    },
    handles: async () => (await readdir(proc('fd'))).length,
    stop,
  }
}

function configText(clusters: readonly ProcessCluster[], issuer: string, auditDir: string): string {
  const urls = Object.fromEntries(clusters.map(({ name, url }) => [name, url]))
  const settings: unknown = parse(
    gatewayConfig({ port: 0, adminPort: 0, clusters: urls, issuer, audience, auditDir, rules: [generous] }),
  )
  const bent = clusters.map(({ name, url, timeout, notices }) => ({
    name,
    prometheus: { url, ...(timeout === undefined ? {} : { timeout }) },
    ...(notices === undefined ? {} : { notices }),
  }))
  return stringify({ ...Object(settings), clusters: bent })
}

/** The address that it tells in its log when it is ready. */
async function readyUrl(log: () => string): Promise<string> {
  for (let round = 0; round < 400; round += 1) {
    const line = log()
      .split('\n')
      .find((one) => one.includes('ready for requests'))
    if (line !== undefined) return String(Reflect.get(Object(JSON.parse(line)), 'url'))
    await sleep(50)
  }
  throw new Error(`the gateway did not get ready: ${log()}`)
}

/** A valid answer to a range query of about this many bytes, in pieces; `end` is what closes it. */
export function* largeAnswer(bytes: number, end = '}'): Generator<Buffer> {
  yield Buffer.from('{"status":"success","data":{"resultType":"matrix","result":[')
  // Pseudo-random digits, so that it cannot be compressed to nothing.
  let seed = 1
  const points = Array.from({ length: 2_000 }, (_, index) => {
    seed = (seed * 48_271) % 2_147_483_647
    return `[${1_795_143_600 + index},"${seed / 1_000}"]`
  })
  const values = Buffer.from(`"values":[${points.join(',')}]}`)
  for (let row = 0, left = bytes; row === 0 || left > 0; row += 1, left -= values.length) {
    yield Buffer.from(`${row === 0 ? '' : ','}{"metric":{"namespace":"emojivoto","pod":"web-${row}"},`)
    yield values
  }
  yield Buffer.from(`]}${end}`)
}
