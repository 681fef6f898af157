import { join } from 'node:path'
import { errorCode, ioFailure, type AuditFailure } from './failure.ts'
import type { Files } from './files.ts'
import { parseOwner, standingOf, type Owner, type Standing } from './owner.ts'

interface Refused {
  readonly lock: string
  readonly holder: Owner
  readonly standing: Standing
}

const lockOf = (dir: string): string => join(dir, 'owner.lock')
const maxTries = 8
const maxClaims = 2

/** Makes `me` the one writer of a directory; answers why not, or `null`. Idempotent; a dead owner's lock is taken over. */
export async function takeOwnership(files: Files, dir: string, me: Owner): Promise<AuditFailure | null> {
  const lock = lockOf(dir)
  try {
    const refused = await takeLock(files, lock, me, 0)
    return refused === null ? null : owned(dir, refused)
  } catch (error) {
    return ioFailure(`taking the audit directory ${dir} (${lock})`, error)
  }
}

/** Gives the directory up, if it is ours. Never rejects: a lock left behind names a dead process and is taken over. */
export async function releaseOwnership(files: Files, dir: string, me: Owner): Promise<void> {
  try {
    if ((await readOwner(files, lockOf(dir)))?.boot === me.boot) await files.remove(lockOf(dir))
  } catch {
    // The next start finds the lock of a dead process.
  }
}

/**
 * Between seeing a dead owner and replacing its lock, another process may do the same. So the right to replace is itself a
 * lock, under which the dead owner is looked for once more; should its holder die too, it is taken over the same way.
 */
async function takeLock(files: Files, lock: string, me: Owner, claims: number): Promise<Refused | null> {
  for (let tries = 0; tries < maxTries; tries++) {
    const holder = await readOwner(files, lock)
    if (holder === null) {
      if (await place(files, lock, me, 'link')) return null
      continue
    }
    const standing = await standingOf(holder, me)
    if (standing === 'mine') return null
    if (standing !== 'dead' || claims === maxClaims) return { lock, holder, standing }
    const claim = `${lock}.takeover`
    const refused = await takeLock(files, claim, me, claims + 1)
    if (refused !== null) return refused
    try {
      const still = await readOwner(files, lock)
      if (still?.boot === holder.boot && (await place(files, lock, me, 'rename'))) return null
    } finally {
      await files.remove(claim)
    }
  }
  throw new Error('the owner changed again and again')
}

/** Puts a lock in place, whole or not at all; answers false when `link` found one there. */
async function place(files: Files, lock: string, me: Owner, how: 'link' | 'rename'): Promise<boolean> {
  const draft = `${lock}.${me.boot}`
  await files.remove(draft).catch(() => undefined)
  const file = await files.create(draft)
  try {
    const bytes = Buffer.from(`${JSON.stringify(me)}\n`)
    if ((await file.write(bytes, 0)) !== bytes.length) throw Object.assign(new Error('short write'), { code: 'ENOSPC' })
    // Else a power cut could leave an empty lock that names nobody.
    await file.datasync()
    await files[how](draft, lock)
    return true
  } catch (error) {
    if (how === 'link' && errorCode(error) === 'EEXIST') return false
    throw error
  } finally {
    await file.close().catch(() => undefined)
    await files.remove(draft).catch(() => undefined)
  }
}

async function readOwner(files: Files, path: string): Promise<Owner | null> {
  try {
    return parseOwner(await files.readText(path))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

function owned(dir: string, { lock, holder, standing }: Refused): AuditFailure {
  const whom = `process ${holder.pid} on host "${holder.host}" (boot ${holder.boot})`
  if (standing === 'running') {
    const remedy = 'stop that gateway, or give this one a directory of its own'
    return { code: 'owned', reason: `the audit directory ${dir} belongs to ${whom}, which is running`, remedy }
  }
  const reason = `the audit directory ${dir} belongs to ${whom}, which cannot be looked up from here`
  return { code: 'owned', reason, remedy: `give this gateway its own directory; if that one is gone, remove ${lock}` }
}
