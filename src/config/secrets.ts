import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

/** The environment, as `process.env` has it. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A value with its secrets in place, and what could not be put there. */
export interface WithSecrets {
  readonly value: unknown
  /** A sentence each, beginning with the key. */
  readonly problems: readonly string[]
  /** The files behind the values, by setting (`clusters[0].prometheus.bearerToken`), for whoever reads one again. */
  readonly files: SecretFiles
}

/** Absolute paths by setting. */
export type SecretFiles = ReadonlyMap<string, string>

/** Stands where a secret could not be had, so that the rest of the file can still be checked. */
export const missingSecret = 'missing'

interface Context {
  readonly base: string
  readonly environment: Environment
  readonly problems: string[]
  readonly files: Map<string, string>
}

/**
 * Puts secrets in place: `${NAME}` in any text becomes the environment variable's value, and `key_file: path` becomes
 * `key:` with the content of the file (a last line break dropped; a relative path is relative to `base`). A file's
 * content is taken to the letter: `${NAME}` in it means nothing.
 */
export function putSecrets(value: unknown, base: string, environment: Environment): WithSecrets {
  const context: Context = { base, environment, problems: [], files: new Map() }
  return { value: put(value, '', context), problems: context.problems, files: context.files }
}

function put(value: unknown, at: string, context: Context): unknown {
  if (typeof value === 'string') return fillVariables(value, at, context)
  if (Array.isArray(value)) return value.map((item, index) => put(item, `${at}[${index}]`, context))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, inner]): [string, unknown] => {
    const path = at === '' ? key : `${at}.${key}`
    const filled = put(inner, path, context)
    if (!/._file$/.test(key)) return [key, filled]
    const plain = key.slice(0, -'_file'.length)
    if (Object.hasOwn(value, plain)) {
      context.problems.push(`${path}: the setting is given twice, with and without _file: keep one`)
    }
    return [plain, readSecret(filled, path, context)]
  })
  return Object.fromEntries(entries)
}

function fillVariables(text: string, at: string, { environment, problems }: Context): string {
  return text.replaceAll(/\$\{([A-Za-z_]\w*)\}/g, (_, name: string) => {
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined
    if (value !== undefined) return value
    problems.push(`${at}: the environment variable ${name} is not set: set it, or write the value here`)
    return missingSecret
  })
}

function readSecret(written: unknown, at: string, { base, problems, files }: Context): string {
  if (typeof written !== 'string') {
    problems.push(`${at}: must be the path of a file`)
    return missingSecret
  }
  const file = resolve(base, written)
  files.set(at.slice(0, -'_file'.length), file)
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    // The error's own message has the path, where somebody may have written the secret itself.
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    problems.push(`${at}: the file cannot be read (${code}): check the path and its mode`)
    return missingSecret
  }
}
