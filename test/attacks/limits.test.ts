// Ways to ask for more than one's limits allow.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeReadRequest } from '../../src/prometheus/remote-read.ts'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'

const rules = `
p, group:team, *, query|rules|federate|remote-read, namespace=emojivoto, allow
p, group:callers, *, query, namespace=emojivoto, allow, view=both
l, *, range=1d, points=100, selectors=4, bytes=2KB, timeout=5s, rate=1000, concurrent=2
`
const alice = { subject: 'alice', groups: ['team'] } as const
const bob = { subject: 'bob', groups: ['team'] } as const
const empty = '{"status":"success","data":[]}'
const json: RequestListener = (_, response) => void response.setHeader('content-type', 'application/json').end(empty)
const day = 86_400

interface Asker extends StubGateway {
  /** A GET with parameters. */
  ask(target: string, who?: { readonly subject: string; readonly groups: readonly string[] }): Promise<Answered>
  /** Changes the rules, which then hold. */
  change(text: string): Promise<void>
}

interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

async function withGateway(
  answer: RequestListener,
  text: string,
  run: (gateway: Asker) => Promise<void>,
): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-limits-'))
  const file = join(scratch, 'limits.csv')
  writeFileSync(file, text)
  const gateway = await startStubGateway(answer, (config) => ({
    ...config,
    policy: { ...config.policy, rules: [file] },
  }))
  try {
    await run({
      ...gateway,
      async ask(target, { subject, groups } = alice) {
        const headers = { authorization: `Bearer ${await gateway.token(groups, subject)}` }
        const response = await fetch(gateway.url + target, { headers })
        return { status: response.status, headers: response.headers, text: await response.text() }
      },
      async change(rules) {
        writeFileSync(file, rules)
        await gateway.reload()
      },
    })
  } finally {
    await gateway.stop()
    rmSync(scratch, { recursive: true })
  }
}

const until = async (done: () => boolean | Promise<boolean>): Promise<void> => {
  for (let round = 0; round < 400; round += 1) {
    if (await done()) return
    await sleep(10)
  }
  assert.fail('it did not come about')
}

/** A Prometheus that answers when it is told to, and knows how many it worked on at once. */
function patient(): { readonly answer: RequestListener; readonly open: ServerResponse[]; most: number } {
  const open: ServerResponse[] = []
  const prometheus = { open, most: 0, answer }
  function answer(_: IncomingMessage, response: ServerResponse): void {
    open.push(response)
    prometheus.most = Math.max(prometheus.most, open.length)
    response.once('close', () => void open.splice(open.indexOf(response), 1))
  }
  return prometheus
}

const say = (response: ServerResponse | undefined): void =>
  void response?.setHeader('content-type', 'application/json').end(empty)

const form = (params: Readonly<Record<string, string>>): string => new URLSearchParams(params).toString()
const over = (range: Readonly<Record<string, string>>): string =>
  `/api/v1/query_range?${form({ query: 'up', start: '0', end: '60', step: '60', ...range })}`

/** Each is refused with these words, once, and is on record as that. Nothing of it reaches Prometheus. */
async function assertRefused(targets: readonly string[], limit: string): Promise<void> {
  await withGateway(json, rules, async (gateway) => {
    for (const target of targets) {
      const { status, text } = await gateway.ask(target)
      assert.equal(status, 422, target)
      assert.match(text, new RegExp(String.raw`"errorType":"bad_data","error":"your limit \\"${limit}\\" is `), target)
    }
    assert.equal(gateway.reached.length, 0)
    const decisions = (await gateway.records()).filter(({ kind }) => kind === 'decision')
    assert.deepEqual(new Set(decisions.map(({ reason }) => reason)), new Set(['over_limit']))
    assert.equal(decisions.length, targets.length)
  })
}

