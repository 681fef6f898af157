// A remote-read request is bytes of the caller's. Whatever they are, what goes on to Prometheus is made anew and has the
// scope on every query, and the judge of that reads the format by itself.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { close, listen } from '../../demo/parts/loopback.ts'
import { startPrometheus } from '../../demo/parts/prometheus.ts'
import type { RunningPrometheus } from '../../demo/parts/prometheus.ts'
import type { Scope } from '../../src/policy/scope.ts'
import { readLimits } from '../../src/prometheus/limits.ts'
import { encodeReadRequest, scopeReadRequest } from '../../src/prometheus/remote-read.ts'
import type { ReadRequest, ResponseType } from '../../src/prometheus/remote-read.ts'
import { packSnappy, unpackSnappy } from '../../src/prometheus/snappy.ts'
import { readRequest } from '../judges/read-request.ts'
import { unsnappy } from '../judges/snappy.ts'
import { dataOf, send, seriesRequests } from '../support/prometheus-answers.ts'
import type { ApiRequest } from '../support/prometheus-answers.ts'
import { startHistory, window } from '../support/world.ts'
import type { Database } from '../support/world.ts'

const only = (allow: readonly string[], deny: readonly string[] = []): Scope => ({
  kind: 'labels',
  alternatives: [{ label: 'namespace', allow, deny }],
})
const mine = only(['mine', 'my-*'], ['my-secret'])
const ofScope = ['namespace=~mine|my-.*', 'namespace!~my-secret']

/** Scopes a body and holds what goes on, if anything does, against the scope. */
function attack(body: Uint8Array): 'refused' | 'scoped' {
  const result = scopeReadRequest(body, mine)
  if (!result.ok) return 'refused'
  const selects = readRequest(unsnappy(result.value.body))
  assert.ok(selects.length > 0)
  for (const { matchers } of selects) {
    const [first = ''] = matchers
    if (/^namespace=~(mine|my-\w+)$/.test(first)) assert.notEqual(first, 'namespace=~my-secret')
    else assert.deepEqual(matchers.slice(0, 2), ofScope)
  }
  return 'scoped'
}

/** What a refusal says. */
function complaint(message: readonly number[] | Uint8Array): string {
  const result = scopeReadRequest(packSnappy(Uint8Array.from(message)), mine)
  assert.ok(!result.ok, 'it was let through')
  assert.equal(result.error.is, 'bad_read')
  return 'message' in result.error ? result.error.message : ''
}

const bytes = (text: string): number[] => [...Buffer.from(text)]
/** A field of text or a message, shorter than 128 bytes. */
const field = (number: number, content: readonly number[]): number[] => [(number << 3) | 2, content.length, ...content]
const name = field(2, bytes('job'))
const value = field(3, bytes('x'))
const matcher = field(3, [0x08, 0x02, ...name, ...value])
const hints = field(4, [0x08, 0x05, ...field(2, bytes('rate')), ...field(5, bytes('pod')), 0x30, 0x01])
const query = field(1, [0x08, 0x01, 0x10, 0x02, ...matcher, ...hints])
const whole = [...query, ...field(1, []), ...field(2, [0x01, 0x00])]
const packed = packSnappy(Uint8Array.from(whole))

