import type { Identity } from '../identity/identity.ts'
import { serviceIssuer } from './rules.ts'

/** Everybody that an identity is, as policy subjects: a service is itself and nothing else. */
export const subjectsOf = ({ issuer, subject, groups }: Identity): readonly string[] =>
  issuer === serviceIssuer
    ? [`service:${subject}`]
    : [`user:${issuer}#${subject}`, ...groups.map((group) => `group:${group}`)]

/** Somebody who is this subject and nothing else; for a role, which nobody is by itself, nobody. */
export function identityFor(subject: string): Identity {
  const nobody = { issuer: '', subject: '', name: '', groups: [], via: 'bearer' } as const
  if (subject.startsWith('group:')) return { ...nobody, groups: [subject.slice('group:'.length)] }
  if (subject.startsWith('service:')) {
    return { ...nobody, issuer: serviceIssuer, subject: subject.slice('service:'.length) }
  }
  if (!subject.startsWith('user:')) return nobody
  const [issuer = '', ...rest] = subject.slice('user:'.length).split('#')
  return { ...nobody, issuer, subject: rest.join('#') }
}
