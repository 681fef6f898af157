import type { JWTPayload } from 'jose'

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

/** A name for people to read: the first of the usual claims that is there, else the subject. */
export function readName(claims: JWTPayload): string {
  for (const claim of ['email', 'preferred_username', 'name']) {
    const value = claims[claim]
    if (typeof value === 'string' && value !== '') return value
  }
  return String(claims.sub)
}
