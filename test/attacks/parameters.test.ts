// Parameters and bodies that two readers could read differently. Prometheus merges URL and body and lets the first copy
// win; other backends know more names. What is not one copy of one known name in one known form does not go on.
import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { Reached, StubGateway } from '../support/stub-gateway.ts'

const form = 'application/x-www-form-urlencoded'
const mine = '{namespace=~"emojivoto"}'

interface Request {
  readonly method?: 'GET' | 'POST'
  readonly type?: string
  readonly body?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
}

interface Sent {
  readonly status: number
  readonly text: string
  /** What reached Prometheus because of it. */
  readonly reached: readonly Reached[]
}

describe('a request for Prometheus', () => {
  let gateway: StubGateway
  let authorization: string
  before(async () => {
    gateway = await startStubGateway((_, response) => {
      response.setHeader('content-type', 'application/json').end('{"status":"success","data":[]}')
    })
    authorization = `Bearer ${await gateway.token()}`
  })
  after(() => gateway.stop())

  /** Sends it as it is: a GET may have a body here, and a POST no type. */
  async function send(target: string, { method = 'POST', type, body = '', headers = {} }: Request): Promise<Sent> {
    const before = gateway.reached.length
    const bytes = Buffer.from(body)
    const sent = {
      authorization,
      ...(bytes.length === 0 ? {} : { 'content-length': String(bytes.length) }),
      ...(type === undefined ? {} : { 'content-type': type }),
      ...headers,
    }
    const { promise, resolve, reject } = Promise.withResolvers<Omit<Sent, 'reached'>>()
    httpRequest(`${gateway.url}${target}`, { method, headers: sent }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('error', reject).on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
      .on('error', reject)
      .end(bytes)
    const { status, text } = await promise
    return { status, text, reached: gateway.reached.slice(before) }
  }
  const post = (target: string, body: string): Promise<Sent> => send(target, { type: form, body })
  const get = (target: string): Promise<Sent> => send(target, { method: 'GET' })
  function assertRefused({ status, text, reached }: Sent, wanted: number, words: RegExp, what = ''): void {
    assert.deepEqual(reached, [], what)
    assert.equal(status, wanted, `${what} ${text}`)
    assert.match(text, words, what)
  }
  const fieldsOf = ({ reached }: Sent): readonly (readonly [string, string])[] => [
    ...new URLSearchParams(reached[0]?.body),
  ]

  it('that is plain goes on, once, or the rest would mean nothing', async () => {
    for (const plain of [await post('/api/v1/query', 'query=up'), await get('/api/v1/query?query=up')]) {
      assert.equal(plain.status, 200)
      assert.equal(plain.reached.length, 1)
      assert.deepEqual(fieldsOf(plain), [['query', `up${mine}`]])
    }
  })

  describe('with a parameter', () => {
    const twice = /given more than once/
    it('in the URL and another copy in the body is refused', async () => {
      assertRefused(await post('/api/v1/query?query=up', 'query=secret'), 422, twice)
      assertRefused(await post('/api/v1/query?query=secret', 'query=up'), 422, twice)
      assertRefused(await post('/api/v1/query?query=up', 'query=up'), 422, twice)
      assertRefused(await post('/api/v1/query_range?start=1&query=up&end=2&step=1', 'start=0'), 422, twice)
    })
    it('repeated in one place is refused, however its name is encoded', async () => {
      assertRefused(await get('/api/v1/query?query=up&query=secret'), 422, twice)
      assertRefused(await post('/api/v1/query', 'query=up&query=secret'), 422, twice)
      assertRefused(await get('/api/v1/query?query=up&%71uer%79=secret'), 422, twice)
      assertRefused(await get('/api/v1/query?time=4&query=up&time=4'), 422, twice)
    })
    it('whose first copy is empty is refused: no reader chooses between the two', async () => {
      assertRefused(await get('/api/v1/query?query=&query=secret'), 422, twice)
      assertRefused(await get('/api/v1/query?query&query=secret'), 422, twice)
      assertRefused(await post('/api/v1/query?query=', 'query=secret'), 422, twice)
      assertRefused(await get('/api/v1/query?query=up&time=&time=4'), 422, twice)
    })
    it('called match, or nearly match[], is not taken for match[]', async () => {
      for (const name of [
        'match',
        'match[0]',
        'match[',
        'match[][]',
        'match%5B%5D%00',
        'MATCH[]',
        ' match[]',
        'match%20',
      ]) {
        for (const path of ['/api/v1/series', '/api/v1/labels', '/api/v1/label/pod/values', '/federate']) {
          const target = `${path}?match[]=up&${name.replace(' ', '%20')}=secret`
          assertRefused(await get(target), 422, /unknown parameter/, target)
        }
      }
    })
    it('match[] beside the scope is not a wider choice: every copy carries the scope', async () => {
      const sent = await post('/api/v1/series?match[]=up', 'match[]=secret&match%5B%5D={pod="x"}')
      assert.equal(sent.status, 200)
      assert.deepEqual(fieldsOf(sent), [
        ['match[]', `up${mine}`],
        ['match[]', `secret${mine}`],
        ['match[]', '{namespace=~"emojivoto",pod="x"}'],
      ])
    })
    it('match[] that is empty is refused, and one that is missing becomes the scope', async () => {
      assertRefused(await post('/api/v1/labels', 'match[]='), 422, /./)
      assertRefused(await get('/api/v1/label/pod/values?match[]='), 422, /./)
      const none = await post('/api/v1/labels', '')
      assert.deepEqual(fieldsOf(none), [['match[]', mine]])
    })
    it('that only other backends know is refused by name, in the URL and in the body', async () => {
      const names = [
        ...['extra_label', 'extra_filters', 'extra_filters[]', 'nocache', 'round_digits', 'latency_offset', 'trace'],
        ...[
          'tenant',
          'dedup',
          'storeMatch[]',
          'replicaLabels[]',
          'partial_response',
          'max_source_resolution',
          'engine',
        ],
        ...['org_id', 'X-Scope-OrgID', 'AccountID', 'ProjectID', 'namespace', 'access_token', '_method', 'explain'],
      ]
      for (const name of names) {
        const more = `${encodeURIComponent(name)}=namespace%3Dtheirs`
        for (const sent of [
          await get(`/api/v1/query?query=up&${more}`),
          await post('/api/v1/query', `query=up&${more}`),
          await post('/api/v1/series', `match[]=up&${more}`),
          await get(`/api/v1/label/pod/values?${more}`),
          await get(`/federate?match[]=up&${more}`),
        ]) {
          assertRefused(sent, 422, /unknown parameter/, name)
        }
      }
    })
    it('whose value holds more parameters stays one value', async () => {
      const label = 'x&match[]={namespace="theirs"}&query=secret#\\'
      const one = await post('/api/v1/search/label_values', `label=${encodeURIComponent(label)}`)
      assert.deepEqual(fieldsOf(one), [
        ['match[]', mine],
        ['label', label],
      ])
      for (const value of ['4%26query%3Dsecret', '4;query=secret', '4%0d%0aX-A:b', '4%20%26', '4%23']) {
        assertRefused(await get(`/api/v1/query?query=up&time=${value}`), 422, /\\"time\\" is not/, value)
      }
      const text = await post('/api/v1/query', `query=${encodeURIComponent('up{pod="x&query=secret"}')}`)
      assert.deepEqual(fieldsOf(text), [['query', 'up{namespace=~"emojivoto",pod="x&query=secret"}']])
    })
    it('behind a second separator is not another one', async () => {
      assertRefused(await get('/api/v1/query?query=up;query=secret'), 422, /;/)
      assertRefused(await get('/api/v1/query?query=up&amp;query=secret'), 422, /unknown parameter/)
      assertRefused(await get('/api/v1/query?query=up&?query=secret'), 422, /unknown parameter/)
    })
  })

  describe('with a body', () => {
    const body = 'query=up'
    it('of no type is refused, not read and not forwarded', async () => {
      assertRefused(await send('/api/v1/query', { body }), 415, /x-www-form-urlencoded/)
      assertRefused(await send('/api/v1/query', { body, type: '' }), 415, /x-www-form-urlencoded/)
      assertRefused(await send('/api/v1/query?query=up', { body: 'query=secret' }), 415, /x-www-form-urlencoded/)
    })
    it('of another type is refused, though it begins or ends like the right one', async () => {
      for (const type of [
        'text/plain',
        'application/json',
        'application/x-www-form-urlencoded2',
        'x/application/x-www-form-urlencoded',
        `${form}, text/plain`,
        `text/plain, ${form}`,
        `text/plain; x=${form}`,
        `"${form}"`,
      ]) {
        assertRefused(await send('/api/v1/query', { body, type }), 415, /x-www-form-urlencoded/, type)
      }
    })
    it('that is multipart is refused, which Prometheus would read', async () => {
      const parts = '--b\r\nContent-Disposition: form-data; name="query"\r\n\r\nsecret\r\n--b--\r\n'
      for (const type of [
        'multipart/form-data; boundary=b',
        'multipart/mixed; boundary=b',
        'Multipart/Form-Data;boundary=b',
      ]) {
        assertRefused(await send('/api/v1/query', { body: parts, type }), 415, /x-www-form-urlencoded/, type)
        assertRefused(await send('/api/v1/query?query=up', { body: parts, type }), 415, /x-www-form-urlencoded/, type)
      }
    })
    it('in another alphabet is not read in it', async () => {
      const wide = await send('/api/v1/query?query=up', {
        body: Buffer.from('query=secret', 'utf16le'),
        type: `${form}; charset=utf-16`,
      })
      assertRefused(wide, 422, /unknown parameter/)
      const seven = await send('/api/v1/query?query=up', { body: '+AHE-uery=secret', type: `${form}; charset=utf-7` })
      assertRefused(seven, 422, /unknown parameter/)
    })
    it('that is compressed is refused', async () => {
      for (const coding of ['gzip', 'deflate', 'br', 'identity', 'snappy']) {
        const sent = await send('/api/v1/query', {
          body: gzipSync(body),
          type: form,
          headers: { 'content-encoding': coding },
        })
        assertRefused(sent, 415, /content encoding/, coding)
      }
    })
    it('though it is a GET is refused', async () => {
      const more = { method: 'GET', type: form, body: 'query=secret' } as const
      assertRefused(await send('/api/v1/query?query=up', more), 400, /only a POST may have a body/)
      assertRefused(await send('/api/v1/query', more), 400, /only a POST may have a body/)
      assertRefused(await send('/federate?match[]=up', { ...more, body: 'match[]=secret' }), 400, /only a POST/)
      const chunked = { method: 'GET', type: form, headers: { 'transfer-encoding': 'chunked' } } as const
      assertRefused(await send('/api/v1/labels', chunked), 400, /only a POST may have a body/)
    })
  })
})
