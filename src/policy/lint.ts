import { matches } from './patterns.ts'
import type { ParsedPolicy } from './parse.ts'
import type { Rule } from './rules.ts'

/** What is wrong with rows that are right each by itself. */
export interface Findings {
  /** What could be misread by whoever trusts the policy: it does not go live. */
  readonly errors: readonly string[]
  /** What says nothing, or nothing more than another row. */
  readonly warnings: readonly string[]
}

/** Looks at the rows of a policy together. */
export function lint(policy: Omit<ParsedPolicy, 'warnings'>): Findings {
  return {
    errors: [...unknownRoles(policy), ...denyWithoutView(policy.rules)],
    warnings: [...unusedRoles(policy), ...narrowAudit(policy.rules), ...shadowed(policy.rules)],
  }
}

type Rows = Omit<ParsedPolicy, 'warnings'>

/** A role that is given but that nothing is granted to is most likely misspelt. */
function unknownRoles({ rules, memberships, limits }: Rows): readonly string[] {
  const known = new Set([...rules, ...limits].map(({ subject }) => subject))
  for (const { member } of memberships) known.add(member)
  return memberships
    .filter(({ role }) => !known.has(role))
    .map(({ role, at }) => `${at}: ${role} is granted nothing: is it misspelt? Give it a p row, or take this one out`)
}

/** And one that has rules but no members reaches nobody. */
function unusedRoles({ rules, memberships }: Rows): readonly string[] {
  const used = new Set(memberships.map(({ role }) => role))
  return rules
    .filter(({ subject }) => subject.startsWith('role:') && !used.has(subject))
    .map(({ subject, at }) => `${at}: ${subject} has no members: this row reaches nobody`)
}

/** What somebody asked of one namespace can tell of another, so the record is shown whole or not at all. */
function narrowAudit(rules: readonly Rule[]): readonly string[] {
  return rules
    .filter(
      ({ action, effect, resource }) =>
        /^audit:[a-z]+(\|audit:[a-z]+)*$/.test(action) && effect === 'allow' && 'label' in resource,
    )
    .map(
      ({ at }) =>
        `${at}: the record is read with every series or not at all: write * as the resource, or this row gives nothing`,
    )
}

/**
 * Where some rows grant a look at calls from outside, a deny has to say which side it is about: read as "own samples only"
 * it would leave what others report about calling the namespace.
 */
function denyWithoutView(rules: readonly Rule[]): readonly string[] {
  if (!rules.some(({ effect, view, viewWritten }) => effect === 'allow' && viewWritten && view !== 'own')) return []
  return rules
    .filter(({ effect, resource, viewWritten }) => effect === 'deny' && 'label' in resource && !viewWritten)
    .filter(({ resource }) => 'label' in resource && resource.label === 'namespace')
    .map(({ at }) => `${at}: other rows grant view=destination or both: say view=own, destination or both here too`)
}

/** Rows that another row of the same subject and effect says already. */
function shadowed(rules: readonly Rule[]): readonly string[] {
  const bySubject = new Map<string, Rule[]>()
  for (const rule of rules) {
    const key = `${rule.subject} ${rule.effect}`
    const same = bySubject.get(key)
    if (same === undefined) bySubject.set(key, [rule])
    else same.push(rule)
  }
  return [...bySubject.values()].flatMap(shadowedIn)
}

/** Most rows of one subject that are compared with all the others of it. */
const mostWide = 200

function shadowedIn(group: readonly Rule[]): readonly string[] {
  const first = new Map<string, Rule>()
  const wide = group.filter(isWide).slice(0, mostWide)
  return group.flatMap((rule) => {
    const key = JSON.stringify([rule.columns, rule.from, rule.until])
    const same = first.get(key)
    if (same === undefined) first.set(key, rule)
    const wider = same ?? wide.find((other) => other !== rule && says(other, rule) && !says(rule, other))
    return wider === undefined ? [] : [`${rule.at}: says nothing that ${wider.at} does not say: take it out`]
  })
}

/** Can the row say more than one that names a single thing? */
const isWide = ({ cluster, action, resource, view }: Rule): boolean =>
  'every' in resource || view === 'both' || /[*|]/.test(cluster + action + resource.pattern)

/** Does the one say all that the other says? */
function says(one: Rule, other: Rule): boolean {
  if (one.from !== null || one.until !== null) return false
  if (!matches(one.cluster, other.cluster)) return false
  const actions = one.action.split('|')
  if (one.action !== '*' && !other.action.split('|').every((action) => actions.includes(action))) return false
  if ('every' in one.resource) return true
  if ('every' in other.resource) return false
  const sides = one.view === 'both' || one.view === other.view
  return sides && one.resource.label === other.resource.label && matches(one.resource.pattern, other.resource.pattern)
}
