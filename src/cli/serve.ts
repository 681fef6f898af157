import { once } from 'node:events'
import { startApp } from '../app.ts'
import { loadConfig } from '../config/config.ts'
import type { Terminal } from './cli.ts'
import { printProblems } from './problems.ts'

/** Runs the gateway until a signal asks it to stop. */
export async function serve(file: string, terminal: Terminal): Promise<number> {
  // Heard from the beginning: as a container's first process, the kernel drops signals that nobody listens for.
  const asked = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  const config = loadConfig(file)
  if (!config.ok) return printProblems(terminal, file, config.error)
  const app = await startApp(config.value)
  if (!app.ok) return printProblems(terminal, file, app.error)
  await asked
  process.once('SIGINT', hurry).once('SIGTERM', hurry)
  await app.value.stop()
  return 0
}

const hurry = (): never => process.exit(1)
