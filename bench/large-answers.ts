// What a large answer costs the gateway in memory and time. The gateway is a process of its own and is looked at from
// outside, through /proc; Prometheus is a stub that gives its answer as fast as it is taken.
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { Readable } from 'node:stream'
import { close, listen } from '../demo/parts/loopback.ts'
import { largeAnswer, startGatewayProcess } from '../test/support/gateway-process.ts'
import type { GatewayProcess } from '../test/support/gateway-process.ts'

if (process.platform !== 'linux') {
  process.stdout.write('Another process is looked at through /proc, which only Linux has.\n')
  process.exit(0)
}

const MB = 1_000_000
const range = '/api/v1/query_range?query=up&start=1795143600&end=1795147200&step=1'
const ways = [
  { name: 'as it is', cluster: 'plain', path: range, gzip: false, sizes: [100, 400] },
  { name: 'with a notice', cluster: 'told', path: range, gzip: false, sizes: [100, 400] },
  { name: 'with a notice, gzip', cluster: 'told', path: range, gzip: true, sizes: [100, 400] },
  { name: 'rules: filtered, so held whole', cluster: 'told', path: '/api/v1/rules', gzip: false, sizes: [5, 20, 60] },
] as const
type Way = (typeof ways)[number]

let size = 0
const prometheus = createServer((incoming, response) => {
  response.setHeader('content-type', 'application/json')
  Readable.from(incoming.url === '/api/v1/rules' ? rules(size) : largeAnswer(size)).pipe(response)
})
const direct = `http://127.0.0.1:${await listen(prometheus, 0)}`

function* rules(bytes: number): Generator<Buffer> {
  const rule = {
    name: 'EmojivotoFailures',
    query: 'sum(rate(response_total{namespace="emojivoto",classification="failure"}[5m])) > 1',
    duration: 60,
    labels: { severity: 'page' },
    annotations: { summary: 'Requests to emojivoto fail.' },
    alerts: [],
    health: 'ok',
    state: 'inactive',
    type: 'alerting',
  }
  yield Buffer.from('{"status":"success","data":{"groups":[')
  for (let row = 0, left = bytes; left > 0; row += 1) {
    const group = {
      name: `group-${row}`,
      file: '/etc/rules.yml',
      interval: 60,
      rules: Array.from({ length: 20 }, () => rule),
    }
    const text = `${row === 0 ? '' : ','}${JSON.stringify(group)}`
    left -= text.length
    yield Buffer.from(text)
  }
  yield Buffer.from(']}}')
}

/** Seconds until the last byte of an answer is there. */
async function ask(base: string, { path, gzip }: Way, authorization: string): Promise<number> {
  const began = performance.now()
  const headers = { authorization, 'accept-encoding': gzip ? 'gzip' : 'identity' }
  const sent = request(`${base}${path}`, { agent: false, headers }).end()
  const [response] = await once(sent, 'response')
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`)
  response.resume()
  await once(response, 'end')
  return (performance.now() - began) / 1000
}

async function measure(gateway: GatewayProcess, way: Way, bytes: number, callers: number): Promise<string> {
  size = bytes
  const authorization = `Bearer ${await gateway.token()}`
  const base = `${gateway.url}/clusters/${way.cluster}`
  const straight = callers === 1 ? `${(await ask(direct, way, '')).toFixed(1)} s` : ''
  await gateway.peak()
  const all = await Promise.all(Array.from({ length: callers }, () => ask(base, way, authorization)))
  const peak = await gateway.peak()
  const seconds = Math.max(...all)
  const cells = [
    way.name.padEnd(32),
    `${callers} × ${bytes / MB} MB`.padStart(12),
    `${Math.round(peak / MB)} MB`.padStart(8),
    `${seconds.toFixed(1)} s`.padStart(8),
    straight.padStart(8),
  ]
  return `${cells.join('  ').trimEnd()}\n`
}

process.stdout.write(`${'answer'.padEnd(32)}          size      peak   gateway    direct\n`)
for (const way of ways) {
  const gateway = await startGatewayProcess([
    { name: 'plain', url: direct, notices: false },
    { name: 'told', url: direct, notices: true },
  ])
  for (let round = 0; round < 10; round += 1) await measure(gateway, way, 0.1 * MB, 1)
  process.stdout.write(await measure(gateway, way, 0.1 * MB, 1))
  for (const megabytes of way.sizes) process.stdout.write(await measure(gateway, way, megabytes * MB, 1))
  process.stdout.write(await measure(gateway, way, 20 * MB, way.path === range ? 16 : 4))
  await gateway.stop()
}
await close(prometheus)
