import { loadConfig } from '../config/config.ts'
import type { Address } from '../config/config.ts'
import { readPolicy } from '../policy/files.ts'
import type { Command } from './command.ts'
import { configFile, configHelp, configOption, printProblems } from './config-option.ts'

/** Checks configuration and policy without opening anything, and prints what would be in force. */
export const checkConfig: Command = {
  help: `Usage: bailiwick check-config [--config FILE]

Reads the configuration and the policy as "serve" would, without opening a port or asking anybody. Prints what is
in force, or every problem with its key and remedy (exit code 1).

${configHelp}`,
  options: configOption,
  words: 0,
  async run(given, terminal) {
    const file = configFile(given)
    const config = loadConfig(file)
    if (!config.ok) return printProblems(terminal, file, config.error)
    const policy = await readPolicy(config.value.policy, Date.now)
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
  },
}

const text = ({ host, port }: Address): string => `${host.includes(':') ? `[${host}]` : host}:${port}`
