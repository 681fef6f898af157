// A good proxy: large answers in little memory, the client's pace for Prometheus, words for whatever goes wrong there,
// connections that are kept with care, and headers of one hop that stay on it. The gateway is a process of its own.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import { connect, createServer as createTcpServer } from 'node:net'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGunzip } from 'node:zlib'
import { close, freePort, listen } from '../../demo/parts/loopback.ts'
import { largeAnswer, startGatewayProcess } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import type { AuditLine } from '../support/world.ts'

const MB = 1_000_000
const noProc = process.platform === 'linux' ? false : 'another process is looked at through /proc, which only Linux has'
const query = '/api/v1/query?query=up'
const narrowed = ',"infos":["bailiwick: narrowed to namespace: emojivoto"]}'

async function until(done: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let round = 0; round < 800; round += 1) {
    if (await done()) return
    await sleep(25)
  }
  assert.fail(`it did not come about: ${what}`)
}

/** The outcome of the request that was the first after the `known` records. */
async function outcome(gateway: GatewayProcess, known: number): Promise<AuditLine> {
  let found: AuditLine | undefined
  await until(async () => {
    const records = (await gateway.records()).slice(known)
    // The outcome of an earlier request may still have been under way.
    const decision = records.find(({ kind }) => kind === 'decision')
    found = records.find(({ kind, request }) => kind === 'outcome' && request === decision?.request)
    return found !== undefined
  }, 'a record of the outcome')
  return found ?? assert.fail()
}

describe('an answer of any size', () => {
  let gateway: GatewayProcess
  let prometheus: Server
  /** How large the next answer is, how much of it was given away, and how many are under way. */
  let size = 0
  let given = 0
  let open = 0
  before(async () => {
    prometheus = createServer((_, response) => {
      given = 0
      open += 1
      const pieces = function* (): Generator<Buffer> {
        for (const piece of largeAnswer(size)) {
          given += piece.length
          yield piece
        }
      }
      response.setHeader('content-type', 'application/json')
      const body = Readable.from(pieces())
      body.pipe(response)
      response.on('close', () => {
        open -= 1
        body.destroy()
      })
    })
    const url = `http://127.0.0.1:${await listen(prometheus, 0)}`
    gateway = await startGatewayProcess([
      { name: 'plain', url, notices: false },
      { name: 'told', url, notices: true },
    ])
  })
  after(async () => {
    await gateway.stop()
    await close(prometheus)
  })

  const ways = [
    ['as it is', { cluster: 'plain', gzip: false, end: '}' }],
    ['with a notice at its end', { cluster: 'told', gzip: false, end: narrowed }],
    ['with a notice, compressed', { cluster: 'told', gzip: true, end: narrowed }],
  ] as const
  type Way = (typeof ways)[number][1]

  /** Asks for an answer; nothing of its body is read yet. `response` is what comes, `body` what it says. */
  async function ask({ cluster, gzip }: Way, bytes: number): Promise<{ response: IncomingMessage; body: Readable }> {
    size = bytes
    const sent = httpRequest(`${gateway.url}/clusters/${cluster}${query}`, {
      agent: false,
      headers: {
        authorization: `Bearer ${await gateway.token()}`,
        'accept-encoding': gzip ? 'gzip' : 'identity',
      },
    }).end()
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      sent.once('response', resolve).once('error', reject)
    })
    assert.equal(response.statusCode, 200)
    assert.equal(response.headers['content-encoding'], gzip ? 'gzip' : undefined)
    return { response, body: gzip ? response.pipe(createGunzip()) : response }
  }

  async function digest(body: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<{ bytes: number; hash: string }> {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const chunk of body) {
      hash.update(chunk)
      bytes += chunk.length
    }
    return { bytes, hash: hash.digest('hex') }
  }

  for (const [how, way] of ways) {
    it(`passes whole, ${how}`, async () => {
      const { body } = await ask(way, 0.1 * MB)
      const text = Buffer.concat(await body.toArray()).toString()
      assert.equal(text, Buffer.concat([...largeAnswer(0.1 * MB, way.end)]).toString())
      assert.equal(Reflect.get(Object(JSON.parse(text)), 'status'), 'success')
    })

    it(`of 100 MB passes whole, ${how}, in no more memory than one of 25 MB`, { skip: noProc }, async () => {
      await gateway.peak()
      // The first large answer makes the heap as large as it gets: what is looked for is what grows with the answer.
      for (let round = 0; round < 2; round += 1) await digest((await ask(way, 25 * MB)).body)
      const settled = await gateway.peak()
      const { body } = await ask(way, 100 * MB)
      assert.deepEqual(await digest(body), await digest(largeAnswer(100 * MB, way.end)))
      const grown = (await gateway.peak()) - settled
      assert.ok(grown < 60 * MB, `grown by ${Math.round(grown / MB)} MB, from ${Math.round(settled / MB)} MB`)
    })

    it(`passes whole to a client that pauses now and then, ${how}`, async () => {
      const { body } = await ask(way, 100 * MB)
      let taken = 0
      let pause = 0
      const paced = async function* (): AsyncGenerator<Buffer> {
        for await (const chunk of body) {
          if (taken >= pause) {
            await standstill()
            pause += 25 * MB
          }
          taken += chunk.length
          yield chunk
        }
      }
      assert.deepEqual(await digest(paced()), await digest(largeAnswer(100 * MB, way.end)))
    })

    it(`is asked of Prometheus at the pace of the client, and given up with it, ${how}`, async () => {
      const known = (await gateway.records()).length
      const { response, body } = await ask(way, 500 * MB)
      let taken = 0
      for (const pause of [0, 20 * MB]) {
        while (taken < pause) {
          const chunk: Buffer | null = body.read()
          if (chunk === null) await once(body, 'readable')
          else taken += chunk.length
        }
        await standstill()
        // What is ahead of the client lies in the system's buffers: some megabytes for each connection, 32 at most.
        assert.ok(given - taken < 250 * MB, `${given} bytes were given when ${taken} were taken`)
      }
      assert.equal(open, 1)
      response.destroy()
      await until(() => open === 0, 'the request to Prometheus is given up')
      const { status, ended } = await outcome(gateway, known)
      assert.deepEqual([status, ended], [200, 'cut'])
    })
  }

  /** Waits until Prometheus gives nothing more away. */
  async function standstill(): Promise<void> {
    for (let last = -1, still = 0; still < 10; still = given === last ? still + 1 : 0) {
      last = given
      await sleep(20)
    }
  }
})

