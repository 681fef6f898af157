// Whether the proxy lets a forged identity through is tried out, never assumed.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { credentialsOf } from '../../src/gateway/visit.ts'
import { afterTest, openInbox, openMeshSelfTest, selfTestPath, testProxy } from '../../src/identity/mesh-self-test.ts'
import type { MeshSelfTest, SelfTestState, Verdict } from '../../src/identity/mesh-self-test.ts'
import { credentialsWith } from '../support/issuer.ts'
import { startLinkerdProxy } from '../support/linkerd-proxy.ts'
import type { Behaviour, LinkerdProxy } from '../support/linkerd-proxy.ts'

const mesh = { trustDomain: 'cluster.local', controlPlaneNamespace: 'linkerd', subjects: 'none' } as const

describe('the self-test of the mesh', () => {
  let proxy: LinkerdProxy
  let gateway: Server
  let inbox: ReturnType<typeof openInbox>
  let receive: MeshSelfTest['receive']
  let seen: { readonly url: string; readonly secret: string }[]

  beforeEach(async () => {
    inbox = openInbox()
    receive = inbox.receive
    seen = []
    proxy = startLinkerdProxy()
    gateway = createServer((request, response) => {
      seen.push({ url: request.url ?? '', secret: String(request.headers['bailiwick-self-test']) })
      response.writeHead(receive(credentialsOf(request)) ? 204 : 404).end()
    }).listen(0, '127.0.0.1')
    await once(gateway, 'listening')
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is one
    proxy.to(`http://127.0.0.1:${(gateway.address() as AddressInfo).port}`)
  })
  afterEach(async () => {
    await proxy.stop()
    gateway.close()
    gateway.closeAllConnections()
    await once(gateway, 'close')
  })

  const run = async (behaviour: Behaviour, identity: string | null = null): Promise<Verdict> => {
    proxy.behaviour = behaviour
    return testProxy({ ...mesh, selfTest: await proxy.as(identity) }, inbox, new AbortController().signal)
  }
  const own = 'bailiwick.bailiwick.serviceaccount.identity.linkerd.cluster.local'

  it('passes where the port has a Server with proxyProtocol HTTP/1', async () => {
    assert.deepEqual(await run('server'), { is: 'good' })
    assert.deepEqual(
      seen.map(({ url }) => url),
      [selfTestPath, selfTestPath],
    )
  })
  it('passes where its requests come in as the gateway’s own, whose identity takes the forged one’s place', async () => {
    assert.deepEqual(await run('server', own), { is: 'good' })
    assert.equal(seen.length, 1, 'what does not look like HTTP was refused')
  })
  for (const [behaviour, why] of [
    ['past', /came through with a request, .*did not pass the proxy/],
    ['first copy', /came through with a request, .*did not pass the proxy/],
    ['detect', /first bytes came alone, .*Server with proxyProtocol HTTP\/1/],
  ] as const) {
    it(`finds what is forged where the proxy is: ${behaviour}`, async () => {
      for (const identity of [null, own]) {
        const verdict = await run(behaviour, identity)
        assert.equal(verdict.is, 'forged')
        assert.match(verdict.why, why)
      }
    })
  }
  for (const [behaviour, why] of [
    ['denies', /did not arrive: the connection was closed/],
    ['closes', /did not arrive/],
    ['silent', /did not arrive: silence/],
  ] as const) {
    it(`does not pass where nothing arrives: ${behaviour}`, async () => {
      const verdict = await run(behaviour)
      assert.equal(verdict.is, 'unknown')
      assert.match(verdict.why, why)
      assert.deepEqual(seen, [])
    })
  }
  it('does not pass where nobody listens', async () => {
    const verdict = await testProxy({ ...mesh, selfTest: 'http://127.0.0.2:9' }, inbox, new AbortController().signal)
    assert.equal(verdict.is, 'unknown')
    assert.match(verdict.why, /did not arrive: .*ECONNREFUSED/)
  })
  it('does not pass where somebody else answers, however kindly', async () => {
    receive = () => true
    assert.equal((await run('server')).is, 'unknown')
  })
  it('does not pass on the word of a gateway that is not this one', async () => {
    const other = openInbox()
    receive = (credentials) => other.receive(credentials)
    assert.equal((await run('server')).is, 'unknown')
  })
  it('uses each secret once, and none counts that was not given out', async () => {
    await run('server')
    const secrets = seen.map(({ secret }) => secret)
    assert.equal(new Set(secrets).size, 2)
    for (const secret of [...secrets, '', 'x', 'undefined', '__proto__']) {
      assert.equal(inbox.receive(credentialsWith({ 'bailiwick-self-test': secret })), false, secret)
    }
    assert.equal(inbox.receive(credentialsWith({})), false)
    const { secret, arrived, forget } = inbox.expect()
    assert.match(secret, /^[\w-]{43}$/)
    forget()
    assert.equal(inbox.receive(credentialsWith({ 'bailiwick-self-test': secret })), false)
    assert.equal(arrived(), null)
  })

  describe('again and again', () => {
    let test: MeshSelfTest
    let told: SelfTestState[]
    const begin = async (behaviour: Behaviour): Promise<void> => {
      proxy.behaviour = behaviour
      told = []
      test = openMeshSelfTest({ ...mesh, selfTest: await proxy.as(null) }, (state) => told.push(state))
      receive = test.receive
      test.start()
    }
    const until = async (is: (state: SelfTestState) => boolean): Promise<void> => {
      for (let round = 0; round < 500 && !is(test.state()); round += 1) await sleep(20)
      assert.ok(is(test.state()), JSON.stringify(test.state()))
    }
    afterEach(() => test.stop())

    it('counts for nothing before it has passed', async () => {
      test = openMeshSelfTest({ ...mesh, selfTest: await proxy.as(null) }, () => {})
      assert.deepEqual(test.state(), { proven: false, lastFailure: 'the self-test has not ended yet' })
    })
    it('passes and says so once', async () => {
      await begin('server')
      await until(({ proven }) => proven)
      assert.deepEqual(told, [{ proven: true, lastFailure: null }])
    })
    it('stays off where something forged comes through, and passes when that is mended', async () => {
      await begin('detect')
      await until(({ lastFailure }) => lastFailure?.includes('proxyProtocol') === true)
      assert.equal(test.state().proven, false)
      proxy.behaviour = 'server'
      await until(({ proven }) => proven)
      assert.deepEqual(test.state(), { proven: true, lastFailure: null })
    })
    it('stays as it was where a later test cannot be made, and is off where something forged came through', () => {
      const unknown = { is: 'unknown', why: 'no answer' } as const
      for (const proven of [true, false]) {
        assert.deepEqual(afterTest({ proven, lastFailure: null }, unknown), { proven, lastFailure: 'no answer' })
        const off = { proven: false, lastFailure: 'forged' }
        assert.deepEqual(afterTest({ proven, lastFailure: null }, { is: 'forged', why: 'forged' }), off)
        assert.deepEqual(afterTest({ proven, lastFailure: 'x' }, { is: 'good' }), { proven: true, lastFailure: null })
      }
    })
    it('ends with the gateway: nothing is sent and nothing told any more', async () => {
      await begin('silent')
      test.stop()
      await sleep(50)
      assert.deepEqual(told, [])
    })
  })
})
