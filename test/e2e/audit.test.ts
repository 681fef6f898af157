// The record holds what was asked and what was sent, for answers and refusals; without a record nothing is shown.
import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { send } from '../support/prometheus-answers.ts'
import type { ApiRequest } from '../support/prometheus-answers.ts'
import { readRecords, startWorld } from '../support/world.ts'
import type { AuditLine, World } from '../support/world.ts'

const up: ApiRequest = { path: '/api/v1/query', params: [['query', 'up']] }

describe('the audit record', () => {
  let world: World
  before(async () => {
    world = await startWorld()
  })
  after(() => world.stop())

  interface Recorded {
    readonly response: Response
    readonly decision: AuditLine
    readonly outcome: AuditLine
  }

  /** Sends a request and returns its two records. The decision must be there when the answer is; the outcome may lag. */
  async function recorded(request: ApiRequest, authorization?: string): Promise<Recorded> {
    const response = await send(world.app.url, request, {
      'x-dashboard-uid': 'd-1',
      ...(authorization === undefined ? {} : { authorization }),
    })
    const id = response.headers.get('bailiwick-request')
    assert.match(id ?? '', /^[0-9a-f-]{36}$/)
    const find = async (wanted: string): Promise<AuditLine | undefined> =>
      (await world.records()).find(({ kind, request: of }) => kind === wanted && of === id)
    const decision = await find('decision')
    assert.ok(decision, 'the answer left before its record')
    await response.arrayBuffer()
    for (let round = 0; round < 100; round += 1) {
      const outcome = await find('outcome')
      if (outcome !== undefined) return { response, decision, outcome }
      await sleep(20)
    }
    throw new Error('no outcome was recorded')
  }

  const bearer = async (person: string): Promise<string> => `Bearer ${await world.idp.token(person)}`
  const params = [
    ['query', 'sum(up)'],
    ['time', '1795143600'],
  ] as const

  it('opens the log and names the policy in force before the first request', async () => {
    const [opened, loaded] = await world.records()
    assert.equal(opened?.kind, 'log.opened')
    assert.equal(loaded?.kind, 'policy.loaded')
    assert.match(String(loaded?.['policy']), /^sha256:/)
  })
  it('of an answer says who asked what, what was really sent, and because of which rule', async () => {
    const { response, decision, outcome } = await recorded({ path: '/api/v1/query', params }, await bearer('alice'))
    assert.equal(response.status, 200)
    assert.deepEqual(decision['asked'], params)
    assert.deepEqual(decision['sent'], [
      {
        path: '/api/v1/query',
        params: [
          ['query', 'sum(up{namespace=~"emojivoto"})'],
          ['time', '1795143600'],
        ],
      },
    ])
    const { credential, expires, ...who } = Object(decision['who'])
    assert.match(credential, /^[0-9a-f]{16}$/)
    assert.ok(expires > Date.now() / 1000)
    assert.deepEqual(who, {
      issuer: world.idp.issuer,
      subject: 'alice',
      name: 'alice@example.com',
      groups: ['team-emojivoto'],
      via: 'bearer',
    })
    assert.equal(decision['decision'], 'allow')
    assert.equal(decision['cluster'], 'east')
    assert.equal(decision['endpoint'], '/api/v1/query')
    assert.equal(decision['scope'], 'namespace: emojivoto')
    assert.match(String(decision['because']), /^policy\.csv:\d+$/)
    assert.equal(decision['policy'], response.headers.get('bailiwick-policy'))
    assert.deepEqual(decision['claimed'], { 'x-dashboard-uid': 'd-1' })
    assert.equal(outcome['status'], 200)
    assert.equal(outcome['ended'], 'complete')
    assert.ok(Number(outcome['bytes']) > 50)
    assert.equal(outcome['servedFrom'], 'upstream')
    assert.equal(outcome['upstream'], 200)
    assert.equal(outcome['series'], 1)
  })
  it('of the same question, asked with POST and then with GET, carries the same key, and another one of another question or person', async () => {
    const asked = async (person: string, query: string, method: 'GET' | 'POST'): Promise<unknown> => {
      const fields = [
        ['query', query],
        ['time', '1795143600'],
      ] as const
      const { decision } = await recorded({ path: '/api/v1/query', params: fields, method }, await bearer(person))
      return decision['fold']
    }
    const key = await asked('alice', 'up', 'POST')
    assert.match(String(key), /^[0-9a-f]{16}$/)
    assert.equal(await asked('alice', 'up', 'GET'), key)
    assert.notEqual(await asked('alice', 'up == 1', 'GET'), key)
    assert.notEqual(await asked('bob', 'up', 'GET'), key)
  })
  it('of every endpoint holds asked and sent', async () => {
    const authorization = await bearer('bob')
    const range = [
      ['query', 'up'],
      ['start', '1795140000'],
      ['end', '1795143600'],
      ['step', '60'],
    ] as const
    for (const [path, asked, sent] of [
      ['/api/v1/query_range', range, /up\{namespace=~\\"booksapp\\"\}/],
      ['/api/v1/series', [['match[]', 'up']], /up\{namespace=~\\"booksapp\\"\}/],
      ['/api/v1/labels', [], /\{namespace=~\\"booksapp\\"\}/],
      ['/api/v1/label/pod/values', [], /\{namespace=~\\"booksapp\\"\}/],
      ['/federate', [['match[]', 'up']], /up\{namespace=~\\"booksapp\\"\}/],
      ['/api/v1/status/buildinfo', [], /buildinfo/],
    ] as const) {
      const { decision } = await recorded({ path, params: asked }, authorization)
      assert.equal(decision['decision'], 'allow')
      assert.deepEqual(decision['asked'], asked)
      assert.match(JSON.stringify(decision['sent']), sent)
    }
  })
  it('of a refusal says why, and that nothing was sent', async () => {
    const alice = await bearer('alice')
    const dana = await bearer('dana')
    const query = (...texts: readonly string[]): ApiRequest => ({
      path: '/api/v1/query',
      params: texts.map((text) => ['query', text]),
    })
    for (const [request, authorization, status, reason] of [
      [query('up'), undefined, 401, 'no_credentials'],
      [query('up'), 'Bearer garbage', 401, 'bad_credentials'],
      [query('up'), dana, 403, 'no_rights'],
      [query('up{namespace="booksapp"}'), alice, 403, 'not_allowed'],
      [query('sum('), alice, 422, 'bad_query'],
      [query('up', 'up'), alice, 422, 'bad_parameter'],
      [{ path: '/api/v1/nothing', params: [] }, alice, 404, 'unknown_path'],
      [{ path: '/api/v1/write', params: [], method: 'POST' }, alice, 403, 'never'],
      [{ path: '/api/v1/status/config', params: [] }, alice, 403, 'no_rights'],
      [{ path: '/federate', params: [], method: 'POST' }, alice, 405, 'wrong_method'],
    ] as const) {
      const { response, decision, outcome } = await recorded(request, authorization)
      assert.equal(response.status, status)
      assert.equal(decision['decision'], 'deny')
      assert.equal(decision['reason'], reason)
      assert.equal(decision['sent'], null)
      assert.equal(outcome['status'], status)
      if (authorization === alice || authorization === dana) continue
      assert.equal(decision['who'], null)
    }
  })
  it('of an upstream that is down says that it was allowed, and that nothing came of it', async () => {
    const request: ApiRequest = { path: '/clusters/west/api/v1/query', params }
    const { decision, outcome } = await recorded(request, await bearer('alice'))
    assert.equal(decision['decision'], 'allow')
    assert.equal(outcome['status'], 502)
    assert.equal(outcome['ended'], 'failed')
  })
  it('holds no token, nor does the operational log, though it is sent where it should not be', async () => {
    const token = await world.idp.token('alice')
    const leak = (name: string): ApiRequest => ({
      path: '/api/v1/query',
      params: [
        ['query', 'up'],
        [name, token],
      ],
    })
    await recorded(leak('access_token'), `Bearer ${token}`)
    await recorded(leak('token'), `Basic ${token}`)
    for (const text of [JSON.stringify(await world.records()), world.logged()]) {
      assert.ok(text.length > 1_000)
      assert.ok(!text.includes(token) && !text.includes(token.split('.')[2] ?? token))
    }
  })
})