describe('a longer time than one may ask for', () => {
  it('is refused however start and end are written, or turned around', async () => {
    const targets = [
      over({ end: String(day + 1) }),
      over({ end: '8.64001e4', step: '1h' }),
      over({ end: '864001e-1', start: '-1e6' }),
      over({ start: '1970-01-03T00:00:00Z', end: '0', step: '1d' }),
      over({ start: '1970-01-01T00:00:00+01:00', end: '1970-01-02T00:00:00Z', step: '1d' }),
      over({ start: String(2 * day), end: '0', step: '1d' }),
      over({ start: '-292273086-05-16T16:47:06Z', end: '292277025-08-18T07:12:54.999999999Z' }),
      over({ end: '9e999' }),
      over({ start: '9e999', end: '9e999' }),
      over({ end: '99999999999999999999', step: '1e15' }),
    ]
    await assertRefused(targets, 'range')
  })
  it('is refused between brackets, in a subquery, in pieces and as a sum', async () => {
    const queries = [
      'rate(up[400d])',
      'up[1e9]',
      'max_over_time(up[2d:1h])',
      'max_over_time(max_over_time(up[13h])[12h:1h])',
      'sum(up) + topk(scalar(count_over_time(up[25h])), up)',
      'rate(up[12h + 13h])',
      'rate(up[max_of(step(), 25h)])',
      'rate(up[2 ^ 17])',
      'rate(up[400d] @ 0 offset -400d)',
    ]
    const targets = queries.map((query) => `/api/v1/query?${form({ query })}`)
    await assertRefused(
      [
        ...targets,
        `/api/v1/query?${form({ query: 'up', lookback_delta: '400d' })}`,
        over({ end: '43200', step: '12h', query: 'rate(up[13h])' }),
        over({ end: '3600', step: '1h', query: 'rate(up[range() * 24])' }),
        over({ end: '3600', step: '1h', query: 'up', lookback_delta: '1e5' }),
      ],
      'range',
    )
  })
  it('is refused to a remote read, by its times or by its hints', async () => {
    await withGateway(json, rules, async (gateway) => {
      const matchers = [{ label: '__name__', op: '=', value: 'up' } as const]
      const none = { step: 0n, func: 'series', start: 0n, end: 0n, grouping: [], by: false, range: 0n }
      const headers = {
        authorization: `Bearer ${await gateway.token(['team'])}`,
        'content-type': 'application/x-protobuf',
        'content-encoding': 'snappy',
      }
      for (const query of [
        { start: 0n, end: 86_401_000n, matchers },
        { start: 2n ** 62n, end: 0n, matchers },
        { start: 0n, end: 0n, matchers, hints: { ...none, end: 2n ** 62n } },
        { start: -(2n ** 63n), end: 2n ** 63n - 1n, matchers, hints: none },
      ]) {
        const body = Buffer.from(encodeReadRequest({ queries: [query], responseTypes: ['streamed_chunks'] }))
        const response = await fetch(`${gateway.url}/api/v1/read`, { method: 'POST', headers, body })
        assert.equal(response.status, 422)
        assert.match(await response.text(), /your limit \\"range\\" is 1d/)
      }
      assert.equal(gateway.reached.length, 0)
    })
  })
})

describe('more points than one may ask for', () => {
  it('are refused however small the step is, and however it is written', async () => {
    const steps = ['1', '35.6', '35s', '0.5', '1ms', '500ms', '1e-3', '1e-300', '.000001', '+1e0', '0m35s']
    await assertRefused(
      steps.map((step) => over({ end: '3600', step })),
      'points',
    )
  })
  it('are not had by a step backwards: it is left to Prometheus, which refuses it', async () => {
    const refuses: RequestListener = (_, response) => {
      response.statusCode = 400
      const error = 'zero or negative query resolution step widths are not accepted. Try a positive integer'
      response
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify({ status: 'error', errorType: 'bad_data', error }))
    }
    await withGateway(refuses, rules, async (gateway) => {
      for (const step of ['-1', '0', '-1e-3']) assert.equal((await gateway.ask(over({ step }))).status, 400, step)
    })
  })
  it('are not had by leaving out the step, the start or the end', async () => {
    await withGateway(json, rules, async (gateway) => {
      for (const missing of ['step', 'start', 'end']) {
        const { status, text } = await gateway.ask(over({ [missing]: '' }))
        assert.equal(status, 422)
        assert.match(text, /the parameter \\"\w+\\" is missing/)
      }
      assert.equal(gateway.reached.length, 0)
    })
  })
})

