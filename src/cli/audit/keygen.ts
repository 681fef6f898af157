import { open } from 'node:fs/promises'
import { generateKeyPair } from '../../audit/keys.ts'
import { UsageError } from '../command.ts'
import type { Command } from '../command.ts'

/** Makes a key pair that signs checkpoints. */
export const keygen: Command = {
  help: `Usage: bailiwick audit keygen FILE

Makes an Ed25519 key pair: FILE gets the private key (PEM, mode 600; for audit.checkpoints.key_file), FILE.pub the
public one, for whoever checks the log. Neither may exist. Keep FILE.pub away from the gateway: a key found beside
the log shows nothing.
`,
  options: {},
  words: 1,
  async run(given, terminal) {
    const [file] = given.words
    if (file === undefined) throw new UsageError('into which file?')
    const { privatePem, publicPem, key } = generateKeyPair()
    try {
      await writeNew(file, privatePem, 0o600)
      await writeNew(`${file}.pub`, publicPem, 0o644)
    } catch (error) {
      terminal.err(`${error instanceof Error ? error.message : String(error)}\n`)
      return 1
    }
    terminal.out(`key ${key.id}\n${key.vkey}\n`)
    return 0
  },
}

async function writeNew(file: string, text: string, mode: number): Promise<void> {
  const handle = await open(file, 'wx', mode)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
