import assert from 'node:assert/strict'
import { fork, spawnSync } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { nodeFiles, type FileFacts, type Files, type OpenFile, type VolumeFacts } from '../../../src/audit/files.ts'
import type { AuditLimits } from '../../../src/audit/limits.ts'
import { openAuditLog, type AuditLog, type AuditLogOptions, type Receipt } from '../../../src/audit/log.ts'
import type {
  DecisionEntry,
  OutcomeEntry,
  Parameter,
  PreviousSegment,
  UnreadSegment,
} from '../../../src/audit/record.ts'

// Hooks run in the order they were added, so one that seals after the directory is gone would make it anew.
const openLogs = new WeakMap<TestContext, AuditLog[]>()

const sealAll = (t: TestContext): Promise<unknown> => Promise.all((openLogs.get(t) ?? []).map((log) => log.seal()))

/** A directory that goes away with the test, after the logs in it are sealed. */
export async function tempDir(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'audit-test-'))
  t.after(async () => {
    await sealAll(t)
    await rm(dir, { recursive: true, force: true, maxRetries: 3 })
  })
  return dir
}

/** A volume of its own in memory, so large; `null`, and the test is skipped, where none can be mounted. */
export async function smallVolume(t: TestContext, bytes: number): Promise<string | null> {
  const dir = await mkdtemp(join(tmpdir(), 'audit-volume-'))
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', dir], {
    encoding: 'utf8',
  })
  t.after(async () => {
    await sealAll(t)
    if (status === 0) assert.equal(spawnSync('umount', [dir]).status, 0, 'the volume could not be unmounted')
    await rmdir(dir)
  })
  if (status === 0) return dir
  t.skip(`no volume can be mounted here: ${stderr?.trim() ?? 'there is no mount command'}`)
  return null
}

/** A log with short retries, sealed when the test ends (for a test that has a `tempDir` or a `smallVolume`). */
export function openLog(
  t: TestContext,
  dir: string,
  limits: Partial<AuditLimits> = {},
  files: Files = nodeFiles,
  options: Partial<AuditLogOptions> = {},
): AuditLog {
  const log = openAuditLog({
    dir,
    clock: () => new Date(),
    newId: randomUUID,
    limits: { retryMs: 5, ...limits },
    files,
    ...options,
  })
  openLogs.set(t, [...(openLogs.get(t) ?? []), log])
  return log
}

/** The receipt of a record that must be on stable storage. */
export function kept(result: Awaited<ReturnType<AuditLog['append']>>): Receipt {
  assert.ok(result.ok, 'the record was refused')
  assert.ok(result.value !== null, 'the record was not kept')
  return result.value
}

/** Polls a condition; the runner's own timeout ends a wait in vain. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(2)
}

export function decision(request: string, query = 'up'): DecisionEntry {
  return {
    kind: 'decision',
    request,
    received: '2025-11-21T08:00:00.000Z',
    who: { issuer: 'https://id.example', subject: 'u-1', name: 'Ada', groups: ['payments'], via: 'bearer' },
    from: { peer: '127.0.0.1', userAgent: 'curl/8' },
    claimed: { 'x-dashboard-uid': 'abc' },
    cluster: 'east',
    method: 'GET',
    endpoint: '/api/v1/query',
    path: '/api/v1/query',
    asked: [['query', query]],
    sent: [{ path: '/api/v1/query', params: [['query', `${query}{namespace="payments"}`]] }],
    decision: 'allow',
    because: ['rules.csv:3'],
    scope: 'namespace=payments',
    policy: 'sha256:1234',
  }
}

export const outcome = (request: string): OutcomeEntry => ({
  kind: 'outcome',
  request,
  status: 200,
  ms: 3,
  bytes: 42,
  ended: 'complete',
})

export async function segments(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => name.startsWith('audit-')).toSorted()
}

/** A record as these tests look at it. */
export interface Line {
  readonly seq: number
  readonly ts: string
  readonly log: string
  readonly boot: string
  readonly kind: string
  readonly chain: string
  readonly request?: string
  readonly records?: number
  readonly lost?: number
  readonly mode?: string
  readonly state?: string
  readonly used?: number
  readonly decision?: string
  readonly asked?: readonly Parameter[]
  readonly sent?: DecisionEntry['sent']
  readonly truncated?: readonly string[]
  readonly previous?: PreviousSegment | null
  readonly unread?: readonly UnreadSegment[]
}

