import { randomUUID } from 'node:crypto'
import { appendFile, cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { compressSegment } from '../../src/audit/compress.ts'
import { nodeFiles } from '../../src/audit/files.ts'
import type { Files } from '../../src/audit/files.ts'
import { generateKeyPair, readSigningKey } from '../../src/audit/keys.ts'
import type { SigningKey } from '../../src/audit/keys.ts'
import { openAuditLog } from '../../src/audit/log.ts'
import type { AuditLog } from '../../src/audit/log.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import type { VerifyReport } from '../../src/audit/verify-report.ts'

/** The files of an audit directory by name, and what the second place holds: to be damaged in memory, thousands of times. */
export interface Archive {
  readonly files: ReadonlyMap<string, Buffer>
  readonly copy: Buffer
}

const dir = '/audit'
const copyPath = '/elsewhere/copy'

export const newSigningKey = (): SigningKey => readSigningKey(generateKeyPair().privatePem)

/** The names in it with this ending, in order. */
export const namesIn = ({ files }: Archive, ending: string): readonly string[] =>
  [...files.keys()].filter((name) => name.endsWith(ending)).toSorted()

/** The archive with this file changed; `null`: without it. */
export function withFile({ files, copy }: Archive, name: string, bytes: Buffer | null): Archive {
  const changed = new Map(files)
  if (bytes === null) changed.delete(name)
  else changed.set(name, bytes)
  return { files: changed, copy }
}

/** Several changes, one after another. */
export const withFiles = (archive: Archive, changes: Readonly<Record<string, Buffer | null>>): Archive =>
  Object.entries(changes).reduce((changed, [name, bytes]) => withFile(changed, name, bytes), archive)

export const bytesIn = ({ files }: Archive, name: string): Buffer => {
  const bytes = files.get(name)
  if (bytes === undefined) throw Object.assign(new Error(`there is no ${name}`), { code: 'ENOENT' })
  return bytes
}

/** Lines with their newlines; a torn one is the last. */
export const linesOf = (bytes: Buffer): readonly string[] => bytes.toString('latin1').split(/(?<=\n)/)
export const joined = (lines: readonly string[]): Buffer => Buffer.from(lines.join(''), 'latin1')

/** The archive with this segment compressed. */
export async function withCompressed(archive: Archive, name: string): Promise<Archive> {
  const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-packed-'))
  try {
    await writeFile(join(scratch, name), bytesIn(archive, name))
    const done = await compressSegment(nodeFiles, scratch, name)
    if (!done.ok) throw new Error(done.error.reason)
    return withFiles(archive, { [name]: null, [`${name}.zst`]: await readFile(join(scratch, `${name}.zst`)) })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** What `verify` says of it. */
export async function verifyArchive(
  archive: Archive,
  { keys, copy = false, partial = false }: { keys: readonly SigningKey[] | null; copy?: boolean; partial?: boolean },
): Promise<VerifyReport> {
  const at = (path: string): Buffer => (path === copyPath ? archive.copy : bytesIn(archive, path.slice(dir.length + 1)))
  const files: Files = {
    ...nodeFiles,
    list: async () => [...archive.files.keys()],
    facts: async (path) => ({ device: 0n, inode: 0n, size: at(path).length }),
    readText: async (path) => at(path).toString(),
    open: async (path) => {
      const bytes = at(path)
      const never = () => Promise.reject(new Error('verify only reads'))
      const facts = async () => ({ device: 0n, inode: 0n, size: bytes.length })
      const read = async (into: Uint8Array, position: number): Promise<number> => bytes.copy(into, 0, position)
      return { write: never, datasync: never, facts, read, close: async () => {} }
    },
  }
  const report = await verifyLog({ dir, keys, copy: copy ? copyPath : null, partial, files })
  if (!report.ok) throw new Error(report.error)
  return report.value
}

/** A log's life, start after start. */
export interface History {
  /** Begins with what is in an archive. */
  put(archive: Archive): Promise<void>
  /** One start with this key: `write` is done, and then it is closed, or left as kill -9 leaves it. */
  start(
    keys: { readonly key: SigningKey | null; readonly previousKey?: SigningKey | null },
    write: (log: AuditLog) => Promise<void>,
    end?: 'sealed' | 'killed',
  ): Promise<void>
  archive(): Promise<Archive>
  remove(): Promise<void>
}

/** An empty one on disk. */
export async function newHistory(): Promise<History> {
  const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-history-'))
  let generation = 0
  let now = join(scratch, '0')
  const copyTo = join(scratch, 'copy')
  return {
    async put({ files, copy }) {
      await mkdir(now)
      for (const [name, bytes] of files) await writeFile(join(now, name), bytes)
      await writeFile(copyTo, copy)
    },
    async start({ key, previousKey = null }, write, end = 'sealed') {
      const checkpoints = { key, previousKey, copyTo, every: 10, idle: 60_000 }
      const log = openAuditLog({ dir: now, clock: () => new Date(), newId: randomUUID, checkpoints })
      await write(log)
      if (end === 'killed') {
        // What is on disk in the middle of its life is what a kill leaves, with a record half written.
        generation += 1
        const next = join(scratch, String(generation))
        const copied = await readFile(copyTo)
        await cp(now, next, { recursive: true, filter: (path) => !path.includes('owner.lock') })
        await log.seal()
        await writeFile(copyTo, copied)
        await appendFile(join(next, await lastSegment(next)), '{"v":1,"seq":')
        now = next
      } else await log.seal()
    },
    async archive() {
      const names = (await readdir(now)).filter((name) => name.startsWith('audit-'))
      const files = new Map<string, Buffer>()
      for (const name of names) files.set(name, await readFile(join(now, name)))
      return { files, copy: await readFile(copyTo) }
    },
    remove: () => rm(scratch, { recursive: true, force: true }),
  }
}

const lastSegment = async (dir: string): Promise<string> =>
  (await readdir(dir))
    .filter((name) => name.endsWith('.ndjson'))
    .toSorted()
    .at(-1) ?? ''

/** Keeps short records of these names, with a checkpoint after each but the last. */
export const writing =
  (...names: readonly string[]) =>
  async (log: AuditLog): Promise<void> => {
    for (const [index, name] of names.entries()) {
      const { last } = log.status().checkpoints ?? {}
      await log.append({ kind: 'policy.loaded', policy: `sha256:${name}`, replaced: null, source: name })
      while (index < names.length - 1 && log.status().checkpoints?.last?.number === last?.number) await sleep(2)
    }
  }
