// What travels beside a query, and has no business in the record.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'
import { send } from '../support/visitor.ts'

const answer = '{"status":"success","data":{"resultType":"vector","result":[]}}'

describe('the decision record', () => {
  let gateway: StubGateway
  before(async () => {
    gateway = await startStubGateway((_, response) => {
      response.setHeader('content-type', 'application/json').end(answer)
    })
  })
  after(() => gateway.stop())

  async function decisionOf(path: string, headers: Readonly<Record<string, string>> = {}) {
    const authorization = `Bearer ${await gateway.token()}`
    const { headers: answered } = await send(gateway.url + path, { headers: { authorization, ...headers } })
    const id = answered['bailiwick-request']
    const found = (await gateway.records()).find(({ kind, request }) => kind === 'decision' && request === id)
    return found ?? assert.fail('no record')
  }

  it('names the page in Grafana, without the token with which it was opened', async () => {
    // Grafana takes a JWT from the address (`url_login`), and tells its data sources which page asks.
    const page = 'https://grafana.test/d/abc?auth_token=eyJhbGciOi&orgId=1'
    const { claimed } = await decisionOf('/api/v1/query?query=up', { 'x-grafana-referer': page })
    assert.match(JSON.stringify(claimed), /grafana\.test\/d\/abc/)
    assert.doesNotMatch(JSON.stringify(claimed), /eyJhbGciOi/)
  })

  it('holds nothing by which a guess at a value that it leaves out could be checked', async () => {
    const one = await decisionOf('/api/v1/query?query=up&password=hunter2')
    const other = await decisionOf('/api/v1/query?query=up&password=letmein')
    assert.deepEqual(one['asked'], other['asked'])
    assert.equal(one['fold'], other['fold'])
  })
})
