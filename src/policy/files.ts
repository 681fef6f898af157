import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fail } from '../result.ts'
import type { Result } from '../result.ts'
import { loadPolicy } from './policy.ts'
import type { Policy } from './policy.ts'
import type { PolicyFile } from './rules.ts'

/** Where a policy is: the Casbin model and the rule files, in order. */
export interface PolicyOptions {
  readonly model: string
  readonly rules: readonly string[]
}

/** Reads and loads a policy from files. Records and messages name a file without its directory. */
export async function readPolicy({ model, rules }: PolicyOptions): Promise<Result<Policy, readonly string[]>> {
  try {
    return await loadPolicy(read(model), rules.map(read))
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error
    return fail([`the policy cannot be read: ${error.message}`])
  }
}

const read = (path: string): PolicyFile => ({ name: basename(path), text: readFileSync(path, 'utf8') })
