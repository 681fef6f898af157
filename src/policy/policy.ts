import { createHash } from 'node:crypto'
import type { Identity } from '../identity/identity.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { indexRules } from './index-rules.ts'
import type { Bearing } from './index-rules.ts'
import { judge, openJudge } from './judge.ts'
import { parsePolicy } from './parse.ts'
import type { ParsedPolicy } from './parse.ts'
import { profiles } from './profile.ts'
import type { Profile } from './profile.ts'
import type { QueryLimits } from './query-limits.ts'
import type { PolicyFile } from './rows.ts'
import type { Action } from './rules.ts'
import type { Scope } from './scope.ts'

/** What was decided, and because of which lines. */
export interface Decision {
  readonly scope: Scope
  /** `file:line` of every rule that bears on it, allows and denies. */
  readonly because: readonly string[]
  /** Why those of them that hold for a time only were made. */
  readonly reasons: readonly string[]
  readonly limits: QueryLimits
  /** Digest of the policy that decided. */
  readonly policy: string
}

/** Of a decision, what the record says. */
export type Basis = Omit<Decision, 'limits'>

/** One policy, whole and unchanging. A new policy is a new value. */
export interface Policy {
  /** `sha256:` and hex digits over the model and all rule files. */
  readonly digest: string
  readonly rules: number
  /** What is allowed to stand, but can hardly be meant. */
  readonly warnings: readonly string[]
  /** Everything that its files say. */
  readonly parsed: ParsedPolicy
  decide(identity: Identity, cluster: string, action: Action): Decision
  /** Every rule that bears on a decision, with the way it came to bear on this identity. */
  bearing(identity: Identity, cluster: string, action: Action): readonly Bearing[]
}

/** What decides beside the files. */
export interface PolicySetting {
  /** Which labels speak for a namespace. */
  readonly profile: Profile
  /** Unix milliseconds: some rules hold for a time only. */
  readonly clock: () => number
}

/**
 * Reads, checks and indexes a policy. It comes into being only if every row is understood and Casbin, the judge, agrees
 * with the index; otherwise the problems are returned, each with its place and remedy.
 */
export async function loadPolicy(
  model: PolicyFile,
  files: readonly PolicyFile[],
  setting: PolicySetting = { profile: profiles.linkerd, clock: () => 0 },
): Promise<Result<Policy, readonly string[]>> {
  const parsed = parsePolicy(files)
  if (!parsed.ok) return parsed
  const casbin = await openJudge(model, parsed.value)
  if (!casbin.ok) return fail([casbin.error])
  const disagreements = await judge(parsed.value, casbin.value, setting.profile)
  if (disagreements.length > 0) return fail(disagreements)
  return ok(indexRules(parsed.value, setting, digestOf([model, ...files])))
}

/** Names a policy by all that its files say. */
export function digestOf(files: readonly PolicyFile[]): string {
  const hash = createHash('sha256')
  for (const { name, text } of files) hash.update(`${name.length}:${name}${text.length}:${text}`)
  return `sha256:${hash.digest('hex')}`
}
