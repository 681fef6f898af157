import type { Address } from '../config/config.ts'
import { loadConfig } from '../config/config.ts'
import { readPolicy } from '../policy/files.ts'
import type { Terminal } from './cli.ts'
import { printProblems } from './problems.ts'

/** Checks configuration and policy without opening anything, and prints what would be in force. */
export async function checkConfig(file: string, terminal: Terminal): Promise<number> {
  const config = loadConfig(file)
  if (!config.ok) return printProblems(terminal, file, config.error)
  const policy = await readPolicy(config.value.policy)
  if (!policy.ok) return printProblems(terminal, file, policy.error)
  const { publicUrl, listen, admin, clusters, issuers, audit } = config.value
  const base = publicUrl ?? `http://${text(listen)}`
  const rows = [
    ['clients', text(listen)],
    ['admin', text(admin)],
    ...clusters.map(({ name, prometheus }) => ['cluster', `${base}/clusters/${name} → ${prometheus.url}`]),
    ...issuers.map(({ issuer, audience }) => ['issuer', `${issuer} for ${audience.join(', ')}`]),
    ['policy', `${policy.value.rules} rules, ${policy.value.digest}`],
    ['audit', audit.directory],
  ]
  terminal.out(`${file}: ok\n${rows.map(([name, value]) => `  ${(name ?? '').padEnd(8)} ${value}\n`).join('')}`)
  return 0
}

const text = ({ host, port }: Address): string => `${host.includes(':') ? `[${host}]` : host}:${port}`
