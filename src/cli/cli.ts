import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { checkConfig } from './check-config.ts'
import { help } from './help.ts'
import { serve } from './serve.ts'

/** Where a command's words go. Nothing else in the program writes to standard output. */
export interface Terminal {
  out(text: string): void
  err(text: string): void
}

const commands: Readonly<Record<string, (config: string, terminal: Terminal) => Promise<number>>> = {
  serve,
  'check-config': checkConfig,
}

/** Runs one command line and returns its exit code: 0 done, 1 failed, 2 not understood. */
export async function runCommand(args: readonly string[], terminal: Terminal): Promise<number> {
  const asked = readArguments(args)
  if (!asked.ok) {
    terminal.err(`${asked.error}\n\n${help['']}`)
    return 2
  }
  const { command, config, wantsHelp, wantsVersion } = asked.value
  if (wantsVersion) {
    terminal.out(`${version()}\n`)
    return 0
  }
  if (wantsHelp) {
    terminal.out(help[command] ?? '')
    return 0
  }
  const run = Object.hasOwn(commands, command) ? commands[command] : undefined
  if (run !== undefined) return run(config, terminal)
  terminal.err(help[''] ?? '')
  return 2
}

interface Asked {
  readonly command: string
  readonly config: string
  readonly wantsHelp: boolean
  readonly wantsVersion: boolean
}

function readArguments(args: readonly string[]): Result<Asked, string> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'V' },
      },
    })
    const [command = '', ...more] = positionals
    if (!Object.hasOwn(help, command)) return fail(`there is no command "${command}"`)
    if (more.length > 0) return fail(`"${more.join(' ')}" is one word too many for ${command}`)
    return ok({
      command,
      config: values.config ?? 'bailiwick.yaml',
      wantsHelp: values.help === true,
      wantsVersion: values.version === true,
    })
  } catch (error) {
    // Node adds a hint about arguments that begin with a dash, which helps nobody here.
    return fail(error instanceof Error ? error.message.replace(/\. To specify a positional.*$/s, '') : String(error))
  }
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const manifest: unknown = JSON.parse(text)
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : ''
}
