import { createHash, timingSafeEqual } from 'node:crypto'
import { decodeJwt } from 'jose'
import type { JWTPayload } from 'jose'
import { refused, services } from '../identity.ts'
import type { Credentials, Identified, Identity, IdentitySource } from '../identity.ts'
import { openIssuer } from '../issuer.ts'
import type { IssuerKeys, IssuerOptions } from '../issuer.ts'
import { openTokenVerifier } from '../token.ts'
import type { TokenVerifier } from '../token.ts'
import { bearerSource } from './bearer.ts'

/** A datasource of Grafana that the gateway knows. */
export interface DatasourceOptions {
  readonly name: string
  /** What Grafana sends in the header `bailiwick-datasource`; only whoever runs the datasource can read it there. */
  readonly secret: string
  /** How `X-Grafana-Id` is checked; where absent, somebody who is named in that header alone is refused. */
  readonly grafanaId?: GrafanaIdOptions
}

/** The Grafana that signs `X-Grafana-Id`. */
export interface GrafanaIdOptions {
  /** Grafana's root URL, exactly as in `iss`. */
  readonly issuer: string
  readonly keysUrl: string
  /** Accepted organisations, such as `org:1`. */
  readonly audience: readonly string[]
  /** Seconds. */
  readonly clockTolerance: number
}

/** A datasource with what it takes to recognise it and the people behind it. */
export interface Datasource {
  /** The keys for `X-Grafana-Id`; null where that header is not checked. */
  readonly keys: IssuerKeys | null
  /** SHA-256 of the secret, so that comparing takes the same time for every secret. */
  readonly hash: Buffer
  /** Who asks where nobody is behind a request: an alert rule, for example. It has no rights until it is granted some. */
  readonly service: Identity
  readonly verifier: TokenVerifier | null
}

/** Opens a datasource: from now on, its Grafana's keys are kept fresh. */
export function openDatasource({ name, secret, grafanaId }: DatasourceOptions, clock: () => number): Datasource {
  const subject = `datasource/${name}`
  const keys = grafanaId === undefined ? null : openGrafanaKeys(grafanaId, clock)
  return {
    keys,
    hash: hashOf(secret),
    service: { issuer: services, subject, name: subject, groups: [], via: 'datasource' },
    // A verifier of its own: as a bearer token, what Grafana signs must stay worthless.
    verifier: keys && openTokenVerifier({ issuers: [keys], clock }),
  }
}

/** Twice as long as Grafana itself lets such a token live, in seconds. */
const maxAge = 1_200

function openGrafanaKeys({ keysUrl, ...grafana }: GrafanaIdOptions, clock: () => number): IssuerKeys {
  const options: IssuerOptions = {
    ...grafana,
    clientIds: [],
    algorithms: ['ES256'],
    tokenTypes: ['jwt'],
    acceptIdTokens: false,
    groupsClaim: 'groups',
    groupPrefix: '',
    maxAge,
    keys: { url: keysUrl },
  }
  const keys = openIssuer(options, clock)
  const state = (): ReturnType<IssuerKeys['state']> => {
    const { lastFailure, ...rest } = keys.state()
    const cloud = lastFailure?.includes('no JSON Web Key Set') === true ? ` ${grafanaCloud}` : ''
    return { ...rest, lastFailure: lastFailure && `${lastFailure}${cloud}` }
  }
  return { ...keys, state }
}

const grafanaCloud =
  'Grafana Cloud answers {"keys":null} there because it signs elsewhere: forward OAuth identity instead'

/** What the source is made of. */
export interface GrafanaParts {
  readonly datasources: readonly Datasource[]
  /** For what Grafana forwards of the identity provider's: ID tokens and access tokens. */
  readonly verifier: TokenVerifier
}

/** The header that proves the hop. Grafana puts it into every request of the datasource, in place of a user's own. */
const hopHeader = 'bailiwick-datasource'

/**
 * Requests that come through a datasource of Grafana. The datasource's secret proves the hop; then a person decides
 * access wherever one is present, in this order: `X-Id-Token`, `X-Grafana-Id`, `Authorization`. The first that is there
 * must be good. Only where none is there does the datasource itself ask. Without the secret, the first two headers
 * mean nothing: whoever owns another datasource receives them too.
 *
 * `Authorization` comes last because it may hold the datasource's own credential: basic authentication and custom
 * headers beat the person's token in Grafana's newer, external datasources.
 */
export function grafanaSource({ datasources, verifier }: GrafanaParts): IdentitySource {
  return {
    name: 'datasource',
    async identify(credentials) {
      const sent = credentials.header(hopHeader)
      const [secret] = sent
      if (secret === undefined) return { is: 'absent' }
      if (sent.length > 1) return repeated(hopHeader)
      const datasource = findDatasource(datasources, secret)
      if (datasource === null) {
        const where = 'compare the custom header in Grafana with identity.datasources'
        return refused('invalid_token', `the secret in ${hopHeader} is no datasource's: ${where}`)
      }
      const { service } = datasource
      const said = await findPerson(datasource, credentials, verifier)
      if (said.is === 'absent') return { is: 'known', identity: service }
      return said.is === 'known' ? { is: 'known', identity: { ...said.identity, actor: service.subject } } : said
    },
  }
}

