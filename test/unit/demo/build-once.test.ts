import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { buildOnce } from '../../../demo/parts/build-once.ts'

describe('building a directory once', () => {
  let scratch: string
  let target: string
  beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-build-'))
    target = join(scratch, 'made')
  })
  afterEach(() => rm(scratch, { recursive: true, force: true }))

  it('gives the builder a directory beside the target, which appears only when it is complete', async () => {
    await buildOnce(target, async (directory) => {
      await writeFile(join(directory, 'file'), 'all of it')
      assert.deepEqual(
        (await readdir(scratch)).map((name) => name.replace(/part-.*/, 'part-')),
        ['made.part-'],
      )
    })
    assert.equal(await readFile(join(target, 'file'), 'utf8'), 'all of it')
    assert.deepEqual(await readdir(scratch), ['made'])
  })
  it('makes the directories above it', async () => {
    const deep = join(scratch, 'one/two/made')
    await buildOnce(deep, (directory) => writeFile(join(directory, 'file'), ''))
    assert.deepEqual(await readdir(deep), ['file'])
  })
  it('does not build what is there', async () => {
    await mkdir(target)
    await buildOnce(target, () => assert.fail('built again'))
    assert.deepEqual(await readdir(scratch), ['made'])
  })
  it('leaves one complete directory when two build at once, and the slower one has no error', async () => {
    const bothStarted = Promise.withResolvers<void>()
    let started = 0
    const build = (who: string) => async (directory: string) => {
      await writeFile(join(directory, 'first'), who)
      started += 1
      if (started === 2) bothStarted.resolve()
      await bothStarted.promise
      await writeFile(join(directory, 'second'), who)
    }
    await Promise.all([buildOnce(target, build('a')), buildOnce(target, build('b'))])
    const texts = await Promise.all(['first', 'second'].map((name) => readFile(join(target, name), 'utf8')))
    assert.match(texts.join(''), /^(aa|bb)$/)
    assert.deepEqual(await readdir(scratch), ['made'])
  })
  it('leaves nothing of a failing build, hands its error on, and can be tried again', async () => {
    const failure = new Error('half way')
    const failing = buildOnce(target, async (directory) => {
      await writeFile(join(directory, 'half'), '')
      throw failure
    })
    await assert.rejects(failing, (error) => error === failure)
    assert.deepEqual(await readdir(scratch), [])
    await buildOnce(target, (directory) => writeFile(join(directory, 'whole'), ''))
    assert.deepEqual(await readdir(target), ['whole'])
  })
  it('hands on a failure of the build also when another one finished meanwhile', async () => {
    const failing = buildOnce(target, async () => {
      await buildOnce(target, (directory) => writeFile(join(directory, 'whole'), ''))
      throw new Error('half way')
    })
    await assert.rejects(failing, /half way/)
    assert.deepEqual(await readdir(scratch), ['made'])
  })
})
