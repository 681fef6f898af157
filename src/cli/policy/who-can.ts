import { loadPolicyText } from '../../policy/files.ts'
import { printMoment } from '../../policy/print-row.ts'
import { profiles } from '../../policy/profile.ts'
import { whoCan as findSeers } from '../../policy/who-can.ts'
import type { NamespaceSide, Seer } from '../../policy/who-can.ts'
import { UsageError } from '../command.ts'
import type { Command, Given, Terminal } from '../command.ts'
import { printLines } from './explain.ts'
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

const perSubject = `Each subject stands for somebody who is that and nothing else. People are several at once: their groups
add up, and a deny of one of them takes away from all.
`

/** Lists who sees a namespace. */
export const whoCan: Command = {
  help: `Usage: bailiwick policy who-can --namespace NAME [options]

Lists every subject that sees series of a namespace, by which rows and roles, less what is denied.
${perSubject}Exit code 0: somebody does; 3: nobody; 1: the policy cannot be read.

Options:
  --namespace NAME  one namespace, not a pattern
  --view VIEW       its own series (own), those of others about calling it (destination), or both (the default)
  --cluster NAME    default: the first of the configuration; with --rules needed where rows tell clusters apart
  --action NAME     default: query
  --at TIME         default: now; such as 2026-11-20T03:00:00Z
${inputHelp}  --json            print one JSON value
`,
  options: {
    namespace: { type: 'string' },
    view: { type: 'string' },
    cluster: { type: 'string' },
    action: { type: 'string' },
    at: { type: 'string' },
    ...inputOptions,
    json: { type: 'boolean' },
  },
  words: 0,
  async run(given, terminal) {
    const [at, action, namespace, sides] = [timeOf(given), actionOf(given), namespaceOf(given), sidesOf(given)]
    const inputs = findInputs(given)
    if (!inputs.ok) return tellProblems(terminal, given, inputs.error)
    const { name, options } = inputs.value
    const text = await readInputs(inputs.value)
    if (!text.ok) return tellProblems(terminal, given, text.error)
    const policy = await loadPolicyText(text.value, options, () => at)
    if (!policy.ok) return tellProblems(terminal, given, { name, problems: policy.error })
    const cluster = clusterOf(given, inputs.value, policy.value.parsed)
    const seers = findSeers(policy.value, { cluster, action, at, namespace, sides }, profiles[options.profile])
    if (given.flag('json')) {
      const asked = { namespace, view: sides.length === 2 ? 'both' : sides[0], cluster, action, at: printMoment(at) }
      printJson(terminal, { ...asked, policy: policy.value.digest, subjects: seers })
    } else {
      terminal.out(
        `who may ${action} on ${clusterText(cluster)} at ${printMoment(at)} for series of ${namespace}\n${perSubject}`,
      )
      for (const seer of seers) printSeer(terminal, seer)
      if (!seers.some(seesSome)) terminal.out('\nnobody\n')
    }
    return seers.some(seesSome) ? 0 : 3
  },
}

const seesSome = ({ sees, some }: Seer): boolean => sees.length + some.length > 0

function namespaceOf(given: Given): string {
  const namespace = given.option('namespace')
  if (namespace === undefined) throw new UsageError('which namespace? Give --namespace')
  if (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)) return namespace
  throw new UsageError(`"${namespace}" is not a namespace's name`)
}

function sidesOf(given: Given): readonly NamespaceSide[] {
  const view = given.option('view') ?? 'both'
  if (view === 'both') return ['own', 'destination']
  if (view === 'own' || view === 'destination') return [view]
  throw new UsageError(`there is no view "${view}"; there are own, destination and both`)
}

const sideNames = { own: 'its own series', destination: 'those about calling it' } as const

function printSeer(terminal: Terminal, seer: Seer): void {
  const { subject, sees, some, allows, denies, notInForce } = seer
  const seen = [...sees.map((side) => sideNames[side]), ...some.map((resource) => `those with ${resource}`)]
  printLines(terminal, `${subject}: ${seen.length === 0 ? 'nothing' : seen.join(' and ')}`, allows)
  if (allows.length === 0) terminal.out(`\n${subject}: nothing\n`)
  printLines(indented(terminal), 'denied by', denies)
  printLines(indented(terminal), 'not in force', notInForce)
}

const indented = (terminal: Terminal): Terminal => ({
  ...terminal,
  out: (text) => terminal.out(text.replace(/^\n/, '').replaceAll(/^(?=.)/gm, '  ')),
})