/** Looks at every datasource, so that the time says nothing about which it was. */
function findDatasource(datasources: readonly Datasource[], secret: string): Datasource | null {
  const hash = hashOf(secret)
  let found: Datasource | null = null
  for (const datasource of datasources) if (timingSafeEqual(hash, datasource.hash)) found = datasource
  return found
}

const hashOf = (secret: string): Buffer => createHash('sha256').update(secret).digest()

/** Who is behind the request: *absent* where nobody is. */
async function findPerson(
  { verifier: grafana }: Datasource,
  credentials: Credentials,
  verifier: TokenVerifier,
): Promise<Identified> {
  for (const name of ['X-Id-Token', 'X-Grafana-Id', 'Authorization']) {
    if (credentials.header(name.toLowerCase()).length > 1) return repeated(name)
  }
  const [idToken] = credentials.header('x-id-token')
  if (idToken !== undefined) return byIdToken(idToken, credentials, verifier)
  const [grafanaId] = credentials.header('x-grafana-id')
  if (grafanaId !== undefined) return byGrafanaId(grafanaId, grafana)
  const said = await bearerSource(verifier).identify(credentials)
  return explained('Authorization', said, 'a datasource needs none of its own, its secret is enough')
}

/** The person's ID token, which Grafana got when they signed in; sent with "Forward OAuth Identity". */
async function byIdToken(token: string, credentials: Credentials, verifier: TokenVerifier): Promise<Identified> {
  if (!isOneToken(token)) return notOneToken('X-Id-Token')
  const said = await verifier.verify(token, { use: 'id-token', via: 'id-token' })
  if (said.is !== 'known') {
    return explained('X-Id-Token', said, "Grafana's issuer and client id must be among identity.issuers and clientIds")
  }
  if (!(await isContradicted(said.identity, token, credentials, verifier))) return said
  const remedy = "remove the datasource's own Authorization in Grafana (basic authentication, custom header)"
  return refused('malformed_credentials', `X-Id-Token and Authorization are of two different people: ${remedy}`)
}

/**
 * Does `Authorization` hold a good token of the same issuer for somebody else? Anything that is not good there may be
 * an access token for another audience, or the datasource's own credential for somebody on the way: it says nothing.
 */
async function isContradicted(
  { issuer, subject }: Identity,
  idToken: string,
  credentials: Credentials,
  verifier: TokenVerifier,
): Promise<boolean> {
  let claims: JWTPayload = {}
  const source = bearerSource({
    async verify(token, place) {
      claims = claimsOf(token)
      // Any other token, an opaque one above all, would cost a question and could not contradict.
      return claims.iss === issuer ? verifier.verify(token, place) : refused('invalid_token', 'of another issuer')
    },
  })
  const said = await source.identify(credentials)
  if (said.is !== 'known' || said.identity.subject === subject) return false
  // Entra ID's `sub` differs from client to client; its `oid` does not.
  return typeof claims['oid'] !== 'string' || claims['oid'] !== claimsOf(idToken)['oid']
}

/**
 * Grafana's own word for who is signed in. Only people and service accounts are somebody: a rule for "anonymous" or
 * "render" would be a right for everybody under another name. Grafana's groups (teams) are not in the token.
 */
async function byGrafanaId(token: string, verifier: TokenVerifier | null): Promise<Identified> {
  if (!isOneToken(token)) return notOneToken('X-Grafana-Id')
  if (verifier === null) {
    const remedy = 'set grafanaId for this datasource, or switch on "Forward OAuth Identity" in Grafana'
    return refused('invalid_token', `X-Grafana-Id names a person, and this gateway cannot check it: ${remedy}`)
  }
  const said = await verifier.verify(token, { use: 'access-token', via: 'grafana-id' })
  if (said.is !== 'known') {
    return explained('X-Grafana-Id', said, "Grafana's root_url and organisation must be those of grafanaId")
  }
  const { identity } = said
  const claims = claimsOf(token)
  const [, type] = /^(user|service-account):./s.exec(identity.subject) ?? []
  if (type === undefined || ('type' in claims && claims['type'] !== type)) {
    return refused('invalid_token', 'X-Grafana-Id stands for nobody in particular: sign in to Grafana')
  }
  const names = [claims['email'], claims['username'], claims['name'], identity.subject]
  const name = names.find((one): one is string => typeof one === 'string' && one !== '') ?? identity.subject
  return { is: 'known', identity: { ...identity, name, groups: [] } }
}

/** Two headers that somebody on the way joined (`a, b`) are no token either. */
const isOneToken = (text: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)

const notOneToken = (name: string): Identified =>
  refused('malformed_credentials', `${name} must be one signed JWT and nothing else`)

const repeated = (name: string): Identified =>
  refused('malformed_credentials', `more than one ${name} header was sent: send exactly one`)

/** Names the header in a refusal, and what helps in Grafana. */
function explained(name: string, said: Identified, remedy: string): Identified {
  if (said.is !== 'refused' || said.refusal.code === 'issuer_unavailable') return said
  const { code, message } = said.refusal
  const renew = name === 'X-Grafana-Id' ? "compare Grafana's clock with this one" : signInAgain
  return refused(code, `${name}: ${message}; ${message.startsWith('the token expired') ? renew : remedy}`)
}

const signInAgain = 'in Grafana, set use_refresh_token and the scope offline_access for the sign-in, or sign in again'

/** The claims of a token, not verified here; none where it is no JWT. */
function claimsOf(token: string): JWTPayload {
  try {
    return decodeJwt(token)
  } catch {
    return {}
  }
}