describe('bytes that are nearly a request', () => {
  it('the request itself is scoped, or nothing here would mean anything', () => {
    assert.equal(attack(packed), 'scoped')
  })

  it('cut anywhere, packed', () => {
    for (let length = 0; length < packed.length; length++) {
      assert.equal(attack(packed.subarray(0, length)), 'refused', `${length} bytes`)
    }
  })

  it('cut anywhere before it was packed: refused, or scoped where a whole request is left', () => {
    const outcomes = whole.map((_, length) => attack(packSnappy(Uint8Array.from(whole.slice(0, length)))))
    const left = outcomes.flatMap((outcome, length) => (outcome === 'scoped' ? [length] : []))
    assert.deepEqual(left, [query.length, query.length + 2])
  })

  it('with any one byte changed to any other', () => {
    for (let at = 0; at < whole.length; at++) {
      for (let to = 0; to < 256; to++) attack(packSnappy(Uint8Array.from(whole.with(at, to))))
    }
  })

  it('with some bytes changed, put in or taken out, packed or before', () => {
    const edit = fc.tuple(fc.nat(200), fc.nat(2), fc.uint8Array({ maxLength: 3 }))
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), fc.boolean(), (edits, before) => {
        const changed = before ? [...whole] : [...packed]
        for (const [at, cut, put] of edits) changed.splice(at % changed.length, cut, ...put)
        attack(before ? packSnappy(Uint8Array.from(changed)) : Uint8Array.from(changed))
      }),
      { numRuns: 3000 },
    )
  })

  it('that are anything at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (body) => {
        attack(body)
        attack(packSnappy(body))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a snappy block that lies', () => {
  const cases: [string, number[], RegExp][] = [
    ['that is empty', [], /length is missing/],
    ['that ends within its length', [0x80], /length is missing/],
    ['of a length of six bytes', [0x80, 0x80, 0x80, 0x80, 0x80, 0x00], /length is missing/],
    ['of a length of more than 32 bits', [0xff, 0xff, 0xff, 0xff, 0x1f], /length is missing/],
    ['that announces 4 GiB', [0xff, 0xff, 0xff, 0xff, 0x0f], /longer than/],
    ['that announces a byte more than allowed', [0x81, 0x80, 0x80, 0x02], /longer than/],
    ['that announces more than it holds', [0x08, 0x00, 0x0a], /less than it announces/],
    ['that holds more than it announces', [0x01, 0x04, 0x0a, 0x00], /more than it announces/],
    ['that announces nothing and holds something', [0x00, 0x00, 0x0a], /more than it announces/],
    ['with a literal beyond its end', [0x0a, 0x24, 0x0a], /ends too early/],
    ['with a literal of 4 GiB', [0x0a, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0a], /ends too early/],
    ['with a literal whose length is negative as 32 bits', [0x14, 0x00, 0, 0xfc, 0xf8, 0xff, 0xff, 0xff], /early/],
    ['with a length cut short', [0x0a, 0xfc, 0x01], /ends too early/],
    ['with a copy from before the beginning', [0x08, 0x00, 0x0a, 0x01, 0x02], /before the beginning/],
    ['with a copy from here', [0x08, 0x00, 0x0a, 0x01, 0x00], /before the beginning/],
    ['with a copy from 4 GiB back', [0x08, 0x00, 0x0a, 0x03, 0xff, 0xff, 0xff, 0xff], /before the beginning/],
    ['with a copy cut short', [0x08, 0x00, 0x0a, 0x02, 0x01], /ends too early/],
    ['that begins with a copy', [0x04, 0x01, 0x01], /before the beginning/],
  ]
  for (const [what, block, wanted] of cases) {
    it(what, () => {
      const result = unpackSnappy(Uint8Array.from(block), readLimits.unpacked)
      assert.match(result.ok ? 'unpacked' : result.error, wanted)
      assert.equal(attack(Uint8Array.from(block)), 'refused')
    })
  }

  it('a bomb of copies stops where it announced to', () => {
    // A byte, then copies of it: 64 bytes of output for every 3 of input.
    const copies = Array.from({ length: 100_000 }, () => [0xfe, 0x01, 0x00]).flat()
    const bomb = Uint8Array.from([0x80, 0x80, 0x80, 0x02, 0x00, 0x0a, ...copies])
    const result = unpackSnappy(bomb, readLimits.unpacked)
    assert.match(result.ok ? 'unpacked' : result.error, /more than it announces/)
  })

  it('more than may be sent is not even unpacked', () => {
    const result = scopeReadRequest(new Uint8Array(readLimits.packed + 1), mine)
    assert.match(JSON.stringify(result), /longer than 524288 bytes/)
  })
})

