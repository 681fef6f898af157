import { watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { followLinks, readLinkOfDisk } from './links.ts'

/** Watches files and the links that lead to them. */
export interface FileWatch {
  /** Looks up anew where the files are. One call at a time; never rejects. */
  update(): Promise<void>
  close(): void
}

/** Directories in which something can happen to the files, each with the names that matter there. */
type Places = ReadonlyMap<string, ReadonlySet<string>>

/**
 * Calls `changed` when the system says that something happened to one of the files: written, replaced, or another link on
 * the way to it. The system can be silent about true changes (network file systems are) and speak where there are none.
 * `failed` is told, once for each reason, why it does not speak at all.
 */
export function watchFiles(paths: readonly string[], changed: () => void, failed: (reason: string) => void): FileWatch {
  const watchers = new Map<string, { readonly watcher: FSWatcher; readonly inode: bigint }>()
  const told = new Set<string>()
  let places: Places = new Map()
  let closed = false

  function stop(dir: string): void {
    watchers.get(dir)?.watcher.close()
    watchers.delete(dir)
  }
  function begin(dir: string, inode: bigint): void {
    try {
      const watcher = watch(dir, { persistent: false }, (_, name) => {
        if (name === null || places.get(dir)?.has(name) === true) changed()
      })
      watcher.on('error', () => stop(dir))
      watchers.set(dir, { watcher, inode })
    } catch (error) {
      // Gone since it was looked up: that is a change, and is told of as one.
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
      const reason = error instanceof Error ? error.message : String(error)
      if (!told.has(reason)) failed(reason)
      told.add(reason)
    }
  }
  return {
    async update() {
      places = await placesOf(paths)
      for (const dir of watchers.keys()) if (!places.has(dir)) stop(dir)
      for (const dir of places.keys()) {
        const inode = await inodeOf(dir)
        const known = watchers.get(dir)
        // A directory that took the place of another is not watched yet.
        if (known !== undefined && known.inode !== inode) stop(dir)
        if (!closed && inode !== null && !watchers.has(dir)) begin(dir, inode)
      }
    },
    close() {
      closed = true
      for (const dir of watchers.keys()) stop(dir)
    },
  }
}

async function placesOf(paths: readonly string[]): Promise<Places> {
  const places = new Map<string, Set<string>>()
  for (const written of paths) {
    const { links, path } = await followLinks(written, readLinkOfDisk)
    for (const place of [...links, await missingOf(path)]) {
      const dir = dirname(place)
      // What happens to the directory itself comes under its own name.
      const names = places.get(dir) ?? new Set([basename(dir)])
      places.set(dir, names.add(basename(place)))
    }
  }
  return places
}

/** The file, or the uppermost directory on the way to it that is not there. */
async function missingOf(path: string): Promise<string> {
  const dir = dirname(path)
  return dir === path || (await inodeOf(dir)) !== null ? path : missingOf(dir)
}

const inodeOf = (path: string): Promise<bigint | null> =>
  stat(path, { bigint: true }).then(
    ({ ino }) => ino,
    () => null,
  )
