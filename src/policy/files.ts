import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fail } from '../result.ts'
import type { Result } from '../result.ts'
import { loadPolicy } from './policy.ts'
import type { Policy } from './policy.ts'
import { profiles } from './profile.ts'
import type { PolicyFile } from './rows.ts'

/** Where a policy is: the Casbin model and the rule files, in order. */
export interface PolicyOptions {
  readonly model: string
  readonly rules: readonly string[]
  /** Whose labels say whose a sample is. */
  readonly profile: keyof typeof profiles
}

/** Reads and loads a policy from files. Records and messages name a file without its directory where that is enough. */
export async function readPolicy(
  { model, rules, profile }: PolicyOptions,
  clock: () => number,
): Promise<Result<Policy, readonly string[]>> {
  const names = rules.map((path) => basename(path))
  const read = (path: string): PolicyFile => {
    const short = basename(path)
    const unique = names.filter((name) => name === short).length < 2
    return { name: unique ? short : path, text: readFileSync(path, 'utf8') }
  }
  try {
    return await loadPolicy(read(model), rules.map(read), { profile: profiles[profile], clock })
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error
    return fail([`the policy cannot be read: ${error.message}: check policy.model and policy.rules`])
  }
}
