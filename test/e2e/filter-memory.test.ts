// A filter must see a whole answer, so what is being filtered is bounded for all requests together.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { maxFiltered } from '../../src/prometheus/limits.ts'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'

const rule = { name: 'r', query: 'up{namespace="emojivoto"}', health: 'ok', type: 'recording', labels: {} }
const begin = '{"status":"success","data":{"groups":['
const end = `${JSON.stringify({ name: 'g', file: 'f', rules: [rule] })}]}}`
/** Space between the parts of an answer, which costs nothing to leave out again. */
const space = Buffer.alloc(1024 * 1024, ' ')

describe('answers that are filtered', () => {
  let gateway: StubGateway
  let bytes: number
  const waiting: (() => void)[] = []
  before(async () => {
    gateway = await startStubGateway((_, response) => void answer(response))
  })
  after(() => gateway.stop())

  async function answer(response: ServerResponse): Promise<void> {
    const closed = once(response, 'close')
    response.setHeader('content-type', 'application/json').write(begin)
    for (let sent = 0; sent < bytes; sent += space.length) {
      if (!response.write(space)) await Promise.race([once(response, 'drain'), closed])
      if (response.destroyed) return
    }
    if (bytes > 0) await new Promise<void>((resolve) => waiting.push(resolve))
    response.end(end)
  }
  const ask = async (): Promise<Response> =>
    fetch(`${gateway.url}/api/v1/rules`, { headers: { authorization: `Bearer ${await gateway.token()}` } })
  const release = (): void => {
    for (const go of waiting.splice(0)) go()
  }

  it('are held up to a size, all together; beyond it one is asked to come back, and the others are answered', async () => {
    bytes = Math.floor(maxFiltered * 0.6)
    const first = ask()
    while (waiting.length < 1) await new Promise((resolve) => setTimeout(resolve, 10))
    const second = await ask()
    assert.equal(second.status, 503)
    assert.equal(second.headers.get('retry-after'), '5')
    assert.match(await second.text(), /too many large answers are being filtered just now: try again soon/)
    release()
    const answered = await first
    assert.equal(answered.status, 200)
    assert.match(await answered.text(), /"name":"r"/)
  })
  it('give back what they held', async () => {
    bytes = Math.floor(maxFiltered * 0.6)
    for (let round = 0; round < 2; round += 1) {
      const asking = ask()
      while (waiting.length < 1) await new Promise((resolve) => setTimeout(resolve, 10))
      release()
      assert.equal((await asking).status, 200)
    }
  })
  it('that are larger than that alone are refused as such', async () => {
    bytes = maxFiltered + space.length
    const refused = await ask()
    assert.equal(refused.status, 502)
    bytes = 0
    assert.equal((await ask()).status, 200)
  })
})
