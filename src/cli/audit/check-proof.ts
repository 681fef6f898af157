import { readFile } from 'node:fs/promises'
import { checkProof } from '../../audit/proof.ts'
import { UsageError } from '../command.ts'
import type { Command } from '../command.ts'
import { plain, readKeys } from './inputs.ts'

/** Checks a proof by itself. */
export const checkProofCommand: Command = {
  help: `Usage: bailiwick audit check-proof FILE --key KEYS

Checks a proof that "bailiwick audit prove" printed. Exit code 0: the record stands in the log, and is printed as it
stands there; 1: the proof does not hold; 2: it could not be read.

Options:
  --key KEYS  the public keys to trust (PEM, or name+id+base64), one or several
`,
  options: { key: { type: 'string' } },
  words: 1,
  async run(given, terminal) {
    const [file] = given.words
    const keyFile = given.option('key')
    if (file === undefined) throw new UsageError('which proof?')
    if (keyFile === undefined) throw new UsageError('--key is missing: the public key to trust')
    const keys = await readKeys(keyFile)
    const text = await readFile(file, 'utf8').catch((error: unknown) => ({ reason: String(error) }))
    if (!keys.ok || typeof text !== 'string') {
      terminal.err(`${plain(keys.ok && typeof text !== 'string' ? text.reason : keys.ok ? '' : keys.error)}\n`)
      return 2
    }
    const proven = checkProof(text, keys.value)
    if (!proven.ok) {
      terminal.err(`this proof does not hold: ${plain(proven.error)}\n`)
      return 1
    }
    const { record, segment, index, number, time, key } = proven.value
    terminal.out(`${JSON.stringify(record)}\n`)
    terminal.err(`stands at line ${index + 1} of ${segment}, under checkpoint ${number} (${time}), signed by ${key}\n`)
    return 0
  },
}
