import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { lint } from './lint.ts'
import { maxRules } from './limits.ts'
import { parseLimits } from './query-limits.ts'
import type { LimitRow } from './query-limits.ts'
import { expandRoles, parseMembership } from './roles.ts'
import type { Membership, RolesOf } from './roles.ts'
import { readRows } from './rows.ts'
import type { PolicyFile, Row } from './rows.ts'
import { parseRule } from './rules.ts'
import type { Rule } from './rules.ts'

/** Everything that the rule files say, checked row by row and together. */
export interface ParsedPolicy {
  readonly rules: readonly Rule[]
  readonly memberships: readonly Membership[]
  readonly limits: readonly LimitRow[]
  readonly rolesOf: RolesOf
  /** What is allowed to stand, but can hardly be meant, with its place. */
  readonly warnings: readonly string[]
}

/**
 * Reads policy rows: `p` grants or denies, `g` makes somebody a member of a role, `l` limits. Casbin's own loader drops
 * rows it does not know and treats a misspelt effect as no effect at all, which turns a deny into an allow; here each such
 * row is an error, with file, line and remedy.
 */
export function parsePolicy(files: readonly PolicyFile[]): Result<ParsedPolicy, readonly string[]> {
  const rules: Rule[] = []
  const memberships: Membership[] = []
  const limits: LimitRow[] = []
  const problems: string[] = []
  const take = <T>(row: Row, read: (row: Row) => Result<T, string>, into: T[]): void => {
    const value = read(row)
    if (value.ok) into.push(value.value)
    else problems.push(`${row.at}: ${value.error}`)
  }
  for (const file of files) {
    const rows = readRows(file)
    if (!rows.ok) {
      problems.push(rows.error)
      continue
    }
    for (const row of rows.value) {
      if (row.type === 'p') take(row, parseRule, rules)
      else if (row.type === 'g') take(row, parseMembership, memberships)
      else if (row.type === 'l') take(row, parseLimits, limits)
      else
        problems.push(`${row.at}: a row begins with p (a rule), g (a membership) or l (limits), not with "${row.type}"`)
    }
  }
  const count = rules.length + memberships.length + limits.length
  if (count > maxRules) problems.push(`${count} rows are more than ${maxRules}: use patterns and roles`)
  const rolesOf = expandRoles(memberships)
  if (!rolesOf.ok) problems.push(...rolesOf.error)
  if (problems.length > 0 || !rolesOf.ok) return fail(problems)
  const parsed = { rules, memberships, limits, rolesOf: rolesOf.value }
  const { errors, warnings } = lint(parsed)
  return errors.length > 0 ? fail(errors) : ok({ ...parsed, warnings })
}
