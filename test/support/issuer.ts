import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignJWT, exportJWK, generateKeyPair } from 'jose'
import type { CryptoKey, JWK, JWTPayload } from 'jose'
import type { Credentials } from '../../src/identity/identity.ts'
import type { IssuerOptions } from '../../src/identity/issuer.ts'

/** A provider that a test can bend: its keys, its documents, its health. For the real one see `demo/parts/idp.ts`. */
export interface StubIssuer {
  readonly issuer: string
  /** How many times the JWKS was asked for. */
  readonly fetches: () => number
  /** What the JWKS endpoint answers from now on, and `after` what. */
  jwks: () => { readonly status: number; readonly body: string; readonly after?: Promise<unknown> }
  sign(claims?: JWTPayload, header?: { alg?: string; typ?: string; kid?: string }): Promise<string>
  /** Puts a new key in the place of the old one. */
  rotate(): Promise<void>
  readonly publicKey: () => JWK
  stop(): Promise<void>
}

export const audience = 'https://gateway.test'

/** An issuer's options as the configuration's defaults make them. */
export const issuerOptions = (issuer: string, others: Partial<IssuerOptions> = {}): IssuerOptions => ({
  issuer,
  audience: [audience],
  clientIds: [],
  algorithms: ['RS256', 'ES256'],
  acceptIdTokens: false,
  groupsClaim: 'groups',
  groupPrefix: '',
  maxAge: 86_400,
  clockTolerance: 5,
  ...others,
})

/** Credentials that consist of these headers; their names are in lower case. */
export const credentialsWith = (headers: Readonly<Record<string, string | readonly string[]>>): Credentials => ({
  localAddress: '127.0.0.1',
  header: (name) => [headers[name] ?? []].flat(),
})

/** Starts one on loopback. */
export async function startStubIssuer(): Promise<StubIssuer> {
  let generation = 0
  let key: CryptoKey
  let publicJwk: JWK
  let fetches = 0
  async function rotate(): Promise<void> {
    const pair = await generateKeyPair('RS256', { extractable: true })
    generation += 1
    key = pair.privateKey
    publicJwk = { ...(await exportJWK(pair.publicKey)), kid: `key-${generation}`, alg: 'RS256', use: 'sig' }
  }
  await rotate()
  const server = createServer((request, response) => {
    if (request.url === '/jwks') {
      fetches += 1
      const { status, body, after } = stub.jwks()
      const answer = (): void => void response.writeHead(status, { 'content-type': 'application/json' }).end(body)
      if (after === undefined) answer()
      else void after.then(answer)
      return
    }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ issuer: stub.issuer, jwks_uri: `${stub.issuer}/jwks` }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is one
  const { port } = server.address() as AddressInfo
  const stub: StubIssuer = {
    issuer: `http://127.0.0.1:${port}`,
    fetches: () => fetches,
    jwks: () => ({ status: 200, body: JSON.stringify({ keys: [publicJwk] }) }),
    publicKey: () => publicJwk,
    rotate,
    sign: (claims = {}, header = {}) => {
      const now = Math.floor(Date.now() / 1000)
      const all = {
        iss: stub.issuer,
        aud: audience,
        sub: 'alice',
        iat: now,
        exp: now + 300,
        groups: ['team-a'],
        ...claims,
      }
      return new SignJWT(all).setProtectedHeader({ alg: 'RS256', kid: `key-${generation}`, ...header }).sign(key)
    },
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return stub
}