describe('when no record can be kept, nothing is shown', () => {
  async function assertNothingShown(world: World, authorization: string): Promise<void> {
    const requests: readonly ApiRequest[] = [
      up,
      { path: '/api/v1/query', params: [['query', '1+1']] },
      { path: '/api/v1/labels', params: [] },
      { path: '/api/v1/query', params: [['query', 'sum(']] },
    ]
    for (const request of requests) {
      const response = await send(world.app.url, request, { authorization })
      assert.equal(response.status, 503)
      const text = await response.text()
      assert.match(text, /"errorType":"unavailable","error":"nothing is answered while no audit record can be kept/)
      assert.ok(!text.includes('emojivoto'))
    }
    const ready = await fetch(`${world.app.adminUrl}/-/ready`)
    assert.equal(ready.status, 503)
    assert.match(await ready.text(), /"remedy":/)
    assert.equal((await fetch(`${world.app.adminUrl}/-/healthy`)).status, 200)
  }

  async function assertRecovers(world: World, authorization: string): Promise<void> {
    for (let round = 0; round < 100; round += 1) {
      const response = await send(world.app.url, up, { authorization })
      await response.arrayBuffer()
      if (response.status === 200) return
      await sleep(100)
    }
    assert.fail('it did not recover')
  }

  it('because the directory cannot be made: the gateway runs, says so, and recovers when it is mended', async () => {
    const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-audit-'))
    await writeFile(join(scratch, 'file'), '')
    const world = await startWorld({ auditDir: join(scratch, 'file', 'audit') })
    try {
      const authorization = `Bearer ${await world.idp.token('alice')}`
      await assertNothingShown(world, authorization)
      await rm(join(scratch, 'file'))
      await assertRecovers(world, authorization)
    } finally {
      await world.stop()
      await rm(scratch, { recursive: true, force: true })
    }
  })

  const skip = process.getuid?.() === 0 && 'root may write anywhere'
  it('because the directory is read-only', { skip }, async () => {
    const scratch = await mkdtemp(join(tmpdir(), 'bailiwick-audit-'))
    await mkdir(join(scratch, 'audit'))
    await chmod(join(scratch, 'audit'), 0o555)
    const world = await startWorld({ auditDir: join(scratch, 'audit') })
    try {
      await assertNothingShown(world, `Bearer ${await world.idp.token('alice')}`)
    } finally {
      await world.stop()
      await rm(scratch, { recursive: true, force: true })
    }
  })

  it('because the live file was moved away: nothing is written to a file that nobody will find', async () => {
    const world = await startWorld()
    try {
      const authorization = `Bearer ${await world.idp.token('alice')}`
      assert.equal((await send(world.app.url, up, { authorization })).status, 200)
      const file = (await readdir(world.auditDir)).find((name) => name.endsWith('.ndjson')) ?? ''
      await rename(join(world.auditDir, file), join(world.auditDir, '..', file))
      assert.equal((await send(world.app.url, up, { authorization })).status, 503)
      await assertRecovers(world, authorization)
      const [opened] = await readRecords(world.auditDir)
      assert.equal(opened?.kind, 'log.opened')
      assert.match(JSON.stringify(opened), /abandoned/)
    } finally {
      await world.stop()
    }
  })
})
