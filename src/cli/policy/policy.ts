import { UsageError } from '../command.ts'
import type { Command } from '../command.ts'
import { check } from './check.ts'
import { diff } from './diff.ts'
import { explain } from './explain.ts'
import { test } from './test.ts'
import { whoCan } from './who-can.ts'

/** The commands about policies, by their second word. */
const subcommands: Readonly<Record<string, Command>> = { check, test, explain, 'who-can': whoCan, diff }

/** What looks at a policy without running the gateway. */
export const policy: Command = {
  help: `Usage: bailiwick policy <command> [options]

Looks at a policy without running the gateway. docs/policy.md explains rows, tests and what each command prints.

Commands:
  policy check     say what is wrong with a policy, and have Casbin judge every rule
  policy test      run the policy's tests: who sees what, who must never
  policy explain   every row that decides for somebody, what follows from it, and what a query becomes
  policy who-can   everybody who sees something of a namespace, and by which rows
  policy diff      who gains and who loses what between two policies

What each takes: bailiwick policy <command> --help
`,
  options: {},
  words: 1,
  run({ words: [word] }) {
    throw new UsageError(word === undefined ? 'policy: which of them?' : `there is no command "policy ${word}"`)
  },
  subcommands,
}
