import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import {
  type ClientMetadata,
  type Configuration,
  errors,
  type JWK,
  type KoaContextWithOIDC,
  Provider,
  type ResourceServer,
} from 'oidc-provider'
import { tokenByCodeFlow } from './code-flow.ts'
import { devicePages } from './device-page.ts'
import { loginPage, logoutPage } from './login-page.ts'
import { close, listen, loopback } from './loopback.ts'
import { memoryStore } from './idp-store.ts'
import type { Person } from './people.ts'

/** What makes one access token differ from the usual one. */
export interface TokenOptions {
  /** Seconds; an hour when absent. */
  readonly expiresIn?: number
  /** Another resource than the gateway; an absolute URI. */
  readonly audience?: string
  /** RS256 when absent. */
  readonly algorithm?: 'RS256' | 'ES256'
  /** A reference that only this provider can read (RFC 7662), in place of a signed token. */
  readonly opaque?: boolean
}

/** A provider that answers. */
export interface RunningIdp {
  readonly issuer: string
  readonly port: number
  /** Where its OpenID Connect metadata is. */
  readonly discoveryUrl: string
  /** A new access token (RFC 9068) for a person, out of a real login over HTTP. */
  token(personId: string, options?: TokenOptions): Promise<string>
  /** A new ID token for a person: `aud` is `script`, the client that they logged in to. */
  idToken(personId: string): Promise<string>
  stop(): Promise<void>
}

/** What `startIdp` needs. */
export interface IdpStart {
  /** Any free one when absent. */
  readonly port?: number
  readonly people: readonly Person[]
  /** The gateway's identifier as a resource (RFC 8707), an absolute URI: what `aud` will say. */
  readonly audience: string
  /** Clients that log people in with a browser, as OpenID Connect registration describes them. */
  readonly clients?: readonly ClientMetadata[]
  /** How long such a client may rely on a login before it must refresh, in seconds; an hour when absent. */
  readonly loginLifetime?: number
}

/** A gateway on this machine as such a client: with refresh tokens, and told of logouts. */
export const gatewayClient = (url: string): ClientMetadata => ({
  client_id: 'gateway',
  redirect_uris: [`${url}/bailiwick/callback`],
  post_logout_redirect_uris: [`${url}/bailiwick/logged-out`],
  backchannel_logout_uri: `${url}/bailiwick/back-channel-logout`,
  backchannel_logout_session_required: true,
  grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'none',
})

const hour = 3600

// A public client, as a script on someone's own machine is one. Nobody listens on its redirect URI: the
// script reads the code from the Location header.
const callback = `http://${loopback}/callback`
/** The public client of the gateway's own command line. */
export const cliClientId = 'bailiwick-cli'
const cliClient: ClientMetadata = {
  client_id: cliClientId,
  grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
  response_types: [],
  redirect_uris: [],
  token_endpoint_auth_method: 'none',
}
const scriptClient = { client_id: 'script', redirect_uris: [callback], token_endpoint_auth_method: 'none' } as const

/**
 * Starts a real OpenID Connect provider on the loopback address: discovery, JWKS, authorization code with PKCE, signed
 * access tokens. Keys are new at every start, and the login asks for no password, so it is for demos and tests only.
 * @throws Error when the port is taken or the audience is not an absolute URI
 */
export async function startIdp(start: IdpStart): Promise<RunningIdp> {
  if (!URL.canParse(start.audience)) {
    throw new Error(`the audience "${start.audience}" must be an absolute URI such as https://bailiwick.example`)
  }
  const server = createServer()
  const port = await listen(server, start.port ?? 0)
  const issuer = `http://${loopback}:${port}`
  const provider = new Provider(issuer, configuration(start))
  const protocol = provider.callback()
  server.on('request', (request, response) => {
    const visit = request.url?.startsWith('/login/') === true ? login : protocol
    void visit(request, response)
  })

  async function login(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await logIn(provider, start.people, request, response)
    } catch (error) {
      const message = error instanceof errors.OIDCProviderError ? (error.error_description ?? error.message) : 'failed'
      response.writeHead(400, { 'content-type': 'text/plain' }).end(`This login cannot go on: ${message}\n`)
    }
  }

  const { client_id: clientId } = scriptClient
  const script = { issuer, clientId, redirectUri: callback, resource: start.audience }
  const idToken: RunningIdp['idToken'] = (person) =>
    tokenByCodeFlow({ ...script, person, wanted: 'id_token', tokenParameters: {} })
  const token: RunningIdp['token'] = (person, options = {}) =>
    tokenByCodeFlow({
      ...script,
      person,
      ...(options.audience === undefined ? {} : { resource: options.audience }),
      tokenParameters: {
        ...(options.expiresIn === undefined ? {} : { expires_in: String(options.expiresIn) }),
        ...(options.algorithm === undefined ? {} : { signing_alg: options.algorithm }),
        ...(options.opaque === true ? { token_format: 'opaque' } : {}),
      },
    })
  const discoveryUrl = `${issuer}/.well-known/openid-configuration`
  return { issuer, port, discoveryUrl, token, idToken, stop: () => close(server) }
}

