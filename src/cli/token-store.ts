import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Tokens } from '../identity/device.ts'
import type { CliClient } from '../identity/resource-metadata.ts'

/** A login, as it is kept. */
export interface KeptLogin {
  readonly client: CliClient
  readonly tokens: Tokens
}

/** Logins by the URL of their gateway. */
export type KeptLogins = Readonly<Record<string, KeptLogin>>

/** Why the file cannot be used, with the remedy. */
export class StoreError extends Error {}

/** Reads the logins; none where there is no file. Others must not be able to read it. */
export async function readLogins(file: string): Promise<KeptLogins> {
  let text: string
  try {
    const { mode } = await stat(file)
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new StoreError(`${file} can be read by others: chmod 600 it, and log in again if others may have read it`)
    }
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {}
    throw error
  }
  try {
    const logins: KeptLogins = JSON.parse(text)
    return logins
  } catch {
    throw new StoreError(`${file} is damaged: remove it and log in again`)
  }
}

/**
 * Changes the logins: one process at a time, since a refresh token may be good for one use only. The file is replaced as
 * a whole, with mode 600.
 */
export async function changeLogins<T>(
  file: string,
  change: (logins: KeptLogins) => Promise<{ readonly logins: KeptLogins; readonly value: T }>,
): Promise<T> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const lock = `${file}.lock`
  await takeLock(lock)
  try {
    const before = await readLogins(file)
    const { logins, value } = await change(before)
    if (logins !== before) await replace(file, JSON.stringify(logins, null, 2))
    return value
  } finally {
    await rm(lock, { force: true })
  }
}

async function replace(file: string, text: string): Promise<void> {
  const next = `${file}.${process.pid}`
  const handle = await open(next, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(next, file)
}

/** Longer than a refresh can take: whoever holds the lock still is dead. */
const staleAfter = 30_000

async function takeLock(lock: string): Promise<void> {
  for (;;) {
    try {
      await (await open(lock, 'wx', 0o600)).close()
      return
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    }
    const since = await stat(lock).then(
      ({ mtimeMs }) => mtimeMs,
      () => null,
    )
    if (since !== null && Date.now() - since > staleAfter) await rm(lock, { force: true })
    else await sleep(50)
  }
}
