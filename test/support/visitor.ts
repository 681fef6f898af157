import { request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'

/** An answer as it came, nothing followed. */
export interface Came {
  readonly url: string
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly cookies: readonly string[]
  readonly text: string
}

/** What is sent beside what a browser sends by itself. */
export interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string
}

/** One request, with exactly these headers: Node's own `fetch` adds some that only a browser may add. */
export function send(url: string, { method = 'GET', headers = {}, body }: Sent = {}): Promise<Came> {
  return new Promise((resolve, reject) => {
    const values = Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? [...value] : value])
    httpRequest(url, { method, headers: Object.fromEntries(values), agent: false }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      answer.on('error', reject).on('end', () => {
        const { statusCode: status = 0, headers } = answer
        resolve({ url, status, headers, cookies: headers['set-cookie'] ?? [], text })
      })
    })
      .on('error', reject)
      .end(body)
  })
}

/** What a browser sends with the address that somebody typed; `site` is where a link was, if there was one. */
export const navigation = (site = 'none'): Readonly<Record<string, string>> => ({
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'sec-fetch-dest': 'document',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-site': site,
})

/** Somebody with a browser: cookies by host and path (a port makes no difference), and redirects followed on demand. */
export interface Visitor {
  readonly cookies: Map<string, { readonly value: string; readonly path: string }>
  /** One request with the cookies that fit, whose new cookies are kept. */
  ask(url: string, sent?: Sent): Promise<Came>
  /** A navigation, through all redirects; `trail` has every URL on the way. */
  go(url: string, sent?: Sent): Promise<Came & { readonly trail: readonly string[] }>
  /** Opens a page of the gateway's and logs in at the provider where that is asked for. */
  logIn(url: string, person: string): Promise<Came & { readonly trail: readonly string[] }>
}

export function visitor(): Visitor {
  const cookies = new Map<string, { readonly value: string; readonly path: string }>()
  const ask: Visitor['ask'] = async (url, sent = {}) => {
    const { pathname } = new URL(url)
    const fitting = [...cookies].filter(([, { path }]) => pathname.startsWith(path))
    const cookie = fitting.map(([name, { value }]) => `${name.split(' ')[0]}=${value}`).join('; ')
    const came = await send(url, { ...sent, headers: { ...(cookie === '' ? {} : { cookie }), ...sent.headers } })
    for (const line of came.cookies) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      const path = /;\s*path=([^;]*)/i.exec(line)?.[1] ?? '/'
      if (/;\s*max-age=0(;|$)/i.test(line) || /;\s*expires=thu, 01 jan 1970/i.test(line))
        cookies.delete(`${name} ${path}`)
      else cookies.set(`${name} ${path}`, { value, path })
    }
    return came
  }
  const go: Visitor['go'] = async (url, sent = {}) => {
    const trail = [url]
    let came = await ask(url, { ...sent, headers: { ...navigation(), ...sent.headers } })
    while (came.headers.location !== undefined) {
      if (trail.length > 12) throw new Error(`in circles: ${trail.join(' → ')}`)
      const next = new URL(came.headers.location, came.url).href
      trail.push(next)
      came = await ask(next, { headers: navigation('cross-site') })
    }
    return { ...came, trail }
  }
  return {
    cookies,
    ask,
    go,
    async logIn(url, person) {
      const page = await go(url)
      const action = /action="(\/login\/[^"]+)"/.exec(page.text)?.[1]
      if (action === undefined) return page
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      return go(new URL(action, page.url).href, { method: 'POST', headers, body: `as=${person}` })
    },
  }
}
