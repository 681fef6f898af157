import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignJWT, exportJWK, generateKeyPair } from 'jose'
import type { CryptoKey, JWK, JWTHeaderParameters, JWTPayload } from 'jose'

/** A Grafana of which there is only what signs `X-Grafana-Id`, and the keys that it publishes. */
export interface StubGrafana {
  /** Its root URL, with the slash at its end. */
  readonly issuer: string
  readonly keysUrl: string
  /** How often the keys were asked for. */
  readonly fetches: () => number
  /** What is answered where the keys are, from now on. */
  keys: () => { readonly status: number; readonly body: string }
  /** An `X-Grafana-Id` of the person `user:u1`, who signed in with a password. */
  sign(claims?: JWTPayload, header?: Partial<JWTHeaderParameters>): Promise<string>
  /** Signs with a new key from now on and keeps the old ones published, as on the first of a month. */
  newMonth(): Promise<void>
  stop(): Promise<void>
}

export async function startStubGrafana(): Promise<StubGrafana> {
  const published: JWK[] = []
  let key: CryptoKey
  let fetches = 0
  async function newMonth(): Promise<void> {
    const pair = await generateKeyPair('ES256', { extractable: true })
    key = pair.privateKey
    const kid = `id-2026-${String(published.length + 1).padStart(2, '0')}-es256`
    published.unshift({ ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256', use: 'sig' })
  }
  await newMonth()
  const server = createServer((request, response) => {
    fetches += 1
    const { status, body } = request.url === '/api/signing-keys/keys' ? stub.keys() : { status: 404, body: '' }
    response.writeHead(status, { 'content-type': 'application/json' }).end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is one
  const { port } = server.address() as AddressInfo
  const issuer = `http://127.0.0.1:${port}/`
  const stub: StubGrafana = {
    issuer,
    keysUrl: `${issuer}api/signing-keys/keys`,
    fetches: () => fetches,
    keys: () => ({ status: 200, body: JSON.stringify({ keys: published }) }),
    sign: (claims = {}, header = {}) => {
      const iat = Math.floor(Date.now() / 1000)
      const person = {
        ...{ sub: 'user:u1', type: 'user', identifier: 'u1', namespace: 'default', authenticatedBy: 'password' },
        ...{ email: 'local@example.com', email_verified: true, username: 'local', name: 'Lo Cal' },
      }
      return new SignJWT({ iss: issuer, aud: ['org:1'], iat, exp: iat + 600, ...person, ...claims })
        .setProtectedHeader({ alg: 'ES256', typ: 'jwt', kid: published[0]?.kid ?? '', ...header })
        .sign(key)
    },
    newMonth,
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return stub
}
