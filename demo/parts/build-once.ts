import { mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/**
 * Makes a directory that is either absent or complete. The work happens in a directory beside it, which takes the final
 * name in one rename; when another process was faster, its result stands and ours is dropped.
 * @param target the directory's final path
 * @param build fills the directory it is given; when it throws, nothing is left behind and the error goes on
 */
export async function buildOnce(target: string, build: (directory: string) => Promise<void>): Promise<void> {
  if (await exists(target)) return
  await mkdir(dirname(target), { recursive: true })
  const aside = await mkdtemp(join(dirname(target), `${basename(target)}.part-`))
  try {
    await build(aside)
    await rename(aside, target)
  } catch (error) {
    if (!(isTaken(error) && (await exists(target)))) throw error
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

// rename(2) onto a directory that is not empty says one or the other
function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOTEMPTY' || error.code === 'EEXIST')
}
