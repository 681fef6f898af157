import { CsvError, parse } from 'csv-parse/sync'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'

/** A text with the name people know it by. */
export interface PolicyFile {
  readonly name: string
  readonly text: string
}

/** A line of a policy file: what it begins with, and the rest. */
export interface Row {
  readonly type: string
  readonly fields: readonly string[]
  /** `file:line` */
  readonly at: string
}

/** Cuts a file into rows. Empty lines and lines that begin with `#` are none. */
export function readRows(file: PolicyFile): Result<readonly Row[], string> {
  try {
    const records: readonly string[][] = parse(file.text, {
      comment: '#',
      comment_no_infix: true,
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
      on_record: (record: string[], { lines }) => [String(lines), ...record],
    })
    return ok(records.map(([line, type = '', ...fields]) => ({ type, fields, at: `${file.name}:${line}` })))
  } catch (error) {
    if (error instanceof CsvError) return fail(`${file.name}: ${error.message}`)
    throw error
  }
}

/** Settings at the end of a row, `name=value` each, every name once. */
export function readSettings(
  fields: readonly string[],
  known: readonly string[],
): Result<ReadonlyMap<string, string>, string> {
  const settings = new Map<string, string>()
  for (const field of fields) {
    const at = field.indexOf('=')
    const name = field.slice(0, Math.max(at, 0))
    const value = field.slice(at + 1)
    if (!known.includes(name)) return fail(`"${field}" is none of ${known.map((one) => `${one}=…`).join(', ')}`)
    if (value === '') return fail(`"${field}" has no value`)
    if (settings.has(name)) return fail(`${name} is given twice: keep one`)
    settings.set(name, value)
  }
  return ok(settings)
}
