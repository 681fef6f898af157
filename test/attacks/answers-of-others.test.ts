// Answers in a form in which something of others could slip past a filter, and answers, errors or copies of them that
// belong to somebody else.
import assert from 'node:assert/strict'
import type { RequestListener, ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'

const theirs = /payments/
const labels = (namespace: string) => ({ namespace, pod: `of-${namespace}` })
const alert = (namespace: string) => ({ labels: labels(namespace), annotations: {}, state: 'firing', value: '1' })
const rule = (namespace: string) => ({
  type: 'recording',
  name: `${namespace}:up`,
  query: `up{namespace="${namespace}"}`,
  labels: {},
  health: 'ok',
})
const both = ['emojivoto', 'payments'] as const

/** What a Prometheus would answer on each path whose answer is filtered: something of hers, and something of others. */
const data: Readonly<Record<string, unknown>> = {
  '/api/v1/rules': { groups: both.map((one) => ({ name: one, file: `${one}.yml`, rules: [rule(one)] })) },
  '/api/v1/alerts': { alerts: both.map(alert) },
  '/api/v1/targets': { activeTargets: both.map((one) => ({ labels: labels(one), health: 'up' })), droppedTargets: [] },
  '/api/v1/metadata': Object.fromEntries(both.map((one) => [`${one}_up`, [{ type: 'gauge', help: one, unit: '' }]])),
}
const paths = Object.keys(data)
const names = '{"status":"success","data":["emojivoto_up"]}'
const whole = (path: string): string => JSON.stringify({ status: 'success', data: data[path] })

/** A Prometheus that answers a filtered path in an odd way, and the question for names as it should. */
const answering =
  (answer: Answer): RequestListener =>
  (request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? ''
    response.setHeader('content-type', 'application/json')
    if (path.endsWith('/values')) response.end(names)
    else answer(whole(path), response)
  }

async function withGateway(answer: RequestListener, use: (gateway: StubGateway) => Promise<void>): Promise<void> {
  const gateway = await startStubGateway(answer)
  try {
    await use(gateway)
  } finally {
    await gateway.stop()
  }
}

interface Shown {
  readonly status: number
  readonly text: string
}
async function ask(gateway: StubGateway, target: string, group = 'team-emojivoto'): Promise<Shown> {
  const headers = { authorization: `Bearer ${await gateway.token([group])}` }
  const response = await fetch(`${gateway.url}${target}`, { headers })
  return { status: response.status, text: await response.text() }
}

type Answer = (text: string, response: ServerResponse) => void

/** Forms of an answer that can be taken apart. */
const readable: readonly (readonly [how: string, answer: Answer])[] = [
  ['plain', (text, response) => response.end(text)],
  [
    'sent byte by byte, in chunks',
    (text, response) => {
      for (const byte of Buffer.from(text)) response.write(Buffer.of(byte))
      response.end()
    },
  ],
  [
    'one that says each thing twice',
    (text, response) => {
      // Of two members of one name the last one counts for Node; for a client it may be the first one.
      const mine = text.replaceAll('payments', 'emojivoto')
      const [first, last] = [mine, text].map((one) => one.slice('{"status":"success",'.length, -1))
      response.end(`{"status":"error","status":"success",${first},${last}}`)
    },
  ],
]

const breakOff = (response: ServerResponse): void => void setTimeout(() => response.destroy(), 20)
/** Forms of which nothing is to be shown. */
const unreadable: typeof readable = [
  [
    'compressed with gzip though nobody asked',
    (text, response) => response.setHeader('content-encoding', 'gzip').end(gzipSync(text)),
  ],
  [
    'compressed with something else',
    (text, response) => response.setHeader('content-encoding', 'br').end(brotliCompressSync(text)),
  ],
  [
    'compressed twice',
    (text, response) => response.setHeader('content-encoding', 'gzip, gzip').end(gzipSync(gzipSync(text))),
  ],
  ['said to be compressed, and not', (text, response) => response.setHeader('content-encoding', 'gzip').end(text)],
  ['compressed without saying so', (text, response) => response.end(deflateSync(text))],
  [
    'shorter than it announces',
    (text, response) => {
      response.setHeader('content-length', String(text.length + 1)).write(text)
      breakOff(response)
    },
  ],
  [
    'cut within its chunks',
    (text, response) => {
      response.write(text)
      breakOff(response)
    },
  ],
  ['half of it, as if that were all', (text, response) => response.end(text.slice(0, text.length / 2))],
  ['followed by another one', (text, response) => response.end(`${text}\n${text}`)],
  ['followed by a NUL', (text, response) => response.end(`${text}\0`)],
  ['put behind a guard against scripts', (text, response) => response.end(`)]}',\n${text}`)],
  ['a list of answers', (text, response) => response.end(`[${text}]`)],
  ['a page', (text, response) => response.end(`<html>${text}</html>`)],
  ['of another type', (text, response) => response.setHeader('content-type', 'text/plain').end(text)],
  ['empty', (_, response) => response.end()],
  ['a success under the status of an error', (text, response) => response.writeHead(503).end(text)],
  ...[400, 422, 429, 500].map(
    (status) =>
      [
        `a success under the status ${status} of an error`,
        (text: string, response: ServerResponse) => response.writeHead(status).end(text),
      ] as const,
  ),
  [
    'an error with the answer beside it under another status',
    (text, response) => response.writeHead(503).end(`{"status":"error","data":${text}}`),
  ],
  ['in UTF-16', (text, response) => response.end(Buffer.from(text, 'utf16le'))],
]

describe('where a filter must see the whole answer, one that is', () => {
  for (const [how, answer] of readable) {
    it(`${how}, shows what is hers and nothing of others`, async () => {
      await withGateway(answering(answer), async (gateway) => {
        for (const path of paths) {
          const { status, text } = await ask(gateway, path)
          assert.equal(status, 200, `${path}: ${text}`)
          assert.match(text, /emojivoto/)
          assert.doesNotMatch(text, theirs, path)
        }
      })
    })
  }
  for (const [how, answer] of unreadable) {
    it(`${how}, is refused, and nothing of it is shown`, async () => {
      await withGateway(answering(answer), async (gateway) => {
        for (const path of paths) {
          const { status, text } = await ask(gateway, path)
          assert.equal(status, 502, `${path}: ${text}`)
          assert.match(text, /"error":"the Prometheus of cluster stub answered with something else/)
          assert.doesNotMatch(text, /payments|emojivoto/, path)
        }
      })
    })
  }
})

describe('an error', () => {
  it('of Prometheus reaches the one who asked, and not the next one', async () => {
    const error = '{"status":"error","errorType":"execution","error":"payments: found duplicate series"}'
    const answer: RequestListener = (_, response) => {
      response.writeHead(422, { 'content-type': 'application/json' }).end(error)
    }
    await withGateway(answer, async (gateway) => {
      assert.equal((await ask(gateway, '/api/v1/query?query=up', 'platform')).text, error)
      const refused = await ask(gateway, '/api/v1/query?query=up{namespace="other"}')
      assert.equal(refused.status, 403)
      assert.doesNotMatch(refused.text, theirs)
    })
  })
  it('does not tell whether a namespace exists that one may not see', async () => {
    await withGateway(
      answering((text, response) => response.end(text)),
      async (gateway) => {
        const said = async (namespace: string): Promise<string> => {
          const { status, text } = await ask(gateway, `/api/v1/query?query=up{namespace="${namespace}"}`)
          assert.equal(status, 403)
          return text.replaceAll(namespace, '?').replace(/request [0-9a-f-]{36}/, '')
        }
        assert.equal(await said('payments'), await said('nosuch'))
        assert.deepEqual(gateway.reached, [])
      },
    )
  })
  it('of a refused question names nothing but what was asked and who asked', async () => {
    await withGateway(
      answering((text, response) => response.end(text)),
      async (gateway) => {
        await ask(gateway, '/api/v1/query?query=up{namespace="payments"}', 'team-booksapp')
        for (const target of [
          '/api/v1/query?query=sum(',
          '/api/v1/query?query=up&x=y',
          '/api/v1/nothing',
          '/federate',
        ]) {
          const { text } = await ask(gateway, target)
          assert.doesNotMatch(text, /payments|booksapp|emojivoto/, target)
        }
      },
    )
  })
})

describe('an answer', () => {
  const many = 12
  /** A Prometheus that waits for that many questions, and answers each with its own address, the last one first. */
  function echoing(): RequestListener {
    const waiting: (() => void)[] = []
    return (request, response) => {
      response.setHeader('content-type', 'application/json')
      waiting.push(() => response.end(JSON.stringify({ status: 'success', data: [request.url] })))
      if (waiting.length === many) for (const say of waiting.splice(0).toReversed()) say()
    }
  }
  it('goes to the one who asked, when many ask at once and Prometheus answers in another order', async () => {
    await withGateway(echoing(), async (gateway) => {
      const groups = ['team-emojivoto', 'team-booksapp']
      const asked = Array.from({ length: many }, async (_, index) => {
        const [group = '', label] = [groups[index % 2], `l${index}`]
        const { status, text } = await ask(gateway, `/api/v1/label/${label}/values`, group)
        assert.equal(status, 200)
        const {
          data: [target = ''],
        }: { data: readonly string[] } = JSON.parse(text)
        const url = new URL(target, gateway.url)
        assert.equal(url.pathname, `/api/v1/label/${label}/values`)
        assert.equal(url.searchParams.get('match[]'), `{namespace=~"${group.replace('team-', '')}"}`)
      })
      await Promise.all(asked)
    })
  })
  it('that was given up half-way is not the beginning of the next one', async () => {
    let first = true
    const answer: RequestListener = (_, response) => {
      response.setHeader('content-type', 'application/json')
      if (!first) return void response.end('{"status":"success","data":["of bob"]}')
      first = false
      response.write('{"status":"success","data":["of alice"')
      return undefined
    }
    await withGateway(answer, async (gateway) => {
      const gone = new AbortController()
      const headers = { authorization: `Bearer ${await gateway.token()}` }
      const response = await fetch(`${gateway.url}/api/v1/labels`, { headers, signal: gone.signal })
      gone.abort()
      await assert.rejects(response.text())
      for (let round = 0; round < 3; round++) {
        const { text } = await ask(gateway, '/api/v1/labels', 'team-booksapp')
        assert.equal(text, '{"status":"success","data":["of bob"]}')
        await sleep(20)
      }
    })
  })
  it('is kept by nobody: it is never to be stored, and is asked for anew each time', async () => {
    const cacheable: RequestListener = (_, response) => {
      response
        .setHeader('cache-control', 'public, max-age=3600')
        .setHeader('etag', '"1"')
        .setHeader('expires', 'Fri, 01 Jan 2100 00:00:00 GMT')
        .setHeader('last-modified', 'Fri, 20 Nov 2026 00:00:00 GMT')
        .setHeader('age', '10')
        .setHeader('content-type', 'application/json')
        .end('{"status":"success","data":[]}')
    }
    await withGateway(cacheable, async (gateway) => {
      for (const group of ['team-emojivoto', 'team-booksapp', 'team-emojivoto']) {
        const conditional = {
          'if-none-match': '"1", *',
          'if-modified-since': 'Fri, 20 Nov 2026 00:00:00 GMT',
          range: 'bytes=0-3',
          'cache-control': 'only-if-cached, max-stale',
        }
        const headers = { authorization: `Bearer ${await gateway.token([group])}`, ...conditional }
        const response = await fetch(`${gateway.url}/api/v1/query?query=up`, { headers, cache: 'no-store' })
        assert.equal(response.status, 200)
        assert.equal(await response.text(), '{"status":"success","data":[]}')
        assert.equal(response.headers.get('cache-control'), 'no-store')
        for (const name of ['etag', 'expires', 'last-modified', 'age']) assert.equal(response.headers.get(name), null)
        const seen = gateway.reached.at(-1)
        for (const name of Object.keys(conditional)) assert.equal(seen?.headers[name], undefined, name)
        const scope = group.replace('team-', '')
        assert.equal(new URLSearchParams(seen?.body).get('query'), `up{namespace=~"${scope}"}`)
      }
      assert.equal(gateway.reached.length, 3)
    })
  })
})
