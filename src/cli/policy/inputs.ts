import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '../../config/config.ts'
import { anyCluster } from '../../policy/explain.ts'
import { readPolicyFiles } from '../../policy/files.ts'
import type { PolicyOptions, PolicyText } from '../../policy/files.ts'
import type { ParsedPolicy } from '../../policy/parse.ts'
import { profiles } from '../../policy/profile.ts'
import { printList } from '../../policy/print-row.ts'
import { actions, readTime } from '../../policy/rules.ts'
import type { Action } from '../../policy/rules.ts'
import { fail, ok } from '../../result.ts'
import type { Result } from '../../result.ts'
import { UsageError } from '../command.ts'
import type { Given, Terminal } from '../command.ts'
import { configFile, printProblems } from '../config-option.ts'

/** The options by which a command is told of a policy. */
export const inputOptions = {
  config: { type: 'string' },
  rules: { type: 'string', multiple: true },
  model: { type: 'string' },
  profile: { type: 'string' },
} as const

/** How the help of such a command says so. */
export const inputHelp = `  --config FILE     the configuration that names the policy (default: bailiwick.yaml)
  --rules PATH      without a configuration: a rule file, or a directory of *.csv files; may be repeated
  --model FILE      with --rules: the Casbin model (default: the one that comes with bailiwick)
  --profile NAME    with --rules: linkerd (the default) or istio
`

/** Where a policy is, and what else is known there. */
export interface Inputs {
  /** For messages: what the user named. */
  readonly name: string
  readonly options: PolicyOptions
  /** The configuration's clusters; empty without one. */
  readonly clusters: readonly string[]
}

/** Finds the policy that the options name. */
export function findInputs(given: Given): Result<Inputs, Problems> {
  const rules = given.list('rules')
  if (rules.length > 0) {
    if (given.option('config') !== undefined) throw new UsageError('give --config or --rules, not both')
    return rulesInputs(rules, given)
  }
  for (const name of ['model', 'profile']) {
    if (given.option(name) !== undefined) throw new UsageError(`--${name} goes with --rules`)
  }
  const name = configFile(given)
  const config = loadConfig(name)
  if (!config.ok) return fail({ name, problems: config.error })
  return ok({ name, options: config.value.policy, clusters: config.value.clusters.map((cluster) => cluster.name) })
}

/** What is wrong, and with what. */
export interface Problems {
  readonly name: string
  readonly problems: readonly string[]
}

/** The policy in rule files and directories. */
export function rulesInputs(paths: readonly string[], given: Given): Result<Inputs, Problems> {
  const name = paths.join(', ')
  const profile = given.option('profile') ?? 'linkerd'
  if (!isProfile(profile)) throw new UsageError(`there is no profile "${profile}"; there are linkerd and istio`)
  const files = paths.map((path) => filesIn(path, ['.csv']))
  const problems = files.flatMap((found) => (found.ok ? [] : [found.error]))
  if (problems.length > 0) return fail({ name, problems })
  const rules = files.flatMap((found) => (found.ok ? found.value : []))
  return ok({ name, options: { model: given.option('model') ?? ownModel, rules, profile }, clusters: [] })
}

const ownModel = fileURLToPath(new URL('../../../policies/model.conf', import.meta.url))

const isProfile = (name: string): name is keyof typeof profiles => Object.hasOwn(profiles, name)

/** A file, or those of a directory with one of the endings, in the order of their names. */
export function filesIn(path: string, endings: readonly string[]): Result<readonly string[], string> {
  try {
    if (!statSync(path).isDirectory()) return ok([path])
    const names = readdirSync(path).filter((name) => endings.some((ending) => name.endsWith(ending)))
    const files = names.toSorted().map((name) => join(path, name))
    return files.length > 0 ? ok(files) : fail(`${path}: there is no ${printList(endings, 'or')} file in it`)
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error))
  }
}

/** The texts of the files. */
export async function readInputs({ name, options }: Inputs): Promise<Result<PolicyText, Problems>> {
  const text = await readPolicyFiles(options)
  return text.ok ? text : fail({ name, problems: text.error })
}

/** Tells what is wrong, and returns the exit code. */
export function tellProblems(terminal: Terminal, given: Given, { name, problems }: Problems): number {
  if (!given.flag('json')) return printProblems(terminal, name, problems)
  printJson(terminal, { ok: false, problems })
  return 1
}

/** Prints a value as JSON. */
export const printJson = (terminal: Terminal, value: unknown): void =>
  terminal.out(`${JSON.stringify(value, null, 2)}\n`)

/** The moment that `--at` names, in Unix milliseconds; now without it. */
export function timeOf(given: Given): number {
  const time = readTime(given.option('at'))
  if (time === undefined)
    throw new UsageError('--at takes a moment such as 2026-11-20T03:00:00Z (RFC 3339, with the zone)')
  return time ?? Date.now()
}

/** The action that `--action` names; `query` without it. */
export function actionOf(given: Given): Action {
  const name = given.option('action') ?? 'query'
  const action = actions.find((one) => one === name)
  if (action === undefined) throw new UsageError(`there is no action "${name}"; there are ${actions.join(', ')}`)
  return action
}

/** A cluster, for people to read. */
export const clusterText = (cluster: string): string => (cluster === anyCluster ? 'every cluster' : cluster)

/** The cluster that `--cluster` names; without it the configuration's first, or any where that makes no difference. */
export function clusterOf(given: Given, { clusters }: Inputs, { rules }: ParsedPolicy): string {
  const named = given.option('cluster')
  const patterns = [...new Set(rules.map(({ cluster }) => cluster))].filter((pattern) => pattern !== '*')
  if (named === undefined) {
    const [first] = clusters
    if (first !== undefined) return first
    if (patterns.length === 0) return anyCluster
    throw new UsageError(`which cluster? Rows name ${printList(patterns.slice(0, 5))}: give --cluster`)
  }
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(named)) throw new UsageError(`"${named}" is not a cluster's name`)
  if (clusters.length === 0 || clusters.includes(named)) return named
  throw new UsageError(`the configuration has no cluster "${named}"; there are ${printList(clusters)}`)
}

/** `1 rule`, `2 rules`, `1 row of limits`. */
export const count = (number: number, word: string, more = ''): string =>
  `${number} ${word}${number === 1 ? '' : 's'}${more}`
