import { checkPolicy } from '../../policy/check.ts'
import type { Command } from '../command.ts'
import { count, findInputs, inputHelp, inputOptions, printJson, readInputs, tellProblems } from './inputs.ts'

/** Looks for what is wrong with a policy. */
export const check: Command = {
  help: `Usage: bailiwick policy check [options]

Reads a policy as the gateway would, and puts every rule to Casbin, which must agree (the gateway asks about some
of many). Prints every error and warning with file and line. Exit code 0: no error; 1: errors, or with --strict
warnings.

Options:
${inputHelp}  --strict          warnings are errors
  --json            print one JSON value
`,
  options: { ...inputOptions, strict: { type: 'boolean' }, json: { type: 'boolean' } },
  words: 0,
  async run(given, terminal) {
    const inputs = findInputs(given)
    if (!inputs.ok) return tellProblems(terminal, given, inputs.error)
    const { name, options } = inputs.value
    const text = await readInputs(inputs.value)
    if (!text.ok) return tellProblems(terminal, given, text.error)
    const checked = await checkPolicy(text.value, options)
    if (!checked.ok) return tellProblems(terminal, given, { name, problems: checked.error })
    const { policy, judged, disagreements } = checked.value
    if (disagreements.length > 0) return tellProblems(terminal, given, { name, problems: disagreements })
    const { warnings, digest, parsed } = policy
    const good = warnings.length === 0 || !given.flag('strict')
    const counts = { rules: parsed.rules.length, memberships: parsed.memberships.length, limits: parsed.limits.length }
    if (given.flag('json')) {
      printJson(terminal, { ok: good, problems: [], warnings, ...counts, judged, digest })
      return good ? 0 : 1
    }
    for (const warning of warnings) terminal.err(`warning  ${warning}\n`)
    const verdict = warnings.length === 0 ? 'ok' : count(warnings.length, 'warning')
    const { rules, memberships, limits } = counts
    const rows = [count(rules, 'rule'), count(memberships, 'membership'), count(limits, 'row', ' of limits')].join(', ')
    terminal.out(
      `${name}: ${verdict}\n  rows    ${rows}\n  judged  ${count(judged, 'rule')}, Casbin agrees\n  digest  ${digest}\n`,
    )
    return good ? 0 : 1
  },
}
