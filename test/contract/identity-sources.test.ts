// What every way to say who one is has in common: who sends nothing is absent, good credentials are the one they say,
// anything else is refused or absent and never somebody, nothing is said back of a credential, and what the first way
// refuses no later one mends. A new way gets a row in `openWorld`.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'
import { base64url } from 'jose'
import type { JWTPayload } from 'jose'
import { close, listen } from '../../demo/parts/loopback.ts'
import type { Browser } from '../../src/app/browser.ts'
import { openSources } from '../../src/app/sources.ts'
import type { Config } from '../../src/config/config.ts'
import { credentialsOf } from '../../src/gateway/visit.ts'
import { identify, services } from '../../src/identity/identity.ts'
import type { Credentials, Identified, Identity, IdentitySource, SourceName } from '../../src/identity/identity.ts'
import { openIntrospection } from '../../src/identity/introspect.ts'
import { openIssuer } from '../../src/identity/issuer.ts'
import { maxTokenLength } from '../../src/identity/limits.ts'
import { bearerSource } from '../../src/identity/sources/bearer.ts'
import { grafanaSource, openDatasource } from '../../src/identity/sources/grafana.ts'
import { meshSource } from '../../src/identity/sources/mesh.ts'
import { sessionSource } from '../../src/identity/sources/session.ts'
import { openTokenVerifier } from '../../src/identity/token.ts'
import { fail } from '../../src/result.ts'
import { audience, credentialsWith, issuerOptions, startStubIssuer } from '../support/issuer.ts'
import { nightly, startStubCluster } from '../support/kubernetes.ts'
import { podAddress } from '../support/linkerd-proxy.ts'
import { hour, sessionWorld } from '../support/sessions.ts'
import { startStubGrafana } from '../support/stub-grafana.ts'

type Headers = Readonly<Record<string, string | readonly string[]>>

/** One way to say who one is, and how to use it well. */
interface Way {
  readonly name: string
  /** The source alone. */
  readonly source: IdentitySource
  /** Where the credential is, in lower case, and how it is written there. */
  readonly header: string
  readonly write: (credential: string) => string
  /** A good one. */
  readonly credential: string
  /** What must come with it, and says nothing by itself. */
  readonly beside: Headers
  readonly who: Pick<Identity, 'issuer' | 'subject' | 'via' | 'actor'>
  /** Who must answer for somebody to be known. Nobody: a secret of the gateway's own is enough. */
  readonly asks: 'a provider' | 'nobody'
  /** Makes a token of these claims by which the way would know somebody if they were good ones. */
  readonly sign?: (claims: JWTPayload) => Promise<string>
}

const mesh = { trustDomain: 'cluster.local', controlPlaneNamespace: 'linkerd', selfTest: 'http://unused' } as const
const workload = 'metrics-api.linkerd-viz.serviceaccount.identity.linkerd.cluster.local'
const secret = 'S3cr3t-of-the-datasource-of-prod'
const opaque = 'opaque-token-of-olga-2b7e151628aed2a6'
const cookie = '__Host-bailiwick-session.0'
const basic = (token: string): string => `Basic ${Buffer.from(`anybody:${token}`).toString('base64')}`
const bearer = (token: string): string => `Bearer ${token}`
const plain = (text: string): string => text

/** A provider that says whom an opaque token stands for. */
async function startOpaqueProvider() {
  let issuer = ''
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
    request.on('end', () => {
      response.setHeader('content-type', 'application/json')
      if (request.url !== '/introspect') {
        return response.end(JSON.stringify({ issuer, introspection_endpoint: `${issuer}/introspect` }))
      }
      const active = new URLSearchParams(body).get('token') === opaque
      response.statusCode = provider.status
      return response.end(JSON.stringify(active ? { active, sub: 'olga', aud: audience } : { active }))
    })
  })
  issuer = `http://127.0.0.1:${await listen(server, 0)}`
  const provider = { issuer, status: 200, stop: () => close(server) }
  return provider
}

