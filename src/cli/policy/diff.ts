import { diffPolicies } from '../../policy/diff.ts'
import type { Changed, ClusterPart, PolicyDiff, RightsChange } from '../../policy/diff.ts'
import { loadPolicyText } from '../../policy/files.ts'
import type { Policy } from '../../policy/policy.ts'
import { printList, printMoment } from '../../policy/print-row.ts'
import { actions } from '../../policy/rules.ts'
import { fail } from '../../result.ts'
import type { Result } from '../../result.ts'
import { UsageError } from '../command.ts'
import type { Command, Given, Terminal } from '../command.ts'
import { inputOptions, printJson, readInputs, rulesInputs, tellProblems, timeOf } from './inputs.ts'
import type { Problems } from './inputs.ts'

const { model, profile } = inputOptions

/** Says what a change of the policy changes. */
export const diff: Command = {
  help: `Usage: bailiwick policy diff [options] OLD NEW

Says for each subject, and for every cluster, action and view, what it gains and loses between two policies, from now
on: in rights, not in rows, so rows that are moved or say nothing new change nothing. OLD and NEW are rule files, or
directories of *.csv files. Exit code 0: nobody's rights or limits change; 3: somebody's do; 1: one of the two cannot
be read.

Options:
  --model FILE      the Casbin model (default: the one that comes with bailiwick)
  --profile NAME    linkerd (the default) or istio
  --at TIME         default: now; rules that ended before count for nothing
  --json            print one JSON value
`,
  options: { model, profile, at: { type: 'string' }, json: { type: 'boolean' } },
  words: 2,
  async run(given, terminal) {
    const [oldPath, newPath] = given.words
    if (oldPath === undefined || newPath === undefined) throw new UsageError('which two policies? Give OLD and NEW')
    const at = timeOf(given)
    const old = await load(oldPath, given)
    if (!old.ok) return tellProblems(terminal, given, old.error)
    const next = await load(newPath, given)
    if (!next.ok) return tellProblems(terminal, given, next.error)
    const compared = diffPolicies(old.value.parsed, next.value.parsed, at)
    if (!compared.ok) return tellProblems(terminal, given, { name: newPath, problems: [compared.error] })
    const { rights } = compared.value
    if (given.flag('json')) {
      printJson(terminal, {
        ...compared.value,
        rights: rights.map((change) => ({ ...change, from: momentOf(change.from), until: momentOf(change.until) })),
        old: old.value.digest,
        new: next.value.digest,
        at: printMoment(at),
      })
    } else printDiff(terminal, compared.value)
    return compared.value.changed ? 3 : 0
  },
}

async function load(path: string, given: Given): Promise<Result<Policy, Problems>> {
  const inputs = rulesInputs([path], given)
  if (!inputs.ok) return inputs
  const text = await readInputs(inputs.value)
  if (!text.ok) return text
  const policy = await loadPolicyText(text.value, inputs.value.options, () => 0)
  return policy.ok ? policy : fail({ name: path, problems: policy.error })
}

const momentOf = (time: number | null): string | null => (time === null ? null : printMoment(time))

function printDiff(terminal: Terminal, { changed, rights, limits, roles }: PolicyDiff): void {
  for (const { member, role, change, way } of roles) {
    terminal.out(`${member} ${change} ${role}${way.length > 2 ? ` (${way.join(' → ')})` : ''}\n`)
  }
  if (roles.length > 0) terminal.out('\n')
  for (const [index, change] of rights.entries()) {
    if (rights[index - 1]?.subject !== change.subject) terminal.out(`${change.subject}\n`)
    printChange(terminal, change)
  }
  if (rights.length > 0 && limits.length > 0) terminal.out('\n')
  for (const { subject, limit, old, new: now } of limits) {
    terminal.out(`${subject === '*' ? 'whoever has no row for it' : subject}: ${limit} from ${old} to ${now}\n`)
  }
  if (!changed) terminal.out("nobody's rights or limits change\n")
}

const words = { gained: 'gains', lost: 'loses', denied: 'is denied', undenied: 'is no longer denied' } as const

function printChange(terminal: Terminal, change: RightsChange): void {
  const { kind, clusters, from, until, because } = change
  const named = change.actions.length === actions.length ? 'every action' : printList(change.actions)
  const begins = from === null ? '' : ` from ${printMoment(from)}`
  const ends = until === null ? '' : ` until ${printMoment(until)}`
  const where = `${named} on ${printList(clusters.map(describeCluster))}${begins}${ends}`
  const rows = `${because.in} ${because.rows.join(', ')}`
  terminal.out(`  ${words[kind]} ${describeDifference(change)}: ${where} (${rows})\n`)
}

function describeCluster({ patterns, except }: ClusterPart): string {
  const [first = '', ...more] = patterns
  const also = more.length === 0 ? '' : ` that is ${printList(more)} as well`
  return `${first === '*' ? 'every cluster' : first}${also}${except.length === 0 ? '' : ` (but not ${printList(except, 'or')})`}`
}

function describeDifference({ resource, view, except, example }: Changed): string {
  const sides = resource.startsWith('namespace=') ? ` (${view})` : ''
  const but = except.length === 0 ? '' : ` but not ${printList(except)}`
  const such = example === null || !resource.includes('*') ? '' : `, such as ${example}`
  return `${resource === '*' ? 'every series' : resource}${sides}${but}${such}`
}
