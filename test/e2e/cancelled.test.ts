// A cancelled request leaves nothing behind.
import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startStubGateway } from '../support/stub-gateway.ts'

describe('cancelled requests', () => {
  it('a thousand of them leave no request to Prometheus open, and the gateway answers on', async () => {
    let patient = false
    const slow: RequestListener = (_, response) => {
      if (patient) response.setHeader('content-type', 'application/json').end('{"status":"success","data":[]}')
    }
    const gateway = await startStubGateway(slow)
    try {
      const headers = { authorization: `Bearer ${await gateway.token()}` }
      for (let round = 0; round < 20; round += 1) {
        const gone = new AbortController()
        const asked = Array.from({ length: 50 }, () =>
          fetch(`${gateway.url}/api/v1/query?query=up`, { headers, signal: gone.signal }).then(
            () => 'answered',
            () => 'cancelled',
          ),
        )
        // Half of the rounds are cancelled while Prometheus works on them, the others at some earlier step.
        const wanted = gateway.reached.length + (round % 2 === 0 ? 25 : 0)
        for (let wait = 0; wait < 400 && gateway.reached.length < wanted; wait += 1) await sleep(10)
        await sleep(round)
        gone.abort()
        assert.deepEqual(new Set(await Promise.all(asked)), new Set(['cancelled']))
      }
      for (let round = 0; round < 200 && (await gateway.connections()) > 0; round += 1) await sleep(25)
      assert.equal(await gateway.connections(), 0)
      patient = true
      assert.equal((await fetch(`${gateway.url}/api/v1/query?query=up`, { headers })).status, 200)
      assert.ok(gateway.reached.length > 200, `only ${gateway.reached.length} reached Prometheus`)
    } finally {
      await gateway.stop()
    }
  })
})