describe('more selectors than one may ask for', () => {
  const matches = (count: number): string => Array.from({ length: count }, () => 'match[]=up').join('&')
  it('are refused in a query, in a text of copies and as many match[]', async () => {
    await assertRefused(
      [
        `/api/v1/query?${form({ query: 'a + b + c + d + e' })}`,
        `/api/v1/query?${form({ query: 'sum(a or (b and c)) / topk(scalar(d), e)' })}`,
        over({ query: 'a + a + a + a + a' }),
        `/api/v1/query_exemplars?${form({ query: 'a + b + c + d + e' })}`,
        `/api/v1/series?${matches(5)}`,
        `/api/v1/labels?${matches(5)}`,
        `/api/v1/label/pod/values?${matches(200)}`,
        `/federate?${matches(5)}`,
        `/api/v1/rules?${matches(5)}`,
      ],
      'selectors',
    )
  })
  it('are refused where it is the scope that makes them more', async () => {
    await withGateway(json, rules, async (gateway) => {
      const callers = { subject: 'carol', groups: ['callers'] }
      assert.equal((await gateway.ask('/api/v1/query?query=a', callers)).status, 200)
      const sent = new URLSearchParams(gateway.reached.at(-1)?.body).get('query') ?? ''
      const each = sent.split('a{').length - 1
      assert.ok(each > 1, sent)
      const query = Array.from({ length: Math.floor(4 / each) + 1 }, () => 'a').join(' + ')
      assert.equal((await gateway.ask(`/api/v1/query?${form({ query })}`)).status, 200)
      const { status, text } = await gateway.ask(`/api/v1/query?${form({ query })}`, callers)
      assert.equal(status, 422)
      assert.match(text, /your limit \\"selectors\\" is 4/)
    })
  })
})

describe('a longer timeout than the limit', () => {
  it('is cut to it, however it is written, and however often', async () => {
    await withGateway(json, rules, async (gateway) => {
      for (const timeout of ['6', '1h', '5.1', '1e9', '5001ms', '9e999', '99999999999999999999y', '']) {
        const { status } = await gateway.ask(`/api/v1/query?${form({ query: 'up', timeout })}`)
        assert.equal(status, 200, timeout)
        const params = new URLSearchParams(gateway.reached.at(-1)?.body)
        assert.deepEqual(params.getAll('timeout'), ['5s'], timeout)
      }
      await gateway.ask('/api/v1/query?query=up&timeout=1h&timeout=1h')
      assert.deepEqual(new URLSearchParams(gateway.reached.at(-1)?.body).getAll('timeout'), ['5s'])
    })
  })
})

