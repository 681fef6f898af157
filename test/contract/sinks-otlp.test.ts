// What the OTLP sink says, and what it makes of each answer.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { OtlpOptions } from '../../src/audit/sinks/otlp.ts'
import { makeAuthority } from '../support/certificates.ts'
import { OtlpStub } from '../support/sink-otlp.ts'
import { isThrough, SinkWorld } from '../support/sink-world.ts'
import { decision, outcome, until } from '../unit/audit/support.ts'

async function open(t: TestContext, secrets: ConstructorParameters<typeof OtlpStub>[0] = null) {
  const world = await SinkWorld.make(t)
  const stub = new OtlpStub(secrets)
  await stub.up()
  t.after(() => stub.down())
  const to = (more: Partial<OtlpOptions> = {}): OtlpOptions => ({ kind: 'otlp', url: stub.url, headers: {}, ...more })
  return { world, stub, to }
}

describe('a log record', () => {
  it('has the line as its body, and what people filter by as attributes', async (t) => {
    const { world, stub, to } = await open(t)
    const trace = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' }
    const traceparent = `00-${trace.traceId}-${trace.spanId}-01`
    world.log.append({
      ...decision('r-1'),
      from: { peer: '10.0.0.1', client: '192.0.2.7' },
      claimed: { 'x-dashboard-uid': 'abc', traceparent },
    })
    world.log.append(outcome('r-1'))
    const sinks = world.open(to())
    await until(() => isThrough(sinks))
    assert.deepEqual(stub.violations, [])
    const [, asked, answered] = stub.arrived
    assert.deepEqual(asked?.resource, { 'service.name': 'bailiwick', 'service.instance.id': 'log-1' })
    assert.deepEqual(asked.attributes, {
      'log.record.uid': 'log-1/1',
      'bailiwick.seq': '1',
      'bailiwick.kind': 'decision',
      'bailiwick.request': 'r-1',
      'user.id': 'u-1',
      'user.name': 'Ada',
      'bailiwick.issuer': 'https://id.example',
      'bailiwick.via': 'bearer',
      'client.address': '192.0.2.7',
      'http.request.method': 'GET',
      'url.path': '/api/v1/query',
      'bailiwick.cluster': 'east',
      'bailiwick.endpoint': '/api/v1/query',
      'bailiwick.decision': 'allow',
      'bailiwick.scope': 'namespace=payments',
      'bailiwick.policy': 'sha256:1234',
      'bailiwick.claimed.dashboard': 'abc',
    })
    const { attributes: _, ...rest } = asked.record
    const time = `${Date.parse('2026-11-21T08:00:01.000Z')}000000`
    assert.deepEqual(rest, {
      timeUnixNano: time,
      observedTimeUnixNano: time,
      severityNumber: 9,
      severityText: 'INFO',
      eventName: 'bailiwick.audit.decision',
      body: { stringValue: world.log.lines[1] },
      ...trace,
      flags: 1,
    })
    assert.equal(answered?.attributes['http.response.status_code'], '200')
    assert.equal(answered.record['traceId'], undefined)
  })

  it('is a warning where something was refused', async (t) => {
    const { world, stub, to } = await open(t)
    world.log.append({ ...decision('r-1'), decision: 'deny', reason: 'no_grant' })
    const sinks = world.open(to())
    await until(() => isThrough(sinks))
    assert.deepEqual(
      [stub.arrived[1]?.record['severityNumber'], stub.arrived[1]?.attributes['bailiwick.reason']],
      [13, 'no_grant'],
    )
  })

  for (const traceparent of ['', '00-short-00f067aa0ba902b7-01', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`]) {
    it(`has no trace of the claim ${JSON.stringify(traceparent)}`, async (t) => {
      const { world, stub, to } = await open(t)
      world.log.append({ ...decision('r-1'), claimed: { traceparent } })
      const sinks = world.open(to())
      await until(() => isThrough(sinks))
      assert.deepEqual(stub.violations, [])
      assert.equal(stub.arrived[1]?.record['traceId'], undefined)
    })
  }

  it('is well-formed and bounded, whatever a client sent', async (t) => {
    const { world, stub, to } = await open(t)
    const hostile = `\u0000\ud800"\\\u2028${'é'.repeat(5_000)}`
    world.log.append({ ...decision(hostile), path: hostile, method: hostile, scope: hostile })
    const sinks = world.open(to())
    await until(() => isThrough(sinks))
    assert.deepEqual(stub.violations, [])
    assert.deepEqual(stub.lines, world.log.lines)
    assert.ok(Object.values(stub.arrived[1]?.attributes ?? {}).every((value) => value.length <= 1_000))
  })
})

