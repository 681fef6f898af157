import type { Scope } from '../../policy/scope.ts'
import type { Result } from '../../result.ts'
import { labelsInScope } from './labels.ts'
import { asLabels, asList, asObject, copyKnown, field, filterByScope } from './shape.ts'
import type { Fields, Filtered, JsonObject, Tally, UnknownAnswer } from './shape.ts'

// An alert is made of a series, and its annotations and value are about that series: they are shown or hidden with its
// labels. A field that a later Prometheus adds (a generator URL, say) may name other series, so it is left out.
const alertFields: Fields = {
  labels: 'labels',
  annotations: 'labels',
  state: 'text',
  activeAt: 'text',
  keepFiringSince: 'text',
  value: 'text',
}

/**
 * `/api/v1/alerts` (Prometheus 2.42 to 3.14): the alerts whose own labels are in scope. One that has lost the label in an
 * aggregation says not whose it is, and only who may see everything sees it.
 */
export function filterAlerts(answer: unknown, scope: Scope): Result<Filtered, UnknownAnswer> {
  return filterByScope(answer, scope, (data, tally) => {
    const alerts = field(data, 'alerts')
    // Thanos writes null for a list without any.
    return { alerts: keepAlerts(alerts === null ? [] : asList(alerts, 'the list of alerts'), scope, tally) }
  })
}

/** Those of a list of alerts that are in scope. */
export function keepAlerts(alerts: readonly unknown[], scope: Scope, tally: Tally): readonly JsonObject[] {
  return alerts.flatMap((item) => {
    const alert = asObject(item, 'an alert')
    if (labelsInScope(asLabels(field(alert, 'labels'), 'labels of an alert'), scope)) {
      return [copyKnown(alert, alertFields, 'an alert')]
    }
    tally.removed++
    return []
  })
}
