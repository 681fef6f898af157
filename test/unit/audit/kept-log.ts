/** Logs of several segments, and what retention does with them, for the tests beside this file. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { cp, mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext } from 'node:test'
import { nodeFiles, type Files, type OpenFile } from '../../../src/audit/files.ts'
import { generateKeyPair, readSigningKey, type SigningKey } from '../../../src/audit/keys.ts'
import { openAuditLog, type AuditLog } from '../../../src/audit/log.ts'
import { openRetention, type Retention, type RetentionParts } from '../../../src/audit/retention.ts'
import { verifyLog } from '../../../src/audit/verify.ts'
import type { Damage, VerifyReport } from '../../../src/audit/verify-report.ts'
import { decision, outcome, systemError, until } from './support.ts'

export const key = readSigningKey(generateKeyPair().privatePem)
export const otherKey = readSigningKey(generateKeyPair().privatePem)

const hour = 3_600_000
export const day = 24 * hour
/** When the first record of a test's log is written. */
export const begin = Date.UTC(2025, 0, 1)

/** A clock that tests set, and that goes on by a millisecond each time it is looked at. */
export interface TestClock {
  now: number
  readonly clock: () => Date
}

export function testClock(): TestClock {
  const state: TestClock = { now: begin, clock: () => new Date(state.now++) }
  return state
}

/** A log with signed checkpoints. `seal` it, or let the test do it. */
export function openSigned(
  dir: string,
  { clock }: TestClock,
  signing: { readonly key: SigningKey | null; readonly previousKey?: SigningKey } = { key },
  files: Files = nodeFiles,
  copyTo: string | null = null,
): AuditLog {
  const checkpoints = { key: signing.key, previousKey: signing.previousKey ?? null, copyTo, every: 5, idle: 60_000 }
  return openAuditLog({ dir, clock, newId: randomUUID, files, limits: { retryMs: 5 }, checkpoints })
}

/** One start of a gateway: a few records, sealed in good order. */
export async function oneStart(dir: string, time: TestClock, requests: readonly string[], copy: string | null = null) {
  const log = openSigned(dir, time, { key }, nodeFiles, copy)
  for (const request of requests) {
    assert.ok((await log.append(decision(request))).ok)
    log.note(outcome(request))
  }
  await log.seal()
}

/** A log of so many segments, a day apart; request `r3` stands in the fourth. */
export async function severalStarts(dir: string, time: TestClock, count: number, copy: string | null = null) {
  for (let n = 0; n < count; n++) {
    await oneStart(dir, time, [`r${n}`, `r${n}b`], copy)
    time.now = begin + (n + 1) * day
  }
}

const shared: string[] = []
after(() => Promise.all(shared.map((dir) => rm(dir, { recursive: true, force: true, maxRetries: 3 }))))

/** A directory that is gone when the tests of a file are over. */
export async function sharedDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'audit-kept-'))
  shared.push(dir)
  return dir
}

/** A copy of a directory that goes away with the test. */
export async function copyOf(t: TestContext, dir: string): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'audit-kept-'))
  t.after(() => rm(copy, { recursive: true, force: true, maxRetries: 3 }))
  await cp(dir, copy, { recursive: true })
  return copy
}

/** A gateway's log with its retention, as the program puts them together. */
export interface Kept {
  readonly log: AuditLog
  readonly retention: Retention
  /** Rounds, until all that may go is gone. */
  readonly sweep: () => Promise<void>
}

export function openKept(
  dir: string,
  time: TestClock,
  options: Partial<RetentionParts['options']>,
  parts: Partial<RetentionParts> = {},
): Kept {
  const log = openSigned(dir, time, { key: parts.key === undefined ? key : parts.key })
  const retention = openRetention({
    dir,
    files: nodeFiles,
    clock: time.clock,
    // As if the process had seen all of the time pass that the test's clock passes.
    uptime: () => time.now - begin,
    options: { keepMs: null, maxBytes: null, compress: false, hold: false, everyMs: hour, ...options },
    key,
    live: () => log.status().file,
    covered: () => log.covered(),
    record: (entry) => log.append(entry),
    told: () => {},
    ...parts,
  })
  const sweep = async (): Promise<void> => {
    await until(() => log.covered() !== null)
    await retention.round()
    const last = await log.append(decision(randomUUID()))
    assert.ok(last.ok)
    await until(() => (log.covered() ?? -1) >= (last.value?.seq ?? 0))
    await retention.round()
  }
  return { log, retention, sweep }
}

export async function verified(dir: string, keys: readonly SigningKey[] | null = [key], copy: string | null = null) {
  const report = await verifyLog({ dir, keys, copy, partial: false })
  assert.ok(report.ok, JSON.stringify(report))
  return report.value
}

export const damageIn = async (dir: string): Promise<Damage | null> => (await verified(dir)).damage

export const briefly = ({ damage }: VerifyReport): string =>
  damage === null ? 'whole' : `${damage.kind} ${damage.file}: ${damage.sentence}`

/** The names in a directory that end so, in order. */
export const named = async (dir: string, ending: string): Promise<readonly string[]> =>
  (await readdir(dir)).filter((name) => name.endsWith(ending)).toSorted()

/** Every file of a directory and its content. */
export async function contentOf(dir: string): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map<string, Buffer>()
  for (const name of (await readdir(dir)).toSorted()) found.set(name, await readFile(join(dir, name)))
  return found
}

/** File operations of which one kills the process: it and all that come later fail. */
export function mortal(killAt: number): { readonly files: Files; readonly steps: () => number } {
  let steps = 0
  const step = <T>(doing: () => Promise<T>): Promise<T> => {
    steps++
    return steps >= killAt ? Promise.reject(systemError('EIO')) : doing()
  }
  const wrap = (real: OpenFile): OpenFile => ({
    ...real,
    write: (bytes, offset) => step(() => real.write(bytes, offset)),
    datasync: () => step(() => real.datasync()),
  })
  const files: Files = {
    ...nodeFiles,
    create: (path) => step(async () => wrap(await nodeFiles.create(path))),
    syncDir: (dir) => step(() => nodeFiles.syncDir(dir)),
    rename: (from, to) => step(() => nodeFiles.rename(from, to)),
    remove: (path) => step(() => nodeFiles.remove(path)),
  }
  return { files, steps: () => steps }
}
