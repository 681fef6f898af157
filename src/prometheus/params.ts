import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'

/** Names and values in the order sent. */
export type Params = readonly (readonly [name: string, value: string])[]

/**
 * What a parameter may hold. `selector` and `texts` may be given more than once, the others once. `ignored` is a duration
 * that some clients send everywhere and Prometheus has no use for: it is not sent on. Prometheus's own readers are in its
 * web/api/v1/api.go and search.go.
 */
export type ParamKind =
  | 'query'
  | 'selector'
  | 'time'
  | 'duration'
  | 'count'
  | 'stats'
  | 'flag'
  | 'word'
  | 'text'
  | 'texts'
  | 'ignored'

/** The parameters of an endpoint, by name. */
export type ParamTable = Readonly<Record<string, ParamKind>>

/** Why the parameters were refused, and which one it was. */
export interface ParamRefusal {
  readonly param: string
  readonly message: string
}

/** One copy of each known parameter, checked. */
export interface CheckedParams {
  readonly single: ReadonlyMap<string, string>
  readonly selectors: readonly string[]
  /** The other parameters that may be given more than once, in the order sent. */
  readonly lists: Params
}

const number = String.raw`[+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:[eE][+-]?\d{1,3})?`
const goTime = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)`
// The two ends of time as Prometheus prints them; its own clients send them to mean "no limit".
const endsOfTime = String.raw`-292273086-05-16T16:47:06Z|292277025-08-18T07:12:54\.999999999Z`
const duration = String.raw`(?:\d{1,20}y)?(?:\d{1,20}w)?(?:\d{1,20}d)?(?:\d{1,20}h)?(?:\d{1,20}m)?(?:\d{1,20}s)?(?:\d{1,20}ms)?`
const text: readonly [RegExp, string] = [/^[^\p{Cc}\p{Cs}]{0,1000}$/u, 'a text of at most 1000 characters']

const durationShape = new RegExp(`^(?:${number}|${duration})$`)
const durationWords = 'a number of seconds or a duration such as 5m or 1h30m'

/** Where two equal copies say no more than one: a client may add these to the URL and to the body. */
const repeatable = new Set<ParamKind>(['duration', 'count', 'stats', 'ignored'])

/** What a value must look like, and how to say so. Queries and selectors are left to the PromQL room. */
const shapes: Readonly<Record<Exclude<ParamKind, 'query' | 'selector'>, readonly [RegExp, string]>> = {
  time: [new RegExp(`^(?:${number}|${goTime}|${endsOfTime})$`), 'a Unix time in seconds or an RFC 3339 time'],
  duration: [durationShape, durationWords],
  count: [/^-?\d{1,18}$/, 'a whole number'],
  stats: [/^[a-z]{1,16}$/, 'the word "all"'],
  // What Go's strconv.ParseBool takes.
  flag: [/^(?:1|0|[tTfF]|true|false|TRUE|FALSE|True|False)$/, 'true or false'],
  word: [/^[\w-]{1,100}$/, 'a word'],
  text,
  texts: text,
  ignored: [durationShape, durationWords],
}

/**
 * Reads parameters from the URL and a urlencoded body as one list, URL first. Which of the two Prometheus would
 * prefer (the body, and of several the first) does not matter: {@link checkParams} refuses to choose.
 */
export const readParams = (urlQuery: string, body: string): Params => [
  ...new URLSearchParams(urlQuery),
  ...new URLSearchParams(body),
]

/**
 * Checks a request's parameters against the endpoint's table: an unknown one, a single-valued one given twice (even if
 * one copy is empty), or a value of the wrong shape is refused. An empty value means "not given", as for Prometheus.
 * Only of how long and how much, equal copies count as one: Grafana adds its custom parameters to the URL and the body.
 */
export function checkParams(params: Params, table: ParamTable): Result<CheckedParams, ParamRefusal> {
  const single = new Map<string, string>()
  const selectors: string[] = []
  const lists: [string, string][] = []
  const seen = new Map<string, string>()
  for (const [param, value] of params) {
    const kind = Object.hasOwn(table, param) ? table[param] : undefined
    if (kind === undefined) return fail({ param, message: unknownParam(param, table) })
    if (kind === 'selector') {
      selectors.push(value)
      continue
    }
    const before = kind === 'texts' ? undefined : seen.get(param)
    if (before !== undefined && before === value && repeatable.has(kind)) continue
    if (before !== undefined) {
      return fail({ param, message: `"${param}" was given more than once (URL and body count together): give it once` })
    }
    seen.set(param, value)
    if (value === '' && kind !== 'query') continue
    const [shape, wanted] = kind === 'query' ? [/^/, ''] : shapes[kind]
    if (!shape.test(value)) return fail({ param, message: `"${param}" is not ${wanted}` })
    if (kind === 'texts') lists.push([param, value])
    else if (kind !== 'ignored') single.set(param, value)
  }
  return ok({ single, selectors, lists })
}

function unknownParam(param: string, table: ParamTable): string {
  const known = Object.keys(table).join(', ') || 'none'
  return `unknown parameter "${param.slice(0, 60)}"; this endpoint takes: ${known}`
}