/** The login page, and the press of one of its buttons. */
async function logIn(
  provider: Provider,
  people: readonly Person[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const interaction = await provider.interactionDetails(request, response)
  if (request.method !== 'POST') {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
    response.end(loginPage(people, `/login/${interaction.uid}`))
    return
  }
  const chosen = new URLSearchParams(await bodyOf(request)).get('as')
  const person = people.find((one) => one.id === chosen)
  if (person === undefined) {
    const known = people.map((one) => one.id).join(', ')
    response.writeHead(400, { 'content-type': 'text/plain' }).end(`Nobody is called ${chosen}; there are ${known}.\n`)
    return
  }
  await provider.interactionFinished(request, response, { login: { accountId: person.id } })
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request.setEncoding('utf8')) {
    body += String(chunk)
    if (body.length > 4096) throw new errors.InvalidRequest('the form is too large')
  }
  return body
}

function configuration(start: IdpStart): Configuration {
  const byId = new Map(start.people.map((person) => [person.id, person]))
  const claimsOf = ({ name, email, groups }: Person) => ({ name, email, email_verified: true, groups: [...groups] })
  return {
    adapter: memoryStore(),
    jwks: { keys: [signingKey('RS256'), signingKey('ES256')] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    clients: [scriptClient, cliClient, ...(start.clients ?? [])],
    scopes: ['openid', 'profile', 'email'],
    claims: { openid: ['sub'], profile: ['name', 'groups'], email: ['email', 'email_verified'] },
    // A gateway that logs people in reads their groups from the ID token.
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    interactions: { url: (_context, { uid }) => `/login/${uid}` },
    findAccount: (_context, id) => {
      const person = byId.get(id)
      return person && { accountId: id, claims: () => ({ sub: id, ...claimsOf(person) }) }
    },
    extraTokenClaims: (_context, token) => {
      const person = 'accountId' in token && token.accountId !== undefined ? byId.get(token.accountId) : undefined
      return person && claimsOf(person)
    },
    loadExistingGrant: grantWhatIsAsked,
    rotateRefreshToken: true,
    // The library's own refuses to call loopback addresses, which is right everywhere but in a demo that lives on them.
    fetch: (url, { dispatcher: _guard, ...options } = {}) => fetch(url, options),
    ttl: {
      AccessToken: (_context, token) => token.resourceServer?.accessTokenTTL ?? start.loginLifetime ?? hour,
      IdToken: hour,
      Interaction: hour,
      DeviceCode: hour / 6,
      RefreshToken: 12 * hour,
      Session: 12 * hour,
      Grant: 12 * hour,
    },
    issueRefreshToken: async (_context, client) => client.grantTypeAllowed('refresh_token'),
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (context, form) => {
          context.body = logoutPage(form)
        },
      },
      deviceFlow: devicePages,
      revocation: {
        enabled: true,
        allowedPolicy: async (_context, client, token) => token.clientId === client.clientId,
      },
      introspection: { enabled: true, allowedPolicy: async () => true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: tokensFor,
      },
    },
  }
}

/** Signed tokens for whatever resource is asked for: a test needs one that is not for the gateway. */
function tokensFor(context: KoaContextWithOIDC, resource: string): ResourceServer {
  return {
    scope: '',
    audience: resource,
    accessTokenFormat: context.oidc.body?.['token_format'] === 'opaque' ? 'opaque' : 'jwt',
    accessTokenTTL: lifetimeAsked(context),
    jwt: { sign: { alg: context.oidc.body?.['signing_alg'] === 'ES256' ? 'ES256' : 'RS256' } },
  }
}

/** A provider for the public would ask the person for consent; here every client is the demo's own. */
async function grantWhatIsAsked(context: KoaContextWithOIDC) {
  const { client, session, provider, params, resourceServers } = context.oidc
  const accountId = session?.accountId
  if (client === undefined || accountId === undefined) return undefined
  const grant = new provider.Grant({ clientId: client.clientId, accountId })
  if (typeof params?.['scope'] === 'string') grant.addOIDCScope(params['scope'])
  for (const resource of Object.keys(resourceServers ?? {})) grant.addResourceScope(resource, '')
  await grant.save()
  return grant
}

/** The one thing no real provider would let a client choose: tests need tokens that are about to expire. */
function lifetimeAsked(context: KoaContextWithOIDC): number {
  const asked = Number(context.oidc.body?.['expires_in'] ?? hour)
  if (Number.isSafeInteger(asked) && asked > 0) return asked
  throw new errors.InvalidRequest('expires_in must be a positive whole number of seconds')
}

function signingKey(alg: 'RS256' | 'ES256'): JWK {
  const { privateKey } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: `${alg}-${randomBytes(6).toString('hex')}` }
}
