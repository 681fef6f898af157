import type { Identity } from '../identity/identity.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { wrongSubject } from './rules.ts'
import { identityFor } from './subjects.ts'

/** Somebody made up, to ask the policy about, and the subjects by which they were described. */
export interface Somebody {
  readonly identity: Identity
  readonly subjects: readonly string[]
}

/**
 * Reads who is asked about: `group:a`, `user:<issuer>#<subject>` or `service:<subject>`, several with commas between them. A
 * comma that no such word follows belongs to the name: `group:CN=Team A,OU=x` is one group.
 */
export function readSomebody(texts: readonly string[]): Result<Somebody, string> {
  const subjects = texts.flatMap((text) => text.split(/,\s*(?=(?:group|user|service|role):)/))
  if (subjects.length === 0)
    return fail('nobody is named: write group:<name>, user:<issuer>#<subject> or service:<subject>')
  for (const subject of subjects) {
    const wrong = wrongSubject(subject)
    if (wrong !== null) return fail(wrong)
    if (subject.startsWith('role:')) return fail(`nobody is "${subject}" by themselves: name a member of it`)
  }
  const groups = subjects.filter((subject) => subject.startsWith('group:'))
  const [one, ...more] = subjects.filter((subject) => !subject.startsWith('group:'))
  if (more.length > 0) return fail(`"${one}" and "${more[0]}" are not one person`)
  if (one?.startsWith('service:') === true && groups.length > 0) {
    return fail(`"${one}" is a service, which has no groups`)
  }
  const identity = identityFor(one ?? '')
  return ok({ identity: { ...identity, groups: groups.map((group) => group.slice('group:'.length)) }, subjects })
}