describe('a message that is not what it should be', () => {
  const long = Array.from({ length: 9 }, () => 0x80)
  const cases: [string, number[], RegExp][] = [
    ['without a query', [], /holds no query/],
    ['with response types only', field(2, [0x01]), /holds no query/],
    ['a query longer than the rest', [0x0a, 0x7f, 0x08, 0x01], /ends too early/],
    ['a query of 2^63 bytes', [0x0a, ...long, 0x01], /ends too early/],
    ['a matcher longer than its query', field(1, [0x1a, 0x05, 0x08, 0x00]), /ends too early/],
    ['a number of eleven bytes', field(1, [0x08, ...long, 0x80, 0x00]), /more than 64 bits/],
    ['a number of 65 bits', field(1, [0x08, ...long, 0x02]), /more than 64 bits/],
    ['a number cut short', field(1, [0x08, 0x80]), /ends too early/],
    ['a field number beyond 2^29', [0xfa, 0xff, 0xff, 0xff, 0xff, 0x01], /unknown/],
    ['a field number that is 1 in its low 32 bits', [0x8a, 0x80, 0x80, 0x80, 0x80, 0x01, 0x00], /unknown/],
    ['field number 0', [0x02, 0x00, ...query], /field 0/],
    ['an unknown field of the request', [...query, ...field(3, [])], /field 3/],
    ['an unknown field of a query', field(1, [...matcher, ...field(5, [])]), /field 5/],
    ['an unknown field of a matcher', field(1, field(3, [...name, ...field(4, [])])), /field 4/],
    ['an unknown field of the hints', field(1, field(4, field(8, []))), /field 8/],
    ['a query as a number', [0x08, 0x01], /queries comes in the wrong form/],
    ['a query as a group', [0x0b, ...matcher, 0x0c], /queries comes in the wrong form/],
    ['the end of a group', [...query, 0x0c], /queries comes in the wrong form/],
    ['a query as 32 bits', [0x0d, 0, 0, 0, 0], /queries comes in the wrong form/],
    ['a time as 64 bits', field(1, [0x09, 0, 0, 0, 0, 0, 0, 0, 0]), /start_timestamp_ms comes in the wrong form/],
    ['a time that is packed', field(1, field(1, [0x01])), /start_timestamp_ms comes in the wrong form/],
    ['wire type 6', [0x0e, 0x00], /queries comes in the wrong form/],
    ['wire type 7', [0x0f, 0x00], /queries comes in the wrong form/],
    ['a text as a number', field(1, field(3, [0x10, 0x61])), /name comes in the wrong form/],
    ['two names in a matcher', field(1, field(3, [...name, ...field(2, bytes('namespace'))])), /name is there more/],
    ['two values in a matcher', field(1, field(3, [...name, ...value, ...value])), /value is there more than once/],
    ['two types in a matcher', field(1, field(3, [0x08, 0x00, 0x08, 0x02, ...name])), /type is there more than once/],
    ['two start times', field(1, [0x08, 0x01, 0x08, 0x02]), /start_timestamp_ms is there more than once/],
    ['two hints', field(1, [...hints, ...hints]), /hints is there more than once/],
    ['a matcher without a name', field(1, field(3, value)), /names no label/],
    ['a matcher of nothing', field(1, field(3, [])), /names no label/],
    ['a matcher type that is unknown', field(1, field(3, [0x08, 0x04, ...name])), /matcher type, 4/],
    [
      'a matcher type that is 1 in its low 32 bits',
      field(1, field(3, [0x08, 0x81, 0x80, 0x80, 0x80, 0x10, ...name])),
      /matcher type, 4294967297/,
    ],
    ['a negative matcher type', field(1, field(3, [0x08, ...long.map(() => 0xff), 0x01, ...name])), /matcher type/],
    ['a response type that is unknown', [...query, ...field(2, [0x02])], /response type, 2/],
    ['three response types', [...query, ...field(2, [1, 0, 1])], /accepted_response_types is there more than 2/],
    ['response types that are none', [...query, ...field(2, [])], /ends too early/],
    ['a name that is not UTF-8', field(1, field(3, field(2, [0x6a, 0xff]))), /name is not UTF-8/],
    ['a name with an overlong letter', field(1, field(3, field(2, [0xc1, 0xaa]))), /name is not UTF-8/],
    ['a name with half of a pair', field(1, field(3, field(2, [0xed, 0xa0, 0x80]))), /name is not UTF-8/],
    ['a value that is not UTF-8', field(1, field(3, [...name, ...field(3, [0x80])])), /value is not UTF-8/],
    ['a function that is not UTF-8', field(1, field(4, field(2, [0xff]))), /func is not UTF-8/],
    ['a label of the hints that is not UTF-8', field(1, field(4, field(5, [0xff]))), /grouping is not UTF-8/],
    ['17 queries', Array.from({ length: 17 }, () => field(1, [])).flat(), /queries is there more than 16 times/],
  ]
  for (const [what, message, wanted] of cases) it(what, () => assert.match(complaint(message), wanted))

  it('one bad query among good ones refuses them all', () => {
    assert.match(complaint([...query, ...field(1, field(9, [])), ...query]), /field 9/)
  })
})

