import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { maxRoleDepth } from './limits.ts'
import type { Row } from './rows.ts'
import { wrongSubject } from './rules.ts'

/** A row that begins with `g`: the member has everything that the role has. */
export interface Membership {
  readonly member: string
  /** `role:<name>` */
  readonly role: string
  /** `file:line` */
  readonly at: string
}

/** Reads a row that begins with `g`, or says in a sentence what is wrong with it. */
export function parseMembership({ fields, at }: Row): Result<Membership, string> {
  const [member = '', role = ''] = fields
  if (fields.length !== 2) return fail(`${fields.length + 1} columns instead of 3: g, member, role`)
  const wrong = wrongSubject(member) ?? wrongSubject(role)
  if (wrong !== null) return fail(wrong)
  if (!role.startsWith('role:')) return fail(`"${role}" is not a role: write role:<name>`)
  return ok({ member, role, at })
}

/** For every member, all of its roles, each with the way there: `[role:a, role:b]` where b was inherited through a. */
export type RolesOf = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>

/** Follows memberships to their ends. A circle, or a way longer than the limit, is an error with its place. */
export function expandRoles(memberships: readonly Membership[]): Result<RolesOf, readonly string[]> {
  const direct = new Map<string, Membership[]>()
  for (const one of memberships) direct.set(one.member, [...(direct.get(one.member) ?? []), one])
  const problems = new Set<string>()
  const rolesOf = new Map<string, ReadonlyMap<string, readonly string[]>>()
  for (const member of direct.keys()) {
    const found = new Map<string, readonly string[]>()
    const follow = (subject: string, way: readonly string[]): void => {
      for (const { role, at } of direct.get(subject) ?? []) {
        if (role === member || way.includes(role)) {
          problems.add(`${at}: ${role} is a member of itself (${[...way, role].join(' → ')}): take one row out`)
        } else if (way.length >= maxRoleDepth) {
          problems.add(`${at}: roles are nested more than ${maxRoleDepth} deep: grant to a role directly`)
        } else if (!found.has(role)) {
          found.set(role, [...way, role])
          follow(role, [...way, role])
        }
      }
    }
    follow(member, [])
    rolesOf.set(member, found)
  }
  return problems.size > 0 ? fail([...problems]) : ok(rolesOf)
}
