// A gateway that is killed, started again and stopped leaves a log that is whole; the commands show it, prove it and read it.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parse, stringify } from 'yaml'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { generous } from '../support/generous.ts'
import { audience, startStubIssuer } from '../support/issuer.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

function run(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'audit', ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { code: status, out: stdout, err: stderr }
}

describe('the log of a gateway that was killed', () => {
  let scratch: string
  let dir: string
  let config: string
  let issuer: Awaited<ReturnType<typeof startStubIssuer>>
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-verify-'))
    dir = join(scratch, 'audit')
    config = join(scratch, 'bailiwick.yaml')
    issuer = await startStubIssuer()
    assert.equal(run('keygen', join(scratch, 'key')).code, 0)
    const settings: unknown = parse(
      gatewayConfig({
        ...{ port: 0, adminPort: 0, clusters: { east: 'http://127.0.0.1:9' }, issuer: issuer.issuer },
        ...{ audience, auditDir: dir, rules: [generous] },
      }),
    )
    const checkpoints = { key_file: 'key', copyTo: 'copy', every: '20ms', idle: '200ms' }
    await writeFile(config, stringify({ ...Object(settings), audit: { directory: dir, checkpoints } }))
  })
  after(async () => {
    await issuer.stop()
    await rm(scratch, { recursive: true, force: true })
  })

  async function start() {
    const child = spawn(process.execPath, [main, 'serve', '--config', config], { stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = once(child, 'exit')
    let log = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (log += chunk))
    const end = async (signal: NodeJS.Signals): Promise<void> => {
      child.kill(signal)
      await ended
    }
    for (let round = 0; round < 400; round += 1) {
      const line = log.split('\n').find((one) => one.includes('ready for requests'))
      if (line !== undefined) return { ...Object(JSON.parse(line)), end, log: () => log }
      await sleep(50)
    }
    await end('SIGKILL')
    throw new Error(`the gateway did not get ready: ${log}`)
  }
  const ask = async (url: string): Promise<string> => {
    const response = await fetch(`${url}/api/v1/query?query=up`)
    await response.arrayBuffer()
    return response.headers.get('bailiwick-request') ?? ''
  }
  const verified = (...args: readonly string[]) =>
    run('verify', dir, '--key', join(scratch, 'key.pub'), '--checkpoints', join(scratch, 'copy'), ...args)

  it('is whole after kill -9, while it is written, and after a stop; and one record can be proven', async () => {
    assert.equal((await stat(join(scratch, 'key'))).mode & 0o777, 0o600)
    const first = await start()
    const ids: string[] = []
    for (let n = 0; n < 5; n += 1) ids.push(await ask(first.url))
    await first.end('SIGKILL')
    const afterKill = verified()
    assert.equal(afterKill.code, 0, afterKill.out)
    const second = await start()
    ids.push(await ask(second.url))
    const live = verified()
    assert.equal(live.code, 0, live.out)
    const ready: unknown = await (await fetch(`${second.adminUrl}/-/ready`)).json()
    assert.match(JSON.stringify(ready), /"checkpoints":\{"signedBy":"[0-9a-f]{8}"/)
    assert.match(await (await fetch(`${second.adminUrl}/metrics`)).text(), /^bailiwick_audit_checkpoints_signed 1$/m)
    await second.end('SIGTERM')
    const stopped = verified('--json')
    assert.equal(stopped.code, 0, stopped.out)
    const report: Record<string, unknown> = JSON.parse(stopped.out)
    assert.deepEqual([report['damage'], report['uncovered'], report['segments']], [null, 0, 2])
    for (const id of [ids[0] ?? '', ids[5] ?? '']) {
      const proof = run('prove', id, '--dir', dir)
      assert.equal(proof.code, 0, proof.err)
      const file = join(scratch, 'proof.json')
      await writeFile(file, proof.out)
      const proven = run('check-proof', file, '--key', join(scratch, 'key.pub'))
      assert.equal(proven.code, 0, proven.err)
      assert.equal(Object(JSON.parse(proven.out)).request, id)
      await writeFile(file, proof.out.replace('no_credentials', 'no_credentialz'))
      assert.equal(run('check-proof', file, '--key', join(scratch, 'key.pub')).code, 1)
    }
  })
  it('is shown, filtered, as a table and as it stands', () => {
    const denied = run('show', dir, '--decision', 'deny', '--since', '1h', '--utc')
    assert.equal(denied.code, 0, denied.err)
    const rows = denied.out.trim().split('\n')
    assert.equal(
      rows.filter((row) => /Z {2}[0-9a-f-]{36} {2}nobody known {2}.*deny no_credentials$/.test(row)).length,
      6,
    )
    const json = run('show', dir, '--decision', 'deny', '--json').out.trim().split('\n')
    assert.equal(json.filter((line) => Object(JSON.parse(line)).kind === 'decision').length, 6)
    for (const filter of [
      ['--user', 'nobody'],
      ['--namespace', 'emojivoto'],
      ['--since', '2999-01-01T00:00:00Z'],
    ]) {
      assert.equal(run('show', dir, ...filter).out, '')
    }
    assert.equal(run('show', dir, '--since', 'yesterday').code, 2)
  })
  it('is followed over a restart', async () => {
    const follower = spawn(process.execPath, [main, 'audit', 'show', dir, '--follow', '--json'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    let seen = ''
    follower.stdout.setEncoding('utf8').on('data', (chunk: string) => (seen += chunk))
    try {
      for (let n = 0; n < 2; n += 1) {
        const gateway = await start()
        const id = await ask(gateway.url)
        for (let round = 0; round < 200 && !seen.includes(id); round += 1) await sleep(50)
        assert.ok(seen.includes(id))
        await gateway.end(n === 0 ? 'SIGKILL' : 'SIGTERM')
      }
      assert.equal(verified().code, 0)
    } finally {
      follower.kill('SIGKILL')
    }
  })
  it('that somebody changes is damaged, with the place; one that is not there is not understood', async () => {
    const [segment = ''] = (await readdir(dir)).filter((name) => name.endsWith('.ndjson')).toSorted()
    const path = join(dir, segment)
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replace('no_credentials', 'no_credentialz'))
    const { code, out } = verified()
    assert.equal(code, 1)
    assert.match(out, new RegExp(`^DAMAGED: edited\n${segment}:\\d+, record \\d+: `))
    await writeFile(path, text)
    assert.equal(verified().code, 0)
    assert.equal(run('verify', join(scratch, 'nowhere')).code, 2)
    assert.equal(run('verify', dir, '--key', join(scratch, 'key')).code, 2)
  })
})
