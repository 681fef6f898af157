import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { boundedFetch } from './fetch.ts'
import type { Fetch } from './fetch.ts'

/** How the gateway shows somebody who it is, and from which authority the other side's certificate must come. */
export interface OwnCredentials {
  /** PEM of a private authority. */
  readonly ca?: string | undefined
  /** Sent as a bearer token. */
  readonly bearerToken?: string | undefined
  /** Absolute paths of those of the above that are read again for each request: Kubernetes renews them. */
  readonly files?: Readonly<Partial<Record<Secret, string>>>
}
type Secret = 'ca' | 'bearerToken'

/** Does something with the credentials as they are at this moment. */
export type WithOwn = <T>(use: (fetch: Fetch) => Promise<T>) => Promise<T>

const secrets = ['ca', 'bearerToken'] as const
const usable: Readonly<Record<Secret, (text: string) => boolean>> = { ca: isCertificate, bearerToken: isToken }

/**
 * Follows the files. One that cannot be read, or that holds nothing usable, changes nothing: what was read before stays
 * in use, and where the request then fails, its error says so. No message holds a path or a file's content.
 */
export function followOwn({ files = {}, ...first }: OwnCredentials): WithOwn {
  const now: Partial<Record<Secret, string | undefined>> = first
  async function readAgain(name: Secret): Promise<string | null> {
    const file = files[name]
    if (file === undefined) return null
    try {
      // As at start: without one line break at its end.
      const text = (await readFile(file, 'utf8')).replace(/\r?\n$/, '')
      if (!usable[name](text)) return `${name}_file holds nothing that can be used`
      now[name] = text
      return null
    } catch (error) {
      return `${name}_file cannot be read (${error instanceof Error && 'code' in error ? String(error.code) : 'why?'})`
    }
  }
  return async (use) => {
    const problems = (await Promise.all(secrets.map(readAgain))).filter((problem) => problem !== null)
    try {
      return await use(boundedFetch(now))
    } catch (error) {
      if (problems.length === 0) throw error
      const message = error instanceof Error ? error.message : String(error)
      throw new Error(`${message} (${problems.join(', ')}: what was read before is in use)`, { cause: error })
    }
  }
}

/** An empty text would mean "none given" to Node, which then trusts every public authority. */
function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}

function isToken(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text)
}
