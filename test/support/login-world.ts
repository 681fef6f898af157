import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { gatewayClient, startIdp } from '../../demo/parts/idp.ts'
import type { RunningIdp } from '../../demo/parts/idp.ts'
import { close, freePort, listen } from '../../demo/parts/loopback.ts'
import { people } from '../../demo/parts/people.ts'
import { startApp } from '../../src/app.ts'
import type { App } from '../../src/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import type { Config } from '../../src/config/config.ts'
import { audience, readRecords } from './world.ts'
import type { AuditLine } from './world.ts'

/** A gateway with browser login, the real provider behind it, and a Prometheus that says one thing. */
export interface LoginWorld {
  readonly url: string
  readonly idp: RunningIdp
  readonly auditDir: string
  /** Moves the gateway's clock, and only that, to so many milliseconds from now. */
  setClock(ahead: number): void
  /** Stops the gateway and starts it again with the same files, `change` bending the configuration. */
  restart(change?: (config: Config) => Config): Promise<void>
  records(kind?: string): Promise<readonly AuditLine[]>
  /** What the operational log holds. */
  logged(): string
  stop(): Promise<void>
}

/** Starts one. `provider` may take the place of the real one. */
export async function startLoginWorld(
  options: {
    readonly loginLifetime?: number
    readonly issuer?: string
    readonly change?: (config: Config) => Config
  } = {},
): Promise<LoginWorld> {
  const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-login-'))
  const auditDir = join(scratch, 'audit')
  const prometheus = createServer((_, response) => {
    response.setHeader('content-type', 'application/json')
    response.end('{"status":"success","data":{"resultType":"vector","result":[]}}')
  })
  const prometheusPort = await listen(prometheus, 0)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const { loginLifetime } = options
  const idp = await startIdp({
    people,
    audience,
    clients: [gatewayClient(url)],
    ...(loginLifetime === undefined ? {} : { loginLifetime }),
  })
  const file = join(scratch, 'bailiwick.yaml')
  const clusters = { east: `http://127.0.0.1:${prometheusPort}`, west: 'http://127.0.0.1:9' }
  const issuer = options.issuer ?? idp.issuer
  const settings = { port, adminPort: 0, clusters, issuer, audience, auditDir, loginClient: 'gateway', notices: false }
  await writeFile(file, gatewayConfig(settings))
  const read = loadConfig(file)
  if (!read.ok) throw new Error(read.error.join('\n'))
  const config = options.change?.(read.value) ?? read.value

  let ahead = 0
  let log = ''
  const start = async (change: (config: Config) => Config = (same) => same): Promise<App> => {
    const stream = { write: (line: string) => void (log += line) }
    const app = await startApp(change(config), pino({ level: 'debug' }, stream), () => Date.now() + ahead)
    if (!app.ok) throw new Error(app.error.join('\n'))
    return app.value
  }
  let app = await start()
  return {
    url,
    idp,
    auditDir,
    setClock: (milliseconds) => void (ahead = milliseconds),
    async restart(change) {
      await app.stop()
      app = await start(change)
    },
    async records(kind) {
      return (await readRecords(auditDir)).filter((line) => kind === undefined || line.kind === kind)
    },
    logged: () => log,
    async stop() {
      await app.stop()
      await idp.stop()
      await close(prometheus)
      await rm(scratch, { recursive: true, force: true })
    },
  }
}

/** A key for cookies. */
export const newKey = (): Uint8Array => new Uint8Array(randomBytes(32))
