import type { JWTPayload } from 'jose'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import type { Identity } from './identity.ts'
import type { IssuerOptions } from './issuer.ts'
import { maxGroups, maxSubjectLength } from './limits.ts'

/** How an issuer's claims are read. */
export type ClaimMapping = Pick<
  IssuerOptions,
  'issuer' | 'groupsClaim' | 'groupPrefix' | 'nameClaim' | 'clockTolerance'
>

/** What claims say about a person. */
export type Person = Pick<Identity, 'issuer' | 'subject' | 'name' | 'groups'>

/** Reads verified claims as a person, or says in a sentence why they are none. `clock` is in milliseconds. */
export function readIdentity(claims: JWTPayload, mapping: ClaimMapping, clock: () => number): Result<Person, string> {
  const { sub, iat } = claims
  const { issuer, groupsClaim, groupPrefix, nameClaim, clockTolerance } = mapping
  if (typeof sub !== 'string' || sub === '' || sub.length > maxSubjectLength) {
    return fail(`the token's sub must have 1 to ${maxSubjectLength} characters`)
  }
  if (typeof iat === 'number' && iat * 1000 > clock() + clockTolerance * 1000) {
    return fail("the token's iat lies in the future: compare the clocks")
  }
  if (hasOverage(claims, groupsClaim)) return fail(overage)
  const groups = readGroups(claims, groupsClaim)
  if (groups === null || groups.length > maxGroups) {
    return fail(`the token's claim ${groupsClaim} is not a list of at most ${maxGroups} strings`)
  }
  const name = readName(claims, nameClaim)
  return ok({ issuer, subject: sub, name, groups: groups.map((group) => groupPrefix + group) })
}

const overage =
  'the token does not list your groups because they are too many (Entra ID leaves them out above 200): ' +
  'ask the operator to emit only "groups assigned to the application", or app roles'

/** Entra ID then points at the Graph API instead: `_claim_names` for tokens by POST, `hasgroups` for others. */
function hasOverage(claims: JWTPayload, groupsClaim: string): boolean {
  const elsewhere = claims['_claim_names']
  const named = typeof elsewhere === 'object' && elsewhere !== null && Object.hasOwn(elsewhere, groupsClaim)
  return (named || claims['hasgroups'] === true) && readClaim(claims, groupsClaim) === undefined
}

/**
 * Reads a claim by name, or by JSON pointer (RFC 6901) where the path begins with `/`.
 * Returns undefined where it is not there. Own properties only.
 */
export function readClaim(claims: JWTPayload, path: string): unknown {
  if (!path.startsWith('/')) return Object.hasOwn(claims, path) ? claims[path] : undefined
  let value: unknown = claims
  for (const step of path.slice(1).split('/')) {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = Reflect.get(value, key)
  }
  return value
}

/**
 * The groups in a claim: a list of strings, or one string. Absent means no groups.
 * Returns null for any other shape: guessing at groups would be guessing at rights.
 */
export function readGroups(claims: JWTPayload, path: string): readonly string[] | null {
  const value = readClaim(claims, path)
  if (value === undefined) return []
  if (typeof value === 'string') return [value]
  if (Array.isArray(value) && value.every((group) => typeof group === 'string')) return value
  return null
}

/** A name for people to read: the configured claim, or the first of the usual ones that is there, else the subject. */
export function readName(claims: JWTPayload, nameClaim?: string): string {
  for (const claim of nameClaim === undefined ? ['email', 'preferred_username', 'name'] : [nameClaim]) {
    const value = readClaim(claims, claim)
    if (typeof value === 'string' && value !== '') return value
  }
  return String(claims.sub)
}
