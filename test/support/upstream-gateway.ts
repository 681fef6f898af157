import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { parse, stringify } from 'yaml'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { generous } from './generous.ts'
import { audience, startStubIssuer } from './issuer.ts'

/** A gateway whose clusters are set as a configuration file sets them. */
export interface UpstreamGateway {
  readonly url: string
  /** Headers of somebody in these groups. */
  as(...groups: readonly string[]): Promise<Record<string, string>>
  /** Everything in the operational log so far. */
  log(): string
  /** What it says of failures, in order: `<kind>: <detail>`. */
  failures(): readonly string[]
  stop(): Promise<void>
}

/** Starts one. `clusters` maps a name to what stands under `prometheus` in the file. */
export async function startUpstreamGateway(clusters: Readonly<Record<string, object>>): Promise<UpstreamGateway> {
  const issuer = await startStubIssuer()
  const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-upstreams-'))
  const auditDir = join(scratch, 'audit')
  const places = { port: 0, adminPort: 0, auditDir, clusters: {}, issuer: issuer.issuer, audience }
  const settings: unknown = parse(gatewayConfig({ ...places, level: 'warn', rules: [generous] }))
  const list = Object.entries(clusters).map(([name, prometheus]) => ({ name, prometheus }))
  const file = join(scratch, 'bailiwick.yaml')
  await writeFile(file, stringify({ ...Object(settings), clusters: list }))
  const config = loadConfig(file)
  if (!config.ok) throw new Error(config.error.join('\n'))
  const lines: string[] = []
  const log = new Writable({
    write(chunk: Buffer, _, done) {
      lines.push(chunk.toString())
      done()
    },
  })
  const app = await startApp(config.value, createLog(config.value.log, log))
  if (!app.ok) throw new Error(app.error.join('\n'))
  return {
    url: app.value.url,
    as: async (...groups) => ({ authorization: `Bearer ${await issuer.sign({ groups })}` }),
    log: () => lines.join(''),
    failures: () =>
      lines.flatMap((line) => {
        const { request, failure = '', detail = '' }: Record<string, string> = JSON.parse(line)
        // What is said at the start is about no request.
        return request === undefined ? [] : [`${failure}: ${detail}`]
      }),
    async stop() {
      await app.value.stop()
      await issuer.stop()
      await rm(scratch, { recursive: true, force: true })
    },
  }
}
