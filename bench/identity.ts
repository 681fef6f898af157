// What it takes to know who asks: a token seen for the first time and one that is remembered, beside what verifying it
// takes by itself (jose's jwtVerify with the key at hand). Run: node bench/identity.ts
//
// The steps take turns, round by round, so that other work on the machine meets all of them; the least and the median of the
// rounds are shown. Compare steps of one run only.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { SignJWT, createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose'
import { identify } from '../src/identity/identity.ts'
import type { Credentials, IdentitySource } from '../src/identity/identity.ts'
import type { IssuerKeys } from '../src/identity/issuer.ts'
import { maxRemembered } from '../src/identity/limits.ts'
import { hashOf, rememberTokens, shortHash } from '../src/identity/remembered.ts'
import { bearerSource } from '../src/identity/sources/bearer.ts'
import { grafanaSource, openDatasource } from '../src/identity/sources/grafana.ts'
import { openTokenVerifier } from '../src/identity/token.ts'

const issuer = 'https://id.example.org/realms/staff'
const audience = 'https://metrics.example.org'
const groups = ['team-emojivoto', 'team-booksapp', 'on-call', 'staff', 'everybody']
const people = 100
const rounds = 60
const warmUp = 20

const [rsa, ec] = [
  await generateKeyPair('RS256', { extractable: true }),
  await generateKeyPair('ES256', { extractable: true }),
]
const jwks = {
  keys: [
    { ...(await exportJWK(rsa.publicKey)), kid: 'rsa', alg: 'RS256', use: 'sig' },
    { ...(await exportJWK(ec.publicKey)), kid: 'ec', alg: 'ES256', use: 'sig' },
  ],
}
const find = createLocalJWKSet(jwks)
/** An issuer whose keys are at hand: what is measured is the gateway. */
const keys: IssuerKeys = {
  options: {
    ...{ issuer, audience: [audience], clientIds: [], algorithms: ['RS256', 'ES256'], acceptIdTokens: false },
    ...{ groupsClaim: 'groups', groupPrefix: 'staff:', maxAge: 86_400, clockTolerance: 30 },
  },
  keys: async () => ({ find, version: 1 }),
  refresh: async () => false,
  version: () => 1,
  state: () => ({ issuer, keyAge: 0, lastFailure: null }),
  stop: () => {},
}

async function tokensOf(alg: 'RS256' | 'ES256'): Promise<readonly string[]> {
  const { privateKey } = alg === 'RS256' ? rsa : ec
  const kid = alg === 'RS256' ? 'rsa' : 'ec'
  return Promise.all(
    Array.from({ length: people }, (_, at) =>
      new SignJWT({ groups, email: `person-${at}@example.org`, name: `Person ${at}`, azp: 'grafana', scope: 'openid' })
        .setProtectedHeader({ alg, typ: 'at+jwt', kid })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(`f81d4fae-7dec-11d0-a765-00a0c91e${at}`)
        .setIssuedAt()
        .setExpirationTime('1h')
        .setJti(`jti-${at}`)
        .sign(privateKey),
    ),
  )
}
const tokens = { RS256: await tokensOf('RS256'), ES256: await tokensOf('ES256') }

const credentials = (authorization: string): Credentials => ({
  localAddress: '10.0.0.7',
  header: (name) => (name === 'authorization' ? [authorization] : []),
})
const bearer = (all: readonly string[]): readonly Credentials[] => all.map((token) => credentials(`Bearer ${token}`))
const basic = (all: readonly string[]): readonly Credentials[] =>
  all.map((token) => credentials(`Basic ${Buffer.from(`token:${token}`).toString('base64')}`))

/** The ways in the gateway's order, with nothing remembered yet. */
function freshSources(): readonly IdentitySource[] {
  const verifier = openTokenVerifier({ issuers: [keys], clock: Date.now })
  const datasource = openDatasource({ name: 'grafana', secret: 'a-secret-of-the-datasource' }, Date.now)
  return [grafanaSource({ datasources: [datasource], verifier }), bearerSource(verifier)]
}
const warm = freshSources()

