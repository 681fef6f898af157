import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, loopback } from './loopback.ts'
import type { Tell } from './prometheus-binary.ts'

/** A Prometheus that answers `/-/ready` with 200. */
export interface RunningPrometheus {
  /** Without a slash at the end, such as `http://127.0.0.1:9090`. */
  readonly url: string
  readonly port: number
  readonly pid: number
  /** What it wrote so far; only the last part when that is long. */
  log(): string
  /** SIGTERM, then SIGKILL after ten seconds. Its data directory stays; calling twice is fine. */
  stop(): Promise<void>
}

/** What `startPrometheus` needs. */
export interface PrometheusStart {
  /** Path or name of the `prometheus` program. */
  readonly binary: string
  /** Its database, which it owns from now on; made when absent. */
  readonly dataDir: string
  /** The text of its configuration file. */
  readonly config: string
  /** A free one when absent. */
  readonly port?: number
  readonly tell: Tell
}

const readySeconds = 60
const stopSeconds = 10
const logBytes = 64 * 1024

/**
 * Starts a Prometheus on the loopback address and waits until it is ready.
 * @throws Error with the end of its log when it exits or is not ready in time; nothing keeps running then
 */
export async function startPrometheus(start: PrometheusStart): Promise<RunningPrometheus> {
  // Asked even for a given port: Prometheus binds late, and until then whoever has the port would answer "ready" for it.
  const port = await freePort(start.port)
  await mkdir(start.dataDir, { recursive: true })
  // Not in the data directory: that one may be compared, copied or thrown away as a database.
  const settings = await mkdtemp(join(tmpdir(), 'prometheus-'))
  const file = join(settings, 'prometheus.yml')
  await writeFile(file, start.config)

  const child = spawn(start.binary, argumentsFor(file, port, start.dataDir), { stdio: ['ignore', 'pipe', 'pipe'] })
  // When this program ends by an error or process.exit, nobody calls stop.
  const orphaned = (): void => void child.kill('SIGTERM')
  process.once('exit', orphaned)
  const log = tailOf(child)
  const ended = endOf(child)
  const stop = async (): Promise<void> => {
    await end(child, ended)
    process.removeListener('exit', orphaned)
    await rm(settings, { recursive: true, force: true })
  }
  const url = `http://${loopback}:${port}`
  const problem = await waitUntilReady(url, ended)
  if (problem !== null || child.pid === undefined) {
    await stop()
    const tail = log().trim().split('\n').slice(-15).join('\n')
    throw new Error(`Prometheus (${start.binary}) ${problem ?? 'has no process id'}. The end of its log:\n${tail}`)
  }
  start.tell(`Prometheus is ready on ${url}`)
  return { url, port, pid: child.pid, log, stop }
}

function argumentsFor(file: string, port: number, dataDir: string): string[] {
  return [
    `--config.file=${file}`,
    `--storage.tsdb.path=${dataDir}`,
    // The default of 15 days would delete a database written for a fixed day in the past.
    '--storage.tsdb.retention.time=100y',
    `--web.listen-address=${loopback}:${port}`,
  ]
}

/** Settles with how the process ended, also when it could not be started at all; never rejects. */
function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`))
    child.once('exit', (code, signal) => resolve(`exited with ${signal ?? `code ${code}`}`))
  })
}

function tailOf(child: ChildProcess): () => string {
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-logBytes)
    })
  }
  return () => text
}

async function waitUntilReady(url: string, ended: Promise<string>): Promise<string | null> {
  let end: string | null = null
  void ended.then((how) => (end = how))
  const deadline = Date.now() + readySeconds * 1000
  while (Date.now() < deadline) {
    const ready = await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(2000) }).then(
      async (answer) => answer.ok && (await answer.text()) !== '',
      () => false,
    )
    // Asked in this order: when our child is gone, whoever answered on that port is another program.
    if (end !== null) return end
    if (ready) return null
    await sleep(50)
  }
  return `was not ready within ${readySeconds} seconds`
}

async function end(child: ChildProcess, ended: Promise<string>): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill('SIGTERM')
  const patience = new AbortController()
  const tooLong = sleep(stopSeconds * 1000, 'too long', { signal: patience.signal }).catch(() => 'in time')
  if ((await Promise.race([ended, tooLong])) === 'too long') child.kill('SIGKILL')
  await closed
  patience.abort()
}
