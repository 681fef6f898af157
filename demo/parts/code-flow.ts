import { createHash, randomBytes } from 'node:crypto'

/** Who logs in, and what for. */
export interface CodeFlow {
  readonly issuer: string
  readonly clientId: string
  readonly redirectUri: string
  /** The id of the person whose button is pressed. */
  readonly person: string
  /** The access token when absent. */
  readonly wanted?: 'access_token' | 'id_token'
  /** The resource the access token is for (RFC 8707), which becomes its audience. */
  readonly resource: string
  /** More parameters for the token endpoint. */
  readonly tokenParameters: Readonly<Record<string, string>>
}

/**
 * Logs in the way a browser and its client do together: an authorization code with PKCE (RFC 6749 §4.1, RFC 7636), over
 * the provider's own endpoints, with the login page's button pressed for the person.
 * @returns the token that is wanted
 * @throws Error with the provider's answer when a step does not lead to the next one
 */
export async function tokenByCodeFlow(flow: CodeFlow): Promise<string> {
  const verifier = randomBytes(32).toString('base64url')
  const state = randomBytes(16).toString('base64url')
  const metadata = await json(await fetch(`${flow.issuer}/.well-known/openid-configuration`))
  const authorize = new URL(text(metadata, 'authorization_endpoint'))
  authorize.search = new URLSearchParams({
    client_id: flow.clientId,
    response_type: 'code',
    redirect_uri: flow.redirectUri,
    scope: 'openid profile email',
    resource: flow.resource,
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }).toString()

  const visit = browser()
  const page = await visit(authorize)
  const resumed = await visit(page, new URLSearchParams({ as: flow.person }))
  const callback = await visit(resumed)
  const code = callback.searchParams.get('code')
  if (code === null || callback.searchParams.get('state') !== state) {
    throw new Error(`the login of ${flow.person} ended without a code: ${callback.search}`)
  }

  const grant = { grant_type: 'authorization_code', code, code_verifier: verifier, resource: flow.resource }
  const client = { client_id: flow.clientId, redirect_uri: flow.redirectUri }
  const body = new URLSearchParams({ ...grant, ...client, ...flow.tokenParameters })
  const tokens = await json(await fetch(text(metadata, 'token_endpoint'), { method: 'POST', body }))
  return text(tokens, flow.wanted ?? 'access_token')
}

/** Follows one redirect per call and keeps the cookies, of which one login has too few to need their paths. */
function browser(): (url: URL, form?: URLSearchParams) => Promise<URL> {
  const cookies = new Map<string, string>()
  return async (url, form) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const post = form === undefined ? {} : { method: 'POST', body: form }
    const answer = await fetch(url, { ...post, headers: { cookie }, redirect: 'manual' })
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') cookies.delete(name)
      else cookies.set(name, value)
    }
    const location = answer.headers.get('location')
    if (location === null) throw new Error(`${url.href} answered ${answer.status}: ${await answer.text()}`)
    return new URL(location, url)
  }
}

async function json(answer: Response): Promise<unknown> {
  if (answer.ok) return answer.json()
  throw new Error(`${answer.url} answered ${answer.status}: ${await answer.text()}`)
}

function text(body: unknown, name: string): string {
  const value: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined
  if (typeof value !== 'string') throw new Error(`the provider's answer has no ${name}`)
  return value
}