async function known(sources: readonly IdentitySource[], all: readonly Credentials[]): Promise<void> {
  for (const one of all) {
    const said = await identify(sources, one)
    if (said.is !== 'known') throw new Error(JSON.stringify(said))
  }
}
const verifyOptions = { issuer, audience, algorithms: ['RS256', 'ES256'], requiredClaims: ['exp', 'iat', 'sub'] }
async function bare(all: readonly string[]): Promise<void> {
  for (const token of all) await jwtVerify(token, find, verifyOptions)
}

const sent = { rs: bearer(tokens.RS256), es: bearer(tokens.ES256), basic: basic(tokens.RS256) }
const steps: Readonly<Record<string, () => Promise<void>>> = {
  'jwtVerify, RS256': () => bare(tokens.RS256),
  'a new token, RS256': () => known(freshSources(), sent.rs),
  'a known token, RS256': () => known(warm, sent.rs),
  'a known token as a password': () => known(warm, sent.basic),
  'jwtVerify, ES256': () => bare(tokens.ES256),
  'a new token, ES256': () => known(freshSources(), sent.es),
  'a known token, ES256': () => known(warm, sent.es),
}

const times = new Map(Object.keys(steps).map((name): [string, number[]] => [name, []]))
for (let round = 0; round < warmUp + rounds; round += 1) {
  for (const [name, step] of Object.entries(steps)) {
    const began = performance.now()
    await step()
    const microseconds = ((performance.now() - began) * 1000) / people
    if (round >= warmUp) times.get(name)?.push(microseconds)
  }
}
const at = (list: readonly number[], share: number): number =>
  list.toSorted((a, b) => a - b)[Math.floor(share * (list.length - 1))] ?? 0
const medianOf = (name: string): number => at(times.get(name) ?? [], 0.5)
const rounded = (value: number, digits = 1): number => Number(value.toFixed(digits))

const length = tokens.RS256[0]?.length
console.log(`${people} people, tokens of ${length} characters (RS256), ${groups.length} groups; µs for each request`)
console.table(
  Object.fromEntries(
    [...times].map(([name, list]) => {
      const unit = medianOf(name.includes('ES256') ? 'jwtVerify, ES256' : 'jwtVerify, RS256')
      const median = at(list, 0.5)
      return [name, { least: rounded(at(list, 0)), median: rounded(median), 'of jwtVerify': rounded(median / unit, 3) }]
    }),
  ),
)

// What the memory of tokens takes when it is full, and stays at.
setFlagsFromString('--expose-gc')
const collect: unknown = runInNewContext('gc')
async function heap(): Promise<number> {
  // What was let go of in this turn is garbage in the next one only.
  await nextTurn()
  if (typeof collect === 'function') collect()
  return process.memoryUsage().heapUsed / 1e6
}
/** Megabytes that the memory takes with so many people of so many groups. */
async function filled(count: number, groupsOfEach: number): Promise<number> {
  const before = await heap()
  const memory = rememberTokens(Date.now)
  for (let person = 0; person < count; person += 1) {
    const hash = hashOf(`token ${person}`)
    memory.keep(`access-token ${hash}`, {
      identity: {
        ...{ issuer, subject: `subject ${person}`, name: `person-${person}@example.org`, via: 'bearer' },
        // Strings of this identity's own, as out of a token.
        groups: Array.from({ length: groupsOfEach }, (_, group) => Buffer.from(`staff:team-${group}`).toString()),
        ...{ credential: shortHash(hash), expires: 2_000_000_000 },
      },
      until: Number.POSITIVE_INFINITY,
      valid: () => true,
    })
  }
  const taken = (await heap()) - before
  // Else it could be collected before it was measured.
  if (memory.find('none') !== null) throw new Error('nothing was kept under this')
  return taken
}
console.log(`what ${maxRemembered} of weight take: one for each token, and one for each of its groups`)
for (const groupsOfEach of [0, 5, 50]) {
  const fits = Math.floor(maxRemembered / (1 + groupsOfEach))
  const [full, more] = [await filled(fits, groupsOfEach), await filled(2 * fits, groupsOfEach)]
  console.log(
    `${fits} tokens of ${groupsOfEach} groups: ${rounded(full, 0)} MB; after twice as many ${rounded(more, 0)} MB`,
  )
}
