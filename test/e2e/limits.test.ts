// The limits before a real Prometheus: its slots, its timeout, its own limit of points.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startStubGateway } from '../support/stub-gateway.ts'
import type { StubGateway } from '../support/stub-gateway.ts'
import { startHistory, window } from '../support/world.ts'
import type { Database } from '../support/world.ts'

const rules = `
p, group:team, *, query, namespace=emojivoto, allow
l, group:hasty, timeout=1s
l, group:few, concurrent=2
l, group:many, concurrent=100
`
const at = window.nightlyAt

// Reads no series: half a minute of computing, in pieces after each of which Prometheus looks whether anybody still waits.
const slow = Array.from({ length: 300 }, () => 'max_over_time(sum_over_time(vector(1)[2h:1s])[2h:1s])').join(' + ')

describe('a gateway with limits before a real Prometheus', { timeout: 240_000 }, () => {
  let database: Database
  let gateway: StubGateway
  const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-limits-'))
  before(async () => {
    database = await startHistory()
    const file = join(scratch, 'limits.csv')
    writeFileSync(file, rules)
    gateway = await startStubGateway(
      () => {},
      (config) => ({
        ...config,
        clusters: config.clusters.map(({ prometheus, ...cluster }) => ({
          ...cluster,
          prometheus: { ...prometheus, url: database.prometheus.url },
        })),
        policy: { ...config.policy, rules: [file] },
      }),
    )
  })
  after(async () => {
    await gateway.stop()
    await database.stop()
    rmSync(scratch, { recursive: true })
  })

  interface Asked {
    readonly groups?: readonly string[]
    readonly subject?: string
    readonly signal?: AbortSignal
  }
  async function ask(
    params: Readonly<Record<string, string>>,
    { groups = [], subject = 'alice', signal }: Asked = {},
  ): Promise<{ readonly status: number; readonly text: string }> {
    const headers = { authorization: `Bearer ${await gateway.token(['team', ...groups], subject)}` }
    const path = 'step' in params ? 'query_range' : 'query'
    const body = new URLSearchParams(params)
    const sent = { method: 'POST', headers, body, ...(signal === undefined ? {} : { signal }) }
    const response = await fetch(`${gateway.url}/api/v1/${path}`, sent)
    return { status: response.status, text: await response.text() }
  }

  /** Somebody asks 40 slow queries, and bob one of his own. What had come back of the 40 when bob had his answer? */
  async function bobBeside(
    groups: readonly string[],
    running: number,
    patience: number | null,
  ): Promise<readonly unknown[]> {
    const ended: unknown[] = []
    const stop = new AbortController()
    const asked = Array.from({ length: 40 }, async () => {
      const answered = await ask({ query: slow }, { groups, signal: stop.signal }).catch(() => 'given up')
      ended.push(answered)
    })
    const bob = (async () => {
      await until(async () => (await slots()) >= running)
      const answered = await ask({ query: 'count(up)', time: String(at) }, { subject: 'bob' })
      assert.equal(answered.status, 200)
      assert.match(answered.text, /"value":/)
      return [...ended]
    })()
    const givenUp = patience === null ? undefined : setTimeout(() => stop.abort(), patience)
    try {
      return await bob
    } finally {
      clearTimeout(givenUp)
      stop.abort()
      await Promise.all(asked)
      await until(async () => (await slots()) === 0)
    }
  }
  const until = async (done: () => Promise<boolean>): Promise<void> => {
    for (let round = 0; round < 1000; round += 1) {
      if (await done()) return
      await sleep(20)
    }
    assert.fail('it did not come about')
  }
  /** How many queries Prometheus works on. */
  async function slots(): Promise<number> {
    const text = await (await fetch(`${database.prometheus.url}/metrics`)).text()
    return Number(/^prometheus_engine_queries (\d+)$/m.exec(text)?.[1])
  }

  it('somebody’s 40 slow queries do not keep another from an answer', async () => {
    assert.deepEqual(await bobBeside([], 8, null), [])
  })
  it('which they would without the limit: Prometheus has 20 slots', async () => {
    // Bob waits for as long as they do.
    assert.notDeepEqual(await bobBeside(['many'], 20, 3000), [])
  })
  it('gives a dashboard of 40 panels all of its answers, a few at a time', async () => {
    const panels = Array.from({ length: 40 }, (_, index) => {
      const times = { start: String(at - 3600), end: String(at), step: '15' }
      return ask({ query: `sum by (pod) (rate(request_total[${index + 1}m]))`, ...times }, { groups: ['few'] })
    })
    assert.deepEqual(new Set((await Promise.all(panels)).map(({ status }) => status)), new Set([200]))
  })
  it('has Prometheus end a query at the limit, whatever timeout was asked for', async () => {
    for (const timeout of ['', '1h', '3600']) {
      const { status, text } = await ask({ query: slow, ...(timeout === '' ? {} : { timeout }) }, { groups: ['hasty'] })
      assert.equal(status, 503)
      assert.match(text, /"errorType":"timeout","error":"query timed out in /)
    }
    const { status } = await ask({ query: 'up', timeout: '1h' }, { groups: ['hasty'] })
    assert.equal(status, 200)
  })
  it('allows as many points as Prometheus does, and no more', async () => {
    for (const [points, allowed] of [
      [11_000, true],
      [11_001, false],
    ] as const) {
      const params = { query: 'vector(1)', start: String(at), end: String(at + points), step: '1' }
      const { status } = await ask(params)
      const direct = await fetch(
        `${database.prometheus.url}/api/v1/query_range?${new URLSearchParams(params).toString()}`,
      )
      await direct.text()
      assert.deepEqual([status, direct.status], allowed ? [200, 200] : [422, 400])
    }
  })
})