describe('more queries at once than one may ask for', () => {
  /** Asks so many times, and lets Prometheus answer one after the other: never were there more than `most` of them. */
  async function assertMost(
    most: number,
    ask: (gateway: Asker) => Promise<readonly Promise<number>[]>,
    text = rules,
  ): Promise<void> {
    const prometheus = patient()
    await withGateway(prometheus.answer, text, async (gateway) => {
      const asked = await ask(gateway)
      for (let answered = 0; answered < asked.length; answered += 1) {
        await until(() => prometheus.open.length >= Math.min(most, asked.length - answered))
        // Time for one more to slip through.
        await sleep(20)
        assert.ok(prometheus.open.length <= most, `${prometheus.open.length} at once`)
        const [first] = prometheus.open
        say(first)
        await until(() => !prometheus.open.includes(first ?? assert.fail()))
      }
      assert.deepEqual(new Set(await Promise.all(asked)), new Set([200]))
      assert.equal(prometheus.most, most)
    })
  }
  const each = (count: number, ask: (index: number) => Promise<number>): readonly Promise<number>[] =>
    Array.from({ length: count }, (_, index) => ask(index))

  it('wait for one another, on as many connections as there are', async () => {
    await assertMost(2, async (gateway) => {
      const headers = { authorization: `Bearer ${await gateway.token(['team'])}` }
      return each(12, async () => {
        const sent = httpRequest(`${gateway.url}/api/v1/query?query=up`, { agent: false, headers }).end()
        const [response]: IncomingMessage[] = await once(sent, 'response')
        response?.resume()
        return response?.statusCode ?? 0
      })
    })
  })
  it('wait for one another, one behind the other on one connection', async () => {
    // An answer that cannot leave before another must not hold the slot that the other waits for.
    await assertMost(1, async (gateway) => {
      const { port, hostname } = new URL(gateway.url)
      const token = await gateway.token(['team'])
      const socket = connect(Number(port), hostname).setEncoding('latin1')
      let came = ''
      socket.on('data', (chunk: string) => (came += chunk))
      const line = `GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`
      socket.write(line.repeat(6))
      const statuses = (): readonly string[] => [...came.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status = '']) => status)
      return each(6, async (index) => {
        await until(() => statuses().length > index)
        if (index === 5) socket.destroy()
        return Number(statuses()[index])
      })
    })
  })
  it('are all given back when the connection breaks on which they came behind one another', async () => {
    const prometheus = patient()
    await withGateway(prometheus.answer, rules, async (gateway) => {
      const token = await gateway.token(['team'])
      const line = `GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`
      for (let round = 0; round < 3; round += 1) {
        const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1').on('error', () => {})
        socket.write(line.repeat(6))
        await until(() => prometheus.open.length === 1)
        socket.destroy()
        await until(() => prometheus.open.length === 0)
      }
      const asked = each(2, async () => (await gateway.ask('/api/v1/query?query=up')).status)
      await until(() => prometheus.open.length === 2)
      for (const response of [...prometheus.open]) say(response)
      assert.deepEqual(await Promise.all(asked), [200, 200])
    })
  })
  it('wait for one another, whichever token, path and cluster they are sent with', async () => {
    const paths = [
      '/api/v1/query?query=up',
      '/clusters/stub/api/v1/query?query=up',
      '/api/v1/labels',
      '/api/v1/series?match[]=up',
      '/federate?match[]=up',
      '/api/v1/rules',
    ]
    await assertMost(2, async (gateway) =>
      each(paths.length, async (index) => {
        const { status } = await gateway.ask(paths[index] ?? '')
        // What is no list of rules, and no page of text, is not shown; what counts is that it waited.
        return status === 502 ? 200 : status
      }),
    )
  })
  it('are one person’s own affair: another one does not wait', async () => {
    const prometheus = patient()
    await withGateway(prometheus.answer, rules, async (gateway) => {
      const many = each(20, async () => (await gateway.ask('/api/v1/query?query=up')).status)
      await until(() => prometheus.open.length === 2)
      const other = gateway.ask('/api/v1/query?query=up', bob)
      await until(() => prometheus.open.length === 3)
      say(prometheus.open.at(-1))
      assert.equal((await other).status, 200)
      await until(() => {
        say(prometheus.open[0])
        return gateway.reached.length === 21 && prometheus.open.length === 0
      })
      assert.deepEqual(new Set(await Promise.all(many)), new Set([200]))
    })
  })
  it('are as many as the most generous of one’s roles says', async () => {
    const roles =
      'g, group:few, role:few\ng, group:many, role:many\nl, role:few, concurrent=1\nl, role:many, concurrent=3\n'
    const granted = 'p, role:few, *, query, namespace=a, allow\np, role:many, *, query, namespace=b, allow\n'
    await assertMost(
      3,
      async (gateway) =>
        each(8, async () => {
          const who = { subject: 'dave', groups: ['few', 'team', 'many'] }
          return (await gateway.ask('/api/v1/query?query=up', who)).status
        }),
      rules + roles + granted,
    )
  })
  it('are given up when their caller goes away, do not reach Prometheus, and are on record', async () => {
    const prometheus = patient()
    await withGateway(prometheus.answer, rules, async (gateway) => {
      const first = each(2, async () => (await gateway.ask('/api/v1/query?query=up')).status)
      await until(() => prometheus.open.length === 2)
      const headers = { authorization: `Bearer ${await gateway.token(['team'])}` }
      const gone = new AbortController()
      const { signal } = gone
      const waiting = Array.from({ length: 10 }, async () => {
        const sent = httpRequest(`${gateway.url}/api/v1/query?query=gone`, { agent: false, headers, signal }).end()
        await assert.rejects(once(sent, 'response'))
      })
      const metric = async (): Promise<string> =>
        /^bailiwick_waiting_requests (\d+)$/m.exec(await (await fetch(`${gateway.adminUrl}/metrics`)).text())?.[1] ?? ''
      await until(async () => (await metric()) === '10')
      gone.abort()
      await Promise.all(waiting)
      await until(async () => (await metric()) === '0')
      for (const response of [...prometheus.open]) say(response)
      assert.deepEqual(await Promise.all(first), [200, 200])
      await until(async () => (await gateway.records()).filter(({ kind }) => kind === 'outcome').length === 12)
      const denied = (await gateway.records()).filter(({ reason }) => reason === 'gone')
      assert.equal(denied.length, 10)
      const ended = (await gateway.records()).filter(({ kind, ended }) => kind === 'outcome' && ended === 'cut')
      assert.deepEqual(new Set(ended.map(({ request }) => request)), new Set(denied.map(({ request }) => request)))
      assert.equal(gateway.reached.length, 2)
    })
  })
  it('lose their right while they wait, where the policy changes', async () => {
    const prometheus = patient()
    await withGateway(prometheus.answer, rules, async (gateway) => {
      const asked = each(3, async () => (await gateway.ask('/api/v1/query?query=up')).status)
      await until(() => prometheus.open.length === 2)
      await gateway.change(rules.replaceAll('group:team', 'group:others'))
      say(prometheus.open[0])
      await until(async () => (await gateway.records()).some(({ reason }) => reason === 'no_rights'))
      say(prometheus.open[0])
      const statuses = await Promise.all(asked)
      assert.deepEqual(
        statuses.toSorted((one, other) => one - other),
        [200, 200, 403],
      )
      assert.equal(gateway.reached.length, 2)
    })
  })
  it('are refused with a time to come back where too many wait already', async () => {
    const prometheus = patient()
    await withGateway(prometheus.answer, rules, async (gateway) => {
      const asked = each(68, async () => {
        const { status, headers, text } = await gateway.ask('/api/v1/query?query=up')
        if (status === 429) {
          assert.equal(headers.get('retry-after'), '5')
          assert.match(
            text,
            /your limit \\"concurrent\\" is 2 queries at once, .*: try again in 5s, or ask for a higher/,
          )
        }
        return status
      })
      await until(async () => (await gateway.records()).some(({ reason }) => reason === 'over_concurrency'))
      await until(() => {
        say(prometheus.open[0])
        return gateway.reached.length === 66 && prometheus.open.length === 0
      })
      const statuses = await Promise.all(asked)
      assert.deepEqual(
        [statuses.filter((one) => one === 200).length, statuses.filter((one) => one === 429).length],
        [66, 2],
      )
    })
  })
  it('do not keep the text of a query from being looked at, nor the version from being told', async () => {
    const prometheus = patient()
    await withGateway(prometheus.answer, rules, async (gateway) => {
      const asked = each(2, async () => (await gateway.ask('/api/v1/query?query=up')).status)
      await until(() => prometheus.open.length === 2)
      for (const path of ['/api/v1/format_query?query=up', '/api/v1/status/buildinfo']) {
        const free = gateway.ask(path)
        await until(() => prometheus.open.length === 3)
        say(prometheus.open[2])
        assert.equal((await free).status, 200)
      }
      for (const response of [...prometheus.open]) say(response)
      await Promise.all(asked)
    })
  })
})

