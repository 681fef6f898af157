import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { startApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import { generous } from './generous.ts'
import { audience, startStubIssuer } from './issuer.ts'

/** A gateway whose policy is what a test says, and nothing else. */
export interface RuledGateway {
  readonly url: string
  /** Headers of somebody in these groups. */
  as(...groups: readonly string[]): Promise<Record<string, string>>
  stop(): Promise<void>
}

/** Starts one before a Prometheus, with these rows as its rules. */
export async function startRuledGateway(prometheus: string, rows: string): Promise<RuledGateway> {
  const issuer = await startStubIssuer()
  const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-ruled-'))
  const rules = join(scratch, 'policy.csv')
  await writeFile(rules, rows)
  const file = join(scratch, 'bailiwick.yaml')
  const places = { port: 0, adminPort: 0, clusters: { east: prometheus }, auditDir: join(scratch, 'audit') }
  await writeFile(file, gatewayConfig({ ...places, issuer: issuer.issuer, audience }))
  const config = loadConfig(file)
  if (!config.ok) throw new Error(config.error.join('\n'))
  const policy = { ...config.value.policy, rules: [rules, generous] }
  const app = await startApp({ ...config.value, policy }, pino({ level: 'silent' }))
  if (!app.ok) throw new Error(app.error.join('\n'))
  const exp = Math.floor(Date.now() / 1000) + 3600
  return {
    url: app.value.url,
    as: async (...groups) => ({ authorization: `Bearer ${await issuer.sign({ groups, exp })}` }),
    async stop() {
      await app.value.stop()
      await issuer.stop()
      await rm(scratch, { recursive: true, force: true })
    },
  }
}
