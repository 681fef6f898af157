import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { defaultQueryLimits } from './limits.ts'
import { readSettings } from './rows.ts'
import type { Row } from './rows.ts'
import { wrongSubject } from './rules.ts'

/** How much one identity may ask for. */
export interface QueryLimits {
  /** Longest time between start and end of a range query, in seconds. */
  readonly range: number
  /** Most points of one series in the answer to a range query. */
  readonly points: number
  /** Most series selectors in one request. */
  readonly selectors: number
  /** Largest answer, in bytes. */
  readonly bytes: number
  /** Longest evaluation, in seconds. */
  readonly timeout: number
  /** Requests in a second, taken over a short while. */
  readonly rate: number
  /** Queries at the same time. */
  readonly concurrent: number
}

/** A row that begins with `l`. */
export interface LimitRow {
  /** A subject, or `*` for everybody. */
  readonly subject: string
  readonly limits: Partial<QueryLimits>
  /** `file:line` */
  readonly at: string
}

/** Every limit, in the order in which they are told. */
export const limitNames = ['range', 'points', 'selectors', 'bytes', 'timeout', 'rate', 'concurrent'] as const

/** Reads a row that begins with `l`, or says in a sentence what is wrong with it. */
export function parseLimits({ fields, at }: Row): Result<LimitRow, string> {
  const [subject = '', ...rest] = fields
  const wrong = subject === '*' ? null : wrongSubject(subject)
  if (wrong !== null) return fail(wrong)
  if (rest.length === 0) return fail(`no limit is named: ${limitNames.join('=…, ')}=…`)
  const settings = readSettings(rest, limitNames)
  if (!settings.ok) return settings
  const limits: Partial<Record<keyof QueryLimits, number>> = {}
  for (const name of limitNames) {
    const written = settings.value.get(name)
    if (written === undefined) continue
    const value = readValue(name, written)
    if (value === null) return fail(`${name}=${written}: must be ${forms[unitOf(name)]}`)
    limits[name] = value
  }
  return ok({ subject, limits, at })
}

/** The limits for somebody: of each the most generous of their rows, then that of `*`, then the product's own. */
export function limitsFor(own: readonly LimitRow[], everybody: readonly LimitRow[]): QueryLimits {
  const most = (rows: readonly LimitRow[], name: keyof QueryLimits): number | undefined => {
    const values = rows.flatMap(({ limits }) => limits[name] ?? [])
    return values.length === 0 ? undefined : Math.max(...values)
  }
  const value = (name: keyof QueryLimits): number =>
    most(own, name) ?? most(everybody, name) ?? defaultQueryLimits[name]
  return {
    range: value('range'),
    points: value('points'),
    selectors: value('selectors'),
    bytes: value('bytes'),
    timeout: value('timeout'),
    rate: value('rate'),
    concurrent: value('concurrent'),
  }
}

type Unit = 'duration' | 'size' | 'count'

const unitOf = (name: keyof QueryLimits): Unit => {
  if (name === 'range' || name === 'timeout') return 'duration'
  return name === 'bytes' ? 'size' : 'count'
}

const forms: Readonly<Record<Unit, string>> = {
  duration: 'a duration such as 30s, 15m, 12h or 31d',
  size: 'a size such as 512KB, 50MB or 1GB',
  count: 'a whole number above 0',
}

const seconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 }
const bytes: Readonly<Record<string, number>> = { KB: 1_000, MB: 1_000_000, GB: 1_000_000_000 }

function readValue(name: keyof QueryLimits, written: string): number | null {
  const unit = unitOf(name)
  const [, digits = '', suffix = ''] = /^(\d{1,9})([a-zA-Z]{0,2})$/.exec(written) ?? []
  const factors: Readonly<Record<string, number>> = { duration: seconds, size: bytes, count: { '': 1 } }[unit]
  const factor = Object.hasOwn(factors, suffix) ? factors[suffix] : undefined
  const value = factor === undefined || digits === '' ? 0 : Number(digits) * factor
  return value > 0 ? value : null
}
