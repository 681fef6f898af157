// The program as it is run: it follows the files of its policy, and hears SIGHUP.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parse, stringify } from 'yaml'
import { gatewayConfig } from '../../demo/parts/gateway-config.ts'
import { close, listen } from '../../demo/parts/loopback.ts'
import { audience, startStubIssuer } from '../support/issuer.ts'
import type { StubIssuer } from '../support/issuer.ts'
import { modelText, mountedPolicy } from '../support/policy-gateway.ts'
import { readRecords } from '../support/world.ts'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const ruleFor = (namespace: string): string => `p, group:a, *, query, namespace=${namespace}, allow\n`

describe('the process', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-reload-process-'))
  let issuer: StubIssuer
  let prometheus: Server
  let port: number
  before(async () => {
    issuer = await startStubIssuer()
    prometheus = createServer((_, response) => {
      response.setHeader('content-type', 'application/json')
      response.end('{"status":"success","data":{"resultType":"vector","result":[]}}')
    })
    port = await listen(prometheus, 0)
  })
  const children: ChildProcess[] = []
  after(async () => {
    for (const child of children) child.kill('SIGKILL')
    await issuer.stop()
    await close(prometheus)
    rmSync(scratch, { recursive: true, force: true })
  })

  interface Running {
    readonly child: ChildProcess
    readonly auditDir: string
    /** Lines of the log with this message. */
    said(message: string): readonly Readonly<Record<string, unknown>>[]
    /** Asks again and again until the answer's scope is this. */
    untilScope(scope: string): Promise<void>
    scope(): Promise<string | null>
    ready(): Promise<unknown>
    stop(): Promise<void>
  }

  let started = 0
  async function start(policy: { model: string; rules: string }, reload: string): Promise<Running> {
    started += 1
    const auditDir = join(scratch, `audit-${started}`)
    const clusters = { one: `http://127.0.0.1:${port}` }
    const settings: unknown = parse(
      gatewayConfig({ port: 0, adminPort: 0, clusters, issuer: issuer.issuer, audience, auditDir }),
    )
    const file = join(scratch, `${started}.yaml`)
    const { model, rules } = policy
    writeFileSync(file, stringify({ ...Object(settings), policy: { model, rules: [rules], reload } }))
    const child = spawn(process.execPath, [main, 'serve', '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = once(child, 'exit')
    children.push(child)
    let log = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (log += chunk))
    const said: Running['said'] = (message) =>
      log
        .split('\n')
        .filter((line) => line.includes(`"msg":"${message}`))
        .map((line) => JSON.parse(line))
    for (let round = 0; round < 2_000 && said('ready for requests').length === 0; round += 1) await sleep(50)
    const [ready] = said('ready for requests')
    assert.ok(ready !== undefined, log)
    const token = await issuer.sign({ groups: ['a'] })
    async function scope(): Promise<string | null> {
      const headers = { authorization: `Bearer ${token}` }
      const response = await fetch(`${String(ready?.['url'])}/api/v1/query?query=up`, { headers })
      await response.arrayBuffer()
      return response.headers.get('bailiwick-scope')
    }
    return {
      child,
      auditDir,
      said,
      scope,
      async untilScope(wanted) {
        for (let round = 0; round < 2_000 && (await scope()) !== wanted; round += 1) await sleep(25)
        assert.equal(await scope(), wanted, log)
      },
      ready: async () => (await fetch(`${String(ready['adminUrl'])}/-/ready`)).json(),
      async stop() {
        child.kill('SIGTERM')
        assert.deepEqual(await ended, [0, null])
      },
    }
  }
  const eventually = async (isTrue: () => boolean): Promise<void> => {
    for (let round = 0; round < 2_000 && !isTrue(); round += 1) await sleep(25)
    assert.ok(isTrue())
  }

  it('follows a mounted ConfigMap by itself, and keeps what it has when a bad policy is mounted', async () => {
    const mount = mountedPolicy(join(scratch, 'mount'))
    mount.write('..one', ruleFor('one'))
    mount.show('..one')
    const gateway = await start(mount, '1h')
    await gateway.untilScope('namespace: one')
    mount.write('..two', ruleFor('two'))
    mount.show('..two')
    rmSync(join(mount.dir, '..one'), { recursive: true })
    await gateway.untilScope('namespace: two')

    mount.write('..bad', `${ruleFor('*')}p, group:a, *, query, namespace=two, Deny\n`)
    mount.show('..bad')
    await eventually(() => gateway.said('the policy in the files was refused').length > 0)
    assert.equal(await gateway.scope(), 'namespace: two')
    const problem = 'policy.csv:2: the effect "Deny" is neither allow nor deny'
    const [refused] = gateway.said('the policy in the files was refused')
    assert.deepEqual(refused?.['problems'], [problem])
    const { policy } = Object(await gateway.ready())
    assert.deepEqual(policy.rejected, { digest: refused['policy'], problems: 1 })
    assert.equal(policy.digest, refused['inForce'])

    mount.write('..three', ruleFor('three'))
    mount.show('..three')
    await gateway.untilScope('namespace: three')
    await gateway.stop()
    const told = (await readRecords(gateway.auditDir)).filter(({ kind }) => kind.startsWith('policy.'))
    assert.deepEqual(
      told.map(({ kind }) => kind),
      ['policy.loaded', 'policy.loaded', 'policy.rejected', 'policy.loaded'],
    )
    assert.deepEqual(told[2]?.['problems'], [problem])
  })

  /** Rules that are written by another name in another directory: of that, the system says nothing. */
  function silentRules(name: string) {
    const [dir, elsewhere] = [join(scratch, name), join(scratch, `${name}-elsewhere`)]
    for (const made of [dir, elsewhere]) mkdirSync(made)
    const [model, rules, hidden] = [join(dir, 'model.conf'), join(dir, 'policy.csv'), join(elsewhere, 'policy.csv')]
    writeFileSync(model, modelText)
    writeFileSync(rules, ruleFor('one'))
    linkSync(rules, hidden)
    return { model, rules, write: (namespace: string) => writeFileSync(hidden, ruleFor(namespace)) }
  }

  it('looks at the files on SIGHUP, which ends nothing', async () => {
    const files = silentRules('signal')
    const gateway = await start(files, '0s')
    const looks = () => gateway.said("looked at the policy's files, as asked")
    /** What the look came to that a signal sets off. */
    const signal = async (): Promise<unknown> => {
      const before = looks().length
      gateway.child.kill('SIGHUP')
      await eventually(() => looks().length > before)
      return looks().at(-1)?.['look']
    }
    // Behind this one, the look of the start is over.
    assert.equal(await signal(), 'unchanged')
    for (const namespace of ['two', 'three']) {
      files.write(namespace)
      assert.equal(await signal(), 'loaded')
      assert.equal(await gateway.scope(), `namespace: ${namespace}`)
    }
    await gateway.stop()
  })
  it('looks at the files every now and then where the system is silent', async () => {
    const files = silentRules('interval')
    const gateway = await start(files, '100ms')
    await gateway.untilScope('namespace: one')
    files.write('two')
    await gateway.untilScope('namespace: two')
    await gateway.stop()
  })
})
