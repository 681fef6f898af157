import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readYamlTree } from '../../config/yaml-tree.ts'
import { loadPolicyText } from '../../policy/files.ts'
import { readCases } from '../../policy/policy-tests.ts'
import type { PolicyCase } from '../../policy/policy-tests.ts'
import { printList } from '../../policy/print-row.ts'
import { profiles } from '../../policy/profile.ts'
import { runCases } from '../../policy/run-policy-tests.ts'
import type { Failure } from '../../policy/run-policy-tests.ts'
import { fail, ok } from '../../result.ts'
import type { Result } from '../../result.ts'
import type { Command } from '../command.ts'
import {
  clusterText,
  count,
  filesIn,
  findInputs,
  inputHelp,
  inputOptions,
  printJson,
  readInputs,
  tellProblems,
  timeOf,
} from './inputs.ts'

/** Runs a policy's own tests. */
export const test: Command = {
  help: `Usage: bailiwick policy test [options] [PATH]...

Runs the tests in YAML files: who sees what, and what they must never see. PATH is a file or a directory of *.yaml
files (default: the directory "tests" beside the first rule file). Without a cluster of its own, a test must hold
on every cluster. Exit code 0: all hold; 1: one does not, or is not understood.

Options:
${inputHelp}  --at TIME         now, for tests that name no time, such as 2026-11-20T03:00:00Z
  --json            print one JSON value
`,
  options: { ...inputOptions, at: { type: 'string' }, json: { type: 'boolean' } },
  words: Number.POSITIVE_INFINITY,
  async run(given, terminal) {
    const at = timeOf(given)
    const inputs = findInputs(given)
    if (!inputs.ok) return tellProblems(terminal, given, inputs.error)
    const { name, options, clusters } = inputs.value
    const text = await readInputs(inputs.value)
    if (!text.ok) return tellProblems(terminal, given, text.error)
    const policy = await loadPolicyText(text.value, options, () => at)
    if (!policy.ok) return tellProblems(terminal, given, { name, problems: policy.error })
    const paths = given.words.length > 0 ? given.words : [join(dirname(options.rules[0] ?? ''), 'tests')]
    const read = readTests(paths)
    if (!read.ok) return tellProblems(terminal, given, { name: paths.join(', '), problems: read.error })
    const { files, cases } = read.value
    const run = runCases(policy.value, cases, { profile: profiles[options.profile], clusters, at })
    const good = run.failures.length === 0
    if (given.flag('json')) printJson(terminal, { ok: good, problems: [], files, ...run, policy: policy.value.digest })
    else {
      for (const failure of run.failures) terminal.err(`${describe(failure)}\n`)
      const verdict = good ? 'all hold' : `${run.failures.length} do not hold`
      terminal.out(
        `${count(files.length, 'file')}, ${count(run.cases, 'test')}, ${count(run.checks, 'check')}: ${verdict}\n`,
      )
    }
    return good ? 0 : 1
  },
}

function describe({ at, as, clusters, message, because }: Failure): string {
  const rows = because.length === 0 ? 'no row bears on it' : `decided by ${because.join(', ')}`
  return `${at}: ${as.join(',')} on ${printList(clusters.map(clusterText))}: ${message} (${rows})`
}

interface Tests {
  readonly files: readonly string[]
  readonly cases: readonly PolicyCase[]
}

function readTests(paths: readonly string[]): Result<Tests, readonly string[]> {
  const problems: string[] = []
  const files: string[] = []
  const cases: PolicyCase[] = []
  const take = <T>(result: Result<T, string | readonly string[]>): T | null => {
    if (result.ok) return result.value
    problems.push(...[result.error].flat())
    return null
  }
  for (const path of paths) files.push(...(take(filesIn(path, ['.yaml', '.yml'])) ?? []))
  for (const file of files) {
    const tree = take(readYamlTree(file, readFileSync(file, 'utf8')))
    cases.push(...((tree === null ? null : take(readCases(file, tree))) ?? []))
  }
  return problems.length > 0 ? fail(problems) : ok({ files, cases })
}
