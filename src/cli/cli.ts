import { version } from '../app.ts'
import { audit } from './audit/audit.ts'
import { checkConfig } from './check-config.ts'
import { UsageError, readGiven } from './command.ts'
import type { Command, Terminal } from './command.ts'
import { explain } from './explain.ts'
import { login, logout } from './login.ts'
import { policy } from './policy/policy.ts'
import { serve } from './serve.ts'
import { token } from './token.ts'

/** Every command, in the order in which the help names them. */
export const commands: Readonly<Record<string, Command>> = {
  serve,
  'check-config': checkConfig,
  explain,
  policy,
  audit,
  login,
  token,
  logout,
}

/** What `bailiwick --help` prints. */
export const help = `bailiwick: an identity-aware query gateway for Linkerd's Prometheus

Usage: bailiwick <command> [options]

Commands:
  serve          run the gateway
  check-config   check a configuration and its policy, and say what is wrong
  explain        show what a query becomes under a scope
  policy         check, test, explain and compare policies: see bailiwick policy --help
  audit          show the audit record, and whether it is whole: see bailiwick audit --help
  login          log in to a gateway, with a browser on any device
  token          print a fresh access token of that login
  logout         end that login

Options:
  --help         what a command does and takes; also: bailiwick <command> --help
  --version      the version

Exit codes: 0 done, 1 it failed (the reason is on standard error), 2 the command was not understood,
3 the answer is no (policy explain, who-can and diff only).
`

/** Runs one command line and returns its exit code: 0 done, 1 failed, 2 not understood. */
export async function runCommand(args: readonly string[], terminal: Terminal): Promise<number> {
  const [name = '', ...words] = args
  if (name === '--version' || name === '-V') {
    terminal.out(`${version()}\n`)
    return 0
  }
  if (name === '--help' || name === '-h') {
    terminal.out(help)
    return 0
  }
  const first = findIn(commands, name)
  if (first === undefined) {
    terminal.err(`${name === '' ? '' : `there is no command "${name}"\n\n`}${help}`)
    return 2
  }
  const second = findIn(first.subcommands ?? {}, words[0] ?? '')
  const [command, rest] = second === undefined ? [first, words] : [second, words.slice(1)]
  if (rest.includes('--help') || rest.includes('-h')) {
    terminal.out(command.help)
    return 0
  }
  return runGiven(command, rest, terminal)
}

const findIn = (table: Readonly<Record<string, Command>>, name: string): Command | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined

async function runGiven(command: Command, args: readonly string[], terminal: Terminal): Promise<number> {
  const given = readGiven(args, command)
  try {
    if (given.ok) return await command.run(given.value, terminal)
    terminal.err(`${given.error}\n\n${command.help}`)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    terminal.err(`${error.message}\n\n${command.help}`)
  }
  return 2
}
