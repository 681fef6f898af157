// `bailiwick login` with a real provider: a person with a browser elsewhere, then `curl` with `bailiwick token`.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parse, stringify } from 'yaml'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { cliClientId, startIdp } from '../../demo/parts/idp.ts'
import type { RunningIdp } from '../../demo/parts/idp.ts'
import { people } from '../../demo/parts/people.ts'
import { startApp } from '../../src/app.ts'
import type { App } from '../../src/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { approveDevice } from '../support/device-browser.ts'
import { freePort } from '../support/free-port.ts'

const main = resolve(import.meta.dirname, '../../src/main.ts')

describe('bailiwick login', () => {
  let scratch: string
  let idp: RunningIdp
  let app: App
  let url: string
  const store = (): string => join(scratch, 'bailiwick/logins.json')

  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'bailiwick-login-'))
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    idp = await startIdp({ people, audience: url })
    const clusters = { east: 'http://127.0.0.1:9' }
    const auditDir = join(scratch, 'audit')
    const text = gatewayConfig({ port, adminPort: 0, clusters, issuer: idp.issuer, audience: url, auditDir })
    const settings = Object(parse(text))
    settings.publicUrl = url
    settings.identity.cli = { issuer: idp.issuer, clientId: cliClientId, parameters: { resource: url } }
    const file = join(scratch, 'bailiwick.yaml')
    await writeFile(file, stringify(settings))
    const config = loadConfig(file)
    assert.ok(config.ok, JSON.stringify(config))
    const started = await startApp(config.value, createLog({ level: 'error' }))
    assert.ok(started.ok)
    app = started.value
  })
  after(async () => {
    await app.stop()
    await idp.stop()
    await rm(scratch, { recursive: true, force: true })
  })

  interface Ended {
    readonly code: number | null
    readonly out: string
    readonly err: string
  }
  /** Runs a command; `meanwhile` is given what it says on standard error, as it comes. */
  async function run(args: readonly string[], meanwhile?: (err: string) => void): Promise<Ended> {
    const child = spawn(process.execPath, [main, ...args], { env: { XDG_CONFIG_HOME: scratch } })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString()
      meanwhile?.(err)
    })
    const code = await new Promise<number | null>((done) => child.on('close', done))
    return { code, out, err }
  }
  /** Logs in as somebody: their browser opens the link that the command prints. */
  async function logIn(person: string): Promise<Ended> {
    const { promise: link, resolve: found } = Promise.withResolvers<string>()
    const ended = run(['login', '--gateway', url], (err) => {
      const complete = /^Or open this, and compare the code: (\S+)$/m.exec(err)?.[1]
      if (complete !== undefined) found(complete)
    })
    await approveDevice(await Promise.race([link, ended.then(({ err }) => err)]), person)
    return ended
  }

  it('says where to go, waits, and keeps the login where only its owner reads it', async () => {
    const { code, out, err } = await logIn('alice')
    assert.deepEqual([code, out], [0, ''], err)
    assert.match(
      err,
      /^Open http:\/\/127\.0\.0\.1:\d+\/device\nand enter the code [A-Z]{4}-[A-Z]{4} \(good for \d+ min\)/,
    )
    assert.match(err, /Logged in to http.*renewed as needed/)
    const { mode } = await stat(store())
    assert.equal(mode & 0o777, 0o600)
  })
  it('makes tokens with which the gateway knows the person', async () => {
    const { code, out } = await run(['token'])
    assert.equal(code, 0)
    const answer = await fetch(`${url}/clusters`, { headers: { authorization: `Bearer ${out.trim()}` } })
    assert.deepEqual(await answer.json(), { status: 'success', data: [{ name: 'east', path: '/clusters/east' }] })
  })
  it('renews a token that is about to end, once, however many ask at the same time', async () => {
    const before = await run(['token'])
    const logins = Object(JSON.parse(await readFile(store(), 'utf8')))
    logins[url].tokens.expiresAt = Math.floor(Date.now() / 1000) + 30
    await writeFile(store(), JSON.stringify(logins))
    const after = await Promise.all([run(['token']), run(['token']), run(['token', '--gateway', `${url}/`])])
    assert.deepEqual(
      after.map(({ code, err }) => [code, err]),
      [
        [0, ''],
        [0, ''],
        [0, ''],
      ],
    )
    const tokens = new Set(after.map(({ out }) => out))
    assert.equal(tokens.size, 1)
    assert.ok(!tokens.has(before.out))
  })
  it('is refused words by a login file that others can read', async () => {
    await chmod(store(), 0o644)
    const { code, out, err } = await run(['token'])
    assert.deepEqual([code, out], [1, ''])
    assert.match(err, /can be read by others: chmod 600/)
    await chmod(store(), 0o600)
  })
  it('ends by logout here and at the provider', async () => {
    const kept = await readFile(store(), 'utf8')
    assert.equal((await run(['logout'])).code, 0)
    const { code, err } = await run(['token'])
    assert.deepEqual([code, err], [1, 'not logged in: bailiwick login --gateway URL\n'])
    const logins = Object(JSON.parse(kept))
    logins[url].tokens.expiresAt = 0
    await writeFile(store(), JSON.stringify(logins), { mode: 0o600 })
    const stolen = await run(['token'])
    assert.equal(stolen.code, 1)
    assert.match(stolen.err, /the login is over: log in again\nbailiwick login --gateway/)
    assert.deepEqual(JSON.parse(await readFile(store(), 'utf8')), {})
  })
  it('says what to do where the gateway cannot be asked, or is none', async () => {
    for (const [gateway, code, words] of [
      ['http://127.0.0.1:9', 1, /cannot be read.*check the URL/],
      [idp.issuer, 1, /status 404: is it a bailiwick gateway\?/],
      [url.replace('127.0.0.1', 'localhost'), 1, /names the resource http:\/\/127\.0\.0\.1:\d+: use that as --gateway/],
      ['http://metrics.example.org', 2, /must be an https URL/],
      ['metrics.example.org', 2, /must be an https URL/],
    ] as const) {
      const ended = await run(['login', '--gateway', gateway])
      assert.equal(ended.code, code, ended.err)
      assert.match(ended.err, words)
    }
    assert.equal((await run(['login'])).code, 2)
  })
  it('says so where the person says no', async () => {
    const { promise: link, resolve: found } = Promise.withResolvers<string>()
    const ended = run(['login', '--gateway', url], (err) => {
      const complete = /compare the code: (\S+)$/m.exec(err)?.[1]
      if (complete !== undefined) found(complete)
    })
    await approveDevice(await link, null)
    const { code, err } = await ended
    assert.equal(code, 1)
    assert.match(err, /the login was declined/)
  })
})
