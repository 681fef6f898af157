import type { Identity } from '../identity/identity.ts'
import { explainLimits } from './explain.ts'
import type { ExplainedLimit } from './explain.ts'
import { covers, matches } from './patterns.ts'
import type { Basis, Decision, Policy } from './policy.ts'
import { actions } from './rules.ts'
import type { Action, Rule } from './rules.ts'
import { describeScope } from './scope.ts'
import type { Scope } from './scope.ts'
import { subjectsOf } from './subjects.ts'

/** What somebody may see, for themselves to read. It says nothing of anybody else, nor what the rules say beside. */
export interface Access {
  /** Digest of the policy that says so. */
  readonly policy: string
  /** The clusters on which they have any right, in the order asked. */
  readonly clusters: readonly ClusterAccess[]
  readonly limits: readonly ExplainedLimit[]
  /** What the record says of showing all this: every rule behind it, and no series. */
  readonly basis: Basis
}

export interface ClusterAccess {
  readonly name: string
  readonly rights: readonly Right[]
}

/** Actions that show the same series because of the same rules. */
export interface Right {
  readonly actions: readonly Action[]
  readonly scope: Scope
  readonly views: Views
  /** `file:line` of every rule in force that bears on it, allows and denies. */
  readonly because: readonly string[]
  /** Why those of them that hold for a time only were made. */
  readonly reasons: readonly string[]
  /** Those of them that end, and when, in Unix milliseconds. */
  readonly ends: readonly { readonly rule: string; readonly until: number }[]
  /** When all this changes next because a rule ends or begins, in Unix milliseconds; null: never by itself. */
  readonly until: number | null
}

/** A scope in the words of the rules. A deny takes a series out of every other list, too. */
export interface Views {
  /** Namespaces whose own samples are seen. */
  readonly own: Patterns
  /** Namespaces of which is seen what others report about calling them. */
  readonly destination: Patterns
  /** Series by another label, as `label=value`. */
  readonly labels: Patterns
}

interface Patterns {
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}

/** Adds up what one identity may see on these clusters at a moment (Unix milliseconds), and until when. */
export function accessOf(policy: Policy, identity: Identity, clusters: readonly string[], now: number): Access {
  const all = clusters.map((name) => ({ name, rights: rightsOn(policy, identity, name, now) }))
  const mine = all.filter(({ rights }) => rights.some(isGranted))
  const rights = mine.flatMap((cluster) => cluster.rights)
  // They are the same on every cluster, for every action.
  const { limits } = policy.decide(identity, '', 'query')
  return {
    policy: policy.digest,
    clusters: mine,
    limits: explainLimits(policy.parsed, subjectsOf(identity), limits),
    basis: {
      scope: { kind: 'nothing' },
      because: [...new Set(rights.flatMap(({ because }) => because))],
      reasons: [...new Set(rights.flatMap(({ reasons }) => reasons))],
      policy: policy.digest,
    },
  }
}

/** Does a right show anything? */
export const isGranted = ({ scope }: Pick<Right, 'scope'>): boolean => scope.kind !== 'nothing'

function rightsOn(policy: Policy, identity: Identity, cluster: string, now: number): readonly Right[] {
  const found = new Map<string, Right>()
  for (const action of actions) {
    const decision = policy.decide(identity, cluster, action)
    const rules = policy.bearing(identity, cluster, action).map(({ rule }) => rule)
    const until = nextChange(rules, now)
    const key = JSON.stringify([describeScope(decision.scope), decision.because, until])
    const same = found.get(key)
    found.set(
      key,
      same === undefined
        ? { ...rightOf(decision, rules), actions: [action], until }
        : { ...same, actions: [...same.actions, action] },
    )
  }
  return [...found.values()]
}

function rightOf({ scope, because, reasons }: Decision, rules: readonly Rule[]): Omit<Right, 'actions' | 'until'> {
  const named = new Set(because)
  const inForce = rules.filter(({ at }) => named.has(at))
  const ends = inForce.flatMap(({ at, until }) => (until === null ? [] : [{ rule: at, until }]))
  return { scope, views: viewsOf(scope, inForce), because, reasons, ends }
}

function nextChange(rules: readonly Rule[], now: number): number | null {
  const times = rules.flatMap(({ from, until }) => [from ?? now, until ?? now]).filter((time) => time > now)
  return times.length === 0 ? null : Math.min(...times)
}

function viewsOf(scope: Scope, inForce: readonly Rule[]): Views {
  switch (scope.kind) {
    case 'nothing':
      return { own: none, destination: none, labels: none }
    case 'everything':
      return { own: all, destination: all, labels: none }
    case 'labels': {
      const own = namespaces(inForce, 'own')
      // "Every series" with a deny beside it is every namespace's own.
      const every = inForce.some(({ resource, effect }) => effect === 'allow' && 'every' in resource)
      const allow = own.deny.includes('*') ? [] : ['*']
      return {
        own: every ? { allow, deny: own.deny } : own,
        destination: namespaces(inForce, 'destination'),
        labels: patterns(inForce.filter(({ resource }) => 'label' in resource && resource.label !== 'namespace')),
      }
    }
  }
}

const none: Patterns = { allow: [], deny: [] }
const all: Patterns = { allow: ['*'], deny: [] }

function namespaces(rules: readonly Rule[], side: 'own' | 'destination'): Patterns {
  const about = rules.filter(
    ({ resource, view }) => 'label' in resource && resource.label === 'namespace' && covers(view, side),
  )
  const { allow, deny } = patterns(about)
  return { allow: allow.map(bare), deny: deny.map(bare) }
}

const bare = (resource: string): string => resource.slice('namespace='.length)

/** Resources as rules write them, without those that are denied as a whole. */
function patterns(rules: readonly Rule[]): Patterns {
  const resources = (wanted: Rule['effect']): readonly string[] =>
    [...new Set(rules.filter(({ effect }) => effect === wanted).map(({ columns }) => columns[3]))].toSorted()
  const deny = resources('deny')
  return { allow: resources('allow').filter((one) => !deny.some((denied) => matches(denied, one))), deny }
}