describe('more requests than one may send', () => {
  const slow = rules.replace('rate=1000', 'rate=1')
  it('are refused with a time to come back, and once: nothing that makes Grafana ask again', async () => {
    await withGateway(json, slow, async (gateway) => {
      const answers = await Promise.all(Array.from({ length: 30 }, () => gateway.ask('/api/v1/labels')))
      const refused = answers.filter(({ status }) => status !== 200)
      assert.ok(refused.length > 0 && refused.length < answers.length, `${refused.length}`)
      for (const { status, headers, text } of refused) {
        assert.equal(status, 429)
        assert.match(headers.get('retry-after') ?? '', /^[1-9]\d*$/)
        assert.match(
          text,
          /"errorType":"too_many_requests","error":"your limit \\"rate\\" is 1 requests a second, .*: try again/,
        )
      }
      const denied = (await gateway.records()).filter(({ reason }) => reason === 'over_rate')
      assert.equal(denied.length, refused.length)
      assert.ok(denied.every(({ decision, sent, policy }) => decision === 'deny' && sent === null && policy !== null))
    })
  })
  it('are counted over all tokens, clusters and paths, good and bad, and for each person by themselves', async () => {
    await withGateway(json, slow, async (gateway) => {
      const paths = [
        '/clusters/stub/api/v1/labels',
        '/clusters',
        '/clusters/none/api/v1/labels',
        '/api/v1/query?query=sum(',
        '/api/v1/query?query=up{namespace="x"}',
        '/api/v1/status/buildinfo',
        '/api/v1/format_query?query=up',
        '/api/v1/write',
      ]
      const statuses = async (who: typeof alice | typeof bob): Promise<readonly number[]> =>
        Promise.all([...paths, ...paths].map(async (path) => (await gateway.ask(path, who)).status))
      for (const who of [alice, bob]) {
        const all = await statuses(who)
        const passed = all.filter((status) => status !== 429).length
        assert.ok(passed >= 3 && passed < all.length, `${passed} for ${who.subject}`)
      }
    })
  })
  it('cannot be sent in the name of somebody else: a stranger uses nothing up', async () => {
    await withGateway(json, slow, async (gateway) => {
      const stolen = (await gateway.token(['team'])).replace(/[^.]*$/, 'AAAA')
      for (let count = 0; count < 20; count += 1) {
        const response = await fetch(`${gateway.url}/api/v1/labels`, { headers: { authorization: `Bearer ${stolen}` } })
        await response.text()
        assert.equal(response.status, 401)
      }
      assert.equal((await gateway.ask('/api/v1/labels')).status, 200)
    })
  })
})

