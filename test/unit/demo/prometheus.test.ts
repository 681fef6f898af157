import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { close, freePort, listen } from '../../../demo/parts/loopback.ts'
import { findPrometheus } from '../../../demo/parts/prometheus-binary.ts'
import { startPrometheus } from '../../../demo/parts/prometheus.ts'
import type { PrometheusStart } from '../../../demo/parts/prometheus.ts'

const cacheDir = fileURLToPath(new URL('../../../.cache', import.meta.url))
const config = 'global: { scrape_interval: 1h }\n'

const runs = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
/** What a running Prometheus says about its own command line. */
const flagsOf = async (url: string): Promise<Record<string, string>> => {
  const body: { data: Record<string, string> } = JSON.parse(await (await fetch(`${url}/api/v1/status/flags`)).text())
  return body.data
}

describe('a Prometheus of our own', () => {
  let scratch: string
  let start: PrometheusStart
  const told: string[] = []
  before(async () => {
    const { prometheus: binary } = await findPrometheus({ cacheDir, tell: () => {} })
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-prometheus-'))
    start = { binary, config, dataDir: join(scratch, 'data'), tell: (line) => told.push(line) }
  })
  after(() => rm(scratch, { recursive: true, force: true }))

  it('is ready, on loopback, with the database and the retention that it needs, and goes away whole', async () => {
    const prometheus = await startPrometheus({ ...start, dataDir: join(scratch, 'made/on/the/way') })
    let settings = ''
    try {
      assert.equal((await fetch(`${prometheus.url}/-/ready`)).status, 200)
      assert.equal(prometheus.url, `http://127.0.0.1:${prometheus.port}`)
      assert.equal(told.at(-1), `Prometheus is ready on ${prometheus.url}`)
      assert.match(prometheus.log(), /Server is ready to receive web requests/)
      const flags = await flagsOf(prometheus.url)
      assert.equal(flags['web.listen-address'], `127.0.0.1:${prometheus.port}`)
      assert.equal(flags['storage.tsdb.path'], join(scratch, 'made/on/the/way'))
      assert.equal(flags['storage.tsdb.retention.time'], '100y')
      settings = flags['config.file'] ?? ''
      assert.ok(existsSync(settings) && runs(prometheus.pid))
    } finally {
      await prometheus.stop()
    }
    assert.equal(runs(prometheus.pid), false)
    assert.equal(await freePort(prometheus.port), prometheus.port)
    assert.equal(existsSync(settings), false)
    assert.equal(existsSync(join(scratch, 'made/on/the/way')), true)
    await prometheus.stop()
  })
  it('takes the port it is given', async () => {
    const port = await freePort()
    const prometheus = await startPrometheus({ ...start, port })
    await prometheus.stop()
    assert.equal(prometheus.port, port)
  })
  it('with a broken configuration shows the end of its log, and nothing listens', async () => {
    const port = await freePort()
    await assert.rejects(startPrometheus({ ...start, port, config: 'globule: {}\n' }), (error) => {
      assert.ok(error instanceof Error)
      assert.match(error.message, /exited with code [12]\. The end of its log:\n/)
      assert.match(error.message, /field globule not found/)
      assert.ok(error.message.split('\n').length <= 16)
      return true
    })
    assert.equal(await freePort(port), port)
  })
  it('on a taken port is an error that says so, whatever answers there', async () => {
    const other = createServer((_, response) => response.end('I am ready too'))
    const port = await listen(other, 0)
    try {
      await assert.rejects(
        startPrometheus({ ...start, port }),
        new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: .*EADDRINUSE.*Choose another port`),
      )
    } finally {
      await close(other)
    }
  })
  it('that is no program is an error that names it', async () => {
    await assert.rejects(
      startPrometheus({ ...start, binary: join(scratch, 'absent') }),
      /^Error: Prometheus \(.*\/absent\) could not be started: .*ENOENT/,
    )
  })
  it('that another program poses as, and that exits, is not taken for ready', async () => {
    await assert.rejects(startPrometheus({ ...start, binary: process.execPath }), /exited with code \d+/)
  })
})
