import { readFile } from 'node:fs/promises'
import { readCheckKeys } from '../../audit/keys.ts'
import type { CheckKey } from '../../audit/keys.ts'
import { fail, ok } from '../../result.ts'
import type { Result } from '../../result.ts'

/** Reads the public keys of a file. */
export async function readKeys(file: string): Promise<Result<readonly CheckKey[], string>> {
  try {
    return ok(readCheckKeys(await readFile(file, 'utf8')))
  } catch (error) {
    return fail(`${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** A text without what a terminal would obey. */
export const plain = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- those are the ones meant.
  text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '\ufffd')
