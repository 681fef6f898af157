import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { close, listen } from '../../demo/parts/loopback.ts'
import { startApp } from '../../src/app.ts'
import type { App } from '../../src/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import type { FollowOptions } from '../../src/policy/reload.ts'
import { audience, startStubIssuer } from './issuer.ts'
import type { StubIssuer } from './issuer.ts'
import { readRecords } from './world.ts'
import type { AuditLine } from './world.ts'

/** The repository's model. */
export const modelText = readFileSync(new URL('../../policies/model.conf', import.meta.url), 'utf8')

/** A directory of policy files as Kubernetes mounts a ConfigMap: names lead through the link `..data` to a version. */
export interface MountedPolicy {
  readonly dir: string
  readonly model: string
  readonly rules: string
  /** Writes a version, which nothing leads to yet. */
  write(version: string, rules: string, model?: string): void
  /** Leads all names to it, in one step. */
  show(version: string): void
}

export function mountedPolicy(dir: string): MountedPolicy {
  mkdirSync(dir)
  for (const name of ['model.conf', 'policy.csv']) symlinkSync(`..data/${name}`, join(dir, name))
  return {
    dir,
    model: join(dir, 'model.conf'),
    rules: join(dir, 'policy.csv'),
    write(version, rules, model = modelText) {
      mkdirSync(join(dir, version))
      writeFileSync(join(dir, version, 'model.conf'), model)
      writeFileSync(join(dir, version, 'policy.csv'), rules)
    },
    show(version) {
      symlinkSync(version, join(dir, '..data_tmp'))
      renameSync(join(dir, '..data_tmp'), join(dir, '..data'))
    },
  }
}

/** A gateway whose policy a test changes, before a Prometheus that answers with what it was asked. */
export interface PolicyGateway {
  readonly app: App
  readonly issuer: StubIssuer
  readonly auditDir: string
  /** Every query that reached Prometheus. */
  readonly queries: readonly string[]
  /** Prometheus answers only when this resolves. */
  hold(until: Promise<unknown>): void
  /** A line of the operational log each. */
  readonly logged: readonly string[]
  ask(token: string, query?: string): Promise<Answered>
  records(kind?: string): Promise<readonly AuditLine[]>
  stop(): Promise<void>
}

/** What came back: under which policy, and what Prometheus was asked for it. */
export interface Answered {
  readonly status: number
  /** Empty where nobody was asked. */
  readonly sent: string
  readonly policy: string | null
  readonly scope: string | null
}

/** Starts one with the policy of these files. */
export async function startPolicyGateway(
  files: { readonly model: string; readonly rules: string },
  follow: Partial<FollowOptions> = {},
): Promise<PolicyGateway> {
  const issuer = await startStubIssuer()
  const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-policy-'))
  const auditDir = join(scratch, 'audit')
  const queries: string[] = []
  const logged: string[] = []
  let held: Promise<unknown> = Promise.resolve()
  async function answer(body: string, response: ServerResponse): Promise<void> {
    const query = new URLSearchParams(body).get('query') ?? ''
    queries.push(query)
    await held
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ status: 'success', data: { resultType: 'string', result: [0, query] } }))
  }
  const prometheus = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
    request.on('end', () => void answer(body, response))
  })
  const clusters = { stub: `http://127.0.0.1:${await listen(prometheus, 0)}` }
  const file = join(scratch, 'bailiwick.yaml')
  const settings = { port: 0, adminPort: 0, clusters, issuer: issuer.issuer, audience, auditDir, notices: false }
  await writeFile(file, gatewayConfig(settings))
  const config = loadConfig(file)
  if (!config.ok) throw new Error(config.error.join('\n'))
  const policy = { ...config.value.policy, model: files.model, rules: [files.rules], reload: 0, settle: 0, ...follow }
  const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(line) })
  const app = await startApp({ ...config.value, policy }, log)
  if (!app.ok) throw new Error(app.error.join('\n'))
  return {
    app: app.value,
    issuer,
    auditDir,
    queries,
    hold: (until) => void (held = until),
    logged,
    async ask(token, query = 'up') {
      const headers = { authorization: `Bearer ${token}` }
      const url = `${app.value.url}/api/v1/query?query=${encodeURIComponent(query)}`
      const response = await fetch(url, { headers })
      const answer: unknown = await response.json()
      const sent: unknown = Reflect.get(Object(Reflect.get(Object(answer), 'data')), 'result')
      return {
        status: response.status,
        sent: Array.isArray(sent) ? String(sent[1]) : '',
        policy: response.headers.get('bailiwick-policy'),
        scope: response.headers.get('bailiwick-scope'),
      }
    },
    records: async (kind) => (await readRecords(auditDir)).filter((line) => kind === undefined || line.kind === kind),
    async stop() {
      await app.value.stop()
      await issuer.stop()
      await close(prometheus)
      await rm(scratch, { recursive: true, force: true })
    },
  }
}
