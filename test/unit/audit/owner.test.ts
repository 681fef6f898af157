import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { nodeFiles, type Files } from '../../../src/audit/files.ts'
import { releaseOwnership, takeOwnership } from '../../../src/audit/lock.ts'
import { thisProcess, type Owner } from '../../../src/audit/owner.ts'
import { decision, openLog, startWriter, tempDir, until } from './support.ts'

const lockIn = (dir: string): string => join(dir, 'owner.lock')

async function put(dir: string, owner: Partial<Owner>, name = 'owner.lock'): Promise<void> {
  await writeFile(join(dir, name), JSON.stringify({ ...(await thisProcess('before')), ...owner }))
}

async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', ''], { stdio: 'ignore' })
  await once(child, 'exit')
  return child.pid ?? 0
}

describe('the owner of an audit directory', { timeout: 60_000 }, () => {
  it('is one: a second log in the same process is refused until the first is sealed', async (t) => {
    const dir = await tempDir(t)
    const first = openLog(t, dir)
    assert.ok((await first.append(decision('a'))).ok)
    const second = openLog(t, dir)
    const refused = await second.append(decision('b'))
    assert.ok(!refused.ok && refused.error.code === 'owned')
    assert.match(refused.error.reason, new RegExp(`process ${process.pid} on host .* is running`))
    assert.match(refused.error.remedy, /directory of its own/)
    assert.ok((await first.append(decision('c'))).ok)
    await first.seal()
    await until(() => second.status().state === 'open')
    assert.ok((await second.append(decision('d'))).ok)
    await second.seal()
    assert.deepEqual(
      (await readdir(dir)).filter((name) => !name.startsWith('audit-')),
      [],
    )
  })

  it('is another process while that runs, and nobody once it is killed', async (t) => {
    const dir = await tempDir(t)
    const writer = startWriter(t, dir)
    await until(() => writer.acknowledged.length > 0)
    const log = openLog(t, dir)
    const refused = await log.append(decision('a'))
    assert.ok(!refused.ok && refused.error.code === 'owned')
    await writer.kill()
    await until(() => log.status().state === 'open')
    assert.ok((await log.append(decision('b'))).ok)
  })

  it('is gone when its pid is', async (t) => {
    const dir = await tempDir(t)
    await put(dir, { pid: await deadPid() })
    assert.ok((await openLog(t, dir).append(decision('a'))).ok)
    assert.match(await readFile(lockIn(dir), 'utf8'), new RegExp(`"pid":${process.pid},`))
  })

  it('is gone when its pid belongs to a process that was born later, even to this one', async (t) => {
    const dir = await tempDir(t)
    await put(dir, { pid: process.pid, born: 'an-earlier-kernel:1' })
    assert.ok((await openLog(t, dir).append(decision('a'))).ok)
  })

  it('counts as running by its pid where births are not known', async (t) => {
    const dir = await tempDir(t)
    const me = { ...(await thisProcess('me')), born: '' }
    await put(dir, { pid: process.pid, born: '' })
    assert.equal((await takeOwnership(nodeFiles, dir, me))?.code, 'owned')
    await put(dir, { pid: await deadPid(), born: '' })
    assert.equal(await takeOwnership(nodeFiles, dir, me), null)
  })

  it('is never taken over unseen: not from another host, nor from a lock that names nobody', async (t) => {
    const dir = await tempDir(t)
    const me = await thisProcess('me')
    await put(dir, { pid: await deadPid(), host: 'another' })
    const texts = [await readFile(lockIn(dir), 'utf8'), '', '{"pid":1}', 'null', '[]', 'x']
    for (const text of texts) {
      await writeFile(lockIn(dir), text)
      const refused = await takeOwnership(nodeFiles, dir, me)
      assert.equal(refused?.code, 'owned')
      assert.match(refused.remedy, /remove .*owner\.lock$/)
      assert.equal(await readFile(lockIn(dir), 'utf8'), text)
    }
  })

  it('is one of many that reach for a dead one at once', async (t) => {
    const dir = await tempDir(t)
    const dead = await deadPid()
    const me = await thisProcess('x')
    for (let round = 0; round < 40; round++) {
      await put(dir, { pid: dead, boot: `dead-${round}` })
      // In some rounds a process died while it took over, too.
      if (round % 2 === 1) await put(dir, { pid: dead, boot: `dead-too-${round}` }, 'owner.lock.takeover')
      const owners = Array.from({ length: 6 }, (_, n) => ({ ...me, boot: `boot-${round}-${n}` }))
      const answers = await Promise.all(owners.map((owner) => takeOwnership(nodeFiles, dir, owner)))
      const winners = owners.filter((_, n) => answers[n] === null)
      assert.ok(winners.length <= 1, `${winners.length} owners in round ${round}`)
      for (const answer of answers) assert.ok(answer === null || answer.code === 'owned', answer?.reason)
      const [winner = { ...me, boot: `late-${round}` }] = winners
      assert.equal(await takeOwnership(nodeFiles, dir, winner), null)
      assert.ok((await readFile(lockIn(dir), 'utf8')).includes(winner.boot))
      await releaseOwnership(nodeFiles, dir, winner)
      assert.deepEqual(await readdir(dir), [])
    }
  })

  it('stays with whoever replaced a dead one while we were on the way to do so', async (t) => {
    const dir = await tempDir(t)
    const me = await thisProcess('x')
    await put(dir, { pid: await deadPid(), boot: 'dead' })
    const slow: Files = {
      ...nodeFiles,
      create: async (path) => {
        // By now the dead owner was seen. The fast one takes over and is done, before the slow one reaches for the claim.
        if (path.includes('takeover')) assert.equal(await takeOwnership(nodeFiles, dir, { ...me, boot: 'fast' }), null)
        return nodeFiles.create(path)
      },
    }
    const refused = await takeOwnership(slow, dir, { ...me, boot: 'slow' })
    assert.match(refused?.reason ?? '', /boot fast\), which is running/)
    assert.deepEqual(await readdir(dir), ['owner.lock'])
  })

  it('is left to a person when one process after the other died in taking over', async (t) => {
    const dir = await tempDir(t)
    const pid = await deadPid()
    for (const name of ['owner.lock', 'owner.lock.takeover', 'owner.lock.takeover.takeover'])
      await put(dir, { pid }, name)
    const refused = await takeOwnership(nodeFiles, dir, await thisProcess('me'))
    assert.match(refused?.remedy ?? '', /remove .*owner\.lock\.takeover\.takeover$/)
  })

  it('gives up only what is its own', async (t) => {
    const dir = await tempDir(t)
    await put(dir, { boot: 'other' })
    await releaseOwnership(nodeFiles, dir, await thisProcess('me'))
    assert.ok((await readFile(lockIn(dir), 'utf8')).includes('"other"'))
    await releaseOwnership(nodeFiles, join(dir, 'nowhere'), await thisProcess('me'))
  })
})