describe('a request that says what it likes', () => {
  const match = (op: '=' | '!=' | '=~' | '!~', value: string, label = 'namespace') => ({ label, op, value })
  const sent = (...matchers: ReturnType<typeof match>[]): string[][] => {
    const asked: ReadRequest = { queries: [{ start: 0n, end: 1n, matchers }], responseTypes: [] }
    const result = scopeReadRequest(encodeReadRequest(asked), mine)
    assert.ok(result.ok)
    return readRequest(unsnappy(result.value.body)).map(({ matchers }) => [...matchers])
  }
  const tricks = [
    match('=~', '.*'),
    match('=~', ''),
    match('=', ''),
    match('!=', 'mine'),
    match('!~', 'mine|my-.*'),
    match('=~', 'x)|(.*'),
    match('=~', 'my-secret|.*'),
    match('=~', 'theirs', '__name__'),
    match('=', 'x"} or {namespace="theirs', 'job'),
    match('=', 'x', 'namespace="theirs",job'),
    match('=', 'x', 'namespace\0'),
  ]
  for (const trick of tricks) {
    it(`${JSON.stringify(trick.label)} ${trick.op} ${JSON.stringify(trick.value)}`, () => {
      assert.deepEqual(sent(trick), [[...ofScope, `${trick.label}${trick.op}${trick.value}`]])
    })
  }

  it('what is denied is refused by name', () => {
    const matchers = [match('=', 'my-secret')]
    const asked: ReadRequest = { queries: [{ start: 0n, end: 1n, matchers }], responseTypes: [] }
    const result = scopeReadRequest(encodeReadRequest(asked), mine)
    assert.equal(!result.ok && result.error.is, 'not_allowed')
  })
})

const shown = 'emojivoto'
const emoji = only([shown])
const built =
  process.env['PROMETHEUS_3'] ?? fileURLToPath(new URL('../../.cache/prometheus3/prometheus', import.meta.url))

/** Passes remote reads on to a Prometheus as the gateway would, scoped; keeps what was asked and how it was answered. */
async function startDoor(upstream: string, scope: Scope) {
  const seen: { readonly asked: readonly ResponseType[]; readonly type: string }[] = []
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const scoped = scopeReadRequest(await buffer(request), scope)
    if (!scoped.ok) return void response.writeHead(400).end(JSON.stringify(scoped.error))
    const { status, headers, body } = await forward(upstream, scoped.value.body)
    seen.push({ asked: scoped.value.responseTypes, type: headers['content-type'] ?? '' })
    return void response.writeHead(status, headers).end(body)
  }
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)))
  })
  const port = await listen(server, 0)
  return { url: `http://127.0.0.1:${port}/api/v1/read`, seen, stop: () => close(server) }
}

/** Asks a Prometheus for a remote read. */
async function forward(upstream: string, body: Uint8Array) {
  const answer = await fetch(`${upstream}/api/v1/read`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-protobuf',
      'content-encoding': 'snappy',
      'x-prometheus-remote-read-version': '0.1.0',
    },
    body: Uint8Array.from(body),
  })
  const headers: Record<string, string> = {}
  for (const header of ['content-type', 'content-encoding']) {
    const value = answer.headers.get(header)
    if (value !== null) headers[header] = value
  }
  return { status: answer.status, headers, body: Buffer.from(await answer.arrayBuffer()) }
}

