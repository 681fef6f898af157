// The demo checks itself, and leaves nothing running.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'

const root = resolve(import.meta.dirname, '../..')
const run = promisify(execFile)
const demo = (...args: readonly string[]) =>
  run(process.execPath, [join(root, 'demo/main.ts'), ...args], { cwd: root, maxBuffer: 10_000_000 })

describe('the demo', () => {
  it('--check does every step, finds all as expected, and stops what it started', async () => {
    const { stdout } = await demo('--check')
    assert.match(stdout, /All \d+ are as expected\./)
    assert.ok(stdout.split('\n').filter((line) => line.startsWith('ok ')).length >= 12)
    assert.doesNotMatch(stdout, /^FAILED/m)
    const urls = [...stdout.matchAll(/is ready on (http:\S+)/g)].map(([, url = '']) => url)
    assert.equal(urls.length, 3, 'Prometheus, provider and gateway should tell where they are')
    for (const url of urls) await assert.rejects(fetch(url), `${url} still answers`)
  })
  it('says what it does, and what it does not understand', async () => {
    assert.match((await demo('--help')).stdout, /--check/)
    await assert.rejects(demo('--chekc'), (error) => {
      assert.equal(Reflect.get(Object(error), 'code'), 2)
      assert.match(String(Reflect.get(Object(error), 'stderr')), /--chekc[\s\S]*Usage/)
      return true
    })
  })
})
