import { readSomebody } from '../../policy/as.ts'
import { explainDecision } from '../../policy/explain.ts'
import type { Explanation, Line } from '../../policy/explain.ts'
import { loadPolicyText } from '../../policy/files.ts'
import { printList, printMoment } from '../../policy/print-row.ts'
import type { Scope } from '../../policy/scope.ts'
import { drawError, rewriteQuery, scopeSelector } from '../../promql/rewrite.ts'
import { UsageError } from '../command.ts'
import type { Command, Terminal } from '../command.ts'
import {
  actionOf,
  clusterOf,
  clusterText,
  findInputs,
  inputHelp,
  inputOptions,
  printJson,
  readInputs,
  tellProblems,
  timeOf,
} from './inputs.ts'

/** Shows why somebody sees what they see. */
export const explain: Command = {
  help: `Usage: bailiwick policy explain --as SUBJECT[,SUBJECT]... [options]

Prints every row that allows or denies, with file, line and the way it came to this person; rows that are not in
force now; their limits; the matchers that follow; and what a query becomes. Exit code 0: they see something;
3: nothing, or not what the query names; 1: the policy or the query cannot be read.

Options:
  --as SUBJECTS     group:<name>, user:<issuer>#<subject>, service:<subject>; with commas, or repeated
  --query PROMQL    show what becomes of a query
  --cluster NAME    default: the first of the configuration; with --rules needed where rows tell clusters apart
  --action NAME     default: query
  --at TIME         default: now; such as 2026-11-20T03:00:00Z
${inputHelp}  --json            print one JSON value

Examples:
  bailiwick policy explain --rules policies/policy.csv --as group:team-emojivoto
  bailiwick policy explain --as user:https://id.example.org#u1,group:sre --query 'sum(rate(request_total[5m]))'
`,
  options: {
    as: { type: 'string', multiple: true },
    query: { type: 'string' },
    cluster: { type: 'string' },
    action: { type: 'string' },
    at: { type: 'string' },
    ...inputOptions,
    json: { type: 'boolean' },
  },
  words: 0,
  async run(given, terminal) {
    const somebody = readSomebody(given.list('as'))
    if (!somebody.ok) throw new UsageError(`--as: ${somebody.error}`)
    const [at, action] = [timeOf(given), actionOf(given)]
    const inputs = findInputs(given)
    if (!inputs.ok) return tellProblems(terminal, given, inputs.error)
    const { name, options } = inputs.value
    const text = await readInputs(inputs.value)
    if (!text.ok) return tellProblems(terminal, given, text.error)
    const policy = await loadPolicyText(text.value, options, () => at)
    if (!policy.ok) return tellProblems(terminal, given, { name, problems: policy.error })
    const cluster = clusterOf(given, inputs.value, policy.value.parsed)
    const explained = explainDecision(policy.value, somebody.value, { cluster, action, at })
    const query = given.option('query')
    const shown: Shown = {
      as: somebody.value.subjects,
      cluster,
      action,
      at: printMoment(at),
      policy: policy.value.digest,
      ...explained,
      matchers: matchersOf(explained.scope),
      query: query === undefined ? null : askedOf(query, explained.scope),
    }
    if (given.flag('json')) printJson(terminal, shown)
    else printShown(terminal, shown)
    if (shown.query !== null && 'error' in shown.query) return shown.query.error.denied ? 3 : 1
    return explained.scope.kind === 'nothing' ? 3 : 0
  },
}

/** Everything that is shown, as `--json` prints it. */
interface Shown extends Explanation {
  readonly as: readonly string[]
  readonly cluster: string
  readonly action: string
  readonly at: string
  readonly policy: string
  /** What selectors get: of all metrics, and of those whose labels say otherwise whose they are. Empty: see `sees`. */
  readonly matchers: readonly { readonly metrics: readonly string[]; readonly selectors: readonly string[] }[]
  readonly query: Asked | null
}

type Asked =
  | { readonly asked: string; readonly sent: string; readonly notes: readonly string[] }
  | { readonly asked: string; readonly error: AskedError }

interface AskedError {
  /** Is it a matter of rights, and not of how the query is written? */
  readonly denied: boolean
  readonly message: string
}

/** Families of metrics that get the same selectors are told together. */
function matchersOf(scope: Scope): Shown['matchers'] {
  if (scope.kind !== 'labels') return []
  const { families = [], ...usual } = scope
  const found = new Map([[scopeSelector(usual).join(), { metrics: ['*'], selectors: scopeSelector(usual) }]])
  for (const { metrics, alternatives } of families) {
    const selectors = scopeSelector({ ...usual, alternatives })
    const same = found.get(selectors.join())
    found.set(selectors.join(), { metrics: [...(same?.metrics ?? []), metrics], selectors })
  }
  return [...found.values()]
}

function askedOf(asked: string, scope: Scope): Asked {
  const rewritten = rewriteQuery(asked, scope)
  if (rewritten.ok) return { asked, sent: rewritten.value.sent, notes: rewritten.value.notes }
  const { reason } = rewritten.error
  return {
    asked,
    error: { denied: reason === 'no_rights' || reason === 'not_allowed', message: drawError(asked, rewritten.error) },
  }
}

function printShown(terminal: Terminal, shown: Shown): void {
  const { as, cluster, action, at, policy, sees, needed, limits, matchers, query } = shown
  terminal.out(
    `as       ${as.join(', ')}\nasks     ${action} on ${clusterText(cluster)} at ${at}\npolicy   ${policy}\n`,
  )
  terminal.out(`\nsees     ${sees.replaceAll('; ', '\n         ')}\n`)
  if (needed !== null) terminal.out(`needed   ${needed}\n`)
  printLines(terminal, 'allowed by', shown.allows)
  printLines(terminal, 'denied by', shown.denies)
  printLines(terminal, 'not in force', shown.notInForce)
  printLines(terminal, 'for other clusters or actions', shown.elsewhere)
  terminal.out('\nlimits\n')
  for (const { limit, text, from } of limits) {
    terminal.out(
      `  ${limit.padEnd(10)} ${text.padEnd(6)} ${from.length === 0 ? 'where no row says otherwise' : from.join(', ')}\n`,
    )
  }
  if (matchers.length > 0) terminal.out('\nmatchers\n')
  for (const { metrics, selectors } of matchers) {
    if (matchers.length > 1)
      terminal.out(`  of ${printList(metrics.map((one) => (one === '*' ? 'all other metrics' : one)))}\n`)
    for (const selector of selectors) terminal.out(`  ${matchers.length > 1 ? '  ' : ''}${selector}\n`)
  }
  if (query === null) return
  if ('error' in query) return terminal.out(`\nquery\n${query.error.message.replaceAll(/^/gm, '  ')}\n`)
  terminal.out(`\nquery\n  asked  ${query.asked}\n  sent   ${query.sent}\n`)
  for (const note of query.notes) terminal.out(`  note   ${note}\n`)
}

/** Prints rows below a title; nothing where there are none. */
export function printLines(
  terminal: Terminal,
  title: string,
  lines: readonly (Line & { readonly because?: string })[],
): void {
  if (lines.length > 0) terminal.out(`\n${title}\n`)
  for (const { at, row, ways, because } of lines) {
    const further = ways.filter((way) => way.length > 1 || ways.length > 1).map((way) => `, by ${way.join(' → ')}`)
    terminal.out(`  ${at}${further.join('')}${because === undefined ? '' : `, ${because}`}\n    ${row}\n`)
  }
}
