// What the audit record costs a gateway: the same queries through two gateways in turns, in one run. One keeps its record as a
// careful operator configures it (signed checkpoints, a copy in a second place); the other has a log that keeps nothing, which
// only this file puts in the place of the real one. Prometheus is a stub that answers after 30 ms.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { Agent, createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parse, stringify } from 'yaml'
import { gatewayConfig } from '../demo/parts/gateway-config.ts'
import { freePort, listen } from '../demo/parts/loopback.ts'
import { generateKeyPair } from '../src/audit/keys.ts'
import { generous } from '../test/support/generous.ts'
import { audience, startStubIssuer } from '../test/support/issuer.ts'

const upstreamMs = 30
const pairs = Number(process.argv[2] ?? 40)
// Short rounds: what else the machine does meets both alike.
const roundMs = 500
const query = 'sum by (namespace, deployment) (rate(response_total{direction="inbound", classification="success"}[5m]))'
const row = { metric: { namespace: 'emojivoto', deployment: 'web' }, value: [1_795_143_600, '12.5'] }
const answer = JSON.stringify({
  status: 'success',
  data: { resultType: 'vector', result: Array.from({ length: 20 }, () => row) },
})

/** Stands in for `src/audit/log.ts` in a process that is started with it: says that all is kept, and keeps nothing. */
const nothingKept = `
import { registerHooks } from 'node:module'
const source = \`
  export function openAuditLog() {
    let seq = 0
    const append = async () => ({ ok: true, value: { seq: seq++, file: '', chain: '' } })
    const status = () => ({ state: 'open', mode: 'required', disk: null, unrecorded: 0, file: null, queued: 0, commits: 0, records: seq, lost: 0 })
    return { append, appendRefusal: append, note() {}, status, durable: () => null, covered: () => null, seal: async () => {} }
  }\`
registerHooks({
  load: (url, context, next) =>
    url.endsWith('/src/audit/log.ts') ? { format: 'module', source, shortCircuit: true } : next(url, context),
})`

const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-bench-'))
const issuer = await startStubIssuer()
const upstream = createServer((incoming, response) => {
  incoming.resume().on('end', () => {
    response.setHeader('content-type', 'application/json')
    setTimeout(() => response.end(answer), upstreamMs)
  })
})
const direct = `http://127.0.0.1:${await listen(upstream, 0)}`
await writeFile(join(scratch, 'key'), generateKeyPair().privatePem, { mode: 0o600 })

interface Gateway {
  readonly url: string
  readonly child: ChildProcess
}

async function start(name: string, how: readonly string[]): Promise<Gateway> {
  const [port, adminPort] = [await freePort(), await freePort()]
  const file = join(scratch, `${name}.yaml`)
  const auditDir = join(scratch, name)
  const settings: unknown = parse(
    gatewayConfig({
      ...{ port, adminPort, clusters: { bench: direct }, issuer: issuer.issuer, audience, auditDir },
      ...{ rules: [generous], level: 'warn' },
    }),
  )
  const audit = { directory: auditDir, checkpoints: { key_file: 'key', copyTo: `${name}.copy` } }
  await writeFile(file, stringify({ ...Object(settings), audit }))
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
  const child = spawn(process.execPath, [...how, main, 'serve', '--config', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  for (let round = 0; round < 200; round += 1) {
    const ready = await fetch(`http://127.0.0.1:${adminPort}/-/ready`).catch(() => null)
    if (ready?.ok === true) return { url: `http://127.0.0.1:${port}`, child }
    await sleep(100)
  }
  throw new Error(`the gateway ${name} did not get ready`)
}

const kept = await start('kept', [])
const nothing = await start('nothing', ['--import', `data:text/javascript,${encodeURIComponent(nothingKept)}`])
const exp = Math.floor(Date.now() / 1000) + 7_200
// Several people: how many queries one may have under way is limited.
const people = await Promise.all(
  Array.from(
    { length: 64 },
    async (_, n) => `Bearer ${await issuer.sign({ sub: `p${n}`, groups: ['team-emojivoto'], exp })}`,
  ),
)
const agent = new Agent({ keepAlive: true, maxSockets: 256 })

/** Milliseconds that one query takes. */
async function ask(base: string, authorization: string): Promise<number> {
  const began = performance.now()
  const sent = request(`${base}/api/v1/query?query=${encodeURIComponent(query)}`, { agent, headers: { authorization } })
  sent.end()
  const [response] = await once(sent, 'response')
  response.resume()
  await once(response, 'end')
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`)
  return performance.now() - began
}

/** Milliseconds of a processor that a process used so far (proc_pid_stat(5)). Linux only. */
async function usedBy({ child }: Gateway): Promise<number> {
  const stat = await readFile(`/proc/${child.pid ?? 0}/stat`, 'utf8').catch(() => '')
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number)
  return ((user ?? Number.NaN) + (system ?? Number.NaN)) * 10
}

/** What all rounds of one gateway came to. */
interface Sum {
  readonly times: number[]
  /** Milliseconds. */
  wall: number
  /** Of a processor, in the gateway's process. */
  cpu: number
}

async function measure(gateway: Gateway, callers: number, sum: Sum, ms = roundMs): Promise<void> {
  const before = await usedBy(gateway)
  const began = performance.now()
  const call = async (caller: number): Promise<void> => {
    while (performance.now() - began < ms) sum.times.push(await ask(gateway.url, people[caller % people.length] ?? ''))
  }
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)))
  sum.wall += performance.now() - began
  sum.cpu += (await usedBy(gateway)) - before
}

const none = (): Sum => ({ times: [], wall: 0, cpu: 0 })
const at = ({ times }: Sum, share: number): number =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length * share)] ?? Number.NaN
const print = (...cells: readonly (string | number)[]): void =>
  void process.stdout.write(`${cells.map((cell) => String(cell).padStart(18)).join('')}\n`)

print('callers', '', 'nothing kept', 'kept', 'ratio')
for (const callers of [1, 16, 128]) {
  // Both are compiled and have filled their caches before it counts.
  for (const gateway of [kept, nothing, kept, nothing]) await measure(gateway, callers, none(), 4_000)
  const [on, off] = [none(), none()]
  for (let pair = 0; pair < pairs; pair += 1) {
    // In turns, and each of them first as often as the other.
    const turns = [() => measure(kept, callers, on), () => measure(nothing, callers, off)]
    for (const turn of pair % 2 === 0 ? turns : turns.toReversed()) await turn()
  }
  for (const [name, of, digits] of [
    ['p50, ms', (sum: Sum) => at(sum, 0.5), 1],
    ['p99, ms', (sum: Sum) => at(sum, 0.99), 1],
    ['queries/s', ({ times, wall }: Sum) => (times.length / wall) * 1000, 0],
    ['CPU ms/query', ({ times, cpu }: Sum) => cpu / times.length, 2],
  ] as const) {
    print(callers, name, of(off).toFixed(digits), of(on).toFixed(digits), (of(on) / of(off)).toFixed(3))
  }
}

for (const { child } of [kept, nothing]) {
  child.kill('SIGTERM')
  await once(child, 'exit')
}
agent.destroy()
upstream.close()
upstream.closeAllConnections()
await issuer.stop()
await rm(scratch, { recursive: true, force: true })
