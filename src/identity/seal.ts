import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { EncryptJWT, errors, jwtDecrypt } from 'jose'
import type { JWTPayload } from 'jose'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'

/** What is sealed. Each has keys of its own, so that one can never be taken for another. */
export type Purpose = 'session' | 'login'

/** Seals what a browser keeps for us: it can neither read nor change it. */
export interface Sealer {
  /** `until` is in milliseconds; after it, the seal does not open. */
  seal(purpose: Purpose, content: JWTPayload, until: number): Promise<string>
  open(purpose: Purpose, sealed: string): Promise<Result<JWTPayload, 'expired' | 'unreadable'>>
  /** A code that only we can make, to be sent back with a form. */
  code(text: string): string
  isCode(text: string, code: string): boolean
}

interface Keys {
  readonly kid: string
  readonly session: Uint8Array
  readonly login: Uint8Array
  readonly form: Uint8Array
}

/**
 * A ring of keys out of secrets: the first seals, all open, so that a new first one replaces an old one without ending
 * anything. JWE (RFC 7516) with `dir` and A256GCM. Each seal has a random IV of 96 bits: change the first key before
 * some 2^32 seals (NIST SP 800-38D §8.3), which is a hundred a second for a year.
 */
export function openSealer(secrets: readonly Uint8Array[], clock: () => number): Sealer {
  const ring = secrets.map(deriveKeys)
  const [first] = ring
  if (first === undefined) throw new Error('there is no key to seal with')
  const byId = new Map(ring.map((keys) => [keys.kid, keys]))
  return {
    seal: (purpose, content, until) =>
      new EncryptJWT(content)
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: first.kid })
        .setExpirationTime(Math.floor(until / 1000))
        .encrypt(first[purpose]),
    async open(purpose, sealed) {
      if (!isCanonical(sealed)) return fail('unreadable')
      const find = ({ kid }: { kid?: string }): Uint8Array => {
        const keys = byId.get(kid ?? '')
        if (keys === undefined) throw new errors.JWEDecryptionFailed()
        return keys[purpose]
      }
      try {
        const { payload } = await jwtDecrypt(sealed, find, {
          keyManagementAlgorithms: ['dir'],
          contentEncryptionAlgorithms: ['A256GCM'],
          requiredClaims: ['exp'],
          currentDate: new Date(clock()),
        })
        return ok(payload)
      } catch (error) {
        return fail(error instanceof errors.JWTExpired ? 'expired' : 'unreadable')
      }
    },
    code: (text) => codeOf(first, text),
    isCode: (text, code) => ring.map((keys) => isSame(codeOf(keys, text), code)).includes(true),
  }
}

/** Compares two texts in a time that says nothing about where they differ. */
export function isSame(one: string, other: string): boolean {
  return timingSafeEqual(digest(one), digest(other))
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

const codeOf = ({ form }: Keys, text: string): string => createHmac('sha256', form).update(text).digest('base64url')

/** RFC 5869: one secret gives keys that say nothing about one another. */
function deriveKeys(secret: Uint8Array): Keys {
  const derive = (info: string, length: number): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(), `bailiwick ${info} v1`, length))
  return {
    kid: Buffer.from(derive('kid', 8)).toString('base64url'),
    session: derive('session', 32),
    login: derive('login', 32),
    form: derive('form', 32),
  }
}

/** The last character of base64 has bits that a decoder drops; a seal has one spelling only. */
const isCanonical = (sealed: string): boolean =>
  sealed.split('.').every((part) => Buffer.from(part, 'base64url').toString('base64url') === part)
