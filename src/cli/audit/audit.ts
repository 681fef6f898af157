import { UsageError } from '../command.ts'
import type { Command } from '../command.ts'
import { checkProofCommand } from './check-proof.ts'
import { exportCommand } from './export.ts'
import { hold } from './hold.ts'
import { index } from './index.ts'
import { keygen } from './keygen.ts'
import { prove } from './prove.ts'
import { show } from './show.ts'
import { verify } from './verify.ts'

/** What is done with an audit log, beside writing it. */
export const audit: Command = {
  help: `Usage: bailiwick audit <command> [options]

Reads the audit record, and shows whether it is whole. docs/audit-verify.md explains what that can show and what not.

Commands:
  audit show         the records, filtered, also as they come
  audit verify       whether a log is whole: the first bad record, and what happened to it
  audit prove        that one record stands in the log, in a file of its own
  audit check-proof  check such a file, without the log
  audit export       write records into a file for other tools: Parquet, CSV or the lines themselves
  audit index        make the index by which records are found anew
  audit hold         keep a log from being deleted, or let it go
  audit keygen       make a key that signs checkpoints

What each takes: bailiwick audit <command> --help
`,
  options: {},
  words: 1,
  subcommands: { show, verify, prove, 'check-proof': checkProofCommand, export: exportCommand, index, hold, keygen },
  async run(given) {
    const [name] = given.words
    throw new UsageError(name === undefined ? 'which command?' : `there is no command "audit ${name}"`)
  },
}
