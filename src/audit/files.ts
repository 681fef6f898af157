import {
  constants,
  link,
  mkdir,
  open,
  readFile,
  readdir,
  rename,
  stat,
  statfs,
  unlink,
  type FileHandle,
} from 'node:fs/promises'

/** What tells one file from another, whatever its name, and how long it is. */
export interface FileFacts {
  readonly device: bigint
  readonly inode: bigint
  readonly size: number
}

/** The room of a volume, in bytes. */
export interface VolumeFacts {
  readonly total: number
  readonly free: number
  /** What of it the gateway's user can have. */
  readonly available: number
}

/** An open file. Every operation may reject with a system error, or never return. */
export interface OpenFile {
  /** Writes from `offset` on; answers how many bytes were taken, which can be fewer than given without an error. */
  write(bytes: Uint8Array, offset: number): Promise<number>
  /** fdatasync(2). */
  datasync(): Promise<void>
  facts(): Promise<FileFacts>
  /** Fills `into` from `position` on; answers how many bytes were read. */
  read(into: Uint8Array, position: number): Promise<number>
  close(): Promise<void>
}

/** The file operations of this room, so that tests can make each of them fail. */
export interface Files {
  /** A new file for appending, mode 600; rejects when the name exists (O_CREAT|O_EXCL|O_APPEND). */
  create(path: string): Promise<OpenFile>
  open(path: string): Promise<OpenFile>
  /** A file for appending, made (mode 600) where there is none. */
  append(path: string): Promise<OpenFile>
  facts(path: string): Promise<FileFacts>
  /** Bytes of the volume that a file takes: fewer than its size where it has holes. */
  allocated(path: string): Promise<number>
  /** statfs(2) on the volume of a directory. */
  space(dir: string): Promise<VolumeFacts>
  /** The names in a directory. */
  list(dir: string): Promise<readonly string[]>
  /** Makes a directory of mode 700 and those above it; answers the topmost one made, if any. */
  makeDir(dir: string): Promise<string | undefined>
  /** fsync(2) on a directory, which makes the names in it durable. */
  syncDir(dir: string): Promise<void>
  readText(path: string): Promise<string>
  link(existing: string, added: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
}

function asOpenFile(handle: FileHandle): OpenFile {
  return {
    write: async (bytes, offset) => (await handle.write(bytes, offset, bytes.length - offset, null)).bytesWritten,
    datasync: () => handle.datasync(),
    facts: async () => asFacts(await handle.stat({ bigint: true })),
    read: async (into, position) => (await handle.read(into, 0, into.length, position)).bytesRead,
    close: () => handle.close(),
  }
}

// 64-bit inode numbers (overlayfs, XFS) do not fit a double.
const asFacts = (found: { dev: bigint; ino: bigint; size: bigint }): FileFacts => ({
  device: found.dev,
  inode: found.ino,
  size: Number(found.size),
})

const { O_RDWR, O_WRONLY, O_CREAT, O_EXCL, O_APPEND } = constants

/** The operations of the system Node runs on. */
export const nodeFiles: Files = {
  create: async (path) => asOpenFile(await open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0o600)),
  open: async (path) => asOpenFile(await open(path, 'r')),
  append: async (path) => asOpenFile(await open(path, O_RDWR | O_CREAT | O_APPEND, 0o600)),
  facts: async (path) => asFacts(await stat(path, { bigint: true })),
  // stat(2) counts in 512 bytes, whatever the volume does.
  allocated: async (path) => (await stat(path)).blocks * 512,
  space: async (dir) => {
    const { blocks, bfree, bavail, bsize } = await statfs(dir)
    return { total: blocks * bsize, free: bfree * bsize, available: bavail * bsize }
  },
  list: (dir) => readdir(dir),
  makeDir: (dir) => mkdir(dir, { recursive: true, mode: 0o700 }),
  syncDir: async (dir) => {
    const handle = await open(dir, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
  readText: (path) => readFile(path, 'utf8'),
  link,
  rename,
  remove: unlink,
}
