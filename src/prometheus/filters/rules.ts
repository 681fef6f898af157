import { createHash } from 'node:crypto'
import type { Scope } from '../../policy/scope.ts'
import { readsNothing, withinScope } from '../../promql/within.ts'
import type { Result } from '../../result.ts'
import type { Page } from '../rewrite.ts'
import { keepAlerts } from './alerts.ts'
import { labelsInScope, sayWhose } from './labels.ts'
import type { Labels } from './labels.ts'
import {
  UnknownPage,
  UnknownShape,
  asLabels,
  asList,
  asObject,
  asText,
  copyKnown,
  field,
  filterByScope,
} from './shape.ts'
import type { Fields, Filtered, JsonObject, Tally, UnknownAnswer } from './shape.ts'

// A rule names series in its expression, and an evaluation error may quote some: of a rule in scope they are in scope.
// A field that a later Prometheus adds may be about other rules (what depends on what), so it is left out.
const ruleFields: Fields = {
  name: 'text',
  query: 'text',
  labels: 'labels',
  health: 'text',
  lastError: 'text',
  evaluationTime: 'number',
  lastEvaluation: 'text',
  type: 'text',
}
const alertingFields: Fields = {
  state: 'text',
  ...ruleFields,
  duration: 'number',
  keepFiringFor: 'number',
  annotations: 'labels',
}

/**
 * `/api/v1/rules` (Prometheus 2.42 to 3.14): the rules that read only series in scope and do not say, by a label of their
 * own, that they are somebody else's. Each alert of a rule is judged by its own labels once more, so a rule may be firing
 * and show none: those that lost the label in an aggregation. Groups of which no rule is left are left out. Prometheus was
 * asked for all groups, so that a page begins and ends with groups that are left, as it would if there were no others.
 */
export function filterRules(answer: unknown, scope: Scope, page?: Page): Result<Filtered, UnknownAnswer> {
  return filterByScope(answer, scope, (data, tally) => {
    const groups = asList(field(data, 'groups'), 'the list of groups').flatMap((group) => {
      return keepGroup(asObject(group, 'a group'), scope, tally)
    })
    return page === undefined ? { groups } : pageOf(groups, page)
  })
}

/** The groups of one page, and the token of the next, which is made as Prometheus makes it. */
function pageOf(groups: readonly JsonObject[], { groups: most, from }: Page): JsonObject {
  const begin = from === null ? 0 : groups.findIndex((group) => tokenOf(group) === from)
  // Prometheus answers an unknown token with an error: an empty page would be read as the last one.
  if (begin < 0) throw new UnknownPage('this group_next_token is of no group that you may see: begin again')
  const next = groups[begin + most]
  return { groups: groups.slice(begin, begin + most), ...(next === undefined ? {} : { groupNextToken: tokenOf(next) }) }
}

const tokenOf = ({ file, name }: JsonObject): string =>
  createHash('sha256')
    .update(`${asText(file, 'the file of a group')};${asText(name, 'the name of a group')}`)
    .digest('hex')

/**
 * A group's own fields are bookkeeping about the group as a whole (name, file, interval, limit, times), so those that a
 * later Prometheus adds stay, as long as they are single values: a list or an object could be about its rules.
 */
function keepGroup(group: JsonObject, scope: Scope, tally: Tally): readonly JsonObject[] {
  asText(field(group, 'name'), 'the name of a group')
  asText(field(group, 'file'), 'the file of a group')
  const rules = asList(field(group, 'rules'), 'the rules of a group').flatMap((rule) => {
    return keepRule(asObject(rule, 'a rule'), scope, tally)
  })
  if (rules.length === 0) return []
  const bookkeeping = Object.entries(group).filter(([, value]) => value === null || typeof value !== 'object')
  return [{ ...Object.fromEntries(bookkeeping), rules }]
}

function keepRule(rule: JsonObject, scope: Scope, tally: Tally): readonly JsonObject[] {
  const type = field(rule, 'type')
  if (type !== 'alerting' && type !== 'recording') throw new UnknownShape('a rule is of an unknown type')
  const query = asText(field(rule, 'query'), 'the expression of a rule')
  // Some releases leave out the labels of a recording rule that has none.
  const labels = asLabels(field(rule, 'labels') ?? {}, 'labels of a rule')
  if (!isInScope(query, labels, scope)) {
    tally.removed++
    return []
  }
  if (type === 'recording') return [copyKnown(rule, ruleFields, 'a rule')]
  const copy = copyKnown(rule, alertingFields, 'a rule')
  const alerts = field(rule, 'alerts') ?? null
  // Absent or null where the caller asked for rules without their alerts.
  if (alerts === null) return [copy]
  return [{ ...copy, alerts: keepAlerts(asList(alerts, 'the alerts of a rule'), scope, tally) }]
}

/** What reads no series (`vector(1)`) is somebody's only if its labels say so. */
function isInScope(query: string, labels: Labels, scope: Scope): boolean {
  if (withinScope(query, scope)) return !sayWhose(labels, scope) || isPermitted(labels, scope)
  return isPermitted(labels, scope) && readsNothing(query)
}

// A template (`{{ $labels.x }}`) is not yet the value that it will be, so it must not be taken for one by a pattern.
const isPermitted = (labels: Labels, scope: Scope): boolean =>
  labelsInScope(Object.fromEntries(Object.entries(labels).filter(([, value]) => !value.includes('{{'))), scope)
