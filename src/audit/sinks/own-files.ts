import { readFile } from 'node:fs/promises'

/** A secret, and the file it is in where that is read again for each use: Kubernetes renews them. */
export interface FollowedSecret {
  readonly value: string | undefined
  /** Absolute. */
  readonly file: string | undefined
}

/**
 * The secret as it is at this moment. A file that cannot be read, or holds nothing usable, changes nothing: what was read
 * before stays in use.
 */
export function followSecret(
  { value, file }: FollowedSecret,
  isUsable: (text: string) => boolean,
): () => Promise<string | undefined> {
  let now = value
  return async () => {
    if (file === undefined) return now
    try {
      // As at start: without one line break at its end.
      const text = (await readFile(file, 'utf8')).replace(/\r?\n$/, '')
      if (isUsable(text)) now = text
    } catch {
      // A request that fails because of it says so.
    }
    return now
  }
}
