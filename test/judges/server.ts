import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../../demo/parts/command.ts'
import { findPrometheus } from '../../demo/parts/prometheus-binary.ts'
import { startPrometheus } from '../../demo/parts/prometheus.ts'

/** A Prometheus that judges. */
export interface Server {
  readonly version: string
  /** Whether a duration and its number of seconds are one and the same: since Prometheus 3. */
  readonly numbers: boolean
  /** Sends a form; many at a time, over connections that stay open. */
  post(path: string, form: Readonly<Record<string, string>> | URLSearchParams): Promise<Answer>
  get(path: string, form: URLSearchParams): Promise<Answer>
  stop(): Promise<void>
}

export interface Answer {
  readonly status: number
  /** `data` of the envelope, undefined where there is none. */
  readonly data: unknown
  /** Prometheus's own words when it refuses. */
  readonly error: string
  readonly errorType: string
}

/** Requests under way at a time. */
export const lanes = 8

const cacheDir = fileURLToPath(new URL('../../.cache', import.meta.url))
const quiet = 'global: { scrape_interval: 1h }\n'
const features =
  'promql-experimental-functions,promql-duration-expr,promql-extended-range-selectors,promql-binop-fill-modifiers'

/** A program to judge with: what the machine or Debian has, or the one that `PROMETHEUS_3` names. */
export type Which = 'prometheus' | 'prometheus3'

/** Path of a Prometheus 3, or undefined: there is none to download, so who has one says where. */
export const prometheus3 = process.env['PROMETHEUS_3']
export const without3 = prometheus3 === undefined ? 'PROMETHEUS_3 does not name a Prometheus 3' : false

/** Starts a Prometheus on loopback, empty unless `dataDir` holds something. */
export async function startServer(which: Which, options: { config?: string; dataDir?: string } = {}): Promise<Server> {
  const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-judge-'))
  const { binary, version } = which === 'prometheus' ? await ours() : await withFeatures(scratch)
  const { config = quiet, dataDir = join(scratch, 'data') } = options
  const running = await startPrometheus({ binary, dataDir, config, tell: () => {} })
  const agent = new Agent({ keepAlive: true, maxSockets: lanes })
  return {
    version,
    numbers: which === 'prometheus3',
    post: (path, form) => send(`${running.url}${path}`, 'POST', new URLSearchParams(form).toString(), agent),
    get: (path, form) => send(`${running.url}${path}?${form.toString()}`, 'GET', '', agent),
    async stop() {
      agent.destroy()
      await running.stop()
      await rm(scratch, { recursive: true, force: true })
    },
  }
}

async function ours(): Promise<{ binary: string; version: string }> {
  const { prometheus, version } = await findPrometheus({ cacheDir, tell: () => {} })
  return { binary: prometheus, version }
}

/** The starter takes no flags, so a script adds them; `exec` keeps the process id that is stopped in the end. */
async function withFeatures(scratch: string): Promise<{ binary: string; version: string }> {
  const program = prometheus3 ?? ''
  const { stdout, stderr } = await run(program, ['--version'], { seconds: 30 })
  const version = /^prometheus, version (\S*)/m.exec(`${stdout}\n${stderr}`)?.[1]
  if (version === undefined) throw new Error(`PROMETHEUS_3 is not a Prometheus that runs here: ${program}`)
  const binary = join(scratch, 'prometheus3')
  await writeFile(binary, `#!/bin/sh\nexec '${program.replaceAll("'", "'\\''")}' "$@" --enable-feature=${features}\n`)
  await chmod(binary, 0o755)
  // One that was built from source without Prometheus's own build tool does not know its version.
  return { binary, version: version === '' ? '3 (unversioned build)' : version }
}

async function send(url: string, method: string, body: string, agent: Agent): Promise<Answer> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) }
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const outgoing = request(url, { method, agent, headers }, (incoming) => {
      let text = ''
      incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      incoming.on('error', reject).on('end', () => resolve({ status: incoming.statusCode ?? 0, text }))
    })
    outgoing.on('error', reject).end(body)
  })
  return answerOf(status, text)
}

function answerOf(status: number, text: string): Answer {
  const body: unknown = JSON.parse(text)
  const at = (field: string): unknown => Reflect.get(Object(body), field)
  const textAt = (field: string): string => {
    const value = at(field)
    return typeof value === 'string' ? value : ''
  }
  return { status, data: at('data'), error: textAt('error'), errorType: textAt('errorType') }
}

/** Prometheus's own print of an expression, or undefined where it does not accept it. */
export async function formatted(server: Server, query: string): Promise<string | undefined> {
  const { status, data } = await server.post('/api/v1/format_query', { query })
  return status === 200 ? String(data) : undefined
}

/** Works on all items, {@link lanes} at a time. */
export async function each<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++
      const item = items[index]
      if (item !== undefined) await work(item, index)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}
