import { join } from 'node:path'
import { fail, ok, type Result } from '../result.ts'
import { errorCode, ioFailure, type AuditFailure } from './failure.ts'
import type { Files } from './files.ts'
import { readSmall } from './tombstone.ts'

/** Nothing of the log is deleted, and why. */
export interface Hold {
  readonly by: string
  readonly because: string
  /** RFC 3339. */
  readonly since: string
}

/** The file that holds a log, in its directory. */
export const holdFile = 'legal-hold.json'

const mostBytes = 64 * 1024

/** The hold of a directory; `null`: there is none. One that cannot be read is a hold. Never rejects. */
export async function readHold(files: Files, dir: string, name = holdFile): Promise<Hold | null> {
  try {
    const { by, because, since }: Partial<Record<string, unknown>> = Object(
      JSON.parse(await readSmall(files, dir, name, mostBytes)),
    )
    if (typeof by === 'string' && typeof because === 'string' && typeof since === 'string') {
      return { by, because, since }
    }
    return unreadable(name, 'it does not say by whom, why and since when')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    return unreadable(name, error instanceof Error ? error.message : String(error))
  }
}

const unreadable = (name: string, why: string): Hold => ({
  by: 'unknown',
  because: `${name} cannot be read: ${why}`,
  since: 'unknown',
})

/** Puts a small file in place, whole or not at all, and durable. Rejects where that fails. */
export async function placeFile(files: Files, dir: string, name: string, text: string): Promise<void> {
  const draft = join(dir, `${name}.part`)
  await files.remove(draft).catch(() => undefined)
  const open = await files.create(draft)
  try {
    const bytes = Buffer.from(text)
    for (let offset = 0; offset < bytes.length;) {
      const taken = await open.write(bytes, offset)
      if (taken <= 0) throw new Error('the system took no bytes and gave no reason')
      offset += taken
    }
    await open.datasync()
  } finally {
    await open.close().catch(() => undefined)
  }
  await files.rename(draft, join(dir, name))
  await files.syncDir(dir)
}

/** Removes a file, durably; nothing where there is none. Rejects where that fails. */
export async function dropFile(files: Files, dir: string, name: string): Promise<void> {
  await files.remove(join(dir, name)).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error
  })
  await files.syncDir(dir)
}

/** Holds a log. Never rejects. */
export async function beginHold(files: Files, dir: string, hold: Hold): Promise<Result<Hold, AuditFailure>> {
  try {
    await placeFile(files, dir, holdFile, `${JSON.stringify(hold, null, 2)}\n`)
    return ok(hold)
  } catch (error) {
    return fail(ioFailure(`writing ${join(dir, holdFile)}`, error))
  }
}

/** Ends the hold of a log. Never rejects. */
export async function endHold(files: Files, dir: string): Promise<Result<null, AuditFailure>> {
  try {
    await dropFile(files, dir, holdFile)
    return ok(null)
  } catch (error) {
    return fail(ioFailure(`removing ${join(dir, holdFile)}`, error))
  }
}
