import { existsSync, readFileSync } from 'node:fs'
import { attacks } from './attacks.ts'
import { corpus, later } from './corpus.ts'

const root = new URL('../../', import.meta.url)
const entriesFile = new URL('../shared/promql/corpus.json', root)
const dashboardsFile = new URL('../shared/linkerd/queries.json', root)

/** Why the expressions of others cannot be used here, or false where they can: they are not part of this repository. */
export const withoutOthers =
  existsSync(entriesFile) && existsSync(dashboardsFile)
    ? false
    : '../shared/promql/corpus.json and ../shared/linkerd/queries.json are not beside the repository'

/** Expressions written for this repository. */
export const ownExpressions: readonly string[] = [...Object.values(corpus).flat()]
export const laterExpressions: readonly string[] = [...Object.values(later).flat()]

/** Prometheus's own test expressions and Linkerd's dashboards where they are beside the repository, else none. */
export function otherExpressions(): readonly string[] {
  if (withoutOthers !== false) return []
  const entries: readonly { expr: string | null }[] = JSON.parse(readFileSync(entriesFile, 'utf8'))
  const dashboards: readonly { concrete: string }[] = JSON.parse(readFileSync(dashboardsFile, 'utf8'))
  const texts = [...entries.map(({ expr }) => expr), ...dashboards.map(({ concrete }) => concrete)]
  return [...new Set(texts)].filter((text) => text !== null)
}

/** All that there is, each once. */
export const allExpressions = (): readonly string[] => [
  ...new Set([...ownExpressions, ...laterExpressions, ...attacks, ...otherExpressions()]),
]
