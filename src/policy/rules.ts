import type { services } from '../identity/identity.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { parseResource } from './patterns.ts'
import type { Resource } from './patterns.ts'
import type { View } from './profile.ts'
import { readSettings } from './rows.ts'
import type { Row } from './rows.ts'

/** What an identity may be allowed to do. */
export const actions = [
  'query',
  'federate',
  'metadata',
  'rules',
  'alerts',
  'targets',
  'remote-read',
  'status',
  'audit:read',
  'audit:export',
  'policy:explain',
] as const
export type Action = (typeof actions)[number]

/** The issuer of identities that are services. Providers are URLs, so no token can name it. */
export const serviceIssuer: typeof services = 'service'

/** A row that begins with `p`. */
export interface Rule {
  /** `group:<name>`, `user:<issuer>#<subject>`, `service:<subject>` or `role:<name>` */
  readonly subject: string
  /** A cluster's name, or a pattern with `*`. */
  readonly cluster: string
  /** Actions with `|` between them, or `*`. */
  readonly action: string
  readonly resource: Resource
  readonly effect: 'allow' | 'deny'
  /** Which side of calls, where the resource is a namespace. */
  readonly view: View
  /** Was the view written in the row? */
  readonly viewWritten: boolean
  /** When it holds, in Unix milliseconds: from this moment on, and up to before that one. Null: always. */
  readonly from: number | null
  readonly until: number | null
  /** Why, for the record; every rule with an end or a beginning has one. */
  readonly reason: string | null
  /** The columns as Casbin gets them: subject, cluster, action, resource, view, effect. */
  readonly columns: readonly [string, string, string, string, View, 'allow' | 'deny']
  /** `file:line` */
  readonly at: string
}

/** What a subject looks like; roles only where they are members of something or are granted something. */
export const subjectForm = /^(group:.+|service:.+|user:[^#]+#.+|role:[a-z0-9][-a-z0-9._]*)$/

/** Why a text is no subject, or null. */
export function wrongSubject(subject: string): string | null {
  if (!subjectForm.test(subject)) {
    const forms = 'group:<name>, user:<issuer>#<subject>, service:<subject> and role:<name>'
    return `the subject "${subject}" is none of ${forms}`
  }
  if (subject.startsWith(`user:${serviceIssuer}#`)) {
    return `the subject "${subject}" is nobody: a service is written service:<subject>`
  }
  return null
}

const columnNames = 'p, subject, cluster, actions, resource, effect'

/** Reads a row that begins with `p`, or says in a sentence what is wrong with it. */
export function parseRule({ fields, at }: Row): Result<Rule, string> {
  const [subject = '', cluster = '', action = '', resource = '', effect, ...rest] = fields
  if (fields.length < 5) return fail(`${fields.length + 1} columns instead of 6: ${columnNames}`)
  const wrong = wrongSubject(subject) ?? wrongPlace(cluster, action)
  if (wrong !== null) return fail(wrong)
  if (effect !== 'allow' && effect !== 'deny') return fail(`the effect "${effect}" is neither allow nor deny`)
  const parsed = parseResource(resource)
  if (!parsed.ok) return parsed
  const settings = readSettings(rest, ['view', 'from', 'until', 'reason'])
  if (!settings.ok) return settings
  const view = readView(settings.value.get('view'), parsed.value)
  if (!view.ok) return view
  const times = readTimes(settings.value)
  if (!times.ok) return times
  return ok({
    subject,
    cluster,
    action,
    resource: parsed.value,
    effect,
    view: view.value,
    viewWritten: settings.value.has('view'),
    ...times.value,
    columns: [subject, cluster, action, resource, view.value, effect],
    at,
  })
}

function wrongPlace(cluster: string, action: string): string | null {
  if (!/^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$/.test(cluster)) return `"${cluster}" is not a cluster's name, or *`
  const unknown = action.split('|').find((one) => !(actions as readonly string[]).includes(one))
  if (action === '*' || unknown === undefined) return null
  return `the action "${unknown}" is none of ${actions.join(', ')} and not *`
}

/** Without one, a row is about a namespace's own samples. A label other than the namespace has no sides. */
function readView(written: string | undefined, resource: Resource): Result<View, string> {
  const sided = 'label' in resource && resource.label === 'namespace'
  if (written === undefined) return ok(sided ? 'own' : 'both')
  if (!sided) return fail('only namespace=… has a view')
  if (written === 'own' || written === 'destination' || written === 'both') return ok(written)
  return fail(`the view "${written}" is none of own, destination and both`)
}

type Times = Pick<Rule, 'from' | 'until' | 'reason'>

function readTimes(settings: ReadonlyMap<string, string>): Result<Times, string> {
  const reason = settings.get('reason') ?? null
  const [from, until] = ['from', 'until'].map((name) => readTime(settings.get(name)))
  if (from === undefined || until === undefined) {
    return fail('from and until are moments such as 2026-11-20T03:00:00Z (RFC 3339, with the zone)')
  }
  if (from !== null && until !== null && from >= until) return fail('from is not before until: it would never hold')
  if ((from ?? until) !== null && reason === null) {
    return fail('a rule with from= or until= needs a reason=, which goes into every record made under it')
  }
  return ok({ from, until, reason })
}

const moment = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$/

/** Unix milliseconds; null where nothing is written, undefined where it is no moment. */
export function readTime(written: string | undefined): number | null | undefined {
  if (written === undefined) return null
  const time = moment.test(written) ? Date.parse(written) : Number.NaN
  return Number.isNaN(time) ? undefined : time
}
