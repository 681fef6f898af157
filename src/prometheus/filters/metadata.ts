import type { Result } from '../../result.ts'
import { asList, asObject, asText, copyKnown, field, filterData } from './shape.ts'
import type { Fields, Filtered, UnknownAnswer } from './shape.ts'

// A field that a later Prometheus adds may say who exposes the metric, so it is left out.
const metadataFields: Fields = { type: 'text', unit: 'text', help: 'text' }

/**
 * What may follow a family's name in the names of its series, besides nothing. By type: that somebody sees `a_total` says
 * nothing about a gauge `a` of others. Families lose `_total` and `_info` in OpenMetrics and keep them in the older
 * format, where the family's name is the series' own.
 */
const suffixes: ReadonlyMap<string, readonly string[]> = new Map([
  ['counter', ['_total', '_created']],
  ['histogram', ['_bucket', '_sum', '_count', '_created']],
  ['gaugehistogram', ['_bucket', '_gsum', '_gcount', '_sum', '_count', '_created']],
  ['summary', ['_sum', '_count', '_created']],
  ['info', ['_info']],
])

/**
 * `/api/v1/metadata` (Prometheus 2.42 to 3.14): the families of which a series can be seen. Not for those who may see
 * every series: their answer stays as it is.
 *
 * Prometheus unites the entries of all targets here, so who sees a metric of a family sees the help texts that others
 * gave to the same name.
 *
 * @param names names of all series in scope, as the values of the label `__name__`
 */
export function filterMetadata(answer: unknown, names: ReadonlySet<string>): Result<Filtered, UnknownAnswer> {
  return filterData(answer, (data, tally) => {
    const families = Object.entries(data).flatMap(([family, entries]) => {
      const kept = asList(entries, 'a family').flatMap((item) => {
        const entry = asObject(item, 'an entry of a family')
        const type = asText(field(entry, 'type'), 'the type of a family')
        if (!isVisible(family, type, names)) return []
        return [copyKnown(entry, metadataFields, 'an entry of a family')]
      })
      if (kept.length > 0) return [[family, kept] as const]
      tally.removed++
      return []
    })
    return Object.fromEntries(families)
  })
}

const isVisible = (family: string, type: string, names: ReadonlySet<string>): boolean =>
  names.has(family) || (suffixes.get(type) ?? []).some((suffix) => names.has(family + suffix))