/** A Prometheus that says exactly the bytes it is told to. */
interface RawPrometheus {
  readonly url: string
  /** What it does with a request, the `nth` of its connection. */
  answer: (socket: Socket, nth: number) => unknown
  /** Every request, head and body, as it came. */
  readonly requests: string[]
  /** Connections that were ever opened, and that are open now. */
  readonly opened: () => number
  readonly open: () => number
  /** Connections on which a request was made, that are open now. */
  readonly asked: () => number
  stop(): Promise<void>
}

async function startRawPrometheus(): Promise<RawPrometheus> {
  const sockets = new Set<Socket>()
  const asked = new Set<Socket>()
  let opened = 0
  const server = createTcpServer((socket) => {
    opened += 1
    sockets.add(socket)
    let nth = 0
    let came = ''
    socket
      .on('error', () => {})
      .on('close', () => {
        sockets.delete(socket)
        asked.delete(socket)
      })
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      came += chunk
      const [head = '', rest] = came.split('\r\n\r\n', 2)
      if (rest === undefined || rest.length < Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)) return
      raw.requests.push(came)
      asked.add(socket)
      came = ''
      nth += 1
      raw.answer(socket, nth)
    })
  })
  const raw: RawPrometheus = {
    url: `http://127.0.0.1:${await listen(server, 0)}`,
    answer: (socket) => void socket.write(good),
    requests: [],
    opened: () => opened,
    open: () => sockets.size,
    asked: () => asked.size,
    async stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
  return raw
}

const success = '{"status":"success","data":{"resultType":"vector","result":[]}}'
const head = (...lines: readonly string[]): string => ['HTTP/1.1 200 OK', ...lines, '', ''].join('\r\n')
const json = 'Content-Type: application/json'
const whole = (body: string, ...lines: readonly string[]): string =>
  head(json, ...lines, `Content-Length: ${body.length}`) + body
const good = whole(success)
const says =
  (text: string) =>
  (socket: Socket): void =>
    void socket.write(text, 'latin1')

