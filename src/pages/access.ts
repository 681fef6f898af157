import type { Access, ClusterAccess, Right } from '../policy/access.ts'
import { describeScope } from '../policy/scope.ts'
import { html } from './html.ts'
import type { Html } from './html.ts'
import { moment } from './layout.ts'

const noRule = 'no rule names you or your groups'

/** What somebody may see on a cluster, and why. */
export const clusterTable = ({ name, rights }: ClusterAccess): Html =>
  table(
    `Cluster ${name}`,
    ['Action', 'Series', 'Because of'],
    rights.map((right) => ({ head: right.actions.join(', '), cells: [seriesOf(right), whyOf(right)] })),
  )

/** The series of a right, in words first: as matchers they are what Prometheus is asked for. */
function seriesOf({ scope, views }: Right): Html {
  const text = describeScope(scope)
  if (scope.kind !== 'labels') return html`${text}`
  const { own, destination, labels } = views
  const lines = [
    ...line('Own samples of', own.allow.map(named)),
    ...line('What others report about calling', destination.allow.map(named)),
    ...line('Series with', labels.allow),
    ...line('Never: own samples of', own.deny.map(named)),
    ...line('Never: what is said about calling', destination.deny.map(named)),
    ...line('Never: series with', labels.deny),
  ]
  const list = html`<ul>
    ${lines.map((one) => html`<li>${one}</li>`)}
  </ul>`
  // With a view of calls there is a part for each family of metrics.
  if (scope.families === undefined) return html`${list}<code>${text}</code>`
  return html`${list}
    <details>
      <summary>As matchers</summary>
      <code>${text}</code>
    </details>`
}

const named = (pattern: string): string => (pattern === '*' ? 'every namespace' : pattern)
const line = (what: string, patterns: readonly string[]): readonly string[] =>
  patterns.length === 0 ? [] : [`${what} ${patterns.join(', ')}`]

function whyOf({ because, reasons, ends, until }: Right): Html {
  if (because.length === 0 && until === null) return html`${noRule}`
  const end = new Map(ends.map((one) => [one.rule, one.until]))
  const rules = because.map((rule) => {
    const last = end.get(rule)
    return last === undefined ? html`<div>${rule}</div>` : html`<div>${rule}, until ${moment(last)}</div>`
  })
  const begins = until !== null && ends.every((one) => one.until !== until)
  return html`${rules.length === 0 ? noRule : rules}
  ${reasons.length === 0 ? null : html`<div>For a time: ${reasons.join('; ')}</div>`}
  ${begins ? html`<div>Another rule begins at ${moment(until)}</div>` : null}`
}

/** How much somebody may ask for, and why. */
export const limitTable = (limits: Access['limits']): Html =>
  table(
    'Limits',
    ['Limit', 'At most', 'Because of'],
    limits.map(({ limit, text, from }) => ({
      head: `${limit}: ${meanings[limit]}`,
      cells: [html`${text}`, html`${from.length === 0 ? 'no rule: the gateway’s own' : from.join(', ')}`],
    })),
  )

const meanings: Readonly<Record<Access['limits'][number]['limit'], string>> = {
  range: 'how far back a query reaches',
  points: 'points of one series in an answer',
  selectors: 'selectors in one request',
  bytes: 'size of an answer',
  timeout: 'how long Prometheus may take',
  rate: 'requests in a second',
  concurrent: 'queries at the same time',
}

interface TableRow {
  readonly head: string
  readonly cells: readonly Html[]
}

const table = (caption: string, columns: readonly string[], rows: readonly TableRow[]): Html =>
  html` <div class="scroll" tabindex="0" role="region" aria-label="${caption}">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${columns.map((column) => html`<th scope="col">${column}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ({ head, cells }) =>
            html` <tr>
              <th scope="row">${head}</th>
              ${cells.map((cell) => html`<td>${cell}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`