/** Everybody whom the gateway asks, and every way in. `down`: none of them answers any longer, if it ever did. */
async function openWorld(down = false) {
  const [idp, opaqueProvider, grafana, cluster] = await Promise.all([
    startStubIssuer(),
    startOpaqueProvider(),
    startStubGrafana(),
    startStubCluster(),
  ])
  const browsers = sessionWorld({
    expiresIn: 600,
    person: { issuer: 'https://id.test', subject: 'sina', name: 'Sina', groups: [] },
  })
  const session = (await browsers.begin()).slice(cookie.length + 1)
  if (down) {
    idp.jwks = () => ({ status: 500, body: 'no' })
    grafana.keys = () => ({ status: 500, body: 'no' })
    opaqueProvider.status = 500
    cluster.bend = () => ({ status: 500, body: {} })
    browsers.answer = () => fail({ code: 'provider_unavailable', detail: '' })
    browsers.wait(hour / 2)
  }
  const account = { clientId: 'gateway', clientSecret: 's3cret' }
  const options = [
    issuerOptions(idp.issuer, { clientIds: ['grafana'] }),
    issuerOptions(opaqueProvider.issuer, { introspection: account }),
    cluster.options(),
  ]
  const issuers = options.map((one) => openIssuer(one, Date.now))
  const { issuer, keysUrl } = grafana
  const checks = { issuer, keysUrl, audience: ['org:1'], clockTolerance: 5 }
  const datasources = [openDatasource({ name: 'grafana-prod', secret, grafanaId: checks }, Date.now)]
  const introspect = openIntrospection({ issuer: issuerOptions(opaqueProvider.issuer), ...account }, Date.now)
  const verifier = openTokenVerifier({ issuers, clock: Date.now, introspect })
  const browserSource = sessionSource(browsers.sessions, 'https://gateway.test/bailiwick/login')
  const meshOptions = { ...mesh, subjects: 'all' } as const
  const isProven = (): boolean => !down

  /** The ways as the gateway joins them. */
  const sources = openSources(
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of the configuration, only the issuers are looked at
    { issuers: options } as unknown as Config,
    { issuers, datasources },
    Date.now,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- no page is asked for
    { source: browserSource, revoked: () => false } as unknown as Browser,
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only the state is asked for
    { options: meshOptions, selfTest: { state: () => ({ proven: isProven() }) } } as Parameters<typeof openSources>[4],
  )

  const through = { 'bailiwick-datasource': secret }
  const actor = 'datasource/grafana-prod'
  const tokens = bearerSource(verifier)
  const grafanas = grafanaSource({ datasources, verifier })
  const idToken = (claims: JWTPayload): Promise<string> => idp.sign({ aud: 'grafana', nonce: 'n', ...claims })
  const accessToken = (claims: JWTPayload): Promise<string> => idp.sign(claims)
  const grafanaId = (claims: JWTPayload): Promise<string> => grafana.sign(claims)
  const podToken = (claims: JWTPayload): Promise<string> => cluster.sign(claims)
  const ways: readonly Way[] = [
    {
      ...{ name: 'an ID token behind a datasource', source: grafanas, asks: 'a provider', sign: idToken },
      ...{ header: 'x-id-token', write: plain, credential: await idToken({ sub: 'ida' }), beside: through },
      who: { issuer: idp.issuer, subject: 'ida', via: 'id-token', actor },
    },
    {
      ...{ name: 'X-Grafana-Id behind a datasource', source: grafanas, asks: 'a provider' },
      ...{ header: 'x-grafana-id', write: plain, credential: await grafana.sign(), beside: through },
      ...{ sign: grafanaId, who: { issuer, subject: 'user:u1', via: 'grafana-id', actor } },
    },
    {
      ...{ name: 'a bearer token behind a datasource', source: grafanas, asks: 'a provider' },
      ...{ header: 'authorization', write: bearer, credential: await idp.sign({ sub: 'dora' }), beside: through },
      ...{ sign: accessToken, who: { issuer: idp.issuer, subject: 'dora', via: 'bearer', actor } },
    },
    {
      ...{ name: 'a datasource', source: grafanas, asks: 'nobody' },
      ...{ header: 'bailiwick-datasource', write: plain, credential: secret, beside: {} },
      who: { issuer: services, subject: 'datasource/grafana-prod', via: 'datasource' },
    },
    {
      ...{ name: 'a session', source: browserSource, asks: 'a provider', header: 'cookie' },
      ...{ write: (sealed) => `${cookie}=${sealed}`, credential: session, beside: { 'sec-fetch-site': 'same-origin' } },
      who: { issuer: 'https://id.test', subject: 'sina', via: 'session' },
    },
    {
      ...{ name: 'a bearer token', source: tokens, asks: 'a provider', sign: accessToken },
      ...{ header: 'authorization', write: bearer, credential: await idp.sign({ sub: 'bella' }), beside: {} },
      who: { issuer: idp.issuer, subject: 'bella', via: 'bearer' },
    },
    {
      ...{ name: 'a token as a password', source: tokens, asks: 'a provider', sign: accessToken },
      ...{ header: 'authorization', write: basic, credential: await idp.sign({ sub: 'basil' }), beside: {} },
      who: { issuer: idp.issuer, subject: 'basil', via: 'basic' },
    },
    {
      ...{ name: 'an opaque token', source: tokens, asks: 'a provider' },
      ...{ header: 'authorization', write: bearer, credential: opaque, beside: {} },
      who: { issuer: opaqueProvider.issuer, subject: 'olga', via: 'bearer' },
    },
    {
      ...{ name: 'an opaque token as a password', source: tokens, asks: 'a provider' },
      ...{ header: 'authorization', write: basic, credential: opaque, beside: {} },
      who: { issuer: opaqueProvider.issuer, subject: 'olga', via: 'basic' },
    },
    {
      ...{ name: 'the token of a pod', source: tokens, asks: 'a provider', sign: podToken },
      ...{ header: 'authorization', write: bearer, credential: await cluster.sign(), beside: {} },
      who: { issuer: cluster.issuer, subject: nightly, via: 'bearer' },
    },
    {
      ...{ name: 'the mesh', source: meshSource({ options: meshOptions, isProven, others: [] }) },
      ...{ asks: 'a provider', header: 'l5d-client-id', write: plain, credential: workload, beside: {} },
      who: { issuer: services, subject: 'mesh/linkerd-viz/metrics-api', via: 'mesh' },
    },
  ]
  async function stop(): Promise<void> {
    for (const keys of [...issuers, datasources[0]?.keys]) keys?.stop()
    await Promise.all([idp.stop(), opaqueProvider.stop(), grafana.stop(), cluster.stop()])
  }
  return { idp, ways, sources, stop }
}

