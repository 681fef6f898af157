import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import { SignJWT, exportJWK, generateKeyPair } from 'jose'
import { close, listen } from '../../demo/parts/loopback.ts'

/** What the token endpoint answers. */
export interface TokenAnswer {
  readonly status: number
  readonly body: unknown
}

/** A provider for browser logins that a test can bend. For the real one see `demo/parts/idp.ts`. */
export interface StubProvider {
  readonly issuer: string
  /** Every form that the token endpoint got. */
  readonly asked: readonly URLSearchParams[]
  /** What the token endpoint answers from now on. */
  token: (form: URLSearchParams) => TokenAnswer | Promise<TokenAnswer>
  /** More of the discovery document, or other values in it. */
  metadata: Record<string, unknown>
  /** An ID token, with a key of its own or a stranger's. */
  sign(
    claims?: Readonly<Record<string, unknown>>,
    header?: { alg?: string; typ?: string; kid?: string },
    stranger?: boolean,
  ): Promise<string>
  stop(): Promise<void>
}

/** Starts one on loopback; its token endpoint refuses until it is bent. */
export async function startStubProvider(): Promise<StubProvider> {
  const [own, strange] = await Promise.all([generateKeyPair('RS256'), generateKeyPair('RS256')])
  const jwk = { ...(await exportJWK(own.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }
  const asked: URLSearchParams[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
    request.on('end', () => void reply(request.url ?? '', body, response))
  })
  async function reply(url: string, sent: string, response: ServerResponse): Promise<void> {
    const { status, body } = await answer(url, sent)
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
  async function answer(url: string, body: string): Promise<TokenAnswer> {
    if (url === '/jwks') return { status: 200, body: { keys: [jwk] } }
    if (url === '/token') {
      const form = new URLSearchParams(body)
      asked.push(form)
      return stub.token(form)
    }
    const { issuer } = stub
    const endpoints = { authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token` }
    return { status: 200, body: { issuer, jwks_uri: `${issuer}/jwks`, ...endpoints, ...stub.metadata } }
  }
  const port = await listen(server, 0)
  const stub: StubProvider = {
    issuer: `http://127.0.0.1:${port}`,
    asked,
    token: () => ({ status: 400, body: { error: 'invalid_grant' } }),
    metadata: {},
    sign(claims = {}, header = {}, stranger = false) {
      const now = Math.floor(Date.now() / 1000)
      const usual = {
        iss: stub.issuer,
        aud: 'gateway',
        sub: 'alice',
        iat: now,
        exp: now + 300,
        groups: ['team-emojivoto'],
      }
      return new SignJWT({ ...usual, ...claims })
        .setProtectedHeader({ alg: 'RS256', kid: 'one', ...header })
        .sign(stranger ? strange.privateKey : own.privateKey)
    },
    stop: () => close(server),
  }
  return stub
}
