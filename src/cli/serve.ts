import { once } from 'node:events'
import { startApp } from '../app.ts'
import type { App } from '../app.ts'
import { loadConfig } from '../config/config.ts'
import type { Command } from './command.ts'
import { configFile, configHelp, configOption, printProblems } from './config-option.ts'

/** Runs the gateway until a signal asks it to stop. */
export const serve: Command = {
  help: `Usage: bailiwick serve [--config FILE]

Runs the gateway until SIGINT or SIGTERM, then finishes the requests in flight and seals the audit log.
A second signal ends it at once. On SIGHUP it looks at the policy's files, as it also does by itself.

${configHelp}`,
  options: configOption,
  words: 0,
  async run(given, terminal) {
    // Heard from the beginning: as a container's first process, the kernel drops signals that nobody listens for.
    const asked = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
    const file = configFile(given)
    const config = loadConfig(file)
    if (!config.ok) return printProblems(terminal, file, config.error)
    // It would end a program that does not listen. While it starts, the policy's files are read anyway.
    let running: App | null = null
    const lookAgain = (): void => void running?.reload()
    process.on('SIGHUP', lookAgain)
    const app = await startApp(config.value)
    if (!app.ok) return printProblems(terminal, file, app.error)
    running = app.value
    await asked
    process.once('SIGINT', hurry).once('SIGTERM', hurry)
    await app.value.stop()
    process.off('SIGHUP', lookAgain)
    return 0
  },
}

const hurry = (): never => process.exit(1)
