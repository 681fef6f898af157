import { X509Certificate, createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { SecureContext } from 'node:tls'

/** How the gateway shows a Prometheus who it is. The caller's own credentials are never part of it. */
export interface UpstreamAuth {
  /** Sent as `Authorization: Bearer …`. */
  readonly bearerToken?: string | undefined
  /** Sent as `Authorization: Basic …`. */
  readonly basic?: { readonly username: string; readonly password: string } | undefined
  readonly tls?: TlsOptions | undefined
  /** Whose data is asked for, where one Prometheus keeps several tenants' apart. */
  readonly tenant?: { readonly header: string; readonly value: string } | undefined
  /** Which of these came from files that are read again while the gateway runs. */
  readonly files?: FollowedFiles | undefined
}

interface TlsOptions {
  /** Certificates in PEM form; they alone are trusted then, not those that Node brings along. */
  readonly ca?: string | undefined
  /** The gateway's own certificate and its private key. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** The name that must be in the other side's certificate, where it is not the URL's host. */
  readonly serverName?: string | undefined
}

/** Absolute paths by setting. */
export type FollowedFiles = Readonly<Partial<Record<HeaderFile | TlsFile, string>>>
type HeaderFile = 'bearerToken' | 'basic.password'
type TlsFile = 'tls.ca' | 'tls.cert' | 'tls.key'

/** Takes a sentence for the log: what came of reading a file again. It holds no path and no content. */
export type Tell = (sentence: string) => void

/** What the gateway shows of itself at this moment. */
interface Credentials {
  headers(tell: Tell): Readonly<Record<string, string>>
  /** The same object for as long as nothing changed; null where TLS is as Node has it. */
  secureContext(tell: Tell): SecureContext | null
}

/** The credentials in force. Their files are read for each request: they are small, and a token may change any minute. */
export function openCredentials({ bearerToken, basic, tls, tenant, files = {} }: UpstreamAuth): Credentials {
  const secret: Contents = { bearerToken, 'basic.password': basic?.password }
  const material: Contents = { 'tls.ca': tls?.ca, 'tls.cert': tls?.cert, 'tls.key': tls?.key }
  const tenants = tenant === undefined ? {} : { [tenant.header.toLowerCase()]: tenant.value }
  const authorize = (contents: Contents): Readonly<Record<string, string>> => {
    const authorization = authorizationOf(contents, basic?.username ?? '')
    return { ...tenants, ...(authorization === null ? {} : { authorization }) }
  }
  return {
    headers: follow(secret, files, authorize),
    secureContext: follow(material, files, (contents) => (tls === undefined ? null : contextOf(contents))),
  }
}

/** What the settings hold, by setting. */
type Contents = Readonly<Partial<Record<keyof FollowedFiles, string | undefined>>>

/**
 * What is made of the first contents, and made anew once a file holds something else. A file that cannot be read, or
 * that holds nothing usable, changes nothing: the last good contents stay in use, and each reason is told once.
 */
function follow<Made>(first: Contents, files: FollowedFiles, make: (contents: Contents) => Made): (tell: Tell) => Made {
  let contents = first
  let made = make(first)
  let told: string | null = null
  function lookAgain(): string | null {
    try {
      const read = readAgain(contents, files)
      if (read !== null) made = make(read)
      contents = read ?? contents
      return null
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
  return (tell) => {
    const problem = lookAgain()
    if (problem !== told) {
      tell(problem === null ? 'its files can be used again' : `${problem}: what was read before stays in use`)
    }
    told = problem
    return made
  }
}

/** The contents with what their files hold now; null where that is the same. */
function readAgain(contents: Contents, files: FollowedFiles): Contents | null {
  const read = Object.entries(contents).map(([name, before]): readonly [string, string | undefined] => {
    const file: unknown = Reflect.get(files, name)
    return [name, typeof file === 'string' ? readText(file, name) : before]
  })
  const same = read.every(([name, now]) => now === Reflect.get(contents, name))
  return same ? null : Object.fromEntries(read)
}

function readText(file: string, name: string): string {
  try {
    // As at start: without one line break at its end.
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    // The error's own message has the path.
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw new Error(`${name}_file cannot be read (${code})`, { cause: error })
  }
}

function authorizationOf(contents: Contents, username: string): string | null {
  const { bearerToken, 'basic.password': password } = contents
  if (bearerToken !== undefined) {
    if (!/^[\x21-\x7e]+$/.test(bearerToken)) throw new Error('bearerToken_file holds no bearer token')
    return `Bearer ${bearerToken}`
  }
  if (password === undefined) return null
  if (!/^\P{Cc}+$/u.test(password)) throw new Error('basic.password_file holds no password')
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

function contextOf({ 'tls.ca': ca, 'tls.cert': cert, 'tls.key': key }: Contents): SecureContext {
  // Node takes an empty text for "not given", and would then trust every public authority.
  usable('tls.ca', ca, (pem) => new X509Certificate(pem))
  usable('tls.cert', cert, (pem) => new X509Certificate(pem))
  usable('tls.key', key, createPrivateKey)
  return createSecureContext({
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  })
}

function usable(name: keyof FollowedFiles, pem: string | undefined, read: (pem: string) => unknown): void {
  try {
    if (pem !== undefined) read(pem)
  } catch (error) {
    throw new Error(`${name}_file holds no PEM that can be used`, { cause: error })
  }
}
