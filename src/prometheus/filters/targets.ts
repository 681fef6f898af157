import type { Scope } from '../../policy/scope.ts'
import type { Result } from '../../result.ts'
import { labelsInScope } from './labels.ts'
import { asLabels, asList, asObject, copyKnown, field, filterByScope } from './shape.ts'
import type { Fields, Filtered, UnknownAnswer } from './shape.ts'

// Where one's own target is scraped, from which pool and with what error is one's own. Its discovered labels are not in
// the list: they are what discovery knows before any relabelling, of the pod and of the node that it shares with others.
// A field that a later Prometheus adds may repeat some of that, so it is left out.
const targetFields: Fields = {
  labels: 'labels',
  scrapePool: 'text',
  scrapeUrl: 'text',
  globalUrl: 'text',
  lastError: 'text',
  lastScrape: 'text',
  lastScrapeDuration: 'number',
  health: 'text',
  scrapeInterval: 'text',
  scrapeTimeout: 'text',
}

/**
 * `/api/v1/targets` (Prometheus 2.42 to 3.14): the active targets whose labels are in scope, without their discovered
 * labels. A dropped target has no other labels, so none is shown; nor is how many there are in each pool.
 */
export function filterTargets(answer: unknown, scope: Scope): Result<Filtered, UnknownAnswer> {
  return filterByScope(answer, scope, (data, tally) => {
    const active = asList(field(data, 'activeTargets'), 'the list of active targets')
    tally.removed += asList(field(data, 'droppedTargets') ?? [], 'the list of dropped targets').length
    const activeTargets = active.flatMap((item) => {
      const target = asObject(item, 'a target')
      if (labelsInScope(asLabels(field(target, 'labels'), 'labels of a target'), scope)) {
        return [{ discoveredLabels: {}, ...copyKnown(target, targetFields, 'a target') }]
      }
      tally.removed++
      return []
    })
    return { activeTargets, droppedTargets: [] }
  })
}
