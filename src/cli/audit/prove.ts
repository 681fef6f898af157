import { makeProof } from '../../audit/proof.ts'
import { UsageError } from '../command.ts'
import type { Command } from '../command.ts'
import { plain } from './inputs.ts'

/** Proves that one record stands in the log. */
export const prove: Command = {
  help: `Usage: bailiwick audit prove ID --dir DIR [--kind KIND]

Prints, as JSON, a proof that the record of request ID (the header bailiwick-request of its answer) stands in the log
in DIR: the record, its path in the Merkle tree, and a signed checkpoint. Whoever has the public key checks it with
"bailiwick audit check-proof", without the log.

Options:
  --dir DIR    the directory of the log
  --kind KIND  which record of that request: decision, outcome, login, ...; default: its first
`,
  options: { dir: { type: 'string' }, kind: { type: 'string' } },
  words: 1,
  async run(given, terminal) {
    const [request] = given.words
    const dir = given.option('dir')
    if (request === undefined) throw new UsageError('of which request?')
    if (dir === undefined) throw new UsageError('--dir is missing: the directory of the log')
    const proof = await makeProof(dir, request, given.option('kind') ?? null)
    if (proof.ok) terminal.out(`${JSON.stringify(proof.value, null, 2)}\n`)
    else terminal.err(`${plain(proof.error)}\n`)
    return proof.ok ? 0 : 1
  },
}
