import type { QueryLimits } from './query-limits.ts'
import type { Rule } from './rules.ts'

/** A rule as the row that says it. */
export function printRule({ columns, viewWritten, from, until, reason }: Rule): string {
  const [subject, cluster, action, resource, view, effect] = columns
  const settings = [
    viewWritten ? `view=${view}` : '',
    from === null ? '' : `from=${printMoment(from)}`,
    until === null ? '' : `until=${printMoment(until)}`,
    reason === null ? '' : `reason=${reason}`,
  ].filter((setting) => setting !== '')
  return printRow(['p', subject, cluster, action, resource, effect, ...settings])
}

/** Fields as a row that is read back to the same fields. */
export const printRow = (fields: readonly string[]): string =>
  fields.map((field) => (/[",\n]|^\s|\s$/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(', ')

/** A moment as it is written in rows, without a fraction where there is none. */
export const printMoment = (milliseconds: number): string =>
  new Date(milliseconds).toISOString().replace(/\.000Z$/, 'Z')

const durations = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
] as const
const sizes = [
  ['GB', 1_000_000_000],
  ['MB', 1_000_000],
  ['KB', 1_000],
] as const

/** A limit as it is written in rows: `31d`, `50MB`, `11000`. */
export function printLimit(name: keyof QueryLimits, value: number): string {
  const units = name === 'bytes' ? sizes : name === 'range' || name === 'timeout' ? durations : []
  const unit = units.find(([, factor]) => value % factor === 0)
  if (unit !== undefined) return `${value / unit[1]}${unit[0]}`
  return `${value}${units === durations ? 's' : ''}`
}

/** A list as people write it: `a`, `a and b`, `a, b and c`. */
export function printList(items: readonly string[], word = 'and'): string {
  const last = items.at(-1) ?? ''
  return items.length < 2 ? last : `${items.slice(0, -1).join(', ')} ${word} ${last}`
}