/** A Prometheus without data of its own that reads from there. */
async function startReader(binary: string, url: string): Promise<RunningPrometheus & { remove(): Promise<void> }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'bailiwick-reader-'))
  const config = `global: { scrape_interval: 1h }\nremote_read: [{ url: "${url}", read_recent: true }]\n`
  const prometheus = await startPrometheus({ binary, dataDir, config, tell: () => {} })
  return {
    ...prometheus,
    async remove() {
      await prometheus.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

/** Names and values of labels only come from a Prometheus's own database. */
const readable = seriesRequests.filter(({ path }) => /\/(query|query_range|series)$/.test(path))
const nameOf = ({ path, params }: ApiRequest): string => `${path} ${params[0]?.[1] ?? ''}`

describe('real Prometheus, read through the scope', () => {
  let all: Database
  let door: Awaited<ReturnType<typeof startDoor>>
  before(async () => {
    all = await startHistory()
    door = await startDoor(all.prometheus.url, emoji)
  })
  after(async () => {
    await door.stop()
    await all.stop()
  })

  describe('by another Prometheus: it shows what one with only those series shows', () => {
    let reader: Awaited<ReturnType<typeof startReader>>
    let judge: Database
    before(async () => {
      reader = await startReader(all.binary.prometheus, door.url)
      judge = await startHistory((labels) => labels['namespace'] === shown)
    })
    after(async () => {
      await reader.remove()
      await judge.stop()
    })

    for (const request of readable) {
      it(nameOf(request), async () => {
        const through = await dataOf(await send(reader.url, request))
        assert.deepEqual(through, await dataOf(await send(judge.prometheus.url, request)))
      })
    }

    it('and not nothing, nor another namespace', async () => {
      const asked: ApiRequest = {
        path: '/api/v1/query',
        params: [
          ['query', 'count by (namespace) ({__name__=~".+"})'],
          ['time', String(window.nightlyAt)],
        ],
      }
      assert.match(JSON.stringify(await dataOf(await send(reader.url, asked))), new RegExp(`"namespace":"${shown}"`))
      assert.match(JSON.stringify(await dataOf(await send(all.prometheus.url, asked))), /"namespace":"booksapp"/)
      assert.ok(door.seen.length > 0)
      assert.ok(door.seen.every(({ type }) => type === 'application/x-protobuf'))
    })
  })

  describe('for either kind of answer', () => {
    const ask = async (type: ResponseType, scope: Scope) => {
      const queries = [[], [{ label: '__name__', op: '=' as const, value: 'up' }]].map((matchers) => ({
        start: BigInt(window.start) * 1000n,
        end: BigInt(window.end) * 1000n,
        matchers,
      }))
      const scoped = scopeReadRequest(encodeReadRequest({ queries, responseTypes: [type] }), scope)
      assert.ok(scoped.ok)
      const { status, headers, body } = await forward(all.prometheus.url, scoped.value.body)
      assert.equal(status, 200, body.toString())
      const text = type === 'samples' ? Buffer.from(unsnappy(body)).toString('latin1') : body.toString('latin1')
      return { type: headers['content-type'] ?? '', namespaces: namespacesIn(text) }
    }

    for (const [type, wanted] of [
      ['samples', /^application\/x-protobuf$/],
      ['streamed_chunks', /^application\/x-streamed-protobuf; proto=prometheus\.ChunkedReadResponse$/],
    ] as const) {
      it(`${type}: only the scope's series`, async () => {
        const answer = await ask(type, emoji)
        assert.match(answer.type, wanted)
        assert.deepEqual(answer.namespaces, [shown])
        const unscoped = await ask(type, { kind: 'everything' })
        assert.ok(unscoped.namespaces.includes('booksapp'), 'the judge does not see namespaces at all')
      })

      it(`${type}: not what is denied`, async () => {
        const { namespaces } = await ask(type, only(['*'], [shown]))
        assert.ok(namespaces.includes('booksapp'))
        assert.ok(!namespaces.includes(shown))
      })
    }
  })

  it('by a Prometheus that asks for streamed chunks by itself', async (context) => {
    if (!existsSync(built))
      return context.skip('no Prometheus 3 here: run npm run prometheus3, or name one: PROMETHEUS_3')
    const reader = await startReader(built, door.url)
    context.after(() => reader.remove())
    const before = door.seen.length
    const params = [
      ['query', 'count by (namespace) ({__name__=~".+"})'],
      ['time', String(window.nightlyAt)],
    ] as const
    const data = await dataOf(await send(reader.url, { path: '/api/v1/query', params }))
    assert.deepEqual(
      [...JSON.stringify(data).matchAll(/"namespace":"([^"]*)"/g)].map(([, name]) => name),
      [shown],
    )
    const [last] = door.seen.slice(before)
    assert.deepEqual(last?.asked, ['streamed_chunks', 'samples'])
    return assert.match(last?.type ?? '', /^application\/x-streamed-protobuf/)
  })
})

/** The values of the label `namespace` in an answer: fields 1 and 2 of a label, each a length and that many bytes. */
const namespacesIn = (answer: string): readonly string[] => {
  const [, ...rest] = answer.split('\n\tnamespace\x12')
  return [...new Set(rest.map((text) => text.slice(1, 1 + text.charCodeAt(0))))].toSorted()
}