describe('a larger answer than one may have', () => {
  const large = JSON.stringify({ status: 'success', data: Array.from({ length: 300 }, (_, index) => `value-${index}`) })
  it('is refused where it says how large it is', async () => {
    const answer: RequestListener = (_, response) =>
      void response.writeHead(200, { 'content-type': 'application/json', 'content-length': large.length }).end(large)
    await withGateway(answer, rules, async (gateway) => {
      const { status, text } = await gateway.ask('/api/v1/labels')
      assert.equal(status, 422)
      assert.match(text, /your limit \\"bytes\\" is 2000 bytes, and this is \d+ bytes: ask for fewer series or points/)
      await until(async () => (await gateway.records()).some(({ reason }) => reason === 'over_limit'))
    })
  })
  it('is cut off visibly where it does not, and the outcome says why', async () => {
    const open: ServerResponse[] = []
    const answer: RequestListener = (_, response) => {
      open.push(response)
      response.setHeader('content-type', 'application/json').write(large.slice(0, 1000))
    }
    await withGateway(answer, rules, async (gateway) => {
      const headers = { authorization: `Bearer ${await gateway.token(['team'])}`, 'accept-encoding': 'identity' }
      const response = await fetch(`${gateway.url}/api/v1/labels`, { headers })
      assert.equal(response.status, 200)
      open[0]?.end(large.slice(1000))
      await assert.rejects(response.text(), /terminated/)
      await until(async () => (await gateway.records()).some(({ kind }) => kind === 'outcome'))
      const outcome = (await gateway.records()).find(({ kind }) => kind === 'outcome')
      assert.deepEqual([outcome?.['ended'], outcome?.['reason'], outcome?.['status']], ['cut', 'over_limit', 200])
      await until(async () => (await gateway.connections()) === 0)
    })
  })
  it('is measured as it comes from Prometheus, though it is compressed for the caller', async () => {
    const answer: RequestListener = (_, response) => {
      response.setHeader('content-type', 'application/json').write(large.slice(0, 10))
      response.end(large.slice(10))
    }
    await withGateway(answer, rules, async (gateway) => {
      const headers = { authorization: `Bearer ${await gateway.token(['team'])}`, 'accept-encoding': 'gzip' }
      const got = fetch(`${gateway.url}/api/v1/labels`, { headers }).then(async (response) => {
        await response.text()
        return response.status
      })
      assert.equal(await got.catch(() => 'cut'), 422)
    })
  })
  it('is measured by what is left of it, where others’ is taken out: its size tells nothing of others', async () => {
    const group = (namespace: string, count: number): object => ({
      name: namespace,
      file: 'f',
      rules: Array.from({ length: count }, (_, index) => ({
        type: 'recording',
        name: `r${index}`,
        query: `sum(up{namespace="${namespace}"})`,
        labels: {},
        health: 'ok',
      })),
    })
    let own = 1
    const answer: RequestListener = (_, response) => {
      const data = { groups: [group('booksapp', 100), group('emojivoto', own)] }
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ status: 'success', data }))
    }
    await withGateway(answer, rules, async (gateway) => {
      assert.equal((await gateway.ask('/api/v1/rules')).status, 200)
      own = 100
      const { status, text } = await gateway.ask('/api/v1/rules')
      assert.equal(status, 422)
      assert.match(text, /your limit \\"bytes\\"/)
    })
  })
})

describe('a query that goes on beyond its limit', () => {
  it('is given up, though Prometheus does not end it', { timeout: 60_000 }, async () => {
    const prometheus = patient()
    await withGateway(prometheus.answer, rules.replace('timeout=5s', 'timeout=1s'), async (gateway) => {
      const { status, text } = await gateway.ask('/api/v1/query?query=up')
      assert.equal(status, 504)
      assert.match(text, /took too long: ask for less/)
      await until(() => prometheus.open.length === 0)
    })
  })
})
