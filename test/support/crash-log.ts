import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { generateKeyPair, readSigningKey } from '../../src/audit/keys.ts'
import type { SegmentDeletedEntry } from '../../src/audit/record.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import type { VerifyReport } from '../../src/audit/verify-report.ts'
import { keptRecords, randomNumbers, unexplained } from './crash.ts'

/** What came of killing a writer again and again. */
export interface LogCrashes {
  readonly rounds: number
  /** Records of which the writer had said that they are kept. */
  readonly acknowledged: number
  /** The same in the round in which they were most. */
  readonly most: number
  readonly records: number
  readonly tornTails: number
  /** Segments that are compressed, and those of which only a tombstone is left. */
  readonly compressed: number
  readonly deleted: number
  /** Those that are not in the log, or not under the number of their receipt. */
  readonly lost: readonly string[]
  readonly report: VerifyReport
  readonly unexplained: readonly string[]
  /** Writers that ended by themselves, and what they said. */
  readonly failures: readonly string[]
}

export interface LogCrashOptions {
  readonly rounds: number
  readonly seed: number
  /** Records that are on their way at once. */
  readonly lanes: number
  /** The longest time from the first acknowledgement to the kill, in milliseconds. */
  readonly longest: number
  /** After how many bytes a new segment is begun. */
  readonly rotateBytes: number
  /** How much is kept: the oldest segments are deleted. */
  readonly maxBytes: number
}

const script = fileURLToPath(new URL('crash-writer.ts', import.meta.url))

/** Kills a writer at random moments, starts it again in the same directory, and looks for what it had acknowledged. */
export async function crashLog({
  rounds,
  seed,
  lanes,
  longest,
  rotateBytes,
  maxBytes,
}: LogCrashOptions): Promise<LogCrashes> {
  const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-crash-'))
  try {
    const dir = join(scratch, 'audit')
    const pair = generateKeyPair()
    const places = [dir, join(scratch, 'key'), join(scratch, 'copy')]
    await writeFile(join(scratch, 'key'), pair.privatePem, { mode: 0o600 })
    const random = randomNumbers(seed)
    const seen = new Set<string>()
    const deleted: Pick<SegmentDeletedEntry, 'first' | 'last'>[] = []
    const all = { acknowledged: 0, most: 0, lost: [] as string[], failures: [] as string[] }
    for (let round = 0; round < rounds; round += 1) {
      const { acknowledged, failure } = await killedWriter(
        [...places, String(lanes), String(rotateBytes), String(maxBytes)],
        random() * longest,
      )
      if (failure !== '') all.failures.push(`round ${round}: ${failure}`)
      all.acknowledged += acknowledged.size
      all.most = Math.max(all.most, acknowledged.size)
      const isNew = (segment: string): boolean => !seen.has(segment) && seen.add(segment).size > 0
      for await (const { kind, request, seq, line } of keptRecords(dir, isNew)) {
        if (kind === 'decision' && acknowledged.get(request) === seq) acknowledged.delete(request)
        if (kind === 'segment.deleted') deleted.push(JSON.parse(line))
      }
      const isDeleted = (seq: number): boolean => deleted.some(({ first, last }) => first.seq <= seq && seq <= last.seq)
      all.lost.push(...[...acknowledged].flatMap(([request, seq]) => (isDeleted(seq) ? [] : [request])))
    }
    const keys = [readSigningKey(pair.privatePem)]
    const report = await verifyLog({ dir, keys, copy: join(scratch, 'copy'), partial: false })
    if (!report.ok) throw new Error(report.error)
    const tornTails = report.value.remarks.filter(({ sentence }) => sentence.includes('a torn tail')).length
    const names = await readdir(dir)
    const ending = (end: string): number => names.filter((name) => name.endsWith(end)).length
    return {
      rounds,
      ...all,
      compressed: ending('.ndjson.zst'),
      deleted: ending('.tombstone'),
      records: report.value.records,
      tornTails,
      report: report.value,
      unexplained: unexplained(report.value),
    }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** One writer's life, with the numbers of the records that it said are kept. */
async function killedWriter(
  args: readonly string[],
  after: number,
): Promise<{ readonly acknowledged: Map<string, number>; readonly failure: string }> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  let [said, errors] = ['', '']
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk))
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (said += chunk))
  await Promise.race([once(child.stdout, 'data'), ended])
  await Promise.race([sleep(after), ended])
  const failure = child.exitCode === null ? '' : errors
  kill()
  await ended
  process.off('exit', kill)
  const lines = said.split('\n').slice(0, -1)
  return { acknowledged: new Map(lines.map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])])), failure }
}
