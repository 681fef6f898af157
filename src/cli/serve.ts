import { once } from 'node:events'
import { startApp } from '../app.ts'
import { loadConfig } from '../config/config.ts'
import type { Command } from './command.ts'
import { configFile, configHelp, configOption, printProblems } from './config-option.ts'

/** Runs the gateway until a signal asks it to stop. */
export const serve: Command = {
  help: `Usage: bailiwick serve [--config FILE]

Runs the gateway until SIGINT or SIGTERM, then finishes the requests in flight and seals the audit log.
A second signal ends it at once.

${configHelp}`,
  options: configOption,
  words: 0,
  async run(given, terminal) {
    // Heard from the beginning: as a container's first process, the kernel drops signals that nobody listens for.
    const asked = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
    const file = configFile(given)
    const config = loadConfig(file)
    if (!config.ok) return printProblems(terminal, file, config.error)
    const app = await startApp(config.value)
    if (!app.ok) return printProblems(terminal, file, app.error)
    await asked
    process.once('SIGINT', hurry).once('SIGTERM', hurry)
    await app.value.stop()
    return 0
  },
}

const hurry = (): never => process.exit(1)
