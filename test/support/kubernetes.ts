import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { SignJWT, exportJWK, generateKeyPair } from 'jose'
import type { CryptoKey, JWK, JWTPayload } from 'jose'
import type { IssuerOptions } from '../../src/identity/issuer.ts'
import { makeAuthority } from './certificates.ts'
import { issuerOptions } from './issuer.ts'

/** A Kubernetes API server as far as tokens go, over TLS with a certificate of the cluster's own authority. */
export interface StubCluster {
  readonly issuer: string
  /** Base URL of the API server. */
  readonly url: string
  /** The cluster's authority. */
  readonly ca: string
  /** Tokens that the API server itself knows; the gateway must show one. The first is `own-token`. */
  readonly known: Set<string>
  /** Subjects whose pod or service account is gone. */
  readonly gone: Set<string>
  /** Every review that was asked for: the token, for which audiences, and by which token. */
  readonly reviews: readonly Review[]
  /** What is answered to a review from now on, in the place of the truth; null for the truth. */
  bend: ((review: Review) => { readonly status: number; readonly body: unknown }) | null
  /** Holds answers to reviews back until it resolves. */
  hold: Promise<unknown> | null
  /** A pod's token, as kubelet projects it. */
  sign(claims?: JWTPayload): Promise<string>
  rotate(): Promise<void>
  options(others?: Partial<IssuerOptions>): IssuerOptions
  stop(): Promise<void>
}

/** A question of the gateway's. */
export interface Review {
  readonly token: string
  readonly audiences: readonly string[]
  readonly by: string
}

export const podAudience = 'bailiwick'
export const nightly = 'system:serviceaccount:emojivoto:nightly-report'

/** Starts one on loopback. */
export async function startStubCluster(): Promise<StubCluster> {
  const authority = makeAuthority('a cluster')
  const certificate = authority.issue(['kubernetes.default.svc', '127.0.0.1'])
  const reviews: Review[] = []
  let generation = 0
  let key: CryptoKey
  let publicJwk: JWK
  async function rotate(): Promise<void> {
    const pair = await generateKeyPair('RS256', { extractable: true })
    generation += 1
    key = pair.privateKey
    publicJwk = { ...(await exportJWK(pair.publicKey)), kid: `sa-${generation}`, alg: 'RS256', use: 'sig' }
  }
  await rotate()
  async function judge(review: Review, answer: (status: number, body: unknown) => void): Promise<void> {
    await cluster.hold
    const { status, body } = cluster.bend?.(review) ?? { status: 201, body: truth(review, cluster.gone) }
    answer(status, body)
  }
  const server = createServer(certificate, (request, response) => {
    const by = /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    request.on('end', () => {
      // As the default roles have it, nobody is told anything without a token of the API server's own.
      if (!cluster.known.has(by)) return answer(401, { kind: 'Status', status: 'Failure', code: 401 })
      if (request.method === 'GET' && request.url === '/openid/v1/jwks') return answer(200, { keys: [publicJwk] })
      if (request.method !== 'POST' || request.url !== '/apis/authentication.k8s.io/v1/tokenreviews') {
        return answer(404, { kind: 'Status', status: 'Failure', code: 404 })
      }
      const asked: { apiVersion: string; kind: string; spec: { token: string; audiences: string[] } } = JSON.parse(text)
      if (asked.apiVersion !== 'authentication.k8s.io/v1' || asked.kind !== 'TokenReview') return answer(400, {})
      const review = { ...asked.spec, by }
      reviews.push(review)
      void judge(review, answer)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a TCP server's address is one
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const own = { ca: authority.cert, bearerToken: 'own-token' }
  const cluster: StubCluster = {
    issuer: 'https://kubernetes.default.svc.cluster.local',
    url,
    ca: authority.cert,
    known: new Set(['own-token']),
    gone: new Set(),
    reviews,
    bend: null,
    hold: null,
    rotate,
    sign(claims = {}) {
      const now = Math.floor(Date.now() / 1000)
      const sub = claims.sub ?? nightly
      const [, , namespace = '', account = ''] = sub.split(':')
      const about = {
        namespace,
        node: { name: 'node-1', uid: '0c3a' },
        pod: { name: `${account}-29371860-x8k2p`, uid: '5d1f' },
        serviceaccount: { name: account, uid: '91aa' },
      }
      const times = { iat: now, nbf: now, exp: now + 3_600 }
      const all = {
        iss: cluster.issuer,
        aud: [podAudience],
        sub,
        jti: 'a1',
        ...times,
        'kubernetes.io': about,
        ...claims,
      }
      return new SignJWT(all).setProtectedHeader({ alg: 'RS256', kid: `sa-${generation}` }).sign(key)
    },
    options: (others = {}) =>
      issuerOptions(cluster.issuer, {
        audience: [podAudience],
        groupsClaim: '/kubernetes.io/namespace',
        groupPrefix: 'namespace:',
        keys: { url: `${url}/openid/v1/jwks`, ...own },
        tokenReview: { url, ...own },
        ...others,
      }),
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return cluster
}

/** What an API server says of a token: `authenticated` is left out where it would be false. */
function truth({ token, audiences }: Review, gone: ReadonlySet<string>): unknown {
  const claims: { sub: string; aud: string[] } = JSON.parse(
    Buffer.from(token.split('.')[1] ?? '', 'base64url').toString(),
  )
  const both = audiences.filter((audience) => claims.aud.includes(audience))
  const head = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } }
  if (gone.has(claims.sub) || both.length === 0) {
    return {
      ...head,
      status: { user: {}, error: '[invalid bearer token, service account token has been invalidated]' },
    }
  }
  const groups = ['system:serviceaccounts', 'system:authenticated']
  const status = { authenticated: true, user: { username: claims.sub, uid: '91aa', groups }, audiences: both }
  return { ...head, status }
}