export function parseLine(text: string): Line {
  const line: Line = JSON.parse(text)
  return line
}

/** The whole lines of a segment as JSON. */
export async function linesOf(path: string): Promise<Line[]> {
  const text = await readFile(path, 'utf8')
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1)
    .map(parseLine)
}

/** The records of all segments, in order. */
export async function allLines(dir: string): Promise<Line[]> {
  const names = (await segments(dir)).filter((name) => name.endsWith('.ndjson'))
  return (await Promise.all(names.map((name) => linesOf(join(dir, name))))).flat()
}

export const soleSegment = async (dir: string): Promise<string> => join(dir, (await segments(dir))[0] ?? 'none')

/**
 * Checks a segment from its bytes alone, as `docs/audit-record.md` describes it and independently of the code under test.
 * Answers the first thing wrong, or `null`.
 */
export function firstProblem(bytes: Buffer): string | null {
  let previous = '0'.repeat(64)
  let start = 0
  let sealed = false
  for (let number = 1; start < bytes.length; number++) {
    const end = bytes.indexOf(0x0a, start)
    if (end < 0) return `line ${number} is torn`
    const line = bytes.subarray(start, end)
    const body = line.subarray(0, -76)
    const sum = createHash('sha256').update(`${previous}\n`).update(body).digest('hex')
    if (!line.equals(Buffer.concat([body, Buffer.from(`,"chain":"${sum}"}`)]))) return `line ${number} breaks the chain`
    sealed = parseLine(line.toString()).kind === 'log.sealed'
    previous = sum
    start = end + 1
  }
  return sealed ? null : 'not sealed'
}

export const systemError = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code })

/** Operations of segments that a test can replace while the log runs; `null` leaves them alone. */
export interface Faults {
  write: ((real: OpenFile, bytes: Uint8Array, offset: number) => Promise<number>) | null
  datasync: ((real: OpenFile) => Promise<void>) | null
  create: (() => Promise<never>) | null
  facts: ((path: string) => Promise<FileFacts>) | null
  makeDir: (() => Promise<never>) | null
  syncDir: (() => Promise<never>) | null
  space: (() => Promise<VolumeFacts>) | null
  datasyncs: number
}

/** The system's file operations with faults in front; those on the lock and the reserved file stay real. */
export function faulty(): { files: Files; faults: Faults } {
  const faults: Faults = {
    write: null,
    datasync: null,
    create: null,
    facts: null,
    makeDir: null,
    syncDir: null,
    space: null,
    datasyncs: 0,
  }
  const files: Files = {
    ...nodeFiles,
    create: async (path) => {
      if (path.includes('owner.lock') || path.endsWith('/reserve')) return nodeFiles.create(path)
      if (faults.create !== null) return faults.create()
      const real = await nodeFiles.create(path)
      return {
        ...real,
        write: (bytes, offset) => faults.write?.(real, bytes, offset) ?? real.write(bytes, offset),
        datasync: () => {
          faults.datasyncs++
          return faults.datasync?.(real) ?? real.datasync()
        },
      }
    },
    facts: (path) => faults.facts?.(path) ?? nodeFiles.facts(path),
    makeDir: (dir) => faults.makeDir?.() ?? nodeFiles.makeDir(dir),
    syncDir: (dir) => faults.syncDir?.() ?? nodeFiles.syncDir(dir),
    space: (dir) => faults.space?.() ?? nodeFiles.space(dir),
  }
  return { files, faults }
}

/** A process of its own that appends without pause, and tells which requests were acknowledged, in order. */
export interface Writer {
  readonly acknowledged: readonly string[]
  /** Kills it with SIGKILL and waits until the system has forgotten it. */
  kill(): Promise<void>
}

export function startWriter(t: TestContext, dir: string, stderr: 'inherit' | 'ignore' = 'inherit'): Writer {
  const script = join(import.meta.dirname, 'writer.ts')
  const acknowledged: string[] = []
  const child = fork(script, [dir], { stdio: ['ignore', 'ignore', stderr, 'ipc'], execArgv: [] })
  const gone = once(child, 'exit')
  child.on('message', (batch) => {
    if (Array.isArray(batch)) acknowledged.push(...batch.map(String))
  })
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await gone
  }
  t.after(kill)
  return { acknowledged, kill }
}
