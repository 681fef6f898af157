import type { Parameter } from '../../audit/record.ts'
import { fail, ok } from '../../result.ts'
import type { Result } from '../../result.ts'
import type { ReviewFilter } from '../../review/review.ts'
import { maxBack, maxCursor, maxValue } from './limits.ts'
import { iso } from './text.ts'

/** Fields whose text is compared with the record. */
export const textFields = ['person', 'group', 'namespace', 'metric', 'cluster', 'dashboard', 'text'] as const

/** All fields of the filter, in the order in which addresses have them. */
export const fields = [...textFields, 'decision', 'kind', 'range', 'from', 'to'] as const
export type Field = (typeof fields)[number]

/** Quick choices of a time, in milliseconds back from now. */
export const ranges = {
  '1h': { ms: 3_600_000, text: 'Last hour' },
  '24h': { ms: 86_400_000, text: 'Last 24 hours' },
  '7d': { ms: 7 * 86_400_000, text: 'Last 7 days' },
  '30d': { ms: 30 * 86_400_000, text: 'Last 30 days' },
  '365d': { ms: 365 * 86_400_000, text: 'Last year' },
} as const

/** The time where nothing is said. */
const usualRange = '24h'

/** Kinds of records, as a reader calls them. Empty: decisions, which alone have somebody's question in them. */
export const kinds = {
  '': 'Questions and refusals',
  login: 'Sign-ins',
  'login.failed': 'Failed sign-ins',
  logout: 'Sign-outs',
  'logout.failed': 'Failed sign-outs',
  'audit.read': 'Looks at this record',
  'audit.exported': 'Exports of this record',
  'review.saved': 'Saved reviews',
  'review.signed': 'Signed reviews',
  'policy.loaded': 'Policies loaded',
  'policy.rejected': 'Policies refused',
  'gateway.started': 'Starts of the gateway',
  'gateway.stopped': 'Stops of the gateway',
  'log.opened': 'Segments opened',
  'key.changed': 'Changes of keys',
  'segment.deleted': 'Segments deleted',
  'hold.begun': 'Legal holds begun',
  'hold.ended': 'Legal holds ended',
  'disk.watermark': 'Disk watermarks',
  'sink.failed': 'Sinks that failed',
  'sink.resumed': 'Sinks that went on',
  all: 'Every kind, looks at this record as well',
} as const

/** A filter as it was asked for. */
export interface AskedFilter {
  readonly filter: ReviewFilter
  /** What was given, without what is empty. */
  readonly given: Readonly<Partial<Record<Field, string>>>
  readonly after: string | null
  /** Cursors of the pages before this one, the nearest last. */
  readonly back: readonly string[]
}

/** Reads the filter of an address or a form. Errors are sentences for whoever asked. */
export function readFilter(query: URLSearchParams, now: number): Result<AskedFilter, readonly string[]> {
  const problems: string[] = []
  const given: Partial<Record<Field, string>> = {}
  for (const field of fields) {
    const [value = '', ...more] = query.getAll(field).map((one) => one.trim())
    if (more.length > 0) problems.push(`"${field}" is there more than once`)
    if (value.length > maxValue) problems.push(`"${field}" is longer than ${maxValue} characters`)
    else if (value !== '') given[field] = value
  }
  const { decision, kind = '' } = given
  if (decision !== undefined && decision !== 'allow' && decision !== 'deny') {
    problems.push('the decision is neither "allow" nor "deny"')
  }
  if (!Object.hasOwn(kinds, kind)) problems.push(`there is no kind of record called "${kind}"`)
  const time = readTime(given, now)
  if (!time.ok) problems.push(time.error)
  const after = query.get('after')
  const back = query.getAll('back').slice(-maxBack)
  if ([after ?? 'x', ...back].some((cursor) => !isCursor(cursor) && cursor !== '')) {
    problems.push('the place in the list is none: begin with the newest')
  }
  if (problems.length > 0 || !time.ok) return fail(problems)
  const texts: Partial<Record<(typeof textFields)[number], string>> = Object.fromEntries(
    textFields.flatMap((field) => (given[field] === undefined ? [] : [[field, given[field]]])),
  )
  const filter: ReviewFilter = {
    ...texts,
    ...(decision === 'allow' || decision === 'deny' ? { decision } : {}),
    ...(kind === 'all' ? {} : { kind: kind === '' ? 'decision' : kind }),
    ...time.value,
  }
  return ok({ filter, given, after: after === '' ? null : after, back })
}

const isCursor = (text: string): boolean => text.length <= maxCursor && /^[\w-]+$/.test(text)

function readTime(
  { range, from, to }: Readonly<Partial<Record<Field, string>>>,
  now: number,
): Result<Pick<ReviewFilter, 'from' | 'to'>, string> {
  const begin = from === undefined ? null : readMoment(from)
  const end = to === undefined ? null : readMoment(to)
  if (begin === undefined || end === undefined) return fail('a time is written 2026-11-20T03:00, in UTC')
  if (begin !== null && end !== null && begin >= end) return fail('"from" is not before "to"')
  if (begin !== null || end !== null) {
    return ok({ ...(begin === null ? {} : { from: begin }), ...(end === null ? {} : { to: end }) })
  }
  const name = range ?? usualRange
  if (name === 'all') return ok({})
  if (!isRange(name)) return fail(`there is no time called "${name}"`)
  return ok({ from: now - ranges[name].ms, to: now + 1 })
}

const isRange = (name: string): name is keyof typeof ranges => Object.hasOwn(ranges, name)

/** Which quick choice is in use; empty where from and to were given. */
export const rangeOf = ({ given }: AskedFilter): string =>
  given.from === undefined && given.to === undefined ? (given.range ?? usualRange) : ''

/** Unix milliseconds; undefined where it is no moment. Browsers leave out seconds that are zero, and the zone. */
export function readMoment(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z?$/.test(text)) return undefined
  const time = Date.parse(text.endsWith('Z') ? text : `${text}Z`)
  return Number.isNaN(time) || time < 0 ? undefined : time
}

/** What an address of the list can say beside the filter. */
export interface Change {
  readonly after?: string | null
  readonly back?: readonly string[]
  readonly set?: Readonly<Partial<Record<Field, string>>>
}

/** The address of a page with this filter, and with other values for some fields (an empty one takes a field out). */
export function addressOf(
  page: string,
  given: AskedFilter['given'],
  { after = null, back = [], set = {} }: Change = {},
): string {
  const query = new URLSearchParams(Object.fromEntries(parametersOf({ ...given, ...set })))
  for (const cursor of back) query.append('back', cursor)
  if (after !== null) query.append('after', after)
  const text = query.toString()
  return text === '' ? page : `${page}?${text}`
}

/** The filter as the record has it. */
export const parametersOf = (given: AskedFilter['given']): readonly Parameter[] =>
  fields.flatMap((field) => {
    const value = given[field] ?? ''
    return value === '' ? [] : [[field, value] as const]
  })

/** What the record says of a look: the filter as it was understood, with its time. */
export const recordedOf = ({ filter, given, after }: AskedFilter): readonly Parameter[] => [
  ...parametersOf({ ...given, range: '', from: '', to: '' }),
  ...(filter.from === undefined ? [] : [['from', iso(filter.from)] as const]),
  ...(filter.to === undefined ? [] : [['to', iso(filter.to)] as const]),
  ...(after === null ? [] : [['after', after] as const]),
]

/** A stretch of time as values of fields. */
export const between = (from: number, to: number) => ({ range: '', from: iso(from), to: iso(to) })
