// What the gateway adds to a query: the same requests straight to a stub Prometheus and through the gateway, in turns,
// in one run. The gateway is a process of its own with everything on: JWT check, policy, rewriting, durable record.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { gatewayConfig } from '../demo/parts/gateway-config.ts'
import { freePort } from '../demo/parts/loopback.ts'
import { generous } from '../test/support/generous.ts'
import { audience, startStubIssuer } from '../test/support/issuer.ts'

const rounds = 6
const perRound = 400
const query = 'sum by (namespace, deployment) (rate(response_total{direction="inbound", classification="success"}[5m]))'
const row = { metric: { namespace: 'emojivoto', deployment: 'web' }, value: [1795143600, '12.5'] }
const answer = JSON.stringify({
  status: 'success',
  data: { resultType: 'vector', result: Array.from({ length: 20 }, () => row) },
})

const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-bench-'))
const issuer = await startStubIssuer()
let delay = 0
const upstream = createServer((incoming, response) => {
  incoming.resume().on('end', () => {
    response.setHeader('content-type', 'application/json')
    setTimeout(() => response.end(answer), delay)
  })
}).listen(0, '127.0.0.1')
await once(upstream, 'listening')
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is one
const direct = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
const [port, adminPort] = [await freePort(), await freePort()]
const file = join(scratch, 'bailiwick.yaml')
const auditDir = join(scratch, 'audit')
await writeFile(
  file,
  gatewayConfig({
    port,
    adminPort,
    clusters: { bench: direct },
    issuer: issuer.issuer,
    audience,
    auditDir,
    rules: [generous],
    level: 'warn',
  }),
)
const gateway = spawn(
  process.execPath,
  [fileURLToPath(new URL('../src/main.ts', import.meta.url)), 'serve', '--config', file],
  {
    stdio: ['ignore', 'ignore', 'inherit'],
  },
)
const through = `http://127.0.0.1:${port}`
for (let round = 0; round < 100; round += 1) {
  const ready = await fetch(`http://127.0.0.1:${adminPort}/-/ready`).catch(() => null)
  if (ready?.ok === true) break
  await sleep(100)
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 })
const authorization = `Bearer ${await issuer.sign({ groups: ['team-emojivoto'], exp: Math.floor(Date.now() / 1000) + 3600 })}`

/** Milliseconds that one query takes. */
async function once1(base: string): Promise<number> {
  const began = performance.now()
  const sent = request(`${base}/api/v1/query?query=${encodeURIComponent(query)}`, { agent, headers: { authorization } })
  sent.end()
  const [response] = await once(sent, 'response')
  response.resume()
  await once(response, 'end')
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`)
  return performance.now() - began
}

async function measure(base: string, callers: number): Promise<readonly number[]> {
  const times: number[] = []
  await Promise.all(
    Array.from({ length: callers }, async () => {
      for (let count = 0; count < perRound / callers; count += 1) times.push(await once1(base))
    }),
  )
  return times
}

const at = (times: readonly number[], share: number): number => times[Math.floor(times.length * share)] ?? Number.NaN
const format = (milliseconds: number): string => milliseconds.toFixed(2).padStart(8)

process.stdout.write('upstream  callers   direct p50      p99   gateway p50      p99   added p50   ratio\n')
for (const wait of [0, 30]) {
  delay = wait
  for (const callers of [1, 16]) {
    await measure(direct, callers)
    await measure(through, callers)
    const times: { direct: number[]; through: number[] } = { direct: [], through: [] }
    for (let round = 0; round < (wait > 0 && callers === 1 ? 1 : rounds); round += 1) {
      times.direct.push(...(await measure(direct, callers)))
      times.through.push(...(await measure(through, callers)))
    }
    const [plain, gated] = [times.direct, times.through].map((all) => all.toSorted((a, b) => a - b))
    const [d50, d99] = [at(plain ?? [], 0.5), at(plain ?? [], 0.99)]
    const [g50, g99] = [at(gated ?? [], 0.5), at(gated ?? [], 0.99)]
    process.stdout.write(
      `${String(wait).padStart(5)} ms  ${String(callers).padStart(7)}   ${format(d50)} ${format(d99)}     ${format(g50)} ${format(g99)}    ${format(g50 - d50)}   ${(g50 / d50).toFixed(2).padStart(5)}\n`,
    )
  }
}
gateway.kill('SIGTERM')
await once(gateway, 'exit')
agent.destroy()
upstream.close()
upstream.closeAllConnections()
await issuer.stop()
await rm(scratch, { recursive: true, force: true })
