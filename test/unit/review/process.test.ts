// The process that reads the index: it is not missed where it cannot be, inherits nothing, and ends with the gateway.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import type { Review } from '../../../src/review/review.ts'
import { decision, never, noDuck, noon, ReviewLog, until } from '../../support/review-log.ts'

const src = resolve(import.meta.dirname, '../../../src')

const keeperOf = async (index: string): Promise<number> => {
  const lock: unknown = JSON.parse(await readFile(join(index, 'owner.lock'), 'utf8').catch(() => '{}'))
  return Number(Object(lock).pid ?? 0)
}

const isRunning = async (pid: number): Promise<boolean> => {
  // One that nobody has waited for is a zombie: it has ended.
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
  return !/\) Z/.test(stat)
}

describe('the process that reads the index', () => {
  it('is done without where DuckDB is not installed: every answer says what helps', async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'bailiwick-no-duck-'))
    t.after(() => rm(root, { recursive: true, force: true }))
    for (const part of ['audit', 'review', 'result.ts'])
      await cp(join(src, part), join(root, 'src', part), { recursive: true })
    await writeFile(join(root, 'package.json'), '{"type":"module"}')
    const opened: unknown = await import(join(root, 'src/review/open.ts'))
    const options = { directory: root, index: join(root, 'index'), memoryBytes: 2 ** 28, threads: 1 }
    const review: Review = Object(opened).openReview(options)
    await until(() => review.status().state === 'failed')
    const answers = [
      await review.search({}, 'all', { after: null, limit: 1 }, never),
      await review.timeline({}, 'all', never),
      await review.request('x', 'all', never),
      await review.sql('SELECT 1', never),
      await review.export({}, 'all', 'csv', () => {}, never),
    ]
    for (const answer of answers) {
      assert.ok(!answer.ok)
      assert.equal(answer.error.code, 'unavailable')
      assert.match(answer.error.remedy, /@duckdb\/node-api/)
    }
    await review.stop()
  })

  it('inherits nothing of the environment, and ends when the gateway is killed', { skip: noDuck }, async (t) => {
    const world = await ReviewLog.create()
    t.after(() => world.remove())
    await world.segment([{ at: noon, entry: decision('r-1') }])
    const program = join(world.root, 'gateway.ts')
    const options = { directory: world.directory, index: world.index, memoryBytes: 2 ** 28, threads: 1 }
    await writeFile(
      program,
      `import { openReview } from ${JSON.stringify(join(src, 'review/open.ts'))}
       openReview(${JSON.stringify(options)})
       setInterval(() => {}, 1000)`,
    )
    const gateway = spawn(process.execPath, [program], { env: { SECRET: 'hunter2' }, stdio: 'ignore' })
    await until(async () => (await keeperOf(world.index)) > 0)
    const child = await keeperOf(world.index)
    assert.notEqual(child, gateway.pid)
    const environment = await readFile(`/proc/${child}/environ`, 'latin1')
    assert.ok(!environment.includes('hunter2'), environment)
    assert.ok(environment.includes('TZ=UTC'))
    gateway.kill('SIGKILL')
    await once(gateway, 'exit')
    await until(async () => !(await isRunning(child)))
    // The lock of the dead one is taken over.
    const review = await world.indexed()
    assert.equal(review.status().indexed, 3)
  })

  it('ends when it is told to', { skip: noDuck }, async (t) => {
    const world = await ReviewLog.create()
    t.after(() => world.remove())
    await world.segment([{ at: noon, entry: decision('r-1') }])
    const review = await world.indexed()
    const child = await keeperOf(world.index)
    assert.ok(await isRunning(child))
    await review.stop()
    assert.ok(!(await isRunning(child)))
  })
})