describe('a Prometheus that misbehaves', () => {
  let raw: RawPrometheus
  /** One that only the tests of its connections ask, so that every connection to it is theirs. */
  let pool: RawPrometheus
  let gateway: GatewayProcess
  before(async () => {
    raw = await startRawPrometheus()
    pool = await startRawPrometheus()
    gateway = await startGatewayProcess([
      { name: 'raw', url: raw.url },
      { name: 'quiet', url: raw.url, notices: false },
      { name: 'hasty', url: raw.url, notices: false, timeout: '1500ms' },
      { name: 'pool', url: pool.url, notices: false },
      { name: 'down', url: `http://127.0.0.1:${await freePort()}` },
    ])
  })
  after(async () => {
    await gateway.stop()
    await raw.stop()
    await pool.stop()
  })

  async function ask(cluster: string, patience = 20_000): Promise<Response> {
    const authorization = `Bearer ${await gateway.token()}`
    return fetch(`${gateway.url}/clusters/${cluster}${query}`, {
      headers: { authorization, 'accept-encoding': 'identity' },
      redirect: 'manual',
      // Only against waiting for ever.
      signal: AbortSignal.timeout(patience),
    })
  }

  async function assertAnswersWell(cluster: string): Promise<void> {
    raw.answer = says(good)
    pool.answer = says(good)
    const response = await ask(cluster)
    assert.equal(response.status, 200)
    assert.match(await response.text(), /^\{"status":"success","data":\{"resultType":"vector","result":\[\]\}/)
  }

  /** It is in the form that Grafana shows, says what to do, and nothing of what Prometheus said. */
  async function assertEnvelope(response: Response, status: number, errorType: string, words: RegExp): Promise<void> {
    const text = await response.text()
    assert.equal(response.status, status, text)
    assert.equal(response.headers.get('content-type'), 'application/json')
    const { error, ...rest }: { error: string } = JSON.parse(text)
    assert.deepEqual(rest, { status: 'error', errorType })
    assert.match(error, words)
    assert.ok(error.endsWith(` (request ${response.headers.get('bailiwick-request')})`), error)
    assert.doesNotMatch(JSON.stringify([...response.headers, text]), /secret/i)
  }

  describe('before anything of its answer was shown is put into words', () => {
    const unreachable = [502, 'unavailable', /cannot be reached: try again soon/] as const
    const unexpected = [502, 'unavailable', /answered with something else/] as const
    const timeout = [504, 'timeout', /took too long: ask for less/] as const
    const cases: readonly [string, RawPrometheus['answer'], readonly [number, string, RegExp], string?][] = [
      ['it closes the connection', (socket) => void socket.end(), unreachable],
      ['it resets the connection', (socket) => void socket.resetAndDestroy(), unreachable],
      ['it closes amid the head', (socket) => void socket.end('HTTP/1.1 200 OK\r\nX-Secret: '), unreachable],
      ['it says nothing', () => {}, timeout, 'hasty'],
      ['it says to wait, and then nothing', says('HTTP/1.1 102 Processing\r\n\r\n'), timeout, 'hasty'],
      ['it is no HTTP server', says('SSH-2.0-Secret\r\n'), unreachable],
      ['it speaks TLS', says('\x15\x03\x01\x00\x02\x02\x46'), unreachable],
      ['its head is larger than any', says(whole(success, `X-Secret: ${'x'.repeat(100_000)}`)), unreachable],
      ['its head has a NUL', says(whole(success, 'X-Secret: a\0b')), unreachable],
      ['it gives a length and chunks', says(whole('0\r\n\r\n', 'Transfer-Encoding: chunked')), unreachable],
      ['it gives two lengths', says(whole(success, 'Content-Length: 7')), unreachable],
      ['its status is none of Prometheus’s', says(good.replace('200 OK', '999 Secret')), unexpected],
      ['its status says that nothing changed', says(good.replace('200 OK', '304 Secret')), unexpected],
      ['its status says that this is a part', says(good.replace('200 OK', '206 Secret')), unexpected],
      ['it changes the protocol without a word', says('HTTP/1.1 101 Secret\r\n\r\nsecret'), unexpected],
      [
        'it is a proxy with a page',
        says(whole('<h1>secret</h1>').replace(json, 'Content-Type: text/html')),
        unexpected,
      ],
      [
        'it is a proxy with an error page',
        says(whole('secret').replace('200 OK', '503 Secret').replace(json, 'Content-Type: text/html')),
        unexpected,
      ],
      [
        'it is Linkerd’s proxy without a Prometheus',
        says('HTTP/1.1 504 Gateway Timeout\r\nl5d-proxy-error: secret\r\nContent-Length: 0\r\n\r\n'),
        unexpected,
      ],
      [
        'its error is JSON, but not Prometheus’s',
        says(whole('{"message":"secret"}').replace('200 OK', '503 Secret')),
        unexpected,
      ],
      [
        'its error breaks off',
        (socket) => socket.end(`HTTP/1.1 422 Secret\r\n${json}\r\nContent-Length: 99\r\n\r\n{"status":"secret`),
        unexpected,
      ],
      ['it packs with snappy', says(whole('secret', 'Content-Encoding: snappy')), unexpected],
      ['it packs twice', says(whole('secret', 'Content-Encoding: gzip, gzip')), unexpected],
    ]
    for (const [what, answer, wanted, cluster = 'raw'] of cases) {
      it(`where ${what}`, async () => {
        const known = (await gateway.records()).length
        raw.answer = answer
        await assertEnvelope(await ask(cluster), ...wanted)
        const { status, ended } = await outcome(gateway, known)
        assert.deepEqual([status, ended], [wanted[0], 'failed'])
        await assertAnswersWell(cluster)
      })
    }
    it('where it is down', async () => {
      await assertEnvelope(await ask('down'), ...unreachable)
      await assertAnswersWell('raw')
    })
    it('where it switches protocols', async () => {
      raw.answer = says('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nsecret')
      await assertEnvelope(await ask('hasty', 5_000), ...unreachable)
    })
    it('where it packs though nobody asked', async () => {
      raw.answer = says(whole('secret', 'Content-Encoding: gzip'))
      await assertEnvelope(await ask('raw'), ...unexpected)
    })
    it('where it breaks off what is still held back', async () => {
      raw.answer = (socket) => socket.end(head(json, 'Content-Length: 1000') + '{"status":"secret')
      await assertEnvelope(await ask('raw'), 502, 'unavailable', /./)
    })
  })

  describe('amid its answer is seen to have broken off', () => {
    const [part, rest] = [success.slice(0, 20), success.slice(20)]
    const chunked = `${head(json, 'Transfer-Encoding: chunked')}14\r\n${part}\r\n`
    const sized = head(json, `Content-Length: ${success.length}`) + part
    const cases: readonly [string, string, (socket: Socket) => void][] = [
      ['it closes the connection', sized, (socket) => void socket.end()],
      ['it resets the connection', sized, (socket) => void socket.resetAndDestroy()],
      ['it closes between chunks', chunked, (socket) => void socket.end()],
      ['it closes within a chunk', chunked, (socket) => void socket.end(`2b\r\n${rest.slice(0, 9)}`)],
      ['it gives a size that is none', chunked, says('secret\r\nsecret\r\n')],
      ['it gives a chunk that is longer than it said', chunked, says(`5\r\n${rest}secret`)],
      ['it says nothing more', sized, () => {}],
    ]
    for (const [what, beginning, goOn] of cases) {
      it(`where ${what}`, async () => {
        const known = (await gateway.records()).length
        const under = Promise.withResolvers<Socket>()
        raw.answer = (socket) => {
          socket.write(beginning)
          under.resolve(socket)
        }
        const response = await ask('hasty')
        assert.equal(response.status, 200)
        goOn(await under.promise)
        const shown: string[] = []
        await assert.rejects(async () => {
          for await (const text of response.body?.pipeThrough(new TextDecoderStream()) ?? []) shown.push(text)
        })
        assert.doesNotMatch(shown.join(''), /secret/)
        const { status, ended } = await outcome(gateway, known)
        assert.deepEqual([status, ended], [200, 'cut'])
        await assertAnswersWell('hasty')
      })
    }
    it('also where nothing of it was passed on yet', async () => {
      const known = (await gateway.records()).length
      raw.answer = (socket) => void socket.end(sized)
      const read = ask('raw').then(async (response) => [response.status, await response.text()])
      await read.then(
        ([status]) => assert.notEqual(status, 200),
        () => {},
      )
      assert.notEqual((await outcome(gateway, known))['ended'], 'complete')
      await assertAnswersWell('raw')
    })
  })

  describe('within what HTTP allows is understood', () => {
    for (const [what, before] of [
      ['goes on', 'HTTP/1.1 100 Continue\r\n\r\n'],
      ['hints early', 'HTTP/1.1 103 Early Hints\r\nLink: </secret>\r\n\r\n'],
      ['waits twice', 'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n'],
    ] as const) {
      it(`where it ${what} before it answers`, async () => {
        raw.answer = says(before + good)
        const response = await ask('quiet')
        assert.equal(await response.text(), success)
        assert.doesNotMatch(JSON.stringify([...response.headers]), /secret/)
      })
    }
    it('where it takes longer than the timeout, but is never silent for so long', async () => {
      raw.answer = async (socket) => {
        socket.write(head(json, `Content-Length: ${success.length}`))
        for (const character of success) {
          await sleep(40)
          socket.write(character)
        }
      }
      assert.equal(await (await ask('hasty')).text(), success)
    })
    it('where it is an old one, whose answer ends with the connection', async () => {
      raw.answer = (socket) => void socket.end(`HTTP/1.0 200 OK\r\n${json}\r\n\r\n${success}`)
      assert.equal(await (await ask('quiet')).text(), success)
    })
  })

  describe('and its connections', () => {
    it('are used again', async () => {
      pool.answer = says(good)
      await (await ask('pool')).text()
      const before = pool.opened()
      for (let count = 0; count < 20; count += 1) assert.equal(await (await ask('pool')).text(), success)
      assert.equal(pool.opened(), before)
    })
    for (const [how, leave] of [
      ['closed', (socket: Socket) => void socket.end()],
      ['reset', (socket: Socket) => void socket.resetAndDestroy()],
    ] as const) {
      it(`that it ${how} in between are not used again`, async () => {
        const kept: Socket[] = []
        pool.answer = (socket) => {
          kept.push(socket)
          socket.write(good)
        }
        for (let count = 0; count < 5; count += 1) {
          assert.equal(await (await ask('pool')).text(), success)
          for (const socket of kept.splice(0)) leave(socket)
          await until(() => pool.open() === 0, 'the gateway has closed its end')
        }
      })
    }
    it('that it closes as they are used again are replaced', async () => {
      pool.answer = (socket, nth) => void (nth === 1 ? socket.write(good) : socket.resetAndDestroy())
      for (let count = 0; count < 4; count += 1) assert.equal(await (await ask('pool')).text(), success)
    })
    for (const [when, atOnce] of [
      ['with an answer', true],
      ['after an answer', false],
    ] as const) {
      it(`on which more came ${when} than was asked for are given up`, async () => {
        const stray = whole('{"status":"success","data":"secret"}')
        let last: Socket | undefined
        pool.answer = (socket) => {
          last = socket
          socket.write(atOnce ? good + stray : good)
        }
        for (let count = 0; count < 5; count += 1) {
          assert.equal(await (await ask('pool')).text(), success)
          if (!atOnce) last?.write(stray)
          await until(() => pool.open() === 0, 'the gateway has given the connection up')
        }
      })
    }
    it('are all closed when a thousand clients go away, also those that wait for one', { skip: noProc }, async () => {
      await assertAnswersWell('pool')
      const [handles, kept] = [await gateway.handles(), pool.open()]
      pool.answer = says(head(json, 'Content-Length: 1000') + '{"status"')
      const headers = { authorization: `Bearer ${await gateway.token()}`, 'accept-encoding': 'identity' }
      for (let round = 0; round < 2; round += 1) {
        pool.requests.length = 0
        const asked = Array.from({ length: 500 }, () =>
          httpRequest(`${gateway.url}/clusters/pool${query}`, { agent: false, headers })
            .on('error', () => {})
            .end(),
        )
        await until(() => pool.requests.length >= 256, 'as many as there may be are with Prometheus')
        await until(async () => (await gateway.handles()) > handles + 500, 'all clients are connected')
        for (const request of asked) request.destroy()
        await until(() => pool.asked() === 0, 'no request to Prometheus is open')
      }
      // A connection that was made for somebody who went away before it stood is kept for the next one.
      await until(async () => (await gateway.handles()) - pool.open() <= handles - kept, 'no handle is left')
      await assertAnswersWell('pool')
    })
  })

  describe('and headers that are for one hop only', () => {
    /** Sends bytes as they are and returns all that comes until the gateway closes the connection. */
    async function exchange(text: string): Promise<string> {
      const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1').setEncoding('latin1')
      let came = ''
      socket.on('data', (chunk: string) => (came += chunk)).write(text)
      await once(socket, 'close')
      return came
    }
    const fields = (message: string): ReadonlyMap<string, string> =>
      new Map(
        (message.split('\r\n\r\n', 1)[0] ?? '')
          .split('\r\n')
          .slice(1)
          .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)]),
      )
    const names = (message: string): readonly string[] => [...fields(message).keys()].toSorted()
    const request = async (first: string, ...lines: readonly string[]): Promise<string> =>
      [first, 'Host: gateway', `Authorization: Bearer ${await gateway.token()}`, ...lines, '', ''].join('\r\n')

    it('do not pass from Prometheus to the client, nor do trailers', async () => {
      const secrets = [
        'Connection: X-Secret, keep-alive',
        'X-Secret: secret',
        'Keep-Alive: timeout=77, max=secret',
        'Proxy-Connection: secret',
        'Transfer-Encoding: chunked',
        'Trailer: X-Secret',
        'Upgrade: secret',
        'Proxy-Authenticate: Basic realm="secret"',
        'WWW-Authenticate: Basic realm="secret"',
        'Proxy-Authentication-Info: secret',
        'Set-Cookie: secret=1',
        'Server: secret',
        'Via: 1.1 secret',
        'Alt-Svc: h3="secret:443"',
        'ETag: "secret"',
        'Date: secret',
      ]
      const chunk = `${success.length.toString(16)}\r\n${success}\r\n`
      pool.answer = says(`${head(json, ...secrets)}${chunk}0\r\nX-Secret: secret\r\n\r\n`)
      const came = await exchange(await request(`GET /clusters/pool${query} HTTP/1.1`, 'Connection: close'))
      assert.doesNotMatch(came, /secret/i)
      assert.deepEqual(names(came), [
        'bailiwick-policy',
        'bailiwick-request',
        'bailiwick-scope',
        'cache-control',
        'connection',
        'content-type',
        'date',
        'transfer-encoding',
        'vary',
        'x-content-type-options',
      ])
      assert.equal(fields(came).get('connection'), 'close')
      assert.ok(came.endsWith(`\r\n\r\n${chunk}0\r\n\r\n`), came)
    })
    for (const [what, first, lines, body] of [
      [
        'of a client that wants to upgrade',
        `GET /clusters/pool${query} HTTP/1.1`,
        [
          'Connection: close, Upgrade, HTTP2-Settings, X-Secret',
          'Upgrade: h2c, websocket',
          'HTTP2-Settings: secret',
          'X-Secret: secret',
          'Keep-Alive: secret',
          'Proxy-Connection: secret',
          'Proxy-Authorization: secret',
          'TE: trailers, secret',
          'Via: 1.1 secret',
          'Forwarded: for=secret',
          'Max-Forwards: 7',
        ],
        '',
      ],
      [
        'of a client that sends its query in chunks with a trailer',
        'POST /clusters/pool/api/v1/query HTTP/1.1',
        [
          'Connection: close',
          'Content-Type: application/x-www-form-urlencoded; charset=secret',
          'Transfer-Encoding: chunked',
          'Trailer: X-Secret',
          'Expect: 100-continue',
        ],
        '5\r\nquery\r\n3\r\n=up\r\n0\r\nX-Secret: secret\r\n\r\n',
      ],
    ] as const) {
      it(`do not pass on to Prometheus: those ${what}`, async () => {
        pool.answer = says(good)
        pool.requests.length = 0
        const came = await exchange((await request(first, ...lines)) + body)
        assert.match(came, /^HTTP\/1\.1 (100 Continue\r\n\r\nHTTP\/1\.1 )?200 OK\r\n/)
        assert.ok(came.includes(success))
        assert.equal(pool.requests.length, 1)
        const [sent = ''] = pool.requests
        assert.doesNotMatch(sent, /secret/i)
        assert.deepEqual(names(sent), [
          'accept-encoding',
          'connection',
          'content-length',
          'content-type',
          'host',
          'user-agent',
        ])
        assert.equal(fields(sent).get('connection'), 'keep-alive')
        assert.equal(fields(sent).get('content-type'), 'application/x-www-form-urlencoded')
      })
    }
  })
})
