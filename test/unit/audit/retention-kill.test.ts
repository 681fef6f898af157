import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { generateKeyPair, readSigningKey } from '../../../src/audit/keys.ts'
import { briefly, named, verified } from './kept-log.ts'
import { tempDir, until } from './support.ts'

const rounds = 5

describe('a gateway that is killed while it compresses and deletes', { timeout: 120_000 }, () => {
  it('leaves a log that verifies, round after round, also against the second place', async (t) => {
    const scratch = await tempDir(t)
    const [dir, keyFile, copy] = [join(scratch, 'log'), join(scratch, 'key'), join(scratch, 'copy')]
    const { privatePem } = generateKeyPair()
    await writeFile(keyFile, privatePem)
    const key = readSigningKey(privatePem)
    for (let round = 1; round <= rounds; round++) {
      const child = fork(join(import.meta.dirname, 'keeper.ts'), [dir, keyFile, copy], {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
        execArgv: [],
      })
      const gone = once(child, 'exit')
      t.after(() => child.kill('SIGKILL'))
      let deleted = 0
      child.on('message', (message) => {
        const [kind, count]: readonly unknown[] = Array.isArray(message) ? message : []
        if (kind === 'deleted') deleted = Number(count)
      })
      // At another moment of its work each time.
      await until(() => deleted >= 1 + round)
      child.kill('SIGKILL')
      await gone
      const report = await verified(dir, [key], copy)
      assert.equal(briefly(report), 'whole', `round ${round}`)
      assert.ok((report.deleted?.segments ?? 0) >= 2 * round)
    }
    assert.ok((await named(dir, '.ndjson.zst')).length > 0)
  })
})