/** Names of the ways, to make a test for each before the world is there. */
const names = [
  ...['an ID token behind a datasource', 'X-Grafana-Id behind a datasource', 'a bearer token behind a datasource'],
  ...['a datasource', 'a session', 'a bearer token', 'a token as a password', 'an opaque token'],
  ...['an opaque token as a password', 'the token of a pod', 'the mesh'],
]

const asPod = (headers: Headers): Credentials => ({ ...credentialsWith(headers), localAddress: podAddress })
const headersOf = ({ header, beside, write, credential }: Way, ...values: readonly string[]): Headers => ({
  ...beside,
  [header]: values.length === 0 ? write(credential) : values,
})
const short = ({ issuer, subject, via, actor }: Way['who']): Way['who'] => ({
  ...{ issuer, subject, via },
  ...(actor === undefined ? {} : { actor }),
})

/** Is nobody known, and does what is said hold nothing of these credentials, nor of a part of one? */
function assertNobody(said: Identified, credentials: readonly string[]): void {
  assert.notEqual(said.is, 'known', JSON.stringify(said))
  if (said.is !== 'refused') return
  const { code, message } = said.refusal
  assert.ok(['malformed_credentials', 'invalid_token', 'issuer_unavailable'].includes(code))
  // Longer than the challenge may be, it would be cut.
  assert.ok(message.length <= 300, message)
  for (const credential of credentials) {
    for (let at = 0; at + 12 <= credential.length; at += 12) {
      assert.ok(!message.includes(credential.slice(at, at + 12)), message)
    }
  }
}

