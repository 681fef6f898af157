import type { Terminal } from './cli.ts'

/** Prints what is wrong with a configuration, a line each, and returns the exit code. */
export function printProblems(terminal: Terminal, file: string, problems: readonly string[]): number {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
  terminal.err(`${file}: ${count}\n${problems.map((problem) => `  ${problem}\n`).join('')}`)
  return 1
}
