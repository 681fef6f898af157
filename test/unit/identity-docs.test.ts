// docs/identity.md: each block of settings loads, and does with tokens like the provider's what the page says.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { JWTPayload } from 'jose'
import { parse, stringify } from 'yaml'
import { loadConfig } from '../../src/config/config.ts'
import type { Config } from '../../src/config/config.ts'
import type { Identified, SourceName } from '../../src/identity/identity.ts'
import { openIssuer } from '../../src/identity/issuer.ts'
import type { IssuerOptions } from '../../src/identity/issuer.ts'
import { maxGroups, maxIntrospections, maxRemembered, maxSubjectLength } from '../../src/identity/limits.ts'
import { bearerSource } from '../../src/identity/sources/bearer.ts'
import { grafanaSource, openDatasource } from '../../src/identity/sources/grafana.ts'
import { openTokenVerifier } from '../../src/identity/token.ts'
import type { TokenUse } from '../../src/identity/token-kind.ts'
import { makeAuthority } from '../support/certificates.ts'
import { credentialsWith, startStubIssuer } from '../support/issuer.ts'
import type { StubIssuer } from '../support/issuer.ts'

const root = resolve(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/identity.md'), 'utf8')
const scratch = mkdtempSync(join(tmpdir(), 'bailiwick-identity-page-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

/** The secrets that the page's blocks take out of the environment. */
const environment = {
  CLIENT_SECRET: 'the client secret',
  INTROSPECTION_SECRET: 'another secret',
  GRAFANA_PROD_SECRET: 'a-secret-of-the-datasource',
  COOKIE_KEYS: randomBytes(32).toString('base64url'),
  CLUSTER_CA: makeAuthority('the cluster').cert,
  OWN_TOKEN: 'own-token',
}

interface Block {
  /** The section that it is in. */
  readonly section: string
  readonly info: string
  readonly text: string
}
const blocks: readonly Block[] = page.split(/^(?=##+ )/m).flatMap((part) =>
  [...part.matchAll(/^ *```(.*)\n([^]*?)^ *```$/gm)].map(([, info = '', text = '']) => ({
    section: /^##+ (.*)$/m.exec(part)?.[1] ?? '',
    ...{ info, text },
  })),
)
const sectionOf = (name: string): string =>
  page.split(/^(?=##+ )/m).find((part) => new RegExp(`^##+ ${name}\n`).test(part)) ?? assert.fail(name)
const blockOf = (section: string, info = 'yaml'): string => {
  const found = blocks.filter((block) => block.section === section && block.info === info)
  assert.equal(found.length, 1, `one block of ${info} in ${section}`)
  return found[0]?.text ?? ''
}

/** The configuration that a block is a part of; the rest of it is the least that there can be. */
function load(text: string, env: Readonly<Record<string, string>> = environment): Config {
  const file = join(scratch, 'bailiwick.yaml')
  const rest = {
    clusters: [{ name: 'east', prometheus: { url: 'http://prometheus' } }],
    policy: { model: 'model.conf', rules: ['policy.csv'] },
    audit: { directory: 'audit' },
  }
  writeFileSync(file, `${stringify(rest)}${text}`)
  const config = loadConfig(file, env)
  assert.ok(config.ok, JSON.stringify(config))
  return config.value
}

const providers = ['Keycloak', 'Dex', 'Okta', 'Entra ID', 'Google']
const settings = blocks.filter(({ info }) => info === 'yaml')

describe('docs/identity.md', () => {
  it('has settings for each way in and for each provider', () => {
    const sections = settings.map(({ section }) => section)
    const ways = ['Bearer tokens', 'Opaque tokens', 'Browser', 'Command line', 'Grafana', 'Kubernetes']
    assert.deepEqual(sections, [...ways, "Linkerd's mesh", ...providers])
  })
  for (const { section, text } of settings) {
    it(`${section}: the settings load, with secrets out of the environment`, () => {
      load(text)
      for (const [, name = ''] of text.matchAll(/\$\{(\w+)\}/g)) assert.ok(Object.hasOwn(environment, name), name)
    })
  }
  it('has every way of being known in its first table, by the name that the record has', () => {
    const table = page.split('\n\n').find((part) => part.startsWith('| way in |')) ?? ''
    const names = table
      .split('\n')
      .slice(2)
      .flatMap((row) => [...(row.split('|')[4] ?? '').matchAll(/`([^`]+)`/g)].map(([, name]) => name))
    const people = { bearer: true, basic: true, session: true, 'id-token': true, 'grafana-id': true } as const
    const all: Record<SourceName, true> = { ...people, datasource: true, mesh: true }
    assert.deepEqual(new Set(names), new Set(Object.keys(all)))
  })
  it('has every way in that the threat model has, and no other', () => {
    const security = readFileSync(join(root, 'SECURITY.md'), 'utf8')
    const [, section = ''] = security.split('## The ways in, and what remains\n')
    const rows = [...(section.split('\n## ')[0] ?? '').matchAll(/^\| ([^|]+) \|/gm)].map(([, name = '']) => name)
    const ways = [...page.matchAll(/^\| \[([^\]]+)\]\(#[\w-]+\) \|(?=.*\|.*\|.*\|.*\|)/gm)].map(([, name = '']) => name)
    assert.deepEqual(
      ways.filter((name) => !providers.includes(name)).map((name) => name.toLowerCase()),
      rows.slice(1, -1).map((name) => name.toLowerCase()),
    )
  })
  it('has a row for each provider in the table of each way that differs among them', () => {
    for (const way of ['Bearer tokens', 'Browser', 'Command line', 'Grafana']) {
      const rows = [...sectionOf(way).matchAll(/^\| \[([^\]]+)\]\(#/gm)].map(([, name]) => name)
      assert.deepEqual(rows, providers, way)
    }
  })
  it('leads to places that are there', () => {
    const slug = (title: string): string =>
      title
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-')
    for (const [, file = '', place = ''] of page.matchAll(/\]\(([\w./-]*)#([\w-]+)\)/g)) {
      const path = file === '' ? 'docs/identity.md' : join('docs', file)
      assert.ok(existsSync(join(root, path)), path)
      const titles = [...readFileSync(join(root, path), 'utf8').matchAll(/^##+ (.*)$/gm)].map(([, title = '']) => title)
      assert.ok(titles.map(slug).includes(place), `${file}#${place}`)
    }
  })
  it('says the limits that there are', () => {
    const number = (value: number): string => value.toLocaleString('en-US')
    assert.match(page, new RegExp(`Up to ${number(maxRemembered)} tokens\\s+and\\s+groups`))
    assert.match(page, new RegExp(`At most ${number(maxIntrospections)} tokens\\s+are\\s+asked\\s+about`))
    assert.match(page, new RegExp(`list\\s+of\\s+at\\s+most\\s+${number(maxGroups)} texts`))
    assert.match(page, new RegExp(`of\\s+at\\s+most\\s+${number(maxSubjectLength)} characters`))
  })
  it("shows Grafana's datasource and the gateway's as docs/grafana.md does", () => {
    const other = [...readFileSync(join(root, 'docs/grafana.md'), 'utf8').matchAll(/^```yaml\n([^]*?)^```$/gm)]
    const [gateway, grafana] = other.map(([, text = '']) => parse(text))
    const [first] = grafana.datasources
    const { datasources } = parse(blockOf('Grafana', 'yaml grafana'))
    assert.deepEqual(datasources, [first])
    const [{ name, grafanaId }] = gateway.identity.datasources
    const [own] = load(blockOf('Grafana')).datasources
    assert.equal(own?.name, name)
    assert.equal(own?.grafanaId?.issuer, grafanaId.issuer)
    assert.deepEqual(own?.grafanaId?.audience, grafanaId.audience)
    assert.equal(datasources[0].jsonData.httpHeaderName1, 'bailiwick-datasource')
  })
  it('gives linkerd-viz a URL of a cluster, and its token out of a Secret', () => {
    const { prometheusUrl, prometheusCredsSecret } = parse(blockOf('HTTP Basic', 'yaml linkerd-viz'))
    assert.match(prometheusUrl, /^http:\/\/[^@]+\/clusters\/east$/)
    assert.equal(typeof prometheusCredsSecret, 'string')
  })
})

describe('the providers of docs/identity.md', () => {
  const configOf = (provider: string): Config => load(blockOf(provider))

  for (const provider of providers) {
    it(`${provider}: one issuer for everything, and what to register is where the browser comes back to`, () => {
      const { issuers, login, cli } = configOf(provider)
      assert.equal(issuers.length, 1)
      assert.ok(login !== null)
      assert.equal(login.issuer, issuers[0])
      const text = sectionOf(provider)
      // Of Google, the table says it.
      if (provider !== 'Google') assert.ok(text.includes(login.callbackUrl), login.callbackUrl)
      assert.equal(cli === null, provider === 'Google')
      // Grafana's client is neither the gateway's nor the command line's.
      const [grafana, ...more] = login.issuer.clientIds
      assert.deepEqual(more, [])
      assert.equal(new Set([grafana, login.clientId, cli?.clientId]).size, 3)
      assert.ok(!login.issuer.audience.includes(grafana ?? ''), 'its ID tokens would be bearer tokens')
    })
    it(`${provider}: asks for what brings a refresh token, as the tables say`, () => {
      const { login, cli } = configOf(provider)
      const browser = login?.scopes.includes('offline_access') === true
      const row = sectionOf('Browser').match(new RegExp(`^\\| \\[${provider}\\].*$`, 'm'))?.[0] ?? ''
      assert.equal(browser, row.includes('offline_access'), row)
      assert.equal(cli?.scopes.includes('offline_access') ?? false, provider !== 'Google')
      const wanted = sectionOf('Command line').match(new RegExp(`^\\| \\[${provider}\\].*$`, 'm'))?.[0] ?? ''
      for (const scope of cli?.scopes ?? []) {
        if (['openid', 'profile', 'email'].includes(scope)) continue
        const general = scope.replace(/^api:\/\/.*\//, "api://<the API's client id>/")
        assert.ok(wanted.includes(`\`${general}\``), `${scope} in ${wanted}`)
      }
    })
  }

  it('Dex: its own configuration has the three clients of the gateway’s', () => {
    const { login, cli } = configOf('Dex')
    const { issuer, staticClients } = parse(blockOf('Dex', 'yaml dex'))
    const [own, device, grafana] = staticClients
    assert.equal(issuer, login?.issuer.issuer)
    assert.deepEqual([own.id, device.id, [grafana.id]], [login?.clientId, cli?.clientId, login?.issuer.clientIds])
    assert.deepEqual(own.redirectURIs, [login?.callbackUrl])
    assert.deepEqual(own.trustedPeers, [device.id])
    assert.deepEqual([device.public, device.redirectURIs], [true, ['/device/callback']])
    assert.ok(cli?.scopes.includes(`audience:server:client_id:${own.id}`))
    assert.deepEqual(login?.issuer.audience, [own.id])
  })

  describe('with tokens like theirs', () => {
    let stub: StubIssuer
    const stops: (() => void)[] = []
    before(async () => {
      stub = await startStubIssuer()
    })
    after(async () => {
      for (const stop of stops) stop()
      await stub.stop()
    })

    const open = (provider: string, others: Partial<IssuerOptions> = {}) => {
      const [issuer] = configOf(provider).issuers
      assert.ok(issuer !== undefined)
      const keys = openIssuer({ ...issuer, issuer: stub.issuer, ...others }, Date.now)
      stops.push(() => keys.stop())
      return openTokenVerifier({ issuers: [keys], clock: Date.now })
    }
    /** What is said of a token of these claims: the groups of who it is, or why not. */
    async function ask(
      provider: string,
      claims: JWTPayload,
      others: Partial<IssuerOptions> = {},
      use: TokenUse = 'access-token',
    ): Promise<readonly string[] | string> {
      const token = await stub.sign({ groups: undefined, ...claims }, { typ: 'JWT' })
      const said: Identified = await open(provider, others).verify(token, { use, via: 'bearer' })
      if (said.is === 'known') return said.identity.groups
      return said.is === 'refused' ? said.refusal.message : said.is
    }
    const another = /^the token is for another audience/
    const without = (claim: string): JWTPayload => ({ [claim]: undefined })
    const isIdToken = 'this is an ID token: send the access token'

    it('Keycloak: an audience mapper, roles by a pointer, and sub from a scope', async () => {
      const roles = { realm_access: { roles: ['team-emojivoto', 'offline_access'] } }
      const token = { typ: 'Bearer', azp: 'bailiwick-cli', aud: ['bailiwick', 'account'], ...roles }
      assert.deepEqual(await ask('Keycloak', token), ['team-emojivoto', 'offline_access'])
      assert.match(String(await ask('Keycloak', { ...token, aud: 'account' })), another)
      assert.match(sectionOf('Keycloak'), /401 `the token is for another audience`/)
      assert.match(String(await ask('Keycloak', { ...token, ...without('sub') })), /^the token's claim sub is missing/)
      // Before version 25 access tokens repeat the nonce; the claim typ says what they are.
      assert.deepEqual(await ask('Keycloak', { ...token, nonce: 'n' }), ['team-emojivoto', 'offline_access'])
      assert.equal(await ask('Keycloak', { ...token, typ: 'ID', nonce: 'n' }), isIdToken)
      const idToken = { typ: 'ID', aud: 'grafana', azp: 'grafana', nonce: 'n', ...roles }
      assert.deepEqual(await ask('Keycloak', idToken, {}, 'id-token'), ['team-emojivoto', 'offline_access'])
      // As they are at first: without roles.
      assert.deepEqual(await ask('Keycloak', { ...idToken, realm_access: undefined }, {}, 'id-token'), [])
      assert.match(String(await ask('Keycloak', token, { tokenTypes: ['at+jwt'] })), /header typ is not one of at\+jwt/)
    })
    it('Dex: access tokens that look like ID tokens', async () => {
      const token = { aud: ['bailiwick', 'bailiwick-cli'], azp: 'bailiwick-cli', at_hash: 'x', groups: ['team-a'] }
      assert.deepEqual(await ask('Dex', token), ['team-a'])
      assert.equal(await ask('Dex', token, { acceptIdTokens: false }), isIdToken)
      assert.match(String(await ask('Dex', { ...token, aud: 'bailiwick-cli' })), another)
      assert.match(String(await ask('Dex', { ...token, aud: 'grafana' })), another)
      assert.deepEqual(await ask('Dex', { ...token, aud: 'grafana', azp: undefined }, {}, 'id-token'), ['team-a'])
    })
    it('Okta: access and ID tokens of one person must have one sub behind a datasource', async () => {
      const audience = 'https://metrics.example.org'
      const [login, id] = ['alice@example.com', '00u1alice5d7']
      const access = { aud: audience, sub: login, cid: '0oa1grafana5d7', uid: id, groups: ['team-a'] }
      assert.deepEqual(await ask('Okta', access), ['team-a'])
      const datasource = openDatasource({ name: 'g', secret: environment.GRAFANA_PROD_SECRET }, Date.now)
      const source = grafanaSource({ datasources: [datasource], verifier: open('Okta') })
      const through = async (sub: string): Promise<Identified> =>
        source.identify(
          credentialsWith({
            'bailiwick-datasource': environment.GRAFANA_PROD_SECRET,
            'x-id-token': await stub.sign({ aud: '0oa1grafana5d7', sub: id, nonce: 'n' }),
            authorization: `Bearer ${await stub.sign({ ...access, sub })}`,
          }),
        )
      assert.equal((await through(id)).is, 'known')
      const said = await through(login)
      assert.ok(said.is === 'refused')
      assert.match(said.refusal.message, /^X-Id-Token and Authorization are of two different people/)
      assert.match(sectionOf('Okta'), /`X-Id-Token and Authorization are of two different people`/)
    })
    it('Entra ID: roles, groups, and groups that are too many', async () => {
      const [own = ''] = configOf('Entra ID').issuers[0]?.audience ?? []
      const token = { aud: own, ver: '2.0', scp: 'query', roles: ['team-a'] }
      assert.deepEqual(await ask('Entra ID', token), ['team-a'])
      assert.match(String(await ask('Entra ID', { ...token, aud: `api://${own}` })), another)
      const groups = { groupsClaim: 'groups' }
      const overage = { ...token, _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint: 'x' } } }
      assert.deepEqual(await ask('Entra ID', { ...token, groups: ['0b1c'] }, groups), ['0b1c'])
      assert.match(String(await ask('Entra ID', overage, groups)), /groups assigned to the application/)
      assert.deepEqual(await ask('Entra ID', overage), ['team-a'], 'roles know no overage')
      const { login, cli } = configOf('Entra ID')
      assert.ok(cli?.scopes.includes(`api://${login?.clientId}/query`))
      assert.deepEqual(login?.issuer.audience, [login?.clientId])
    })
    it('Google: service accounts by an audience of ours, people by no token, nobody with a group', async () => {
      const audience = 'https://metrics.example.org'
      const account = { aud: audience, azp: '1107', sub: '1107', email: 'job@project.iam.gserviceaccount.com' }
      assert.deepEqual(await ask('Google', account), [])
      const person = { aud: '123456789012-bailiwick.apps.googleusercontent.com', sub: '110248', at_hash: 'x' }
      assert.match(String(await ask('Google', person)), another)
      const source = bearerSource(open('Google'))
      const said = await source.identify(credentialsWith({ authorization: 'Bearer ya29.a0AfB_by' }))
      assert.equal(said.is, 'refused')
    })
  })
})