describe('the request', () => {
  it('has the headers of the configuration, and a token that is read again from its file', async (t) => {
    const { world, stub, to } = await open(t)
    const file = join(world.dir, 'token')
    writeFileSync(file, 'first\n')
    stub.behave = () => (stub.requests.at(-1)?.authorization === 'Bearer second' ? null : { status: 401 })
    const sinks = world.open(
      to({ headers: { 'X-Scope-OrgID': 'audit' }, bearerToken: 'start', files: { bearerToken: file } }),
    )
    await until(() => sinks.status()[0]?.state === 'failing')
    assert.equal(sinks.status()[0]?.because, 'it answers 401')
    assert.deepEqual([stub.requests[0]?.['x-scope-orgid'], stub.requests[0]?.authorization], ['audit', 'Bearer first'])
    // Neither is usable: the first stays.
    for (const content of ['', 'two words']) {
      writeFileSync(file, content)
      const before = stub.requests.length
      await until(() => stub.requests.length > before + 1)
      assert.equal(stub.requests.at(-1)?.authorization, 'Bearer first')
    }
    writeFileSync(file, 'second')
    await until(() => isThrough(sinks))
    assert.deepEqual(stub.lines, world.log.lines)
    assert.deepEqual(await world.refused(), [])
  })

  it('goes over TLS to a receiver of the authority only, whose file is read again', async (t) => {
    const authority = makeAuthority()
    const { world, stub, to } = await open(t, authority.issue(['127.0.0.1']))
    const file = join(world.dir, 'ca.pem')
    writeFileSync(file, makeAuthority('another').cert)
    const sinks = world.open(to({ ca: makeAuthority('yet another').cert, files: { ca: file } }))
    await until(() => sinks.status()[0]?.state === 'failing')
    assert.match(sinks.status()[0]?.because ?? '', /certificate/)
    assert.equal(stub.requests.length, 0)
    writeFileSync(file, authority.cert)
    await until(() => isThrough(sinks))
    assert.deepEqual(stub.lines, world.log.lines)
  })
})

describe('the answer', () => {
  it('may be that some were rejected: they are told of as a range, and not sent again', async (t) => {
    const { world, stub, to } = await open(t)
    const body = { partialSuccess: { rejectedLogRecords: '2', errorMessage: 'too old' } }
    stub.behave = (records) => (records.length > 3 ? { status: 200, body } : null)
    world.log.fill(4)
    const sinks = world.open(to(), { required: true })
    const { file } = world.log
    assert.equal((await sinks.confirmed({ file, seq: 3 })).ok, false)
    world.log.fill(1)
    await until(() => isThrough(sinks))
    assert.deepEqual(stub.lines, world.log.lines)
    const [refused, ...more] = await world.refused()
    assert.deepEqual(more, [])
    assert.deepEqual([refused?.['from'], refused?.['to'], refused?.['count']], [0, 4, 2])
    assert.equal(refused?.['because'], 'it took all but 2 of these 5: too old')
    assert.deepEqual([sinks.status()[0]?.taken, sinks.status()[0]?.refused], [4, 2])
    assert.equal((await sinks.confirmed({ file, seq: 5 })).ok, true)
  })

  for (const body of [{ partialSuccess: { errorMessage: 'deprecated' } }, { partialSuccess: null }, '']) {
    it(`${JSON.stringify(body)} is a yes`, async (t) => {
      const { world, stub, to } = await open(t)
      stub.behave = () => ({ status: 200, body })
      const sinks = world.open(to())
      await until(() => isThrough(sinks))
      assert.deepEqual([stub.lines, sinks.status()[0]?.refused], [world.log.lines, 0])
    })
  }

  for (const body of ['<html>Please log in</html>', '[]', '"yes"']) {
    it(`${JSON.stringify(body)} is no yes, whatever its status`, async (t) => {
      const { world, stub, to } = await open(t)
      stub.behave = () => ({ status: 200, body })
      const sinks = world.open(to())
      await until(() => sinks.status()[0]?.state === 'failing')
      assert.equal(sinks.status()[0]?.because, 'what answers there is no OTLP receiver')
      assert.equal(sinks.status()[0]?.seq, null)
    })
  }

  it('may be that it is too much at once: it comes in smaller parts', async (t) => {
    const { world, stub, to } = await open(t)
    stub.behave = (records) => (records.length > 3 ? { status: 413, body: { message: 'too large' } } : null)
    world.log.fill(20)
    const sinks = world.open(to())
    await until(() => isThrough(sinks))
    assert.deepEqual([stub.lines, sinks.status()[0]?.refused], [world.log.lines, 0])
  })

  it('may ask to wait: it is not asked again before', async (t) => {
    const { world, stub, to } = await open(t)
    stub.behave = () => ({ status: 429, headers: { 'retry-after': '3600' }, body: { message: 'slow down' } })
    const sinks = world.open(to())
    await until(() => sinks.status()[0]?.state === 'failing')
    assert.equal(sinks.status()[0]?.because, 'it answers 429: slow down')
    // Without the header there would be a dozen by then.
    await delay(200)
    assert.equal(stub.requests.length, 1)
  })

  it('may ask to wait for too long: there is a bound', async (t) => {
    const { world, stub, to } = await open(t)
    stub.behave = () => (stub.requests.length > 1 ? null : { status: 503, headers: { 'retry-after': '3600' } })
    const sinks = world.open(to(), { limits: { retryAfterCapMs: 20 } })
    await until(() => isThrough(sinks))
    assert.deepEqual(stub.lines, world.log.lines)
  })

  for (const status of [301, 302, 307, 401, 403, 404, 405, 415, 429, 502, 503, 504]) {
    it(`with status ${status} is about the way there: nothing is set aside, it is tried again`, async (t) => {
      const { world, stub, to } = await open(t)
      stub.behave = () => ({ status, headers: { location: stub.url } })
      const sinks = world.open(to())
      await until(() => stub.requests.length > 2)
      stub.behave = () => null
      await until(() => isThrough(sinks))
      assert.deepEqual([stub.lines, await world.refused()], [world.log.lines, []])
    })
  }
})
