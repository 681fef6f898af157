import type { Stage } from './stage.ts'

/** What came back. */
export interface Came {
  readonly status: number
  readonly text: string
  readonly challenge: string | null
}

/** One thing to try: printed as a `curl` line, and done by `--check`. */
export interface Step {
  readonly title: string
  /** Whose token is sent; null for a stranger. */
  readonly person: string | null
  readonly path: string
  readonly params: readonly (readonly [string, string])[]
  /** What should come, for people. */
  readonly expected: string
  /** Is it what came? */
  readonly judge: (came: Came) => boolean
  /** What came, in a few words, where status and length do not say it. */
  readonly show?: (came: Came) => string
}

/** The demo's story, for a stage. */
export function stepsFor({ nightlyAt }: Stage): readonly Step[] {
  const night = iso(nightlyAt + 10 * 60)
  const query = (text: string, time?: string): Pick<Step, 'path' | 'params'> => ({
    path: '/api/v1/query',
    params: [['query', text], ...(time === undefined ? [] : [['time', time] as const])],
  })
  return [
    {
      title: 'alice asks which namespaces there are, and is told of her own',
      person: 'alice',
      path: '/api/v1/label/namespace/values',
      params: [],
      expected: 'emojivoto',
      judge: ({ status, text }) => status === 200 && values(text).join() === 'emojivoto',
      show: ({ text }) => values(text).join(', '),
    },
    {
      title: 'alice asks for the request rate of everything: each selector carries her scope',
      person: 'alice',
      ...query('sum by (namespace, deployment) (rate(request_total[5m]))'),
      expected: 'emojivoto only',
      judge: ({ status, text }) => status === 200 && labels(text, 'namespace').join() === 'emojivoto',
      show: ({ text }) => labels(text, 'namespace').join(', '),
    },
    {
      title: 'alice tries to get out of it',
      person: 'alice',
      ...query(
        'count by (namespace) ({__name__=~".+"}) or count by (namespace) (up) # \r or count by (namespace) (up)',
      ),
      expected: 'emojivoto only',
      judge: ({ status, text }) => status === 200 && labels(text, 'namespace').join() === 'emojivoto',
      show: ({ text }) => labels(text, 'namespace').join(', '),
    },
    {
      title: 'alice asks for booksapp by name: a clear no, not an empty panel',
      person: 'alice',
      ...query('request_total{namespace="booksapp"}'),
      expected: '403 that names booksapp',
      judge: ({ status, text }) => status === 403 && text.includes('booksapp'),
    },
    {
      title: 'bob asks who called booksapp/authors at 3 a.m.: his proxies know each caller by its certificate',
      person: 'bob',
      ...query(
        'sum by (client_id, tls) (increase(request_total{direction="inbound", deployment="authors"}[10m])) > 0',
        night,
      ),
      expected: 'nightly-report of batch, among others',
      judge: ({ status, text }) =>
        status === 200 && labels(text, 'client_id').some((id) => id.startsWith('nightly-report.batch.')),
      show: ({ text }) =>
        labels(text, 'client_id')
          .map((id) => id.split('.').slice(0, 2).join('.') || 'no identity')
          .join(', '),
    },
    {
      title: 'carol, who sees everything, asks the callers’ own proxies',
      person: 'carol',
      ...query(
        'sum by (namespace, deployment, cronjob) (increase(request_total{direction="outbound", dst_namespace="booksapp", dst_service="authors"}[10m])) > 0',
        night,
      ),
      expected: 'namespace batch, among others',
      judge: ({ status, text }) => status === 200 && labels(text, 'namespace').includes('batch'),
      show: ({ text }) => labels(text, 'namespace').join(', '),
    },
    {
      title: 'carol asks which namespaces there are',
      person: 'carol',
      path: '/api/v1/label/namespace/values',
      params: [],
      expected: 'five or more',
      judge: ({ status, text }) => status === 200 && values(text).length >= 5,
      show: ({ text }) => values(text).join(', '),
    },
    {
      title: 'dana, the auditor, may read the record but no metrics',
      person: 'dana',
      ...query('up'),
      expected: '403',
      judge: ({ status }) => status === 403,
    },
    {
      title: 'a stranger',
      person: null,
      ...query('up'),
      expected: '401 with WWW-Authenticate',
      judge: ({ status, challenge }) => status === 401 && challenge?.startsWith('Bearer ') === true,
      show: ({ challenge }) => `401, ${challenge ?? 'no challenge'}`,
    },
    {
      title: 'a slip of the pen: the error points at the spot',
      person: 'alice',
      ...query('sum(rate(request_total[5m])'),
      expected: '422 with a ^ under the spot',
      judge: ({ status, text }) => status === 422 && text.includes('^'),
    },
    {
      title: 'another Prometheus federating with alice’s token',
      person: 'alice',
      path: '/federate',
      params: [['match[]', 'request_total']],
      expected: 'emojivoto only',
      judge: ({ status, text }) => status === 200 && scraped(text).join() === 'emojivoto',
      show: ({ text }) => scraped(text).join(', '),
    },
    {
      title: 'how Prometheus is run, which takes a right of its own',
      person: 'alice',
      path: '/api/v1/status/config',
      params: [],
      expected: '403',
      judge: ({ status }) => status === 403,
    },
  ]
}

/** The step as a line to paste into a shell, in the repository's directory. */
export function curlLine(step: Step, { url, dir }: Stage): string {
  // A stranger's answer is in the headers too.
  const parts = [step.person === null ? 'curl -siG' : 'curl -sG', shellQuote(`${url}${step.path}`)]
  if (step.person !== null) parts.push(`-H "Authorization: Bearer $(cat ${dir}/tokens/${step.person})"`)
  for (const [name, value] of step.params) parts.push(`--data-urlencode ${shellQuote(`${name}=${value}`)}`)
  return parts.join(' ')
}

/** Does a step. */
export async function doStep({ person, path, params }: Step, stage: Stage): Promise<Came> {
  const query = new URLSearchParams(params.map(([name, value]): [string, string] => [name, value]))
  const headers = person === null ? {} : { authorization: `Bearer ${await stage.token(person)}` }
  const response = await fetch(`${stage.url}${path}?${query.toString()}`, { headers })
  return { status: response.status, text: await response.text(), challenge: response.headers.get('www-authenticate') }
}

// A carriage return ends a PromQL comment: it must reach the gateway as it is.
const shellQuote = (text: string): string =>
  text.includes('\r')
    ? `$'${text.replaceAll("'", String.raw`\'`).replaceAll('\r', String.raw`\r`)}'`
    : `'${text.replaceAll("'", String.raw`'\''`)}'`

const iso = (seconds: number): string => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')

/** The list that `…/values` answers with. */
function values(text: string): readonly string[] {
  const data: unknown = Reflect.get(Object(JSON.parse(text)), 'data')
  return Array.isArray(data) ? data.map(String) : []
}

/** A label's different values in a query's answer. */
function labels(text: string, label: string): readonly string[] {
  const result: unknown = Reflect.get(Object(Reflect.get(Object(JSON.parse(text)), 'data')), 'result')
  if (!Array.isArray(result)) return []
  return [...new Set(result.map((row) => String(Reflect.get(Object(Reflect.get(Object(row), 'metric')), label) ?? '')))]
}

/** The namespaces in a text exposition. */
const scraped = (text: string): readonly string[] => [
  ...new Set([...text.matchAll(/[{,]namespace="([^"]*)"/g)].map(([, namespace]) => namespace ?? '')),
]
