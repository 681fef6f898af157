import type { Given, Terminal } from './command.ts'

/** The option by which a command is told of its configuration. */
export const configOption = { config: { type: 'string' } } as const

/** How the help of such a command says so. */
export const configHelp = `Options:
  --config FILE   the configuration (default: bailiwick.yaml); see docs/configuration.md
`

/** The file that was named, or the default. */
export const configFile = (given: Given): string => given.option('config') ?? 'bailiwick.yaml'

/** Prints what is wrong with a configuration, a line each, and returns the exit code. */
export function printProblems(terminal: Terminal, file: string, problems: readonly string[]): number {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
  terminal.err(`${file}: ${count}\n${problems.map((problem) => `  ${problem}\n`).join('')}`)
  return 1
}
