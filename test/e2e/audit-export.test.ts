// The commands that write records for other tools, and that make the index: on a log that stands still, and on one that grows.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openAuditLog } from '../../src/audit/log.ts'
import { allRows, decision, noDuck, noon, outcome, ReviewLog } from '../support/review-log.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

const run = (...args: readonly string[]): Promise<Ran> =>
  new Promise((resolve) => {
    execFile(process.execPath, [main, 'audit', ...args], { encoding: 'utf8', timeout: 120_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })

describe('bailiwick audit export', { skip: noDuck }, () => {
  let world: ReviewLog
  before(async () => {
    world = await ReviewLog.create()
    await world.segment([
      { at: noon, entry: decision('r-1', { person: 'ada' }) },
      { at: noon + 1, entry: outcome('r-1') },
      { at: noon + 2, entry: decision('r-2', { person: 'bob', decision: 'deny', reason: 'no_rights' }) },
    ])
    await world.segment(
      [{ at: noon + 60_000, entry: decision('r-3', { person: 'ada', scope: 'namespace: pay' }) }],
      false,
    )
  })
  after(() => world.remove())
  const digestsOf = async (): Promise<readonly string[]> => {
    const files = (await readdir(world.directory)).filter((file) => file.endsWith('.ndjson'))
    const all = files.map(async (file) =>
      createHash('sha256')
        .update(await readFile(join(world.directory, file)))
        .digest('hex'),
    )
    return Promise.all(all)
  }

  it('writes the lines of the log, byte for byte, to standard output', async () => {
    const before = [await digestsOf(), await readdir(world.directory)]
    const { code, out, err } = await run('export', world.directory, '--format', 'ndjson', '--user', 'ada')
    assert.equal(code, 0, err)
    const wanted = (await world.lines()).filter((line) => /"r-1"|"r-3"/.test(line))
    assert.equal(out, `${wanted.join('\n')}\n`)
    assert.match(err, /^3 records, \d+ bytes, sha256 [0-9a-f]{64}\n$/)
    assert.deepEqual([await digestsOf(), await readdir(world.directory)], before, 'the log is only read')
  })

  it('lets through what the options say', async () => {
    const requests = async (...options: readonly string[]): Promise<readonly string[]> => {
      const { code, out, err } = await run(
        'export',
        world.directory,
        '--format',
        'ndjson',
        '--kind',
        'decision',
        ...options,
      )
      assert.equal(code, 0, err)
      return out
        .split('\n')
        .filter((line) => line.includes('"kind":"decision"'))
        .map((line) => JSON.parse(line).request)
    }
    assert.deepEqual(await requests('--decision', 'deny'), ['r-2'])
    assert.deepEqual(await requests('--namespace', 'pay'), ['r-3'])
    assert.deepEqual(await requests('--since', '2026-11-20T12:00:30Z'), ['r-3'])
    assert.deepEqual(await requests('--until', '2026-11-20T12:00:30Z', '--user', 'u-ada'), ['r-1'])
    assert.deepEqual(await requests('--cluster', 'west'), [])
  })

  it('writes a file of its own, and none over another unless told to', async () => {
    const file = join(world.root, 'out.parquet')
    const first = await run('export', world.directory, '--format', 'parquet', '--out', file)
    assert.equal(first.code, 0, first.err)
    assert.equal((await readFile(file)).subarray(0, 4).toString(), 'PAR1')
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    await writeFile(file, 'mine')
    const second = await run('export', world.directory, '--format', 'parquet', '--out', file)
    assert.equal(second.code, 1)
    assert.match(second.err, /is there already: --force/)
    assert.equal(await readFile(file, 'utf8'), 'mine')
    const third = await run('export', world.directory, '--format', 'csv', '--out', file, '--force')
    assert.equal(third.code, 0, third.err)
    assert.match(await readFile(file, 'utf8'), /^ts,log,seq,/)
  })

  it('says what it does not understand, and where there is no log', async () => {
    const wrong: readonly (readonly string[])[] = [
      ['export'],
      ['export', world.directory],
      ['export', world.directory, '--format', 'xml'],
      ['export', world.directory, '--format', 'parquet'],
      ['export', world.directory, '--format', 'csv', '--decision', 'maybe'],
      ['export', world.directory, '--format', 'csv', '--since', 'yesterday'],
      ['index'],
    ]
    for (const args of wrong) assert.equal((await run(...args)).code, 2, args.join(' '))
    for (const command of ['export', 'index']) {
      const { code, err } = await run(
        command,
        join(world.root, 'none'),
        ...(command === 'export' ? ['--format', 'csv'] : []),
      )
      assert.equal(code, 1)
      assert.match(err, /ENOENT/)
    }
  })

  it('works beside a gateway that writes, and reads the index that this one keeps', async () => {
    const directory = join(world.root, 'live')
    await mkdir(directory)
    const log = openAuditLog({ dir: directory, clock: () => new Date(), newId: randomUUID })
    assert.ok((await log.append(decision('live-1'))).ok)
    const review = world.open({ directory, index: join(directory, 'index') })
    for (let found = 0; found === 0;) {
      found = (await allRows(review, { kind: 'decision' }).catch(() => [])).length
    }
    assert.ok((await log.append(decision('live-2'))).ok)
    const { code, out, err } = await run('export', directory, '--format', 'csv', '--kind', 'decision')
    assert.equal(code, 0, err)
    assert.equal(out.split('\r\n').length, 4)
    const busy = await run('index', directory)
    assert.equal(busy.code, 1)
    assert.match(busy.err, /is in use/)
    assert.ok((await log.append(decision('live-3'))).ok)
    assert.equal((await allRows(review, { kind: 'decision' })).length, 3)
    await log.seal()
  })
})

describe('bailiwick audit index', { skip: noDuck }, () => {
  it('makes the index anew, and says how many records are in it', async (t) => {
    const world = await ReviewLog.create()
    t.after(() => world.remove())
    await world.segment([{ at: noon, entry: decision('r-1') }])
    const made = await run('index', world.directory)
    assert.deepEqual([made.code, made.out, made.err], [0, '3 records are in the index\n', ''])
    const parts = async () =>
      (await readdir(join(world.directory, 'index'), { recursive: true })).filter((file) => file.includes('part-'))
    assert.equal((await parts()).length, 1)
    assert.equal((await run('index', world.directory)).out, '3 records are in the index\n')
    assert.equal((await parts()).length, 1)
  })
})
