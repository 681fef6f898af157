import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { generateKeyPair, readSigningKey } from '../../../src/audit/keys.ts'
import { verifyLog } from '../../../src/audit/verify.ts'
import {
  allLines,
  decision,
  faulty,
  linesOf,
  openLog,
  outcome,
  systemError,
  tempDir,
  until,
  type Faults,
} from './support.ts'

const key = readSigningKey(generateKeyPair().privatePem)
const checkpoints = { key, previousKey: null, copyTo: null, every: 10, idle: 60_000 }
const fails = (code: string) => (): Promise<never> => Promise.reject(systemError(code))

const storms: Readonly<Record<string, (faults: Faults) => void>> = {
  'EIO on write': (faults) => (faults.write = fails('EIO')),
  'a part of a write, then ENOSPC': (faults) => {
    faults.write = (real, bytes, offset) =>
      offset === 0 ? real.write(bytes.subarray(0, Math.ceil(bytes.length / 2)), 0) : fails('ENOSPC')()
  },
  'ENOSPC once': (faults) => {
    faults.write = () => {
      faults.write = null
      return fails('ENOSPC')()
    }
  },
  'EIO on sync': (faults) => (faults.datasync = fails('EIO')),
  'EIO on the sync of the directory': (faults) => (faults.syncDir = fails('EIO')),
  'EIO on creation': (faults) => (faults.create = fails('EIO')),
  'a file that is gone': (faults) => (faults.facts = fails('ENOENT')),
  'a few bytes at a time': (faults) => {
    faults.write = (real, bytes, offset) => real.write(bytes.subarray(0, Math.min(bytes.length, offset + 97)), offset)
  },
  nothing: () => undefined,
}

const still: Omit<Faults, 'space' | 'datasyncs'> = {
  write: null,
  datasync: null,
  create: null,
  facts: null,
  makeDir: null,
  syncDir: null,
}

const storm = fc.record({
  what: fc.constantFrom(...Object.keys(storms)),
  /** Records at once while it lasts, each as it is kept. */
  during: fc.array(fc.constantFrom('shown', 'refusal', 'note'), { maxLength: 6 }),
  after: fc.nat(3),
})

describe('whatever fails, and in whatever order', { timeout: 120_000 }, () => {
  it('what is acknowledged is where the receipt says, no number comes twice, and the log is whole', async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(storm, { minLength: 1, maxLength: 12 }), fc.boolean(), async (weather, reserved) => {
        const dir = await tempDir(t)
        const { files, faults } = faulty()
        faults.space = async () => ({ total: 1e9, free: 9e8, available: 9e8 })
        const disk = { warn: 0.8, refuse: 0.9, reserveBytes: 5_000 }
        const log = openLog(t, dir, { diskEveryMs: 3 }, files, {
          checkpoints,
          rotate: { bytes: 4_000, ms: 1e9 },
          ...(reserved ? { disk } : {}),
        })
        const acknowledged: { request: string; file: string; seq: number; chain: string }[] = []
        let number = 0
        const keep = async (how: string): Promise<void> => {
          const request = `${how}-${number++}`
          if (how === 'note') return log.note(outcome(request))
          const result = await (how === 'shown' ? log.append(decision(request)) : log.appendRefusal(decision(request)))
          if (result.ok && result.value !== null) acknowledged.push({ request, ...result.value })
        }
        for (const { what, during, after } of weather) {
          storms[what]?.(faults)
          await Promise.all(during.map(keep))
          Object.assign(faults, still)
          // It is over when a record is kept: notes may still have been under way.
          await until(async () => (await log.append(decision('calm'))).ok)
          for (let n = 0; n < after; n++) await keep('shown')
        }
        await log.seal()
        assert.equal(log.status().state, 'sealed')
        const wanted = weather.reduce((sum, { after }) => sum + after, 0)
        assert.ok(acknowledged.length >= wanted, `${acknowledged.length} acknowledged, ${wanted} without a fault`)
        for (const { request, file, seq, chain } of acknowledged) {
          const line = (await linesOf(join(dir, file))).find((one) => one.seq === seq)
          assert.deepEqual([line?.request, line?.chain], [request, chain])
        }
        const numbers = (await allLines(dir)).map(({ seq }) => seq)
        assert.deepEqual(
          numbers,
          [...new Set(numbers)].toSorted((a, b) => a - b),
        )
        const report = await verifyLog({ dir, keys: [key], copy: null, partial: false })
        assert.equal(report.ok ? report.value.damage : report.error, null)
      }),
      { numRuns: 20 },
    )
  })
})
