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
const pairs = Number(process.argv[2] ?? 10)
const roundMs = 1_500
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

interface Round {
  readonly p50: number
  readonly p99: number
  readonly perSecond: number
  /** Of a processor, in the gateway's process. */
  readonly cpu: number
}

async function measure(gateway: Gateway, callers: number, ms = roundMs): Promise<Round> {
  const times: number[] = []
  const before = await usedBy(gateway)
  const began = performance.now()
  const call = async (caller: number): Promise<void> => {
    while (performance.now() - began < ms) times.push(await ask(gateway.url, people[caller % people.length] ?? ''))
  }
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)))
  const seconds = (performance.now() - began) / 1000
  const cpu = ((await usedBy(gateway)) - before) / times.length
  times.sort((a, b) => a - b)
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99), perSecond: times.length / seconds, cpu }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]]
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2
}
const print = (...cells: readonly (string | number)[]): void =>
  void process.stdout.write(`${cells.map((cell) => String(cell).padStart(12)).join('')}\n`)

print('callers', '', 'nothing kept', 'kept', 'ratio', 'of the pairs')
for (const callers of [1, 16, 128]) {
  // Both are compiled and have filled their caches before it counts.
  for (const gateway of [kept, nothing, kept, nothing]) await measure(gateway, callers, callers === 1 ? 6_000 : 3_000)
  const rounds: { readonly kept: Round; readonly nothing: Round }[] = []
  for (let pair = 0; pair < pairs; pair += 1) {
    // In turns, and each of them first as often as the other.
    const first = await measure(pair % 2 === 0 ? kept : nothing, callers)
    const second = await measure(pair % 2 === 0 ? nothing : kept, callers)
    rounds.push(pair % 2 === 0 ? { kept: first, nothing: second } : { kept: second, nothing: first })
  }
  for (const [name, unit] of [
    ['p50', 'ms'],
    ['p99', 'ms'],
    ['perSecond', '/s'],
    ['cpu', 'ms CPU'],
  ] as const) {
    const ratios = rounds.map((round) => round.kept[name] / round.nothing[name]).toSorted((a, b) => a - b)
    const digits = name === 'perSecond' ? 0 : 2
    const [off, on] = [rounds.map((round) => round.nothing[name]), rounds.map((round) => round.kept[name])].map(median)
    const spread = `${ratios[0]?.toFixed(2)} to ${ratios.at(-1)?.toFixed(2)}`
    const label = name === 'perSecond' ? unit : name === 'cpu' ? unit : `${name} ${unit}`
    print(callers, label, (off ?? 0).toFixed(digits), (on ?? 0).toFixed(digits), median(ratios).toFixed(3), spread)
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