describe('each way to say who one is', () => {
  let world: Awaited<ReturnType<typeof openWorld>>
  let downWorld: Awaited<ReturnType<typeof openWorld>>
  before(async () => {
    ;[world, downWorld] = await Promise.all([openWorld(), openWorld(true)])
  })
  after(() => Promise.all([world.stop(), downWorld.stop()]))

  const wayOf = (name: string, { ways } = world): Way => {
    const way = ways.find((one) => one.name === name)
    assert.ok(way !== undefined, name)
    return way
  }

  it('has a row here: every name of a source is some way’s', () => {
    assert.deepEqual(
      world.ways.map(({ name }) => name),
      names,
    )
    const people = { bearer: true, basic: true, session: true, 'id-token': true, 'grafana-id': true } as const
    const all: Record<SourceName, true> = { ...people, datasource: true, mesh: true }
    assert.deepEqual(new Set(world.ways.map(({ who }) => who.via)), new Set(Object.keys(all)))
  })

  for (const name of names) {
    describe(name, () => {
      it('is absent where nothing was sent, and where only what is no credential was', async () => {
        const { source, beside, header } = wayOf(name)
        assert.deepEqual(await source.identify(asPod({})), { is: 'absent' })
        const noise = {
          ...beside,
          'bailiwick-datasource': [],
          'x-forwarded-user': 'carol',
          cookie: 'a=b',
          [header]: [],
        }
        assert.deepEqual(await source.identify(asPod(noise)), { is: 'absent' })
      })

      it('knows good credentials: the issuer, the subject and the way', async () => {
        const way = wayOf(name)
        for (let round = 0; round < 2; round += 1) {
          const said = await way.source.identify(asPod(headersOf(way)))
          assert.ok(said.is === 'known', JSON.stringify(said))
          assert.deepEqual(short(said.identity), way.who)
          assert.ok(Array.isArray(said.identity.groups) && said.identity.name !== '')
          assert.ok(!JSON.stringify(said.identity).includes(way.credential.slice(-24)), 'the credential itself')
        }
      })

      it('never knows anybody by garbage, never throws, and says nothing of it', async () => {
        const way = wayOf(name)
        const mark = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: 24, maxLength: 24 })
        const noise = fc.oneof(
          fc.string({ unit: 'binary', maxLength: 40 }),
          fc.string({ unit: 'grapheme', maxLength: 40 }),
          fc.constantFrom('', ' ', '\t', '\0', '\r\n', '=', ',', ';', ':', '.', '..', '"', '%00', '\u202e', '\ud800'),
        )
        const value = fc.tuple(mark, noise, fc.nat(shapes.length - 1)).map(([marked, around, shape]) => ({
          marked,
          text: shapes[shape]?.(way, marked, around, world.idp.issuer) ?? '',
        }))
        await fc.assert(
          fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 3 }), async (values) => {
            const headers = headersOf(way, ...values.map(({ text }) => text))
            const marks = values.map(({ marked }) => marked)
            const said = await way.source.identify(asPod(headers))
            assertNobody(said, marks)
            assertNobody(await identify(world.sources, asPod(headers)), marks)
          }),
          { numRuns: 100 },
        )
      })

      it('refuses two of them, also where one is good, or both are', async () => {
        const way = wayOf(name)
        const good = way.write(way.credential)
        for (const values of [
          [good, good],
          [good, way.write('x')],
          [way.write('x'), good],
          [good, good, good],
        ]) {
          const said = await way.source.identify(asPod(headersOf(way, ...values)))
          assert.ok(said.is === 'refused')
          assert.equal(said.refusal.code, 'malformed_credentials')
          assertNobody(said, [way.credential])
        }
      })

      it('never blames the caller while whoever must vouch for them does not answer', async () => {
        const way = wayOf(name, downWorld)
        for (let round = 0; round < 3; round += 1) {
          const said = await way.source.identify(asPod(headersOf(way)))
          if (way.asks === 'nobody') {
            assert.equal(said.is, 'known')
            continue
          }
          assert.ok(said.is === 'refused', JSON.stringify(said))
          assert.equal(said.refusal.code, 'issuer_unavailable', said.refusal.message)
          assertNobody(said, [way.credential])
        }
      })

      it('lets no later way mend what it refused', async () => {
        const way = wayOf(name)
        let asked = 0
        const everybody: IdentitySource = {
          name: 'bearer',
          async identify() {
            asked += 1
            return { is: 'known', identity: { issuer: 'i', subject: 'eve', name: 'eve', groups: [], via: 'bearer' } }
          },
        }
        for (const values of [[way.write('bad')], [way.write('bad'), way.write(way.credential)]]) {
          const credentials = asPod(headersOf(way, ...values))
          const said = await way.source.identify(credentials)
          assert.equal(said.is, 'refused')
          assert.deepEqual(await identify([way.source, everybody], credentials), said)
        }
        assert.equal(asked, 0)
        assert.equal((await identify([way.source, everybody], asPod({}))).is, 'known')
      })
    })
  }

  it('never knows anybody by what is nearly good', async () => {
    // The mesh's word is no secret: it is believed because nobody else can write it there.
    const ways = world.ways.filter(({ who }) => who.via !== 'mesh')
    // Not among the characters: those that base64 reads like others. Nor is a signature's last one changed, of which some
    // bits do not count. Such a token is another spelling of the same one.
    const change = fc.tuple(
      fc.constantFrom(...ways),
      fc.nat(),
      fc.constantFrom('A', 'b', '3', '.', '~', ',', ':', ';'),
      fc.constantFrom(0, 1, 2),
    )
    await fc.assert(
      fc.asyncProperty(change, async ([way, anywhere, character, cut]) => {
        const { credential, source, write } = way
        const at = anywhere % (credential.length - 1)
        const changed = credential.slice(0, at) + character + credential.slice(at + cut)
        fc.pre(changed !== credential)
        assertNobody(await source.identify(asPod(headersOf(way, write(changed)))), [credential])
      }),
      { numRuns: 500 },
    )
    for (const way of ways) {
      const { credential, source, write } = way
      for (const changed of [credential + credential, credential.slice(0, -8), credential.toUpperCase()]) {
        assertNobody(await source.identify(asPod(headersOf(way, write(changed)))), [credential])
      }
    }
  })

  it('refuses a good signature under claims that are not', async () => {
    const mark = '5eed0f1ace0ff1ce5eed0f1a'
    const now = Math.floor(Date.now() / 1000)
    const without = (claim: string): JWTPayload => ({ [claim]: undefined })
    let tried = 0
    for (const { sign, ...way } of world.ways) {
      if (sign === undefined) continue
      for (const claims of [
        ...[{ sub: '' }, { sub: mark.repeat(20) }, without('sub'), { aud: mark }, { aud: [] }, without('aud')],
        ...[{ iss: `https://${mark}.test` }, without('iss'), { exp: now - 60 }, without('exp')],
        ...[{ iat: now + 600 }, without('iat'), { nbf: now + 600 }, { cnf: { jkt: mark } }, { events: { [mark]: {} } }],
      ]) {
        const token = await sign(claims)
        const said = await way.source.identify(asPod(headersOf(way, way.write(token))))
        assert.ok(said.is === 'refused', JSON.stringify(claims))
        assert.equal(said.refusal.code, 'invalid_token', said.refusal.message)
        assertNobody(said, [mark, token])
        tried += 1
      }
    }
    assert.ok(tried >= 6 * 15)
  })

  /** Ways that go into a request together, each by a header of its own. */
  const pairs = (): readonly (readonly [Way, Way])[] =>
    world.ways.flatMap((one) =>
      world.ways.filter(({ header }) => header !== one.header).map((two) => [one, two] as const),
    )
  const isBehind = ({ beside, header }: Way): boolean =>
    [header, ...Object.keys(beside)].includes('bailiwick-datasource')
  /** Which of them decides who it is; null where that could not be said without guessing. */
  function deciding(ways: readonly Way[]): Way | null {
    const behind = ways.some(isBehind)
    const of = (wanted: string): Way | undefined => ways.find(({ header }) => header === wanted)
    if (!behind && of('cookie') !== undefined && of('authorization') !== undefined) return null
    const hop = ['x-id-token', 'x-grafana-id', 'authorization', 'bailiwick-datasource']
    const order = [...(behind ? hop : []), 'cookie', 'authorization', 'l5d-client-id']
    return order.map(of).find((way) => way !== undefined) ?? null
  }

  it('decides before every later one: a bad one is refused, and an earlier good one is not hurt by it', async () => {
    const ends = new Set<string>()
    for (const [bad, good] of pairs()) {
      const headers = { ...headersOf(good), ...headersOf(bad, bad.write('bad')) }
      const said = await identify(world.sources, asPod(headers))
      const what = `bad: ${bad.name}, good: ${good.name}: ${JSON.stringify(said)}`
      // Whether a request is behind a datasource comes before everything else.
      const decider = bad.header === 'bailiwick-datasource' ? bad : deciding([bad, good])
      if (decider === good) assert.ok(said.is === 'known' && said.identity.subject === good.who.subject, what)
      else assert.equal(said.is, 'refused', what)
      ends.add(said.is)
    }
    assert.deepEqual(ends, new Set(['known', 'refused']))
  })

  it('decides before every later one that is good, too, or the two are refused as a conflict', async () => {
    for (const [one, two] of pairs()) {
      const said = await identify(world.sources, asPod({ ...headersOf(two), ...headersOf(one) }))
      const what = `${one.name} and ${two.name}: ${JSON.stringify(said)}`
      const first = deciding([one, two])
      const has = (header: string): boolean => [one.header, two.header].includes(header)
      // Of one issuer, and of two people.
      const twoPeople =
        has('x-id-token') && has('authorization') && [one, two].every(({ who }) => who.issuer === world.idp.issuer)
      if (first === null || twoPeople) {
        assert.ok(said.is === 'refused' && said.refusal.code === 'malformed_credentials', what)
        continue
      }
      assert.ok(said.is === 'known' && said.identity.subject === first.who.subject, what)
      const actors = [
        ...([one, two].some(isBehind) && first.who.via !== 'datasource' ? ['datasource/grafana-prod'] : []),
        ...(has('l5d-client-id') ? ['mesh/linkerd-viz/metrics-api'] : []),
      ]
      assert.equal(said.identity.actor ?? '', actors.join(' '), what)
    }
  })

  it('is nobody’s by whatever bytes Node’s own parser lets through', async () => {
    const failures: unknown[] = []
    const server = createServer((request, response) => {
      const credentials = { ...credentialsOf(request), localAddress: podAddress }
      identify(world.sources, credentials)
        .catch((error: unknown) => {
          failures.push(error)
          return { is: 'thrown' } as const
        })
        .then((said) => response.setHeader('connection', 'close').end(`said ${said.is}.`))
        .catch(() => {})
    })
    const port = await listen(server, 0)
    async function ask(lines: Buffer): Promise<string> {
      const socket = connect(port, '127.0.0.1')
      let text = ''
      socket.on('data', (chunk) => (text += chunk.toString('latin1'))).on('error', () => {})
      socket.write(Buffer.concat([Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n'), lines, Buffer.from('\r\n\r\n')]))
      await once(socket, 'close')
      return text
    }
    const line = (way: Way, value: Uint8Array, name = way.header): Buffer =>
      Buffer.concat([Buffer.from(`${name}: `), value, Buffer.from('\r\n')])
    const bytes = fc.uint8Array({ maxLength: 300 })
    // What a header may hold by RFC 9110 §5.5, and the rest of the bytes above it.
    const allowed = bytes.map((all) =>
      all.map((byte) => (byte === 9 || (byte > 31 && byte !== 127) ? byte : 128 + (byte & 31))),
    )
    const long = fc.integer({ min: 1, max: maxTokenLength + 10 }).map((length) => new Uint8Array(length).fill(97))
    const heard: string[] = []
    try {
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...world.ways),
          fc.array(fc.oneof(bytes, allowed, allowed, long), { minLength: 1, maxLength: 2 }),
          fc.boolean(),
          async (way, values, written) => {
            const beside = Object.entries(way.beside).map(([name, value]) =>
              line(way, Buffer.from(String(value)), name),
            )
            const wrap = (value: Uint8Array): Buffer =>
              written ? Buffer.from(way.write(Buffer.from(value).toString('latin1')), 'latin1') : Buffer.from(value)
            const heardNow = await ask(Buffer.concat([...beside, ...values.map((value) => line(way, wrap(value)))]))
            heard.push(heardNow)
            assert.doesNotMatch(heardNow, /said (known|thrown)/)
          },
        ),
        { numRuns: 200 },
      )
      assert.ok(heard.some((text) => text.includes('said refused')))
      assert.ok(heard.some((text) => text.startsWith('HTTP/1.1 400')))
      const way = wayOf('a bearer token')
      assert.match(await ask(line(way, Buffer.from(way.write(way.credential)))), /said known/)
      assert.deepEqual(failures, [])
    } finally {
      await close(server)
    }
  })
})

