import type { ReviewRow } from '../../review/review.ts'
import type { Auditor } from './enter.ts'
import type { Fields } from './fields.ts'
import { readWhile } from './kept.ts'
import { isRecord, isTexts } from './shapes.ts'

/** What a row stands for, beside what the list shows of it. */
export interface Told {
  readonly metrics: readonly string[]
  readonly rules: readonly string[]
  readonly scope: string
}

/** Of each row, in order: from the row itself where it says that, else from its record, as far as those can be read in time. */
export async function toldOf(
  reader: Pick<Auditor, 'review' | 'within' | 'signal'>,
  rows: readonly ReviewRow[],
): Promise<readonly Told[]> {
  const told = rows.flatMap((row) => byItself(row) ?? [])
  return told.length === rows.length ? told : (await readWhile(reader, rows)).map(byRecord)
}

function byItself(row: ReviewRow): Told | null {
  if (!('metrics' in row && 'rules' in row && 'scope' in row)) return null
  const { metrics, rules, scope } = row
  return isTexts(metrics) && isTexts(rules) && typeof scope === 'string' ? { metrics, rules, scope } : null
}

function byRecord(record: Fields): Told {
  const selectors = record.value('selectors')
  const metrics = (Array.isArray(selectors) ? selectors : []).flatMap((one: unknown) =>
    isRecord(one) && typeof one['metric'] === 'string' ? [one['metric']] : [],
  )
  return { metrics: [...new Set(metrics)], rules: record.texts('because'), scope: record.text('scope') }
}
