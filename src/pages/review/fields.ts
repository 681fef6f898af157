import { isPairs, isRecord, isTexts } from './shapes.ts'
import type { FoundRecord } from '../../review/review.ts'
import type { Parameter } from '../../audit/record.ts'

/** A record as it was read back. What a field holds is checked when it is looked at: the log may be of another version. */
export class Fields {
  readonly found: FoundRecord
  readonly all: Readonly<Record<string, unknown>>

  constructor(found: FoundRecord) {
    this.found = found
    this.all = parsed(found.line)
  }

  /** A text; empty where there is none. */
  text(...path: readonly string[]): string {
    const value = this.value(...path)
    return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
  }

  number(...path: readonly string[]): number | null {
    const value = this.value(...path)
    return typeof value === 'number' ? value : null
  }

  texts(...path: readonly string[]): readonly string[] {
    const value = this.value(...path)
    return isTexts(value) ? value : []
  }

  pairs(...path: readonly string[]): readonly Parameter[] {
    const value = this.value(...path)
    return isPairs(value) ? value : []
  }

  /** What left for Prometheus; null: nothing. */
  sent(): readonly { readonly path: string; readonly params: readonly Parameter[] }[] | null {
    const value = this.value('sent')
    if (!Array.isArray(value)) return null
    return value.map((one: unknown) => {
      const { path, params } = isRecord(one) ? one : {}
      return { path: typeof path === 'string' ? path : '', params: isPairs(params) ? params : [] }
    })
  }

  value(...path: readonly string[]): unknown {
    let value: unknown = this.all
    for (const name of path) value = isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined
    return value
  }
}

function parsed(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line)
    return isRecord(value) ? value : {}
  } catch {
    return {}
  }
}