/** What garbage can look like, from noise to nearly a credential. All of it holds the mark, from which it is known again. */
const shapes: readonly ((way: Way, mark: string, noise: string, issuer: string) => string)[] = [
  (_, mark, noise) => `${noise}${mark}${noise}`,
  (way, mark) => way.write(mark),
  (way, mark, noise) => way.write(`${mark}${noise}`),
  (way, mark, noise) => `${noise}${way.write(mark)}`,
  (way, mark) => way.write(`${mark}.${mark}.${mark}`),
  (way, mark) => way.write(`${mark}.${mark}.${mark}.${mark}.${mark}`),
  (way, mark, noise, issuer) => way.write(jwtOf({ alg: 'none' }, { iss: issuer, sub: mark, aud: audience, noise }, '')),
  (way, mark, noise, issuer) => way.write(jwtOf({ alg: 'RS256', kid: mark }, { iss: issuer, sub: mark, noise }, mark)),
  (way, mark, noise) => way.write(jwtOf({ alg: noise, typ: mark }, { iss: mark, [noise]: mark }, mark)),
  (way, mark) => `${way.write(way.credential)}, ${way.write(mark)}`,
  (way, mark) => `${way.write(mark)}, ${way.write(way.credential)}`,
  (way, mark) => `${mark}\r\n${way.header}: ${way.write(way.credential)}`,
  (way, mark) => `${way.write(mark)}\0`,
  (way, mark) => way.write(mark.repeat(Math.ceil(maxTokenLength / mark.length))),
  (way, mark) => way.write(mark.repeat(Math.ceil(maxTokenLength / mark.length) + 1)),
  (way, mark) => ' '.repeat(100_000) + way.write(mark) + '='.repeat(100_000),
]

const jwtOf = (header: object, claims: object, signature: string): string =>
  `${base64url.encode(JSON.stringify(header))}.${base64url.encode(JSON.stringify(claims))}.${signature}`
