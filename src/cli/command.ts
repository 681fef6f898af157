import { parseArgs } from 'node:util'
import type { ParseArgsOptionsConfig } from 'node:util'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'

/** Where a command's words go and come from. Nothing else in the program uses standard input and output. */
export interface Terminal {
  out(text: string): void
  err(text: string): void
  /** The lines of standard input. */
  lines(): AsyncIterable<string>
}

/** The options and words of a command line. An option that may be given more than once is a list. */
export interface Given {
  readonly option: (name: string) => string | undefined
  readonly list: (name: string) => readonly string[]
  readonly flag: (name: string) => boolean
  readonly words: readonly string[]
}

/** One word after `bailiwick`, or two. */
export interface Command {
  /** Printed by `--help`. */
  readonly help: string
  readonly options: ParseArgsOptionsConfig
  /** How many words it takes behind its options, at most. */
  readonly words: number
  /** Returns the exit code: 0 done, 1 it failed; 3 where a command answers a question, and the answer is no. */
  run(given: Given, terminal: Terminal): Promise<number>
  /** By their second word, where the first stands for several commands; `run` is for when there is none of them. */
  readonly subcommands?: Readonly<Record<string, Command>>
}

/** Thrown by a command whose options do not fit together: the command line was not understood, exit code 2. */
export class UsageError extends Error {}

/** Reads a command's options and words. */
export function readGiven(args: readonly string[], { options, words }: Command): Result<Given, string> {
  try {
    const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options })
    const extra = positionals.slice(words)
    if (extra.length > 0) return fail(`"${extra.join(' ')}" is more than this command takes`)
    return ok({
      option(name) {
        const value = values[name]
        return typeof value === 'string' ? value : undefined
      },
      list(name) {
        const value = values[name]
        return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
      },
      flag: (name) => values[name] === true,
      words: positionals,
    })
  } catch (error) {
    // Node adds a hint about arguments that begin with a dash, which helps nobody here.
    return fail(error instanceof Error ? error.message.replace(/\. To specify a positional.*$/s, '') : String(error))
  }
}
