import { CsvError, parse } from 'csv-parse/sync'
import type { services } from '../identity/identity.ts'
import { fail, ok } from '../result.ts'
import type { Result } from '../result.ts'
import { maxRules } from './limits.ts'
import { parseResource } from './patterns.ts'
import type { Resource } from './patterns.ts'

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
] as const
export type Action = (typeof actions)[number]

/** The issuer of identities that are services. Providers are URLs, so no token can name it. */
export const serviceIssuer: typeof services = 'service'

/** One line of a policy file. */
export interface Rule {
  /** `group:<name>`, `user:<issuer>#<subject>` or `service:<subject>` */
  readonly subject: string
  /** A cluster's name, or a pattern with `*`. */
  readonly cluster: string
  /** Actions with `|` between them, or `*`. */
  readonly action: string
  readonly resource: Resource
  /** The five columns as Casbin gets them. */
  readonly columns: readonly [string, string, string, string, 'allow' | 'deny']
  /** `file:line` */
  readonly at: string
}

/** A text with the name people know it by. */
export interface PolicyFile {
  readonly name: string
  readonly text: string
}

/**
 * Reads policy lines. Casbin's own loader drops lines it does not know and treats a misspelt effect as no effect at
 * all, which turns a deny into an allow; here each such line is an error, with file, line and remedy.
 */
export function parseRules(files: readonly PolicyFile[]): Result<readonly Rule[], readonly string[]> {
  const rules: Rule[] = []
  const problems: string[] = []
  for (const file of files) {
    const rows = parseCsv(file)
    if (!rows.ok) {
      problems.push(rows.error)
      continue
    }
    for (const [line, ...record] of rows.value) {
      const at = `${file.name}:${line}`
      const rule = parseRule(record, at)
      if (rule.ok) rules.push(rule.value)
      else problems.push(`${at}: ${rule.error}`)
    }
  }
  if (rules.length > maxRules) problems.push(`${rules.length} rules are more than ${maxRules}: use patterns`)
  return problems.length > 0 ? fail(problems) : ok(rules)
}

/** The rows of a file, each with the number of its line put before the columns. */
function parseCsv(file: PolicyFile): Result<readonly string[][], string> {
  try {
    return ok(
      parse(file.text, {
        comment: '#',
        comment_no_infix: true,
        relax_column_count: true,
        skip_empty_lines: true,
        trim: true,
        on_record: (record: string[], { lines }) => [String(lines), ...record],
      }),
    )
  } catch (error) {
    if (error instanceof CsvError) return fail(`${file.name}: ${error.message}`)
    throw error
  }
}

function parseRule(record: readonly string[], at: string): Result<Rule, string> {
  const [type, subject = '', cluster = '', action = '', resource = '', effect] = record
  if (type !== 'p') return fail(`a line begins with p, not with "${type}"`)
  if (record.length !== 6) {
    return fail(`${record.length} columns instead of 6: p, subject, cluster, action, resource, effect`)
  }
  if (!/^(group:.+|service:.+|user:[^#]+#.+)$/.test(subject)) {
    return fail(`the subject "${subject}" is neither group:<name> nor user:<issuer>#<subject> nor service:<subject>`)
  }
  if (!/^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$/.test(cluster)) return fail(`"${cluster}" is not a cluster's name, or *`)
  const unknown = action.split('|').find((one) => !(actions as readonly string[]).includes(one))
  if (action !== '*' && unknown !== undefined) {
    return fail(`the action "${unknown}" is none of ${actions.join(', ')} and not *`)
  }
  if (effect !== 'allow' && effect !== 'deny') return fail(`the effect "${effect}" is neither allow nor deny`)
  const parsed = parseResource(resource)
  if (!parsed.ok) return parsed
  return ok({
    subject,
    cluster,
    action,
    resource: parsed.value,
    columns: [subject, cluster, action, resource, effect],
    at,
  })
}
