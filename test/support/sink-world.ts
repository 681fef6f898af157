/** Sinks over an audit directory, with bounds that fit a test. */
import { rmSync } from 'node:fs'
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { compressSegment } from '../../src/audit/compress.ts'
import { nodeFiles } from '../../src/audit/files.ts'
import type { SinkFailedEntry, SinkResumedEntry } from '../../src/audit/record.ts'
import type { SinkLimits, SinkOptions, SinkStatus } from '../../src/audit/sinks/sink.ts'
import { openSinks, type OpenSinks, type Sinks } from '../../src/audit/sinks/sinks.ts'
import { TestLog } from './sink-log.ts'

export const quick: Partial<SinkLimits> = {
  batchRecords: 10,
  pollMs: 5,
  callMs: 1_500,
  retryMs: 5,
  retryCapMs: 50,
  requiredRetryCapMs: 20,
  cursorMs: 0,
  failuresToRecord: 2,
  patience: 4,
}

export class SinkWorld {
  readonly log: TestLog
  /** What the sinks put on record. */
  readonly recorded: (SinkFailedEntry | SinkResumedEntry)[] = []
  readonly told: SinkStatus[] = []
  #open: Sinks[] = []

  private constructor(dir: string) {
    this.log = new TestLog(dir)
  }

  /** Its directory goes away with the test, after its sinks have stopped. */
  static async make(t: TestContext): Promise<SinkWorld> {
    const dir = await mkdtemp(join(tmpdir(), 'bailiwick-sinks-'))
    const world = new SinkWorld(dir)
    t.after(async () => {
      await world.stop()
      rmSync(dir, { recursive: true, force: true, maxRetries: 3 })
    })
    return world
  }

  get dir(): string {
    return this.log.dir
  }

  open(to: SinkOptions['to'], more: Partial<OpenSinks> & { readonly required?: boolean } = {}): Sinks {
    const { required = false, limits = {}, ...rest } = more
    const sinks = openSinks({
      dir: this.dir,
      clock: () => new Date(),
      options: [{ name: 'second', required, to }],
      durable: this.log.durable,
      record: (entry) => Promise.resolve(this.recorded.push(entry)),
      told: (status) => void this.told.push(status),
      limits: { ...quick, ...limits },
      ...rest,
    })
    this.#open.push(sinks)
    return sinks
  }

  /** Compresses one of the segments, as the gateway does in time. */
  async compress(index: number): Promise<void> {
    const done = await compressSegment(nodeFiles, this.dir, this.log.segments[index] ?? '')
    if (!done.ok) throw new Error(done.error.reason)
  }

  async stop(): Promise<void> {
    await Promise.all(this.#open.map((sinks) => sinks.stop()))
    this.#open = []
  }

  /** The lines of `sinks/second.refused`. */
  async refused(): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const text = await readFile(join(this.dir, 'sinks/second.refused'), 'utf8').catch(() => '')
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => Object(JSON.parse(line)))
  }
}

/** Whether the only sink has taken everything there is. */
export function isThrough(sinks: Sinks): boolean {
  const status = sinks.status()[0]
  return status?.state === 'up' && status.lagRecords === 0
}
